//! What is refused, in which words, and what gives way.

use packets_tests::{Package, TestEnvironment};

fn fact(environment: &TestEnvironment, name: &str) -> String {
    environment.read(&format!("opt/packets/{name}/data/name"))
}

#[test]
fn a_refusal_says_who_needs_what_and_what_could_be_done() {
    let environment = TestEnvironment::new();
    environment.prime();
    environment.install(&Package::new("guard", "1").info("conflicts = [\"tool<3\"]")).ok();
    environment.publish(&Package::new("app", "1").needs(&["tool>=2"]));
    environment.publish(&Package::new("tool", "2"));
    environment
        .refused(1, || environment.run_with_repo(&["install", "app"]))
        .says("cannot install app: the installed guard 1 conflicts with tool 2")
        .says("app 1 needs tool>=2")
        .says("`packets remove guard` makes room");
    environment.publish(&Package::new("tool", "3"));
    environment.run_with_repo(&["install", "app"]).ok();
    assert_eq!(environment.installed(), ["app", "guard", "tool"]);
}

#[test]
fn an_installed_package_is_upgraded_where_a_goal_needs_it_and_nothing_is_removed() {
    let environment = TestEnvironment::new();
    environment.install(&Package::new("lib", "1")).ok();
    environment.install(&Package::new("user", "1").needs(&["lib"])).ok();
    environment.publish(&Package::new("lib", "2"));
    environment.publish(&Package::new("modest", "1").needs(&["lib"]));
    environment.publish(&Package::new("app", "1").needs(&["lib>=2"]));
    environment.run_with_repo(&["install", "modest"]).ok();
    assert_eq!(fact(&environment, "lib"), "lib 1\n", "it does, so it stays");
    environment.run_with_repo(&["install", "app"]).ok();
    assert_eq!(fact(&environment, "lib"), "lib 2\n");
    environment.install(&Package::new("strict", "1").needs(&["lib=2"])).ok();
    environment.publish(&Package::new("lib", "3"));
    environment.publish(&Package::new("late", "1").needs(&["lib>=3"]));
    environment
        .refused(1, || environment.run_with_repo(&["install", "late"]))
        .says("the installed strict 1 needs lib=2")
        .says("`packets remove strict` makes room");
    environment
        .refused(1, || environment.run_with_repo(&["upgrade", "lib"]))
        .says("the installed strict 1 needs lib=2");
}

#[test]
fn a_release_that_only_came_along_is_upgraded_to_one_of_another_name() {
    let environment = TestEnvironment::new();
    let release = |name: &str, version: &str, serial: u64| {
        Package::program("lib", version).family("lib-family", serial).info("alias = \"lib\"").named(name)
    };
    environment.publish(&release("lib-1", "1", 1));
    environment.publish(&Package::new("first", "1").needs(&["lib"]));
    environment.run_with_repo(&["install", "first"]).ok();
    environment.publish(&release("lib-2", "2", 2));
    environment.publish(&Package::new("second", "1").needs(&["lib>=2"]));
    let plan = environment.run_with_repo(&["install", "second", "--dry-run=plan"]).ok();
    assert!(plan.stdout.contains("upgrade lib-2 2 (from lib-1 1) (needed)"), "{plan}");
    environment.run_with_repo(&["install", "second"]).ok();
    assert_eq!(environment.installed(), ["first", "lib-2", "second"]);
    assert_eq!(environment.launch("usr/bin/lib", &[]), "lib 2\n");
    environment.run(&["undo"]).ok();
    assert_eq!(environment.installed(), ["first", "lib-1"]);
    assert_eq!(environment.launch("usr/bin/lib", &[]), "lib 1\n");
}

#[test]
fn m33_what_was_given_by_hand_is_taken_and_not_a_higher_version_of_that_name_elsewhere() {
    let environment = TestEnvironment::new();
    environment.publish(&Package::new("lib", "99"));
    environment.publish(&Package::new("app", "1").needs(&["lib"]));
    let own = Package::new("lib", "1").write(&environment.work());
    environment.run_with_repo(&["install", "app", own.to_str().unwrap()]).ok();
    assert_eq!(fact(&environment, "lib"), "lib 1\n");
}
