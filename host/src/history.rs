//! Finished transactions whose displaced files are kept, so that they can be undone.

use packets_hook_runtime::folder::{Folder, Kind as FileKind};
use packets_plugin_api::ident::TransactionId;
use packets_plugin_api::storage::Storage;

use crate::commit;
use crate::config::History;
use crate::error::{Context, Error, Result};
use crate::journal::{Decision, End, Found, HISTORY, Journal, Record, Tail};
use crate::target::Place;

/// Seconds of a day.
const DAY: u64 = 24 * 60 * 60;
/// Past transactions that are looked at.
pub(crate) const MOST: usize = 10_000;

/// The folder of kept journals; none before the first.
fn folder(state: &Place) -> Result<Option<Folder>> {
    let named = || format!("cannot look at the history in {}", state.path.absolute());
    match state.folder.stat(HISTORY).context(named)? {
        None => Ok(None),
        Some(_) => state.folder.open(HISTORY).context(named).map(Some),
    }
}

/// The transactions whose files are kept.
pub(crate) fn kept(state: &Place) -> Result<Vec<TransactionId>> {
    let Some(folder) = folder(state)? else { return Ok(Vec::new()) };
    let names = folder.list().context(|| "cannot list the history".to_owned())?;
    Ok(names.iter().filter_map(|name| name.to_str()?.parse().ok()).collect())
}

/// The kept journal of a transaction; none where it is not kept.
fn open(state: &Place, id: &TransactionId) -> Result<Option<Journal>> {
    let Some(folder) = folder(state)? else { return Ok(None) };
    if folder.stat(id.as_str()).context(|| format!("cannot look at the history of {id}"))?.is_none() {
        return Ok(None);
    }
    let unsound =
        |why: &str| Error::integrity(format!("the kept journal of transaction {id} does not verify")).caused_by(why);
    match Journal::open(&folder, id.as_str())? {
        Found::Journal(journal, Tail::Whole)
            if journal.records().last() == Some(&Record::Done { end: End::Committed }) =>
        {
            Ok(Some(journal))
        }
        Found::Journal(..) => Err(unsound("it does not end as one of the history does")),
        Found::Unsound(why) => Err(unsound(&why)),
    }
}

/// What a transaction changed; none where its files are no longer kept.
pub(crate) fn decision(state: &Place, id: &TransactionId) -> Result<Option<Decision>> {
    Ok(open(state, id)?.and_then(|journal| journal.decision().cloned()))
}

/// Bytes of the files that are kept for a transaction.
pub(crate) fn size(root: &Folder, decision: &Decision) -> u64 {
    let of_place = |place: &crate::journal::FolderId| root.walk(&place.path).map_or(0, |folder| tree_size(&folder));
    decision.places.iter().map(of_place).sum()
}

fn tree_size(folder: &Folder) -> u64 {
    let of_name = |name: &std::ffi::OsString| match folder.stat(name) {
        Ok(Some(stat)) if stat.kind == FileKind::Folder => folder.open(name).map_or(0, |inner| tree_size(&inner)),
        Ok(Some(stat)) => stat.size,
        _ => 0,
    };
    folder.list().unwrap_or_default().iter().map(of_name).sum()
}

/// Deletes what is kept for a transaction; it cannot be undone any more. True when something of the
/// administrator's is left, which nobody deletes.
pub(crate) fn free(root: &Folder, state: &Place, id: &TransactionId) -> Result<bool> {
    let Some(journal) = open(state, id)? else { return Ok(false) };
    let is_left = match journal.decision() {
        Some(decision) => commit::free(root, decision)?,
        None => false,
    };
    journal.remove().map(|()| is_left)
}

/// Frees what the config no longer wants to keep. Told by the order of the record, not by a clock alone:
/// what seems to come from the future is young.
pub(crate) fn expire(root: &Folder, state: &Place, storage: &dyn Storage, wanted: &History, now: u64) -> Result<()> {
    let kept = kept(state)?;
    if kept.is_empty() {
        return Ok(());
    }
    let past = storage.history(MOST)?;
    // Negative: for ever.
    let longest = u64::try_from(wanted.days).map_or(u64::MAX, |days| days.saturating_mul(DAY));
    let is_wanted = |(place, time): (usize, u64)| place < wanted.keep && now.saturating_sub(time) <= longest;
    let place_of = |id: &TransactionId| past.iter().position(|row| row.id == *id).map(|at| (at, past[at].time));
    for id in kept.iter().filter(|id| !place_of(id).is_some_and(is_wanted)) {
        free(root, state, id)?;
    }
    Ok(())
}
