//! Files as version 1, or an attacker, would write them.
#![allow(dead_code, reason = "each test file uses a part")]

pub(crate) mod crash;
pub(crate) mod record;

use std::path::{Path, PathBuf};

use packets_plugin_api::storage::{IndexEntry, StorageError};
use packets_plugin_sqlite::SqliteFormat;
use rusqlite::Connection;

pub(crate) const INDEX_V1: &str = "CREATE TABLE packages(name TEXT, realname TEXT UNIQUE NOT NULL, version TEXT NOT NULL, \
    hash TEXT NOT NULL, description TEXT NOT NULL,\n  dependencies TEXT, mirrors TEXT NOT NULL, family TEXT NOT NULL, \
    serial INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT);";

pub(crate) const INSTALLED_V1: &str = "CREATE TABLE packages(realname TEXT NOT NULL UNIQUE PRIMARY KEY, version TEXT NOT NULL, \
    dependencies TEXT, name TEXT, family TEXT NOT NULL, serial INTEGER);";

pub(crate) const FORMAT: SqliteFormat = SqliteFormat;

/// A new database file made by `sql`.
pub(crate) fn database(folder: &Path, name: &str, sql: &str) -> PathBuf {
    let file = folder.join(name);
    let connection = Connection::open(&file).unwrap();
    connection.execute_batch(sql).unwrap_or_else(|error| panic!("{error} in {sql}"));
    connection.close().unwrap();
    file
}

/// Runs `sql` on a file, as another program would.
pub(crate) fn run(file: &Path, sql: &str) {
    Connection::open(file).unwrap().execute_batch(sql).unwrap();
}

/// A row of v1's index.
pub(crate) fn index_row(realname: &str) -> String {
    format!(
        "INSERT INTO packages(name, realname, version, hash, description, dependencies, mirrors, family) VALUES
         ('{realname}', '{realname}', '1.0', '{}', 'text', '', 'https://example.org/{realname}.pkt.tar.zst', '');",
        "ab".repeat(32)
    )
}

pub(crate) fn entry(name: &str) -> IndexEntry {
    IndexEntry {
        name: name.parse().unwrap(),
        alias: None,
        version: "1.0".parse().unwrap(),
        digest: "ab".repeat(32).parse().unwrap(),
        description: "text".to_owned(),
        requires: Vec::new(),
        conflicts: Vec::new(),
        provides: Vec::new(),
        mirrors: vec![format!("https://example.org/{name}.pkt.tar.zst")],
        family: "".parse().unwrap(),
        serial: 0,
        size: None,
        installed_size: None,
        arch: None,
    }
}

/// The whole of an error: message, causes and hint.
pub(crate) fn whole(error: &StorageError) -> String {
    let cause = error.cause.as_ref().map(ToString::to_string).unwrap_or_default();
    format!("{error}: {cause} ({})", error.hint.as_deref().unwrap_or_default())
}
