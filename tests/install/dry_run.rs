//! Runs that change nothing.

use packets_tests::{Package, Snapshot, TestEnvironment};

fn published(environment: &TestEnvironment) {
    environment.publish(&Package::program("app", "1").needs(&["library"]).family("f", 1));
    environment.publish(&Package::new("library", "2"));
}

#[test]
fn hooks_run_and_their_effects_are_shown() {
    let environment = TestEnvironment::new();
    published(&environment);
    let before = Snapshot::of(&environment.root());
    let output = environment.run_with_repo(&["install", "app", "--dry-run"]).ok();
    before.assert_same(&Snapshot::of(&environment.root()), "a dry run");
    output.prints("install app 1").prints("install library 2 (needed)").prints("app: links /usr/bin/app");
}

#[test]
fn the_plan_is_json_for_programs() {
    let environment = TestEnvironment::new();
    published(&environment);
    let before = Snapshot::of(&environment.root());
    let json = environment.run_with_repo(&["install", "app", "--dry-run=plan", "--json"]).ok().json();
    before.assert_same(&Snapshot::of(&environment.root()), "a dry run");
    let plan = &json["plan"];
    let names: Vec<&str> =
        plan["install"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["library", "app"]);
    assert_eq!(plan["install"][1]["action"], "install");
    assert_eq!(plan["install"][1]["sha256"].as_str().unwrap().len(), 64);
    assert_eq!(json["committed"], false);
}

#[test]
fn h28_what_nobody_approved_runs_and_is_marked() {
    let environment = TestEnvironment::new();
    let asks =
        Package::new("asks", "1").permission("write = [\"/etc/asks\"]").install("assert(os.mkdir('/etc/asks', 493))");
    environment.publish(&asks);
    let output = environment.run_with_repo(&["install", "asks", "--dry-run"]).ok();
    output.prints("makes /etc/asks/").prints("would ask to write in /etc/asks");
    assert!(!environment.exists("etc"));
}

#[test]
fn removing_and_upgrading_can_be_tried_too() {
    let environment = TestEnvironment::new();
    published(&environment);
    environment.run_with_repo(&["install", "app"]).ok();
    environment.publish(&Package::program("app", "2").family("f", 2));
    let before = environment.everything();
    environment.run_with_repo(&["upgrade", "app", "--dry-run"]).ok().prints("upgrade app 2 (from 1)");
    environment.run(&["remove", "app", "--dry-run"]).ok().prints("remove app 1").prints("app: removes /usr/bin/app");
    before.assert_same(&environment.everything(), "dry runs");
}

#[test]
fn a_hook_that_would_fail_fails_in_a_dry_run() {
    let environment = TestEnvironment::new();
    environment.publish(&Package::new("bad", "1").install("error('no')"));
    environment.run_with_repo(&["install", "bad", "--dry-run"]).fails(6);
    environment.run_with_repo(&["install", "bad", "--dry-run=plan"]).ok();
    assert!(Snapshot::of(&environment.root()).paths().is_empty(), "nothing is made");
}

#[test]
fn hook_test_shows_both_hooks() {
    let environment = TestEnvironment::new();
    let folder = Package::program("app", "1").needs(&["absent"]).write(&environment.work());
    let output = environment.run(&["hook", "test", folder.to_str().unwrap()]).ok();
    let output = output.prints("install hook:").prints("links /usr/bin/app").prints("remove hook:");
    output.prints("removes /usr/bin/app");
    let json = environment.run(&["hook", "test", folder.to_str().unwrap(), "--json"]).ok().json();
    assert_eq!(json["package"], "app");
    assert_eq!(json["hooks"].as_array().unwrap().len(), 2);
    assert!(Snapshot::of(&environment.root()).paths().is_empty(), "nothing is made");
    Package::new("bad", "1").install("io.open('/etc/shadow')").write(&environment.work());
    environment.run(&["hook", "test", "./bad"]).fails(6).says("/etc/shadow");
}
