//! What the LAN costs and what it brings, on hosts in network name spaces: `cargo bench -p packets-tests --bench lan`;
//! with ` -- questions` or ` -- large` only that. It needs root, and for the mirror nginx and curl. All hosts are on this machine: where nothing limits a link, asker,
//! giver and network share its processors, and a figure says what they cost together.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "it prints its figures, or fails"
)]

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use packets_hook_runtime::folder::Folder;
use packets_host::cache::Cache;
use packets_host::fetch::{Fetcher, Wanted};
use packets_host::report::Silent;
use packets_plugin_api::fetch::FetchSource;
use packets_plugin_api::registry::{FetchSettings, Memory};
use packets_plugin_lan::LanSource;
use packets_tests::{Lan, Package, RealServer, TestEnvironment, hash, noise, on_path, skip};

const PEERS: u8 = 4;
const QUESTIONS: usize = 40;
/// After so many questions a network is known, also that nobody is there.
const UNTIL_ADAPTED: usize = 10;
const PAIRS: usize = 101;
const SIZE: usize = 500_000_000;
const ROUNDS: usize = 7;
/// By then a server offers what it has.
const HASHED_WITHIN: Duration = Duration::from_secs(60);
const PORT_OF_NGINX: u16 = 8080;
const CONFIG: &str = "[Sync]\nurl = \"http://127.0.0.1:1/index.db\"\n[Lan]\naskWithRoot = true\n";

fn main() {
    let words: Vec<String> = std::env::args().collect();
    if let Some(number) = words.iter().position(|word| word == "as-asker") {
        return as_asker(&words[number + 1..]);
    }
    println!("medians; {} processors", thread::available_parallelism().unwrap());
    let is_wanted =
        |part: &str, other: &str| words.iter().any(|word| word == part) || !words.iter().any(|word| word == other);
    if is_wanted("questions", "large") {
        questions();
        nobody();
        println!("{:>9.2} ms  a question of version 1, for comparison: it waits that long, whoever answers", 2000.0);
    }
    if is_wanted("large", "questions") {
        large_file(None);
        large_file(Some(5000));
        large_file(Some(1000));
    }
}

/// This program once more, on a host: its sockets and its tables of networks are that host's.
fn as_asker(words: &[String]) {
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["ask", digest] => {
            let (memory, want) = (Arc::new(Remembered::default()), wanted(digest, None));
            let asked: Vec<Vec<f64>> = (0..UNTIL_ADAPTED + QUESTIONS).map(|_| ask(&memory, &want)).collect();
            println!("{}", serde_json::to_string(&asked[UNTIL_ADAPTED..]).unwrap());
        }
        ["fetch", digest, folder] => {
            let (memory, want) = (Arc::new(Remembered::default()), wanted(digest, Some(SIZE as u64)));
            let sources: Vec<Arc<dyn FetchSource>> = vec![Arc::new(LanSource::new(&settings(&memory)))];
            let fetcher =
                Fetcher::new(sources, Some(Cache::new(Folder::open_ambient(folder.as_ref()).unwrap())), &Silent);
            let started = Instant::now();
            assert_eq!(fetcher.fetch(&want).unwrap().source(), "lan");
            println!("{}", started.elapsed().as_secs_f64());
        }
        _ => panic!("{words:?}"),
    }
}

fn settings(memory: &Arc<Remembered>) -> FetchSettings {
    FetchSettings { user_agent: "bench".to_owned(), lan_port: 1333, memory: Some(memory.clone()) }
}

fn wanted(digest: &str, size: Option<u64>) -> Wanted {
    let mirrors = vec!["http://mirror.example/thing-1.pkt.tar.zst".to_owned()];
    Wanted { package: "thing".parse().unwrap(), digest: digest.parse().unwrap(), size, mirrors }
}

#[derive(Debug, Default)]
struct Remembered(Mutex<Option<Vec<u8>>>);

impl Memory for Remembered {
    fn load(&self) -> Option<Vec<u8>> {
        self.0.lock().unwrap().clone()
    }
    fn keep(&self, bytes: &[u8]) {
        *self.0.lock().unwrap() = Some(bytes.to_vec());
    }
}

/// What a command does that knows what it wants: the milliseconds until each place was known, and at last until it is
/// known that there are no more.
fn ask(memory: &Arc<Remembered>, want: &Wanted) -> Vec<f64> {
    let started = Instant::now();
    let source = LanSource::new(&settings(memory));
    source.prepare(std::slice::from_ref(want));
    let mut times = Vec::new();
    let found = source.find(want, &mut |_| {
        times.push(milliseconds(started.elapsed()));
        ControlFlow::Continue(())
    });
    found.unwrap();
    times.push(milliseconds(started.elapsed()));
    // As commands follow each other; who asks more often than 32 times a second is not answered.
    thread::sleep(Duration::from_millis(60));
    times
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// Runs this program on a host.
fn run_as_asker(lan: &Lan, words: &[&str]) -> String {
    let by = lan.words(1);
    let mut command = Command::new(&by[0]);
    command.args(&by[1..]).arg(std::env::current_exe().unwrap()).arg("as-asker").args(words);
    let output = command.stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success(), "{command:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

fn report(what: &str, all: Vec<f64>, bar: Option<&str>) {
    let bar = bar.map(|bar| format!("  (bar: {bar})")).unwrap_or_default();
    let worst = all.iter().copied().fold(f64::MIN, f64::max);
    println!("{:>9.2} ms  {what}; at worst {worst:.2}{bar}", median(all));
}

/// What each of the questions took.
fn asked(lan: &Lan, digest: &str) -> Vec<Vec<f64>> {
    serde_json::from_str(&run_as_asker(lan, &["ask", digest])).unwrap()
}

/// A package file, and the index that names this mirror.
struct Published {
    place: TestEnvironment,
    file: PathBuf,
    digest: String,
}

impl Published {
    fn new(mirror: &str) -> Self {
        let place = TestEnvironment::new();
        let file = Package::program("thing", "1").file(&place.repo());
        place.run_plain(&["index", place.repo().to_str().unwrap(), "--url", mirror]).ok();
        let digest = hash(&fs::read(&file).unwrap());
        Self { place, file, digest }
    }

    fn host(&self, lan: &Lan, number: u8) -> TestEnvironment {
        let mut environment = TestEnvironment::in_memory();
        environment.put("etc/packets/config.toml", CONFIG);
        fs::copy(self.place.repo().join("index.db"), environment.at("etc/packets/index.db")).unwrap();
        environment.run_by(lan.words(number));
        environment
    }
}

/// A server that shares what is in the cache of a host, and can be stopped.
struct Serving<'a>(&'a TestEnvironment);

impl<'a> Serving<'a> {
    fn begin(environment: &'a TestEnvironment, files: u64) -> Self {
        environment.run(&["serve", "init"]).ok();
        let serving = Self(environment);
        let begun = Instant::now();
        loop {
            let status = environment.run(&["serve", "status", "--json"]).ok().json();
            if status["status"]["offered"] == files {
                return serving;
            }
            assert!(begun.elapsed() < HASHED_WITHIN, "the server does not offer {files} files: {status}");
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Serving<'_> {
    fn drop(&mut self) {
        self.0.run(&["serve", "stop"]).ok();
    }
}

fn keep(environment: &TestEnvironment, file: &Path, digest: &str) {
    let folder = environment.at("var/cache/packets");
    fs::create_dir_all(&folder).unwrap();
    fs::copy(file, folder.join(format!("{digest}.pkt.tar.zst"))).unwrap();
}

/// Four peers that have it, and then four that have not.
fn questions() {
    let Some(lan) = Lan::of(PEERS + 1) else { return };
    let lan = &lan;
    let published = Published::new("http://127.0.0.1:1");
    let peers: Vec<TestEnvironment> = (2..=PEERS + 1).map(|number| published.host(lan, number)).collect();
    peers.iter().for_each(|peer| keep(peer, &published.file, &published.digest));
    let serving: Vec<Serving<'_>> = peers.iter().map(|peer| Serving::begin(peer, 1)).collect();
    let answers = asked(lan, &published.digest);
    // On a busy machine one may answer too late, and is not waited for.
    for (number, what, bar) in [(0, "the first place", Some("2 ms")), (3, "all four places", None)] {
        let found = |times: &Vec<f64>| times[..times.len() - 1].get(number).copied();
        let times: Vec<f64> = answers.iter().filter_map(found).collect();
        let what = format!(
            "four peers, all have it: from what is wanted to {what}, found by {} of {QUESTIONS} questions",
            times.len()
        );
        report(&what, times, bar);
    }
    let missing = asked(lan, &"0".repeat(64));
    assert!(missing.iter().all(|times| times.len() == 1), "{missing:?}");
    report("four peers, none has it: to where that is known", missing.into_iter().flatten().collect(), Some("2 ms"));
    added(lan, "a whole command more than with --no-lan, four peers have it not", When::Ever, "2 ms");
    drop(serving);
}

fn nobody() {
    let Some(lan) = Lan::of(1) else { return };
    lan.settles();
    let asked = asked(&lan, &"0".repeat(64));
    report("nobody there, as is known by now: to where that is known", asked.into_iter().flatten().collect(), None);
    added(&lan, "a whole command more than with --no-lan, nobody there", When::Ever, "0 ms");
    added(&lan, "the same, where a minute is over and it is asked", When::OnceAMinute, "0 ms");
}

/// Which of a host's commands are measured.
#[derive(Clone, Copy, PartialEq, Eq)]
enum When {
    Ever,
    /// Those that ask where nobody has answered for long.
    OnceAMinute,
}

/// What an install of a small package takes more with the LAN than without it, where the mirror is as near as can be:
/// the median of the differences of pairs, whose order changes, and their quartiles.
fn added(lan: &Lan, what: &str, when: When, bar: &str) {
    let folder = tempfile::tempdir().unwrap();
    let Some(mirror) = lan.on(1, || RealServer::nginx(folder.path(), "")) else { return };
    let published = Published::new(&mirror.url(""));
    // As packages are never the same twice, the peers do not have it.
    fs::copy(&published.file, folder.path().join(published.file.file_name().unwrap())).unwrap();
    let asker = published.host(lan, 1);
    let install = |words: &[&str]| {
        if when == When::OnceAMinute {
            forget_the_minute(&asker);
        }
        let started = Instant::now();
        asker.run(words).ok();
        let took = milliseconds(started.elapsed());
        asker.run(&["remove", "thing"]).ok();
        asker.run(&["cache", "clean", "--packages"]).ok();
        took
    };
    let (with, without) = (&["install", "thing"][..], &["--no-lan", "install", "thing"][..]);
    for _ in 0..UNTIL_ADAPTED {
        install(with);
    }
    let pair = |number: usize| match number % 2 {
        0 => (install(with), install(without)),
        _ => {
            let without = install(without);
            (install(with), without)
        }
    };
    let pairs: Vec<(f64, f64)> = (0..PAIRS).map(pair).collect();
    let takes = median(pairs.iter().map(|pair| pair.1).collect());
    let mut differences: Vec<f64> = pairs.iter().map(|(with, without)| with - without).collect();
    differences.sort_by(f64::total_cmp);
    let [low, middle, high] = [PAIRS / 4, PAIRS / 2, 3 * PAIRS / 4].map(|number| differences[number]);
    println!("{middle:>9.2} ms  {what} (quartiles {low:.2} and {high:.2}): that takes {takes:.2}  (bar: {bar})");
}

/// As if everybody had been asked long ago.
fn forget_the_minute(environment: &TestEnvironment) {
    let path = environment.at("var/lib/packets/lan.json");
    let Ok(text) = fs::read_to_string(&path) else { return };
    let mut known: serde_json::Value = serde_json::from_str(&text).unwrap();
    known["networks"].as_object_mut().unwrap().values_mut().for_each(|network| network["looked"] = 0.into());
    fs::write(path, known.to_string()).unwrap();
}

/// One large file of one peer against the same one from nginx on the same host, both into memory, in turns.
fn large_file(megabits: Option<u32>) {
    let Some(lan) = Lan::of(2) else { return };
    let Some(curl) = on_path("curl") else { return skip("needs curl") };
    if megabits.is_some_and(|megabits| !lan.limit(2, megabits)) {
        return;
    }
    let (mut giver, place) = (TestEnvironment::in_memory(), TestEnvironment::in_memory());
    giver.put("etc/packets/config.toml", CONFIG);
    giver.run_by(lan.words(2));
    let bytes = noise(SIZE);
    let started = Instant::now();
    let digest = hash(&bytes);
    let hash_alone = SIZE as f64 / 1e6 / started.elapsed().as_secs_f64();
    let (file, cache) = (place.work().join("file"), place.work().join("cache"));
    fs::write(&file, bytes).unwrap();
    keep(&giver, &file, &digest);
    let lines = format!(
        "sendfile on; tcp_nopush on; server {{ listen {}:{PORT_OF_NGINX}; root {:?}; }}",
        Lan::address(2),
        place.work()
    );
    let Some(nginx) = lan.on(2, || RealServer::nginx(&place.work(), &lines)) else { return };
    let serving = Serving::begin(&giver, 1);
    let url = format!("http://{}:{PORT_OF_NGINX}/file", Lan::address(2));
    let by_curl = || {
        let (by, into) = (lan.words(1), place.work().join("by-curl"));
        let mut command = Command::new(&by[0]);
        command.args(&by[1..]).arg(&curl).args(["-sS", "-o"]).arg(&into).args(["-w", "%{time_total}", &url]);
        let output = command.stderr(Stdio::inherit()).output().unwrap();
        assert_eq!(fs::metadata(&into).unwrap().len(), SIZE as u64);
        let started = Instant::now();
        let hashed = Command::new("sha256sum").arg(&into).output().unwrap();
        let hashing = started.elapsed().as_secs_f64();
        assert!(hashed.stdout.starts_with(digest.as_bytes()));
        fs::remove_file(into).unwrap();
        let fetching: f64 = String::from_utf8(output.stdout).unwrap().parse().unwrap();
        [fetching, fetching + hashing]
    };
    let from_peer = || {
        fs::create_dir(&cache).unwrap();
        let took: f64 = run_as_asker(&lan, &["fetch", &digest, cache.to_str().unwrap()]).trim().parse().unwrap();
        fs::remove_dir_all(&cache).unwrap();
        took
    };
    let round = || {
        let ([by_curl, and_hashed], from_peer) = (by_curl(), from_peer());
        [by_curl, and_hashed, from_peer]
    };
    let rounds: Vec<[f64; 3]> = (0..ROUNDS).map(|_| round()).collect();
    let rate = |number: usize| SIZE as f64 / 1e6 / median(rounds.iter().map(|round| round[number]).collect());
    let link = megabits.map_or_else(
        || "links without a limit (veth pairs and a bridge)".to_owned(),
        |megabits| format!("the giver's link at {megabits} Mbit/s (the same with tbf)"),
    );
    let part = median(rounds.iter().map(|round| round[0] / round[2]).collect());
    println!("{:>9.0} MB/s  500 MB by curl from nginx, not hashed; {link}", rate(0));
    println!("{:>9.0} MB/s  the same, and then sha256sum of it", rate(1));
    println!("{hash_alone:>9.0} MB/s  its SHA-256 alone, in memory: nothing that is checked comes faster");
    println!("{:>9.0} MB/s  from one peer, hashed: {part:.2} of what curl does without a hash (bar: 0.90)", rate(2));
    drop((serving, nginx));
}
