//! Which bytes of a file who is to give, when several give it at once. Numbers only: nothing is read or written here.
//!
//! Every byte belongs to one at a time: it waits, or one partner has it to give, or it has come. A partner that
//! has nothing to do gets the first bytes that wait; where none wait, a share of what a slower one still has.

use std::ops::Range;

use super::limits::{AHEAD, LARGEST_PIECE, LEAST_PIECE, LEAST_SHARE, PATIENCE_WITH_ONE};

/// See the module.
#[derive(Debug)]
pub(super) struct Pieces {
    /// In order, not empty, without what is in `tasks`.
    waiting: Vec<Range<u64>>,
    /// What each partner is to give yet, by its number; not empty.
    tasks: Vec<(usize, Range<u64>)>,
    /// All bytes before this one have been written.
    written: u64,
}

impl Pieces {
    /// Of a file of which these bytes are missing.
    pub(super) fn of(missing: Range<u64>) -> Self {
        let written = missing.start;
        Self { waiting: if missing.is_empty() { Vec::new() } else { vec![missing] }, tasks: Vec::new(), written }
    }

    /// What a partner is to give yet.
    pub(super) fn task(&self, partner: usize) -> Option<Range<u64>> {
        self.tasks.iter().find(|(of, _)| *of == partner).map(|(_, task)| task.clone())
    }

    /// The tasks of all.
    pub(super) fn tasks(&self) -> impl Iterator<Item = (usize, Range<u64>)> {
        self.tasks.iter().cloned()
    }

    /// All before this byte has been written, so more may come behind it.
    pub(super) fn written(&mut self, until: u64) {
        self.written = self.written.max(until);
    }

    /// Gives a partner without a task the first bytes that wait, at most so many.
    pub(super) fn assign(&mut self, partner: usize, most: u64) -> Option<Range<u64>> {
        let task = self.take_waiting(0, most)?;
        self.tasks.push((partner, task.clone()));
        Some(task)
    }

    /// Gives a partner more of what lies just behind its task, where that waits; the new end.
    pub(super) fn extend(&mut self, partner: usize, most: u64) -> Option<u64> {
        let end = self.task(partner)?.end;
        let next = self.waiting.iter().position(|range| range.start == end)?;
        let more = self.take_waiting(next, most)?;
        let (_, task) = self.tasks.iter_mut().find(|(of, _)| *of == partner)?;
        task.end = more.end;
        Some(more.end)
    }

    /// Takes from what waits; nothing too far ahead of what has been written.
    fn take_waiting(&mut self, number: usize, most: u64) -> Option<Range<u64>> {
        let range = self.waiting.get_mut(number)?;
        let end = range.end.min(range.start.saturating_add(most)).min(self.written.saturating_add(AHEAD));
        if end <= range.start {
            return None;
        }
        let taken = range.start..end;
        range.start = end;
        if range.is_empty() {
            self.waiting.remove(number);
        }
        Some(taken)
    }

    /// So many bytes have come from a partner; how many of them it was to give.
    pub(super) fn came(&mut self, partner: usize, bytes: u64) -> u64 {
        let Some(number) = self.tasks.iter().position(|(of, _)| *of == partner) else { return 0 };
        let task = &mut self.tasks[number].1;
        let accepted = bytes.min(task.end - task.start);
        task.start += accepted;
        if task.is_empty() {
            self.tasks.swap_remove(number);
        }
        accepted
    }

    /// What a partner was to give and does not waits again.
    pub(super) fn give_back(&mut self, partner: usize) {
        let Some(number) = self.tasks.iter().position(|(of, _)| *of == partner) else { return };
        let (_, task) = self.tasks.swap_remove(number);
        let at = self.waiting.partition_point(|range| range.start < task.start);
        self.waiting.insert(at, task);
    }

    /// Gives a partner without a task the last so many bytes of another's.
    pub(super) fn share(&mut self, from: usize, to: usize, bytes: u64) -> Option<Range<u64>> {
        let number = self.tasks.iter().position(|(of, _)| *of == from)?;
        let task = &mut self.tasks[number].1;
        let middle = task.end - bytes.min(task.end - task.start);
        let shared = middle..task.end;
        task.end = middle;
        if task.is_empty() {
            self.tasks.swap_remove(number);
        }
        (!shared.is_empty()).then(|| self.tasks.push((to, shared.clone()))).map(|()| shared)
    }
}

/// How many bytes a partner of this speed is asked for at a time.
pub(super) fn length_for(speed: Option<f64>) -> u64 {
    speed.map_or(0, |speed| speed as u64).clamp(LEAST_PIECE, LARGEST_PIECE)
}

/// How many of the `left` bytes of one's task another one should take over, so that both are ready at the same
/// time; nothing where it is not worth a request. Speeds are bytes a second, as far as they are known.
pub(super) fn share_of(left: u64, has: Option<f64>, helps: Option<f64>) -> u64 {
    let (known, helper_is_known) = (has, helps.is_some());
    let helps = helps.or(has).unwrap_or(1.0).max(1.0);
    let has = has.unwrap_or(helps).max(0.0);
    let share = (left as f64 * (helps / (helps + has))) as u64;
    if share >= LEAST_SHARE && left - share >= LEAST_SHARE {
        return share;
    }
    // What is left of a task is little; one who would take long for it loses all of it.
    let alone = left as f64 / has.max(f64::MIN_POSITIVE);
    // One that is new is given a chance, where it is known that the other one would take that long.
    let by_helper = match (known, helper_is_known) {
        (Some(_), false) => 0.0,
        _ => 4.0 * left as f64 / helps,
    };
    if alone > PATIENCE_WITH_ONE.as_secs_f64() + by_helper { left } else { 0 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn whoever_is_free_gets_the_first_bytes_that_wait() {
        let mut pieces = Pieces::of(10..100);
        assert_eq!((pieces.assign(0, 20), pieces.assign(1, 20)), (Some(10..30), Some(30..50)));
        assert_eq!(pieces.extend(0, 20), None, "what lies behind it is another's");
        assert_eq!(pieces.extend(1, 20), Some(70));
        assert_eq!(pieces.came(0, 15), 15);
        pieces.give_back(0);
        assert_eq!((pieces.assign(2, 100), pieces.assign(0, 100)), (Some(25..30), Some(70..100)));
        assert_eq!((pieces.came(2, 100), pieces.task(2), pieces.came(2, 1)), (5, None, 0), "what is more is not taken");
        assert_eq!(pieces.share(0, 2, 10), Some(90..100));
        assert_eq!((pieces.task(0), pieces.task(2)), (Some(70..90), Some(90..100)));
        assert_eq!((pieces.share(0, 3, u64::MAX), pieces.task(0)), (Some(70..90), None));
    }

    #[test]
    fn one_is_asked_for_what_it_gives_in_a_second() {
        for (speed, length) in [
            (None, LEAST_PIECE),
            (Some(0.0), LEAST_PIECE),
            (Some(LEAST_PIECE as f64 + 1.0), LEAST_PIECE + 1),
            (Some(LARGEST_PIECE as f64 - 1.0), LARGEST_PIECE - 1),
            (Some(f64::MAX), LARGEST_PIECE),
        ] {
            assert_eq!(length_for(speed), length, "{speed:?}");
        }
    }

    #[test]
    fn nothing_comes_too_far_ahead() {
        let mut pieces = Pieces::of(5..10 * AHEAD);
        assert_eq!(pieces.assign(0, u64::MAX), Some(5..5 + AHEAD));
        assert_eq!((pieces.assign(1, MIB), pieces.extend(0, MIB)), (None, None));
        pieces.written(6);
        assert_eq!(pieces.assign(1, MIB), Some(5 + AHEAD..6 + AHEAD));
    }

    #[test]
    fn n12_the_rest_of_a_slow_one_is_for_whoever_is_new() {
        assert_eq!(share_of(100_000, Some(100_000.0), None), 100_000);
        assert_eq!(share_of(100_000, Some(300_000.0), None), 0, "it is through soon");
        assert_eq!(share_of(100_000, None, None), 0, "that one is new too");
    }

    #[test]
    fn a_share_makes_both_ready_at_the_same_time() {
        assert_eq!(share_of(4 * MIB, Some(100.0), Some(300.0)), 3 * MIB);
        assert_eq!(share_of(4 * MIB, None, None), 2 * MIB);
        assert_eq!(share_of(4 * MIB, Some(0.0), Some(1e6)), 4 * MIB, "one that gives nothing loses all");
        assert_eq!(share_of(2 * LEAST_SHARE - 1, Some(1e6), Some(1e6)), 0, "little is not shared");
        assert_eq!(share_of(2 * LEAST_SHARE, Some(1e6), Some(1e6)), LEAST_SHARE);
        assert_eq!(share_of(1000, Some(100.0), Some(1e6)), 1000, "nor left to one that takes long");
        assert_eq!((share_of(0, None, None), share_of(0, Some(0.0), None)), (0, 0));
    }

    proptest! {
        /// Whatever partners do, every byte is accepted once, and it ends as soon as they work.
        #[test]
        fn every_byte_comes_once(
            from in 0..MIB,
            size in 1..3 * AHEAD,
            steps in prop::collection::vec((0..6_usize, 0..5_u8, 1..2 * MIB), 0..400),
        ) {
            let missing = from..from + size;
            let mut pieces = Pieces::of(missing.clone());
            let mut came: Vec<Range<u64>> = Vec::new();
            for (partner, what, bytes) in steps {
                act(&mut pieces, &mut came, partner, what, bytes);
                let holds = came.iter().cloned().chain(pieces.tasks().map(|(_, task)| task));
                let mut all: Vec<_> = holds.chain(pieces.waiting.iter().cloned()).filter(|range| !range.is_empty()).collect();
                all.sort_by_key(|range| range.start);
                prop_assert!(all.windows(2).all(|pair| pair[0].end == pair[1].start), "{all:?}");
                prop_assert_eq!((all[0].start, all[all.len() - 1].end), (missing.start, missing.end));
            }
            let mut rounds = 0;
            while prefix(&came, from) < missing.end {
                for partner in 0..6 {
                    act(&mut pieces, &mut came, partner, 0, MIB);
                    act(&mut pieces, &mut came, partner, 2, u64::MAX);
                }
                rounds += 1;
                prop_assert!(rounds < 1000, "it ends: {pieces:?}");
            }
            prop_assert!(pieces.tasks.is_empty() && pieces.waiting.is_empty());
        }
    }

    /// Where the bytes that have come without a gap end.
    fn prefix(came: &[Range<u64>], from: u64) -> u64 {
        let mut sorted: Vec<_> = came.to_vec();
        sorted.sort_by_key(|range| range.start);
        sorted.iter().fold(from, |end, range| if range.start == end { range.end } else { end })
    }

    fn act(pieces: &mut Pieces, came: &mut Vec<Range<u64>>, partner: usize, what: u8, bytes: u64) {
        match what {
            0 if pieces.task(partner).is_none() => drop(pieces.assign(partner, bytes)),
            1 => drop(pieces.extend(partner, bytes)),
            2 => {
                let Some(task) = pieces.task(partner) else { return };
                let accepted = pieces.came(partner, bytes);
                came.push(task.start..task.start + accepted);
            }
            3 => pieces.give_back(partner),
            4 if pieces.task(partner).is_none() => drop(pieces.share((partner + 1) % 6, partner, bytes)),
            _ => {}
        }
        pieces.written(first_open(pieces));
    }

    /// Before it nothing is missing.
    fn first_open(pieces: &Pieces) -> u64 {
        let tasks = pieces.tasks().map(|(_, task)| task.start);
        tasks.chain(pieces.waiting.iter().map(|range| range.start)).min().unwrap_or(0)
    }
}
