//! How long a plan takes in the index of Debian's whole archive: medians of whole processes,
//! each beside the floor of a plan that needs nothing. `cargo bench -p packets-tests --bench solver`.
#![expect(clippy::print_stdout, reason = "it prints its figures")]
#![expect(clippy::unwrap_used, reason = "it lays out its own folders")]

use std::process::Stdio;
use std::time::{Duration, Instant};

use packets_tests::TestEnvironment;

#[path = "../solver/debian.rs"]
mod debian;
#[expect(dead_code, reason = "the tests use all of it")]
#[path = "../solver/model.rs"]
mod model;

const RUNS: usize = 40;

fn main() {
    let Some(archive) = debian::archive() else {
        println!("apt has no lists of Debian's archive here");
        return;
    };
    let sample = model::Model::new(&archive.entries).sample(500, 1);
    let environment = TestEnvironment::new();
    println!("medians of {RUNS} runs, whole processes; {} packages in the index", archive.entries.len());
    // The desktop has a closure of a good thousand packages.
    for (goals, bar) in [(vec!["tree".to_owned()], None), (vec!["gnome".to_owned()], Some(40)), (sample, Some(150))] {
        let mut arguments = vec!["--repo", archive.file.to_str().unwrap_or_default()];
        arguments.extend(["install", "--dry-run=plan", "--json"]);
        arguments.extend(goals.iter().map(String::as_str));
        let plan = environment.run(&arguments).json();
        let count = plan["plan"]["install"].as_array().map_or(0, Vec::len);
        let root = environment.root();
        let took = median(|| {
            let mut command = environment.command();
            command.args(["--root".as_ref(), root.as_os_str(), "--yes".as_ref()]).args(&arguments);
            command.stdout(Stdio::null()).stderr(Stdio::null());
            let started = Instant::now();
            let done = command.status().is_ok_and(|status| status.success());
            assert!(done, "{arguments:?}");
            started.elapsed()
        });
        let bar = bar.map(|bar| format!("  (bar: {bar} ms)")).unwrap_or_default();
        println!("{:>9.2} ms  {} asked for, {count} in the plan{bar}", took.as_secs_f64() * 1000.0, goals.len());
    }
}

fn median(mut run: impl FnMut() -> Duration) -> Duration {
    let mut all: Vec<Duration> = (0..RUNS).map(|_| run()).collect();
    all.sort();
    all[RUNS / 2]
}
