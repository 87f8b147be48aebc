//! `upgrade` without a name.

use packets_tests::{Package, TestEnvironment};

/// A release of a family that has the name of the package.
fn release(name: &str, version: &str, serial: u64) -> Package {
    Package::program(name, version).family(name, serial)
}

#[test]
fn all_that_has_a_newer_release_in_one_transaction() {
    let environment = TestEnvironment::new();
    for name in ["one", "two", "three"] {
        environment.publish(&release(name, "1", 1));
    }
    environment.run_with_repo(&["install", "one", "two", "three"]).ok();
    environment.run_with_repo(&["upgrade"]).ok().says("everything is up to date");
    environment.publish(&release("one", "2", 2));
    environment.publish(&release("two", "2", 2).needs(&["new"]));
    environment.publish(&Package::new("new", "1"));
    let plan = environment.run_with_repo(&["upgrade", "--dry-run=plan"]).ok().stdout;
    let mut lines: Vec<&str> = plan.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["install new 1 (needed)", "upgrade one 2 (from 1)", "upgrade two 2 (from 1)"]);
    environment.run_with_repo(&["upgrade"]).ok();
    assert_eq!(environment.launch("usr/bin/one", &[]), "one 2\n");
    assert_eq!(environment.launch("usr/bin/two", &[]), "two 2\n");
    assert_eq!(environment.launch("usr/bin/three", &[]), "three 1\n");
    environment.run(&["undo"]).ok();
    assert_eq!(environment.launch("usr/bin/one", &[]), "one 1\n");
    assert_eq!(environment.installed(), ["one", "three", "two"], "one transaction, taken back whole");
}

#[test]
fn what_no_index_has_and_what_is_newer_stay_and_are_named() {
    let environment = TestEnvironment::new();
    environment.install(&Package::new("local", "1")).ok();
    environment.install(&Package::new("ahead", "3")).ok();
    environment.publish(&Package::new("ahead", "2"));
    environment.publish(&release("tool", "1", 1));
    environment.run_with_repo(&["install", "tool"]).ok();
    environment.publish(&release("tool", "2", 2));
    let output = environment.run_with_repo(&["upgrade"]).ok().says("upgraded tool 2 (from 1): ");
    let output = output.says("local stays as it is: no index has it");
    output.says("ahead stays as it is: it is newer than what the index has");
    let plan = environment.run_with_repo(&["upgrade", "--dry-run=plan", "--json"]).ok().json();
    let left = serde_json::json!([{"name": "ahead", "why": "newer"}, {"name": "local", "why": "unlisted"}]);
    assert_eq!(plan["plan"]["left"], left);
    let quiet = environment.run_with_repo(&["upgrade", "--quiet"]).ok();
    assert_eq!((quiet.stdout.as_str(), quiet.stderr.as_str()), ("", ""));
}

#[test]
fn an_older_release_beside_a_newer_one_stays() {
    let environment = TestEnvironment::new();
    let go = |name: &str, version: &str, serial| Package::program(name, version).family("f-go", serial);
    environment.publish(&go("go1", "1", 1));
    environment.publish(&go("go2", "2", 2));
    environment.run_with_repo(&["install", "go1", "go2"]).ok();
    environment.run_with_repo(&["upgrade"]).ok().says("everything is up to date");
    environment.publish(&go("go3", "3", 3));
    environment.run_with_repo(&["upgrade"]).ok();
    assert_eq!(environment.installed(), ["go1", "go3"]);
}

#[test]
fn a_refusal_speaks_of_upgrading_and_changes_nothing() {
    let environment = TestEnvironment::new();
    let go = |name: &str, version: &str, serial| Package::program(name, version).family("f-go", serial);
    environment.publish(&go("go1", "1", 1));
    environment.publish(&Package::new("app", "1").needs(&["go1"]));
    environment.publish(&release("tool", "1", 1));
    environment.run_with_repo(&["install", "app", "tool"]).ok();
    environment.publish(&go("go2", "2", 2));
    environment.publish(&release("tool", "2", 2));
    let output = environment.refused(1, || environment.run_with_repo(&["upgrade"]));
    assert!(output.stderr.starts_with("error: cannot upgrade go1 to go2: the installed app 1 needs go1"), "{output}");
    environment.publish(&release("tool", "3", 3).needs(&["absent"]));
    let output = environment.refused(1, || environment.run_with_repo(&["upgrade", "tool"]));
    assert!(output.stderr.starts_with("error: cannot upgrade tool: it needs absent, and no known package is that"));
}

#[test]
fn nothing_installed_is_nothing_to_do() {
    let environment = TestEnvironment::new();
    environment.prime();
    environment.run_with_repo(&["upgrade"]).ok().says("everything is up to date");
}
