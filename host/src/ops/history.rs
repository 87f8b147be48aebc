//! `history`, `undo` and `recover`.

use std::collections::{HashMap, HashSet};

use packets_plugin_api::ident::TransactionId;
use packets_plugin_api::storage::{Storage, TransactionRow};
use serde::Serialize;

use super::context::{Context, Mode, without_privilege};
use super::ground::on_ground;
use super::install::mode;
use super::transaction::{new_id, now};
use super::{Kept, Options};
use crate::commit::{About, Reversal};
use crate::error::{Error, Result};
use crate::history;
use crate::recover::Recovered;
use crate::report::{Event, Events};

/// A transaction of the past.
#[derive(Debug, Serialize)]
pub struct Past {
    /// What is on record of it.
    #[serde(flatten)]
    pub row: TransactionRow,
    /// The transaction that took it back and still stands.
    pub undone_by: Option<TransactionId>,
    /// Whether what it displaced is kept.
    pub can_undo: bool,
    /// The transaction that holds what must come back when this one is taken back: itself, or where it was undone
    /// and brought back, the last that did so.
    #[serde(skip)]
    holder: TransactionId,
}

/// A transaction that took another one back.
struct Taker {
    id: TransactionId,
    stands: bool,
    holder: TransactionId,
}

/// What `undo` did, or would do.
#[derive(Debug, Serialize)]
pub struct Undone {
    /// The transaction that was taken back.
    pub undone: TransactionId,
    /// The one that did it.
    pub id: TransactionId,
    /// One line a package: what became of it.
    pub summary: Vec<String>,
    /// Whether anything was changed.
    pub committed: bool,
    /// Files of the administrator that were moved, and where they are now.
    pub kept: Vec<Kept>,
}

/// What `recover` brought to its end.
#[derive(Debug, Serialize)]
pub struct RecoveredAll {
    /// Each transaction that had been cut off.
    pub recovered: Vec<Recovered>,
}

/// All transactions, newest first.
///
/// # Errors
/// The record cannot be read.
pub fn history(options: &Options, events: &dyn Events) -> Result<Vec<Past>> {
    let context = Context::open(options, Mode::Read, "history", events)?;
    let storage = context.storage(Mode::Read)?;
    past(&context, storage.as_ref())
}

fn past(context: &Context, storage: &dyn Storage) -> Result<Vec<Past>> {
    // Who may not look there can undo nothing either.
    let kept: HashSet<TransactionId> = match context.state_to_read()? {
        Some(state) => history::kept(&state).unwrap_or_default().into_iter().collect(),
        None => HashSet::new(),
    };
    let mut takers: HashMap<TransactionId, Taker> = HashMap::new();
    let mut all = Vec::new();
    for row in storage.history(history::MOST)? {
        // Newest first: whatever takes this one back has been seen.
        let taker = takers.get(&row.id);
        let undone_by = taker.filter(|taker| taker.stands).map(|taker| taker.id.clone());
        let holder = taker.map_or_else(|| row.id.clone(), |taker| taker.holder.clone());
        if let Some(undoes) = &row.undoes {
            let taker = Taker { id: row.id.clone(), stands: undone_by.is_none(), holder: holder.clone() };
            takers.insert(undoes.clone(), taker);
        }
        let can_undo = undone_by.is_none() && kept.contains(&holder);
        all.push(Past { row, undone_by, can_undo, holder });
    }
    Ok(all)
}

/// Takes a transaction back: the newest that stands and is no undo itself, or the one that is named.
///
/// # Errors
/// There is none, its files are no longer kept, or something has changed since; then nothing is changed.
pub fn undo(id: Option<&TransactionId>, options: &Options, events: &dyn Events) -> Result<Undone> {
    let context = Context::open(options, mode(options), "undo", events)?;
    let mut storage = context.storage(mode(options))?;
    let all = past(&context, storage.as_ref())?;
    let undone = choose(id, &all)?.holder.clone();
    let kept = match context.state_to_read()? {
        Some(state) => history::decision(&state, &undone).map_err(|error| without_privilege(error, options))?,
        None => None,
    };
    let kept = kept.ok_or_else(|| no_longer_kept(&undone))?;
    let reversal = Reversal::new(kept, context.target.root(), storage.as_ref())?;
    let summary = reversal.summary.clone();
    let (id, time) = (new_id()?, now());
    if options.dry_run.is_some() {
        return Ok(Undone { undone, id, summary, committed: false, kept: Vec::new() });
    }
    let about = About { id: id.clone(), command: "undo", time };
    let taken_back = on_ground(&context, &about, |ground| reversal.carry_out(ground, storage.as_mut()))?;
    for warning in &taken_back.warnings {
        events.event(&Event::Warning(warning));
    }
    // What it had displaced is in its place again.
    let freed = context.state().and_then(|state| history::free(context.target.root(), &state, &undone, events));
    if let Err(error) = freed {
        events.event(&Event::Warning(&error.to_string()));
    }
    context.expire_history(storage.as_ref(), time, events);
    Ok(Undone { undone, id, summary, committed: true, kept: taken_back.kept })
}

fn choose<'a>(id: Option<&'a TransactionId>, all: &'a [Past]) -> Result<&'a Past> {
    let Some(id) = id else {
        let stands = |past: &&Past| past.undone_by.is_none() && past.row.undoes.is_none();
        return all
            .iter()
            .find(stands)
            .ok_or_else(|| Error::request("there is nothing to undo").hint("`packets history` lists what was done"));
    };
    let past = all.iter().find(|past| past.row.id == *id).ok_or_else(|| {
        Error::request(format!("there is no transaction {id}")).hint("`packets history` lists all of them")
    })?;
    match &past.undone_by {
        Some(by) => Err(Error::request(format!("transaction {id} was undone already"))
            .hint(format!("`packets undo {by}` undoes that"))),
        None => Ok(past),
    }
}

fn no_longer_kept(id: &TransactionId) -> Error {
    Error::request(format!("cannot undo transaction {id}"))
        .caused_by("what it displaced is no longer kept")
        .hint("[History] in the config says how much is kept, and how long")
}

/// Brings to their end what a crash left.
///
/// # Errors
/// It cannot be done now; then what is wrong is said, and nothing is lost.
pub fn recover(options: &Options, events: &dyn Events) -> Result<RecoveredAll> {
    let mode = Mode::Write { make_root: false };
    let context = Context::open(options, mode, "recover", events)?;
    // A write of the record that was cut off is taken back by whoever may write.
    context.storage(mode)?;
    Ok(RecoveredAll { recovered: context.recovered })
}
