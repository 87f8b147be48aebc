//! C09-C15: one call fails. The command does what it was asked for, or fails and
//! everything is as before; where it can do neither, it says so, and a recovery can.

use std::collections::BTreeMap;
use std::time::Instant;

use nix::errno::Errno;
use packets_tests::crash::{
    Act, Call, Kind, Points, Reference, Scene, Stage, Tally, Verdict, assert_none, calls_of, can_trace, recovers_once,
    say, strike, tool,
};
use packets_tests::{Output, skip};

/// A fault, and the calls that it can happen to.
struct Fault {
    name: &'static str,
    act: Act,
    counts: fn(&Call) -> bool,
}

const FAULTS: [Fault; 12] = [
    Fault { name: "C09 ENOSPC", act: Act::Fail(Errno::ENOSPC), counts: needs_space },
    Fault { name: "C11 EDQUOT", act: Act::Fail(Errno::EDQUOT), counts: needs_space },
    Fault { name: "C12 EIO on a change", act: Act::Fail(Errno::EIO), counts: is_change },
    Fault { name: "C12 EIO on a sync", act: Act::Fail(Errno::EIO), counts: is_sync },
    Fault { name: "C12 EIO on a look", act: Act::Fail(Errno::EIO), counts: is_look },
    Fault { name: "C13 EROFS", act: Act::Fail(Errno::EROFS), counts: is_change },
    Fault { name: "C14 EMFILE", act: Act::Fail(Errno::EMFILE), counts: opens },
    Fault { name: "C14 ENFILE", act: Act::Fail(Errno::ENFILE), counts: opens },
    Fault { name: "C14 ENOMEM", act: Act::Fail(Errno::ENOMEM), counts: opens },
    Fault { name: "C15 EINTR", act: Act::Fail(Errno::EINTR), counts: moves_bytes },
    Fault { name: "C15 half of a write", act: Act::Half, counts: writes },
    Fault { name: "C15 half of a read", act: Act::Half, counts: reads },
];

fn is_change(call: &Call) -> bool {
    call.kind == Kind::Changes
}
fn is_sync(call: &Call) -> bool {
    call.kind == Kind::Syncs
}
fn is_look(call: &Call) -> bool {
    call.kind == Kind::Looks && call.on.contains("/packets-test-")
}
fn needs_space(call: &Call) -> bool {
    let takes_away = ["unlink", "unlinkat", "rmdir", "fchmod", "fchmodat", "fchown", "ftruncate"];
    is_change(call) && !takes_away.contains(&call.name)
}
fn opens(call: &Call) -> bool {
    call.name.starts_with("openat") && call.on.contains("/packets-test-")
}
fn writes(call: &Call) -> bool {
    ["write", "pwrite64"].contains(&call.name)
}
fn reads(call: &Call) -> bool {
    ["read", "pread64"].contains(&call.name) && call.on.contains("/packets-test-")
}
fn moves_bytes(call: &Call) -> bool {
    writes(call) || reads(call) || is_sync(call)
}

/// A fault at the nth call, for each n.
fn sweep(scene: &Scene, sample: usize) {
    if !can_trace() {
        return skip("no program's calls can be changed on this machine");
    }
    let reference = Reference::make(scene.stage());
    let mut failures = Vec::new();
    for fault in &FAULTS {
        let began = Instant::now();
        let mut tally = Tally::default();
        let mut codes: BTreeMap<i32, usize> = BTreeMap::new();
        let counts = |call: &Call| (fault.counts)(call) && !tool::is_one_of_many(call);
        for point in Points::wanted(sample).of(&calls_of(scene, counts)) {
            let stage = scene.stage();
            let (output, struck) = strike(point, counts, fault.act, |act| stage.run(act));
            let Some(call) = struck else { continue };
            tally.names.insert(call.name);
            *codes.entry(output.code).or_default() += 1;
            let at = format!("{}, {} at {point}, {call}", scene.name, fault.name);
            let verdict = after(&reference, &stage, &output, &call, &mut tally.left);
            tally.count(&at, verdict);
        }
        say(&format!("exit codes of {} at {}: {codes:?}", scene.name, fault.name));
        failures.extend(tally.failures(&format!("{} {}", fault.name, scene.name), began));
    }
    assert_none(&failures);
}

/// Codes with which a command may fail when the machine does.
const FAILURES: [i32; 6] = [1, 2, 4, 5, 6, 7];

fn after(reference: &Reference, stage: &Stage, output: &Output, struck: &Call, left: &mut usize) -> Verdict {
    let mut look = || {
        complains(output)?;
        let is_unfinished = output.stderr.contains("unfinished");
        let needs_recovery = is_unfinished || may_leave(output, struck) && is_torn(&reference.judge(stage));
        if needs_recovery {
            *left += 1;
            recover(stage)?;
        }
        let verdict = reference.judge(stage);
        match (output.code, &verdict) {
            (_, Verdict::Torn(why)) => Err(format!("{why}\n{output}")),
            (0, Verdict::Old) => Err(format!("exit code 0, and nothing has happened: {output}")),
            (code, Verdict::New) if code != 0 && !is_unfinished => {
                Err(format!("it failed, and has happened: {output}"))
            }
            _ => recovers_once(stage).map(|()| verdict),
        }
    };
    look().unwrap_or_else(Verdict::Torn)
}

/// A failure has a code and words.
fn complains(output: &Output) -> Result<(), String> {
    if output.code != 0 && !FAILURES.contains(&output.code) {
        return Err(format!("no exit code for this: {output}"));
    }
    if output.code != 0 && !output.stderr.contains("error: ") {
        return Err(format!("it fails without a word: {output}"));
    }
    if output.code != 7 && output.stderr.contains("unfinished") {
        return Err(format!("an unfinished transaction with another code than 7: {output}"));
    }
    Ok(())
}

/// Whether the recovery may have to clear something away: where the command warns that it has
/// happened all the same, and where the fault was in clearing away.
fn may_leave(output: &Output, struck: &Call) -> bool {
    let warns = output.code == 0 && output.stderr.contains("warning: ");
    warns || struck.name.starts_with("unlink") || struck.kind == Kind::Looks
}

fn is_torn(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Torn(_))
}

fn recover(stage: &Stage) -> Result<(), String> {
    let output = stage.environment().run(&["recover", "--json", "--no-wait"]);
    if output.code == 0 { Ok(()) } else { Err(format!("recovery fails: {output}")) }
}

#[test]
fn c09_c15_install() {
    sweep(&tool::scene_install(), 8);
}

#[test]
fn c09_c15_upgrade() {
    sweep(&tool::scene_upgrade(), 10);
}

/// The record is written while the steps are done.
#[test]
fn c09_c15_upgrade_of_many_files() {
    sweep(&tool::scene_many_files(), 2);
}

#[test]
fn c09_c15_remove() {
    sweep(&tool::scene_remove(), 6);
}

#[test]
fn c09_c15_undo() {
    sweep(&tool::scene_undo(), 6);
}

/// The recovery meets a fault: the next one, without it, comes to the same end.
#[test]
fn c12_c22_a_recovery_that_fails() {
    if !can_trace() {
        return skip("no program's calls can be changed on this machine");
    }
    let scene = tool::scene_upgrade();
    let reference = Reference::make(scene.stage());
    let calls = calls_of(&scene, is_change);
    let place = calls.iter().position(|call| call.on.ends_with("root/opt/packets/tool")).unwrap() + 3;
    let command = ["recover", "--json", "--no-wait"];
    let killed = || {
        let stage = scene.stage();
        let (_, struck) = strike(place, is_change, Act::Kill, |act| stage.run(act));
        assert!(struck.is_some());
        stage
    };
    let mut failures = Vec::new();
    for fault in &FAULTS {
        let began = Instant::now();
        let mut calls = Vec::new();
        let mut count = |call: &Call| {
            if (fault.counts)(call) {
                calls.push(call.clone());
            }
            Act::Go
        };
        killed().environment().run_traced(&command, &mut count).ok();
        let mut tally = Tally::default();
        for point in Points::wanted(6).of(&calls) {
            let stage = killed();
            let (output, struck) =
                strike(point, fault.counts, fault.act, |act| stage.environment().run_traced(&command, act));
            let Some(call) = struck else { continue };
            let look = || {
                if output.code != 0 {
                    recover(&stage)?;
                }
                let verdict = reference.judge(&stage);
                recovers_once(&stage).map(|()| verdict)
            };
            tally.names.insert(call.name);
            let at = format!("recovery, {} at {point}, {call}, exit code {}", fault.name, output.code);
            tally.count(&at, look().unwrap_or_else(Verdict::Torn));
        }
        failures.extend(tally.failures(&format!("{} recovery", fault.name), began));
    }
    assert_none(&failures);
}
