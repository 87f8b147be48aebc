//! What a reader does where a writer was killed in the middle of a write, or stands still there.
//!
//! Then half of the write may be in the file, and beside it lies the journal that
//! takes it back. Only a writer may do that there. A reader copies both to a private
//! folder, lets SQLite put the copy right, and reads from that. A file that a writer
//! keeps to itself without a journal is whole: its write is about to begin, or has ended.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use packets_plugin_api::storage::{StorageError, StorageErrorKind};
use rusqlite::Connection;

use crate::beside::{self, Header, Journal, Stamps, copy_pair, stranger};
use crate::failure::{CUT_OFF, Subject};
use crate::limits;
use crate::open;

/// A record as it was before the write that was cut off.
pub(super) struct PutRight {
    /// What was copied.
    of: Stamps,
    connection: Connection,
}

impl PutRight {
    /// The copy, put right; none where the files changed while they were copied.
    ///
    /// # Errors
    /// [`StorageErrorKind::Corrupt`] where the journal does not belong to the record.
    pub(super) fn copy_of(subject: &Subject, place: &Path) -> Result<Option<Self>, StorageError> {
        let failed = |error: std::io::Error| subject.failed_at("read", error).with_hint(CUT_OFF);
        let Some(size) = Stamps::of(place).map(|stamps| stamps.size()) else { return Ok(None) };
        if size > limits::CUT_OFF_BYTES {
            let why = format!("it and its journal have {size} bytes, at most {} are copied", limits::CUT_OFF_BYTES);
            return Err(subject.error(StorageErrorKind::Limit, "read").because(why).with_hint(CUT_OFF));
        }
        let private = std::fs::Permissions::from_mode(0o700);
        let folder = tempfile::Builder::new().prefix("packets-").permissions(private).tempdir().map_err(failed)?;
        let copy = folder.path().join("installed.db");
        let connection = open::own(subject, &copy, true)?;
        // SQLite reads before it obeys, and so it is told while there is nothing to put right:
        // a copy need not survive a power cut.
        connection.execute_batch("PRAGMA synchronous=OFF").map_err(subject.failed("read"))?;
        let Some(of) = copy_pair(place, &copy).map_err(failed)? else { return Ok(None) };
        roll_back(subject, &connection, &copy)?;
        // SQLite keeps both files open, and nobody can put anything beside them from now on.
        folder.close().map_err(failed)?;
        Ok(Some(Self { of, connection }))
    }

    /// Its connection, where the record and its journal are still those that were copied.
    pub(super) fn current(&self, place: &Path) -> Option<&Connection> {
        (Stamps::of(place)? == self.of).then_some(&self.connection)
    }
}

/// Reads the copy, at which SQLite takes back what was cut off, and holds it against
/// what the journal says.
fn roll_back(subject: &Subject, connection: &Connection, copy: &Path) -> Result<(), StorageError> {
    let failed = |error: std::io::Error| subject.failed_at("read", error).with_hint(CUT_OFF);
    let journal = Journal::read(&beside::journal(copy)).map_err(failed)?;
    if matches!(journal, Journal::OneOfSeveral) {
        return Err(stranger(subject, "-journal", "names files elsewhere"));
    }
    let before = Header::read(copy).map_err(failed)?;
    let settled = connection
        // Held from now on: nothing beside the copy is ever looked for again.
        .execute_batch("PRAGMA locking_mode=EXCLUSIVE")
        .and_then(|()| connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get::<_, String>(0)))
        .and_then(|verdict| connection.execute_batch("PRAGMA query_only=ON").map(|()| verdict));
    let is_whole = match settled.map_err(subject.failed("read")) {
        Ok(verdict) => verdict == "ok",
        Err(error) if error.kind == StorageErrorKind::Corrupt => false,
        Err(error) => return Err(error),
    };
    let after = Header::read(copy).map_err(failed)?;
    if is_whole && belongs(journal, before, after) {
        Ok(())
    } else {
        Err(stranger(subject, "-journal", "does not fit to it"))
    }
}

/// Whether the file had as many pages as the journal says, and was changed at most
/// once since: SQLite asks neither.
fn belongs(journal: Journal, before: Option<Header>, after: Option<Header>) -> bool {
    let Journal::Of { pages } = journal else { return true };
    let changes = after.map_or(0, |header| header.changes());
    let one_more = |header: Header| [changes, changes.wrapping_add(1)].contains(&header.changes());
    after.is_none_or(|header| header.pages().is_none_or(|found| found == pages)) && before.is_none_or(one_more)
}
