//! Who may take whose place.

use packets_tests::{Package, TestEnvironment};

#[test]
fn a_family_is_only_a_text_and_gives_no_right_alone() {
    let environment = TestEnvironment::new();
    environment.install(&Package::program("bank", "1").family("f-bank", 1)).ok();
    // Given by hand, with the family copied: it may not touch what `bank` made.
    let hook = "assert(os.symlink(path_join(data_dir, 'name'), path_join(packets_bin_dir, 'bank')))";
    let thief = Package::new("thief", "2").family("f-bank", 2).install(hook);
    environment.refused(6, || environment.install(&thief)).says("/usr/bin/bank");
}

#[test]
fn no_family_matches_no_family() {
    let environment = TestEnvironment::new();
    environment.install(&Package::program("one", "1")).ok();
    environment.publish(&Package::program("two", "2").info("family = \"\"").info("serial = 9"));
    environment.publish(&Package::program("one", "1"));
    environment.run_with_repo(&["upgrade", "one"]).ok();
    assert_eq!(environment.installed(), ["one"]);
}

#[test]
fn a_package_file_replaces_its_own_name() {
    let environment = TestEnvironment::new();
    environment.install(&Package::program("tool", "2")).ok();
    environment.install(&Package::program("tool", "1")).ok();
    assert_eq!(environment.launch("usr/bin/tool", &[]), "tool 1\n");
}

#[test]
fn replace_says_what_else_it_may() {
    let environment = TestEnvironment::new();
    environment.install(&Package::program("old", "1")).ok();
    let hook = "assert(os.symlink(path_join(data_dir, 'new'), path_join(packets_bin_dir, 'old')))";
    let new = Package::program("new", "2").install(hook);
    let folder = new.write(&environment.work());
    let folder = folder.to_str().unwrap();
    environment.refused(6, || environment.run(&["install", folder])).says("/usr/bin/old");
    environment.refused(1, || environment.run(&["install", folder, "--replace", "absent"])).says("absent");
    environment.run(&["install", folder, "--replace", "old"]).ok();
    assert_eq!(environment.installed(), ["new"]);
    assert_eq!(environment.launch("usr/bin/old", &[]), "new 2\n");
}

#[test]
fn an_upgrade_asks_again_only_for_what_is_new() {
    let environment = TestEnvironment::new();
    let asks = |version: &str, serial: u64, paths: &str| {
        let package = Package::program("tool", version).family("f", serial);
        package.permission(&format!("write = {paths}")).install("print('hello')")
    };
    environment.publish(&asks("1", 1, "[\"/etc/one\"]"));
    environment.run_with_repo(&["install", "tool", "--grant", "tool=/etc/one"]).ok();
    environment.publish(&asks("2", 2, "[\"/etc/one\", \"/etc/two\"]"));
    let output = environment.refused(6, || environment.run_with_repo(&["upgrade", "tool", "--grant", "tool=/etc/one"]));
    assert!(output.stderr.contains("write = [\"/etc/two\"]"), "only the difference: {output}");
}
