//! How many answers an address gets, and all together (N04, N07).

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Instant;

use crate::limits::{ALL_ANSWERS_A_SECOND, ANSWERS_A_SECOND, BURST, MAX_SOURCES};

/// A bucket for each address, and one for all.
#[derive(Debug)]
pub(super) struct Budget {
    all: Bucket,
    of_each: HashMap<IpAddr, Bucket>,
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
        Self { all, of_each: HashMap::new() }
    }

    /// Whether this address may have one more answer.
    pub(super) fn allows(&mut self, address: IpAddr, now: Instant) -> bool {
        if self.of_each.len() >= MAX_SOURCES && !self.of_each.contains_key(&address) {
            // Who has not asked for a while starts anew; more than so many at once do not fit a network that is one.
            self.of_each.retain(|_, bucket| now.saturating_duration_since(bucket.since).as_secs() < 10);
            if self.of_each.len() >= MAX_SOURCES {
                return false;
            }
        }
        let bucket = self.of_each.entry(address).or_insert(Bucket { left: f64::from(BURST), since: now });
        bucket.take(BURST, ANSWERS_A_SECOND, now) && self.all.take(ALL_ANSWERS_A_SECOND, ALL_ANSWERS_A_SECOND, now)
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
        assert!(budget.allows(address(2), now), "another one is not affected");
        let later = now + Duration::from_secs(1);
        assert_eq!((0..50_000).filter(|_| budget.allows(address(1), later)).count(), ANSWERS_A_SECOND as usize);
    }

    #[test]
    fn n07_all_together_get_so_many_and_cost_so_much() {
        let now = Instant::now();
        let mut budget = Budget::new(now);
        let given = (0..200_000).filter(|number| budget.allows(address(*number), now)).count();
        assert_eq!(given, ALL_ANSWERS_A_SECOND as usize);
        assert_eq!(budget.of_each.len(), MAX_SOURCES);
        let later = now + Duration::from_secs(11);
        assert!(budget.allows(address(1_000_000), later));
        assert_eq!(budget.of_each.len(), 1);
    }
}
