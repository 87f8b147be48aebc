//! C22: a recovery is killed too, as often as one likes.

use std::time::Instant;

use packets_tests::crash::{
    Act, Call, Kind, Points, Reference, Scene, Stage, Tally, Verdict, assert_none, calls_of, can_trace, is_writing,
    readers, recover, recovers_once, strike, tool,
};
use packets_tests::skip;

const RECOVER: [&str; 3] = ["recover", "--json", "--no-wait"];

/// The first and the last call on what is not the program's own: between them the system changes.
fn changing(calls: &[Call]) -> (usize, usize) {
    let own = ["/.packets", "/var/lib/packets/", "/etc/packets/", "/var/cache/packets"];
    let is_change = |call: &&Call| {
        let is_system = |path: &str| path.contains("/root/") && !own.iter().any(|part| path.contains(part));
        call.on.split(" -> ").any(is_system) && call.kind == Kind::Changes
    };
    let first = calls.iter().position(|call| is_change(&call) && call.name != "mkdirat").unwrap();
    let last = calls.iter().rposition(|call| is_change(&call)).unwrap();
    assert!(first < last, "no phase in which the system changes: {calls:#?}");
    (first + 1, last + 1)
}

/// Points of the command to kill it at: in the phase of changes, and while it is recorded.
fn places(scene: &Scene) -> Vec<usize> {
    let calls = calls_of(scene, is_writing);
    let (first, last) = changing(&calls);
    let recorded = usize::midpoint(last, calls.len());
    let mut all = vec![first, first + 1, usize::midpoint(first, last), last, last + 1, recorded, calls.len()];
    all.dedup();
    all
}

fn killed(scene: &Scene, point: usize) -> Stage {
    let stage = scene.stage();
    let (output, struck) = strike(point, is_writing, Act::Kill, |act| stage.run(act));
    assert!(struck.is_some() && output.code == 137, "{output}");
    stage
}

fn recovery_calls(scene: &Scene, point: usize) -> Vec<Call> {
    let stage = killed(scene, point);
    let mut calls = Vec::new();
    let mut count = |call: &Call| {
        if is_writing(call) {
            calls.push(call.clone());
        }
        Act::Go
    };
    stage.environment().run_traced(&RECOVER, &mut count).ok();
    calls
}

fn finish(reference: &Reference, stage: &Stage, by_next_run: bool) -> Verdict {
    let look = || {
        recover(stage.environment(), by_next_run)?;
        let verdict = reference.judge(stage);
        recovers_once(stage)?;
        Ok::<_, String>(verdict)
    };
    look().unwrap_or_else(Verdict::Torn)
}

/// The command is killed at several points; for each, the recovery is killed at all of its own.
fn sweep(scene: &Scene, sample: usize) {
    if !can_trace() {
        return skip("no program's calls can be counted on this machine");
    }
    let began = Instant::now();
    let reference = Reference::make(scene.stage());
    let mut tally = Tally::default();
    for point in places(scene) {
        for again in Points::wanted(sample).of(&recovery_calls(scene, point)) {
            let stage = killed(scene, point);
            let run = |act: &mut dyn FnMut(&Call) -> Act| stage.environment().run_traced(&RECOVER, act);
            let (_, struck) = strike(again, is_writing, Act::Kill, run);
            let Some(call) = struck else { continue };
            tally.names.insert(call.name);
            let at = format!("{} killed at {point}, its recovery before call {again}, {call}", scene.name);
            readers(&mut tally, &at, &reference, &stage);
            tally.count(&at, finish(&reference, &stage, again % 2 == 1));
        }
    }
    tally.report(&format!("recovery of {}", scene.name), began);
}

#[test]
fn c22_recovery_of_an_upgrade() {
    sweep(&tool::scene_upgrade(), 4);
}

#[test]
fn c22_recovery_of_a_removal() {
    sweep(&tool::scene_remove(), 2);
}

#[test]
fn c22_recovery_of_an_undo() {
    sweep(&tool::scene_undo(), 2);
}

/// A small generator (Numerical Recipes' linear congruence), so that every run is alike.
fn next(state: &mut u64) -> usize {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    usize::try_from(*state >> 33).unwrap()
}

#[test]
fn c22_five_recoveries_in_a_row_are_killed() {
    if !can_trace() {
        return skip("no program's calls can be counted on this machine");
    }
    let began = Instant::now();
    let scene = tool::scene_upgrade();
    let reference = Reference::make(scene.stage());
    let rounds = if Points::are_all() { 40 } else { 2 };
    let mut tally = Tally::default();
    let mut random = 1;
    for point in places(&scene) {
        for _ in 0..rounds {
            let stage = killed(&scene, point);
            let mut at = format!("upgrade killed at {point}, its recoveries at");
            for _ in 0..5 {
                let again = 1 + next(&mut random) % 30;
                let run = |act: &mut dyn FnMut(&Call) -> Act| stage.environment().run_traced(&RECOVER, act);
                let (_, struck) = strike(again, is_writing, Act::Kill, run);
                at.push_str(&struck.map_or(" (finished)".to_owned(), |call| format!(" {again} {call}")));
            }
            tally.count(&at, finish(&reference, &stage, false));
        }
    }
    tally.report("five recoveries in a row", began);
}

/// A step fails, and the program is killed while it goes back: `undoing` only goes back.
#[test]
fn c22_killed_on_the_way_back() {
    if !can_trace() {
        return skip("no program's calls can be counted on this machine");
    }
    let began = Instant::now();
    let mut failures = Vec::new();
    for scene in [tool::scene_upgrade(), tool::scene_install(), tool::scene_remove()] {
        let reference = Reference::make(scene.stage());
        let calls = calls_of(&scene, is_writing);
        let (first, last) = changing(&calls);
        let mut tally = Tally::default();
        for failing in [first + 2, usize::midpoint(first, last), usize::midpoint(last, calls.len())] {
            let step = if Points::are_all() { 1 } else { 7 };
            for behind in (1..200).step_by(step) {
                let stage = scene.stage();
                let Some(call) = fails_then_killed(&stage, failing, behind) else { break };
                tally.names.insert(call.name);
                let at = format!("{}, call {failing} fails, killed {behind} later before {call}", scene.name);
                readers(&mut tally, &at, &reference, &stage);
                tally.count(&at, finish(&reference, &stage, behind % 2 == 1));
            }
        }
        failures.extend(tally.failures(&format!("kill on the way back, {}", scene.name), began));
    }
    assert_none(&failures);
}

/// What was about to be done when the kill came; nothing where the command had ended.
fn fails_then_killed(stage: &Stage, failing: usize, behind: usize) -> Option<Call> {
    let (mut seen, mut struck) = (0, None);
    stage.run(&mut |call| {
        seen += usize::from(is_writing(call));
        match seen {
            _ if !is_writing(call) || struck.is_some() => Act::Go,
            seen if seen == failing => Act::Fail(nix::errno::Errno::EIO),
            seen if seen == failing + behind => {
                struck = Some(call.clone());
                Act::Kill
            }
            _ => Act::Go,
        }
    });
    struck
}
