//! Which points of a run are tried, and what came of them.

use std::collections::BTreeSet;
use std::io::Write;
use std::time::Instant;

use super::calls::Kind;
use super::expected::{Reference, Verdict};
use super::scene::{Scene, Stage};
use super::tracer::{Act, Call};
use crate::environment::TestEnvironment;
use crate::output::Output;

/// Says it on stderr itself, past the harness, which shows nothing of tests that pass.
pub fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// The points of a sweep. The variable `PACKETS_SWEEP` decides: `all`, or a number k for
/// every kth one; without it a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Points {
    /// Each one, until a run passes unharmed.
    All,
    /// Every so manyth.
    Every(usize),
    /// So many, evenly; with them the first and the last, and one of each system call.
    Sample(usize),
}

impl Points {
    /// As the variable says; else so many.
    pub fn wanted(sample: usize) -> Self {
        match std::env::var("PACKETS_SWEEP") {
            Err(_) => Self::Sample(sample),
            Ok(text) if text == "all" => Self::All,
            Ok(text) => Self::Every(text.parse().expect("PACKETS_SWEEP is `all` or a number")),
        }
    }

    /// Whether this is the whole form.
    pub fn are_all() -> bool {
        Self::wanted(1) == Self::All
    }

    /// Numbers of points, of a run that made these calls; beginning with 1.
    pub fn of(self, calls: &[Call]) -> Vec<usize> {
        let count = calls.len();
        let mut points: BTreeSet<usize> = match self {
            // And some behind the end: a run has a call more where its threads meet otherwise.
            Self::All => (1..=count + 4).collect(),
            Self::Every(step) => (1..=count).step_by(step.max(1)).collect(),
            Self::Sample(wanted) => (1..=count).step_by((count / wanted.max(1)).max(1)).collect(),
        };
        points.extend([1, count.saturating_sub(1), count].iter().filter(|point| **point >= 1 && **point <= count));
        let mut names = BTreeSet::new();
        for (at, call) in calls.iter().enumerate().rev() {
            if names.insert(call.name) {
                points.insert(at + 1);
            }
        }
        points.into_iter().collect()
    }
}

/// What came of the points of a sweep.
#[derive(Debug, Default)]
pub struct Tally {
    /// Points tried.
    pub points: usize,
    /// Of these, as before.
    pub old: usize,
    /// As after.
    pub new: usize,
    /// Neither, each with its point.
    pub torn: Vec<String>,
    /// Of these, how many had left staging behind that a recovery cleared away.
    pub left: usize,
    /// Points at which readers failed until something was written: none may.
    pub blind: Vec<String>,
    /// Names of the calls that were struck.
    pub names: BTreeSet<&'static str>,
}

impl Tally {
    /// Counts a verdict.
    pub fn count(&mut self, at: &str, verdict: Verdict) {
        self.points += 1;
        match verdict {
            Verdict::Old => self.old += 1,
            Verdict::New => self.new += 1,
            Verdict::Torn(why) => self.torn.push(format!("{at}: {why}")),
        }
    }

    /// Prints the counts; none may be torn.
    #[track_caller]
    pub fn report(&self, name: &str, began: Instant) {
        assert_none(&self.failures(name, began));
    }

    /// Prints the counts; what is wrong with them.
    pub fn failures(&self, name: &str, began: Instant) -> Vec<String> {
        let Self { points, old, new, left, torn, blind, names } = self;
        let names: Vec<&str> = names.iter().copied().collect();
        say(&format!(
            "sweep {name}: {points} points, {old} old, {new} new, {} torn, {} without readers, {left} left to clear, {:.1} s ({})",
            torn.len(),
            blind.len(),
            began.elapsed().as_secs_f64(),
            names.join(" ")
        ));
        let some = |what: &str, all: &[String]| {
            let shown = all.iter().take(4).cloned().collect::<Vec<_>>().join("\n\n");
            (!all.is_empty()).then(|| format!("{name}: {what} at {} of {points} points, e.g.\n{shown}", all.len()))
        };
        let none = (*points == 0).then(|| format!("{name}: no point was tried"));
        [none, some("torn", torn), some("readers fail", blind)].into_iter().flatten().collect()
    }
}

/// Of several sweeps none may have failed.
#[track_caller]
pub fn assert_none(failures: &[String]) {
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

/// The calls that a run of the scene makes and that `counts` is true for.
pub fn calls_of(scene: &Scene, counts: impl Fn(&Call) -> bool) -> Vec<Call> {
    calls_of_stage(&scene.stage(), counts)
}

/// The same for a stage, which has its command behind it then.
pub fn calls_of_stage(stage: &Stage, counts: impl Fn(&Call) -> bool) -> Vec<Call> {
    let mut calls = Vec::new();
    let mut count = |call: &Call| {
        if counts(call) {
            calls.push(call.clone());
        }
        Act::Go
    };
    stage.run(&mut count).ok();
    calls
}

/// Whether a call changes a disk or makes a change durable.
pub fn is_writing(call: &Call) -> bool {
    call.kind != Kind::Looks
}

/// Runs `run`, and strikes the nth call that `counts` is true for; what was struck.
pub fn strike(
    point: usize,
    mut counts: impl FnMut(&Call) -> bool,
    act: Act,
    run: impl FnOnce(&mut dyn FnMut(&Call) -> Act) -> Output,
) -> (Output, Option<Call>) {
    let mut seen = 0;
    let mut struck = None;
    let output = run(&mut |call| {
        seen += usize::from(counts(call));
        if seen == point && struck.is_none() {
            struck = Some(call.clone());
            return act;
        }
        Act::Go
    });
    (output, struck)
}

/// What a crash left is dealt with: by `recover`, or by the next command that writes.
///
/// # Errors
/// How it fails.
pub fn recover(environment: &TestEnvironment, by_next_run: bool) -> Result<(), String> {
    let output = match by_next_run {
        true => {
            let package = crate::package::Package::new("tiny", "1").write(&environment.work());
            let installed = environment.run(&["install", package.to_str().unwrap(), "--no-wait"]);
            if installed.code == 0 { environment.run(&["remove", "tiny", "--no-wait"]) } else { installed }
        }
        false => environment.run(&["recover", "--json", "--no-wait"]),
    };
    if output.code == 0 { Ok(()) } else { Err(format!("recovery fails: {output}")) }
}

/// What holds at any time, also while a transaction is pending: readers work, and see old or new rows.
pub fn readers(tally: &mut Tally, at: &str, reference: &Reference, stage: &Stage) {
    let output = stage.environment().run(&["list", "--json"]);
    if output.code != 0 {
        tally.blind.push(format!("{at}: {output}"));
    } else if !reference.knows_list(stage, &output.json()) {
        tally.torn.push(format!("{at}: a reader sees neither old nor new rows: {output}"));
    }
}

/// A second recovery finds nothing to do.
pub fn recovers_once(stage: &Stage) -> Result<(), String> {
    let output = stage.environment().run(&["recover", "--json", "--no-wait"]);
    let is_empty = |list: &serde_json::Value| list.as_array().is_none_or(Vec::is_empty);
    let is_idle = output.code == 0 && {
        let said = output.json();
        said["recovered"].is_array() && is_empty(&said["recovered"]) && is_empty(&said["quarantined"])
    };
    if is_idle { Ok(()) } else { Err(format!("a second recovery is no idle one: {output}")) }
}
