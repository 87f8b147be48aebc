//! Each kind of failure has its exit code.

use packets_tests::{Package, TestEnvironment};

#[test]
fn exit_codes() {
    let environment = TestEnvironment::new();
    environment.prime();
    let bad = environment.work().join("bad.pkt.tar.zst");
    std::fs::write(&bad, "not a package").unwrap();
    Package::new("denied", "1").install("io.open('/etc/x', 'w')").write(&environment.work());
    for (code, arguments) in [
        (0, &["list"][..]),
        (1, &["install", "absent"]),
        (1, &["info", "absent"]),
        (1, &["files", "absent"]),
        (1, &["remove", "absent"]),
        (1, &["upgrade", "absent"]),
        (1, &["install", "./absent/package.pkt.tar.zst"]),
        (1, &["sync"]),
        (4, &["sync", "http://127.0.0.1:9/index.db"]),
        (5, &["install", "./bad.pkt.tar.zst"]),
        (6, &["install", "./denied"]),
    ] {
        let output = environment.run(arguments);
        assert_eq!(output.code, code, "{output}");
    }
}

#[test]
fn usage_errors_are_2_and_suggest() {
    let environment = TestEnvironment::new();
    for (arguments, part) in [
        (&["instal", "x"][..], "install"),
        (&["install"], "PACKAGE"),
        (&["--colour", "list"], "--colour"),
        (&["install", "x", "--grant", "x"], "NAME=PATH"),
        (&["install", "x", "--dry-run=maybe"], "plan"),
        (&["hook"], "test"),
        (&[], "Usage"),
        (&["--quiet", "--verbose", "list"], "--verbose"),
    ] {
        let output = environment.run_plain(arguments);
        assert_eq!(output.code, 2, "{output}");
        assert!(output.stderr.contains(part), "{part}: {output}");
        assert!(output.stdout.is_empty(), "{output}");
    }
}

#[test]
fn a_disk_that_fails_is_7() {
    let environment = TestEnvironment::new();
    environment.prime();
    environment.put("opt/packets/tool/in the way", "x");
    let output = environment.install(&Package::program("tool", "1"));
    // Something that no record knows stands where the package goes.
    assert!([1, 7].contains(&output.code), "{output}");
    assert_eq!(environment.read("opt/packets/tool/in the way"), "x");
    assert_eq!(environment.installed(), [""; 0]);
}

#[test]
fn a_bad_config_names_file_line_and_what_is_allowed() {
    let environment = TestEnvironment::new();
    environment.put("etc/packets/config.toml", "[Config]\n[Sandbox]\nmemorry = \"1MiB\"\n");
    let output = environment.run(&["list"]).fails(1);
    output.says("/etc/packets/config.toml").says("line 3").says("memorry").says("`memory`");
}

#[test]
fn another_config_is_named_on_the_command_line() {
    let environment = TestEnvironment::new();
    let file = environment.work().join("mine.toml");
    std::fs::write(&file, "[Config]\nbinDir = \"/usr/local/bin\"\n").unwrap();
    let folder = Package::program("tool", "1").write(&environment.work());
    environment.run(&["--config", file.to_str().unwrap(), "install", folder.to_str().unwrap()]).ok();
    assert_eq!(environment.launch("usr/local/bin/tool", &[]), "tool 1\n");
    environment.run(&["--config", "/absent.toml", "list"]).fails(1).says("/absent.toml");
}

#[test]
fn m29_hostile_names_on_the_command_line() {
    let environment = TestEnvironment::new();
    environment.prime();
    for name in ["../x", "$(id)", ";reboot", "a b", "a\nb", "p\u{430}ypal", "\u{1b}[2J", "", &"x".repeat(10_000)] {
        for command in ["install", "remove", "info", "files", "upgrade"] {
            let output = environment.refused(1, || environment.run(&[command, "--", name]));
            assert!(!output.stderr.contains('\u{1b}') && output.stderr.len() < 2000, "{output}");
        }
    }
}

#[test]
fn c21_one_writing_run_at_a_time() {
    let environment = TestEnvironment::new();
    environment.prime();
    let lock = std::fs::File::open(environment.at("etc/packets/lock")).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
    environment.run(&["remove", "absent", "--no-wait"]).fails(1).says("lock");
    environment.run(&["list"]).ok();
    environment.run(&["remove", "absent", "--dry-run"]).fails(1).says("not installed");
    let folder = Package::program("tool", "1").write(&environment.work());
    let mut command = environment.command();
    command.args(["--root", environment.root().to_str().unwrap(), "--yes", "install", folder.to_str().unwrap()]);
    let child = command.stderr(std::process::Stdio::piped()).stdout(std::process::Stdio::piped()).spawn().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert!(!environment.exists("usr/bin/tool"), "it waits");
    drop(lock);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("waiting for"));
}

#[test]
fn c21_a_lock_that_is_a_link_is_not_followed() {
    let environment = TestEnvironment::new();
    environment.prime();
    std::fs::remove_file(environment.at("etc/packets/lock")).unwrap();
    std::os::unix::fs::symlink(environment.outside().join("public"), environment.at("etc/packets/lock")).unwrap();
    environment.install(&Package::program("tool", "1")).fails(7).says("lock");
    environment.check();
}
