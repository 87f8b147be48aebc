//! C01: the program is killed before each of its calls that changes a disk.

use std::collections::BTreeSet;
use std::time::Instant;

use packets_tests::crash::{
    Act, Call, Points, Reference, Scene, Stage, State, Tally, Verdict, calls_of, can_trace, is_writing, readers,
    recover, recovers_once, strike, tool,
};
use packets_tests::{Package, Server, TestEnvironment, skip};

/// Kills the scene's command at each point, and looks at what a recovery makes of it.
fn sweep(scene: &Scene, sample: usize) {
    if !can_trace() {
        return skip("no program's calls can be counted on this machine");
    }
    let began = Instant::now();
    let reference = Reference::make(scene.stage());
    let mut tally = Tally::default();
    let counts = |call: &Call| is_writing(call) && !tool::is_one_of_many(call);
    for point in Points::wanted(sample).of(&calls_of(scene, counts)) {
        let stage = scene.stage();
        let (output, struck) = strike(point, counts, Act::Kill, |act| stage.run(act));
        // With a thread more or less at work a run has a call more or less.
        let Some(call) = struck else { continue };
        assert_eq!(output.code, 128 + 9, "{output}");
        tally.names.insert(call.name);
        let at = format!("{}, killed before call {point}, {call}", scene.name);
        readers(&mut tally, &at, &reference, &stage);
        tally.count(&at, after(&reference, &stage, point));
    }
    tally.report(&format!("kill {}", scene.name), began);
}

/// A recovery, or the next command, brings old or new; a second one is idle.
fn after(reference: &Reference, stage: &Stage, point: usize) -> Verdict {
    let look = || {
        recover(stage.environment(), point % 2 == 1)?;
        let verdict = reference.judge(stage);
        recovers_once(stage)?;
        match verdict {
            Verdict::New if point.is_multiple_of(4) && is_undoable(stage) => undone(stage).map(|()| verdict),
            other => Ok(other),
        }
    };
    look().unwrap_or_else(Verdict::Torn)
}

/// Whether `undo` takes the command back: it does not take an undo back unasked, and an index is no transaction.
fn is_undoable(stage: &Stage) -> bool {
    !["undo", "sync"].iter().any(|other| stage.command().iter().any(|word| word == other))
}

/// What was recovered can be taken back like any other transaction.
fn undone(stage: &Stage) -> Result<(), String> {
    let output = stage.environment().run(&["undo"]);
    if output.code != 0 {
        return Err(format!("what was recovered cannot be undone: {output}"));
    }
    let lines = Reference::difference_from_old(stage, &State::try_of(stage.environment())?);
    if lines.is_empty() { Ok(()) } else { Err(format!("undone, but not as before: {lines:?}")) }
}

#[test]
fn c01_install() {
    sweep(&tool::scene_install(), 30);
}

#[test]
fn c01_c23_c26_upgrade() {
    sweep(&tool::scene_upgrade(), 40);
}

#[test]
fn c01_remove() {
    sweep(&tool::scene_remove(), 30);
}

#[test]
fn c01_undo() {
    sweep(&tool::scene_undo(), 40);
}

#[test]
fn c01_undo_of_a_removal() {
    sweep(&tool::scene_undo_remove(), 30);
}

#[test]
fn c01_undo_of_an_undo() {
    let scene = tool::scene_undo().named("undo of an undo").step(|environment| drop(environment.run(&["undo"]).ok()));
    sweep(&scene.last_word(newest), 24);
}

fn newest(environment: &TestEnvironment) -> String {
    let history = environment.run(&["history", "--json"]).ok().json();
    history[0]["id"].as_str().unwrap().to_owned()
}

#[test]
fn c01_the_first_command_of_all() {
    let scene = Scene::bare("first command", &["install", "tool", "--grant", "tool=/etc/tool"]);
    sweep(&scene.step(|environment| tool::publish(environment, &tool::first(), 0o700)), 30);
}

#[test]
fn c01_c27_three_packages_in_one_command() {
    let scene = Scene::new("three", &["install", "top", "tool", "--grant", "tool=/etc/tool"]);
    let scene = scene.step(|environment| {
        tool::publish(environment, &tool::first(), 0o700);
        Package::program("base", "1").file(&environment.repo());
        Package::program("top", "1").needs(&["base"]).file(&environment.repo());
    });
    sweep(&scene, 30);
}

#[test]
fn c01_c30_sync() {
    let server = Server::start();
    let maker = TestEnvironment::new();
    let [old, new] = ["1", "2"].map(|version| {
        let package = Package::new("tool", version).file(&maker.repo());
        maker.run_plain(&["index", maker.repo().to_str().unwrap(), "--url", &server.url("/")]).ok();
        std::fs::remove_file(package).unwrap();
        std::fs::read(maker.repo().join("index.db")).unwrap()
    });
    // The address is remembered already: the index is all that changes.
    let prepare = move |environment: &TestEnvironment| {
        server.set("/index.db", packets_tests::Reply::Bytes(old.clone()));
        environment.run(&["sync", &server.url("/index.db")]).ok();
        server.set("/index.db", packets_tests::Reply::Bytes(new.clone()));
    };
    sweep(&Scene::new("sync", &["sync"]).without_repo().step(prepare), 30);
}

/// The record is written while the steps are done.
#[test]
fn c01_upgrade_of_many_files() {
    let scene = tool::scene_many_files();
    if can_trace() {
        let calls = calls_of(&scene, is_writing);
        let threads = |name: &str| -> BTreeSet<i32> {
            calls.iter().filter(|call| call.on.ends_with(name)).map(|call| call.thread).collect()
        };
        let (record, journal) = (threads("/installed.db"), threads("/journal"));
        assert!(!journal.is_empty() && !record.is_subset(&journal), "{record:?} {journal:?}");
    }
    sweep(&scene, 24);
}

#[test]
fn c01_relocate() {
    sweep(&tool::scene_relocate(), 20);
}

#[test]
fn c01_undo_of_a_move() {
    sweep(&tool::scene_undo_relocate(), 20);
}
