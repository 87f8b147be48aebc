//! index.db: a database that a stranger made.

use std::path::Path;

use packets_plugin_api::ident::{Digest, PackageName};
use packets_plugin_api::storage::{IndexEntry, StorageErrorKind, StorageFormat};
use packets_plugin_sqlite::SqliteFormat;

/// Where files are written to: in memory, where the machine has such a folder.
fn folder() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory).or_else(|_| tempfile::tempdir()) } else { tempfile::tempdir() }
        .unwrap()
}

pub(super) fn index(bytes: &[u8]) {
    let folder = folder();
    let file = folder.path().join("index.db");
    std::fs::write(&file, bytes).unwrap();
    let refused = |kind: StorageErrorKind| {
        use StorageErrorKind::{Corrupt, Limit, Unknown};
        matches!(kind, Corrupt | Limit | Unknown)
    };
    match SqliteFormat.verify_index(&file) {
        Err(error) => assert!(refused(error.kind), "{error:?}"),
        Ok(summary) => {
            let index = SqliteFormat.open_index(&file).expect("what verifies can be opened");
            let all = index.all().expect("what verifies can be read");
            assert_eq!(all.len() as u64, summary.packages);
            for entry in all.iter().take(20) {
                assert_eq!(index.package(&entry.name).unwrap().as_ref(), Some(entry));
                assert!(index.answering(&entry.name).unwrap().contains(entry));
                index.family(&entry.family).unwrap();
            }
            assert!(index.package(&"no-such-package".parse::<PackageName>().unwrap()).unwrap().is_none());
        }
    }
    assert_eq!(std::fs::read(&file).unwrap(), bytes, "an index is only read");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is written beside it");
}

fn entry(name: &str, requires: &[&str]) -> IndexEntry {
    IndexEntry {
        name: name.parse().unwrap(),
        alias: Some("alias".parse().unwrap()),
        version: "1.2-3".parse().unwrap(),
        digest: Digest::from_bytes([7; 32]),
        description: "what it is".to_owned(),
        requires: requires.iter().map(|text| text.parse().unwrap()).collect(),
        conflicts: vec!["other<2".parse().unwrap()],
        provides: vec!["virtual".parse().unwrap()],
        mirrors: vec![format!("{name}.pkt.tar.zst"), "https://example.org/x".to_owned()],
        family: "a family".parse().unwrap(),
        serial: 1,
        size: Some(7),
        installed_size: Some(9),
        arch: Some("x86_64".to_owned()),
    }
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let folder = folder();
    let (ours, v1) = (folder.path().join("ours"), folder.path().join("v1"));
    SqliteFormat.write_index(&ours, &[entry("tool", &["lib>=1 | virtual"]), entry("lib", &[])]).unwrap();
    rusqlite::Connection::open(&v1).unwrap().execute_batch(crate::v1::INDEX).unwrap();
    // In small pages, more of a file is structure.
    let small = folder.path().join("small");
    std::fs::copy(&ours, &small).unwrap();
    rusqlite::Connection::open(&small).unwrap().execute_batch("PRAGMA page_size=512; VACUUM").unwrap();
    [ours, v1, small].iter().map(|file| std::fs::read(file).unwrap()).collect()
}
