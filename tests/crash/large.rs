//! C34: a package of a hundred thousand files, killed at sampled moments.

use std::time::{Duration, Instant};

use packets_tests::crash::{Points, say};
use packets_tests::{Entry, Package, TestEnvironment, tar_of, zstd_of};

/// An archive holds at most 100,000 entries; some are not files of ours.
const FILES: usize = 99_000;
const FOLDERS: usize = 300;
/// A recovery takes no longer, on a busy machine (measured on an idle one: under a second).
const RECOVERY: Duration = Duration::from_secs(15);

/// Of each release every tenth file is another.
fn release(environment: &TestEnvironment, version: u32) -> String {
    let package = Package::new("large", &version.to_string()).info("installed_size = 50000000");
    let mut entries = package.entries();
    entries.extend((0..FOLDERS).map(|at| Entry::folder(&format!("data/d{at}/"))));
    entries.extend((0..FILES).map(|at| {
        let content = if at % 10 == 0 { version } else { 0 };
        Entry::file(&format!("data/d{}/f{at}", at % FOLDERS), &content.to_string())
    }));
    let path = environment.work().join(format!("large-{version}.pkt.tar.zst"));
    std::fs::write(&path, zstd_of(&tar_of(&entries))).unwrap();
    path.display().to_string()
}

/// Files of each release, by what every tenth holds; and whether all are there.
fn standing(environment: &TestEnvironment) -> Result<u32, String> {
    let mut found = std::collections::BTreeMap::new();
    for at in (0..FILES).step_by(10) {
        let path = format!("opt/packets/large/data/d{}/f{at}", at % FOLDERS);
        let text = std::fs::read_to_string(environment.at(&path)).map_err(|error| format!("{path}: {error}"))?;
        *found.entry(text).or_insert(0) += 1;
    }
    match found.keys().next() {
        Some(version) if found.len() == 1 => version.parse().map_err(|_| format!("{found:?}")),
        _ => Err(format!("mixed: {found:?}")),
    }
}

#[test]
fn c34_a_hundred_thousand_files() {
    let environment = TestEnvironment::in_memory();
    environment.prime();
    environment.put("etc/packets/config.toml", &format!("{}\n[History]\nkeep = 1\n", packets_tests::v1::CONFIG));
    let releases = [release(&environment, 1), release(&environment, 2)];
    let began = Instant::now();
    environment.run(&["install", &releases[0]]).ok();
    let whole = began.elapsed();
    let rounds: u32 = if Points::are_all() { 200 } else { 4 };
    let (mut stands, mut slowest, mut counts) = (1, Duration::ZERO, [0, 0]);
    for round in 1..=rounds {
        let mut command = environment.command();
        command.arg("--root").arg(environment.root()).args(["--yes", "install", &releases[2 - stands as usize]]);
        let mut child = command.stderr(std::process::Stdio::null()).spawn().unwrap();
        // The last moments are those in which things change.
        std::thread::sleep(whole.mul_f64(0.5) + whole.mul_f64(0.7) * round / rounds);
        child.kill().unwrap();
        child.wait().unwrap();
        let began = Instant::now();
        environment.run(&["recover"]).ok();
        slowest = slowest.max(began.elapsed());
        let now = standing(&environment).unwrap_or_else(|torn| panic!("round {round}: {torn}"));
        let listed = environment.run(&["list", "--json"]).ok().json();
        assert_eq!(listed[0]["version"], now.to_string(), "round {round}");
        counts[usize::from(now != stands)] += 1;
        stands = now;
    }
    assert!(slowest < RECOVERY, "a recovery took {slowest:?}");
    say(&format!(
        "kills of {FILES} files: {rounds} moments, {} old, {} new, 0 torn; install {whole:?}, slowest recovery {slowest:?}",
        counts[0], counts[1]
    ));
}
