//! What a user sees of a root at one moment, and what nobody may find there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::environment::TestEnvironment;
use crate::snapshot::Snapshot;

/// The system, the record and the history of a root.
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    /// All paths but the program's own, with the times of files; config and index too.
    pub system: Snapshot,
    /// What `list --json` says.
    pub list: Value,
    /// What `files NAME --json` says of each package.
    pub files: BTreeMap<String, Value>,
    /// What the administrator has approved.
    pub approvals: Vec<String>,
    /// What `history --json` says, without the tiny package of [`recover`](super::recover).
    pub history: Value,
    /// The transactions of the history, all of them.
    pub transactions: BTreeSet<String>,
}

/// The program's own: compared by what it says of them. What it knows of the index names the one file that it is about,
/// and is forgotten with it.
const OWN: [&str; 5] =
    ["etc/packets/lock", "etc/packets/installed.db", "etc/packets/index.toml", "var/lib/packets", "var/cache/packets"];

impl State {
    /// Of this root, now.
    #[track_caller]
    pub fn of(environment: &TestEnvironment) -> Self {
        Self::try_of(environment).unwrap_or_else(|why| panic!("{why}"))
    }

    /// The same; or how a command that only reads fails.
    ///
    /// # Errors
    /// See there.
    pub fn try_of(environment: &TestEnvironment) -> Result<Self, String> {
        let list = look(environment, &["list", "--json"])?;
        let file = |name: String| Ok((name.clone(), look(environment, &["files", &name, "--json"])?));
        let history = look(environment, &["history", "--json"])?;
        let all = history.as_array().into_iter().flatten();
        let transactions = all.clone().filter_map(|one| Some(one["id"].as_str()?.to_owned())).collect();
        let is_tiny = |one: &&Value| one["summary"].to_string().contains("tiny");
        Ok(Self {
            history: all.filter(|one| !is_tiny(one)).cloned().collect(),
            transactions,
            system: system(&environment.root()),
            files: names(&list).map(file).collect::<Result<_, String>>()?,
            list,
            approvals: approvals(&environment.at("etc/packets/installed.db")),
        })
    }

    /// The history without what is another in each run: identities become positions, counted
    /// from the oldest one on.
    pub(crate) fn shape_of_history(&self) -> Vec<Value> {
        let all: Vec<&Value> = self.history.as_array().into_iter().flatten().collect();
        let position = |id: &Value| match all.iter().rev().position(|one| one["id"] == *id) {
            Some(at) => Value::from(at),
            None => id.clone(),
        };
        let shape = |one: &&Value| {
            let mut one = (*one).clone();
            for key in ["id", "undoes", "undone_by"] {
                one[key] = position(&one[key]);
            }
            one["time"] = Value::Null;
            // They name the folder of the test.
            one["origins"] = one["origins"].as_array().map_or(0, Vec::len).into();
            one
        };
        all.iter().map(shape).collect()
    }
}

fn look(environment: &TestEnvironment, arguments: &[&str]) -> Result<Value, String> {
    let output = environment.run(arguments);
    if output.code == 0 { Ok(output.json()) } else { Err(format!("a reader fails: {output}")) }
}

fn names(list: &Value) -> impl Iterator<Item = String> {
    list.as_array().into_iter().flatten().filter_map(|package| Some(package["name"].as_str()?.to_owned()))
}

fn system(root: &Path) -> Snapshot {
    let mut all = Snapshot::of(root).without(&OWN);
    all.0.retain(|path, _| !path.iter().any(|part| is_staging(&part.to_string_lossy())));
    all
}

/// Whether a folder of this name holds what is staged or displaced by transactions.
fn is_staging(name: &str) -> bool {
    name == ".packets" || name.strip_prefix(".packets-").is_some_and(|rest| rest != "displaced")
}

fn approvals(file: &Path) -> Vec<String> {
    if !file.exists() {
        return Vec::new();
    }
    let database = rusqlite::Connection::open_with_flags(file, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let Ok(mut query) = database.prepare("SELECT * FROM approvals ORDER BY 1, 2, 3") else { return Vec::new() };
    let columns = query.column_count();
    let mut rows = query.query([]).unwrap();
    let mut all = Vec::new();
    while let Ok(Some(row)) = rows.next() {
        let value = |at| format!("{:?}", row.get_ref(at).unwrap());
        all.push((0..columns).map(value).collect::<Vec<_>>().join(" | "));
    }
    all
}

/// What a root must not hold when no transaction is pending: journals, staging, files half made.
/// `kept` are the transactions whose displaced files may stand in an `old/`.
pub fn leftovers(root: &Path, kept: &BTreeSet<String>) -> Vec<String> {
    let mut found = Vec::new();
    for folder in ["var/lib/packets/journal", "var/lib/packets/quarantine"] {
        found.extend(entries(&root.join(folder)).map(|name| format!("{folder}/{name}")));
    }
    let own = ["config.toml", "index.db", "index.toml", "installed.db", "lock"];
    for name in entries(&root.join("etc/packets")).filter(|name| !own.contains(&name.as_str())) {
        found.push(format!("etc/packets/{name}"));
    }
    for name in entries(&root.join("var/cache/packets")) {
        let is_package = name.strip_suffix(".pkt.tar.zst").is_some_and(|hash| hash.len() == 64);
        if !is_package {
            found.push(format!("var/cache/packets/{name}"));
        }
    }
    for path in Snapshot::of(root).paths() {
        let Some((folder, transaction)) = staging_of(&path) else { continue };
        if !kept.contains(transaction) || !folder.is_empty() && folder != "old" {
            found.push(path);
        }
    }
    found
}

/// For a path in staging: the first folder in that of its transaction, and the transaction.
fn staging_of(path: &str) -> Option<(&str, &str)> {
    let mut parts = path.trim_end_matches('/').split('/').peekable();
    while let Some(part) = parts.next() {
        let transaction = match part {
            ".packets" => parts.next(),
            "staging" if path.starts_with("var/lib/packets/staging") => parts.next(),
            _ if is_staging(part) => part.strip_prefix(".packets-"),
            _ => continue,
        };
        return Some((parts.next().unwrap_or_default(), transaction?));
    }
    None
}

fn entries(folder: &Path) -> impl Iterator<Item = String> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.file_name().display().to_string())
}
