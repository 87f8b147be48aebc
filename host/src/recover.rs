//! What a crash left: every run that changes something brings it to its end first.

use std::ffi::OsStr;

use packets_hook_runtime::folder::{Folder, Rename};
use packets_plugin_api::storage::Storage;
use serde::Serialize;

use crate::commit::{Resumed, resume};
use crate::error::{Context, Error, Result};
use crate::journal::{Found, Journal, PENDING, QUARANTINE};
use crate::target::Place;

/// A transaction that was cut off, and how it ended.
#[derive(Debug, Clone, Serialize)]
pub struct Recovered {
    /// Its id.
    pub id: String,
    /// The command that was cut off.
    pub command: String,
    /// How it ended.
    pub result: Ended,
}

/// How a transaction that was cut off ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Ended {
    /// All of it has happened.
    #[serde(rename = "finished")]
    Finished,
    /// Nothing of it.
    #[serde(rename = "taken back")]
    TakenBack,
}

/// The names of all journals of transactions that have not ended.
fn pending(state: &Place) -> Result<Option<(Folder, Vec<String>)>> {
    let named = || format!("cannot look at the journals in {}", state.path.absolute());
    if state.folder.stat(PENDING).context(named)?.is_none() {
        return Ok(None);
    }
    let folder = state.folder.open(PENDING).context(named)?;
    let names = folder.list().context(named)?;
    Ok(Some((folder, names.iter().map(|name| name.to_string_lossy().into_owned()).collect())))
}

/// Whether a transaction has not ended: it runs now, or was cut off.
pub(crate) fn is_pending(state: &Place) -> bool {
    // A reader that may not look says nothing.
    pending(state).is_ok_and(|found| found.is_some_and(|(_, names)| !names.is_empty()))
}

/// Brings every transaction to its end that was cut off. `open` opens the record of what is installed.
///
/// # Errors
/// A journal that does not verify: it is moved to the quarantine, and nobody acts on it. A transaction
/// that cannot be brought to its end now.
pub(crate) fn recover(
    root: &Folder,
    state: &Place,
    open: impl FnOnce() -> Result<Box<dyn Storage>>,
) -> Result<Vec<Recovered>> {
    let Some((folder, names)) = pending(state)?.filter(|(_, names)| !names.is_empty()) else { return Ok(Vec::new()) };
    let mut storage = open()?;
    let mut recovered = Vec::new();
    for name in &names {
        let (journal, tail) = match Journal::open(&folder, name)? {
            Found::Journal(journal, tail) => (journal, tail),
            Found::Unsound(why) => return Err(quarantine(&folder, name, state, &why)),
        };
        let (id, command) = (journal.id().to_string(), journal.command().to_owned());
        let resumed = resume(journal, tail, root, state, storage.as_mut()).map_err(|error| {
            error.within(format!("cannot bring {command}, which was cut off, to its end")).hint(GO_ON)
        })?;
        let result = match resumed {
            Resumed::Finished => Ended::Finished,
            Resumed::TakenBack => Ended::TakenBack,
            Resumed::Unsound(why) => return Err(quarantine(&folder, name, state, why)),
        };
        recovered.push(Recovered { id, command, result });
    }
    Ok(recovered)
}

const GO_ON: &str = "nothing is lost: put right what it says, then run `packets recover`";

/// Moves a journal out of the way, and says so.
fn quarantine(folder: &Folder, name: &str, state: &Place, why: &str) -> Error {
    let shown = packets_plugin_api::ident::escape(name, 100);
    let place = format!("{}/{QUARANTINE}/{shown}", state.path.absolute());
    let moved = (|| {
        let quarantine = state.folder.open_or_make(QUARANTINE, 0o700)?;
        folder.rename(OsStr::new(name), &quarantine, OsStr::new(name), Rename::Replace)?;
        quarantine.sync()?;
        folder.sync()
    })();
    let error = Error::integrity(format!("the journal of transaction {shown} does not verify")).caused_by(why);
    match moved {
        Ok(()) => error
            .hint(format!(
                "it is now {place}, and nothing was done by it; what the transaction had changed stands as it is"
            ))
            .hint("look at the packages that it names there; the next command goes on without it"),
        Err(problem) => error.hint(format!("nothing was done by it; it could not be moved to {place}: {problem}")),
    }
}
