//! `owns`.

use std::os::unix::fs::symlink;

use packets_tests::{Package, TestEnvironment};

#[test]
fn files_links_and_folders_by_whoever_made_them() {
    let environment = TestEnvironment::new();
    environment.install(&Package::program("tool", "1.2")).ok();
    let owns = |path: &str| environment.run(&["owns", path]);
    assert_eq!(owns("/usr/bin/tool").ok().stdout, "/usr/bin/tool  tool 1.2  (hook)\n");
    assert_eq!(owns("/opt/packets/tool/data/tool").ok().stdout, "/opt/packets/tool/data/tool  tool 1.2\n");
    owns("/opt/packets/tool/data").ok().prints("tool 1.2");
    let below = environment.at("usr/bin/tool");
    assert_eq!(owns(below.to_str().unwrap()).ok().stdout, "/usr/bin/tool  tool 1.2  (hook)\n", "as the shell sees it");
    environment.put("usr/bin/foreign", "x");
    owns("/usr/bin/foreign").fails(1).says("no package owns /usr/bin/foreign");
    owns("/usr/bin/absent").fails(1).says("no package owns /usr/bin/absent");
    let both = environment.run(&["owns", "/usr/bin/tool", "/usr/bin/foreign", "--json"]);
    assert_eq!(both.code, 1);
    let owner = serde_json::json!({"package": "tool", "version": "1.2", "made_by": "hook"});
    let expected = serde_json::json!([
        {"path": "usr/bin/tool", "owners": [owner]},
        {"path": "usr/bin/foreign", "owners": []},
    ]);
    assert_eq!(both.json(), expected);
}

#[test]
fn folders_on_the_way_may_be_links() {
    let environment = TestEnvironment::new();
    environment.install(&Package::program("tool", "1")).ok();
    symlink("usr/bin", environment.at("bin")).unwrap();
    environment.run(&["owns", "/bin/tool"]).ok().prints("/usr/bin/tool  tool 1");
    environment.run(&["owns", "/usr/../usr/bin/tool"]).fails(1).says("cannot look for the owner of");
}
