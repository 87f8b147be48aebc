//! Packages that are odd, or that somebody made odd.

use packets_tests::{Package, TestEnvironment};

#[test]
fn a_name_that_is_a_number() {
    let environment = TestEnvironment::new();
    environment.prime();
    let before = environment.system();
    environment.install(&Package::program("1", "1")).ok();
    environment.install(&Package::program("1", "2")).ok();
    environment.run(&["remove", "1"]).ok();
    before.assert_same(&environment.system(), "after the removal");
}

#[test]
fn a_link_in_the_place_of_the_packages_folder_stays() {
    TestEnvironment::with_and_without_openat2(|environment| {
        environment.install(&Package::program("tool", "1")).ok();
        std::fs::rename(environment.at("opt/packets/tool"), environment.at("moved")).unwrap();
        std::os::unix::fs::symlink("/moved", environment.at("opt/packets/tool")).unwrap();
        environment.run(&["remove", "tool"]).ok().says("kept /opt/packets/tool");
        assert!(environment.exists("moved/data/name") && environment.exists("opt/packets/tool"));
        assert!(!environment.exists("usr/bin/tool"));
    });
}

#[test]
fn a_link_in_the_place_of_a_config_stays_and_is_named() {
    let environment = TestEnvironment::new();
    let hook = "assert(os.copy(path_join(data_dir, 'name'), '/etc/tool/c'))";
    let package = Package::new("tool", "1").permission("write = [\"/etc/tool\"]").install(hook);
    let folder = package.write(&environment.work());
    environment.run(&["install", folder.to_str().unwrap(), "--grant", "tool=/etc/tool"]).ok();
    std::fs::remove_file(environment.at("etc/tool/c")).unwrap();
    std::os::unix::fs::symlink("mine", environment.at("etc/tool/c")).unwrap();
    environment.run(&["remove", "tool"]).ok().says("kept /etc/tool/c");
    assert!(environment.at("etc/tool/c").is_symlink());
}

#[test]
fn c33_what_stands_in_the_place_of_a_link_or_folder_stays_and_is_named() {
    for remove in ["", "os.remove('/usr/bin/tool')"] {
        let environment = TestEnvironment::new();
        let hook =
            "assert(os.symlink(path_join(data_dir, 'name'), '/usr/bin/tool')) assert(os.mkdir('/usr/share/tool', 493))";
        environment.install(&Package::new("tool", "1").install(hook).remove(remove)).ok();
        std::fs::remove_file(environment.at("usr/bin/tool")).unwrap();
        std::fs::remove_dir(environment.at("usr/share/tool")).unwrap();
        environment.put("usr/bin/tool", "mine\n");
        std::os::unix::fs::symlink("/srv", environment.at("usr/share/tool")).unwrap();
        environment.run(&["remove", "tool"]).ok().says("kept /usr/bin/tool").says("kept /usr/share/tool");
        assert_eq!(environment.read("usr/bin/tool"), "mine\n");
        assert!(environment.at("usr/share/tool").is_symlink());
    }
}
