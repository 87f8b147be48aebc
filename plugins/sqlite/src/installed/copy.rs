//! A copy of the record, for the day on which it is damaged.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use packets_plugin_api::storage::{StorageError, StorageErrorKind};
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, ffi};

use crate::beside::{beside, create};
use crate::failure::Subject;
use crate::open;

/// Copies what `record` reads of the file at `place` to `file`.
pub(super) fn copy(subject: &Subject, record: &Connection, place: &Path, file: &Path) -> Result<(), StorageError> {
    let target = Subject::new("the copy of the record of installed packages", file);
    let to = open::place(&target, file)?;
    let failed = |error: io::Error| target.failed_at("write", error);
    let data = place.symlink_metadata().map_err(|error| subject.failed_at("copy", error))?;
    match open::own_size(&target, &to)? {
        Some(found) if (found.dev(), found.ino()) == (data.dev(), data.ino()) => {
            return Err(target.error(StorageErrorKind::Io, "write").because("it is the record itself"));
        }
        _ => {}
    }
    // What a copy that was killed left goes first.
    let new = beside(&to, ".new");
    remove(&new).map_err(failed)?;
    // As open as the record, which its owner may have closed to himself.
    let written = create(&new, data.mode() & 0o777 | 0o200)
        .map_err(failed)
        .and_then(|_| fill(subject, record, &target, &new))
        .and_then(|()| rustix::fs::rename(&new, &to).map_err(|error| failed(error.into())));
    if written.is_err() {
        // The error that counts is the first.
        let _ = remove(&new);
    }
    written
}

fn fill(subject: &Subject, record: &Connection, target: &Subject, new: &Path) -> Result<(), StorageError> {
    let failed = target.failed("write");
    let mut copy = open::own(target, new, true)?;
    copy.execute_batch("PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF;")
        .map_err(&failed)?;
    let step = Backup::new(record, &mut copy).and_then(|backup| backup.step(-1)).map_err(subject.failed("copy"))?;
    if step != StepResult::Done {
        let busy = rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_BUSY), None);
        return Err(subject.failed("copy")(busy));
    }
    let verdict: String =
        copy.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(subject.failed("copy"))?;
    if verdict != "ok" {
        return Err(subject.error(StorageErrorKind::Corrupt, "copy").because(verdict));
    }
    copy.close().map_err(|(_, error)| failed(error))
}

fn remove(path: &Path) -> io::Result<()> {
    match rustix::fs::unlink(path) {
        Err(rustix::io::Errno::NOENT) => Ok(()),
        result => Ok(result?),
    }
}
