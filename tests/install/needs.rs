//! What packages need.

use packets_tests::{Package, TestEnvironment};

#[test]
fn what_a_package_needs_comes_first() {
    let environment = TestEnvironment::new();
    environment.publish(&Package::program("app", "1").needs(&["library", "tool"]));
    environment.publish(&Package::new("library", "2").needs(&["base"]));
    environment.publish(&Package::new("tool", "3"));
    environment.publish(&Package::new("base", "4"));
    environment.publish(&Package::new("unrelated", "5"));
    let plan = environment.run_with_repo(&["install", "app", "--dry-run=plan"]).ok().stdout;
    let order: Vec<&str> = plan.lines().filter_map(|line| line.split(' ').nth(1)).collect();
    let at = |name: &str| order.iter().position(|other| *other == name).unwrap();
    assert!(at("base") < at("library") && at("library") < at("app") && at("tool") < at("app"), "{plan}");
    environment.run_with_repo(&["install", "app"]).ok();
    assert_eq!(environment.installed(), ["app", "base", "library", "tool"]);
    let list = environment.run(&["list", "--json"]).ok().json();
    let reason = |name: &str| {
        let found = list.as_array().unwrap().iter().find(|package| package["name"] == name);
        found.unwrap()["reason"].as_str().unwrap().to_owned()
    };
    assert_eq!([reason("app"), reason("base")], ["asked", "needed"]);
}

#[test]
fn nothing_to_do_changes_nothing() {
    let environment = TestEnvironment::new();
    environment.publish(&Package::program("app", "1"));
    environment.run_with_repo(&["install", "app"]).ok();
    let before = environment.everything();
    let output = environment.run_with_repo(&["install", "app"]).ok();
    before.assert_same(&environment.everything(), &output.to_string());
}

#[test]
fn what_is_missing_is_named_and_so_is_what_needs_it() {
    let environment = TestEnvironment::new();
    environment.prime();
    environment.publish(&Package::new("app", "1").needs(&["libary"]));
    environment.publish(&Package::new("library", "1"));
    environment.refused(1, || environment.run_with_repo(&["install", "app"])).says("libary").says("app");
}

#[test]
fn m33_circles_end() {
    let environment = TestEnvironment::new();
    environment.publish(&Package::new("egg", "1").needs(&["hen"]));
    environment.publish(&Package::new("hen", "1").needs(&["egg"]));
    environment.publish(&Package::new("self", "1").needs(&["self"]));
    environment.run_with_repo(&["install", "egg", "self"]).ok();
    assert_eq!(environment.installed(), ["egg", "hen", "self"]);
    environment.run(&["remove", "egg"]).fails(1);
    environment.run(&["remove", "egg", "--cascade"]).ok();
    assert_eq!(environment.installed(), ["self"]);
}

#[test]
fn m33_a_long_chain_is_no_matter_of_depth() {
    let environment = TestEnvironment::new();
    for number in 0..400 {
        environment.publish(&Package::new(&format!("p{number}"), "1").needs(&[&format!("p{}", number + 1)]));
    }
    environment.publish(&Package::new("p400", "1"));
    let plan = environment.run_with_repo(&["install", "p0", "--dry-run=plan", "--json"]).ok().json();
    let install = plan["plan"]["install"].as_array().unwrap();
    assert_eq!(install.len(), 401);
    assert_eq!((install[0]["name"].as_str(), install[400]["name"].as_str()), (Some("p400"), Some("p0")));
}
