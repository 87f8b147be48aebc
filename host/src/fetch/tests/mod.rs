//! The stage against a source that misbehaves to order.

mod mirrors;
mod resume;
mod together;

use std::io::Read;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use packets_hook_runtime::folder::Folder;
use packets_plugin_api::conformance::fetch::{Behaviour, FakeSource};
use packets_plugin_api::fetch::FetchErrorKind;
use packets_plugin_file::FileSource;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use super::limits::{MAX_CANDIDATES, Speed};
use super::*;
use crate::error::ErrorKind;
use crate::verify::{Expected, verify};

#[derive(Debug, Default)]
struct Log(Mutex<Vec<String>>);

impl Events for Log {
    fn event(&self, event: &Event<'_>) {
        let line = match event {
            Event::FetchProgress { bytes, .. } => format!("progress {bytes}"),
            Event::FetchRetry { problem, .. } => format!("retry {problem}"),
            Event::FetchDone { source, .. } => format!("done {source}"),
            Event::FetchStarted { size, .. } => format!("started {size:?}"),
            Event::FetchWaits { what, pause } => format!("waits {what} {}", pause.as_millis()),
            Event::Warning(text) => format!("warning {text}"),
            other => format!("{other:?}"),
        };
        self.0.lock().unwrap().push(line);
    }
}

impl Log {
    fn count(&self, prefix: &str) -> usize {
        self.0.lock().unwrap().iter().filter(|line| line.starts_with(prefix)).count()
    }
}

struct Bench {
    home: TempDir,
    fake: Arc<FakeSource>,
    log: Log,
    limits: Limits,
}

impl Bench {
    fn new(places: &[(&str, Behaviour)]) -> Self {
        let fake = FakeSource::default();
        for (location, behaviour) in places {
            fake.set(location, behaviour.clone());
        }
        let home = tempfile::tempdir().unwrap();
        let limits = Limits { first_pause: Duration::from_millis(4), ..Limits::default() };
        Self { home, fake: Arc::new(fake), log: Log::default(), limits }
    }

    fn fetcher(&self) -> Fetcher<'_> {
        self.fetcher_of(vec![Arc::new(FileSource), self.fake.clone()])
    }

    /// One that asks these sources alone.
    fn fetcher_of(&self, sources: Vec<Arc<dyn FetchSource>>) -> Fetcher<'_> {
        let cache = Cache::new(Folder::open_ambient(self.home.path()).unwrap());
        Fetcher::new(sources, Some(cache), &self.log).with_limits(self.limits)
    }

    /// What was opened, as `place@offset`.
    fn openings(&self) -> Vec<String> {
        self.fake.openings().iter().map(|(place, offset)| format!("{}@{offset}", &place[5..])).collect()
    }

    fn fetch(&self, want: &Wanted) -> Result<Fetched> {
        self.fetcher().fetch(want)
    }

    fn cached(&self) -> Vec<String> {
        names(self.home.path())
    }
}

fn names(folder: &Path) -> Vec<String> {
    let names = Folder::open_ambient(folder).unwrap().list().unwrap();
    names.into_iter().map(|name| name.into_string().unwrap()).collect()
}

fn good() -> Vec<u8> {
    b"the right bytes ".repeat(10_000)
}

fn digest_of(bytes: &[u8]) -> Digest {
    Digest::from_bytes(Sha256::digest(bytes).into())
}

fn want(mirrors: &[&str]) -> Wanted {
    Wanted {
        package: "example".parse().unwrap(),
        digest: digest_of(&good()),
        size: Some(good().len() as u64),
        mirrors: mirrors.iter().map(|&mirror| mirror.to_owned()).collect(),
    }
}

fn unsized_want(mirrors: &[&str]) -> Wanted {
    Wanted { size: None, ..want(mirrors) }
}

fn content(fetched: &Fetched) -> Vec<u8> {
    let mut bytes = Vec::new();
    fetched.file().read_to_end(&mut bytes).unwrap();
    bytes
}

/// Every way to give wrong bytes or none, with the words that the error has of it.
fn bad_places() -> Vec<(&'static str, Behaviour, &'static str)> {
    let (mut flipped, mut longer, mut shorter) = (good(), good(), good());
    flipped[77_777] ^= 1;
    longer.push(b' ');
    shorter.pop();
    let size = good().len() as u64;
    vec![
        ("fake:flipped", Behaviour::Whole(flipped.clone()), "SHA-256"),
        ("fake:flipped-unannounced", Behaviour::Unannounced(flipped), "SHA-256"),
        ("fake:longer", Behaviour::Whole(longer.clone()), "instead of"),
        ("fake:longer-unannounced", Behaviour::Unannounced(longer.clone()), "more than"),
        ("fake:longer-announced-right", Behaviour::Announcing(longer, size), "more than"),
        ("fake:shorter", Behaviour::Whole(shorter.clone()), "instead of"),
        ("fake:shorter-unannounced", Behaviour::Unannounced(shorter.clone()), "instead of"),
        ("fake:shorter-announced-right", Behaviour::Announcing(shorter, size), "instead of"),
        ("fake:empty", Behaviour::Unannounced(Vec::new()), "0 bytes instead of"),
        ("fake:endless", Behaviour::Endless(b'x'), "more than"),
        ("fake:lying-about-size", Behaviour::Announcing(good(), u64::MAX), "announces"),
    ]
}

#[test]
fn fetches_and_keeps() {
    let bench = Bench::new(&[("fake:a", Behaviour::Whole(good()))]);
    let fetched = bench.fetch(&want(&["fake:a"])).unwrap();
    assert_eq!((fetched.size(), fetched.source()), (good().len() as u64, "fake"));
    assert_eq!(content(&fetched), good());
    let name = Cache::file_name(&want(&[]).digest);
    assert_eq!(bench.cached(), [name.as_str()], "N15: the name is the hash");
    let stands = bench.home.path().join(name).metadata().unwrap();
    assert_eq!(stands.mode() & 0o7777, 0o644);
    assert_eq!(stands.ino(), fetched.file().metadata().unwrap().ino(), "M20: the very file that was hashed");

    let again = bench.fetch(&want(&["fake:a"])).unwrap();
    assert_eq!((again.source(), bench.fake.opened()), ("cache", 1));
    assert_eq!(content(&again), good());
    let expected = Expected { digest: want(&[]).digest, size: want(&[]).size };
    assert_eq!(verify(again, &expected).unwrap().source(), "cache");
}

#[test]
fn m14_m23_wrong_bytes_are_left_for_the_next_place() {
    for (place, behaviour, words) in bad_places() {
        for want_with in [want, unsized_want] {
            let unsized_endless = want_with(&[]).size.is_none() && place == "fake:endless";
            let mut bench = Bench::new(&[(place, behaviour.clone()), ("fake:good", Behaviour::Whole(good()))]);
            if unsized_endless {
                bench.limits.package = 1 << 20;
            }
            let error = bench.fetch(&want_with(&[place])).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Integrity, "{place} {error}");
            assert!(error.to_string().contains(place), "{error}");
            if want_with(&[]).size.is_some() {
                assert!(error.to_string().contains(words), "{place}: {words} in {error}");
            }
            assert!(bench.cached().is_empty(), "{place} leaves nothing");

            let fetched = bench.fetch(&want_with(&[place, "fake:good"])).unwrap();
            assert_eq!(content(&fetched), good(), "{place}");
            assert_eq!(bench.log.count("retry"), 2, "{place}");
            assert_eq!(bench.cached().len(), 1, "{place}");
        }
    }
}

#[test]
fn m23_the_place_after_a_failure_is_verified_too() {
    let bad = bad_places();
    let mut bench = Bench::new(&[("fake:refusing", Behaviour::Failing(FetchErrorKind::Unreachable))]);
    bench.limits.package = 1 << 20;
    let mut mirrors = vec!["fake:refusing", "fake:absent"];
    for (place, behaviour, _) in &bad {
        bench.fake.set(place, behaviour.clone());
        mirrors.push(place);
    }
    let error = bench.fetch(&want(&mirrors)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Integrity);
    assert_eq!(error.causes().len(), mirrors.len(), "every place is told of: {error}");
    assert!(bench.cached().is_empty());
}

#[test]
fn places_that_give_nothing_are_a_network_error() {
    let bench = Bench::new(&[
        ("fake:a", Behaviour::Failing(FetchErrorKind::Unreachable)),
        ("fake:b", Behaviour::Failing(FetchErrorKind::Denied)),
        ("fake:c", Behaviour::Breaking(good()[..100_000].to_vec())),
        ("fake:d", Behaviour::Breaking(good()[..1000].to_vec())),
    ]);
    let error = bench.fetch(&want(&["fake:a", "fake:b", "fake:absent", "fake:c", "fake:d"])).unwrap_err();
    assert_eq!((error.kind(), error.causes().len()), (ErrorKind::Network, 5), "{error}");
    assert!(error.to_string().contains("broke off"), "{error}");
    let tries = bench.limits.tries as usize;
    assert_eq!(bench.log.count("retry"), 3 * tries + 2, "what refuses, and what is not there, is asked once");
    assert_eq!(bench.cached(), [format!(".partial-{}", want(&[]).digest)], "C29 what came is kept for the next run");
}

#[test]
fn without_a_place_the_request_cannot_be_met() {
    let bench = Bench::new(&[]);
    for mirrors in [&[][..], &["ftp://a/x", "gopher://b/"]] {
        let error = bench.fetch(&want(mirrors)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Request);
        assert!(mirrors.iter().all(|mirror| error.to_string().contains(mirror)), "{error}");
    }
}

#[test]
fn n08_n22_a_source_that_finds_for_ever_is_bounded() {
    let places = [("fake:ever", Behaviour::FoundForEver), ("fake:good", Behaviour::Whole(good()))];
    let bench = Bench::new(&places);
    assert_eq!(content(&bench.fetch(&want(&["fake:good", "fake:ever"])).unwrap()), good());
    let error = bench.fetch(&Wanted { digest: digest_of(b"other"), ..want(&["fake:ever"]) }).unwrap_err();
    assert_eq!(error.causes().len(), MAX_CANDIDATES);
}

#[test]
fn m07_a_place_that_is_too_slow_is_given_up() {
    let slow = Behaviour::Slow(good(), 1, Duration::from_millis(10));
    let mut bench = Bench::new(&[("fake:slow", slow), ("fake:good", Behaviour::Whole(good()))]);
    bench.limits.unhurried = Speed { least: 1 << 10, window: Duration::from_millis(200) };
    let started = Instant::now();
    let fetched = bench.fetch(&want(&["fake:slow", "fake:good"])).unwrap();
    assert_eq!(content(&fetched), good());
    assert!(started.elapsed() < Duration::from_secs(20));
    assert_eq!(bench.log.count("retry fake: fake:slow: it is too slow: "), 1);
}

#[test]
fn m07_a_place_that_is_just_fast_enough_is_not() {
    let slow = Behaviour::Slow(good(), 16_000, Duration::from_millis(20));
    let mut bench = Bench::new(&[("fake:slow", slow)]);
    bench.limits.slowest = Speed { least: 1 << 10, window: Duration::from_millis(50) };
    assert_eq!(content(&bench.fetch(&want(&["fake:slow"])).unwrap()), good());
}

#[test]
fn m06_m14_nothing_larger_than_the_limit_is_fetched() {
    let size = good().len() as u64;
    for (limit, fits) in [(size, true), (size - 1, false)] {
        for behaviour in [Behaviour::Whole(good()), Behaviour::Unannounced(good())] {
            for want in [want(&["fake:a"]), unsized_want(&["fake:a"])] {
                let mut bench = Bench::new(&[("fake:a", behaviour.clone())]);
                bench.limits.package = limit;
                let outcome = bench.fetch(&want).map_err(|error| error.kind());
                assert_eq!(outcome.map(|_| ()), if fits { Ok(()) } else { Err(ErrorKind::Integrity) });
            }
        }
    }
}

#[test]
fn the_bounds_of_a_fetcher_are_the_constants() {
    let Limits {
        package,
        index,
        search_time,
        near_search,
        near_answer,
        patience,
        unhurried,
        near_unhurried,
        slowest,
        per_host,
        tries,
        progress,
        first_pause,
        longest_pause,
        retry_after,
        retry_time,
    } = Limits::default();
    assert_eq!((package, index), (limits::MAX_PACKAGE_SIZE, limits::MAX_INDEX_SIZE));
    assert_eq!((search_time, near_search), (limits::SEARCH_TIME, limits::NEAR_SEARCH));
    assert_eq!((near_answer, patience), (limits::NEAR_ANSWER, limits::PATIENCE));
    assert_eq!((unhurried, slowest), (limits::UNHURRIED, limits::SLOWEST));
    assert_eq!(near_unhurried, limits::NEAR_UNHURRIED);
    assert_eq!((per_host, tries, progress), (limits::TRANSFERS_PER_HOST, limits::TRIES, limits::PROGRESS));
    assert_eq!((first_pause, longest_pause), (limits::FIRST_PAUSE, limits::LONGEST_PAUSE));
    assert_eq!((retry_after, retry_time), (limits::LONGEST_RETRY_AFTER, limits::RETRY_TIME));
}

#[test]
fn n20_a_web_page_is_called_one() {
    let page = b"<!DOCTYPE html><title>Log in</title>".to_vec();
    for behaviour in [Behaviour::Whole(page.clone()), Behaviour::Unannounced(page)] {
        let bench = Bench::new(&[("fake:portal", behaviour)]);
        let error = bench.fetch(&want(&["fake:portal"])).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Network);
        assert!(error.to_string().contains("web page") && !error.hints().is_empty(), "{error}");
        let into = tempfile::tempdir().unwrap();
        let folder = Folder::open_ambient(into.path()).unwrap();
        let error = bench.fetcher().fetch_index("fake:portal", &folder).unwrap_err();
        assert_eq!((error.kind(), names(into.path()).len()), (ErrorKind::Network, 0), "{error}");
    }
}

#[test]
fn m20_a_damaged_or_planted_cache_is_fetched_again() {
    let bench = Bench::new(&[("fake:a", Behaviour::Whole(good()))]);
    let place = bench.home.path().join(Cache::file_name(&want(&[]).digest));
    let mut flipped = good();
    flipped[5] ^= 1;
    let outside = bench.home.path().join("outside");
    std::fs::write(&outside, good()).unwrap();
    let plants: [&dyn Fn(); 4] = [
        &|| std::fs::write(&place, &flipped).unwrap(),
        &|| std::fs::write(&place, "").unwrap(),
        &|| std::os::unix::fs::symlink("outside", &place).unwrap(),
        &|| {
            std::fs::write(&place, good()).unwrap();
            std::fs::set_permissions(&place, std::fs::Permissions::from_mode(0o666)).unwrap();
        },
    ];
    for (round, plant) in plants.iter().enumerate() {
        plant();
        let fetched = bench.fetch(&want(&["fake:a"])).unwrap();
        assert_eq!((fetched.source(), content(&fetched)), ("fake", good()), "plant {round}");
        assert_eq!(bench.log.count("warning"), round + 1);
        assert!(place.symlink_metadata().unwrap().is_file(), "plant {round} is replaced");
        std::fs::remove_file(&place).unwrap();
    }
    assert_eq!(std::fs::read(&outside).unwrap(), good());
}

#[test]
fn m20_swapping_the_cached_file_changes_nothing_for_who_has_it() {
    let bench = Bench::new(&[("fake:a", Behaviour::Whole(good()))]);
    for round in 0..2 {
        let fetched = bench.fetch(&want(&["fake:a"])).unwrap();
        let place = bench.home.path().join(Cache::file_name(&want(&[]).digest));
        let evil = bench.home.path().join("evil");
        std::fs::write(&evil, "evil").unwrap();
        std::fs::rename(&evil, &place).unwrap();
        let verified = verify(fetched, &Expected { digest: want(&[]).digest, size: None }).unwrap();
        let mut bytes = vec![0; good().len()];
        verified.file().read_exact_at(&mut bytes, 0).unwrap();
        assert_eq!(bytes, good(), "round {round}");
    }
}

#[test]
fn m20_a_race_for_the_cached_name_is_never_won() {
    let bench = Bench::new(&[("fake:a", Behaviour::Whole(good()))]);
    let place = bench.home.path().join(Cache::file_name(&want(&[]).digest));
    let (good_bytes, mut evil) = (good(), good());
    evil[0] ^= 1;
    let over = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let beside = bench.home.path().join("beside");
            for round in 0_u32.. {
                if over.load(std::sync::atomic::Ordering::SeqCst) {
                    break;
                }
                std::fs::write(&beside, if round % 2 == 0 { &evil } else { &good_bytes }).unwrap();
                std::fs::rename(&beside, &place).unwrap();
            }
        });
        let fetcher = bench.fetcher();
        for _ in 0..300 {
            let fetched = fetcher.fetch(&want(&["fake:a"])).unwrap();
            let verified = verify(fetched, &Expected { digest: want(&[]).digest, size: None }).unwrap();
            let mut bytes = Vec::new();
            verified.file().read_to_end(&mut bytes).unwrap();
            assert!(bytes == good());
        }
        over.store(true, std::sync::atomic::Ordering::SeqCst);
    });
}

#[test]
fn without_a_writable_cache_packages_are_fetched_all_the_same() {
    let bench = Bench::new(&[("fake:a", Behaviour::Whole(good()))]);
    let fetcher = Fetcher::new(vec![bench.fake.clone()], None, &bench.log);
    assert_eq!(content(&fetcher.fetch(&want(&["fake:a"])).unwrap()), good());
    if !rustix::process::geteuid().is_root() {
        std::fs::set_permissions(bench.home.path(), std::fs::Permissions::from_mode(0o555)).unwrap();
        assert_eq!(content(&bench.fetch(&want(&["fake:a"])).unwrap()), good());
    }
    assert!(bench.cached().is_empty());
    assert_eq!(bench.log.count("warning"), 0);
}

#[test]
fn files_of_this_machine_are_used_where_they_lie() {
    let bench = Bench::new(&[]);
    let repository = tempfile::tempdir().unwrap();
    let path = repository.path().join("example.tar.zst");
    std::fs::write(&path, good()).unwrap();
    let location = path.to_str().unwrap();
    let fetched = bench.fetch(&want(&[location])).unwrap();
    assert_eq!((fetched.source(), content(&fetched)), ("file", good()));
    assert_eq!(fetched.file().metadata().unwrap().ino(), path.metadata().unwrap().ino());
    assert!(bench.cached().is_empty());

    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).unwrap();
    let fetched = bench.fetch(&want(&[location])).unwrap();
    assert_eq!(content(&fetched), good());
    assert_ne!(fetched.file().metadata().unwrap().ino(), path.metadata().unwrap().ino(), "M20: copied");
    assert_eq!(fetched.file().metadata().unwrap().nlink(), 0);

    for mode in [0o644, 0o666] {
        let mut flipped = good();
        flipped[9] ^= 1;
        std::fs::write(&path, &flipped).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(bench.fetch(&want(&[location])).unwrap_err().kind(), ErrorKind::Integrity);
    }
}

#[test]
fn m20_a_package_file_that_others_may_change_is_copied() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("given.tar.zst");
    std::fs::write(&path, good()).unwrap();
    for (mode, same) in [(0o644, true), (0o666, false), (0o664, false)] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let mut fetched = local(File::open(&path).unwrap(), "given").unwrap();
        assert_eq!(fetched.file().metadata().unwrap().ino() == path.metadata().unwrap().ino(), same, "{mode:o}");
        assert_eq!(fetched.digest().unwrap(), digest_of(&good()));
        assert_eq!((content(&fetched), fetched.size()), (good(), good().len() as u64));
    }
    assert_eq!(local(File::open(home.path()).unwrap(), "x").unwrap_err().kind(), ErrorKind::Request);
}

#[test]
fn m06_a_given_file_as_large_as_may_be() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("given.tar.zst");
    // Holes: nothing is written, and nothing is read yet.
    let file = File::options().write(true).create(true).truncate(true).open(&path).unwrap();
    for (size, fits) in [(limits::MAX_PACKAGE_SIZE, true), (limits::MAX_PACKAGE_SIZE + 1, false)] {
        file.set_len(size).unwrap();
        match local(File::open(&path).unwrap(), "given") {
            Ok(fetched) => assert!(fits && fetched.size() == size),
            Err(error) => {
                assert!(!fits && error.kind() == ErrorKind::Request, "{error}");
                assert!(error.to_string().contains("larger than 17179869184 bytes"), "{error}");
            }
        }
    }
}

#[test]
fn several_threads_fetch_the_same_and_others() {
    let others: Vec<_> = (0..4_u8).map(|n| (format!("fake:{n}"), vec![n; 300_000])).collect();
    let bench = Bench::new(&[("fake:a", Behaviour::Whole(good()))]);
    for (place, bytes) in &others {
        bench.fake.set(place, Behaviour::Whole(bytes.clone()));
    }
    let fetcher = bench.fetcher();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert_eq!(content(&fetcher.fetch(&want(&["fake:a"])).unwrap()), good()));
        }
        for (place, bytes) in &others {
            let want = Wanted { digest: digest_of(bytes), size: Some(300_000), ..want(&[place]) };
            let fetcher = &fetcher;
            scope.spawn(move || assert_eq!(&content(&fetcher.fetch(&want).unwrap()), bytes));
        }
    });
    assert_eq!(bench.cached().len(), 5);
    assert_eq!(bench.log.count("warning"), 0);
}

#[test]
fn an_index_is_fetched_beside_the_old_one() {
    let into = tempfile::tempdir().unwrap();
    let folder = Folder::open_ambient(into.path()).unwrap();
    std::fs::write(into.path().join("index.db"), "old").unwrap();
    let bench = Bench::new(&[("fake:index", Behaviour::Whole(good()))]);

    let index = bench.fetcher().fetch_index("fake:index", &folder).unwrap();
    assert_eq!((index.size(), names(into.path()).len()), (good().len() as u64, 2));
    assert_eq!(std::fs::read(into.path().join(index.name())).unwrap(), good());
    let mut bytes = Vec::new();
    index.file().read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes, good());
    drop(index);
    assert_eq!(names(into.path()), ["index.db"]);
    assert_eq!(std::fs::read(into.path().join("index.db")).unwrap(), b"old", "M22");

    bench.fetcher().fetch_index("fake:index", &folder).unwrap().publish("index.db").unwrap();
    assert_eq!(names(into.path()), ["index.db"]);
    assert_eq!(std::fs::read(into.path().join("index.db")).unwrap(), good());
    assert_eq!(into.path().join("index.db").metadata().unwrap().mode() & 0o7777, 0o644);
}

#[test]
fn m28_little_that_becomes_much_is_no_index() {
    let into = tempfile::tempdir().unwrap();
    let folder = Folder::open_ambient(into.path()).unwrap();
    let compressed = |bytes: usize| zstd::encode_all(std::io::Cursor::new(vec![0; bytes]), 3).unwrap();
    for (bytes, fits) in [(1 << 20, true), ((1 << 20) + 1, false), (64 << 20, false)] {
        let mut bench = Bench::new(&[("fake:index", Behaviour::Whole(compressed(bytes)))]);
        bench.limits = Limits { index: 1 << 20, ..bench.limits };
        match bench.fetcher().fetch_index("fake:index", &folder) {
            Ok(index) => assert!(fits && index.size() == bytes as u64, "{bytes}"),
            Err(error) => assert!(!fits && error.kind() == ErrorKind::Integrity, "M28 {bytes}: {error}"),
        }
        assert_eq!(names(into.path()), Vec::<String>::new(), "nothing is left");
    }
}

#[test]
fn m06_m22_a_bad_index_leaves_the_old_one() {
    let into = tempfile::tempdir().unwrap();
    let folder = Folder::open_ambient(into.path()).unwrap();
    std::fs::write(into.path().join("index.db"), "old").unwrap();
    let mut bench = Bench::new(&[
        ("fake:endless", Behaviour::Endless(0)),
        ("fake:announced", Behaviour::Announcing(good(), 1 << 40)),
        ("fake:breaking", Behaviour::Breaking(good())),
        ("fake:slow", Behaviour::Slow(good(), 1, Duration::from_millis(10))),
        ("fake:fits", Behaviour::Unannounced(vec![1; 1 << 20])),
        ("fake:too-large", Behaviour::Unannounced(vec![1; (1 << 20) + 1])),
    ]);
    let slowest = Speed { least: 1 << 10, window: Duration::from_millis(200) };
    bench.limits = Limits { index: 1 << 20, slowest, ..bench.limits };
    for (place, kind) in [
        ("fake:endless", ErrorKind::Integrity),
        ("fake:too-large", ErrorKind::Integrity),
        ("fake:announced", ErrorKind::Integrity),
        ("fake:breaking", ErrorKind::Network),
        ("fake:slow", ErrorKind::Network),
        ("fake:absent", ErrorKind::Network),
        ("ftp://a/index.db", ErrorKind::Request),
        ("/nowhere/index.db", ErrorKind::Network),
    ] {
        let error = bench.fetcher().fetch_index(place, &folder).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(place), "{error}");
        assert_eq!(names(into.path()), ["index.db"], "{place}");
    }
    assert!(bench.fetcher().fetch_index("fake:fits", &folder).is_ok());
    assert_eq!(std::fs::read(into.path().join("index.db")).unwrap(), b"old");
}
