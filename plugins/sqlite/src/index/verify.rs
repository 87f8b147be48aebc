//! Reading an index once from end to end.

use std::path::Path;

use packets_plugin_api::storage::{IndexSummary, StorageError, StorageErrorKind};

use super::IndexDb;
use crate::limits;
use crate::value::{Column, parse_row};

/// Reads every page and parses every row of an index that has just been fetched.
pub(crate) fn verify(file: &Path) -> Result<IndexSummary, StorageError> {
    verify_within(file, limits::INDEX_ROWS)
}

fn verify_within(file: &Path, most: u64) -> Result<IndexSummary, StorageError> {
    let index = IndexDb::open(file)?;
    index.clock.start(limits::VERIFY_TIME);
    pages(&index)?;
    let mut packages = 0;
    index.each(" ORDER BY serial", [], |_| {
        packages += 1;
        if packages > most {
            let why = format!("more than {most} packages");
            return Err(index.subject.error(StorageErrorKind::Limit, "use").because(why));
        }
        Ok(())
    })?;
    Ok(IndexSummary { packages })
}

/// Every page, every record, and that the look-up tables hold what the rows hold
/// (`quick_check` leaves that out, and a row that no look-up finds would pass).
fn pages(index: &IndexDb) -> Result<(), StorageError> {
    let failed = index.subject.failed("verify");
    let mut statement = index.connection.prepare("PRAGMA integrity_check(1)").map_err(&failed)?;
    let mut rows = statement.query([]).map_err(&failed)?;
    while let Some(row) = rows.next().map_err(&failed)? {
        let verdict = parse_row(&index.subject, row, 0, |values| {
            values.text(Column(0, "integrity_check")).map(|text| text.to_owned())
        })?;
        if verdict != "ok" {
            return Err(index.subject.corrupt(verdict));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::index::write;

    fn index(folder: &Path, packages: usize) -> std::path::PathBuf {
        let file = folder.join("index.db");
        let entry = |at: usize| packets_plugin_api::storage::IndexEntry {
            name: format!("p{at}").parse().unwrap(),
            alias: None,
            version: "1".parse().unwrap(),
            digest: packets_plugin_api::ident::Digest::from_bytes([1; 32]),
            description: String::new(),
            requires: Vec::new(),
            conflicts: Vec::new(),
            provides: Vec::new(),
            mirrors: Vec::new(),
            family: packets_plugin_api::ident::Family::none(),
            serial: 0,
            size: None,
            installed_size: None,
            arch: None,
        };
        write(&file, &(0..packages).map(entry).collect::<Vec<_>>()).unwrap();
        file
    }

    #[test]
    fn m28_rows_are_counted() {
        let home = tempfile::tempdir().unwrap();
        let file = index(home.path(), 11);
        assert_eq!(verify_within(&file, 11).unwrap().packages, 11);
        assert_eq!(verify_within(&file, 10).unwrap_err().kind, StorageErrorKind::Limit, "M28");
    }

    #[test]
    fn m25_the_clock_stops_a_query() {
        let home = tempfile::tempdir().unwrap();
        let index = IndexDb::open(&index(home.path(), 5000)).unwrap();
        index.clock.start(Duration::ZERO);
        let error = index.each(" ORDER BY description, serial", [], |_| Ok(())).unwrap_err();
        assert_eq!(error.kind, StorageErrorKind::Limit, "M25 {error}");
        index.clock.start(Duration::from_secs(60));
        index.each(" ORDER BY description, serial", [], |_| Ok(())).unwrap();
    }
}
