//! What happens at the very last moment: somebody else is at work too, or a signal comes.

use std::time::Duration;

use nix::sys::signal::Signal;
use packets_tests::crash::{
    Act, Call, Kind, Mounted, Reference, Scene, Verdict, can_trace, is_writing, strike, tool, with_own_mounts,
};
use packets_tests::{Package, Snapshot, TestEnvironment, skip};

/// Two releases of a tool: the first makes a folder with a file, the second a file in its place.
fn folder_then_file() -> Scene {
    let release = |version: &str, hook: &str| Package::program("tool", version).install(hook);
    let first = "local f = assert(io.open('/usr/share/tool/place/known', 'w')) f:write('known') f:close()";
    let second = "os.remove('/usr/share/tool/place') \
                  local f = assert(io.open('/usr/share/tool/place', 'w')) f:write('a file now') f:close()";
    let first = release("1", &format!("assert(os.mkdir('/usr/share/tool/place', 493)) {first}"));
    let second = release("2", second);
    Scene::new("upgrade", &["install"])
        .without_repo()
        .step(move |environment| drop(environment.install(&first).ok()))
        .step(move |environment| drop(second.write(&environment.work())))
        .last_word(|environment| environment.work().join("tool").display().to_string())
}

#[test]
fn c33_a_file_put_into_a_folder_just_before_it_goes_is_kept() {
    if !can_trace() {
        return skip("no program's calls can be counted on this machine");
    }
    let stage = folder_then_file().stage();
    let environment = stage.environment();
    let mut is_put = false;
    let output = stage.run(&mut |call| {
        if call.name == "renameat2" && call.on.contains("usr/share/tool/place") && !is_put {
            is_put = true;
            environment.put("usr/share/tool/place/mine", "mine\n");
        }
        Act::Go
    });
    output.ok();
    assert!(is_put, "the folder is never moved");
    assert_eq!(environment.read("usr/share/tool/place"), "a file now");
    let kept = || -> Vec<String> {
        let all = Snapshot::of(&environment.root()).paths();
        all.into_iter().filter(|path| path.ends_with("/mine") || path.ends_with("/known")).collect()
    };
    assert_eq!(kept().len(), 2, "{:?}", kept());
    environment.run(&["cache", "clean"]).ok().says("files of yours");
    let [mine] = &kept()[..] else { panic!("only what is on record goes: {:?}", kept()) };
    assert_eq!(environment.read(mine), "mine\n");
}

/// After the first change of the command it is killed; the recovery is told to end in its midst.
fn signalled(arguments: &[&str]) -> (packets_tests::Output, Verdict, TestEnvironment) {
    let scene = tool::scene_upgrade();
    let reference = Reference::make(scene.stage());
    let stage = scene.stage();
    let is_tree = |call: &Call| call.name.starts_with("rename") && call.on.ends_with("/opt/packets/tool");
    let (_, struck) = strike(1, is_tree, Act::Kill, |act| stage.run(act));
    assert!(struck.is_some());
    let mut changes = 0;
    let output = stage.environment().run_traced(arguments, &mut |call| {
        changes += usize::from(call.name.starts_with("rename"));
        match changes {
            2 if call.name.starts_with("rename") => Act::Signal(Signal::SIGTERM),
            3 if call.name.starts_with("rename") => {
                // Longer than a signal waits for work that is to end.
                std::thread::sleep(Duration::from_millis(900));
                Act::Go
            }
            _ => Act::Go,
        }
    });
    assert!(changes > 3, "the recovery has too little to do: {changes}");
    let verdict = reference.judge(&stage);
    (output, verdict, stage.into_environment())
}

#[test]
fn c03_c22_a_signal_waits_for_a_recovery() {
    if !can_trace() {
        return skip("no program's calls can be counted on this machine");
    }
    let (output, verdict, _) = signalled(&["recover", "--no-wait"]);
    output.ok().says("has been finished");
    assert_eq!(verdict, Verdict::New);
}

#[test]
fn c03_c22_and_what_comes_behind_it_does_not_begin() {
    if !can_trace() {
        return skip("no program's calls can be counted on this machine");
    }
    let (output, verdict, environment) = signalled(&["remove", "tool", "--no-wait"]);
    output.fails(143).says("has been finished").says("interrupted by SIGTERM");
    assert_eq!(verdict, Verdict::New);
    assert_eq!(environment.installed(), ["tool"]);
}

/// What is kept for undo may be all that fills the disk: the way to make room is told, and works.
#[test]
fn c09_a_removal_on_a_full_disk() {
    let ran = with_own_mounts(|| {
        let environment = TestEnvironment::in_memory();
        let _mounted = Mounted::memory(&environment.root(), "size=8m,mode=755");
        environment.prime();
        let large = |version: &str| Package::program("tool", version).bytes("large", &packets_tests::noise(1 << 20));
        environment.install(&large("1")).ok();
        environment.install(&large("2")).ok();
        let filler = environment.at("filler");
        let mut file = std::fs::File::create(&filler).unwrap();
        while std::io::Write::write_all(&mut file, &[1; 4096]).is_ok() {}
        drop(file);
        environment.refused(7, || environment.run(&["remove", "tool"])).says("`packets cache clean` frees");
        environment.run(&["cache", "clean"]).ok();
        environment.run(&["remove", "tool"]).ok();
        assert!(!environment.exists("opt/packets/tool"));
    });
    if !ran {
        skip("needs root, and mounts of its own");
    }
}

/// Readers change nothing, so they need nothing that can be changed; the others say why they cannot.
#[test]
fn c13_readers_on_a_disk_that_is_read_only() {
    let ran = with_own_mounts(|| {
        let environment = TestEnvironment::in_memory();
        let mounted = Mounted::memory(&environment.root(), "size=16m,mode=755");
        environment.prime();
        environment.install(&Package::program("tool", "1")).ok();
        mounted.remount("ro");
        for arguments in
            [&["list"][..], &["info", "tool"], &["files", "tool"], &["history"], &["remove", "tool", "--dry-run"]]
        {
            environment.run(arguments).ok().prints("tool");
        }
        environment.run(&["cache", "list"]).ok().prints("displaced by install");
        environment.run(&["undo", "--dry-run"]).ok();
        for arguments in [&["remove", "tool"][..], &["undo"], &["cache", "clean"], &["recover"]] {
            environment.run(arguments).fails(7).says("Read-only file system");
        }
        mounted.remount("rw");
        environment.run(&["remove", "tool"]).ok();
    });
    if !ran {
        skip("needs root, and mounts of its own");
    }
}

/// A transaction of root's was cut off; somebody without privilege reads, and sees one whole state.
#[test]
fn c20_c24_readers_without_privilege_beside_what_was_cut_off() {
    let (true, true, Some(somebody)) = (can_trace(), packets_tests::is_root(), packets_tests::as_somebody()) else {
        return skip("needs root, setpriv, and to trace programs");
    };
    let scene = tool::scene_upgrade();
    let calls = |wanted: fn(&Call) -> bool| {
        let mut count = 0;
        scene.stage().run(&mut |call| {
            count += usize::from(wanted(call));
            Act::Go
        });
        count
    };
    let on_record = |call: &Call| call.kind != Kind::Looks && call.on.contains("installed.db");
    let count = calls(on_record);
    assert!(count > 6, "{count}");
    for point in 1..=count {
        let mut stage = scene.stage();
        let (_, struck) = strike(point, |call| is_writing(call) && on_record(call), Act::Kill, |act| stage.run(act));
        if struck.is_none() {
            continue;
        }
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(stage.environment().place(), open).unwrap();
        let for_all = std::os::unix::fs::PermissionsExt::from_mode(0o1777);
        std::fs::set_permissions(stage.environment().place().join("tmp"), for_all).unwrap();
        let before = stage.environment().everything();
        let versions = |output: packets_tests::Output| {
            let list = output.ok().json();
            list.as_array().unwrap().iter().map(|one| one["version"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        stage.run_environment_by(somebody.clone());
        let seen = versions(stage.environment().run(&["list", "--json"]));
        assert!([["1.0"], ["2.0"]].iter().any(|all| seen == *all), "{point}: {seen:?}");
        stage.environment().run(&["history", "--json"]).ok();
        before.assert_same(&stage.environment().everything(), "readers write nothing");
        stage.run_environment_by(Vec::new());
        stage.environment().run(&["recover"]).ok();
        assert_eq!(versions(stage.environment().run(&["list", "--json"])).len(), 1);
    }
}
