//! C02, C03, C21: signals, before each call and at random times.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use packets_tests::crash::{
    Act, Call, Points, Reference, Scene, Stage, Tally, Verdict, calls_of, can_trace, is_writing, recover,
    recovers_once, say, strike, tool,
};
use packets_tests::{Package, skip};

/// What a shell would say of a program that ends by it.
fn code_of(signal: Signal) -> i32 {
    128 + signal as i32
}

/// Before the decision the command is taken back and says so; after it, it finishes.
fn after(reference: &Reference, stage: &Stage, signal: Signal, code: i32) -> Verdict {
    let look = || {
        let verdict = reference.judge(stage);
        match (&verdict, code) {
            (Verdict::Torn(_), _) | (Verdict::New, 0) => {}
            (Verdict::Old, code) if code == code_of(signal) => {}
            _ => return Err(format!("{verdict:?} with exit code {code}")),
        }
        recovers_once(stage)?;
        Ok(verdict)
    };
    look().unwrap_or_else(Verdict::Torn)
}

/// A thread of its own writes the record meanwhile: where its calls fall among the others differs from run to run, and
/// so would the number of the call that begins.
fn is_in_order(call: &Call) -> bool {
    is_writing(call) && !call.on.contains("/installed.db")
}

fn sweep(scene: &Scene, signal: Signal, sample: usize) {
    if !can_trace() {
        return skip("no program's calls can be counted on this machine");
    }
    let began = Instant::now();
    let reference = Reference::make(scene.stage());
    let mut tally = Tally::default();
    let mut codes: BTreeMap<i32, usize> = BTreeMap::new();
    let calls = calls_of(scene, is_in_order);
    // The first call of all that can only happen after the decision.
    let begins = calls.iter().position(|call| call.on.ends_with("/begun")).unwrap() + 1;
    let (mut last_old, mut first_new) = (0, usize::MAX);
    for point in Points::wanted(sample).of(&calls) {
        let stage = scene.stage();
        let (output, struck) = strike(point, is_in_order, Act::Signal(signal), |act| stage.run(act));
        let Some(call) = struck else { continue };
        tally.names.insert(call.name);
        *codes.entry(output.code).or_default() += 1;
        let verdict = after(&reference, &stage, signal, output.code);
        match verdict {
            Verdict::Old => last_old = point,
            Verdict::New => first_new = first_new.min(point),
            Verdict::Torn(_) => {}
        }
        tally.count(&format!("{}, {signal} before call {point}, {call}", scene.name), verdict);
    }
    say(&format!(
        "exit codes of {} at {signal}: {codes:?}; the last taken back at call {last_old}, the first finished at {first_new}, it began at {begins}",
        scene.name
    ));
    tally.report(&format!("{signal} {}", scene.name), began);
    // Before it a signal may come too late to be seen; behind it none is.
    assert!(last_old < begins, "taken back at call {last_old}, though it began at {begins}");
    assert!(tally.old > 0 && tally.new > 0, "{tally:?}");
}

#[test]
fn c03_term() {
    sweep(&tool::scene_upgrade(), Signal::SIGTERM, 20);
}

#[test]
fn c03_int_and_hup() {
    sweep(&tool::scene_install(), Signal::SIGINT, 12);
    sweep(&tool::scene_remove(), Signal::SIGHUP, 12);
}

#[test]
fn c03_term_of_an_undo() {
    sweep(&tool::scene_undo(), Signal::SIGTERM, 12);
}

/// The second signal comes while the first one is dealt with.
#[test]
fn c03_two_in_a_row() {
    if !can_trace() {
        return skip("no program's calls can be counted on this machine");
    }
    let began = Instant::now();
    let scene = tool::scene_upgrade();
    let reference = Reference::make(scene.stage());
    let mut tally = Tally::default();
    for point in Points::wanted(10).of(&calls_of(&scene, is_writing)) {
        let stage = scene.stage();
        let mut seen = 0;
        let output = stage.run(&mut |call| {
            seen += usize::from(is_writing(call));
            match seen {
                _ if !is_writing(call) => Act::Go,
                seen if seen == point => Act::Signal(Signal::SIGINT),
                seen if seen == point + 2 => Act::Signal(Signal::SIGTERM),
                _ => Act::Go,
            }
        });
        // Whatever the second one means: old or new at once, or after a recovery where it was a kill.
        let look = || {
            if ![0, 130, 143].contains(&output.code) {
                return Err(format!("{output}"));
            }
            let first = reference.judge(&stage);
            if matches!(first, Verdict::Torn(_)) {
                recover(stage.environment(), false)?;
            }
            let verdict = reference.judge(&stage);
            recovers_once(&stage)?;
            Ok(verdict)
        };
        tally.count(&format!("upgrade, two signals before call {point}"), look().unwrap_or_else(Verdict::Torn));
    }
    tally.report("two signals in a row upgrade", began);
}

/// QUIT and PIPE: no promise but old or new after a recovery.
#[test]
fn c03_quit() {
    if !can_trace() {
        return skip("no program's calls can be counted on this machine");
    }
    let began = Instant::now();
    let scene = tool::scene_upgrade();
    let reference = Reference::make(scene.stage());
    let mut tally = Tally::default();
    for point in Points::wanted(10).of(&calls_of(&scene, is_writing)) {
        let stage = scene.stage();
        strike(point, is_writing, Act::Signal(Signal::SIGQUIT), |act| stage.run(act));
        let verdict = recover(stage.environment(), false).map(|()| reference.judge(&stage));
        tally.count(&format!("upgrade, QUIT before call {point}"), verdict.unwrap_or_else(Verdict::Torn));
    }
    tally.report("SIGQUIT upgrade", began);
}

/// Four packages, and the command that installs them.
fn four() -> Scene {
    let names = ["one", "two", "three", "four"];
    Scene::new("four packages", &[&["install"], &names[..]].concat()).step(move |environment| {
        for name in names {
            let mut package = Package::program(name, "1");
            for file in 0..40 {
                package = package.data(&format!("folder {}/{file}", file % 7), &format!("{name} {file}\n"));
            }
            package.file(&environment.repo());
        }
    })
}

fn command(stage: &Stage) -> Command {
    let environment = stage.environment();
    let mut command = environment.command();
    command.arg("--root").arg(environment.root()).args(["--yes", "--repo"]).arg(environment.repo());
    command.args(["install", "one", "two", "three", "four"]).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// How long it takes undisturbed.
fn duration(scene: &Scene) -> Duration {
    let stage = scene.stage();
    let began = Instant::now();
    assert!(command(&stage).status().unwrap().success());
    began.elapsed()
}

#[test]
fn c02_kills_at_random_times() {
    if !can_trace() {
        return skip("no program's calls can be counted on this machine");
    }
    let began = Instant::now();
    let scene = four();
    let reference = Reference::make(scene.stage());
    let whole = duration(&scene);
    let rounds: u32 = if Points::are_all() { 1000 } else { 60 };
    let mut tally = Tally::default();
    for round in 0..rounds {
        let stage = scene.stage();
        let mut child = command(&stage).spawn().unwrap();
        std::thread::sleep(whole * 12 / 10 * round / rounds);
        child.kill().unwrap();
        child.wait().unwrap();
        let look = || {
            recover(stage.environment(), round % 2 == 1)?;
            let verdict = reference.judge(&stage);
            recovers_once(&stage).map(|()| verdict)
        };
        let verdict = look().unwrap_or_else(Verdict::Torn);
        tally.count(&format!("killed after {round} of {rounds} parts of {whole:?}"), verdict);
    }
    tally.report("kills at random times, four packages", began);
}

/// C03, C21: a run that stands still keeps the lock, and goes on; readers and others see that.
#[test]
fn c03_c20_stop_and_continue() {
    if !can_trace() {
        return skip("no program's calls can be counted on this machine");
    }
    let began = Instant::now();
    let scene = four();
    let reference = Reference::make(scene.stage());
    let whole = duration(&scene);
    let rounds: u32 = if Points::are_all() { 100 } else { 12 };
    let mut tally = Tally::default();
    for round in 0..rounds {
        let stage = scene.stage();
        let mut child = command(&stage).spawn().unwrap();
        let id = Pid::from_raw(child.id().cast_signed());
        std::thread::sleep(whole * round / rounds);
        kill(id, Signal::SIGSTOP).unwrap();
        let others = stage.environment().run(&["remove", "prime", "--no-wait"]);
        assert!([0, 1].contains(&others.code), "{others}");
        let list = stage.environment().run(&["list", "--json"]);
        let at = format!("stopped after {round} of {rounds} parts");
        if list.code != 0 {
            tally.blind.push(format!("{at}: {list}"));
        } else if !reference.knows_list(&stage, &list.json()) {
            tally.torn.push(format!("{at}: {list}"));
        }
        kill(id, Signal::SIGCONT).unwrap();
        assert!(child.wait().unwrap().success(), "{at}");
        tally.count(&at, reference.judge(&stage));
    }
    assert_eq!((tally.old, tally.new + tally.torn.len()), (0, tally.points));
    tally.report("stop and continue, four packages", began);
}

/// TERM at random times, also while packages are unpacked by other threads.
#[test]
fn c03_term_at_random_times() {
    if !can_trace() {
        return skip("no program's calls can be counted on this machine");
    }
    let began = Instant::now();
    let scene = four();
    let reference = Reference::make(scene.stage());
    let whole = duration(&scene);
    let rounds: u32 = if Points::are_all() { 300 } else { 24 };
    let mut tally = Tally::default();
    for round in 0..rounds {
        let stage = scene.stage();
        let signal = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP][round as usize % 3];
        let mut child = command(&stage).spawn().unwrap();
        // Not before the program has begun and listens.
        std::thread::sleep(Duration::from_millis(3) + whole * round / rounds);
        let _ = kill(Pid::from_raw(child.id().cast_signed()), signal);
        let status = child.wait().unwrap();
        let code =
            status.code().unwrap_or_else(|| 128 + std::os::unix::process::ExitStatusExt::signal(&status).unwrap());
        tally.count(&format!("{signal} after {round} of {rounds} parts"), after(&reference, &stage, signal, code));
    }
    tally.report("TERM, INT, HUP at random times, four packages", began);
}
