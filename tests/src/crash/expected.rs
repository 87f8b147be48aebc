//! Whether a root is as before, as after, or torn.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::scene::Stage;
use super::state::{State, leftovers};
use crate::snapshot::Standing;

/// What a run that nobody disturbed made of a scene.
#[derive(Debug)]
pub struct Reference {
    /// The states that the scene went through before the command.
    moments: Vec<State>,
    /// When the command began.
    began: i128,
    /// The state after it.
    new: State,
}

/// What a root is, compared with the states before and after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Exactly as before.
    Old,
    /// Exactly as after.
    New,
    /// Neither; what differs from each.
    Torn(String),
}

impl Reference {
    /// Carries the scene's command out, undisturbed.
    #[track_caller]
    pub fn make(stage: Stage) -> Self {
        Self::of(&stage)
    }

    /// The same for a stage that the caller keeps.
    #[track_caller]
    pub fn of(stage: &Stage) -> Self {
        let began = now();
        stage.run(&mut |_| super::Act::Go).ok();
        let new = State::of(stage.environment());
        let left = leftovers(&stage.environment().root(), &new.transactions);
        assert!(left.is_empty(), "an undisturbed run left {left:?}");
        let reference = Self { moments: stage.moments().to_vec(), began, new };
        assert_eq!(reference.judge(stage), Verdict::New, "the same root differs from itself");
        reference
    }

    /// What a stage is now.
    pub fn judge(&self, stage: &Stage) -> Verdict {
        match State::try_of(stage.environment()) {
            Ok(state) => self.judge_state(stage, &state),
            Err(why) => Verdict::Torn(why),
        }
    }

    /// The same of a state that was seen before.
    pub fn judge_state(&self, stage: &Stage, state: &State) -> Verdict {
        if stage.is_bare() {
            let (old, new) = (without_housekeeping(stage.old()), without_housekeeping(&self.new));
            let reference = Self { moments: self.moments.clone(), began: self.began, new };
            return reference.judge_against(stage, &old, &without_housekeeping(state));
        }
        self.judge_against(stage, stage.old(), state)
    }

    /// What differs in the system, the rows and the approvals from before; not in the history.
    pub fn difference_from_old(stage: &Stage, state: &State) -> Vec<String> {
        let forget = |state: &State| State { history: Value::Null, ..state.clone() };
        match stage.is_bare() {
            true => difference(&without_housekeeping(&forget(stage.old())), &without_housekeeping(&forget(state))),
            false => difference(&forget(stage.old()), &forget(state)),
        }
    }

    fn judge_against(&self, stage: &Stage, old: &State, state: &State) -> Verdict {
        let left = leftovers(&stage.environment().root(), &state.transactions);
        let left: Vec<String> = left.into_iter().map(|path| format!("left over: {path}")).collect();
        let from_old = difference(old, state);
        let from_new = self.difference_from_new(stage, state);
        match (left.is_empty(), from_old.is_empty(), from_new.is_empty()) {
            (true, true, _) => Verdict::Old,
            (true, _, true) => Verdict::New,
            _ => Verdict::Torn(torn(&left, &from_old, &from_new)),
        }
    }

    /// Whether the rows that a reader sees are old or new ones.
    pub fn knows_list(&self, stage: &Stage, list: &Value) -> bool {
        *list == stage.old().list || without_times(list) == without_times(&self.new.list)
    }

    fn difference_from_new(&self, stage: &Stage, state: &State) -> Vec<String> {
        let mut lines = Vec::new();
        let seen = &state.system.0;
        for (path, standing) in &self.new.system.0 {
            match seen.get(path) {
                None => lines.push(format!("gone: {}", path.display())),
                Some(seen) => lines.extend(self.differs(stage, path, standing, seen)),
            }
        }
        let known = &self.new.system.0;
        lines.extend(
            seen.keys().filter(|path| !known.contains_key(*path)).map(|path| format!("new: {}", path.display())),
        );
        let rows = |what: &str, seen: &Value, new: &Value| {
            (without_times(seen) != without_times(new)).then(|| format!("{what}: {seen}, not {new}"))
        };
        lines.extend(rows("list", &state.list, &self.new.list));
        lines.extend(rows("files", &of_all(&state.files), &of_all(&self.new.files)));
        if state.approvals != self.new.approvals {
            lines.push(format!("approvals: {:?}, not {:?}", state.approvals, self.new.approvals));
        }
        let (seen, new) = (state.shape_of_history(), self.new.shape_of_history());
        if seen != new {
            lines.push(format!("history: {seen:?}, not {new:?}"));
        }
        lines
    }

    /// A file that the undisturbed run wrote has a time of this run; every other one has the
    /// time that it had before, also where it moved to another path.
    fn differs(&self, stage: &Stage, path: &PathBuf, reference: &Standing, seen: &Standing) -> Option<String> {
        let mut wanted = reference.clone();
        wanted.written = seen.written;
        let is_timely = match self.origin(path, reference) {
            None if reference.written == 0 => true,
            None => (stage.began()..=now()).contains(&seen.written),
            Some((moment, from)) => {
                let before = stage.moments().get(moment).and_then(|state| state.system.0.get(from));
                before.is_some_and(|before| before.written == seen.written)
            }
        };
        let line = || format!("changed: {}\n  seen     {seen:?}\n  expected {reference:?}", path.display());
        (wanted != *seen || !is_timely).then(line)
    }

    /// The moment and path where what stands in the new state stood before.
    fn origin(&self, path: &PathBuf, standing: &Standing) -> Option<(usize, &PathBuf)> {
        if standing.written == 0 || standing.written >= self.began {
            return None;
        }
        let written = |seen: &Standing| seen.written == standing.written && seen.content == standing.content;
        let moments = || self.moments.iter().enumerate().rev();
        let same_place = moments().find_map(|(at, state)| {
            let (path, seen) = state.system.0.get_key_value(path)?;
            written(seen).then_some((at, path))
        });
        // Of several with its bytes and its time the one whose path ends most like its own: a folder moves whole.
        let elsewhere = || {
            moments().find_map(|(at, state)| {
                let alike = state.system.0.iter().filter(|(_, seen)| written(seen)).map(|(from, _)| from);
                Some((at, alike.max_by_key(|from| common_end(from, path))?))
            })
        };
        same_place.or_else(elsewhere)
    }
}

/// How many names at the end of two paths are the same.
fn common_end(one: &Path, other: &Path) -> usize {
    one.components().rev().zip(other.components().rev()).take_while(|(a, b)| a == b).count()
}

/// What the first command makes in an empty root, whatever it does.
const HOUSEKEEPING: [&str; 10] = [
    ".",
    "./etc",
    "./etc/packets",
    "./etc/packets/config.toml",
    "./opt",
    "./opt/packets",
    "./var",
    "./var/cache",
    "./var/lib",
    "./var/cache/packets",
];

fn without_housekeeping(state: &State) -> State {
    let mut state = state.clone();
    state.system.0.retain(|path, _| !HOUSEKEEPING.contains(&path.to_str().unwrap_or_default()));
    state
}

fn cut(line: &str) -> String {
    line.chars().take(600).collect()
}

/// The state that is nearer is told in full.
fn torn(left: &[String], from_old: &[String], from_new: &[String]) -> String {
    let (nearer, name, count) = match from_old.len() <= from_new.len() {
        true => (from_old, "old", from_new.len()),
        false => (from_new, "new", from_old.len()),
    };
    let all: Vec<&String> = left.iter().chain(nearer).collect();
    let shown: String = all.iter().take(12).map(|line| format!("\n    {}", cut(line))).collect();
    let rest = if all.len() > 12 { format!("\n    and {} more", all.len() - 12) } else { String::new() };
    format!("neither old nor new; from the {name} state differs (from the other one {count} things do):{shown}{rest}")
}

fn difference(old: &State, state: &State) -> Vec<String> {
    let mut lines = old.system.difference(&state.system);
    for (what, before, after) in [
        ("list", &old.list, &state.list),
        ("history", &old.history, &state.history),
        ("files", &of_all(&old.files), &of_all(&state.files)),
    ] {
        if before != after {
            lines.push(format!("{what}: {after}, not {before}"));
        }
    }
    if old.approvals != state.approvals {
        lines.push(format!("approvals: {:?}, not {:?}", state.approvals, old.approvals));
    }
    lines
}

fn of_all(files: &BTreeMap<String, Value>) -> Value {
    files.clone().into_iter().collect::<serde_json::Map<_, _>>().into()
}

fn without_times(value: &Value) -> Value {
    match value {
        Value::Array(all) => all.iter().map(without_times).collect(),
        Value::Object(all) => {
            let kept = all.iter().filter(|(key, _)| *key != "installed_at");
            Value::Object(kept.map(|(key, value)| (key.clone(), without_times(value))).collect())
        }
        other => other.clone(),
    }
}

pub(super) fn now() -> i128 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i128::try_from(since.as_nanos()).unwrap()
}
