//! How long the commands that only look take: medians of whole processes, in the index of Debian's whole archive and
//! with 2,000 packages installed. `cargo bench -p packets-tests --bench look`.
#![expect(clippy::print_stdout, reason = "it prints its figures")]
#![expect(clippy::unwrap_used, reason = "it lays out its own folders")]

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use packets_tests::{Package, TestEnvironment};

#[expect(dead_code, reason = "the tests use all of it")]
#[path = "../solver/debian.rs"]
mod debian;

const RUNS: usize = 40;
const INSTALLED: usize = 2000;

fn main() {
    let environment = TestEnvironment::new();
    let names: Vec<String> = (0..INSTALLED).map(|number| format!("package-{number}")).collect();
    for name in &names {
        environment.publish(&Package::new(name, "1"));
    }
    let all: Vec<&str> = ["install"].into_iter().chain(names.iter().map(String::as_str)).collect();
    environment.run_with_repo(&all).ok();
    println!("medians of {RUNS} runs, whole processes");
    let report = |what: &str, bar: Option<u64>, command: &dyn Fn() -> Command| {
        let mut took: Vec<Duration> = (0..RUNS).map(|_| timed(command())).collect();
        took.sort();
        let bar = bar.map(|bar| format!("  (bar: {bar} ms)")).unwrap_or_default();
        println!("{:>9.2} ms  {what}{bar}", took[RUNS / 2].as_secs_f64() * 1000.0);
    };
    let with = |root: &std::path::Path, arguments: &[&str]| {
        let mut command = environment.command();
        command.arg("--root").arg(root).args(arguments);
        command
    };
    let (root, empty) = (environment.root(), environment.work());
    report("list, 2,000 packages", Some(10), &|| with(&root, &["list"]));
    report("completion of an installed name, of 2,000", Some(15), &|| asked(with(&root, &["remove", "package-19"])));
    report("verify, 2,000 packages", None, &|| with(&root, &["verify"]));
    let Some(archive) = debian::archive() else {
        println!("apt has no lists of Debian's archive here");
        return;
    };
    let index = archive.file.to_str().unwrap();
    report("search json, 63,000 packages", Some(10), &|| with(&empty, &["--repo", index, "search", "json"]));
    report("search image viewer", Some(10), &|| with(&empty, &["--repo", index, "search", "image", "viewer"]));
    report("search lib: every third package", None, &|| with(&empty, &["--repo", index, "search", "lib"]));
    report("info of one of 63,000", Some(10), &|| with(&empty, &["--repo", index, "info", "nginx"]));
    report("completion of a name of 63,000", Some(15), &|| asked(with(&empty, &["--repo", index, "install", "ngin"])));
}

/// The same line as a shell asks about it.
fn asked(line: Command) -> Command {
    let mut command = Command::new(line.get_program());
    command.args(["--", "packets"]).args(line.get_args());
    command.env("PACKETS_COMPLETE", "bash").env("_CLAP_COMPLETE_INDEX", line.get_args().len().to_string());
    command
}

fn timed(mut command: Command) -> Duration {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let started = Instant::now();
    let status = command.status();
    let took = started.elapsed();
    assert!(status.is_ok_and(|status| status.success()), "{command:?}");
    took
}
