//! What SQLite reports, as errors about a file.

use std::fmt;
use std::path::Path;

use packets_plugin_api::ident::escape;
use packets_plugin_api::storage::{StorageError, StorageErrorKind};
use rusqlite::{ErrorCode, ffi};

/// The characters of a path that an error shows.
const SHOWN_PATH: usize = 300;

/// What stands beside an error about a file whose last write was cut off.
pub(crate) const CUT_OFF: &str = "a write to this file was cut off; the next command that may write to it puts it \
    right, and reading works again then";

/// Whether reading failed because a write was cut off, and only a writer may put the file right.
pub(crate) fn is_cut_off(error: &StorageError) -> bool {
    let cause = error.cause.as_ref().and_then(|cause| cause.downcast_ref::<rusqlite::Error>());
    let code = cause.and_then(rusqlite::Error::sqlite_error);
    code.is_some_and(|code| code.extended_code == ffi::SQLITE_READONLY_ROLLBACK)
}

/// Whether another program kept the file to itself for longer than was waited.
pub(crate) fn is_busy(error: &StorageError) -> bool {
    let cause = error.cause.as_ref().and_then(|cause| cause.downcast_ref::<rusqlite::Error>());
    cause.and_then(rusqlite::Error::sqlite_error_code).is_some_and(|code| code == ErrorCode::DatabaseBusy)
}

/// A file that is being worked on, by the name that errors give it.
#[derive(Clone)]
pub(crate) struct Subject {
    what: &'static str,
    path: String,
}

impl Subject {
    /// `what` the file is ("the index"), and where it is.
    pub(crate) fn new(what: &'static str, file: &Path) -> Self {
        Self { what, path: escape(&file.to_string_lossy(), SHOWN_PATH) }
    }

    /// An error of this kind: `attempt` is what follows "cannot", e.g. "read".
    pub(crate) fn error(&self, kind: StorageErrorKind, attempt: &str) -> StorageError {
        StorageError::new(kind, format!("cannot {attempt} {self}"))
    }

    /// The file is not what it should be.
    pub(crate) fn corrupt(&self, why: impl fmt::Display) -> StorageError {
        self.error(StorageErrorKind::Corrupt, "use").because(why.to_string())
    }

    /// The disk failed at `attempt`.
    pub(crate) fn failed_at(&self, attempt: &str, error: std::io::Error) -> StorageError {
        self.error(StorageErrorKind::Io, attempt).because(error)
    }

    /// SQLite failed at `attempt` ("read", "write to").
    pub(crate) fn failed(&self, attempt: &'static str) -> impl Fn(rusqlite::Error) -> StorageError {
        move |error| self.failure(attempt, error)
    }

    fn failure(&self, attempt: &str, error: rusqlite::Error) -> StorageError {
        let Some(code) = error.sqlite_error() else {
            return self.error(StorageErrorKind::Corrupt, attempt).because(error);
        };
        let kind = match code.code {
            // SQLITE_ERROR: a schema that does not parse, or lacks what a statement names.
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::Unknown | ErrorCode::TypeMismatch => {
                StorageErrorKind::Corrupt
            }
            ErrorCode::ConstraintViolation => StorageErrorKind::Corrupt,
            // SQLITE_ABORT: more tables and indexes than the limit on the schema allows.
            ErrorCode::TooBig | ErrorCode::OperationInterrupted | ErrorCode::OperationAborted => {
                StorageErrorKind::Limit
            }
            _ => StorageErrorKind::Io,
        };
        let hint = match (code.code, code.extended_code) {
            (_, ffi::SQLITE_READONLY_ROLLBACK) => Some(CUT_OFF),
            (ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked, _) => {
                Some("another program is using the file; try again when it has ended")
            }
            (ErrorCode::DiskFull, _) => Some("make room on this file system; what was recorded before is untouched"),
            (ErrorCode::ReadOnly, _) => Some("only the owner of the file may change it"),
            (ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase, _) => {
                Some("put a good copy of the file in its place")
            }
            _ => None,
        };
        let error = self.error(kind, attempt).because(error);
        match hint {
            Some(hint) => error.with_hint(hint),
            None => error,
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.what, self.path)
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}
