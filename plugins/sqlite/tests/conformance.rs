//! The suites of the contract.

use packets_plugin_api::conformance::storage::{index_suite, storage_suite};
use packets_plugin_api::registry::{Plugin, Registry};
use packets_plugin_sqlite::{SqliteFormat, SqlitePlugin};

#[test]
fn passes_the_storage_suite() {
    storage_suite(&SqliteFormat, tempfile::tempdir().unwrap().path());
}

#[test]
fn passes_the_index_suite() {
    index_suite(&SqliteFormat, tempfile::tempdir().unwrap().path());
}

#[test]
fn registers_itself_once() {
    let mut registry = Registry::default();
    SqlitePlugin.register(&mut registry).unwrap();
    assert_eq!(registry.storage("sqlite").unwrap()().name(), "sqlite");
    assert!(SqlitePlugin.register(&mut registry).is_err());
}
