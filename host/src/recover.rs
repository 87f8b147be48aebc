//! What a crash left: every run that changes something brings it to its end first.

use std::ffi::{OsStr, OsString};
use std::io;

use packets_hook_runtime::folder::{Folder, Rename};
use serde::Serialize;

use crate::commit::{Openers, Resumed, resume};
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
    /// Nobody can tell: it could not be brought to its end.
    #[serde(rename = "given up")]
    GivenUp,
}

/// The names of all journals of transactions that have not ended.
fn pending(state: &Place) -> Result<Option<(Folder, Vec<OsString>)>> {
    let named = || format!("cannot look at the journals in {}", state.path.absolute());
    if state.folder.stat(PENDING).context(named)?.is_none() {
        return Ok(None);
    }
    let folder = state.folder.open(PENDING).context(named)?;
    let names = folder.list().context(named)?;
    Ok(Some((folder, names)))
}

/// Whether a transaction has not ended: it runs now, or was cut off.
pub(crate) fn is_pending(state: &Place) -> bool {
    // A reader that may not look says nothing.
    pending(state).is_ok_and(|found| found.is_some_and(|(_, names)| !names.is_empty()))
}

/// What is done with a transaction that cannot be brought to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnFailure {
    /// It stays as it is, for another try.
    Stop,
    /// Its journal is put away: what it changed stands as it is.
    GiveUp,
}

/// Brings every transaction to its end that was cut off.
///
/// # Errors
/// A journal that does not verify: it is moved to the quarantine, and nobody acts on it. A transaction
/// that cannot be brought to its end now.
pub(crate) fn recover(
    root: &Folder,
    state: &Place,
    record: &Openers<'_>,
    on_failure: OnFailure,
) -> Result<Vec<Recovered>> {
    let Some((folder, names)) = pending(state)?.filter(|(_, names)| !names.is_empty()) else { return Ok(Vec::new()) };
    if on_failure == OnFailure::GiveUp {
        // A record that cannot be opened now is no reason to give up what only waits for it.
        (record.write)()?;
    }
    let mut recovered = Vec::new();
    for name in &names {
        let shown = name.to_string_lossy();
        let (journal, tail) = match Journal::open(&folder, &shown)? {
            Found::Journal(journal, tail) => (journal, tail),
            Found::Of(user) => return Err(of_another(user, &shown)),
            Found::Unsound(why) => return Err(does_not_verify(&folder, name, state, &why)),
        };
        let (id, command) = (journal.id().to_string(), journal.command().to_owned());
        let result = match resume(journal, tail, root, state, record) {
            Ok(Resumed::Finished) => Ended::Finished,
            Ok(Resumed::TakenBack) => Ended::TakenBack,
            Ok(Resumed::Unsound(why)) => return Err(does_not_verify(&folder, name, state, why)),
            Err(_) if on_failure == OnFailure::GiveUp => {
                quarantine(&folder, name, state).context(|| format!("cannot put the journal {shown} away"))?;
                Ended::GivenUp
            }
            Err(error) => {
                let error = error.within(format!("cannot bring {command}, which was cut off, to its end"));
                return Err(error.hint(GO_ON).hint(WAY_OUT));
            }
        };
        recovered.push(Recovered { id, command, result });
    }
    // What was cut off may have left something beside the record. Where that stays, who writes to it next clears it.
    let _ = (record.write)();
    Ok(recovered)
}

fn of_another(user: u32, name: &str) -> Error {
    Error::storage(format!("the transaction {name}, which was cut off, belongs to the user {user}"))
        .hint(format!("let the user {user} run `packets recover` on this root"))
}

const GO_ON: &str = "nothing is lost: put right what it says, then run `packets recover`";
const WAY_OUT: &str = "where that cannot be done, `packets recover --give-up` leaves everything as it stands";

fn does_not_verify(folder: &Folder, name: &OsStr, state: &Place, why: &str) -> Error {
    let shown = packets_plugin_api::ident::escape(&name.to_string_lossy(), 100);
    let place = format!("{}/{QUARANTINE}", state.path.absolute());
    let error = Error::integrity(format!("the journal of transaction {shown} does not verify")).caused_by(why);
    match quarantine(folder, name, state) {
        Ok(now) => {
            let now = packets_plugin_api::ident::escape(&now.to_string_lossy(), 120);
            error
                .hint(format!(
                    "it is now {place}/{now}; nothing was done by it, and what it had changed stands as it is"
                ))
                .hint("look at the packages that it names there; the next command goes on without it")
        }
        Err(problem) => error.hint(format!("nothing was done by it; it could not be moved to {place}: {problem}")),
    }
}

/// Moves a journal out of the way, to a name that is free.
pub(crate) fn quarantine(folder: &Folder, name: &OsStr, state: &Place) -> io::Result<OsString> {
    let quarantine = state.folder.open_or_make(QUARANTINE, 0o700)?;
    let mut new = name.to_owned();
    while quarantine.stat(&new)?.is_some() {
        new = name.to_owned();
        new.push(format!(".{}", crate::durable::random_name()?));
    }
    folder.rename(name, &quarantine, &new, Rename::Replace)?;
    quarantine.sync()?;
    folder.sync()?;
    Ok(new)
}
