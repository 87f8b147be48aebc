//! Plugins that crash, hang, lie and try to get out: each costs its own transfer and nothing else.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::time::{Duration, Instant};

use packets_tests::is_root;
use rustix::process::{Pid, Signal};

use super::Scene;

fn with_bad() -> Option<Scene> {
    let scene = Scene::new()?;
    let library = scene.bad(&[]);
    scene.add(&library).ok();
    Some(scene)
}

#[test]
fn p08_what_a_plugin_does_to_itself_costs_its_own_transfer() {
    let Some(scene) = with_bad() else { return };
    let server = scene.server();
    for word in ["crash", "abort", "exit", "close", "hang", "spin", "stop", "environment", "search-crash", "number"] {
        let started = Instant::now();
        scene.install_from(&[&format!("bad://{word}"), &server.url("")]).ok();
        assert_eq!(scene.environment.launch("usr/bin/tool", &[]), "tool 1\n", "{word}");
        let took = started.elapsed();
        assert!(took < Duration::from_secs(20), "{word} held us up for {took:?}");
        scene.run(&["remove", "tool"]).ok();
        let _ = fs::remove_dir_all(scene.environment.at("var/cache/packets"));
    }
}

#[test]
fn p08_how_it_ended_is_told() {
    let Some(scene) = with_bad() else { return };
    for (word, part) in [
        ("crash", "SIGSEGV"),
        ("abort", "SIGABRT"),
        ("exit", "the code 0"),
        ("search-crash", "SIGSEGV"),
        ("environment", "there is none"),
    ] {
        scene.environment.refused(4, || scene.install_from(&[&format!("bad://{word}")])).says(part);
    }
}

#[test]
fn p08_a_worker_can_do_nothing_but_talk() {
    let Some(scene) = with_bad() else { return };
    let output = scene.install_from(&["bad://try"]).fails(4);
    assert!(output.stderr.contains("could:\n") || output.stderr.trim_end().ends_with("could:"), "{output}");
    assert!(!fs::exists("/tmp/packets-bad-plugin").unwrap(), "root: {}", is_root());
}

#[test]
fn p08_handles_and_memory_up_to_a_bound() {
    let Some(scene) = with_bad() else { return };
    scene.install_from(&["bad://handles"]).fails(4).says("the last handle is 511");
    let output = scene.install_from(&["bad://memory"]).fails(4);
    let got = output.stderr.split("it got ").nth(1).and_then(|rest| rest.split(" MiB").next());
    let got: u32 = got.unwrap_or_else(|| panic!("{output}")).parse().unwrap();
    assert!((800..1024).contains(&got), "of 1024 MiB, threads and libraries have some: {got}");
}

#[test]
fn p08_a_worker_is_started_a_few_times() {
    let Some(scene) = Scene::new() else { return };
    scene.index_at(&[]);
    let package = fs::read(scene.environment.repo().join("tool-1.pkt.tar.zst")).unwrap();
    let bytes = scene.environment.place().join("good.h");
    fs::write(&bytes, package.iter().map(|byte| format!("{byte},\n")).collect::<String>()).unwrap();
    let library = scene.bad(&[&format!("-DGOOD={bytes:?}")]);
    scene.add(&library).ok();
    let mirrors = [1, 2, 3, 4].map(|number| format!("bad://{number}.late-crash"));
    let mirrors: Vec<_> = mirrors.iter().map(String::as_str).chain(["bad://good"]).collect();
    let crashes = |output: &packets_tests::Output| output.stderr.matches("was ended by SIGSEGV").count();
    let installed = scene.install_from(&mirrors[1..]).ok();
    assert_eq!(crashes(&installed), 3, "{installed}");
    assert_eq!(scene.environment.launch("usr/bin/tool", &[]), "tool 1\n", "the fourth worker gave it");
    scene.run(&["remove", "tool"]).ok();
    let _ = fs::remove_dir_all(scene.environment.at("var/cache/packets"));
    scene.install_from(&mirrors).fails(4).says("its worker has ended 4 times, and is not started again");
}

#[test]
fn p08_what_takes_time_and_what_takes_too_long() {
    let Some(scene) = Scene::new() else { return };
    drop(scene);
    let add = |flag: &str| {
        let scene = Scene::new().unwrap();
        let library = scene.bad(&[flag]);
        let added = scene.add(&library);
        (scene, added)
    };
    let check = |flag: &str| {
        let (scene, added) = add(flag);
        added.ok();
        scene.run(&["plugin", "check", "bad"])
    };
    let claim = |word: &str| {
        let (scene, added) = add("-DUNUSED");
        added.ok();
        let (location, file) = (format!("bad://{word}/file"), scene.config.to_str().unwrap());
        scene.run(&["plugin", "check", "bad", "--location", &location, "--file", file])
    };
    std::thread::scope(|scope| {
        scope.spawn(|| add("-DIN_CONSTRUCTOR=sleep(8)").1.ok());
        scope.spawn(|| add("-DIN_CONSTRUCTOR=sleep(12)").1.fails(4).says("wait too long"));
        scope.spawn(|| check("-DIN_FIND=sleep(8)").ok());
        scope.spawn(|| check("-DIN_FIND=sleep(12)").fails(1).says("wait too long"));
        scope.spawn(|| claim("claimed-in-1-s").fails(1).says("the transfer broke off"));
        scope.spawn(|| claim("claimed-in-3-s").fails(1).says("it does not claim"));
    });
}

#[test]
fn p09_a_config_and_secrets_as_large_as_may_be() {
    let Some(scene) = with_bad() else { return };
    let secret = scene.environment.place().join("secret");
    fs::write(&secret, "x".repeat(64 << 10)).unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    let config = scene.config();
    let with_secrets = |count: usize| {
        let lines: String = (0..count).map(|number| format!("s{number} = {{ file = {secret:?} }}\n")).collect();
        fs::write(&scene.config, format!("{config}\n[Plugins.bad.secrets]\n{lines}")).unwrap();
        scene.run(&["plugin", "check", "bad"])
    };
    with_secrets(63).ok();
    with_secrets(64).fails(4).says("its config and its secrets are too large").says("where 4194304 are allowed");
}

#[test]
fn p09_p13_what_it_says_never_makes_wrong_bytes_right() {
    let Some(scene) = with_bad() else { return };
    for (word, code, part) in [
        ("lie", 5, "bytes"),
        ("endless", 5, "bytes"),
        ("short", 5, "announces 1073741824 bytes"),
        ("much", 4, "bytes came, where"),
        ("version", 4, "9223372036854775808 bytes"),
        ("terminal", 4, "cleared"),
    ] {
        let output = scene.environment.refused(code, || scene.install_from(&[&format!("bad://{word}")])).says(part);
        assert!(!output.stderr.contains('\u{1b}'), "{output}");
    }
}

#[test]
fn p14_with_a_broken_plugin_everything_else_works() {
    let Some(scene) = with_bad() else { return };
    let server = scene.server();
    scene.install_from(&[&server.url("")]).ok();
    fs::write(scene.dir().join("bad/plugin.so"), "broken").unwrap();
    scene.run(&["recover"]).ok();
    for (arguments, part) in [
        (&["list"][..], "tool"),
        (&["plugin", "list"], "not used: "),
        (&["plugin", "info", "bad"], "not a shared library"),
    ] {
        let output = scene.run(arguments).ok();
        assert!(output.stdout.contains(part), "{part}: {output}");
    }
    scene.run(&["plugin", "check", "bad"]).fails(4).says("not a shared library");
    scene.run(&["remove", "tool"]).ok();
    let _ = fs::remove_dir_all(scene.environment.at("var/cache/packets"));
    scene.install_from(&["bad://lie"]).fails(4).says("not a shared library");
    scene.install_from(&[&server.url("")]).ok();
    scene.run(&["remove", "tool"]).ok();
    let index = scene.environment.repo().join("index.db");
    scene.run(&["--no-plugins", "--repo", index.to_str().unwrap(), "install", "tool"]).ok();
    scene.run(&["plugin", "remove", "bad"]).ok();
    assert!(!scene.config().contains("bad"));
}

/// Whether a worker runs that was started with this time zone, which no other test has.
fn is_running(zone: &str) -> bool {
    let is_it = |entry: fs::DirEntry| {
        let read = |name: &str| fs::read(entry.path().join(name)).unwrap_or_default();
        let has_zone = read("environ").split(|byte| *byte == 0).any(|line| line == format!("TZ={zone}").as_bytes());
        has_zone && read("cmdline").ends_with(b"\0plugin-worker\0")
    };
    fs::read_dir("/proc").unwrap().flatten().any(is_it)
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(Instant::now() < until, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn p08_no_worker_outlives_the_program() {
    let Some(scene) = with_bad() else { return };
    scene.index_at(&["bad://hang"]);
    for killed in [false, true] {
        let zone = format!("{}/{killed}", scene.environment.place().display());
        let mut command = scene.environment.command();
        command.env("TZ", &zone).arg("--root").arg(scene.environment.root()).arg("--config").arg(&scene.config);
        command.arg("--repo").arg(scene.environment.repo().join("index.db")).args(["--yes", "install", "tool"]);
        let mut program = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        wait_until("the worker is running", || is_running(&zone));
        let signal = if killed { Signal::KILL } else { Signal::TERM };
        rustix::process::kill_process(Pid::from_child(&program), signal).unwrap();
        program.wait().unwrap();
        wait_until("a worker has outlived the program", || !is_running(&zone));
        scene.run(&["recover"]).ok();
    }
}
