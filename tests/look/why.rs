//! `why`.

use packets_tests::{Package, TestEnvironment};

#[test]
fn the_ways_from_what_was_asked_for() {
    let environment = TestEnvironment::new();
    environment.publish(&Package::new("base", "3"));
    environment.publish(&Package::new("lib", "2").needs(&["base>=1"]));
    environment.publish(&Package::new("app", "1").needs(&["lib | other"]));
    environment.publish(&Package::new("tool", "1").needs(&["base"]));
    environment.run_with_repo(&["install", "app", "tool"]).ok();
    let why = |name: &str| environment.run(&["why", name]);
    let expected = "base 3 came along, because it is needed\n  \
                    tool 1 (asked for) needs base\n    \
                    base 3\n  \
                    app 1 (asked for) needs lib | other\n    \
                    lib 2 needs base>=1\n      \
                    base 3\n";
    assert_eq!(why("base").ok().stdout, expected);
    assert_eq!(why("app").ok().stdout, "app 1 was asked for\n");
    why("absent").fails(1).says("absent is not installed");
    let json = environment.run(&["why", "lib", "--json"]).ok().json();
    let way = serde_json::json!([
        {"package": "app", "version": "1", "needs": "lib | other"}, {"package": "lib", "version": "2", "needs": null}
    ]);
    assert_eq!(json, serde_json::json!({"package": "lib", "version": "2", "reason": "needed", "ways": [way]}));
    environment.run(&["remove", "app"]).ok();
    assert_eq!(why("lib").ok().stdout, "lib 2 came along, and nothing needs it any more\n");
}
