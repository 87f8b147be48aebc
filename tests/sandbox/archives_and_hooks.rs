//! What an archive planted, met by a hook.

use packets_tests::{Package, TestEnvironment};

#[test]
fn a27_links_in_data_are_kept_and_not_followed() {
    TestEnvironment::with_and_without_openat2(|environment| {
        let outside = environment.outside();
        let package = Package::new("tool", "1")
            .link("absolute", "/etc/passwd")
            .link("outside", outside.to_str().unwrap())
            .link("inside", "name")
            .install("assert(io.open(path_join(data_dir, 'inside')):read('a') == 'tool 1\\n')");
        environment.install(&package).ok();
        let link = |name: &str| std::fs::read_link(environment.at(&format!("opt/packets/tool/data/{name}"))).unwrap();
        assert_eq!(link("absolute").to_str(), Some("/etc/passwd"));
        assert_eq!(link("outside"), outside);
        environment.run(&["remove", "tool"]).ok();
        assert!(!environment.exists("opt/packets/tool"));
    });
}

#[test]
fn h26_the_programs_environment_is_not_the_hooks() {
    let environment = TestEnvironment::new();
    let package = Package::new("tool", "1").install(
        "for name, value in pairs(_G) do assert(not tostring(value):find('tell nobody')) end assert(arg == nil)",
    );
    let folder = package.write(&environment.work());
    let mut command = environment.command();
    command.env("SECRET", "tell nobody").args([
        "--root",
        environment.root().to_str().unwrap(),
        "--yes",
        "install",
        folder.to_str().unwrap(),
    ]);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn h30_hooks_cannot_reach_the_lock_or_the_records() {
    TestEnvironment::with_and_without_openat2(|environment| {
        environment.prime();
        for path in [
            "/etc/packets/lock",
            "/etc/packets/installed.db",
            "/var/lib/packets/journal",
            "/var/cache/packets/x",
            "/usr/lib/packets/plugins/x.so",
        ] {
            for hook in [
                format!("os.remove('{path}')"),
                format!("io.open('{path}', 'w')"),
                format!("os.symlink('x', '{path}')"),
            ] {
                environment.refused(6, || environment.install(&Package::new("bad", "1").install(&hook))).says(path);
            }
        }
    });
}
