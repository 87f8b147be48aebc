//! System calls of whole commands, as strace counts them: what one more file, package or hook adds.

use std::collections::BTreeMap;

use packets_tests::{Package, TestEnvironment, on_path, skip};

/// How often a run made each call.
#[derive(Debug)]
struct Calls(BTreeMap<String, f64>);

/// How threads wait for each other is chance.
const CHANCE: [&str; 3] = ["futex", "sched_yield", "restart_syscall"];

impl Calls {
    fn of(&self, names: &[&str]) -> f64 {
        names.iter().filter_map(|name| self.0.get(*name)).sum()
    }

    fn all(&self) -> f64 {
        self.0.iter().filter(|(name, _)| !CHANCE.contains(&name.as_str())).map(|(_, count)| count).sum()
    }

    /// What each of `count` things more cost, told from a run without them.
    fn more_than(&self, other: &Self, count: f64) -> Self {
        let names = self.0.keys().chain(other.0.keys());
        let each = |name: &String| (name.clone(), (self.of(&[name]) - other.of(&[name])) / count);
        Self(names.map(each).collect())
    }
}

/// An environment whose runs are counted into a file; none where strace is missing or may not trace.
fn counted() -> Option<TestEnvironment> {
    traced(&["-c", "-U", "calls,name"])
}

/// The same with these options.
fn traced(options: &[&str]) -> Option<TestEnvironment> {
    let Some(strace) = on_path("strace") else {
        skip("strace is missing");
        return None;
    };
    let mut environment = TestEnvironment::in_memory();
    environment.prime();
    let log = environment.place().join("tmp/calls");
    let words = [&[strace.to_str().unwrap(), "-f", "-qq", "-o", log.to_str().unwrap()], options].concat();
    environment.run_by(words.into_iter().map(str::to_owned).collect());
    let output = environment.run(&["--version"]);
    if !log.exists() {
        skip("strace may not trace here");
        return None;
    }
    output.ok();
    Some(environment)
}

fn count(environment: &TestEnvironment, arguments: &[&str]) -> Calls {
    let file = environment.place().join("tmp/calls");
    environment.run(arguments).ok();
    let log = std::fs::read_to_string(&file).unwrap();
    std::fs::remove_file(file).unwrap();
    let row = |line: &str| {
        let (count, name) = line.trim().split_once(char::is_whitespace)?;
        Some((name.trim().to_owned(), count.parse().ok()?))
    };
    let calls: BTreeMap<String, f64> = log.lines().filter_map(row).filter(|(name, _)| name != "total").collect();
    assert!(calls.contains_key("openat"), "nothing was counted: {log}");
    Calls(calls)
}

/// The calls of an installation of so many packages with so many files each.
fn install(packages: u32, files: u32, hook: bool) -> Option<(TestEnvironment, Calls)> {
    let environment = counted()?;
    let repo = environment.repo().display().to_string();
    let mut words = vec!["--repo".to_owned(), format!("{repo}/index.db"), "install".to_owned()];
    for number in 0..packages {
        let name = format!("package-{number}");
        let mut package = if hook { Package::program(&name, "1") } else { Package::new(&name, "1") };
        for file in 0..files {
            package = package.data(&format!("folder/{file}"), "some text\n");
        }
        package.file(&environment.repo());
        words.push(name);
    }
    environment.run(&["index", &repo]).ok();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let calls = count(&environment, &words);
    Some((environment, calls))
}

#[track_caller]
#[expect(clippy::print_stdout, reason = "shown with --nocapture")]
fn at_most(what: &str, found: f64, most: f64, calls: &Calls) {
    println!("{what}: {found:.2} calls, of {most}");
    assert!(found <= most, "{what}: {found:.2} calls, at most {most} are allowed: {calls:?}");
    assert!(found > 0.0, "{what}: nothing was counted: {calls:?}");
}

#[test]
fn a_file_takes_three_calls() {
    // Of both the rows are written by a thread of their own.
    let Some((_, few)) = install(10, 120, false) else { return };
    let Some((_, many)) = install(10, 220, false) else { return };
    let file = many.more_than(&few, 1000.0);
    // Made, written, closed. A little for the database and the journal, which are written in pages.
    at_most("a file", file.all(), 3.1, &file);
}

#[test]
fn packages_and_hooks_take_few_calls_and_no_threads() {
    let Some((_, few)) = install(10, 5, false) else { return };
    let Some((_, many)) = install(60, 5, false) else { return };
    let Some((_, hooked)) = install(60, 5, true) else { return };
    let package = many.more_than(&few, 50.0);
    at_most("a package of five files", package.all(), 75.0, &package);
    let threads = |calls: &Calls| calls.of(&["clone", "clone3"]);
    assert!(threads(&many) <= threads(&few) + 2.0, "threads for single packages: {many:?}");
    let hook = hooked.more_than(&many, 60.0);
    at_most("a hook", hook.all(), 30.0, &hook);
    let maps = hook.of(&["mmap", "munmap", "mprotect"]);
    assert!(maps <= 1.5, "memory is mapped for each hook: {hook:?}");
}

#[test]
fn to_remove_a_package_with_a_hook_costs_the_same_beside_many() {
    let removal = |packages: u32| {
        let (environment, _) = install(packages, 5, true)?;
        let names: Vec<String> = (0..packages).map(|number| format!("package-{number}")).collect();
        let words: Vec<&str> = ["remove"].into_iter().chain(names.iter().map(String::as_str)).collect();
        Some(count(&environment, &words))
    };
    let (Some(few), Some(more), Some(many)) = (removal(20), removal(60), removal(140)) else { return };
    let (early, late) = (more.more_than(&few, 40.0), many.more_than(&more, 80.0));
    at_most("to remove a package with a hook", late.all(), 130.0, &late);
    let grows = late.all() / early.all();
    assert!(grows < 1.1, "each one more costs {grows:.2} of what one cost before: {early:?}, then {late:?}");
}

#[test]
fn nothing_to_do_takes_few_calls_and_writes_nothing() {
    let Some((environment, _)) = install(5, 5, false) else { return };
    let repo = format!("{}/index.db", environment.repo().display());
    let nothing = count(&environment, &["--repo", &repo, "install", "package-0", "package-1"]);
    at_most("nothing to do", nothing.all(), 420.0, &nothing);
    let syncs = nothing.of(&["fsync", "fdatasync", "syncfs", "sync_file_range"]);
    assert_eq!(syncs, 0.0, "it waits for the disk: {nothing:?}");
}

/// With several threads the kernel takes 5 ms to make room for more handles, each time they double.
#[test]
fn there_is_room_for_handles_before_there_are_threads() {
    let Some(environment) = traced(&["-e", "trace=fcntl,clone,clone3"]) else { return };
    let package = Package::new("a", "1").file(&environment.repo());
    environment.run(&["install", package.to_str().unwrap()]).ok();
    let file = environment.place().join("tmp/calls");
    let log = std::fs::read_to_string(&file).unwrap();
    std::fs::remove_file(file).unwrap();
    let first =
        |what: &str| log.lines().position(|line| line.contains(what)).unwrap_or_else(|| panic!("{what}: {log}"));
    assert!(first("F_DUPFD_CLOEXEC, 2047") < first("clone"), "{log}");
}
