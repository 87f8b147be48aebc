//! What is remembered of each network: who answered, how fast, and how often nobody did. From this follows how long
//! a question waits: it shrinks to nothing where nobody ever answers.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::limits::{
    ALONE_FOR, FIRST_WAIT, LEAST_PATIENCE, LONGEST_WAIT, LOOK_AROUND, MAX_NETWORKS, MAX_REMEMBERED, MAX_SILENCE,
    PATIENCE, REMEMBERED_FOR, SHORTEST_WAIT,
};

/// Where nobody is, it is noted once in this time that the network is in use.
const USED_AGAIN: Duration = Duration::from_secs(24 * 60 * 60);

/// Of all networks, by their keys.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Remembered {
    pub(crate) networks: BTreeMap<String, Known>,
}

/// Of one network.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Known {
    /// Questions in a row that nobody answered.
    quiet: u32,
    /// How long the slowest took, in microseconds, of late.
    slowest: u64,
    /// When everybody was asked last, in seconds since 1970.
    looked: u64,
    /// When it was used last.
    used: u64,
    peers: Vec<KnownPeer>,
}

/// Somebody who has answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KnownPeer {
    /// Where it hears questions.
    pub(crate) address: SocketAddr,
    /// Which version it speaks.
    pub(crate) version: u8,
    seen: u64,
    silent: u32,
    /// When it last gave bytes that were right; 0 where it never did.
    #[serde(default)]
    gave: u64,
}

/// What one question has shown of a network.
#[derive(Debug, Clone, Default)]
pub(crate) struct Observed {
    /// Who answered: the address that hears questions, and the version.
    pub(crate) answered: BTreeMap<SocketAddr, u8>,
    /// Who gave wrong bytes.
    pub(crate) bad: BTreeSet<SocketAddr>,
    /// Whose bytes were right.
    pub(crate) good: BTreeSet<IpAddr>,
    /// How long the slowest took.
    pub(crate) slowest: Duration,
    /// Whether everybody was asked, or only who is known.
    pub(crate) looked: bool,
}

impl Remembered {
    /// What stands in a text; what is no such text is as if nothing were remembered.
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        serde_json::from_slice(bytes).unwrap_or_default()
    }

    pub(crate) fn text(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    pub(crate) fn of(&self, key: &str) -> Known {
        self.networks.get(key).cloned().unwrap_or_default()
    }

    /// Remembers what a question has shown, and forgets the networks that were not used for longest.
    pub(crate) fn learn(&mut self, key: &str, observed: &Observed, now: u64) {
        self.networks.entry(key.to_owned()).or_default().learn(observed, now);
        while self.networks.len() > MAX_NETWORKS {
            let oldest = self.networks.iter().min_by_key(|(_, known)| known.used).map(|(key, _)| key.clone());
            self.networks.remove(&oldest.unwrap_or_default());
        }
    }
}

impl KnownPeer {
    /// When it was of use; what is long ago, or in a time that has not come, counts for nothing.
    fn usefulness(&self, now: u64) -> u64 {
        if now.abs_diff(self.gave) < REMEMBERED_FOR.as_secs() { self.gave } else { 0 }
    }
}

impl Known {
    /// How long to wait for an answer.
    pub(crate) fn wait(&self) -> Duration {
        if self.peers.is_empty() {
            let wait = FIRST_WAIT.checked_div(1_u32.checked_shl(self.quiet).unwrap_or(0)).unwrap_or_default();
            return if wait < SHORTEST_WAIT { Duration::ZERO } else { wait };
        }
        Duration::from_micros(self.slowest).saturating_mul(PATIENCE).clamp(LEAST_PATIENCE, LONGEST_WAIT)
    }

    /// Those who are asked by themselves.
    pub(crate) fn peers(&self) -> &[KnownPeer] {
        &self.peers
    }

    /// Whether everybody is asked, and not only who is known.
    pub(crate) fn looks_around(&self, now: u64) -> bool {
        let pause = match (self.peers.is_empty(), self.wait().is_zero()) {
            (true, true) => ALONE_FOR,
            (true, false) => Duration::ZERO,
            (false, _) => LOOK_AROUND,
        };
        now.abs_diff(self.looked) >= pause.as_secs()
    }

    /// Whether somebody is there who knows version 1 only, and hears broadcasts.
    pub(crate) fn has_version_1(&self) -> bool {
        self.peers.iter().any(|peer| peer.version == 1)
    }

    fn learn(&mut self, observed: &Observed, now: u64) {
        let is_as_ever = self.peers.is_empty() && observed.answered.is_empty() && self.wait().is_zero();
        if observed.looked {
            self.looked = now;
        }
        if is_as_ever && now.abs_diff(self.used) < USED_AGAIN.as_secs() {
            return;
        }
        self.used = now;
        // An answer that nobody would have waited for says nothing of how long to wait.
        let slowest = u64::try_from(observed.slowest.min(LONGEST_WAIT).as_micros()).unwrap_or(u64::MAX);
        self.quiet = if observed.answered.is_empty() { self.quiet.saturating_add(1) } else { 0 };
        self.slowest = slowest.max(self.slowest - self.slowest / 8);
        for peer in &mut self.peers {
            // Who knows version 1 is silent whenever it has not got the file.
            peer.silent = if peer.version == 1 { peer.silent } else { peer.silent.saturating_add(1) };
        }
        for (address, version) in &observed.answered {
            let before = self.peers.iter().position(|peer| peer.address == *address);
            let gave = before.map_or(0, |number| self.peers.swap_remove(number).gave);
            self.peers.push(KnownPeer { address: *address, version: *version, seen: now, silent: 0, gave });
        }
        for peer in &mut self.peers {
            if observed.good.contains(&peer.address.ip()) {
                peer.gave = now;
            }
        }
        self.peers.retain(|peer| {
            let is_there = peer.silent < MAX_SILENCE && now.abs_diff(peer.seen) < REMEMBERED_FOR.as_secs();
            is_there && !observed.bad.iter().any(|bad| bad.ip() == peer.address.ip())
        });
        // Whoever makes addresses up has as many as he likes, and the lowest ones: he gets no more places than others by
        // that, and none of those who were of use (N08).
        let chance = RandomState::new();
        self.peers.sort_by_cached_key(|peer| {
            (Reverse(peer.usefulness(now)), Reverse(peer.seen), chance.hash_one(peer.address))
        });
        // Nor by answering from many ports.
        let mut machines = BTreeSet::new();
        self.peers.retain(|peer| machines.insert(peer.address.ip()));
        self.peers.truncate(MAX_REMEMBERED);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn peer(number: u8) -> SocketAddr {
        format!("10.0.0.{number}:1333").parse().unwrap()
    }

    fn answers(numbers: &[u8], micros: u64) -> Observed {
        let answered = numbers.iter().map(|number| (peer(*number), 2)).collect();
        Observed { answered, slowest: Duration::from_micros(micros), looked: true, ..Observed::default() }
    }

    #[test]
    fn the_wait_shrinks_to_nothing_where_nobody_answers() {
        let mut known = Known::default();
        let mut waits = Vec::new();
        while !known.wait().is_zero() {
            waits.push(known.wait());
            known.learn(&Observed::default(), NOW);
        }
        assert_eq!(waits[0], FIRST_WAIT);
        assert!(waits.is_sorted_by(|one, next| *next == *one / 2) && waits.len() < 8, "{waits:?}");
        assert!(waits.iter().sum::<Duration>() < FIRST_WAIT * 2, "all waits of a network without peers");
        for _ in 0..100 {
            known.learn(&Observed::default(), NOW);
        }
        assert_eq!(known.wait(), Duration::ZERO);
        known.learn(&answers(&[1], 300), NOW);
        assert_eq!(known.wait(), LEAST_PATIENCE, "one answer, even a late one, and it waits again");
    }

    #[test]
    fn where_nobody_ever_answers_there_is_little_to_note_and_to_ask() {
        let mut remembered = Remembered::default();
        while !remembered.of("eth0").wait().is_zero() {
            let before = remembered.clone();
            remembered.learn("eth0", &Observed { looked: true, ..Observed::default() }, NOW);
            assert_ne!(remembered, before);
        }
        let (before, minute) = (remembered.clone(), ALONE_FOR.as_secs());
        assert!(
            !remembered.of("eth0").looks_around(NOW + minute - 1) && remembered.of("eth0").looks_around(NOW + minute)
        );
        assert!(remembered.of("eth0").looks_around(NOW - minute), "C32: a clock that was set back");
        remembered.learn("eth0", &Observed::default(), NOW + USED_AGAIN.as_secs() - 1);
        assert_eq!(remembered, before, "nothing, where nobody was asked");
        remembered.learn("eth0", &Observed { looked: true, ..Observed::default() }, NOW + minute);
        assert!(!remembered.of("eth0").looks_around(NOW + minute), "and else that");
        remembered.learn("eth0", &Observed::default(), NOW + USED_AGAIN.as_secs());
        assert_eq!(remembered.of("eth0").used, NOW + USED_AGAIN.as_secs());
        remembered.learn("eth0", &answers(&[1], 300), NOW);
        assert!(!remembered.of("eth0").peers().is_empty(), "whoever answers is noted at once");
    }

    #[test]
    fn n13_a_late_answer_and_a_wrong_clock_cost_little() {
        let mut remembered = Remembered::default();
        remembered.learn("eth0", &answers(&[1], 3_600_000_000), NOW);
        assert_eq!(remembered.of("eth0").wait(), LONGEST_WAIT, "at most");
        let mut quick = 0;
        while remembered.of("eth0").wait() > LONGEST_WAIT / 4 {
            remembered.learn("eth0", &answers(&[1], 300), NOW);
            quick += 1;
        }
        assert!(quick < 40, "soon forgotten: {quick}");
        let years = 70 * 365 * 24 * 60 * 60;
        remembered.learn("eth0", &answers(&[1], 300), NOW + years);
        remembered.learn("eth0", &Observed::default(), NOW);
        assert!(remembered.of("eth0").peers().is_empty(), "seen in a time that has not come");
    }

    #[test]
    fn the_wait_follows_the_slowest_peer_within_bounds() {
        let mut known = Known::default();
        known.learn(&answers(&[1, 2], 20_000), NOW);
        assert_eq!(known.wait(), Duration::from_millis(80));
        for _ in 0..40 {
            known.learn(&answers(&[1, 2], 100), NOW);
        }
        assert_eq!(known.wait(), LEAST_PATIENCE);
        known.learn(&answers(&[1], u64::MAX), NOW);
        assert_eq!(known.wait(), LONGEST_WAIT, "N12");
    }

    #[test]
    fn who_is_silent_wrong_or_long_gone_is_forgotten() {
        let mut known = Known::default();
        known.learn(&answers(&[1, 2, 3], 100), NOW);
        known.learn(&Observed { bad: [SocketAddr::new(peer(2).ip(), 9123)].into(), ..answers(&[1, 2], 100) }, NOW);
        let addresses = |known: &Known| known.peers.iter().map(|peer| peer.address).collect::<BTreeSet<_>>();
        assert_eq!(addresses(&known), [peer(1), peer(3)].into(), "N09");
        known.learn(&answers(&[1], 100), NOW);
        known.learn(&answers(&[1], 100), NOW);
        assert_eq!(addresses(&known), [peer(1)].into());
        known.learn(&Observed::default(), NOW + REMEMBERED_FOR.as_secs());
        assert!(known.peers.is_empty());
    }

    #[test]
    fn who_speaks_version_1_is_not_silent_for_saying_nothing() {
        let mut known = Known::default();
        known.learn(&Observed { answered: [(peer(1), 1)].into(), ..Observed::default() }, NOW);
        for _ in 0..20 {
            known.learn(&Observed::default(), NOW);
        }
        assert!(known.has_version_1());
    }

    #[test]
    fn n08_no_more_is_remembered_than_so_much() {
        let mut remembered = Remembered::default();
        for number in 0..200_u8 {
            let observed = answers(&(0..200).collect::<Vec<_>>(), 1);
            remembered.learn(&format!("eth{number}"), &observed, NOW + u64::from(number));
        }
        assert_eq!(remembered.networks.len(), MAX_NETWORKS);
        assert!(remembered.networks.contains_key("eth199") && !remembered.networks.contains_key("eth0"));
        assert!(remembered.networks.values().all(|known| known.peers.len() == MAX_REMEMBERED));
        assert_eq!(Remembered::parse(&remembered.text()), remembered);
        for bad in [&b""[..], b"{", b"[]", b"\xff", b"{\"networks\": 3}"] {
            assert_eq!(Remembered::parse(bad), Remembered::default());
        }
    }

    #[test]
    fn n08_who_has_the_lowest_addresses_is_not_who_is_remembered() {
        let lowest = |known: &Known| known.peers.iter().filter(|known| known.address < peer(50)).count();
        let mut all = 0;
        for _ in 0..20 {
            let mut known = Known::default();
            known.learn(&answers(&(1..=200).collect::<Vec<_>>(), 100), NOW);
            all += lowest(&known);
        }
        // A quarter of them are; 20 times 16 were remembered.
        assert!((20..160).contains(&all), "{all} of 320");
    }

    #[test]
    fn n08_a_machine_that_answers_from_many_ports_has_one_place() {
        let mut known = Known::default();
        let ports = (2000..2032).map(|port| (SocketAddr::new(peer(250).ip(), port), 2));
        let answered = ports.chain((1..=5).map(|number| (peer(number), 2))).collect();
        known.learn(&Observed { answered, good: [peer(250).ip()].into(), ..Observed::default() }, NOW);
        let machines: Vec<IpAddr> = known.peers.iter().map(|peer| peer.address.ip()).collect();
        assert_eq!((machines.len(), machines[0]), (6, peer(250).ip()), "N08 {machines:?}");
    }

    #[test]
    fn n08_who_was_of_use_is_not_forgotten_for_those_who_only_answer() {
        let mut known = Known::default();
        known.learn(&Observed { good: [peer(250).ip()].into(), ..answers(&[250], 100) }, NOW);
        for hour in 1..100 {
            let fakes: Vec<u8> = (1..=200).collect();
            let answered: &[u8] = if hour % 3 == 0 { &[250] } else { &[] };
            known.learn(&answers(&[&fakes[..], answered].concat(), 100), NOW + hour * 3600);
            assert_eq!((known.peers.len(), known.peers[0].address), (MAX_REMEMBERED, peer(250)), "after {hour} hours");
        }
        known.learn(&answers(&(1..=250).collect::<Vec<_>>(), 100), NOW + 30 * 24 * 3600);
        assert!(known.peers.iter().all(|peer| peer.usefulness(NOW + 30 * 24 * 3600) == 0), "not for ever");
    }

    #[test]
    fn everybody_is_asked_now_and_then_even_where_peers_are_known() {
        let mut known = Known::default();
        assert!(known.looks_around(NOW));
        known.learn(&answers(&[1], 100), NOW);
        assert!(!known.looks_around(NOW + 5) && known.looks_around(NOW + LOOK_AROUND.as_secs()));
        assert!(known.looks_around(NOW - LOOK_AROUND.as_secs()), "C32: a clock that was set back");
    }
}
