//! From a decision to a changed system: the seven steps of a transaction, whoever decided it.

use std::path::Path;
use std::sync::Arc;

use packets_hook_runtime::folder::Folder;
use packets_plugin_api::relpath::RelPath;
use packets_plugin_api::storage::{InstalledRow, Rows, Storage, StorageError};

use super::Area;
use super::apply::Applier;
use super::rows_ahead::{Recording, recorded_when};
use crate::error::{Error, Result};
use crate::interrupt;
use crate::journal::{Decision, End, Record};

/// Bytes of the database for each byte of the journal's rows, its own journal included, about.
const DATABASE_FACTOR: u64 = 2;
/// Bytes of a file's row, about.
const BYTES_OF_A_FILE: u64 = 256;
/// Bytes that a database needs for the smallest change.
const DATABASE_LEAST: u64 = 256 << 10;

/// What a transaction is carried out on.
pub(crate) struct Ground<'a> {
    /// The target's root.
    pub(crate) root: &'a Folder,
    /// The folder of the record of what is installed.
    pub(crate) record_folder: &'a RelPath,
    /// Where a copy of the record is kept as it was before.
    pub(crate) record_copy: &'a Path,
    /// Where everything is staged.
    pub(crate) area: &'a Area,
}

/// Carries a decision out; `entries` says how much was staged for it, about. Returns what is left to
/// clear up, one sentence each: it has happened all the same.
///
/// # Errors
/// The first step that fails; then everything is as it was, unless the error says otherwise.
pub(crate) fn carry_out(
    ground: &Ground<'_>,
    decision: Decision,
    entries: usize,
    storage: &mut dyn Storage,
) -> Result<Vec<String>> {
    let rows = Arc::clone(&decision.rows);
    let files = count_of_files(&decision.rows.installed) + count_of_files(&decision.before.installed);
    let has_happened = |done: &Result<Happened>| done.as_ref().is_ok_and(Happened::has_happened);
    let (happened, recorded) = recorded_when(storage, ground.record_copy, files, has_happened, |recording| {
        happen(ground, recording, &rows, files, || Ok((decision, entries)))
    });
    record(ground, happened?, recorded, storage)
}

/// Records what has happened, where that was not done meanwhile. Returns what is left to clear up, one sentence each.
///
/// # Errors
/// As [`carry_out`].
pub(super) fn record(
    ground: &Ground<'_>,
    Happened { decision, ended }: Happened,
    recorded: Option<Result<bool, StorageError>>,
    storage: &mut dyn Storage,
) -> Result<Vec<String>> {
    let area = ground.area;
    let not_copied = match ended {
        Ok(not_copied) => not_copied,
        Err(Stopped::Undecided(error)) => return Err(error),
        Err(Stopped::Within(error)) => return Err(go_back(ground, &decision, error)),
    };
    let mut warnings = Vec::new();
    warnings.extend(not_copied.map(|error| format!("no copy of the record is kept: {}", Error::from(error))));
    let recorded = match recorded {
        Some(Ok(true)) => Ok(()),
        _ => finish(storage, &decision, || area.release()),
    };
    if let Err(error) = recorded {
        // What the disk says of the end of a write is not always how it ended.
        match storage.recorded(&decision.rows.transaction.id) {
            Ok(true) => {}
            Ok(false) => return Err(go_back(ground, &decision, error.into())),
            Err(_) => return Err(unfinished(&error.into())),
        }
    }
    let ended = area.record(&Record::Done { end: End::Committed }).and_then(|()| area.keep());
    warnings.extend(ended.err().map(|error| error.to_string()));
    Ok(warnings)
}

/// The decision, and how it ended.
pub(super) struct Happened {
    decision: Arc<Decision>,
    ended: Result<Option<StorageError>, Stopped>,
}

impl Happened {
    /// Whether all of it has.
    pub(super) fn has_happened(&self) -> bool {
        self.ended.is_ok()
    }
}

/// What is decided happens. The rows are known, and of how many `files` they are; the steps are written down by `write`
/// while the rows are written.
///
/// # Errors
/// Those of `write`, and no room: then nothing has changed.
pub(super) fn happen(
    ground: &Ground<'_>,
    recording: &Recording<'_>,
    rows: &Arc<Rows>,
    files: u64,
    write: impl FnOnce() -> Result<(Decision, usize)>,
) -> Result<Happened> {
    recording.begin(rows);
    let (decision, entries) = write()?;
    ground.area.reserve(ground.record_folder, DATABASE_LEAST + DATABASE_FACTOR * BYTES_OF_A_FILE * files)?;
    let decision = Arc::new(decision);
    let ended = decide_and_apply(ground, &decision, entries, recording);
    Ok(Happened { decision, ended })
}

/// Where it stopped.
enum Stopped {
    /// Nothing has changed, or nobody can tell whether it was decided.
    Undecided(Error),
    /// Steps may have been done.
    Within(Error),
}

/// What was staged is made durable, then the decision, then every step of it; then the copy of the record as it was
/// before takes its place. The answer is why no copy of it is kept, where that is so.
fn decide_and_apply(
    ground: &Ground<'_>,
    decision: &Arc<Decision>,
    entries: usize,
    recording: &Recording<'_>,
) -> Result<Option<StorageError>, Stopped> {
    let Ground { root, area, .. } = *ground;
    area.sync(entries).map_err(Stopped::Undecided)?;
    Applier::new(root, &decision.folders).check(&decision.steps).map_err(Stopped::Undecided)?;
    interrupt::decide(|| area.decide(decision)).map_err(|error| match area.is_decided() {
        true => Stopped::Undecided(unfinished(&error)),
        false => Stopped::Undecided(error),
    })?;
    let mut applier = Applier::new(root, &decision.folders);
    let begun = area.begin().and_then(|()| applier.forward(&decision.steps));
    begun.and_then(|()| applier.sync(&decision.steps, area)).map_err(Stopped::Within)?;
    Ok(recording.keep_copy())
}

/// Records what happened; where that fails, once more with the room that was set aside.
pub(super) fn finish(
    storage: &mut dyn Storage,
    decision: &Decision,
    release: impl FnOnce(),
) -> Result<(), StorageError> {
    storage.finish(&decision.rows).or_else(|_| {
        release();
        storage.finish(&decision.rows)
    })
}

/// Of what is there before or afterwards.
pub(super) fn count_of_files(rows: &[InstalledRow]) -> u64 {
    rows.iter().map(|row| row.files.len() as u64).sum()
}

/// Everything as it was; the error that led here, or one that says that it is not.
fn go_back(ground: &Ground<'_>, decision: &Decision, error: Error) -> Error {
    let area = ground.area;
    let mut applier = Applier::new(ground.root, &decision.folders);
    let back = area
        .record(&Record::Undoing)
        .and_then(|()| applier.back(&decision.steps))
        .and_then(|()| applier.sync(&decision.steps, area))
        .and_then(|()| area.record(&Record::Done { end: End::Reverted }));
    if let Err(back) = back {
        let error = unfinished(&error).caused_by(back.message().to_owned());
        return back.causes().iter().fold(error, Error::caused_by);
    }
    match area.revert(decision) {
        Ok(false) => error,
        Ok(true) => error.hint("something that was put into a new package meanwhile is kept in its staging folder"),
        Err(left) => error.hint(format!("the next run clears what is left: {}", left.message())),
    }
}

/// Neither done nor taken back: the journal knows how to go on.
fn unfinished(error: &Error) -> Error {
    let outer = Error::storage("the transaction is unfinished").caused_by(error.message().to_owned());
    let outer = error.causes().iter().fold(outer, Error::caused_by);
    outer.hint("`packets recover` brings it to its end, as does the next command that changes something")
}
