use std::time::{Duration, Instant};

use packets_tests::Random;
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

/// Some bytes of a seed changed, cut out, doubled, or taken from elsewhere in it.
fn mutated(seed: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..=random.below(4) {
        let (at, to) = (random.below(bytes.len() + 1), random.below(bytes.len() + 1));
        let length = random.below(40.min(bytes.len() - at.max(to)) + 1);
        match random.below(5) {
            0 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            1 if at < bytes.len() => bytes[at] = random.of(&[0, 1, b'/', b'.', 0x7f, 0x80, 0xff]),
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
