//! Two packages, or a package and the system, that want the same path.

use packets_tests::{Package, TestEnvironment};

#[test]
fn m34_two_packages_of_one_command_that_make_one_path() {
    let environment = TestEnvironment::new();
    environment.prime();
    let make = |name: &str| {
        let hook = "assert(os.symlink(path_join(data_dir, 'name'), path_join(packets_bin_dir, 'same')))";
        environment.publish(&Package::new(name, "1").install(hook));
    };
    make("left");
    make("right");
    environment
        .refused(6, || environment.run_with_repo(&["install", "left", "right"]))
        .says("left")
        .says("right")
        .says("/usr/bin/same");
    environment.run_with_repo(&["install", "left"]).ok();
    environment.refused(6, || environment.run_with_repo(&["install", "right"])).says("/usr/bin/same");
}

#[test]
fn what_nobody_owns_is_not_overwritten() {
    let environment = TestEnvironment::new();
    environment.prime();
    environment.put("usr/bin/tool", "the administrator's\n");
    environment.refused(6, || environment.install(&Package::program("tool", "1"))).says("/usr/bin/tool");
    assert_eq!(environment.read("usr/bin/tool"), "the administrator's\n");
}

#[test]
fn replace_displaces_and_what_stood_there_comes_back() {
    let environment = TestEnvironment::new();
    environment.install(&Package::program("old", "1")).ok();
    environment.put("usr/bin/plain", "the administrator's\n");
    let before = environment.system();
    let hook = "for _, name in ipairs { 'old', 'plain' } do
        assert(os.symlink(path_join(data_dir, 'new'), path_join(packets_bin_dir, name))) end";
    let new = Package::new("new", "1")
        .executable("new", "#!/bin/sh\necho new\n")
        .permission("replace = [\"/usr/bin/old\", \"/usr/bin/plain\"]")
        .install(hook);
    environment.refused(6, || environment.install(&new)).says("replace = [\"/usr/bin/old\", \"/usr/bin/plain\"]");
    let config = environment.read("etc/packets/config.toml");
    let grant = "\n[[Sandbox.grant]]\npackage = \"new\"\nreplace = [\"/usr/bin/old\", \"/usr/bin/plain\"]\n";
    environment.put("etc/packets/config.toml", &format!("{config}{grant}"));
    environment.install(&new).ok();
    assert_eq!(environment.launch("usr/bin/old", &[]), "new\n");
    assert_eq!(environment.launch("usr/bin/plain", &[]), "new\n");
    environment.run(&["remove", "new"]).ok();
    before.assert_same(&environment.system(), "after the displacer is gone");
    assert_eq!(environment.launch("usr/bin/old", &[]), "old 1\n");
}

#[test]
fn a_package_that_others_conflict_with_is_refused() {
    let environment = TestEnvironment::new();
    environment.install(&Package::new("left", "1")).ok();
    environment
        .refused(1, || environment.install(&Package::new("right", "1").info("conflicts = [\"left\"]")))
        .says("left");
}

#[test]
fn a31_a_link_of_one_package_is_no_way_for_another() {
    TestEnvironment::with_and_without_openat2(|environment| {
        environment.prime();
        let way = Package::new("way", "1")
            .install(&format!("os.symlink('{}', '/usr/share/doc/way')", environment.outside().display()));
        // The link itself leads out of all grants: refused, or harmless below the root.
        let made = environment.install(&way);
        let user = Package::new("user", "1").install("io.open('/usr/share/doc/way/planted', 'w'):write('x')");
        environment.refused(6, || environment.install(&user));
        assert!(made.code == 6 || !environment.outside().join("planted").exists());
    });
}
