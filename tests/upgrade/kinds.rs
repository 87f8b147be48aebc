//! A path that was one thing in the old release and is another in the new one.

use packets_tests::{Package, TestEnvironment};

fn release(serial: u64, hook: &str) -> Package {
    let package = Package::new("tool", &serial.to_string()).family("f", serial);
    package.permission("write = [\"/etc/tool\"]").install(hook)
}

fn install(environment: &TestEnvironment, package: &Package) {
    let folder = package.write(&environment.work());
    environment.run(&["install", folder.to_str().unwrap(), "--grant", "tool=/etc/tool"]).ok();
}

#[test]
fn c18_folders_become_links_and_links_become_folders() {
    TestEnvironment::with_and_without_openat2(|environment| {
        environment.prime();
        let before = environment.system();
        let first = "assert(os.mkdir('/usr/share/tool/a/deep', 493))
            assert(os.copy(path_join(data_dir, 'name'), '/usr/share/tool/a/deep/file'))
            assert(os.symlink('/x', '/usr/share/tool/b'))";
        let second = "assert(os.symlink('/usr/bin', '/usr/share/tool/a'))
            assert(os.remove('/usr/share/tool/b'))
            assert(os.mkdir('/usr/share/tool/b', 493)) assert(os.symlink('/y', '/usr/share/tool/b/link'))";
        install(environment, &release(1, first));
        install(environment, &release(2, second));
        assert!(environment.at("usr/share/tool/a").is_symlink() && environment.at("usr/share/tool/b").is_dir());
        install(environment, &release(3, first));
        environment.run(&["remove", "tool"]).ok();
        before.assert_same(&environment.system(), "after the removal");
    });
}

#[test]
fn more_changes_than_a_process_has_handles() {
    let environment = TestEnvironment::new();
    environment.prime();
    let before = environment.system();
    let hook = "assert(os.mkdir('/usr/share/tool', 493))
        for i = 1, 3000 do assert(os.symlink('/x', '/usr/share/tool/' .. i)) end";
    let folder = Package::new("tool", "1").install(hook).write(&environment.work());
    let limited = |arguments: &str| {
        let script = format!("ulimit -n 64; exec \"$0\" --root \"$1\" --yes {arguments}");
        let mut command = std::process::Command::new("/bin/sh");
        let program = environment.command().get_program().to_owned();
        command.args(["-c", &script]).arg(program).arg(environment.root()).arg(&folder);
        let output = command.env("TMPDIR", environment.place().join("tmp")).output().unwrap();
        assert!(output.status.success(), "C14 {output:?}");
    };
    limited("install \"$2\"");
    limited("remove tool");
    before.assert_same(&environment.system(), "C14 after the removal");
}

#[test]
fn c19_a_new_config_beside_a_changed_one_takes_nobodys_place() {
    let environment = TestEnvironment::new();
    let writes = |serial: u64| {
        release(serial, &format!("local f = assert(io.open('/etc/tool/c', 'w')) f:write('{serial}') f:close()"))
    };
    install(&environment, &writes(1));
    environment.put("etc/tool/c", "mine");
    environment.put("etc/tool/c.new/notes", "mine too");
    for serial in 2..5 {
        install(&environment, &writes(serial));
        assert_eq!(environment.read("etc/tool/c"), "mine");
        assert_eq!(environment.read("etc/tool/c.new/notes"), "mine too");
        assert_eq!(environment.read("etc/tool/c.new2"), serial.to_string());
    }
    environment.run(&["remove", "tool"]).ok();
    assert!(!environment.exists("etc/tool/c.new2"));
    assert_eq!(environment.read("etc/tool/c"), "mine");
}

#[test]
fn an_added_file_whose_folder_is_one_no_more_is_kept() {
    let environment = TestEnvironment::new();
    environment.install(&Package::new("tool", "1").data("conf/a", "x")).ok();
    environment.put("opt/packets/tool/data/conf/mine", "mine\n");
    let folder = Package::new("tool", "2").data("conf", "a file now\n").write(&environment.work());
    let output = environment.run(&["install", folder.to_str().unwrap(), "--json"]).ok();
    let now = output.json()["kept"][0]["now"].as_str().unwrap().to_owned();
    assert_eq!(environment.read(now.trim_start_matches('/')), "mine\n");
    assert_eq!(environment.read("opt/packets/tool/data/conf"), "a file now\n");
}
