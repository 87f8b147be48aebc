//! Packages of so many files that their rows are written by a thread of their own.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use packets_tests::{Entry, Package, TestEnvironment};

const MANY: usize = 1200;

/// A release with a hook, in the repository.
fn publish(environment: &TestEnvironment, version: &str, hook: &str) {
    let files: Vec<Entry> = (0..MANY).map(|at| Entry::file(&format!("data/many/{at}"), version)).collect();
    let package = Package::new("many", version).install(hook);
    let file = environment.repo().join("many.pkt.tar.zst");
    fs::write(file, package.archive_with(&files)).unwrap();
}

/// The version on record.
fn listed(environment: &TestEnvironment) -> String {
    environment.run(&["list", "--json"]).ok().json()[0]["version"].as_str().unwrap().to_owned()
}

fn stands(environment: &TestEnvironment, version: &str) {
    assert_eq!(listed(environment), version);
    assert_eq!(environment.read(&format!("opt/packets/many/data/many/{}", MANY - 1)), version);
    environment.run(&["verify"]).ok();
    assert!(!environment.exists("etc/packets/installed.db-journal"), "no write is left half done");
}

#[test]
fn what_hooks_do_is_on_record_too() {
    let environment = TestEnvironment::new();
    environment.prime();
    let hook = "
        local made = assert(io.open(path_join(data_dir, 'made'), 'w')) made:write('by the hook') made:close()
        local changed = assert(io.open(path_join(data_dir, 'many/8'), 'a')) changed:write('more') changed:close()
        assert(os.remove(path_join(data_dir, 'many/7')))
        assert(os.symlink(path_join(data_dir, 'made'), path_join(packets_bin_dir, 'many')))";
    publish(&environment, "1", hook);
    environment.run_with_repo(&["install", "many"]).ok();
    stands(&environment, "1");
    let files = environment.run(&["files", "many"]).ok().stdout;
    for (path, is_there) in [("data/made  (hook)", true), ("data/many/8  (hook)", true), ("data/many/7\n", false)] {
        assert_eq!(files.contains(&format!("/opt/packets/many/{path}")), is_there, "{path}: {files}");
    }
    assert!(files.contains("/usr/bin/many -> "), "{files}");

    publish(&environment, "2", "");
    environment.run_with_repo(&["upgrade"]).ok();
    stands(&environment, "2");
    assert!(environment.run(&["files", "many"]).ok().stdout.contains("/opt/packets/many/data/many/7\n"));
    assert!(!environment.exists("usr/bin/many") && !environment.exists("opt/packets/many/data/made"));
    environment.run(&["undo"]).ok();
    stands(&environment, "1");
    environment.run(&["remove", "many"]).ok();
    assert_eq!(environment.installed(), [""; 0]);
    assert!(!environment.exists("usr/bin/many") && !environment.exists("opt/packets/many"));
}

#[test]
fn a_hook_that_fails_leaves_the_record() {
    let environment = TestEnvironment::new();
    environment.prime();
    publish(&environment, "1", "error('not today')");
    environment.refused(6, || environment.run_with_repo(&["install", "many"])).says("not today");
    assert_eq!(environment.installed(), [""; 0]);
    publish(&environment, "1", "");
    environment.run_with_repo(&["install", "many"]).ok();
    publish(&environment, "2", "error('not today')");
    environment.refused(6, || environment.run_with_repo(&["upgrade"])).says("not today");
    stands(&environment, "1");
}

#[test]
fn a_run_that_is_killed_in_a_hook_leaves_the_record() {
    let environment = TestEnvironment::new();
    environment.prime();
    publish(&environment, "1", "");
    environment.run_with_repo(&["install", "many"]).ok();
    publish(&environment, "2", "print('begun') while true do end");
    let mut command = environment.command();
    command.arg("--root").arg(environment.root()).arg("--repo").arg(environment.repo()).args(["--yes", "upgrade"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let told = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(told.map(Result::unwrap).any(|line| line == "  many: begun"), "the hook goes on for ever");
    assert_eq!(listed(&environment), "1", "who reads meanwhile waits for nobody");
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(listed(&environment), "1");
    publish(&environment, "3", "");
    environment.run_with_repo(&["upgrade"]).ok();
    stands(&environment, "3");
}

#[test]
fn a_step_that_cannot_be_written_down_leaves_nothing_on_record() {
    let environment = TestEnvironment::new();
    environment.prime();
    publish(&environment, "1", "");
    environment.put("opt/packets/many/mine", "not a package's");
    let install = || environment.run_with_repo(&["install", "many"]);
    environment
        .refused(7, install)
        .says("cannot put /opt/packets/many in place")
        .says("something stands there already");
    assert_eq!(environment.installed(), [""; 0]);
    fs::remove_dir_all(environment.at("opt/packets/many")).unwrap();
    install().ok();
    environment.run(&["verify"]).ok();
    assert!(environment.at(&format!("opt/packets/many/data/many/{}", MANY - 1)).is_file());
}
