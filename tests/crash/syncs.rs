//! How often a transaction waits for the disk.

use std::collections::BTreeMap;

use nix::errno::Errno;
use packets_tests::crash::{Act, Call, Kind, Reference, Scene, Verdict, calls_of, can_trace, say, strike};
use packets_tests::{Package, TestEnvironment, noise, skip};

/// What a run made durable, by call and kind of path.
fn counted(environment: &TestEnvironment, arguments: &[&str]) -> BTreeMap<String, usize> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let mut count = |what: &str| *counts.entry(what.to_owned()).or_default() += 1;
    environment
        .run_traced(arguments, &mut |call| {
            let is_database = call.on.contains("/etc/packets/installed.db");
            let is_journal = call.on.contains("/var/lib/packets/journal/");
            match call.kind {
                Kind::Syncs if is_database => count("syncs of the database"),
                Kind::Syncs if call.name == "syncfs" => count("syncfs"),
                Kind::Syncs if is_journal => count("syncs of the journal"),
                Kind::Syncs => count("other fsyncs"),
                Kind::Changes if is_journal && call.name.contains("write") => count("journal records"),
                _ => {}
            }
            if call.name.starts_with("unlink") && call.on.ends_with("installed.db-journal") {
                count("commits of the database");
            }
            Act::Go
        })
        .ok();
    counts
}

#[test]
fn one_package_and_two_hundred_wait_alike() {
    if !can_trace() {
        return skip("no program's calls can be counted on this machine");
    }
    for packages in [1, 200] {
        let environment = TestEnvironment::in_memory();
        environment.prime();
        let mut command = vec!["install".to_owned()];
        for number in 0..packages {
            let name = format!("package-{number}");
            let mut package = Package::program(&name, "1");
            for file in 0..50 {
                package = package.data(&format!("{}/{file}", file % 5), "some text\n");
            }
            package.file(&environment.repo());
            command.push(name);
        }
        let repo = environment.repo().display().to_string();
        let mut words = vec!["--repo", repo.as_str()];
        words.extend(command.iter().map(String::as_str));
        let counts = counted(&environment, &words);
        say(&format!("install of {packages}: {counts:?}"));
        let of = |what: &str| counts.get(what).copied().unwrap_or(0);
        assert_eq!(of("commits of the database"), 1, "one commit a transaction");
        assert!((3..=4).contains(&of("journal records")), "staging, decided, done");
        assert!(of("syncfs") <= 2, "the whole file system at most twice");
        assert!(of("other fsyncs") <= 64 + 8, "up to 64 files and a few folders");
        assert!(of("syncfs") + of("other fsyncs") > 0, "something must be made durable");
    }
}

/// A package with a file of 72 MiB, of which enough is left in the archive for it to be unpacked by several threads.
fn large_file() -> Scene {
    Scene::new("large file", &["install", "large"]).step(|environment| {
        let content = noise(3 << 19).repeat(48);
        Package::new("large", "1").bytes("large", &content).file(&environment.repo());
    })
}

/// Whether several threads unpack here, and it can be seen.
fn is_written_behind() -> bool {
    can_trace() && std::thread::available_parallelism().is_ok_and(|cores| cores.get() > 1)
}

fn is_sync_of_it(call: &Call) -> bool {
    call.kind == Kind::Syncs && call.on.ends_with("/data/large")
}

#[test]
fn a_large_file_reaches_the_disk_while_it_is_unpacked() {
    if !is_written_behind() {
        return skip("no program's calls can be counted on this machine, or it has one processor");
    }
    let calls = calls_of(&large_file(), |call| call.on.ends_with("/data/large") && call.kind != Kind::Looks);
    let first = calls.iter().position(is_sync_of_it).expect("it is synced");
    assert!(calls[first..].iter().any(|call| call.kind == Kind::Changes), "only at the end: {calls:?}");
}

#[test]
fn c12_what_the_disk_says_of_it_then_is_heard() {
    if !is_written_behind() {
        return skip("no program's calls can be counted on this machine, or it has one processor");
    }
    let scene = large_file();
    let reference = Reference::make(scene.stage());
    let stage = scene.stage();
    let (output, struck) = strike(1, is_sync_of_it, Act::Fail(Errno::EIO), |act| stage.run(act));
    assert!(struck.is_some());
    output.fails(7).says("cannot unpack data/large");
    assert!(matches!(reference.judge(&stage), Verdict::Old));
}
