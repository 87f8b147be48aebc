//! Reading an index once from end to end.

use std::collections::BTreeSet;
use std::path::Path;

use packets_plugin_api::ident::{Family, PackageName};
use packets_plugin_api::storage::{IndexEntry, IndexSummary, PackageIndex as _, StorageError, StorageErrorKind};

use super::texts::Lines;
use super::{IndexDb, entry};
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
    let mut answers = Answers::new(&index);
    let mut lines = Lines::default();
    index.each(&format!("{} ORDER BY serial", index.select), [], |entry| {
        packages += 1;
        answers.check(&entry)?;
        if index.texts {
            lines.add(&entry);
        }
        if packages > most {
            let why = format!("more than {most} packages");
            return Err(index.subject.error(StorageErrorKind::Limit, "use").because(why));
        }
        Ok(())
    })?;
    answers.finish()?;
    lines.check(&index)?;
    look_ups(&index)?;
    Ok(IndexSummary { packages })
}

/// Every look-up works. In tables without rows SQLite's check does not see all that stops one.
fn look_ups(index: &IndexDb) -> Result<(), StorageError> {
    let failed = |error| index.subject.error(StorageErrorKind::Corrupt, "verify").because(error);
    let name: PackageName = "a".parse().map_err(failed)?;
    let family: Family = name.as_str().parse().map_err(failed)?;
    index.package(&name)?;
    index.aliased(&name)?;
    index.providing(&name)?;
    index.answering(&name)?;
    index.family(&family)?;
    Ok(())
}

/// The table of answers must say what the rows say: a row that it leaves out
/// would be one that no look-up finds.
struct Answers<'a> {
    index: &'a IndexDb,
    found: i64,
}

impl<'a> Answers<'a> {
    fn new(index: &'a IndexDb) -> Self {
        Self { index, found: 0 }
    }

    fn check(&mut self, entry: &IndexEntry) -> Result<(), StorageError> {
        if !self.index.answers {
            return Ok(());
        }
        let failed = self.index.subject.failed("verify");
        let sql = "SELECT 1 FROM answers WHERE name = ?1 AND serial = ?2";
        let mut statement = self.index.connection.prepare_cached(sql).map_err(&failed)?;
        for name in entry::names(entry).collect::<BTreeSet<_>>() {
            if !statement.exists((name.as_str(), entry.serial.cast_signed())).map_err(&failed)? {
                return Err(self.differs());
            }
            self.found += 1;
        }
        Ok(())
    }

    fn finish(self) -> Result<(), StorageError> {
        if !self.index.answers {
            return Ok(());
        }
        let count = "SELECT count(*) FROM answers";
        let rows: i64 = self
            .index
            .connection
            .query_row(count, [], |row| row.get(0))
            .map_err(self.index.subject.failed("verify"))?;
        if rows == self.found { Ok(()) } else { Err(self.differs()) }
    }

    fn differs(&self) -> StorageError {
        self.index.subject.corrupt("the table \"answers\" does not say what the packages say")
    }
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
        let slow = format!("{} ORDER BY description, serial", index.select);
        index.clock.start(Duration::ZERO);
        let error = index.each(&slow, [], |_| Ok(())).unwrap_err();
        assert_eq!(error.kind, StorageErrorKind::Limit, "M25 {error}");
        index.clock.start(Duration::from_secs(60));
        index.each(&slow, [], |_| Ok(())).unwrap();
    }
}
