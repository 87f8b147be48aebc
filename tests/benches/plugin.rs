//! What it costs that a plugin has a process of its own: each chunk, each transaction, and the throughput against the same
//! source compiled in. `cargo bench -p packets-plugin-api -p packets-tests --bench abi --bench plugin`
//! prints all figures; they depend on the machine, so compare only those of one run.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "it prints its figures, or fails"
)]

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use packets_host::config::Config;
use packets_host::fetch::Fetcher;
use packets_host::plugin;
use packets_host::report::{Event, Events};
use packets_plugin_api::fetch::{Artifact, Candidate, FetchSource};
use packets_plugin_oci::OciSource;
use packets_plugin_oci::client::{Client, Options};

use packets_tests::{Registry, TestEnvironment, program, workspace};

const CHUNK: usize = 64 << 10;
const CHUNKS: u32 = 16_384;
const SIZE: u64 = 512 << 20;
const RUNS: usize = 15;
const STARTS: usize = 40;

/// A root with plugins of its own.
struct Plugins {
    environment: TestEnvironment,
    config: PathBuf,
}

impl Plugins {
    fn new() -> Self {
        let environment = TestEnvironment::new();
        let config = environment.place().join("config.toml");
        let dir = environment.place().join("plugins");
        fs::write(&config, format!("[Plugins]\ndir = {:?}\n", dir.to_str().unwrap())).unwrap();
        Self { environment, config }
    }

    fn add(&self, library: &Path) {
        let config = self.config.to_str().unwrap();
        self.environment.run(&["--config", config, "plugin", "add", library.to_str().unwrap()]).ok();
    }

    fn source(&self, name: &str) -> Arc<dyn FetchSource> {
        let config = Config::parse(&fs::read_to_string(&self.config).unwrap(), "config.toml").unwrap();
        plugin::source(&config.plugins, name, &program()).unwrap()
    }

    fn folder(&self, name: &str) -> PathBuf {
        let folder = self.environment.place().join(name);
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    /// One in C that gives as many bytes as are wanted, from nowhere.
    fn add_endless(&self) {
        let library = self.folder("bad").join("plugin.so");
        let mut compiler = Command::new("cc");
        compiler.args(["-std=gnu11", "-shared", "-fPIC", "-O2", "-w", "-o"]).arg(&library);
        compiler.arg("-I").arg(workspace().join("plugin-api/include")).arg(workspace().join("tests/plugins/bad.c"));
        assert!(compiler.status().unwrap().success());
        fs::write(library.with_file_name("plugin.toml"), "name = \"bad\"\nkind = \"fetch\"\nabi = \"1.0\"\n").unwrap();
        self.add(&library);
    }

    /// The one for registries, as it is built beside this program.
    fn add_oci(&self) {
        let library = self.folder("oci").join("plugin.so");
        let built = std::env::current_exe().unwrap().with_file_name("libpackets_plugin_oci.so");
        fs::copy(built, &library).unwrap();
        let sidecar = workspace().join("plugins/oci/plugin.toml");
        fs::copy(sidecar, library.with_file_name("plugin.toml")).unwrap();
        self.add(&library);
    }
}

/// A blob of a registry, as an index would list it.
fn blob_of(registry: &Registry) -> Artifact {
    let bytes: Vec<u8> =
        (0..SIZE / 8).flat_map(|number| number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes()).collect();
    let digest = registry.put_blob(&bytes);
    let (port, repository) = (registry.port(), Registry::REPOSITORY);
    Artifact {
        package: "blob".parse().unwrap(),
        digest: digest.parse().unwrap(),
        size: Some(SIZE),
        mirrors: vec![format!("oci+http://127.0.0.1:{port}/{repository}@sha256:{digest}")],
    }
}

/// How long it takes to fetch and verify all bytes, as `install` does.
fn fetched(source: &Arc<dyn FetchSource>, want: &Artifact) -> Duration {
    let fetcher = Fetcher::new(vec![source.clone()], None, &Nobody);
    let started = Instant::now();
    assert_eq!(fetcher.fetch(want).unwrap().size(), SIZE);
    started.elapsed()
}

/// How long they take where nothing is done with them.
fn read(source: &Arc<dyn FetchSource>, want: &Artifact) -> Duration {
    let mut opened = source.open(&Candidate::at(&want.mirrors[0]), 0).unwrap();
    let (mut buffer, mut left) = (vec![0; 256 << 10], SIZE);
    let started = Instant::now();
    while left > 0 {
        let came = opened.reader.read(&mut buffer).unwrap();
        assert!(came > 0);
        left -= came as u64;
    }
    started.elapsed()
}

/// Nobody listens to what is told.
struct Nobody;

impl Events for Nobody {
    fn event(&self, _: &Event<'_>) {}
}

fn chunk(source: &dyn FetchSource) -> Duration {
    let mut opened = source.open(&Candidate::at("bad://endless/"), 0).unwrap();
    let mut buffer = vec![0; CHUNK];
    let started = Instant::now();
    for _ in 0..CHUNKS {
        opened.reader.read_exact(&mut buffer).unwrap();
    }
    started.elapsed() / CHUNKS
}

fn memset() -> Duration {
    let mut buffer = vec![0_u8; CHUNK];
    let started = Instant::now();
    for number in 0..CHUNKS {
        std::hint::black_box(&mut buffer[..]).fill(number as u8);
    }
    started.elapsed() / CHUNKS
}

fn median(runs: usize, mut run: impl FnMut() -> Duration) -> Duration {
    let mut all: Vec<Duration> = (0..runs).map(|_| run()).collect();
    all.sort();
    all[runs / 2]
}

fn main() {
    let plugins = Plugins::new();
    plugins.add_endless();
    plugins.add_oci();
    let micro = |took: Duration| took.as_secs_f64() * 1e6;
    let endless = plugins.source("bad");
    assert!(endless.claims("bad://endless/"));
    println!("medians; {} processors", std::thread::available_parallelism().unwrap());
    println!("{:>9.2} us  to write 64 KiB, which a plugin does itself", micro(median(RUNS, memset)));
    println!(
        "{:>9.2} us  a chunk of 64 KiB that a plugin writes, through its worker",
        micro(median(RUNS, || chunk(&*endless)))
    );
    println!("{:>9.2} us  a question, and its answer", micro(median(RUNS, || asked(&*endless))));
    for (name, what) in [("bad", "a small one in C"), ("oci", "the one for registries")] {
        let start = median(STARTS, || {
            let source = plugins.source(name);
            let started = Instant::now();
            source.claims("x:y");
            started.elapsed()
        });
        println!("{:>9.2} ms  a transaction: {what} is checked and its worker started", start.as_secs_f64() * 1e3);
    }
    throughput(&plugins);
}

fn asked(source: &dyn FetchSource) -> Duration {
    let started = Instant::now();
    (0..200).for_each(|_| assert!(source.claims("bad://endless/")));
    started.elapsed() / 200
}

/// What is read, and how: compiled in or through the worker, in turns, so that whatever else the machine does meets both.
fn throughput(plugins: &Plugins) {
    let compiled_in: Arc<dyn FetchSource> = Arc::new(OciSource::new(Client::new(Options::new("bench"), None), None));
    let Some(registry) = Registry::start() else { return println!("skipped: docker-registry is not here") };
    let (behind, want) = (plugins.source("oci"), blob_of(&registry));
    type Way = fn(&Arc<dyn FetchSource>, &Artifact) -> Duration;
    let ways: [(Way, &str, &str); 2] = [(fetched, "fetched and verified", " (bar: 0.90)"), (read, "only read", "")];
    for (way, what, bar) in ways {
        let mut rates: Vec<[f64; 2]> = Vec::new();
        for _ in 0..RUNS {
            rates.push([&compiled_in, &behind].map(|source| (SIZE >> 20) as f64 / way(source, &want).as_secs_f64()));
        }
        let middle = |figure: fn(&[f64; 2]) -> f64| {
            let mut all: Vec<f64> = rates.iter().map(figure).collect();
            all.sort_by(f64::total_cmp);
            all[RUNS / 2]
        };
        let (own, other, part) = (middle(|pair| pair[0]), middle(|pair| pair[1]), middle(|pair| pair[1] / pair[0]));
        println!("{own:>9.0} MiB/s  from a registry, compiled in; {what}");
        println!("{other:>9.0} MiB/s  the same through its worker: {part:.2} of it{bar}");
    }
}
