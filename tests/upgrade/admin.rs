//! What the administrator changed or added.

use packets_tests::{Package, TestEnvironment};

fn release(version: &str, config: &str) -> Package {
    let hook =
        "assert(os.mkdir('/etc/tool', 493)) assert(os.copy(path_join(data_dir, 'tool.conf'), '/etc/tool/tool.conf'))";
    let package = Package::new("tool", version).family("f", version.parse().unwrap());
    package.data("tool.conf", config).permission("write = [\"/etc/tool\"]").install(hook)
}

fn upgraded(environment: &TestEnvironment, next: &str) {
    environment.publish(&release("2", next));
    environment.run_with_repo(&["upgrade", "tool", "--grant", "tool=/etc/tool"]).ok();
}

fn installed() -> TestEnvironment {
    let environment = TestEnvironment::new();
    environment.publish(&release("1", "port = 1\n"));
    environment.run_with_repo(&["install", "tool", "--grant", "tool=/etc/tool"]).ok();
    environment
}

#[test]
fn c19_an_unchanged_config_is_replaced() {
    let environment = installed();
    upgraded(&environment, "port = 2\n");
    assert_eq!(environment.read("etc/tool/tool.conf"), "port = 2\n");
    assert!(!environment.exists("etc/tool/tool.conf.new"));
}

#[test]
fn c19_a_changed_config_is_kept_and_the_new_one_stands_beside() {
    let environment = installed();
    environment.put("etc/tool/tool.conf", "port = 7\n");
    upgraded(&environment, "port = 2\n");
    assert_eq!(environment.read("etc/tool/tool.conf"), "port = 7\n");
    assert_eq!(environment.read("etc/tool/tool.conf.new"), "port = 2\n");
    // The file is still the administrator's when the package goes; the other one is not.
    environment.run(&["remove", "tool"]).ok();
    assert_eq!(environment.read("etc/tool/tool.conf"), "port = 7\n");
    assert!(!environment.exists("etc/tool/tool.conf.new"));
}

#[test]
fn c19_a_changed_config_that_the_release_leaves_alone_is_kept() {
    let environment = installed();
    environment.put("etc/tool/tool.conf", "port = 7\n");
    upgraded(&environment, "port = 1\n");
    assert_eq!(environment.read("etc/tool/tool.conf"), "port = 7\n");
    assert!(!environment.exists("etc/tool/tool.conf.new"));
}

#[test]
fn files_put_into_the_packages_folder_are_carried_over() {
    let environment = TestEnvironment::new();
    environment.publish(&Package::program("tool", "1").family("f", 1));
    environment.run_with_repo(&["install", "tool"]).ok();
    environment.put("opt/packets/tool/data/my/own.conf", "mine\n");
    environment.put("opt/packets/tool/data/later", "mine too\n");
    environment.publish(&Package::program("tool", "2").family("f", 2).data("later", "the release's\n"));
    environment.run_with_repo(&["upgrade", "tool"]).ok().says("later.old");
    assert_eq!(environment.read("opt/packets/tool/data/my/own.conf"), "mine\n");
    assert_eq!(environment.read("opt/packets/tool/data/later"), "the release's\n");
    assert_eq!(environment.read("opt/packets/tool/data/later.old"), "mine too\n");
    // And to a release of another name.
    environment.publish(&Package::program("tool3", "3").family("f", 3));
    environment.run_with_repo(&["upgrade", "tool"]).ok();
    assert_eq!(environment.read("opt/packets/tool3/data/my/own.conf"), "mine\n");
    assert!(!environment.exists("opt/packets/tool"));
}
