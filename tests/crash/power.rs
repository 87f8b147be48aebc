//! C04, C07, C08: the power goes off. The disk is a file; what the program has written and
//! not made durable is still in the kernel when the file is copied, and is lost in the copy.

use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use packets_tests::crash::{
    Act, Call, FileSystem, Kind, Mounted, Points, Reference, Scene, Stage, Tally, Verdict, can_trace, copy_image,
    recover, recovers_once, say, strike, tool, with_own_mounts,
};
use packets_tests::{TestEnvironment, skip};

/// ext4 as it is mounted everywhere.
const PLAIN: (FileSystem, &str) = (FileSystem::Ext4, "");

/// A root on a disk whose power can be cut.
struct Machine {
    stage: Stage,
    /// The disk before the command.
    base: PathBuf,
    /// The disk that the command works on.
    disk: PathBuf,
    /// What the power cut left of it.
    rest: PathBuf,
    options: &'static str,
}

impl Machine {
    fn new(scene: &Scene, kind: FileSystem, options: &'static str) -> Result<Self, String> {
        let environment = TestEnvironment::in_memory();
        let file = |name: &str| environment.place().join(name);
        let (base, disk, rest) = (file("base.img"), file("disk.img"), file("rest.img"));
        kind.make(&base)?;
        let mounted = Mounted::image(&base, &environment.root(), options)?;
        let _ = fs::remove_dir(environment.at("lost+found"));
        let stage = scene.stage_in(environment);
        drop(mounted);
        Ok(Self { stage, base, disk, rest, options })
    }

    /// Runs the command on the disk as it was before, and cuts the power before the nth call
    /// that `counts` is true for, or right after the command. What is left is mounted.
    fn cut(&mut self, point: usize, counts: impl Fn(&Call) -> bool) -> (Option<Call>, Mounted) {
        let root = self.stage.environment().root();
        copy_image(&self.base, &self.disk);
        let mounted = Mounted::image(&self.disk, &root, self.options).unwrap();
        self.stage.again();
        let (mut seen, mut struck) = (0, None);
        let output = self.stage.run(&mut |call| {
            seen += usize::from(counts(call));
            if seen < point || struck.is_some() || !counts(call) {
                return Act::Go;
            }
            copy_image(&self.disk, &self.rest);
            struck = Some(call.clone());
            Act::Kill
        });
        if struck.is_none() {
            output.ok();
            copy_image(&self.disk, &self.rest);
        }
        drop(mounted);
        (struck, Mounted::image(&self.rest, &root, self.options).unwrap())
    }

    /// The program is killed before the nth change; then the power is cut before each sync of
    /// the recovery, of which this is one.
    fn cut_recovery(&mut self, point: usize, sync: usize) -> (Option<Call>, Mounted) {
        let root = self.stage.environment().root();
        copy_image(&self.base, &self.disk);
        let mounted = Mounted::image(&self.disk, &root, self.options).unwrap();
        self.stage.again();
        let (_, killed) = strike(point, |call| call.kind != Kind::Looks, Act::Kill, |act| self.stage.run(act));
        assert!(killed.is_some(), "the command ends before call {point}");
        let (mut seen, mut struck) = (0, None);
        self.stage.environment().run_traced(&["recover", "--no-wait"], &mut |call| {
            seen += usize::from(call.kind == Kind::Syncs);
            if seen < sync || struck.is_some() || call.kind != Kind::Syncs {
                return Act::Go;
            }
            copy_image(&self.disk, &self.rest);
            struck = Some(call.clone());
            Act::Kill
        });
        if struck.is_none() {
            copy_image(&self.disk, &self.rest);
        }
        drop(mounted);
        (struck, Mounted::image(&self.rest, &root, self.options).unwrap())
    }

    fn calls(&mut self) -> Vec<Call> {
        copy_image(&self.base, &self.disk);
        let _mounted = Mounted::image(&self.disk, &self.stage.environment().root(), self.options).unwrap();
        let mut calls = Vec::new();
        let mut count = |call: &Call| {
            calls.push(call.clone());
            Act::Go
        };
        self.stage.run(&mut count).ok();
        calls.retain(|call| call.kind != Kind::Looks && !tool::is_one_of_many(call));
        calls
    }
}

fn on_a_disk_of_its_own(test: impl FnOnce() + Send) {
    if !can_trace() || !with_own_mounts(test) {
        skip("needs root, mounts of its own, and to trace programs");
    }
}

fn sweep(scene: &Scene, (kind, options): (FileSystem, &'static str), sample: usize) {
    let began = Instant::now();
    let mut machine = match Machine::new(scene, kind, options) {
        Ok(machine) => machine,
        Err(why) => return skip(&why),
    };
    let reference = reference(&mut machine);
    let calls = machine.calls();
    let is_sync = |call: &Call| call.kind == Kind::Syncs && !tool::is_one_of_many(call);
    let is_change = |call: &Call| call.kind == Kind::Changes && !tool::is_one_of_many(call);
    let count = |kind: Kind| calls.iter().filter(|call| call.kind == kind).count();
    let (syncs, changes) = (count(Kind::Syncs), count(Kind::Changes));
    let step = |count: usize, wanted: usize| (count / wanted).max(1);
    let (each_sync, each_change) = match Points::wanted(sample) {
        Points::All => (1, 1),
        Points::Every(every) => (every, every),
        Points::Sample(wanted) => (step(syncs, wanted), step(changes, wanted / 2)),
    };
    let mut tally = Tally::default();
    // The point behind the last sync: the command has said that it is done, so it is.
    for point in (1..=syncs).step_by(each_sync).chain([syncs + 10]) {
        let (struck, mounted) = machine.cut(point, is_sync);
        tally.names.extend(struck.as_ref().map(|call| call.name));
        let verdict = after(&reference, &machine.stage, struck.is_none());
        let at = struck.map_or("after the command".to_owned(), |call| call.to_string());
        tally.count(&format!("{}, power cut before sync {point}, {at}", scene.name), verdict);
        drop(mounted);
    }
    for point in (1..=changes).step_by(each_change) {
        let (struck, mounted) = machine.cut(point, is_change);
        let Some(call) = struck else { continue };
        tally.names.insert(call.name);
        let at = format!("{}, power cut before change {point}, {call}", scene.name);
        tally.count(&at, after(&reference, &machine.stage, false));
        drop(mounted);
    }
    let options = if options.is_empty() { "default" } else { options };
    tally.report(&format!("power cut {} on {kind}, {options}, {syncs} syncs", scene.name), began);
}

fn reference(machine: &mut Machine) -> Reference {
    copy_image(&machine.base, &machine.disk);
    let mounted = Mounted::image(&machine.disk, &machine.stage.environment().root(), machine.options).unwrap();
    machine.stage.again();
    let reference = Reference::of(&machine.stage);
    drop(mounted);
    reference
}

/// The staging of a transaction that is kept may hold again what was taken out of it and never made durable; it
/// goes when that is freed. btrfs does so, which logs the journal's move alone.
fn take_out_again(environment: &TestEnvironment) {
    let Ok(kept) = fs::read_dir(environment.at("var/lib/packets/history")) else { return };
    for id in kept.map(|entry| entry.unwrap().file_name()) {
        let staging = environment.at("opt/packets/.packets").join(id);
        for folder in ["begun", "new"] {
            let _ = fs::remove_dir(staging.join(folder));
        }
        let _ = fs::remove_file(staging.join("reserve"));
    }
}

fn after(reference: &Reference, stage: &Stage, is_done: bool) -> Verdict {
    let look = || {
        recover(stage.environment(), false)?;
        take_out_again(stage.environment());
        let verdict = reference.judge(stage);
        recovers_once(stage)?;
        match (is_done, &verdict) {
            (true, Verdict::Old) => Err("the command said that it was done, and it was not".to_owned()),
            _ => Ok(verdict),
        }
    };
    look().unwrap_or_else(Verdict::Torn)
}

#[test]
fn c04_c07_c08_install() {
    on_a_disk_of_its_own(|| sweep(&tool::scene_install(), PLAIN, 12));
}

#[test]
fn c04_c07_c08_upgrade() {
    on_a_disk_of_its_own(|| sweep(&tool::scene_upgrade(), PLAIN, 16));
}

/// The record is written while the steps are done.
#[test]
fn c04_c07_c08_upgrade_of_many_files() {
    on_a_disk_of_its_own(|| sweep(&tool::scene_many_files(), PLAIN, 8));
}

#[test]
fn c04_c07_c08_remove() {
    on_a_disk_of_its_own(|| sweep(&tool::scene_remove(), PLAIN, 8));
}

#[test]
fn c04_c07_c08_undo() {
    on_a_disk_of_its_own(|| sweep(&tool::scene_undo(), PLAIN, 8));
}

#[test]
fn c04_c07_c08_relocate() {
    on_a_disk_of_its_own(|| sweep(&tool::scene_relocate(), PLAIN, 8));
}

#[test]
fn c04_c22_recovery() {
    on_a_disk_of_its_own(|| {
        let began = Instant::now();
        let scene = tool::scene_upgrade();
        let mut machine = match Machine::new(&scene, FileSystem::Ext4, "") {
            Ok(machine) => machine,
            Err(why) => return skip(&why),
        };
        let reference = reference(&mut machine);
        let count = machine.calls().len();
        let (parts, step) = if Points::are_all() { (12, 1) } else { (3, 5) };
        let mut tally = Tally::default();
        for part in 0..parts {
            let point = count / 2 + part * (count / 2) / parts;
            for sync in (1..100).step_by(step) {
                let (struck, mounted) = machine.cut_recovery(point, sync);
                tally.names.extend(struck.as_ref().map(|call| call.name));
                let at = struck.as_ref().map_or("after it".to_owned(), ToString::to_string);
                let verdict = after(&reference, &machine.stage, false);
                tally.count(&format!("upgrade killed at {point}, power cut in its recovery, {at}"), verdict);
                drop(mounted);
                if struck.is_none() {
                    break;
                }
            }
        }
        tally.report("power cut recovery on ext4", began);
    });
}

#[test]
fn c04_on_other_kinds_of_journal() {
    if !Points::are_all() {
        return say("power cuts with data=writeback and nodelalloc belong to the whole form");
    }
    on_a_disk_of_its_own(|| {
        for options in ["data=writeback", "nodelalloc"] {
            sweep(&tool::scene_install(), (FileSystem::Ext4, options), 0);
            sweep(&tool::scene_upgrade(), (FileSystem::Ext4, options), 0);
        }
    });
}

#[test]
fn c04_on_xfs() {
    on_a_disk_of_its_own(|| {
        sweep(&tool::scene_upgrade(), (FileSystem::Xfs, ""), 8);
        sweep(&tool::scene_undo(), (FileSystem::Xfs, ""), 4);
    });
}

#[test]
fn c04_on_btrfs() {
    on_a_disk_of_its_own(|| {
        sweep(&tool::scene_upgrade(), (FileSystem::Btrfs, ""), 8);
        sweep(&tool::scene_undo(), (FileSystem::Btrfs, ""), 4);
    });
}
