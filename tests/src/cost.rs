//! What a run costs, and what it may.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::output::Output;
use crate::program::beside_program;

/// What a run took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// The most memory that it had, in bytes, shared pages included; of several processes, the largest.
    pub memory: u64,
    /// From its start to its end.
    pub time: Duration,
}

/// What a run may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) memory: u64,
    pub(crate) time: Duration,
}

impl Bounds {
    /// Whatever somebody made to do harm. The catalogue names the memory; the time is that of a busy machine.
    pub(crate) const HOSTILE: Self = Self { memory: 64 << 20, time: Duration::from_secs(30) };

    #[track_caller]
    pub(crate) fn hold(self, cost: Cost, output: &Output) {
        assert!(cost.memory <= self.memory, "it took {} MiB: {output}", cost.memory >> 20);
        assert!(cost.time <= self.time, "it took {:?}: {output}", cost.time);
    }
}

/// The words that run what follows them and write what it took into this file.
pub(crate) fn words(report: &Path) -> Vec<String> {
    [beside_program("packets-measure"), report.to_owned()].map(|path: PathBuf| path.display().to_string()).to_vec()
}

/// Runs what begins with the [`words`] of this file.
pub(crate) fn measure(mut command: Command, report: &Path, shown: String) -> (Output, Cost) {
    let begun = Instant::now();
    let output = command.output().unwrap();
    let time = begun.elapsed();
    let output = Output::new(shown, output.status, &output.stdout, &output.stderr);
    let kilobytes =
        std::fs::read_to_string(report).unwrap_or_else(|error| panic!("nothing was measured ({error}): {output}"));
    std::fs::remove_file(report).unwrap();
    let memory = kilobytes.parse::<u64>().unwrap() * 1024;
    // No program needs less: a figure that is none would meet every bound.
    assert!(memory > 1 << 20, "{memory} bytes: {output}");
    (output, Cost { memory, time })
}
