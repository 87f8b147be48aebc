//! Records beside which a writer was killed.

use std::fs;
use std::path::{Path, PathBuf};

use packets_plugin_api::storage::{InstalledPackage, MadeBy, Storage};
use rusqlite::Connection;

use super::record::{name, package, rows, write};

pub(crate) fn packages(range: std::ops::Range<usize>) -> Vec<InstalledPackage> {
    range.map(|at| package(&format!("p{at}"))).collect()
}

/// A record with one transaction, at whose second a writer was killed: half of it is in
/// the file.
pub(crate) fn crashed(folder: &Path) -> PathBuf {
    let living = folder.join("living.db");
    write(&living).finish(&rows(1, packages(0..300))).unwrap();
    let connection = spilling(&living);
    let file = folder.join("installed.db");
    fs::copy(&living, &file).unwrap();
    fs::copy(journal(&living), journal(&file)).unwrap();
    drop(connection);
    fs::remove_file(living).unwrap();
    file
}

/// In the middle of a write that does not fit into the cache.
pub(crate) fn spilling(file: &Path) -> Connection {
    let connection = Connection::open(file).unwrap();
    let sql = "PRAGMA cache_size=1; BEGIN IMMEDIATE; UPDATE packages SET version = '6.6.6';
        UPDATE files SET made_by = 'data'; INSERT INTO files SELECT package, path || 'x', made_by, kind, mode, size,
        sha256, asked, target, displaced FROM files;";
    connection.execute_batch(sql).unwrap();
    connection
}

pub(crate) fn journal(file: &Path) -> PathBuf {
    let mut path = file.as_os_str().to_owned();
    path.push("-journal");
    path.into()
}

pub(crate) fn assert_old(storage: &dyn Storage) {
    let installed = storage.installed().unwrap();
    assert_eq!(installed.len(), 300);
    assert!(installed.iter().all(|package| package.version.as_str() == "1.0"), "C24: the old state, whole");
    assert_eq!(storage.files(&name("p7")).unwrap()[0].made_by, MadeBy::Hook);
    assert_eq!(storage.history(9).unwrap().len(), 1);
    assert!(storage.recorded(&rows(1, vec![]).transaction.id).unwrap());
    assert!(!storage.recorded(&rows(2, vec![]).transaction.id).unwrap());
}

pub(crate) fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

pub(crate) fn good(folder: &Path) -> PathBuf {
    let file = folder.join("installed.db");
    write(&file).finish(&rows(1, packages(0..300))).unwrap();
    file
}
