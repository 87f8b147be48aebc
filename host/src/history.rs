//! Finished transactions whose displaced files are kept, so that they can be undone.

use std::collections::HashMap;
use std::ffi::OsStr;

use packets_hook_runtime::folder::{Folder, Kind as FileKind, Rename};
use packets_plugin_api::ident::TransactionId;
use packets_plugin_api::storage::Storage;

use crate::commit;
use crate::config::History;
use crate::error::{Context, Error, ErrorKind, Result};
use crate::journal::{Decision, End, FREEING, Found, HISTORY, Journal, QUARANTINE, Record, Tail};
use crate::recover::quarantine;
use crate::report::{Event, Events};
use crate::target::Place;

/// Seconds of a day.
const DAY: u64 = 24 * 60 * 60;
/// Past transactions that are looked at.
pub(crate) const MOST: usize = 10_000;

/// A folder of journals; none before the first.
fn folder(state: &Place, name: &str) -> Result<Option<Folder>> {
    let named = || format!("cannot look at the history in {}", state.path.absolute());
    match state.folder.stat(name).context(named)? {
        None => Ok(None),
        Some(_) => state.folder.open(name).context(named).map(Some),
    }
}

fn ids(state: &Place, name: &str) -> Result<Vec<TransactionId>> {
    let Some(folder) = folder(state, name)? else { return Ok(Vec::new()) };
    let names = folder.list().context(|| "cannot list the history".to_owned())?;
    Ok(names.iter().filter_map(|name| name.to_str()?.parse().ok()).collect())
}

/// The transactions whose files are kept.
pub(crate) fn kept(state: &Place) -> Result<Vec<TransactionId>> {
    ids(state, HISTORY)
}

/// What a transaction changed; none where its files are no longer kept.
///
/// # Errors
/// Its journal cannot be read, or does not verify.
pub(crate) fn decision(state: &Place, id: &TransactionId) -> Result<Option<Decision>> {
    match folder(state, HISTORY)? {
        Some(folder) => decision_in(&folder, id),
        None => Ok(None),
    }
}

fn decision_in(folder: &Folder, id: &TransactionId) -> Result<Option<Decision>> {
    if folder.stat(id.as_str()).context(|| format!("cannot look at the history of {id}"))?.is_none() {
        return Ok(None);
    }
    let unsound =
        |why: &str| Error::integrity(format!("the kept journal of transaction {id} does not verify")).caused_by(why);
    match Journal::read(folder, id.as_str())? {
        Found::Journal(journal, Tail::Whole)
            if journal.records().last() == Some(&Record::Done { end: End::Committed }) =>
        {
            Ok(journal.decision().cloned())
        }
        Found::Journal(..) => Err(unsound("it does not end as one of the history does")),
        Found::Of(user) => Err(unsound(&format!("it belongs to the user {user}"))),
        Found::Unsound(why) => Err(unsound(&why)),
    }
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

/// Deletes what is kept for a transaction. From its first moment on it cannot be undone any more, also where
/// it is cut off: then the next one goes on with it. True when something of the administrator's is left, which
/// nobody deletes.
pub(crate) fn free(root: &Folder, state: &Place, id: &TransactionId, events: &dyn Events) -> Result<bool> {
    let named = || format!("cannot free what transaction {id} displaced");
    let Some(history) = folder(state, HISTORY)? else { return Ok(false) };
    if history.stat(id.as_str()).context(named)?.is_none() {
        return Ok(false);
    }
    let freeing = state.folder.open_or_make(FREEING, 0o700).context(named)?;
    history.rename(id.as_str(), &freeing, id.as_str(), Rename::Replace).context(named)?;
    freeing.sync().and_then(|()| history.sync()).context(named)?;
    finish_freeing(root, state, &freeing, id, events)
}

fn finish_freeing(
    root: &Folder,
    state: &Place,
    freeing: &Folder,
    id: &TransactionId,
    events: &dyn Events,
) -> Result<bool> {
    events.event(&Event::Freeing { transaction: id });
    let named = || format!("cannot free what transaction {id} displaced");
    let is_left = match decision_in(freeing, id) {
        Ok(Some(decision)) => commit::free(root, &decision).map_err(|error| error.within(named()))?,
        Ok(None) => false,
        Err(error) if error.kind() == ErrorKind::Integrity => {
            quarantine(freeing, OsStr::new(id.as_str()), state).context(named)?;
            return Err(error.hint(format!("it is now in {}/{QUARANTINE}", state.path.absolute())));
        }
        Err(error) => return Err(error),
    };
    freeing.remove_file(id.as_str()).context(named)?;
    Ok(is_left)
}

/// Goes on with what was cut off while it was freed. Each for itself: what fails is told, and stops no other.
pub(crate) fn go_on_freeing(root: &Folder, state: &Place, events: &dyn Events) -> Vec<Error> {
    let all = folder(state, FREEING).and_then(|folder| Ok((folder, ids(state, FREEING)?)));
    match all {
        Ok((Some(freeing), ids)) => {
            ids.iter().filter_map(|id| finish_freeing(root, state, &freeing, id, events).err()).collect()
        }
        Ok((None, _)) => Vec::new(),
        Err(error) => vec![error],
    }
}

/// Frees what the config no longer wants to keep. Told by the order of the record, not by a clock alone: what
/// seems to come from the future is young. Each for itself: what fails is told, and stops no other.
pub(crate) fn expire(
    root: &Folder,
    state: &Place,
    storage: &dyn Storage,
    (wanted, now): (&History, u64),
    events: &dyn Events,
) -> Vec<Error> {
    let mut failed = go_on_freeing(root, state, events);
    let expired = match expired(state, storage, wanted, now) {
        Ok(expired) => expired,
        Err(error) => {
            failed.push(error);
            return failed;
        }
    };
    failed.extend(expired.iter().filter_map(|id| free(root, state, id, events).err()));
    failed
}

fn expired(state: &Place, storage: &dyn Storage, wanted: &History, now: u64) -> Result<Vec<TransactionId>> {
    let mut kept = kept(state)?;
    if kept.is_empty() {
        return Ok(kept);
    }
    let past = storage.moments(MOST)?;
    // Negative: for ever.
    let longest = u64::try_from(wanted.days).map_or(u64::MAX, |days| days.saturating_mul(DAY));
    let is_wanted = |(place, time): (usize, u64)| place < wanted.keep && now.saturating_sub(time) <= longest;
    let places: HashMap<_, _> = past.iter().enumerate().map(|(place, (id, time))| (id, (place, *time))).collect();
    kept.retain(|id| !places.get(id).copied().is_some_and(is_wanted));
    Ok(kept)
}
