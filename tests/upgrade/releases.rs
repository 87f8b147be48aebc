//! From release to release.

use packets_tests::{Package, TestEnvironment};

fn release(name: &str, version: &str, serial: u64) -> Package {
    Package::program(name, version).family("f-go", serial).info("alias = \"go\"")
}

#[test]
fn across_names_by_family_and_serial() {
    let environment = TestEnvironment::new();
    environment.publish(&release("go1.24", "1.24", 7));
    environment.run_with_repo(&["install", "go1.24"]).ok();
    // A higher version with a lower serial is no newer release.
    environment.publish(&release("go9", "9", 6));
    environment.publish(&release("go1.25", "1.25", 8));
    environment.publish(&release("foreign", "99", 99).family("f-other", 99));
    let output = environment.run_with_repo(&["upgrade", "go"]).ok().says("upgraded go1.25 1.25 (from go1.24 1.24): ");
    assert_eq!(environment.installed(), ["go1.25"], "{output}");
    assert_eq!(environment.launch("usr/bin/go1.25", &[]), "go1.25 1.25\n");
    assert!(!environment.exists("usr/bin/go1.24") && !environment.exists("opt/packets/go1.24"));
    let before = environment.everything();
    environment.run_with_repo(&["upgrade", "go1.25"]).ok();
    before.assert_same(&environment.everything(), "nothing to do");
}

#[test]
fn within_one_name_what_only_the_old_one_made_goes() {
    let environment = TestEnvironment::new();
    let old = "for _, name in ipairs { 'tool', 'tool-old' } do assert(os.symlink(path_join(data_dir, 'tool'), path_join(packets_bin_dir, name))) end";
    environment.publish(
        &Package::program("tool", "1")
            .family("f", 1)
            .data("only-old", "x")
            .install(old)
            .remove("error('the old remove hook does not run')"),
    );
    environment.run_with_repo(&["install", "tool"]).ok();
    environment.publish(&Package::program("tool", "2").family("f", 2).data("only-new", "x"));
    environment.run_with_repo(&["upgrade", "tool"]).ok();
    assert_eq!(environment.launch("usr/bin/tool", &[]), "tool 2\n");
    assert!(!environment.exists("usr/bin/tool-old"));
    assert!(
        !environment.exists("opt/packets/tool/data/only-old") && environment.exists("opt/packets/tool/data/only-new")
    );
    let info = environment.run(&["info", "tool", "--json"]).ok().json();
    assert_eq!(info["installed"]["version"], "2");
}

#[test]
fn an_index_decides_as_a_folder_does() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    let index = || environment.run_plain(&["index", repo.to_str().unwrap()]).ok();
    release("go1.24", "1.24", 1).file(&repo);
    index();
    environment.run(&["sync", repo.to_str().unwrap()]).ok();
    environment.run(&["install", "go"]).ok();
    release("go1.25", "1.25", 2).file(&repo);
    index();
    environment.run(&["upgrade", "go"]).ok();
    assert_eq!(environment.installed(), ["go1.24"], "not synced yet");
    environment.run(&["sync"]).ok();
    environment.run(&["upgrade", "go"]).ok();
    assert_eq!(environment.installed(), ["go1.25"]);
}

#[test]
fn a_failed_upgrade_leaves_the_old_release_whole() {
    let environment = TestEnvironment::new();
    environment.publish(&release("go1", "1", 1));
    environment.run_with_repo(&["install", "go1"]).ok();
    let bad = "assert(os.symlink(path_join(data_dir, 'name'), path_join(packets_bin_dir, 'go1'))) error('on purpose')";
    for next in [release("go2", "2", 2).install(bad), release("go1", "3", 3).install(bad)] {
        environment.publish(&next);
        environment.refused(6, || environment.run_with_repo(&["upgrade", "go1"])).says("on purpose");
        assert_eq!(environment.launch("usr/bin/go1", &[]), "go1 1\n");
        std::fs::remove_dir_all(environment.repo().join(next.name())).unwrap();
    }
}

#[test]
fn what_was_asked_for_stays_asked_for() {
    let environment = TestEnvironment::new();
    environment.publish(&release("go1", "1", 1));
    environment.publish(&Package::new("app", "1").needs(&["go"]));
    environment.run_with_repo(&["install", "app", "go1"]).ok();
    environment.publish(&release("go2", "2", 2));
    environment.run_with_repo(&["upgrade", "go1"]).ok();
    let list = environment.run(&["list", "--json"]).ok().json();
    let go = list.as_array().unwrap().iter().find(|package| package["name"] == "go2").unwrap();
    assert_eq!(go["reason"], "asked");
    environment.run(&["remove", "go2"]).fails(1).says("app");
}

#[test]
fn an_upgrade_that_would_break_what_others_need_is_refused() {
    let environment = TestEnvironment::new();
    environment.publish(&release("go1", "1", 1));
    environment.publish(&Package::new("app", "1").needs(&["go1"]));
    environment.run_with_repo(&["install", "app"]).ok();
    environment.publish(&release("go2", "2", 2));
    environment.refused(1, || environment.run_with_repo(&["upgrade", "go1"])).says("app");
}

#[test]
fn upgrade_of_what_is_not_installed_or_not_in_the_index() {
    let environment = TestEnvironment::new();
    environment.prime();
    environment.publish(&release("go1", "1", 1));
    environment.refused(1, || environment.run_with_repo(&["upgrade", "go1"])).says("not installed");
    environment.install(&Package::new("local", "1")).ok();
    environment.refused(1, || environment.run_with_repo(&["upgrade", "local"])).says("local");
}
