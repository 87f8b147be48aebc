//! A copy of the record, for the day on which it is damaged.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use packets_plugin_api::storage::{PreparedCopy, StorageError, StorageErrorKind};
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, ffi};
use rustix::fs::{CWD, RenameFlags, rename, renameat_with};

use super::follow::{follow, older};
use crate::beside::{anew, beside, remove};
use crate::failure::Subject;
use crate::open;

/// A copy that lies beside its place.
#[derive(Debug)]
pub(super) struct Prepared {
    subject: Subject,
    new: PathBuf,
    place: PathBuf,
    /// Whether it was made by way of one before.
    has_followed: bool,
}

impl Prepared {
    /// Copies what `record` reads of the file at `place`, for `file`.
    pub(super) fn of(subject: &Subject, record: &Connection, place: &Path, file: &Path) -> Result<Self, StorageError> {
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
        // It is as open as the record, which its owner may have closed to himself.
        let mode = data.mode() & 0o777 | 0o200;
        let mut prepared = Self { subject: target.clone(), new: beside(&to, ".new"), place: to, has_followed: false };
        prepared.has_followed = follow(&target, record, &prepared.place, (&prepared.new, mode)).is_some();
        if !prepared.has_followed {
            // It was not looked through with this one.
            remove(&older(&prepared.place)).and_then(|()| anew(&prepared.new, mode)).map_err(failed)?;
            fill(subject, record, &target, &prepared.new)?;
        }
        Ok(prepared)
    }
}

impl PreparedCopy for Prepared {
    fn keep(self: Box<Self>) -> Result<(), StorageError> {
        let exchange = || renameat_with(CWD, &self.new, CWD, &self.place, RenameFlags::EXCHANGE);
        if self.has_followed && exchange().is_ok() {
            // Without it the next one takes longer.
            let _ = rename(&self.new, older(&self.place));
            return Ok(());
        }
        rename(&self.new, &self.place).map_err(|error| self.subject.failed_at("write", error.into()))
    }
}

impl Drop for Prepared {
    fn drop(&mut self) {
        // Where it was kept nothing is there any more; where it failed the error that counts is the first.
        let _ = remove(&self.new);
    }
}

fn fill(subject: &Subject, record: &Connection, target: &Subject, new: &Path) -> Result<(), StorageError> {
    let failed = target.failed("write");
    let mut copy = open::private(target, new)?;
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
