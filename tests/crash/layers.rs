//! C16: a root whose packages lie in a lower layer of an overlay, as in an image of a container: their folders
//! cannot be moved.

use std::time::Instant;

use nix::errno::Errno;
use packets_tests::crash::{
    Act, Kind, Mounted, Points, Reference, Scene, Stage, State, Tally, Verdict, calls_of_stage, can_trace, readers,
    recover, recovers_once, strike, tool, with_own_mounts,
};
use packets_tests::{TestEnvironment, skip};

/// The root just before the command, all that is in it in a lower layer.
fn layered(scene: &Scene) -> Result<(Stage, Mounted), String> {
    let environment = TestEnvironment::in_memory();
    let (upper, work) = (environment.place().join("upper"), environment.place().join("layer"));
    let root = environment.root();
    let mut stage = scene.stage_in(environment);
    let mounted = Mounted::overlay(&root, &upper, &work)?;
    stage.again();
    Ok((stage, mounted))
}

/// It is as before, or as after; in that case it can be undone.
fn ended(reference: &Reference, stage: &Stage) -> Verdict {
    let look = || {
        let verdict = reference.judge(stage);
        recovers_once(stage)?;
        if verdict == Verdict::New {
            let undo = stage.environment().run(&["undo"]);
            let difference = Reference::difference_from_old(stage, &State::of(stage.environment()));
            if undo.code != 0 || !difference.is_empty() {
                return Err(format!("the undo: {undo}\n{}", difference.join("\n")));
            }
        }
        Ok(verdict)
    };
    look().unwrap_or_else(Verdict::Torn)
}

fn sweep(scene: &Scene, act: Act, name: &str, sample: usize) {
    let began = Instant::now();
    let (stage, mounted) = match layered(scene) {
        Ok(layered) => layered,
        Err(why) => return skip(&why),
    };
    let reference = Reference::of(&stage);
    drop(mounted);
    let (stage, mounted) = layered(scene).unwrap();
    let calls = calls_of_stage(&stage, |call| call.kind == Kind::Changes);
    drop(mounted);
    let mut tally = Tally::default();
    for point in Points::wanted(sample).of(&calls) {
        let (stage, mounted) = layered(scene).unwrap();
        let (output, struck) = strike(point, |call| call.kind == Kind::Changes, act, |act| stage.run(act));
        let Some(call) = struck else { continue };
        tally.names.insert(call.name);
        let at = format!("{}, {name} at {point}, {call}: {output}", scene.name);
        readers(&mut tally, &at, &reference, &stage);
        // Whatever has failed: an error that says so is followed by a recovery, which may have nothing to do.
        let verdict = recover(stage.environment(), false).map(|()| ended(&reference, &stage));
        tally.count(&at, verdict.unwrap_or_else(Verdict::Torn));
        drop(mounted);
    }
    tally.report(&format!("{name} {} in a lower layer", scene.name), began);
}

fn with_mounts(test: impl FnOnce() + Send) {
    if !can_trace() || !with_own_mounts(test) {
        skip("needs root, mounts of its own, and to trace programs");
    }
}

#[test]
fn c16_upgrade() {
    with_mounts(|| sweep(&tool::scene_upgrade(), Act::Kill, "kill", 24));
}

#[test]
fn c16_remove() {
    with_mounts(|| sweep(&tool::scene_remove(), Act::Kill, "kill", 12));
}

#[test]
fn c16_moving_to_another_folder() {
    with_mounts(|| sweep(&tool::scene_relocate(), Act::Kill, "kill", 12));
}

#[test]
fn c16_c09_a_disk_that_is_full() {
    with_mounts(|| sweep(&tool::scene_upgrade(), Act::Fail(Errno::ENOSPC), "ENOSPC", 24));
}

#[test]
fn c16_c12_remove_that_fails() {
    with_mounts(|| sweep(&tool::scene_remove(), Act::Fail(Errno::EIO), "EIO", 24));
}

#[test]
fn c16_c12_killed_while_it_makes_folders_anew() {
    with_mounts(|| {
        let scene = tool::scene_remove();
        let (stage, mounted) = match layered(&scene) {
            Ok(layered) => layered,
            Err(why) => return skip(&why),
        };
        let reference = Reference::of(&stage);
        drop(mounted);
        for point in 1.. {
            let (stage, mounted) = layered(&scene).unwrap();
            // All folders in the package's have gone, and it does not go itself.
            let mut made = None;
            let output = stage.run(&mut |call| match (&mut made, call.kind) {
                (None, _) if call.name == "unlinkat" && call.on.ends_with("/opt/packets/tool") => {
                    made = Some(0);
                    Act::Fail(Errno::EIO)
                }
                (Some(made), Kind::Changes) => {
                    *made += 1;
                    if *made == point { Act::Kill } else { Act::Go }
                }
                _ => Act::Go,
            });
            let made = made.expect("the package's folder is never removed");
            recover(stage.environment(), false).unwrap();
            let verdict = ended(&reference, &stage);
            assert!(!matches!(verdict, Verdict::Torn(_)), "killed at {point}: {verdict:?}: {output}");
            drop(mounted);
            if made < point {
                return;
            }
        }
    });
}
