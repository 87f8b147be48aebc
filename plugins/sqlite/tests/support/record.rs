//! Packages, transactions and records of them.

use std::path::Path;

use packets_plugin_api::conformance::storage::NothingToAdopt;
use packets_plugin_api::ident::{Digest, PackageName, TransactionId};
use packets_plugin_api::storage::{
    Access, FileKind, FileRecord, InstalledPackage, InstalledRow, MadeBy, Reason, Rows, Storage, StorageFormat,
    TransactionRow,
};

use super::FORMAT;

pub(crate) fn name(text: &str) -> PackageName {
    text.parse().unwrap()
}

pub(crate) fn read(file: &Path) -> Box<dyn Storage> {
    FORMAT.open_installed(file, Access::Read).unwrap()
}

pub(crate) fn write(file: &Path) -> Box<dyn Storage> {
    FORMAT.open_installed(file, Access::Write(&NothingToAdopt)).unwrap()
}

pub(crate) fn package(text: &str) -> InstalledPackage {
    InstalledPackage {
        name: name(text),
        alias: None,
        version: "1.0".parse().unwrap(),
        description: String::new(),
        requires: Vec::new(),
        conflicts: Vec::new(),
        provides: Vec::new(),
        family: "".parse().unwrap(),
        serial: 1,
        digest: Some(Digest::from_bytes([1; 32])),
        reason: Reason::Asked,
        folder: format!("opt/packets/{text}").parse().unwrap(),
        installed_at: 5,
        installed_size: 6,
        held: false,
    }
}

pub(crate) fn link(text: &str) -> FileRecord {
    let kind = FileKind::Symlink { asked: "/x".to_owned(), stored: "../x".to_owned() };
    FileRecord { path: text.parse().unwrap(), made_by: MadeBy::Hook, kind, displaced: None }
}

pub(crate) fn rows(number: u64, installed: Vec<InstalledPackage>) -> Rows {
    let id = TransactionId::from_bytes(number.to_be_bytes());
    let transaction = TransactionRow {
        id,
        time: 1,
        command: "install".to_owned(),
        summary: vec!["a line".to_owned()],
        origins: Vec::new(),
        undoes: None,
    };
    let row = |package: InstalledPackage| {
        let files = vec![link(&format!("usr/bin/{}", package.name))];
        InstalledRow { package, files }
    };
    Rows { transaction, gone: Vec::new(), installed: installed.into_iter().map(row).collect(), approved: Vec::new() }
}

/// Everything that a record answers about its packages and its history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Content {
    pub(crate) installed: Vec<InstalledPackage>,
    files: Vec<Vec<FileRecord>>,
    history: Vec<TransactionRow>,
}

pub(crate) fn content(storage: &dyn Storage) -> Content {
    let installed = storage.installed().unwrap();
    let files = installed.iter().map(|package| storage.files(&package.name).unwrap()).collect();
    Content { installed, files, history: storage.history(usize::MAX).unwrap() }
}
