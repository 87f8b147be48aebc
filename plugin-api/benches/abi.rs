//! What the tables of the ABI cost: the same bytes from a source itself, and through its tables, in one process.
//! `cargo bench -p packets-plugin-api -p packets-tests --bench abi --bench plugin`
#![allow(unsafe_code, reason = "it loads the tables that it makes itself")]
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "it prints its figures, or fails")]

use std::ffi::c_void;
use std::hint::black_box;
use std::io::{self, Read};
use std::ops::ControlFlow;
use std::time::Instant;

use packets_plugin_api::fetch::{Artifact, Candidate, FetchError, FetchSource, Opened};
use packets_plugin_api::native::abi::{Call, FetchTable, PluginTable, SettingsTable};
use packets_plugin_api::native::foreign::ForeignPlugin;
use packets_plugin_api::native::{Settings, export};

const CHUNK: usize = 64 << 10;
const CHUNKS: u32 = 100_000;
const RUNS: usize = 9;

// What `export_fetch_source!` makes, but for the name by which a library is entered.
static FETCH: FetchTable = export::fetch_table(create);
static PLUGIN: PluginTable = export::plugin_table("same", "1.0.0", &FETCH);

unsafe extern "C" fn create(call: *const Call, settings: *const SettingsTable, source: *mut *mut c_void) -> i32 {
    // SAFETY: passed on as it is.
    unsafe { export::create(call, settings, source, make) }
}

extern "C" fn entry() -> *const PluginTable {
    &PLUGIN
}

fn make(_: &Settings) -> Result<Same, String> {
    Ok(Same)
}

/// Gives bytes that cost nothing: what is measured is the way.
#[derive(Debug)]
struct Same;

struct Bytes;

impl Read for Bytes {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        black_box(&mut *buffer);
        Ok(buffer.len())
    }
}

impl FetchSource for Same {
    fn name(&self) -> &str {
        "same"
    }
    fn claims(&self, _: &str) -> bool {
        true
    }
    fn find(&self, _: &Artifact, _: &mut dyn FnMut(Candidate) -> ControlFlow<()>) -> Result<(), FetchError> {
        Ok(())
    }
    fn open(&self, _: &Candidate, _: u64) -> Result<Opened, FetchError> {
        Ok(Opened { reader: Box::new(Bytes), size: None, version: None, file: None })
    }
}

/// Nanoseconds for one chunk: the median of some runs.
fn per_chunk(source: &dyn FetchSource) -> f64 {
    let mut buffer = vec![0; CHUNK];
    let mut runs: Vec<f64> = (0..RUNS)
        .map(|_| {
            let mut opened = source.open(&Candidate::at("same:"), 0).unwrap();
            let started = Instant::now();
            for _ in 0..CHUNKS {
                assert_eq!(opened.reader.read(black_box(&mut buffer)).unwrap(), CHUNK);
            }
            started.elapsed().as_nanos() as f64 / f64::from(CHUNKS)
        })
        .collect();
    runs.sort_by(f64::total_cmp);
    runs[RUNS / 2]
}

fn main() {
    // SAFETY: the tables are those of this program, and live as long as it does.
    let plugin = unsafe { ForeignPlugin::load(entry) }.unwrap();
    let foreign = plugin.create(&Settings::default()).unwrap();
    let (direct, through) = (per_chunk(&Same), per_chunk(&foreign));
    println!("{direct:>9.1} ns  a chunk of 64 KiB from a source itself, which writes nothing into it");
    println!("{through:>9.1} ns  the same through the tables of the ABI, in the same process");
}
