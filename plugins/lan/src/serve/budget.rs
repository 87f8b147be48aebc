//! How many answers an address gets, and all together (N04, N07).

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::time::Instant;

use crate::limits::{ALL_ANSWERS_A_SECOND, ANSWERS_A_SECOND, BURST, MAX_SOURCES};

/// Buckets of single addresses, and one for all. An address has the bucket that chance gives it when the server
/// begins, so that a look costs the same however many addresses somebody makes up, and nobody can choose to share another's.
#[derive(Debug)]
pub(super) struct Budget {
    all: Bucket,
    of_each: Box<[Bucket]>,
    chance: RandomState,
}

/// What may be spent at once, filled up again as time passes.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    left: f64,
    since: Instant,
}

impl Bucket {
    fn take(&mut self, most: u32, a_second: u32, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.since).as_secs_f64();
        self.left = (self.left + passed * f64::from(a_second)).min(f64::from(most));
        self.since = now;
        let is_there = self.left >= 1.0;
        if is_there {
            self.left -= 1.0;
        }
        is_there
    }
}

impl Budget {
    pub(super) fn new(now: Instant) -> Self {
        let all = Bucket { left: f64::from(ALL_ANSWERS_A_SECOND), since: now };
        let of_each = vec![Bucket { left: f64::from(BURST), since: now }; MAX_SOURCES].into();
        Self { all, of_each, chance: RandomState::new() }
    }

    /// Whether this address may have one more answer.
    pub(super) fn allows(&mut self, address: IpAddr, now: Instant) -> bool {
        let place = self.place(address);
        self.of_each[place].take(BURST, ANSWERS_A_SECOND, now)
            && self.all.take(ALL_ANSWERS_A_SECOND, ALL_ANSWERS_A_SECOND, now)
    }

    fn place(&self, address: IpAddr) -> usize {
        let places = self.of_each.len() as u64;
        usize::try_from(self.chance.hash_one(address) % places).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::Duration;

    use super::*;

    fn address(number: u32) -> IpAddr {
        Ipv4Addr::from_bits(0x0a00_0000 + number).into()
    }

    #[test]
    fn n04_n07_an_address_gets_so_many_answers_and_no_more() {
        let now = Instant::now();
        let mut budget = Budget::new(now);
        let given = (0..50_000).filter(|_| budget.allows(address(1), now)).count();
        assert_eq!(given, BURST as usize);
        let other = (2..).map(address).find(|other| budget.place(*other) != budget.place(address(1))).unwrap();
        assert!(budget.allows(other, now), "another one is not affected");
        let later = now + Duration::from_secs(1);
        assert_eq!((0..50_000).filter(|_| budget.allows(address(1), later)).count(), ANSWERS_A_SECOND as usize);
    }

    #[test]
    fn n07_all_together_get_so_many_and_cost_so_much() {
        let now = Instant::now();
        let mut budget = Budget::new(now);
        let given = (0..200_000).filter(|number| budget.allows(address(*number), now)).count();
        assert_eq!(given, ALL_ANSWERS_A_SECOND as usize);
        assert_eq!(budget.of_each.len(), MAX_SOURCES, "no more is kept, whoever asks");
        let later = now + Duration::from_secs(1);
        assert!(
            (1..100).any(|number| budget.allows(address(1_000_000 + number), later)),
            "a second later there is more"
        );
    }

    #[test]
    fn n07_addresses_are_told_apart_by_chance() {
        let budgets = [(); 2].map(|()| Budget::new(Instant::now()));
        let places =
            budgets.each_ref().map(|budget| (0..1000).map(|number| budget.place(address(number))).collect::<Vec<_>>());
        assert_ne!(places[0], places[1], "who shares a bucket cannot be known from outside");
        for places in places {
            let different: std::collections::BTreeSet<_> = places.into_iter().collect();
            // 885 of 1,000 are expected, give or take 10.
            assert!((800..=1000).contains(&different.len()), "{}", different.len());
        }
    }
}
