//! `autoremove`, and the mark that decides it.

use packets_tests::{Package, TestEnvironment};

/// app needs lib, lib needs base; spare stands for itself.
fn installed() -> TestEnvironment {
    let environment = TestEnvironment::new();
    environment.publish(&Package::program("base", "1"));
    environment.publish(&Package::program("lib", "1").needs(&["base"]));
    environment.publish(&Package::program("app", "1").needs(&["lib | other"]));
    environment.publish(&Package::program("spare", "1"));
    environment.run_with_repo(&["install", "app", "spare"]).ok();
    environment
}

#[test]
fn what_came_along_goes_when_nothing_needs_it() {
    let environment = installed();
    environment.run(&["autoremove"]).ok().says("nothing is there that nobody needs");
    environment.run(&["remove", "app"]).ok().says("`packets autoremove` removes base and lib, which nothing needs");
    assert_eq!(environment.installed(), ["base", "lib", "spare"]);
    assert_eq!(environment.run(&["autoremove", "--dry-run=plan"]).ok().stdout, "remove lib 1\nremove base 1\n");
    environment.run(&["autoremove"]).ok().says("removed lib 1, base 1 in ");
    assert_eq!(environment.installed(), ["spare"]);
    assert!(!environment.exists("usr/bin/lib") && !environment.exists("opt/packets/base"));
    environment.run(&["undo"]).ok();
    assert_eq!(environment.installed(), ["base", "lib", "spare"]);
}

#[test]
fn marks_decide() {
    let environment = installed();
    environment.run(&["mark", "asked", "lib"]).ok().says("lib 1 is now marked as asked for");
    environment.run(&["remove", "app"]).ok();
    environment.run(&["autoremove"]).ok().says("nothing is there that nobody needs");
    assert_eq!(environment.run(&["why", "lib"]).ok().stdout, "lib 1 was asked for\n");
    environment.run(&["mark", "needed", "lib", "spare"]).ok();
    environment.run(&["hold", "base"]).ok();
    let marked = environment.run(&["mark", "needed", "lib", "--json"]).ok().json();
    let expected = serde_json::json!({
        "mark": "needed", "changed": [], "unchanged": [{"name": "lib", "version": "1"}], "committed": false
    });
    assert_eq!(marked, expected);
    environment.run(&["autoremove"]).ok();
    assert_eq!(environment.installed(), ["base"], "what is held stays");
    environment.run(&["mark", "wanted", "base"]).fails(2).says("[possible values: asked, needed]");
}

#[test]
fn cycles_that_nobody_needs_go_too() {
    let environment = TestEnvironment::new();
    environment.publish(&Package::new("one", "1").needs(&["two"]));
    environment.publish(&Package::new("two", "1").needs(&["one"]));
    environment.publish(&Package::new("app", "1").needs(&["one"]));
    environment.run_with_repo(&["install", "app"]).ok();
    environment.run(&["remove", "app"]).ok();
    environment.run(&["autoremove"]).ok();
    assert_eq!(environment.installed(), Vec::<String>::new());
}
