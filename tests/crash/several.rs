//! C16, C27: a root of several file systems.

use std::time::Instant;

use packets_tests::crash::{
    Act, FileSystem, Kind, Mounted, Points, Reference, Scene, Stage, Tally, Verdict, can_trace, readers, recover,
    recovers_once, strike, tool, with_own_mounts,
};
use packets_tests::{Package, TestEnvironment, skip};

/// Mounts below a root: packages, programs, config and state, cache each on its own.
fn mounts(environment: &TestEnvironment) -> Vec<Mounted> {
    let at = |path: &str| environment.at(path);
    let mut all = vec![Mounted::memory(&environment.root(), "size=32m,mode=755")];
    for path in ["opt/packets", "srv/packets", "usr/bin", "var/cache/packets", "etc/packets", "var/lib"] {
        all.push(Mounted::memory(&at(path), "size=16m,mode=755"));
    }
    let image = environment.place().join("share.img");
    if FileSystem::Ext4.make(&image).is_ok()
        && let Ok(mounted) = Mounted::image(&image, &at("usr/share"), "")
    {
        std::fs::remove_dir(at("usr/share/lost+found")).unwrap();
        all.push(mounted);
    }
    all.reverse();
    all
}

struct Machine {
    stage: Stage,
    // Dropped after the stage's last use, the inner ones first.
    mounts: Vec<Mounted>,
}

fn machine(scene: &Scene) -> Machine {
    let environment = TestEnvironment::in_memory();
    let mounts = mounts(&environment);
    Machine { stage: scene.stage_in(environment), mounts }
}

fn sweep(scene: &Scene, sample: usize) {
    let began = Instant::now();
    let first = machine(scene);
    assert!(first.mounts.len() >= 6, "not all file systems are there");
    let reference = Reference::of(&first.stage);
    drop(first.mounts);
    let counted = machine(scene);
    let mut calls = Vec::new();
    counted
        .stage
        .run(&mut |call| {
            calls.extend((call.kind != Kind::Looks).then(|| call.clone()));
            Act::Go
        })
        .ok();
    drop(counted.mounts);
    let mut tally = Tally::default();
    for point in Points::wanted(sample).of(&calls) {
        let Machine { stage, mounts } = machine(scene);
        let (_, struck) = strike(point, |call| call.kind != Kind::Looks, Act::Kill, |act| stage.run(act));
        if let Some(call) = struck {
            tally.names.insert(call.name);
            let at = format!("{}, killed before call {point}, {call}", scene.name);
            readers(&mut tally, &at, &reference, &stage);
            let look = || {
                recover(stage.environment(), point % 2 == 1)?;
                let verdict = reference.judge(&stage);
                recovers_once(&stage).map(|()| verdict)
            };
            tally.count(&at, look().unwrap_or_else(Verdict::Torn));
        }
        drop(mounts);
    }
    tally.report(&format!("kill {} on several file systems", scene.name), began);
}

fn with_mounts(test: impl FnOnce() + Send) {
    if !can_trace() || !with_own_mounts(test) {
        skip("needs root, mounts of its own, and to trace programs");
    }
}

#[test]
fn c16_install() {
    with_mounts(|| sweep(&tool::scene_install(), 12));
}

#[test]
fn c16_upgrade() {
    with_mounts(|| sweep(&tool::scene_upgrade(), 20));
}

#[test]
fn c16_remove_and_undo() {
    with_mounts(|| {
        sweep(&tool::scene_remove(), 10);
        sweep(&tool::scene_undo(), 12);
    });
}

#[test]
fn c16_moving_to_another_file_system() {
    with_mounts(|| {
        sweep(&tool::scene_relocate(), 16);
        sweep(&tool::scene_undo_relocate(), 12);
    });
}

#[test]
fn c16_c27_several_packages() {
    let scene = Scene::new("three packages", &["install", "top", "tool", "--grant", "tool=/etc/tool"]);
    let scene = scene.step(|environment| {
        tool::publish(environment, &tool::first(), 0o700);
        Package::program("base", "1").file(&environment.repo());
        Package::program("top", "1").needs(&["base"]).file(&environment.repo());
    });
    with_mounts(move || sweep(&scene, 12));
}

/// A root whose packages have a disk of their own, and that disk.
fn with_packages_apart(scene: &Scene) -> (Machine, std::path::PathBuf) {
    let environment = TestEnvironment::in_memory();
    let mut mounts = vec![Mounted::memory(&environment.root(), "size=32m,mode=755")];
    let image = environment.place().join("packages.img");
    FileSystem::Ext4.make(&image).unwrap();
    mounts.push(Mounted::image(&image, &environment.at("opt/packets"), "").unwrap());
    std::fs::remove_dir(environment.at("opt/packets/lost+found")).unwrap();
    mounts.reverse();
    (Machine { stage: scene.stage_in(environment), mounts }, image)
}

/// A file system that is not there when the recovery looks for it: nothing is touched.
#[test]
fn c16_a_file_system_that_is_not_mounted() {
    with_mounts(|| {
        let scene = tool::scene_upgrade();
        let (Machine { stage, mounts }, _) = with_packages_apart(&scene);
        let reference = Reference::of(&stage);
        drop(mounts);
        let (Machine { stage, mut mounts }, image) = with_packages_apart(&scene);
        let is_change =
            |call: &packets_tests::crash::Call| call.name.starts_with("rename") && call.on.contains("/usr/");
        let (_, struck) = strike(2, is_change, Act::Kill, |act| stage.run(act));
        assert!(struck.is_some());
        drop(mounts.remove(0));
        let before = stage.environment().everything();
        let output = stage.environment().run(&["recover", "--no-wait"]).fails(7);
        assert!(output.stderr.contains("opt/packets"), "{output}");
        before.assert_same(&stage.environment().everything(), "a recovery without the packages' file system");
        mounts.insert(0, Mounted::image(&image, &stage.environment().at("opt/packets"), "").unwrap());
        stage.environment().run(&["recover", "--no-wait"]).ok();
        assert_eq!(reference.judge(&stage), Verdict::New);
        drop(mounts);
    });
}

/// The packages' folder was moved to another file system while an installed package has files of the administrator's:
/// they cannot follow by a rename, and are neither lost nor left unsaid.
#[test]
fn c16_the_packages_folder_is_another_now() {
    with_mounts(|| {
        let environment = TestEnvironment::in_memory();
        let mounts = [
            Mounted::memory(&environment.root(), "size=32m,mode=755"),
            Mounted::memory(&environment.at("srv"), "size=32m,mode=755"),
        ];
        environment.prime();
        environment.install(&Package::program("tool", "1")).ok();
        environment.put("opt/packets/tool/data/mine", "mine\n");
        environment.put("opt/packets/tool/data/more/mine too", "mine too\n");
        let config = environment.read("etc/packets/config.toml");
        environment.put("etc/packets/config.toml", &config.replace("\"/opt/packets\"", "\"/srv/packets\""));
        let upgraded = environment.run(&[
            "install",
            "--json",
            Package::program("tool", "2").write(&environment.work()).to_str().unwrap(),
        ]);
        let kept = upgraded.ok().json()["kept"].as_array().unwrap().clone();
        assert_eq!(environment.launch("usr/bin/tool", &[]), "tool 2\n");
        assert!(environment.exists("srv/packets/tool/data/name") && !environment.exists("opt/packets/tool"));
        for (file, text) in [("mine", "mine\n"), ("more/mine too", "mine too\n")] {
            let carried = environment.at(&format!("srv/packets/tool/data/{file}"));
            let told = kept.iter().filter_map(|one| one["now"].as_str()).map(|now| {
                let path = environment.at(now);
                if path.is_dir() { path.join("mine too") } else { path }
            });
            let found = told
                .chain([carried])
                .find(|path| path.file_name() == std::path::Path::new(file).file_name() && path.exists());
            assert_eq!(std::fs::read_to_string(found.unwrap()).unwrap(), text, "{kept:?}");
        }
        environment.run(&["cache", "clean"]).ok();
        let paths = packets_tests::Snapshot::of(&environment.root()).paths();
        assert_eq!(paths.iter().filter(|path| path.contains("/mine")).count(), 2, "{paths:?}");
        drop(mounts);
    });
}
