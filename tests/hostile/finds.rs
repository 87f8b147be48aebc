use std::time::{Duration, Instant};

use packets_tests::fuzz::{TARGETS, Target, target};

/// Each input has this long, on a machine that is busy.
const LONGEST: Duration = Duration::from_secs(5);

fn try_one(target: Target, bytes: &[u8]) {
    let began = Instant::now();
    (target.run)(bytes);
    assert!(began.elapsed() < LONGEST, "{}: {:?} for {} bytes", target.name, began.elapsed(), bytes.len());
}

/// What the fuzzer found, by target.
const FINDS: &[(&str, &[u8])] = &[];

#[test]
fn c38_what_was_found_once() {
    for (name, bytes) in FINDS {
        try_one(target(name), bytes);
    }
}

/// A generator of numbers that gives the same ones in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        // Knuth's MMIX constants.
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % end.max(1)
    }
}

/// Some bytes of a seed changed, cut out, doubled, or taken from elsewhere in it.
fn mutated(seed: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..=random.below(4) {
        let (at, to) = (random.below(bytes.len()), random.below(bytes.len()));
        let length = random.below(40.min(bytes.len() - at.max(to)));
        match random.below(5) {
            0 if !bytes.is_empty() => bytes[at] ^= 1 << random.below(8),
            1 if !bytes.is_empty() => bytes[at] = [0, 1, b'/', b'.', 0x7f, 0x80, 0xff][random.below(7)],
            2 => drop(bytes.drain(at..at + length)),
            3 => {
                let part = bytes[at..at + length].to_vec();
                bytes.splice(to..to, part);
            }
            _ => bytes.copy_within(at..at + length, to),
        }
    }
    bytes
}

#[test]
fn c38_inputs_that_are_nearly_right() {
    std::thread::scope(|scope| {
        for target in TARGETS {
            scope.spawn(move || {
                let seeds = (target.seeds)();
                assert!(!seeds.is_empty(), "{}", target.name);
                seeds.iter().for_each(|seed| try_one(target, seed));
                let mut random = Random(7);
                for round in 0..1500 {
                    try_one(target, &mutated(&seeds[round % seeds.len()], &mut random));
                }
            });
        }
    });
}
