//! Files that peers and a mirror give at once: fast and slow ones, silent ones, liars.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use packets_plugin_api::fetch::{Candidate, FetchError, Opened};

use super::limits::{FAR_PARTNERS, NEAR_PARTNERS, TOGETHER};
use super::*;

const MIB: usize = 1 << 20;
/// Longer than anything here takes that does not wait for somebody slow.
const SOON: Duration = Duration::from_secs(8);

/// Bytes of which no part is like another.
fn large(size: usize) -> Vec<u8> {
    let mut number = 1_u64;
    let mut next = || {
        number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (number >> 33) as u8
    };
    (0..size).map(|_| next()).collect()
}

/// How a place behaves.
#[derive(Clone, Default)]
struct Manner {
    /// Bytes a second; as fast as it can.
    rate: Option<usize>,
    /// After so many bytes in all it breaks off, for ever.
    dies_after: Option<u64>,
    /// It says nothing when it is opened.
    is_silent: bool,
    /// Once, after so many bytes, it says nothing more for a long time.
    hangs_after: Option<u64>,
    /// It gives the file from its beginning only.
    has_no_parts: bool,
    /// One byte in so many is wrong.
    lies: Option<usize>,
    /// It gives all behind a part too.
    gives_more: bool,
    /// It does not say how much it gives.
    says_no_size: bool,
}

struct Giver {
    manner: Manner,
    bytes: Arc<Vec<u8>>,
    /// How many bytes it has given.
    given: AtomicU64,
    opened: AtomicUsize,
    has_hung: AtomicBool,
    /// How many are reading from it, and how many were at once.
    now: AtomicUsize,
    most: AtomicUsize,
}

/// Places of one kind.
struct Kind {
    is_near: bool,
    places: BTreeMap<String, Arc<Giver>>,
    /// How long it searches.
    finds_after: Duration,
}

impl std::fmt::Debug for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl Kind {
    fn new(is_near: bool, manners: &[Manner], bytes: &[u8]) -> Arc<Self> {
        let net = if is_near { "lan://10.0.0" } else { "far://10.0.1" };
        let giver = |manner: &Manner| {
            let mut bytes = bytes.to_vec();
            if let Some(every) = manner.lies {
                bytes.iter_mut().skip(every / 2).step_by(every).for_each(|byte| *byte ^= 1);
            }
            let (given, opened, has_hung, now, most) = Default::default();
            Arc::new(Giver { manner: manner.clone(), bytes: Arc::new(bytes), given, opened, has_hung, now, most })
        };
        let named = manners.iter().enumerate();
        let places = named.map(|(number, manner)| (format!("{net}.{number}:1/x"), giver(manner)));
        Arc::new(Self { is_near, places: places.collect(), finds_after: Duration::ZERO })
    }

    fn giver(&self, number: usize) -> &Giver {
        self.places.values().nth(number).unwrap()
    }

    fn given(&self) -> Vec<u64> {
        self.places.values().map(|giver| giver.given.load(Ordering::SeqCst)).collect()
    }

    fn open(&self, from: &Candidate, offset: u64, length: Option<u64>) -> Result<Opened, FetchError> {
        let giver = &self.places[&from.location];
        let Manner { is_silent, has_no_parts, gives_more, dies_after, .. } = giver.manner;
        giver.opened.fetch_add(1, Ordering::SeqCst);
        if is_silent {
            std::thread::sleep(Duration::from_secs(20));
        }
        if is_silent || dies_after.is_some_and(|after| giver.given.load(Ordering::SeqCst) >= after) {
            return Err(FetchError::new(FetchErrorKind::Unreachable, "gone"));
        }
        if has_no_parts && offset > 0 {
            return Err(FetchError::new(FetchErrorKind::NoSuchRange, "no parts"));
        }
        let rest = giver.bytes.len() as u64 - offset;
        let size = if gives_more || has_no_parts { rest } else { length.unwrap_or(rest).min(rest) };
        giver.most.fetch_max(giver.now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        let reader = Box::new(Stream { giver: giver.clone(), at: offset as usize, end: (offset + size) as usize });
        let size = Some(size).filter(|_| !giver.manner.says_no_size);
        Ok(Opened { reader, size, version: None, file: None })
    }
}

struct Stream {
    giver: Arc<Giver>,
    at: usize,
    end: usize,
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let Manner { rate, dies_after, hangs_after, .. } = self.giver.manner;
        let given = self.giver.given.load(Ordering::SeqCst);
        if hangs_after.is_some_and(|after| given >= after) && !self.giver.has_hung.swap(true, Ordering::SeqCst) {
            std::thread::sleep(Duration::from_secs(20));
        }
        if dies_after.is_some_and(|after| given >= after) {
            return Err(std::io::ErrorKind::ConnectionReset.into());
        }
        let piece = rate.map_or(256 << 10, |rate| rate / 50 + 1);
        let length = buffer.len().min(self.end - self.at).min(piece);
        if let Some(rate) = rate {
            std::thread::sleep(Duration::from_secs_f64(length as f64 / rate as f64));
        }
        buffer[..length].copy_from_slice(&self.giver.bytes[self.at..self.at + length]);
        self.at += length;
        self.giver.given.fetch_add(length as u64, Ordering::SeqCst);
        Ok(length)
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.giver.now.fetch_sub(1, Ordering::SeqCst);
    }
}

impl FetchSource for Kind {
    fn name(&self) -> &str {
        if self.is_near { "lan" } else { "far" }
    }
    fn claims(&self, _: &str) -> bool {
        false
    }
    fn find(&self, _: &Wanted, found: &mut dyn FnMut(Candidate) -> ControlFlow<()>) -> Result<(), FetchError> {
        std::thread::sleep(self.finds_after);
        for place in self.places.keys() {
            let _ = found(Candidate::at(place));
        }
        Ok(())
    }
    fn open(&self, from: &Candidate, offset: u64) -> Result<Opened, FetchError> {
        self.open(from, offset, None)
    }
    fn open_part(&self, from: &Candidate, offset: u64, length: u64) -> Result<Opened, FetchError> {
        self.open(from, offset, Some(length))
    }
    fn is_near(&self) -> bool {
        self.is_near
    }
}

/// What came of a fetch.
struct Tried {
    bench: Bench,
    peers: Arc<Kind>,
    mirrors: Arc<Kind>,
    outcome: Result<Fetched>,
    bytes: Vec<u8>,
    took: Duration,
}

impl Tried {
    fn of(size: usize, peers: &[Manner], mirrors: &[Manner]) -> Self {
        Self::after(&[], size, peers, mirrors)
    }

    /// With what an earlier run has left.
    fn after(left: &[u8], size: usize, peers: &[Manner], mirrors: &[Manner]) -> Self {
        let bytes = large(size);
        let (peers, mirrors) = (Kind::new(true, peers, &bytes), Kind::new(false, mirrors, &bytes));
        let bench = Bench::new(&[]);
        let want = Wanted { digest: digest_of(&bytes), size: Some(size as u64), ..want(&[]) };
        if !left.is_empty() {
            let path = bench.home.path().join(format!(".partial-{}", want.digest));
            std::fs::write(&path, left).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        }
        let begun = Instant::now();
        let outcome = bench.fetcher_of(vec![mirrors.clone(), peers.clone()]).fetch(&want);
        Self { outcome, peers, mirrors, bytes, took: begun.elapsed(), bench }
    }

    /// It is there, and the progress that was told of only grew.
    fn is_right(&self) -> &Self {
        let fetched = self.outcome.as_ref().unwrap();
        assert!(content(fetched) == self.bytes, "the bytes are right");
        assert_eq!(self.bench.cached(), [Cache::file_name(&digest_of(&self.bytes))], "and nothing else is left");
        self
    }

    fn told(&self) -> Vec<String> {
        let log = self.bench.log.0.lock().unwrap();
        log.iter().filter(|line| line.starts_with("retry")).cloned().collect()
    }

    fn progress(&self) -> Vec<u64> {
        let log = self.bench.log.0.lock().unwrap();
        log.iter().filter_map(|line| line.strip_prefix("progress ")?.parse().ok()).collect()
    }
}

fn at(rate: usize) -> Manner {
    Manner { rate: Some(rate), ..Manner::default() }
}

fn liar(manner: Manner) -> Manner {
    Manner { lies: Some(100_000), ..manner }
}

#[test]
fn large_files_come_from_several_at_once() {
    let tried = Tried::of(12 * MIB, &[at(4 * MIB), at(4 * MIB), at(4 * MIB)], &[at(4 * MIB)]);
    tried.is_right();
    let given: Vec<u64> = [tried.peers.given(), tried.mirrors.given()].concat();
    assert!(given.iter().all(|given| *given >= MIB as u64), "{given:?}");
    let more = given.iter().sum::<u64>() - tried.bytes.len() as u64;
    assert!(more < 2 * MIB as u64, "hardly anything is sent in vain: {more} of {given:?}");
    assert!(tried.took < Duration::from_millis(1800), "instead of 3 s: {:?}", tried.took);
    assert_eq!(tried.told(), [""; 0]);
    let progress = tried.progress();
    assert!(progress.is_sorted() && progress.last() == Some(&(tried.bytes.len() as u64)), "{progress:?}");
}

#[test]
fn small_files_come_from_one() {
    for (size, together) in [(TOGETHER as usize, false), (TOGETHER as usize + 1, true)] {
        let tried = Tried::of(size, &[at(16 * MIB), at(16 * MIB)], &[]);
        tried.is_right();
        assert_eq!(tried.peers.given().iter().all(|given| *given > 0), together, "{size}: {:?}", tried.peers.given());
    }
}

#[test]
fn without_peers_a_mirror_gives_all_of_it_at_one_go() {
    let tried = Tried::of(6 * MIB, &[], &[at(20 * MIB), at(20 * MIB)]);
    tried.is_right();
    let opened: usize = (0..2).map(|mirror| tried.mirrors.giver(mirror).opened.load(Ordering::SeqCst)).sum();
    assert_eq!((opened, tried.mirrors.given().into_iter().max()), (1, Some(6 * MIB as u64)));
}

#[test]
fn one_mirror_at_a_time_helps_and_no_more_than_so_many_places() {
    let (peers, mirrors) = (NEAR_PARTNERS + 3, FAR_PARTNERS + 1);
    let bench = Bench::new(&[]);
    let sources: [Arc<dyn FetchSource>; 2] =
        [Kind::new(false, &vec![at(MIB); mirrors], &large(1000)), Kind::new(true, &vec![at(MIB); peers], &large(1000))];
    let (want, hosts) = (want(&[]), Arc::default());
    let mut places = Places::new(&sources, &want, &bench.limits, &hosts, &bench.log);
    let download = Download::begin(&want, None, u64::MAX).unwrap();
    places.search(&download, || {});
    let (mut invited, begun): (Vec<Invited>, _) = (Vec::new(), Instant::now());
    let mut invite = |dismissed: &[usize]| {
        let taking_part: Vec<usize> = invited.iter().map(|one| one.place).collect();
        let taking_part: Vec<usize> = taking_part.into_iter().filter(|place| !dismissed.contains(place)).collect();
        let next = places.next_partner(&taking_part, dismissed);
        let place = next.as_ref().map(|next| (next.place, next.source.is_near()));
        invited.extend(next);
        place
    };
    let mut all = Vec::new();
    while all.len() < NEAR_PARTNERS + FAR_PARTNERS && begun.elapsed() < SOON {
        all.extend(invite(&[]));
    }
    assert_eq!(all.iter().filter(|(_, is_near)| *is_near).count(), NEAR_PARTNERS);
    assert_eq!((all.len(), invite(&[])), (NEAR_PARTNERS + FAR_PARTNERS, None));
    for is_near in [true, false] {
        let (left, _) = *all.iter().find(|(_, near)| *near == is_near).unwrap();
        let next = invite(&[left]).unwrap();
        assert!(next.1 == is_near && !all.contains(&next), "another one of its kind");
    }
}

#[test]
fn n27_a_host_that_is_busy_is_not_asked_for_more() {
    let mut bench = Bench::new(&[]);
    bench.limits.per_host = 1;
    let bytes = large(8 * MIB);
    let peers = Kind::new(true, &[at(8 * MIB), at(8 * MIB)], &bytes);
    let want = Wanted { digest: digest_of(&bytes), size: Some(bytes.len() as u64), ..want(&[]) };
    let fetcher = Fetcher::new(vec![peers.clone()], None, &bench.log).with_limits(bench.limits);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| assert!(content(&fetcher.fetch(&want).unwrap()) == bytes));
        }
    });
    assert!(peers.places.values().all(|peer| peer.most.load(Ordering::SeqCst) == 1), "one connection each");
}

#[test]
fn n12_a_slow_one_is_helped_and_does_not_hold_up_the_rest() {
    let tried = Tried::of(16 * MIB, &[at(100_000), at(20 * MIB), at(20 * MIB)], &[]);
    tried.is_right();
    assert!(tried.took < Duration::from_secs(3), "{:?}, {:?}", tried.took, tried.peers.given());
}

#[test]
fn n12_n22_one_that_is_slower_than_it_may_be_is_dropped() {
    let mut bench = Bench::new(&[]);
    bench.limits.unhurried = Speed { least: 1 << 20, window: Duration::from_millis(300) };
    let bytes = large(24 * MIB);
    let peers = Kind::new(true, &[at(200_000), at(8 * MIB)], &bytes);
    let mirrors = Kind::new(false, &[at(200_000)], &bytes);
    let want = Wanted { digest: digest_of(&bytes), size: Some(bytes.len() as u64), ..want(&[]) };
    let fetched = bench.fetcher_of(vec![mirrors.clone(), peers.clone()]).fetch(&want).unwrap();
    assert!(content(&fetched) == bytes);
    assert_eq!(bench.log.count("retry far: far://10.0.1.0:1/x: it is too slow: "), 1, "a mirror is told of");
    assert_eq!(bench.log.count("retry"), 1, "a peer is not");
    assert!(peers.given()[0] < MIB as u64 && mirrors.given()[0] < MIB as u64);
}

#[test]
fn n12_one_that_says_nothing_costs_a_moment() {
    let silent = Manner { is_silent: true, ..Manner::default() };
    let tried = Tried::of(12 * MIB, &[at(20 * MIB), silent.clone(), at(20 * MIB)], &[silent]);
    tried.is_right();
    assert!(tried.took < Duration::from_secs(3), "{:?}", tried.took);
}

/// Files of this size, one after the other, of which nothing is kept: how long each took.
fn fetched_again(times: usize, size: usize, peers: &Arc<Kind>, mirrors: &Arc<Kind>, bench: &Bench) -> Vec<Duration> {
    let bytes = large(size);
    let want = Wanted { digest: digest_of(&bytes), size: Some(size as u64), ..want(&[]) };
    let fetcher = Fetcher::new(vec![mirrors.clone(), peers.clone()], None, &bench.log).with_limits(bench.limits);
    let timed = |_| {
        let begun = Instant::now();
        assert!(content(&fetcher.fetch(&want).unwrap()) == bytes);
        begun.elapsed()
    };
    (0..times).map(timed).collect()
}

#[test]
fn n12_one_that_hangs_in_the_middle_is_replaced_and_holds_no_place() {
    for hangs_after in [1, 700_000] {
        let mut bench = Bench::new(&[]);
        bench.limits.per_host = 1;
        let bytes = large(12 * MIB);
        let hanging = Manner { hangs_after: Some(hangs_after), ..at(20 * MIB) };
        let (peers, mirrors) =
            (Kind::new(true, &[hanging, at(20 * MIB)], &bytes), Kind::new(false, &[at(10 * MIB)], &bytes));
        let took = fetched_again(3, bytes.len(), &peers, &mirrors, &bench);
        assert!(took.iter().all(|took| *took < Duration::from_secs(3)), "others do its part: {took:?}");
        let opened = peers.giver(0).opened.load(Ordering::SeqCst);
        assert!(opened > 1, "one that is not waited for any more is no transfer: asked {opened} times");
    }
}

#[test]
fn n12_n22_a_slow_peer_costs_a_small_file_little_and_the_next_ones_less() {
    for size in [60_000, 300_000, 3 * MIB] {
        let bench = Bench::new(&[]);
        let bytes = large(size);
        let (peers, mirrors) = (Kind::new(true, &[at(100 << 10)], &bytes), Kind::new(false, &[at(20 * MIB)], &bytes));
        let took = fetched_again(4, size, &peers, &mirrors, &bench);
        let without = Duration::from_secs_f64(size as f64 / (20 * MIB) as f64);
        assert!(took[0] < without + Duration::from_millis(1000), "{size}: {took:?}");
        assert!(took[1..].iter().all(|took| *took < without + Duration::from_millis(200)), "{size}: {took:?}");
        assert_eq!(bench.log.count("retry"), 0, "and is no news");
    }
}

#[test]
fn n12_a_slow_peer_gives_way_where_no_index_tells_the_size() {
    let bench = Bench::new(&[]);
    let bytes = large(3 * MIB);
    let (peers, mirrors) = (Kind::new(true, &[at(100 << 10)], &bytes), Kind::new(false, &[at(20 * MIB)], &bytes));
    let want = Wanted { digest: digest_of(&bytes), size: None, ..want(&[]) };
    let fetcher = Fetcher::new(vec![mirrors, peers], None, &bench.log);
    for most in [1500, 500] {
        let begun = Instant::now();
        assert!(content(&fetcher.fetch(&want).unwrap()) == bytes);
        assert!(begun.elapsed() < Duration::from_millis(most), "{:?}", begun.elapsed());
    }
}

#[test]
fn n12_a_slow_peer_gives_way_to_who_is_found_while_it_gives() {
    for (found, most) in [(50, 1500), (700, 1800)] {
        let bench = Bench::new(&[]);
        let bytes = large(3 * MIB);
        let peers = Kind::new(true, &[at(100 << 10)], &bytes);
        let mut mirrors = Kind::new(false, &[at(20 * MIB)], &bytes);
        Arc::get_mut(&mut mirrors).unwrap().finds_after = Duration::from_millis(found);
        let want = Wanted { digest: digest_of(&bytes), size: None, ..want(&[]) };
        let begun = Instant::now();
        let fetched = Fetcher::new(vec![mirrors, peers], None, &bench.log).fetch(&want).unwrap();
        assert!(content(&fetched) == bytes);
        assert!(begun.elapsed() < Duration::from_millis(most), "found after {found} ms: {:?}", begun.elapsed());
    }
}

#[test]
fn n12_n18_nor_where_the_mirror_gives_no_parts() {
    let bench = Bench::new(&[]);
    let bytes = large(3 * MIB);
    let whole_only = Manner { has_no_parts: true, ..at(20 * MIB) };
    let (peers, mirrors) = (Kind::new(true, &[at(100 << 10)], &bytes), Kind::new(false, &[whole_only], &bytes));
    let took = fetched_again(2, bytes.len(), &peers, &mirrors, &bench);
    assert!(took.iter().all(|took| *took < Duration::from_secs(1)), "{took:?}");
}

#[test]
fn a_small_file_of_a_fast_peer_comes_from_it_alone() {
    let bench = Bench::new(&[]);
    let bytes = large(3 * MIB);
    let (peers, mirrors) = (Kind::new(true, &[at(12 * MIB)], &bytes), Kind::new(false, &[at(100 * MIB)], &bytes));
    fetched_again(4, bytes.len(), &peers, &mirrors, &bench);
    assert!(peers.given()[0] > 3 * bytes.len() as u64, "{:?}", (peers.given(), mirrors.given()));
}

#[test]
fn what_one_did_not_give_others_give() {
    let dying = Manner { dies_after: Some(700_000), ..at(4 * MIB) };
    for (peers, mirrors) in [
        (vec![dying.clone(), at(8 * MIB), at(8 * MIB)], vec![at(8 * MIB)]),
        (vec![dying.clone(), dying.clone()], vec![at(20 * MIB)]),
        (vec![dying.clone(), at(8 * MIB)], vec![]),
    ] {
        let tried = Tried::of(12 * MIB, &peers, &mirrors);
        tried.is_right();
        assert_eq!(tried.told(), [""; 0], "that a peer has gone is no news");
        assert!(tried.took < SOON, "{:?}", tried.took);
        let sent: u64 = tried.peers.given().iter().chain(&tried.mirrors.given()).sum();
        assert!(sent < 15 * MIB as u64, "what they gave counts: {sent}");
    }
}

#[test]
fn n12_one_that_fails_again_and_again_is_asked_a_few_times() {
    let gone = Manner { dies_after: Some(0), ..Manner::default() };
    let tried = Tried::of(24 * MIB, &[at(4 * MIB), at(4 * MIB)], &[gone]);
    tried.is_right();
    // As a rule in the race too, and then in this file's swarm.
    let (told, tries) = (tried.told().len(), tried.bench.limits.tries as usize);
    assert!((1..=tries).contains(&told), "{told}");
}

#[test]
fn n18_one_that_gives_no_parts_is_left_out_or_is_alone() {
    let whole_only = Manner { has_no_parts: true, ..at(8 * MIB) };
    for (peers, mirror) in [
        (vec![at(8 * MIB), whole_only.clone()], at(8 * MIB)),
        (vec![at(8 * MIB)], whole_only.clone()),
        (vec![whole_only.clone(), whole_only.clone()], whole_only.clone()),
        (vec![whole_only], at(4 * MIB)),
    ] {
        let tried = Tried::of(8 * MIB, &peers, &[mirror]);
        tried.is_right();
        assert!(tried.told().is_empty() && tried.took < SOON, "{:?} {:?}", tried.told(), tried.took);
    }
}

#[test]
fn n18_a_fast_one_that_gives_no_parts_is_not_given_up_for_a_slow_one() {
    let whole_only = Manner { has_no_parts: true, ..at(16 * MIB) };
    let tried = Tried::of(16 * MIB, &[whole_only], &[at(MIB)]);
    tried.is_right();
    assert!(tried.took < Duration::from_secs(4), "{:?}", tried.took);
    let first = tried.peers.giver(0).opened.load(Ordering::SeqCst);
    assert!(first <= 4, "it is not asked again and again: {first}");
}

#[test]
fn places_that_give_more_than_they_are_asked_for_are_used_as_they_are() {
    let generous = Manner { gives_more: true, ..at(6 * MIB) };
    let tried = Tried::of(16 * MIB, &vec![generous.clone(); 3], &[generous]);
    tried.is_right();
    assert_eq!(tried.told(), [""; 0]);
}

#[test]
fn n11_one_that_says_no_size_goes_on_as_long_as_it_may() {
    let quiet = Manner { says_no_size: true, has_no_parts: true, ..at(16 * MIB) };
    let tried = Tried::of(8 * MIB, &[quiet], &[Manner { dies_after: Some(0), ..Manner::default() }]);
    tried.is_right();
    assert_eq!(tried.peers.giver(0).opened.load(Ordering::SeqCst), 1, "it is not interrupted");
}

#[test]
fn n09_n10_one_liar_costs_one_more_transfer_and_is_found() {
    let tried = Tried::of(12 * MIB, &[at(6 * MIB), liar(at(6 * MIB)), at(6 * MIB)], &[at(6 * MIB)]);
    tried.is_right();
    let told = tried.told();
    assert!(told.iter().any(|line| line.contains("lan://10.0.0.1:1/x: what it gave is not")), "{told:?}");
    assert!(!told.iter().any(|line| ["0.0:1", "0.2:1", "far"].iter().any(|name| line.contains(name))), "{told:?}");
    let (size, given) = (tried.bytes.len() as u64, tried.mirrors.given()[0]);
    assert!(given >= size && given <= 2 * size, "the mirror gives all of it: {given}");
    let all = given + tried.peers.given().iter().sum::<u64>();
    assert!(all < 2 * size + 3 * MIB as u64, "one more transfer: {all}");
    assert!(tried.progress().windows(2).filter(|pair| pair[1] < pair[0]).count() == 1, "begun anew once");
}

#[test]
fn n09_without_a_mirror_one_of_the_peers_wins() {
    let tried = Tried::of(8 * MIB, &[liar(at(8 * MIB)), at(8 * MIB), at(8 * MIB)], &[]);
    tried.is_right();
    let told = tried.told();
    assert!(told.iter().any(|line| line.contains("lan://10.0.0.0:1/x")), "{told:?}");
    assert!(!told.iter().any(|line| ["0.1:1", "0.2:1"].iter().any(|name| line.contains(name))), "{told:?}");
    let all = tried.peers.given().iter().sum::<u64>();
    assert!(all < 3 * tried.bytes.len() as u64 + 3 * MIB as u64, "one try of the liar's, and one more: {all}");
}

#[test]
fn n22_many_liars_do_not_keep_a_good_mirror_from_winning() {
    let tried = Tried::of(8 * MIB, &vec![liar(at(8 * MIB)); 7], &[at(8 * MIB)]);
    tried.is_right();
    let (size, told) = (tried.bytes.len() as u64, tried.told());
    let liars = tried.peers.given().iter().filter(|given| **given > 200_000).count();
    assert_eq!(told.iter().filter(|line| line.contains("what it gave is not")).count(), liars, "{told:?}");
    let all = tried.peers.given().iter().sum::<u64>() + tried.mirrors.given()[0];
    assert!(all < 2 * size + 4 * MIB as u64, "they cost one transfer together: {all}");
}

#[test]
fn n22_a_mirror_that_lies_does_not_keep_good_peers_from_winning() {
    let tried = Tried::of(8 * MIB, &[at(8 * MIB), at(8 * MIB)], &[liar(at(8 * MIB))]);
    tried.is_right();
    assert!(tried.told().iter().any(|line| line.contains("far://10.0.1.0:1/x: its SHA-256 is")), "{:?}", tried.told());
}

#[test]
fn n22_where_all_lie_it_ends() {
    let tried = Tried::of(6 * MIB, &[liar(at(20 * MIB)), liar(at(20 * MIB))], &[liar(at(20 * MIB))]);
    let error = tried.outcome.as_ref().unwrap_err();
    assert_eq!((error.kind(), error.causes().len()), (ErrorKind::Integrity, 3), "{error}");
    assert!(tried.bench.cached().is_empty(), "{:?}", tried.bench.cached());
    let all = tried.peers.given().iter().sum::<u64>() + tried.mirrors.given()[0];
    assert!(all < 4 * tried.bytes.len() as u64 + 3 * MIB as u64, "together once, and each once: {all}");
}

#[test]
fn n10_c29_what_an_earlier_run_left_is_continued_together_whatever_it_is() {
    let bytes = large(12 * MIB);
    for (left, is_good) in [(bytes[..3 * MIB].to_vec(), true), (vec![7; 3 * MIB], false)] {
        let tried = Tried::after(&left, 12 * MIB, &[at(8 * MIB), at(8 * MIB)], &[at(8 * MIB)]);
        tried.is_right();
        let all = tried.peers.given().iter().sum::<u64>() + tried.mirrors.given()[0];
        assert_eq!(all < 11 * MIB as u64, is_good, "only the rest: {all}");
        assert_eq!(tried.told().len(), usize::from(!is_good), "nobody lied: {:?}", tried.told());
    }
}
