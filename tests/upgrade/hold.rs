//! `hold` and `unhold`: what stays as it is.

use packets_tests::{Package, TestEnvironment};

/// A release of a family that has the name of the package.
fn release(name: &str, version: &str, serial: u64) -> Package {
    Package::program(name, version).family(name, serial)
}

#[test]
fn what_is_held_is_upgraded_by_nothing() {
    let environment = TestEnvironment::new();
    environment.publish(&release("one", "1", 1));
    environment.publish(&release("two", "1", 1));
    environment.run_with_repo(&["install", "one", "two"]).ok();
    environment.run(&["hold", "one"]).ok().says("one 1 is now held");
    environment.run(&["hold", "one"]).ok().says("one 1 is held already");
    environment.publish(&release("one", "2", 2));
    environment.publish(&release("two", "2", 2));
    let output = environment.run_with_repo(&["upgrade"]).ok().says("upgraded two 2 (from 1): ");
    output.says("one stays as it is: it is held");
    let held = environment.run(&["list", "--json"]).ok().json();
    assert_eq!((&held[0]["name"], &held[0]["held"]), (&"one".into(), &true.into()));
    assert_eq!(held[1]["held"], false);
    environment.run(&["info", "one"]).ok().prints("held         yes");
    for command in ["upgrade", "install"] {
        environment
            .refused(1, || environment.run_with_repo(&[command, "one"]))
            .says("one: it is held")
            .says("`packets unhold one` frees it");
    }
    environment.refused(1, || environment.install(&release("one", "9", 9))).says("cannot replace one: it is held");
    environment.run(&["unhold", "one"]).ok().says("one 1 is now free to be upgraded");
    environment.run_with_repo(&["upgrade"]).ok().says("upgraded one 2 (from 1): ");
    assert_eq!(environment.launch("usr/bin/one", &[]), "one 2\n");
}

#[test]
fn the_solver_leaves_it_alone_and_says_so() {
    let environment = TestEnvironment::new();
    environment.publish(&release("lib", "1", 1));
    environment.run_with_repo(&["install", "lib"]).ok();
    environment.publish(&release("lib", "2", 2));
    environment.publish(&Package::new("app", "1").needs(&["lib>=2"]));
    environment.run(&["hold", "lib"]).ok();
    let output = environment.refused(1, || environment.run_with_repo(&["install", "app"]));
    output.says("lib is held: `packets unhold lib` lets it be upgraded");
    environment.run(&["unhold", "lib"]).ok();
    environment.run_with_repo(&["install", "app"]).ok();
}

#[test]
fn what_an_upgrade_would_break_can_be_held() {
    let environment = TestEnvironment::new();
    let go = |name: &str, version: &str, serial| Package::program(name, version).family("f-go", serial);
    environment.publish(&go("go1", "1", 1));
    environment.publish(&Package::new("app", "1").needs(&["go1"]));
    environment.publish(&release("tool", "1", 1));
    environment.run_with_repo(&["install", "app", "tool"]).ok();
    environment.publish(&go("go2", "2", 2));
    environment.publish(&release("tool", "2", 2));
    environment.refused(1, || environment.run_with_repo(&["upgrade"])).says("`packets hold go1` leaves it as it is");
    environment.run(&["hold", "go1"]).ok();
    environment.run_with_repo(&["upgrade"]).ok().says("upgraded tool 2");
}

#[test]
fn it_goes_only_when_it_is_named() {
    let environment = TestEnvironment::new();
    environment.publish(&Package::new("lib", "1"));
    environment.publish(&Package::new("app", "1").needs(&["lib"]));
    environment.run_with_repo(&["install", "app"]).ok();
    environment.run(&["hold", "app"]).ok();
    environment.refused(1, || environment.run(&["remove", "lib", "--cascade"])).says("app needs it and is held");
    environment.run(&["remove", "lib", "app"]).ok();
}

#[test]
fn a_hold_is_a_transaction_that_can_be_undone() {
    let environment = TestEnvironment::new();
    environment.install(&Package::program("tool", "1")).ok();
    let before = environment.system();
    environment.refused(1, || environment.run(&["hold", "tool", "absent"])).says("absent is not installed");
    let all = environment.everything();
    environment.run(&["hold", "tool", "--dry-run"]).ok().prints("tool 1 would be held");
    all.assert_same(&environment.everything(), "a dry run changes nothing");
    environment.run(&["hold", "tool"]).ok();
    before.assert_same(&environment.system(), "nothing of the system changes");
    let history = environment.run(&["history"]).ok();
    history.prints("hold tool 1");
    environment.run(&["verify"]).ok();
    environment.run(&["undo"]).ok();
    assert_eq!(environment.run(&["list", "--json"]).ok().json()[0]["held"], false);
    environment.run(&["undo"]).ok();
    assert_eq!(environment.installed(), Vec::<String>::new(), "then the install");
}
