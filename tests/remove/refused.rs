//! What is not removed.

use packets_tests::{Package, TestEnvironment};

#[test]
fn what_others_need() {
    let environment = TestEnvironment::new();
    environment.publish(&Package::program("app", "1").needs(&["library"]));
    environment.publish(&Package::new("library", "1"));
    environment.run_with_repo(&["install", "app"]).ok();
    environment.refused(1, || environment.run(&["remove", "library"])).says("app").says("--cascade");
    environment.run(&["remove", "library", "--cascade"]).ok();
    assert_eq!(environment.installed(), [""; 0]);
}

#[test]
fn what_is_not_installed() {
    let environment = TestEnvironment::new();
    environment.prime();
    environment.refused(1, || environment.run(&["remove", "absent"])).says("absent");
}

#[test]
fn h31_a_remove_hook_that_fails_changes_nothing_and_there_is_a_way_out() {
    let environment = TestEnvironment::new();
    let hook = "os.remove(path_join(packets_bin_dir, 'tool')) error('on purpose')";
    environment.install(&Package::program("tool", "1").remove(hook)).ok();
    environment.refused(6, || environment.run(&["remove", "tool"])).says("on purpose").says("--no-hooks");
    assert_eq!(environment.launch("usr/bin/tool", &[]), "tool 1\n");
    environment.run(&["remove", "tool", "--no-hooks"]).ok();
    assert!(!environment.exists("usr/bin/tool"));
}

#[test]
fn a_remove_hook_that_is_denied() {
    let environment = TestEnvironment::new();
    environment.put("usr/bin/other", "other\n");
    environment.install(&Package::program("tool", "1").remove("os.remove('/usr/bin/other')")).ok();
    environment.refused(6, || environment.run(&["remove", "tool"])).says("/usr/bin/other").says("remove.lua:1");
}

#[test]
fn a_remove_hook_that_is_not_the_one_on_record_never_runs() {
    let environment = TestEnvironment::new();
    environment.install(&Package::program("tool", "1")).ok();
    environment.put("opt/packets/tool/remove.lua", "print('tampered')");
    let output = environment.refused(5, || environment.run(&["remove", "tool"]));
    assert!(!output.stderr.contains("tool: tampered"));
    output.says("/opt/packets/tool/remove.lua").says("--no-hooks");
    environment.run(&["remove", "tool", "--no-hooks"]).ok();
    assert!(!environment.exists("usr/bin/tool"));
}

#[test]
fn a_manifest_that_was_changed_names_no_other_hook() {
    let environment = TestEnvironment::new();
    environment.install(&Package::program("tool", "1")).ok();
    let manifest = environment.read("opt/packets/tool/manifest.toml").replace("remove.lua", "data/name");
    environment.put("opt/packets/tool/manifest.toml", &manifest);
    environment.refused(5, || environment.run(&["remove", "tool"]));
}
