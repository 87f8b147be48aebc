//! What the administrator changed or added.

use packets_tests::{Package, TestEnvironment};

fn with_config() -> Package {
    let hook =
        "assert(os.mkdir('/etc/tool', 493)) assert(os.copy(path_join(data_dir, 'tool.conf'), '/etc/tool/tool.conf'))";
    Package::program("tool", "1").data("tool.conf", "port = 1\n").permission("write = [\"/etc/tool\"]").install(hook)
}

fn installed(environment: &TestEnvironment) {
    let folder = with_config().write(&environment.work());
    environment.run(&["install", folder.to_str().unwrap(), "--grant", "tool=/etc/tool"]).ok();
    assert_eq!(environment.read("etc/tool/tool.conf"), "port = 1\n");
}

#[test]
fn an_unchanged_config_goes() {
    let environment = TestEnvironment::new();
    installed(&environment);
    environment.run(&["remove", "tool"]).ok();
    assert!(!environment.exists("etc/tool"));
}

#[test]
fn c19_c33_a_changed_config_stays_and_is_named() {
    let environment = TestEnvironment::new();
    installed(&environment);
    environment.put("etc/tool/tool.conf", "port = 2\n");
    environment.run(&["remove", "tool"]).ok().says("kept /etc/tool/tool.conf");
    assert_eq!(environment.read("etc/tool/tool.conf"), "port = 2\n");
    assert_eq!(environment.installed(), [""; 0]);
}

#[test]
fn purge_takes_it() {
    let environment = TestEnvironment::new();
    installed(&environment);
    environment.put("etc/tool/tool.conf", "port = 2\n");
    environment.run(&["remove", "tool", "--purge"]).ok();
    assert!(!environment.exists("etc/tool"));
}

#[test]
fn a_file_put_into_the_packages_folder_is_kept_and_named() {
    let environment = TestEnvironment::new();
    environment.install(&Package::program("tool", "1")).ok();
    environment.put("opt/packets/tool/data/my.conf", "mine\n");
    let output = environment.run(&["remove", "tool", "--json"]).ok();
    let kept = &output.json()["kept"][0];
    let now = kept["now"].as_str().unwrap();
    assert_eq!(environment.read(now.trim_start_matches('/')), "mine\n", "{output}");
    assert!(!environment.exists("opt/packets/tool"));
    assert!(!environment.exists("usr/bin/tool"));
}

#[test]
fn c19_what_was_deleted_by_hand_is_no_error() {
    let environment = TestEnvironment::new();
    installed(&environment);
    std::fs::remove_file(environment.at("usr/bin/tool")).ok();
    std::fs::remove_file(environment.at("etc/tool/tool.conf")).unwrap();
    std::fs::remove_file(environment.at("opt/packets/tool/data/name")).unwrap();
    environment.run(&["remove", "tool"]).ok();
    assert!(!environment.exists("etc/tool") && !environment.exists("opt/packets/tool"));
}

#[test]
fn what_took_a_files_place_is_not_followed() {
    TestEnvironment::with_and_without_openat2(|environment| {
        installed(environment);
        std::fs::remove_file(environment.at("etc/tool/tool.conf")).unwrap();
        std::os::unix::fs::symlink(environment.outside().join("public"), environment.at("etc/tool/tool.conf")).unwrap();
        std::fs::rename(environment.at("opt/packets/tool/data"), environment.work().join("moved")).unwrap();
        std::os::unix::fs::symlink(environment.outside(), environment.at("opt/packets/tool/data")).unwrap();
        let _ = environment.run(&["remove", "tool"]);
        environment.check();
    });
}
