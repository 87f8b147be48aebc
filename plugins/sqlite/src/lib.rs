//! The storage format of Packets: SQLite.
//!
//! `index.db` says what can be installed and comes from outside: it is opened
//! read-only and as immutable, its schema is held against the one that is
//! expected, and every value is parsed (`index/`). `installed.db` says what is
//! installed and is this machine's own (`installed/`). Version 1 of Packets
//! reads and writes the table `packages` of both files; its columns and their
//! meaning never change, what is new stands in columns and tables beside them.

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests make and look at real trees"))]

mod beside;
mod failure;
mod index;
mod installed;
mod limits;
mod open;
mod supply;
mod value;

use std::path::Path;
use std::sync::Arc;

use packets_plugin_api::registry::{DuplicateName, Plugin, Registry};
use packets_plugin_api::storage::{
    Access, IndexEntry, IndexSummary, PackageIndex, Storage, StorageError, StorageFormat,
};

/// Registers the storage format "sqlite".
#[derive(Debug, Clone, Copy, Default)]
pub struct SqlitePlugin;

impl Plugin for SqlitePlugin {
    fn register(&self, registry: &mut Registry) -> Result<(), DuplicateName> {
        registry.add_storage("sqlite", || Arc::new(SqliteFormat))
    }
}

/// `index.db` and `installed.db`.
///
/// Whoever names a file answers for the folders that lead to it: links among them
/// are followed. The record of installed packages, and what lies beside it, is never
/// a link.
#[derive(Debug, Clone, Copy, Default)]
pub struct SqliteFormat;

impl StorageFormat for SqliteFormat {
    fn name(&self) -> &str {
        "sqlite"
    }

    fn open_installed(&self, file: &Path, access: Access<'_>) -> Result<Box<dyn Storage>, StorageError> {
        Ok(match access {
            Access::Read => Box::new(installed::InstalledDb::read(file)?),
            Access::Write(adopter) => Box::new(installed::InstalledDb::write(file, adopter)?),
        })
    }

    fn open_index(&self, file: &Path) -> Result<Box<dyn PackageIndex>, StorageError> {
        Ok(Box::new(index::IndexDb::open(file)?))
    }

    fn verify_index(&self, file: &Path) -> Result<IndexSummary, StorageError> {
        index::verify(file)
    }

    fn write_index(&self, file: &Path, entries: &[IndexEntry]) -> Result<(), StorageError> {
        index::write(file, entries)
    }
}
