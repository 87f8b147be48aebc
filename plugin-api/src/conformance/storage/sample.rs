//! Packages, paths and transactions for the suites.

use std::fmt::Display;

use crate::ident::{Digest, Family, PackageName, TransactionId};
use crate::relpath::RelPath;
use crate::storage::{
    FileKind, FileRecord, IndexEntry, InstalledPackage, InstalledRow, MadeBy, Origin, Reason, Rows, StorageError,
    TransactionRow,
};
use crate::version::Version;

/// The value, or a panic that says what could not be done.
pub(super) fn must<T, E: Display>(what: &str, result: Result<T, E>) -> T {
    result.unwrap_or_else(|error| panic!("{what}: {error}"))
}

/// The error, or a panic.
pub(super) fn must_fail<T>(what: &str, result: Result<T, StorageError>) -> StorageError {
    match result {
        Ok(_) => panic!("{what} should have been refused"),
        Err(error) => error,
    }
}

pub(super) fn name(text: &str) -> PackageName {
    must("a sample", text.parse())
}

pub(super) fn path(text: &str) -> RelPath {
    must("a sample", text.parse())
}

pub(super) fn family(text: &str) -> Family {
    must("a sample", text.parse())
}

fn version() -> Version {
    must("a sample", "1:1.0-2".parse())
}

pub(super) fn data(text: &str) -> FileRecord {
    let kind = FileKind::File { mode: 0o755, size: 5_000_000_000, sha256: Digest::from_bytes([9; 32]) };
    FileRecord { path: path(text), made_by: MadeBy::Data, kind, displaced: None }
}

pub(super) fn folder(text: &str) -> FileRecord {
    let kind = FileKind::Folder { mode: 0o755 };
    FileRecord { path: path(text), made_by: MadeBy::Hook, kind, displaced: None }
}

pub(super) fn hook_link(text: &str, target: &str) -> FileRecord {
    let kind = FileKind::Symlink { asked: format!("/asked/{target}"), stored: target.to_owned() };
    FileRecord { path: path(text), made_by: MadeBy::Hook, kind, displaced: None }
}

pub(super) fn installed(text: &str) -> InstalledPackage {
    InstalledPackage {
        name: name(text),
        alias: None,
        version: version(),
        description: String::new(),
        requires: Vec::new(),
        conflicts: Vec::new(),
        provides: Vec::new(),
        family: Family::none(),
        serial: 0,
        digest: Some(Digest::from_bytes([7; 32])),
        reason: Reason::Needed,
        folder: path(&format!("opt/{text}")),
        installed_at: 1_700_000_000,
        installed_size: 5_000_000_000,
        held: true,
    }
}

pub(super) fn row(package: InstalledPackage, files: &[FileRecord]) -> InstalledRow {
    InstalledRow { package, files: files.to_vec() }
}

/// The id of the transaction of this number; a later one does not sort behind an earlier.
pub(super) fn id(number: u64) -> TransactionId {
    TransactionId::from_bytes((0xff00 - number).to_be_bytes())
}

/// A transaction that does nothing; each number has its own id, and an even one takes
/// back the one before it.
pub(super) fn rows(number: u64) -> Rows {
    let transaction = TransactionRow {
        id: id(number),
        time: 1_700_000_000,
        command: "install".to_owned(),
        summary: vec![format!("installed \"{number}\""), "\n\u{1b}".to_owned()],
        origins: vec![
            Origin { package: name("zlib"), source: "http https://example.org/\"\u{202e}'; \n\u{fc}".to_owned() },
            Origin { package: name("a"), source: String::new() },
        ],
        undoes: number.is_multiple_of(2).then(|| id(number - 1)),
    };
    Rows { transaction, gone: Vec::new(), installed: Vec::new(), approved: Vec::new() }
}

pub(super) fn entry(text: &str) -> IndexEntry {
    IndexEntry {
        name: name(text),
        alias: None,
        version: version(),
        digest: Digest::from_bytes([3; 32]),
        description: String::new(),
        requires: Vec::new(),
        conflicts: Vec::new(),
        provides: Vec::new(),
        mirrors: Vec::new(),
        family: Family::none(),
        serial: 0,
        size: None,
        installed_size: None,
        arch: None,
    }
}
