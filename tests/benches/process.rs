//! How long whole processes take: medians of many runs, each beside the floor of starting
//! any process at all. `cargo bench -p packets-tests`; figures depend on the machine and
//! its disk, so compare only those of one run.
#![expect(clippy::print_stdout, reason = "it prints its figures")]

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use packets_tests::{Package, TestEnvironment};

const RUNS: usize = 40;

fn main() {
    let environment = TestEnvironment::new();
    let root = environment.root();
    let folder = Package::program("small", "1").write(&environment.work());
    let run = |arguments: &[&str]| {
        let mut command = environment.command();
        command
            .args(["--root".as_ref(), root.as_os_str(), "--yes".as_ref()])
            .args(arguments.iter().map(std::ffi::OsStr::new));
        timed(&mut command)
    };
    let folder = folder.to_str().unwrap_or_default();
    let install = ["install", folder];
    run(&install);
    let nothing = median(|| run(&install));
    let list = median(|| run(&["list"]));
    run(&["remove", "small"]);
    let dry = median(|| run(&["install", folder, "--dry-run"]));
    let (installing, removing) = medians(|| (run(&install), run(&["remove", "small"])));
    let floor = median(|| timed(&mut Command::new("true")));
    println!("medians of {RUNS} runs, whole processes; the root is in {}", environment.place().display());
    for (what, took, bar) in [
        ("the floor: true(1)", floor, None),
        ("list, one package", list, None),
        ("install, nothing to do", nothing, Some(5)),
        ("install --dry-run, with its hook", dry, None),
        ("install of a small package with a hook, from a folder", installing, Some(10)),
        ("remove of it, with its hook", removing, None),
    ] {
        let bar = bar.map(|bar| format!("  (bar: {bar} ms)")).unwrap_or_default();
        println!("{:>9.2} ms  {what}{bar}", took.as_secs_f64() * 1000.0);
    }
}

fn timed(command: &mut Command) -> Duration {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let started = Instant::now();
    let status = command.status();
    let took = started.elapsed();
    assert!(status.is_ok_and(|status| status.success()), "{command:?}");
    took
}

fn median(mut run: impl FnMut() -> Duration) -> Duration {
    medians(|| (run(), Duration::ZERO)).0
}

fn medians(mut run: impl FnMut() -> (Duration, Duration)) -> (Duration, Duration) {
    let (mut first, mut second): (Vec<_>, Vec<_>) = (0..RUNS).map(|_| run()).unzip();
    first.sort();
    second.sort();
    (first[RUNS / 2], second[RUNS / 2])
}
