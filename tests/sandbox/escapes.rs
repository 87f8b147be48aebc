//! Paths.

use std::os::unix::fs::symlink;

use packets_tests::{Output, Package, TestEnvironment};

/// Runs an install hook that must be denied, in both ways; everything stays as it was.
#[track_caller]
fn denied(prepare: impl Fn(&TestEnvironment), hook: impl Fn(&TestEnvironment) -> String, parts: &[&str]) {
    TestEnvironment::with_and_without_openat2(|environment| {
        environment.prime();
        environment.put("usr/bin/other", "other\n");
        environment.put("etc/passwd", "root:x:0:0\n");
        environment.put("usr/share/doc/other", "other\n");
        prepare(environment);
        let package =
            Package::new("bad", "1").link("out", environment.outside().to_str().unwrap()).install(&hook(environment));
        let output: Output = environment.refused(6, || environment.install(&package));
        for part in parts {
            assert!(output.stderr.contains(part), "{part:?} is not in {output}");
        }
        environment.check();
    });
}

fn nothing(_: &TestEnvironment) {}

fn plain(hook: &str) -> impl Fn(&TestEnvironment) -> String + '_ {
    move |_| hook.to_owned()
}

#[test]
fn h02_reading_and_writing_the_machine() {
    for path in [
        "/etc/passwd",
        "/proc/self/mem",
        "/proc/self/root/etc/passwd",
        "/dev/mem",
        "/sys/kernel",
        "/boot/grub",
        "/root/.ssh/id",
    ] {
        denied(nothing, plain(&format!("io.open('{path}')")), &["bad", "install.lua:1", path]);
    }
    denied(
        nothing,
        plain("-- a line\nio.open('/etc/passwd', 'w')"),
        &["install.lua:2", "[[Sandbox.grant]]", "package = \"bad\"", "replace = [\"/etc/passwd\"]"],
    );
    denied(nothing, plain("io.open('/etc/passwd', 'r+')"), &["/etc/passwd"]);
    denied(
        nothing,
        plain("os.copy('/etc/passwd', path_join(data_dir, 'stolen'))"),
        &["/etc/passwd", "read = [\"/etc/passwd\"]"],
    );
}

#[test]
fn what_others_own_is_neither_removed_nor_replaced() {
    denied(nothing, plain("os.remove('/usr/bin/other')"), &["remove", "/usr/bin/other"]);
    denied(nothing, plain("os.symlink(path_join(data_dir, 'name'), '/usr/bin/other')"), &["symlink", "/usr/bin/other"]);
    denied(nothing, plain("os.copy(path_join(data_dir, 'name'), '/usr/bin/other')"), &["copy", "/usr/bin/other"]);
    denied(nothing, plain("io.open('/usr/bin/other', 'a')"), &["open", "/usr/bin/other"]);
    denied(nothing, plain("os.rename('/usr/bin/other', '/usr/bin/mine')"), &["rename", "/usr/bin/other"]);
    denied(nothing, plain("os.rename(path_join(data_dir, 'name'), '/usr/bin/other')"), &["rename", "/usr/bin/other"]);
    denied(nothing, plain("os.remove('/usr/bin')"), &["remove", "/usr/bin"]);
    denied(nothing, plain("os.remove('/')"), &["remove"]);
}

#[test]
fn h23_dots_and_slashes() {
    for path in [
        "/usr/share/doc/../../../etc/passwd",
        "/usr/bin/../../etc/passwd",
        "/../../../../etc/passwd",
        "//etc//passwd",
        "/usr/share/doc/./../../../etc/./passwd",
    ] {
        denied(nothing, plain(&format!("io.open('{path}', 'w')")), &["install.lua:1"]);
    }
}

#[test]
fn h23_names_that_are_none_fail_without_harm() {
    TestEnvironment::with_and_without_openat2(|environment| {
        let hook = "
            for _, path in ipairs { '', '.', '..', 'relative', '/usr/bin/x\\0y', ('/x'):rep(3000), '/usr/bin/' .. ('x'):rep(300), '/usr/bin/\\255' } do
                local file, why = pcall(io.open, path, 'w')
            end";
        environment.prime();
        let before = environment.system();
        let output = environment.install(&Package::new("odd", "1").install(hook));
        assert!([0, 6].contains(&output.code), "{output}");
        if output.code == 6 {
            before.assert_same(&environment.system(), "odd names");
        } else {
            assert!(!environment.exists("usr/bin"), "{output}");
        }
    });
}

#[test]
fn h22_links_that_a_hook_or_a_package_made_lead_nowhere() {
    denied(
        nothing,
        plain("os.symlink('/etc', '/usr/share/doc/way') io.open('/usr/share/doc/way/passwd', 'w')"),
        &["passwd"],
    );
    denied(
        nothing,
        plain("os.symlink('../../../etc', '/usr/share/doc/way') io.open('/usr/share/doc/way/passwd', 'w')"),
        &["passwd"],
    );
    denied(nothing, plain("io.open(path_join(data_dir, 'out/secret'))"), &["install.lua:1"]);
    denied(nothing, plain("os.copy(path_join(data_dir, 'out/secret'), '/usr/share/doc/stolen')"), &["install.lua:1"]);
    denied(nothing, plain("os.remove(path_join(data_dir, 'out/folder'))"), &["install.lua:1"]);
}

#[test]
fn h17_links_of_the_machine_and_slashes_behind_them() {
    let prepare = |environment: &TestEnvironment| {
        std::fs::create_dir_all(environment.at("usr/share/doc")).unwrap();
        symlink(environment.outside(), environment.at("usr/share/doc/absolute")).unwrap();
        symlink("../../../../outside", environment.at("usr/share/doc/relative")).unwrap();
        symlink("/etc", environment.at("usr/share/doc/etc")).unwrap();
        symlink("loop", environment.at("usr/share/doc/loop")).unwrap();
    };
    for name in ["absolute", "relative", "etc"] {
        for hook in [
            format!("io.open('/usr/share/doc/{name}/planted', 'w')"),
            format!("os.mkdir('/usr/share/doc/{name}/planted', 493)"),
            format!("os.mkdir('/usr/share/doc/{name}/planted/', 493)"),
            format!("os.symlink('x', '/usr/share/doc/{name}/planted')"),
            format!("os.copy(data_dir, '/usr/share/doc/{name}//planted')"),
            format!("os.remove('/usr/share/doc/{name}/')"),
            format!("os.remove('/usr/share/doc/{name}/passwd')"),
            format!("os.rename(path_join(data_dir, 'name'), '/usr/share/doc/{name}/.')"),
        ] {
            TestEnvironment::with_and_without_openat2(|environment| {
                environment.prime();
                environment.put("etc/passwd", "root\n");
                prepare(environment);
                let before = environment.system();
                let output = environment.install(&Package::new("bad", "1").install(&hook));
                environment.check();
                let after = environment.system();
                let planted = after.difference(&before);
                // Below the root, `outside` names nothing of the machine: to succeed there is harmless.
                assert!(
                    output.code == 6 && planted.is_empty() || output.code == 0 && name != "etc",
                    "{hook}: {output}\n{planted:?}"
                );
                assert_eq!(environment.read("etc/passwd"), "root\n");
            });
        }
    }
}

#[test]
fn other_packages_folders_are_theirs() {
    let prepare = |environment: &TestEnvironment| drop(environment.install(&Package::new("victim", "1")).ok());
    denied(prepare, plain("io.open('/opt/packets/victim/data/name', 'w')"), &["/opt/packets/victim"]);
    denied(prepare, plain("os.remove('/opt/packets/victim')"), &["/opt/packets/victim"]);
    denied(prepare, plain("io.open('/opt/packets/new', 'w')"), &["/opt/packets/new"]);
    denied(prepare, plain("os.symlink('/etc', '/opt/packets/.packets/way')"), &["/opt/packets"]);
    // Its own manifest and hooks are for reading only.
    denied(nothing, plain("io.open('/opt/packets/bad/manifest.toml', 'w')"), &["manifest.toml"]);
    denied(nothing, plain("os.remove('/opt/packets/bad/install.lua')"), &["install.lua"]);
    denied(nothing, plain("os.rename(data_dir, '/opt/packets/bad/moved')"), &["/opt/packets/bad"]);
}

#[test]
fn h02_only_what_everyone_may_read_can_be_read() {
    let prepare = |environment: &TestEnvironment| {
        environment.put("usr/share/doc/private", "secret\n");
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(environment.at("usr/share/doc/private"), private).unwrap();
    };
    denied(prepare, plain("io.open('/usr/share/doc/private')"), &["/usr/share/doc/private"]);
    denied(prepare, plain("os.copy('/usr/share/doc/private', '/usr/share/doc/mine')"), &["/usr/share/doc/private"]);
}

#[test]
fn h27_devices_and_pipes_are_never_opened() {
    TestEnvironment::with_and_without_openat2(|environment| {
        environment.prime();
        std::fs::create_dir_all(environment.at("usr/share/doc")).unwrap();
        let pipe = environment.at("usr/share/doc/pipe");
        let mode = rustix::fs::Mode::from_raw_mode(0o666);
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        for hook in [
            "assert(io.open('/usr/share/doc/pipe'))",
            "assert(io.open('/usr/share/doc/pipe', 'w'))",
            "assert(os.copy('/usr/share/doc/pipe', '/usr/share/doc/x'))",
        ] {
            environment.refused(6, || environment.install(&Package::new("bad", "1").install(hook)));
        }
    });
}

#[test]
fn a38_setuid_bits_never_come_out_of_a_hook() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let environment = TestEnvironment::new();
    environment.put("usr/share/doc/suid", "x\n");
    std::fs::set_permissions(environment.at("usr/share/doc/suid"), PermissionsExt::from_mode(0o6777)).unwrap();
    let hook =
        "assert(os.copy('/usr/share/doc/suid', '/usr/share/doc/copy')) assert(os.mkdir('/usr/share/doc/folder', 4095))";
    environment.install(&Package::new("tool", "1").install(hook)).ok();
    let mode = |path: &str| environment.at(path).metadata().unwrap().mode() & 0o7777;
    assert_eq!([mode("usr/share/doc/copy"), mode("usr/share/doc/folder")], [0o755, 0o755]);
}

#[test]
fn h33_onto_itself_ends_quickly() {
    TestEnvironment::with_and_without_openat2(|environment| {
        let hook = "
            local name = path_join(data_dir, 'name')
            os.copy(name, name) os.rename(name, name)
            os.copy(data_dir, path_join(data_dir, 'inner')) os.rename(data_dir, path_join(data_dir, 'inner'))
            os.symlink(name, '/usr/bin/me') os.copy('/usr/bin/me', '/usr/bin/me')
            assert(io.open(name):read('a') == 'tool 1\\n')";
        let output = environment.install(&Package::new("tool", "1").install(hook));
        assert!([0, 6].contains(&output.code), "{output}");
    });
}
