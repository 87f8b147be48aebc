//! Permissions: asked in the manifest, given by an administrator, enforced.

use packets_tests::{Package, TestEnvironment};

fn asks() -> Package {
    let hook = "assert(os.mkdir('/etc/asks', 493))
        local file = assert(io.open('/etc/asks/asks.conf', 'w')) file:write('port = 1\\n') file:close()";
    Package::program("asks", "1").family("the family", 1).permission("write = [\"/etc/asks\"]").install(hook)
}

/// The lines of the config that an error tells the administrator to add.
fn lines_to_add(stderr: &str) -> String {
    let start = stderr.find("[[Sandbox.grant]]").unwrap_or_else(|| panic!("no lines to add: {stderr}"));
    stderr[start..]
        .lines()
        .take_while(|line| line.starts_with('[') || line.contains(" = "))
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn h28_the_error_prints_the_lines_and_they_work() {
    let environment = TestEnvironment::new();
    environment.prime();
    let output = environment.refused(6, || environment.install(&asks()));
    let lines = lines_to_add(&output.stderr);
    assert_eq!(lines, "[[Sandbox.grant]]\npackage = \"asks\"\nfamily = \"the family\"\nwrite = [\"/etc/asks\"]");
    let config = environment.read("etc/packets/config.toml");
    environment.put("etc/packets/config.toml", &format!("{config}\n{lines}\n"));
    environment.install(&asks()).ok();
    assert_eq!(environment.read("etc/asks/asks.conf"), "port = 1\n");
    // The grant is for this family: a package of the same name and another family gets nothing from it.
    environment.run(&["remove", "asks"]).ok();
    environment.install(&asks().family("another", 1)).fails(6);
}

/// Who follows a hint to the letter opens no more than the path, and loses nothing.
#[test]
fn h28_the_hint_for_what_stands_there_brings_it_back() {
    let environment = TestEnvironment::new();
    environment.prime();
    environment.put("usr/bin/tool", "the administrator's\n");
    let package = Package::program("tool", "1");
    let output = environment.refused(6, || environment.install(&package));
    let lines = lines_to_add(&output.stderr);
    assert!(lines.ends_with("replace = [\"/usr/bin/tool\"]"), "{lines}");
    let config = environment.read("etc/packets/config.toml");
    environment.put("etc/packets/config.toml", &format!("{config}\n{lines}\n"));
    environment.install(&package).ok();
    assert_ne!(environment.read("usr/bin/tool"), "the administrator's\n");
    environment.run(&["remove", "tool"]).ok();
    assert_eq!(environment.read("usr/bin/tool"), "the administrator's\n");
}

#[test]
fn a_grant_for_one_run() {
    let environment = TestEnvironment::new();
    let folder = asks().write(&environment.work());
    let folder = folder.to_str().unwrap();
    environment.run(&["install", folder, "--grant", "other=/etc/asks"]).fails(6);
    environment.run(&["install", folder, "--grant", "asks=/etc/wrong"]).fails(6);
    environment.run(&["install", folder, "--grant", "asks=/etc/asks"]).ok();
    assert!(environment.exists("etc/asks/asks.conf"));
}

#[test]
fn h28_nothing_grants_the_programs_own_places() {
    let environment = TestEnvironment::new();
    environment.prime();
    for path in [
        "/",
        "/proc",
        "/dev",
        "/sys/kernel",
        "/boot",
        "/etc/packets",
        "/var/lib/packets",
        "/var/cache/packets",
        "/etc/../etc/packets",
        "/root/.ssh",
    ] {
        let package =
            Package::new("greedy", "1").permission(&format!("write = [\"{path}\"]")).install("print('hello')");
        let folder = package.write(&environment.work());
        let grant = format!("greedy={path}");
        let before = environment.everything();
        let output = environment.run(&["install", folder.to_str().unwrap(), "--grant", &grant]);
        assert!([1, 2, 5, 6].contains(&output.code), "{path}: {output}");
        before.assert_same(&environment.everything(), path);
    }
}

#[test]
fn h28_always_denied_inside_a_grant() {
    TestEnvironment::with_and_without_openat2(|environment| {
        environment.prime();
        environment.put("etc/hostname", "machine\n");
        for (hook, path) in [
            ("io.open('/etc/packets/config.toml', 'a')", "/etc/packets/config.toml"),
            ("os.remove('/etc/packets')", "/etc/packets"),
            ("os.rename('/etc/packets/installed.db', '/etc/x')", "/etc/packets/installed.db"),
            ("os.symlink('/etc/packets', '/etc/way') io.open('/etc/way/config.toml', 'w')", "config.toml"),
            ("os.mkdir('/etc/.ssh', 493)", "/etc/.ssh"),
        ] {
            let package = Package::new("greedy", "1").permission("write = [\"/etc\"]").install(hook);
            let folder = package.write(&environment.work());
            let install = || environment.run(&["install", folder.to_str().unwrap(), "--grant", "greedy=/etc"]);
            let output = environment.refused(6, install);
            assert!(output.stderr.contains(path), "{hook}: {output}");
        }
        // POSITIVE: what no package owns may be changed in a folder granted by `write`.
        let package = Package::new("greedy", "1").permission("write = [\"/etc\"]");
        let package = package.install("local f = assert(io.open('/etc/hostname', 'w')) f:write('new\\n') f:close()");
        let folder = package.write(&environment.work());
        environment.run(&["install", folder.to_str().unwrap(), "--grant", "greedy=/etc"]).ok();
        assert_eq!(environment.read("etc/hostname"), "new\n");
    });
}

#[test]
fn warn_only_warns() {
    let environment = TestEnvironment::new();
    environment.prime();
    let config = environment.read("etc/packets/config.toml").replace("onDenied = \"fail\"", "onDenied = \"warn\"");
    environment.put("etc/packets/config.toml", &config);
    let hook = "local done, why = os.symlink(data_dir, '/etc/x') print(done, why)
        assert(os.symlink(path_join(data_dir, 'name'), path_join(packets_bin_dir, 'tool')))";
    let output = environment.install(&Package::new("tool", "1").install(hook)).ok();
    output.says("warning: ").says("/etc/x").says("[packets] unsafe filepath: ");
    assert!(environment.exists("usr/bin/tool") && !environment.exists("etc/x"));
}
