//! C09, C10, C28, C13, C14, C31: a disk that is full, or has no inodes, or becomes read-only;
//! a process that may not write or open more.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use packets_tests::crash::{
    Act, Kind, Mounted, Points, Reference, Scene, Stage, Tally, Verdict, can_trace, recovers_once, strike, tool,
    with_own_mounts,
};
use packets_tests::{Output, TestEnvironment, on_path, skip};

fn with_mounts(test: impl FnOnce() + Send) {
    if !can_trace() || !with_own_mounts(test) {
        skip("needs root, mounts of its own, and to trace programs");
    }
}

/// A command that the machine did not let happen: all of it or nothing.
fn judged(reference: &Reference, stage: &Stage, output: &Output, left: &mut usize) -> Verdict {
    let mut look = || {
        let is_unfinished = output.stderr.contains("unfinished");
        if ![0, 1, 6, 7].contains(&output.code) {
            return Err(format!("{output}"));
        }
        // Who may open nothing can clear nothing away either.
        let is_left = output.stderr.contains("Too many open files");
        if is_unfinished || is_left && matches!(reference.judge(stage), Verdict::Torn(_)) {
            *left += 1;
            let recovery = stage.environment().run(&["recover", "--json"]);
            if recovery.code != 0 {
                return Err(format!("{recovery}"));
            }
        }
        let verdict = reference.judge(stage);
        match (output.code, &verdict) {
            (0, Verdict::Old) => Err(format!("it says that it is done, and it is not: {output}")),
            (code, Verdict::New) if code != 0 && !is_unfinished => Err(format!("it fails and has happened: {output}")),
            (_, Verdict::Torn(why)) => Err(format!("{why}\n{output}")),
            _ => recovers_once(stage).map(|()| verdict),
        }
    };
    look().unwrap_or_else(Verdict::Torn)
}

/// The scene on a file system in memory whose size is `smaller` just before the command.
fn squeezed(scene: &Scene, smaller: impl Fn(&TestEnvironment, usize) -> Option<String>, name: &str, steps: usize) {
    let began = Instant::now();
    let reference = Reference::make(scene.stage());
    let mut tally = Tally::default();
    for step in 0..steps {
        let environment = TestEnvironment::in_memory();
        let mounted = Mounted::memory(&environment.root(), "size=64m,mode=755");
        let mut stage = scene.stage_in(environment);
        let Some(options) = smaller(stage.environment(), step) else { break };
        mounted.remount(&options);
        stage.again();
        let output = stage.run(&mut |_| Act::Go);
        // What it left can be dealt with when there is room again.
        if output.stderr.contains("unfinished") {
            mounted.remount("size=64m,nr_inodes=100000");
        }
        let at = format!("{} with {options}", scene.name);
        let verdict = judged(&reference, &stage, &output, &mut tally.left);
        tally.count(&at, verdict);
        let is_done = output.code == 0;
        drop(mounted);
        if is_done && step > 0 && tally.new >= 2 {
            break;
        }
    }
    assert!(tally.old > 0 && tally.new + tally.torn.len() > 0, "{name}: {tally:?}");
    tally.report(&format!("{name} {}", scene.name), began);
}

fn used(root: &Path) -> (u64, u64) {
    let data = rustix::fs::statvfs(root).unwrap();
    ((data.f_blocks - data.f_bfree) * data.f_frsize, data.f_files - data.f_ffree)
}

#[test]
fn c09_less_and_less_room() {
    let grain = if Points::are_all() { 4096 } else { 24 << 10 };
    with_mounts(move || {
        for scene in [tool::scene_install(), tool::scene_upgrade(), tool::scene_remove(), tool::scene_undo()] {
            let smaller = move |environment: &TestEnvironment, step: usize| {
                Some(format!("size={}", used(&environment.root()).0 + grain * step as u64 + 4096))
            };
            squeezed(&scene, smaller, "C09 bytes", 1000);
        }
    });
}

#[test]
fn c10_fewer_and_fewer_inodes() {
    let grain = if Points::are_all() { 1 } else { 7 };
    with_mounts(move || {
        for scene in [tool::scene_install(), tool::scene_upgrade(), tool::scene_remove()] {
            let smaller = move |environment: &TestEnvironment, step: usize| {
                Some(format!("nr_inodes={}", used(&environment.root()).1 + grain * step as u64 + 1))
            };
            squeezed(&scene, smaller, "C10 inodes", 200);
        }
    });
}

/// The points of an upgrade at which the system has begun to change.
fn decided(scene: &Scene) -> (usize, usize) {
    let (mut count, mut first) = (0, 0);
    scene
        .stage()
        .run(&mut |call| {
            count += usize::from(call.kind != Kind::Looks);
            let is_tree = call.name.starts_with("rename") && call.on.ends_with("/opt/packets/tool");
            if is_tree && first == 0 {
                first = count;
            }
            Act::Go
        })
        .ok();
    assert!(first > 0, "the tree of the package is never put in place");
    (first, count)
}

#[test]
fn c28_recovery_on_a_full_disk() {
    with_mounts(|| {
        let began = Instant::now();
        let scene = tool::scene_upgrade();
        let reference = Reference::make(scene.stage());
        let (first, last) = decided(&scene);
        let step = if Points::are_all() { 1 } else { 9 };
        let mut tally = Tally::default();
        for point in (first.saturating_sub(8)..=last).step_by(step) {
            let environment = TestEnvironment::in_memory();
            let mounted = Mounted::memory(&environment.root(), "size=8m,nr_inodes=2000,mode=755");
            let mut stage = scene.stage_in(environment);
            stage.again();
            let (_, struck) = strike(point, |call| call.kind != Kind::Looks, Act::Kill, |act| stage.run(act));
            let Some(call) = struck else { continue };
            let filler = fill(&stage.environment().root());
            let recovery = stage.environment().run(&["recover", "--json", "--no-wait"]);
            fs::remove_dir_all(filler).unwrap();
            let look = || {
                if recovery.code != 0 {
                    return Err(format!("no recovery without room: {recovery}"));
                }
                let verdict = reference.judge(&stage);
                recovers_once(&stage).map(|()| verdict)
            };
            tally.names.insert(call.name);
            tally.count(
                &format!("killed at {point}, {call}, then the disk is full"),
                look().unwrap_or_else(Verdict::Torn),
            );
            drop(mounted);
        }
        tally.report("C28 recovery on a full disk", began);
    });
}

/// Takes all bytes and all inodes.
fn fill(root: &Path) -> std::path::PathBuf {
    let folder = root.join("filler");
    fs::create_dir(&folder).unwrap();
    let mut file = fs::File::create(folder.join("bytes")).unwrap();
    let block = vec![1; 4096];
    while file.write_all(&block).is_ok() {}
    for number in 0.. {
        if fs::File::create(folder.join(number.to_string())).is_err() {
            break;
        }
    }
    folder
}

#[test]
fn c13_read_only_in_the_middle() {
    with_mounts(|| {
        let began = Instant::now();
        let scene = tool::scene_upgrade();
        let reference = Reference::make(scene.stage());
        let (_, last) = decided(&scene);
        let step = if Points::are_all() { 3 } else { 23 };
        let mut tally = Tally::default();
        for point in (1..=last).step_by(step) {
            let stage = scene.stage();
            let mut seen = 0;
            // From then on, for ever: every change is refused as on a file system that is read-only.
            let output = stage.run(&mut |call| {
                seen += usize::from(call.kind != Kind::Looks);
                let refused = seen >= point && call.kind == Kind::Changes;
                if refused { Act::Fail(nix::errno::Errno::EROFS) } else { Act::Go }
            });
            let look = || {
                if output.code == 0 && seen < last - 4 {
                    return Err(format!("it says that it is done: {output}"));
                }
                let recovery = stage.environment().run(&["recover", "--json", "--no-wait"]);
                if recovery.code != 0 {
                    return Err(format!("{recovery}"));
                }
                let verdict = reference.judge(&stage);
                recovers_once(&stage).map(|()| verdict)
            };
            tally.count(&format!("read-only from call {point} on"), look().unwrap_or_else(Verdict::Torn));
        }
        tally.report("C13 read-only from some call on", began);
    });
}

/// The scene under limits that a shell sets.
fn limited(scene: &Scene, option: &str, values: impl Iterator<Item = u64>, name: &str) {
    let Some(prlimit) = on_path("prlimit") else { return skip("needs prlimit") };
    let began = Instant::now();
    let reference = Reference::make(scene.stage());
    let mut tally = Tally::default();
    for value in values {
        let mut environment = TestEnvironment::in_memory();
        environment.run_by(Vec::new());
        let mut stage = scene.stage_in(environment);
        stage.again();
        let output = stage.run_by(&[prlimit.to_str().unwrap(), &format!("--{option}={value}:{value}")]);
        let verdict = judged(&reference, &stage, &output, &mut tally.left);
        tally.count(&format!("{} with {option} {value}", scene.name), verdict);
    }
    tally.report(&format!("{name} {}", scene.name), began);
}

#[test]
fn c31_file_sizes_are_limited() {
    if !can_trace() {
        return skip("no program's calls can be counted on this machine");
    }
    let step = if Points::are_all() { 1024 } else { 9 << 10 };
    for scene in [tool::scene_install(), tool::scene_upgrade()] {
        limited(&scene, "fsize", (0..100_000).step_by(step), "C31 RLIMIT_FSIZE");
    }
}

#[test]
fn c14_few_handles() {
    if !can_trace() {
        return skip("no program's calls can be counted on this machine");
    }
    let step = if Points::are_all() { 1 } else { 6 };
    for scene in [tool::scene_install(), tool::scene_upgrade(), tool::scene_remove()] {
        limited(&scene, "nofile", (6..60).step_by(step), "C14 RLIMIT_NOFILE");
    }
}

#[test]
fn c14_little_memory() {
    if !can_trace() {
        return skip("no program's calls can be counted on this machine");
    }
    // Below this the program cannot even begin; a Rust program that gets no memory aborts, so
    // only what stands on the disk counts.
    let Some(prlimit) = on_path("prlimit") else { return skip("needs prlimit") };
    let began = Instant::now();
    let scene = tool::scene_upgrade();
    let reference = Reference::make(scene.stage());
    let mut tally = Tally::default();
    let step = if Points::are_all() { 4 } else { 40 };
    for mebibytes in (16..400_u64).step_by(step) {
        let mut stage = scene.stage();
        stage.again();
        let code = stage.code_by(&[prlimit.to_str().unwrap(), &format!("--as={}", mebibytes << 20)]);
        let look = || {
            let recovery = stage.environment().run(&["recover", "--json", "--no-wait"]);
            if recovery.code != 0 {
                return Err(format!("{recovery}"));
            }
            let verdict = reference.judge(&stage);
            if code == 0 && verdict == Verdict::Old { Err("done, and it is not".to_owned()) } else { Ok(verdict) }
        };
        tally.count(&format!("{mebibytes} MiB, exit code {code}"), look().unwrap_or_else(Verdict::Torn));
    }
    tally.report("C14 RLIMIT_AS upgrade", began);
}
