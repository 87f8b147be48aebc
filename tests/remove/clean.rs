//! What is left: nothing.

use packets_tests::{Package, TestEnvironment};

/// Installs and removes; the system must be as before.
fn leaves_nothing(package: &Package, arguments: &[&str]) {
    let environment = TestEnvironment::new();
    // A system that has what systems have.
    environment.put("usr/bin/other", "other\n");
    environment.put("usr/share/doc/other/text", "other\n");
    environment.prime();
    let before = environment.system();
    environment.install(package).ok();
    assert!(!before.difference(&environment.system()).is_empty());
    environment.run(&[&["remove", package.name()], arguments].concat()).ok();
    before.assert_same(&environment.system(), package.name());
    assert_eq!(environment.installed(), [""; 0]);
}

#[test]
fn with_a_remove_hook() {
    leaves_nothing(&Package::program("tool", "1"), &[]);
}

const MAKES_MUCH: &str = "
    assert(os.symlink(path_join(data_dir, 'name'), path_join(packets_bin_dir, 'tool')))
    assert(os.mkdir('/usr/share/tool/deep/deeper', 493))
    assert(os.copy(path_join(data_dir, 'tree'), '/usr/share/tool/tree'))
    local file = assert(io.open('/usr/share/applications/tool.desktop', 'w')) file:write('x') file:close()
    local own = assert(io.open(path_join(data_dir, 'generated'), 'w')) own:write('x') own:close()";

#[test]
fn a_hook_that_forgets_something() {
    let package = Package::new("tool", "1").data("tree/a/b", "x").install(MAKES_MUCH);
    leaves_nothing(&package.remove("os.remove('/usr/share/tool/tree')"), &[]);
}

#[test]
fn no_remove_hook_at_all() {
    leaves_nothing(&Package::new("tool", "1").data("tree/a/b", "x").link("tree/link", "a").install(MAKES_MUCH), &[]);
}

#[test]
fn a_remove_hook_that_is_not_run() {
    leaves_nothing(&Package::program("tool", "1").remove("error('never')"), &["--no-hooks"]);
}

#[test]
fn what_a_remove_hook_makes_goes_too() {
    let hook = "local f = io.open('/usr/share/doc/tool', 'w') f:write('gone, but not forgotten') f:close()
        local g = io.open(path_join(data_dir, 'log'), 'w') g:write('x') g:close()";
    leaves_nothing(&Package::new("tool", "1").remove(hook), &[]);
}

#[test]
fn a57_odd_modes_and_a14_deep_folders_are_removable() {
    let deep = (0..100).map(|_| "d").collect::<Vec<_>>().join("/");
    leaves_nothing(&Package::new("tool", "1").data(&format!("{deep}/file"), "x").bytes("empty", b""), &[]);
}

#[test]
fn several_at_once_each_before_what_it_needs() {
    let environment = TestEnvironment::new();
    environment.prime();
    let before = environment.system();
    let say = |name: &str| format!("print('bye from {name}')");
    environment.publish(&Package::program("app", "1").needs(&["library"]).remove(&say("app")));
    environment.publish(&Package::new("library", "1").remove(&say("library")));
    environment.run_with_repo(&["install", "app"]).ok();
    let output = environment.run(&["remove", "library", "app"]).ok();
    let at = |text: &str| output.stderr.find(text).unwrap();
    assert!(at("bye from app") < at("bye from library"), "{output}");
    let mut after = environment.system();
    after.0.retain(|path, _| !["./usr", "./usr/bin"].contains(&path.to_str().unwrap()) || before.0.contains_key(path));
    before.assert_same(&after, "both are gone");
}

#[test]
fn a_package_whose_folder_is_gone_can_still_be_removed() {
    let environment = TestEnvironment::new();
    environment.install(&Package::program("tool", "1")).ok();
    std::fs::remove_dir_all(environment.at("opt/packets/tool")).unwrap();
    environment.run(&["remove", "tool"]).ok();
    assert!(!environment.exists("usr/bin/tool"));
    assert_eq!(environment.installed(), [""; 0]);
}
