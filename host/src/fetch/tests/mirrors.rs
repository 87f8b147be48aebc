//! Several places, some of which are down, slow, silent or hostile.

use std::io;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};

use packets_plugin_api::fetch::{Begun, Candidate, FetchError, Opened};

use super::*;

const SHORT: Duration = Duration::from_millis(60);

fn then(now: Behaviour, later: Behaviour) -> Behaviour {
    Behaviour::Then(Box::new(now), Box::new(later))
}

/// Down so many times, then `later`.
fn down(times: u32, later: Behaviour) -> Behaviour {
    (0..times).fold(later, |later, _| then(Behaviour::Failing(FetchErrorKind::Unreachable), later))
}

/// About so many bytes a second.
fn slow(bytes_a_second: usize) -> Behaviour {
    Behaviour::Slow(good(), bytes_a_second / 100, Duration::from_millis(10))
}

/// A source of one place that is asked in a way of its own.
struct Own<Find, Open> {
    name: &'static str,
    find: Find,
    open: Open,
}

impl<Find, Open> std::fmt::Debug for Own<Find, Open> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl<Find, Open> FetchSource for Own<Find, Open>
where
    Find: Fn() + Send + Sync,
    Open: Fn() -> Result<Opened, FetchError> + Send + Sync,
{
    fn name(&self) -> &str {
        self.name
    }
    fn claims(&self, _: &str) -> bool {
        false
    }
    fn find(&self, _: &Wanted, found: &mut dyn FnMut(Candidate) -> ControlFlow<()>) -> Result<(), FetchError> {
        (self.find)();
        let _ = found(Candidate::at("own"));
        Ok(())
    }
    fn open(&self, _: &Candidate, _: u64) -> Result<Opened, FetchError> {
        (self.open)()
    }
}

fn opened(reader: impl io::Read + Send + 'static) -> Result<Opened, FetchError> {
    Ok(Opened { reader: Box::new(reader), size: None, version: None, file: None })
}

fn right() -> Result<Opened, FetchError> {
    opened(io::Cursor::new(good()))
}

#[test]
fn n12_n22_a_place_that_says_nothing_gets_another_one_beside_it() {
    let mut bench = Bench::new(&[
        ("fake:silent", Behaviour::Hanging(Duration::from_secs(3))),
        ("fake:good", Behaviour::Whole(good())),
    ]);
    bench.limits.patience = SHORT;
    let started = Instant::now();
    let fetcher = bench.fetcher();
    let mirrors = ["fake:silent", "fake:good"];
    assert_eq!(content(&fetcher.fetch(&want(&mirrors)).unwrap()), good());
    assert!(started.elapsed() >= SHORT && started.elapsed() < Duration::from_secs(2));
    assert_eq!(bench.openings(), ["silent@0", "good@0"]);
}

#[test]
fn n12_a_place_that_answers_within_our_patience_is_alone() {
    let mut bench = Bench::new(&[
        ("fake:late", then(Behaviour::Hanging(SHORT), Behaviour::Whole(good()))),
        ("fake:good", Behaviour::Failing(FetchErrorKind::NotFound)),
    ]);
    bench.limits.patience = Duration::from_secs(20);
    assert_eq!(content(&bench.fetch(&want(&["fake:late", "fake:good"])).unwrap()), good());
    assert_eq!(bench.openings(), ["late@0", "good@0", "late@0"], "one after the other");
}

#[test]
fn n09_n22_who_has_failed_is_asked_last_from_then_on() {
    let bench = Bench::new(&[]);
    let hosts = Arc::new(Hosts::default());
    let want = want(&["http://bad.example/x", "http://good.example/x"]);
    let own: Arc<dyn FetchSource> = Arc::new(Mirrors);
    for (round, asked) in [(0, vec!["bad", "good"]), (1, vec!["good"])] {
        let sources = [own.clone()];
        let mut download = Download::begin(&want, None, u64::MAX).unwrap();
        let mut places = Places::new(&sources, &want, &bench.limits, &hosts, &bench.log);
        places.search(&download, || {});
        let mut order = Vec::new();
        while let Some(answer) = places.next(&download) {
            let place = answer.place;
            order.push(if place == 0 { "bad" } else { "good" });
            match download.take(answer.opened, answer.offset, place, &mut || places.slowest_alone(place), &mut |_| {}) {
                Ok(()) => break,
                Err(problem) => places.failed(place, problem),
            }
        }
        assert_eq!(order, asked, "round {round}");
    }
}

/// All its mirrors give wrong bytes but the good one.
#[derive(Debug)]
struct Mirrors;

impl FetchSource for Mirrors {
    fn name(&self) -> &str {
        "mirrors"
    }
    fn claims(&self, _: &str) -> bool {
        true
    }
    fn find(&self, want: &Wanted, found: &mut dyn FnMut(Candidate) -> ControlFlow<()>) -> Result<(), FetchError> {
        let _ = want.mirrors.iter().try_for_each(|mirror| found(Candidate::at(mirror)));
        Ok(())
    }
    fn open(&self, from: &Candidate, _: u64) -> Result<Opened, FetchError> {
        if from.location.contains("good") { right() } else { opened(io::Cursor::new(vec![b'?'; good().len()])) }
    }
}

#[test]
fn n08_the_last_place_that_is_asked_and_the_first_that_is_not() {
    for (before, comes) in [(MAX_CANDIDATES - 1, true), (MAX_CANDIDATES, false)] {
        let absent: Vec<String> = (0..before).map(|number| format!("fake:{number}")).collect();
        let mirrors: Vec<&str> = absent.iter().map(String::as_str).chain(["fake:good"]).collect();
        let bench = Bench::new(&[("fake:good", Behaviour::Whole(good()))]);
        assert_eq!(bench.fetch(&want(&mirrors)).is_ok(), comes, "{before} places before it");
        assert_eq!(bench.openings().len(), MAX_CANDIDATES);
    }
}

/// The places that were asked, where one of them gives so many bytes a second.
fn asked_beside_a_slow_one(speed: usize) -> Vec<String> {
    let mut bench = Bench::new(&[("fake:slow", slow(speed)), ("fake:good", Behaviour::Whole(good()))]);
    bench.limits.unhurried = Speed { least: 900_000, window: Duration::from_millis(20) };
    bench.limits.slowest = Speed { least: 1000, window: Duration::from_millis(20) };
    assert_eq!(content(&bench.fetch(&want(&["fake:slow", "fake:good"])).unwrap()), good());
    bench.openings()
}

#[test]
fn n22_a_slow_place_gives_way_as_long_as_there_is_another() {
    for (speed, gives_way) in [(200_000, true), (4_000_000, false)] {
        // On a machine that is busy the other one may be found too late, or a window be cut short.
        let mut openings = (0..5).map(|_| asked_beside_a_slow_one(speed));
        let found = openings.find(|openings| (openings.len() == 2) == gives_way);
        let found = found.unwrap_or_else(|| panic!("{speed} bytes a second, gives way: {gives_way}"));
        if gives_way {
            assert_ne!(found[1], "good@0", "what came is continued");
        }
    }
}

#[test]
fn n22_where_all_are_slow_the_fastest_one_goes_on() {
    let asked = || {
        let mut bench = Bench::new(&[("fake:slower", slow(100_000)), ("fake:slow", slow(400_000))]);
        bench.limits.unhurried = Speed { least: 10_000_000, window: Duration::from_millis(30) };
        bench.limits.slowest = Speed { least: 1000, window: Duration::from_millis(30) };
        assert_eq!(content(&bench.fetch(&want(&["fake:slower", "fake:slow"])).unwrap()), good());
        bench.openings()
    };
    // As above, a busy machine may be too late to see it.
    let goes_on = |asked: &Vec<String>| asked.len() <= 4 && asked.last().unwrap().starts_with("slow@");
    let tries: Vec<Vec<String>> = (0..5).map(|_| asked()).collect();
    assert!(tries.iter().any(goes_on), "{tries:?}");
}

#[test]
fn m07_a_place_alone_may_be_slow_but_not_stand_still() {
    for (speed, fits) in [(400_000, true), (100, false)] {
        let mut bench = Bench::new(&[("fake:slow", slow(speed))]);
        bench.limits.unhurried = Speed { least: 10_000_000, window: Duration::from_millis(50) };
        bench.limits.slowest = Speed { least: 10_000, window: Duration::from_millis(50) };
        let started = Instant::now();
        let outcome = bench.fetch(&want(&["fake:slow"])).map(|fetched| content(&fetched)).map_err(|error| error.kind());
        assert_eq!(outcome, if fits { Ok(good()) } else { Err(ErrorKind::Network) });
        assert!(started.elapsed() < Duration::from_secs(10));
    }
}

#[test]
fn all_sources_are_asked_at_once_and_the_first_answer_is_taken() {
    let bench = Bench::new(&[("fake:a", Behaviour::Whole(good()))]);
    let late: Arc<dyn FetchSource> =
        Arc::new(Own { name: "late", find: || std::thread::sleep(Duration::from_secs(2)), open: right });
    let started = Instant::now();
    let fetcher = bench.fetcher_of(vec![late, bench.fake.clone()]);
    assert_eq!(fetcher.fetch(&want(&["fake:a"])).unwrap().source(), "fake");
    assert!(started.elapsed() < Duration::from_secs(1), "a search that finds nothing yet holds up nobody");

    let bench = Bench::new(&[("fake:a", Behaviour::Hanging(Duration::from_secs(2)))]);
    let fast: Arc<dyn FetchSource> = Arc::new(Own { name: "fast", find: || (), open: right });
    let started = Instant::now();
    let fetcher = bench.fetcher_of(vec![bench.fake.clone(), fast]);
    assert_eq!(fetcher.fetch(&want(&["fake:a"])).unwrap().source(), "fast");
    assert!(started.elapsed() < Duration::from_secs(1), "nor does a place that has not answered yet");
}

#[test]
fn a_source_that_finds_late_is_the_last_hope() {
    let bench = Bench::new(&[]);
    let late: Arc<dyn FetchSource> = Arc::new(Own { name: "late", find: || std::thread::sleep(SHORT), open: right });
    let fetcher = bench.fetcher_of(vec![bench.fake.clone(), late]);
    assert_eq!(fetcher.fetch(&want(&["fake:absent"])).unwrap().source(), "late");
}

#[test]
fn n12_a_search_without_an_end_does_not_hold_up_the_error() {
    let mut bench = Bench::new(&[]);
    bench.limits.search_time = SHORT;
    let never: Arc<dyn FetchSource> =
        Arc::new(Own { name: "never", find: || std::thread::sleep(Duration::from_secs(3)), open: right });
    let started = Instant::now();
    let error = bench.fetcher_of(vec![bench.fake.clone(), never]).fetch(&want(&["fake:absent"])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network);
    assert!(started.elapsed() >= SHORT && started.elapsed() < Duration::from_secs(2));
}

#[test]
fn a_source_that_panics_is_one_that_failed() {
    let panics: [Arc<dyn FetchSource>; 2] = [
        Arc::new(Own { name: "finder", find: || panic!("on purpose"), open: right }),
        Arc::new(Own { name: "opener", find: || (), open: || panic!("on purpose") }),
    ];
    for source in panics {
        let bench = Bench::new(&[("fake:a", Behaviour::Whole(good()))]);
        let fetcher = bench.fetcher_of(vec![source.clone(), bench.fake.clone()]);
        assert_eq!(content(&fetcher.fetch(&want(&["fake:a"])).unwrap()), good());
        let error = fetcher.fetch(&Wanted { digest: digest_of(b"other"), ..want(&["fake:absent"]) }).unwrap_err();
        assert!(error.to_string().contains("the source panicked"), "{error}");
        let alone = bench.fetcher_of(vec![source]);
        assert!(alone.fetch(&Wanted { digest: digest_of(b"other"), ..want(&[]) }).is_err());
    }
}

#[test]
fn n12_a_place_that_was_down_is_asked_again_a_few_times() {
    for (times, comes_back) in [(1, true), (4, true), (5, false)] {
        let bench = Bench::new(&[("fake:a", down(times, Behaviour::Whole(good())))]);
        assert_eq!(bench.limits.tries, 5);
        assert_eq!(bench.fetch(&want(&["fake:a"])).is_ok(), comes_back, "{times}");
        assert_eq!(bench.openings().len(), times.min(4) as usize + 1);
        assert!(
            bench.log.count("waits example") <= times.min(4) as usize,
            "a pause may be over before it is waited for"
        );
    }
    for kind in [FetchErrorKind::NotFound, FetchErrorKind::Denied, FetchErrorKind::Protocol, FetchErrorKind::LoginFirst]
    {
        let bench = Bench::new(&[("fake:a", then(Behaviour::Failing(kind), Behaviour::Whole(good())))]);
        assert_eq!(bench.fetch(&want(&["fake:a"])).unwrap_err().kind(), ErrorKind::Network);
        assert_eq!(bench.openings(), ["a@0"], "{kind:?} will be so again");
    }
}

#[test]
fn m23_the_others_have_their_turn_before_one_is_asked_again() {
    let bench =
        Bench::new(&[("fake:a", down(1, Behaviour::Whole(good()))), ("fake:b", down(9, Behaviour::Whole(good())))]);
    assert_eq!(content(&bench.fetch(&want(&["fake:a", "fake:b"])).unwrap()), good());
    assert_eq!(bench.openings()[..2], ["a@0", "b@0"]);
}

#[test]
fn n12_the_time_of_all_tries_is_bounded() {
    for (retry_time, again) in [(Duration::from_secs(20), true), (Duration::ZERO, false)] {
        let mut bench = Bench::new(&[("fake:a", down(1, Behaviour::Whole(good())))]);
        (bench.limits.retry_time, bench.limits.first_pause) = (retry_time, Duration::from_millis(200));
        let outcome = bench.fetch(&want(&["fake:a"]));
        assert_eq!(outcome.is_ok(), again);
    }
}

#[test]
fn n12_a_place_that_wants_to_be_left_alone_is_for_a_bounded_time() {
    for (wanted, again) in [(SHORT, true), (2 * SHORT, false), (Duration::MAX, false)] {
        let mut bench = Bench::new(&[("fake:a", then(Behaviour::Busy(wanted), Behaviour::Whole(good())))]);
        bench.limits.retry_after = SHORT;
        let started = Instant::now();
        let outcome = bench.fetch(&want(&["fake:a"]));
        assert_eq!(outcome.is_ok(), again, "{wanted:?}");
        assert_eq!(started.elapsed() >= SHORT, again, "{:?}", started.elapsed());
    }
}

#[test]
fn n12_failures_count_anew_after_progress_only() {
    let breaking = |step: usize| {
        let ends = (1..=12).map(|part| good()[..part * step].to_vec());
        ends.rev().fold(Behaviour::Whole(good()), |later, part| then(Behaviour::Breaking(part), later))
    };
    for (step, comes) in [(10_000, true), (9_999, false), (1, false)] {
        let mut bench = Bench::new(&[("fake:a", breaking(step))]);
        (bench.limits.tries, bench.limits.progress) = (2, 10_000);
        assert_eq!(bench.fetch(&want(&["fake:a"])).is_ok(), comes, "{step} bytes each time");
        assert_eq!(bench.openings().len() == 13, comes, "{:?}", bench.openings());
    }
}

#[test]
fn no_more_transfers_from_one_host_than_it_can_bear() {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    struct Counted(io::Cursor<Vec<u8>>, Arc<AtomicUsize>);
    impl io::Read for Counted {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            std::thread::sleep(Duration::from_millis(5));
            let room = buffer.len().min(40_000);
            self.0.read(&mut buffer[..room])
        }
    }
    impl Drop for Counted {
        fn drop(&mut self) {
            self.1.fetch_sub(1, Ordering::SeqCst);
        }
    }
    let (counted, highest) = (now, most.clone());
    let open = move || {
        highest.fetch_max(counted.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        opened(Counted(io::Cursor::new(good()), counted.clone()))
    };
    let mut bench = Bench::new(&[]);
    bench.limits.per_host = 3;
    let fetcher = Fetcher::new(vec![Arc::new(Own { name: "own", find: || (), open })], None, &bench.log);
    let fetcher = fetcher.with_limits(bench.limits);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| assert!(fetcher.fetch(&want(&[])).is_ok()));
        }
    });
    assert_eq!(most.load(Ordering::SeqCst), 3, "as many as may be, and no more");
}

/// A near source that finds nothing, and takes so long for that.
#[derive(Debug)]
struct Near(Duration);

impl FetchSource for Near {
    fn name(&self) -> &'static str {
        "near"
    }
    fn claims(&self, _: &str) -> bool {
        false
    }
    fn is_near(&self) -> bool {
        true
    }
    fn find(&self, _: &Wanted, _: &mut dyn FnMut(Candidate) -> ControlFlow<()>) -> Result<(), FetchError> {
        std::thread::sleep(self.0);
        Ok(())
    }
    fn open(&self, _: &Candidate, _: u64) -> Result<Opened, FetchError> {
        Err(FetchError::new(FetchErrorKind::NotFound, "nothing is here"))
    }
}

#[test]
fn an_answer_that_waits_for_near_sources_is_asked_for_once() {
    for pause in [Duration::ZERO, Duration::from_millis(30), Duration::from_secs(2)] {
        let mut bench = Bench::new(&[("fake:a", Behaviour::Whole(good()))]);
        bench.limits.per_host = 1;
        let fetcher = bench.fetcher_of(vec![Arc::new(Near(pause)), bench.fake.clone()]);
        let begun = Instant::now();
        assert_eq!(content(&fetcher.fetch(&want(&["fake:a"])).unwrap()), good());
        assert!(begun.elapsed() < Duration::from_millis(1500), "the wait is bounded");
        assert_eq!(bench.openings(), ["a@0"], "{pause:?}");
    }
}

/// A near source with so many places, each of which takes so long to say that it has nothing after all.
#[derive(Debug)]
struct Disappointing(usize, Duration);

impl FetchSource for Disappointing {
    fn name(&self) -> &'static str {
        "disappointing"
    }
    fn claims(&self, _: &str) -> bool {
        false
    }
    fn is_near(&self) -> bool {
        true
    }
    fn find(&self, _: &Wanted, found: &mut dyn FnMut(Candidate) -> ControlFlow<()>) -> Result<(), FetchError> {
        let _ = (0..self.0).try_for_each(|number| found(Candidate::at(format!("lan://10.0.0.{number}:1/x"))));
        Ok(())
    }
    fn open(&self, _: &Candidate, _: u64) -> Result<Opened, FetchError> {
        std::thread::sleep(self.1);
        Err(FetchError::new(FetchErrorKind::NotFound, "nothing is here"))
    }
}

#[test]
fn n12_n22_peers_that_fail_late_hold_up_an_answer_once() {
    let bench = Bench::new(&[("fake:a", Behaviour::Whole(good()))]);
    let late = bench.limits.near_answer * 9 / 10;
    let fetcher = bench.fetcher_of(vec![Arc::new(Disappointing(8, late)), bench.fake.clone()]);
    let begun = Instant::now();
    assert_eq!(content(&fetcher.fetch(&want(&["fake:a"])).unwrap()), good());
    let took = begun.elapsed();
    assert!(took < 3 * bench.limits.near_answer, "the answer waits for all of them together, not for each: {took:?}");
}

/// Finds one place in its mirrors, as those do that ask nobody, and tells which thread opened it.
#[derive(Debug)]
struct AtOnce(Mutex<Option<std::thread::ThreadId>>);

impl FetchSource for AtOnce {
    fn name(&self) -> &'static str {
        "at once"
    }
    fn claims(&self, location: &str) -> bool {
        location.starts_with("once:")
    }
    fn find(&self, want: &Wanted, found: &mut dyn FnMut(Candidate) -> ControlFlow<()>) -> Result<(), FetchError> {
        want.mirrors
            .iter()
            .filter(|mirror| self.claims(mirror))
            .all(|mirror| found(Candidate::at(mirror)).is_continue());
        Ok(())
    }
    fn finds_at_once(&self) -> bool {
        true
    }
    fn open(&self, _: &Candidate, _: u64) -> Result<Opened, FetchError> {
        *self.0.lock().unwrap() = Some(std::thread::current().id());
        opened(io::Cursor::new(good()))
    }
}

#[test]
fn where_nobody_searches_the_only_place_costs_no_thread() {
    for mirrors in [&["once:a"][..], &["once:a", "once:b"]] {
        let bench = Bench::new(&[]);
        let source = Arc::new(AtOnce(Mutex::new(None)));
        let fetcher = bench.fetcher_of(vec![Arc::new(FileSource), source.clone()]);
        assert_eq!(content(&fetcher.fetch(&want(mirrors)).unwrap()), good());
        let opened_here = source.0.lock().unwrap().unwrap() == std::thread::current().id();
        // The first of several must be free to make us wait.
        assert_eq!(opened_here, mirrors.len() == 1, "{mirrors:?}");
    }
}

/// Finds at once, and notes what it is told and asked, and in which thread it is waited for.
#[derive(Debug)]
struct Noting(&'static str, Arc<Mutex<Vec<String>>>);

impl Noting {
    fn note(&self, what: &str) {
        self.1.lock().unwrap().push(format!("{} {what}", self.0));
    }
}

impl FetchSource for Noting {
    fn name(&self) -> &'static str {
        self.0
    }
    fn claims(&self, _: &str) -> bool {
        false
    }
    fn is_near(&self) -> bool {
        self.0 == "near"
    }
    fn finds_at_once(&self) -> bool {
        true
    }
    fn prepare(&self, wants: &[Wanted]) {
        self.note(&format!("is told of {}", wants.len()));
    }
    fn find(&self, _: &Wanted, found: &mut dyn FnMut(Candidate) -> ControlFlow<()>) -> Result<(), FetchError> {
        self.note("searches");
        if self.0 == "far" {
            let _ = found(Candidate::at("far:a"));
        }
        Ok(())
    }
    fn begin(&self, _: &Candidate, _: u64) -> Option<Begun> {
        self.note("is asked");
        let (log, thread) = (self.1.clone(), std::thread::current().id());
        Some(Box::new(move || {
            let waits_here = std::thread::current().id() == thread;
            log.lock().unwrap().push(format!("it is waited for, without a thread: {waits_here}"));
            opened(io::Cursor::new(good()))
        }))
    }
    fn open(&self, _: &Candidate, _: u64) -> Result<Opened, FetchError> {
        self.note("is asked once more");
        opened(io::Cursor::new(good()))
    }
}

#[test]
fn a_mirror_is_asked_before_the_near_ones_are_told_and_nobody_where_all_is_cached() {
    let (bench, log) = (Bench::new(&[]), Arc::new(Mutex::new(Vec::new())));
    let noting = |name| -> Arc<dyn FetchSource> { Arc::new(Noting(name, log.clone())) };
    let fetcher = bench.fetcher_of(vec![noting("near"), noting("far")]);
    let other = Wanted { digest: digest_of(b"other"), ..want(&[]) };
    fetcher.prepare(&[want(&[]), other]);
    assert_eq!(content(&fetcher.fetch(&want(&[])).unwrap()), good());
    let expected = [
        "far is told of 2",
        "far searches",
        "far is asked",
        "near is told of 2",
        "near searches",
        "it is waited for, without a thread: true",
    ];
    assert_eq!(std::mem::take(&mut *log.lock().unwrap()), expected);
    fetcher.prepare(&[want(&[])]);
    assert!(fetcher.fetch(&want(&[])).is_ok());
    assert_eq!(*log.lock().unwrap(), [""; 0]);
}
