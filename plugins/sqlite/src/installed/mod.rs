//! `installed.db`: what is installed on this machine.

mod finish;
mod migrate;
mod rows;

use std::fmt;
use std::path::Path;

use packets_plugin_api::ident::{Family, PackageName};
use packets_plugin_api::relpath::RelPath;
use packets_plugin_api::storage::{
    Adopter, Approval, FileRecord, InstalledPackage, MadeBy, Rows, Storage, StorageError, StorageErrorKind,
    TransactionRow,
};
use rusqlite::{Connection, Params, Row};

use crate::failure::Subject;
use crate::open;
use crate::value::{Values, parse_row};

/// The newest `user_version` that this program knows.
const NEWEST: i64 = 1;

/// What is in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layout {
    /// No table yet.
    Empty,
    /// Version 1's table alone.
    V1,
    /// All tables.
    Current,
}

/// The record of what is installed.
pub(crate) struct InstalledDb {
    subject: Subject,
    /// None for a file that is not there.
    connection: Option<Connection>,
    layout: Layout,
    writable: bool,
}

impl InstalledDb {
    /// Opens for reading; nothing is created or changed.
    pub(crate) fn read(file: &Path) -> Result<Self, StorageError> {
        let subject = Subject::new("the record of installed packages", file);
        if open::size(&subject, file)?.is_none() {
            return Ok(Self { subject, connection: None, layout: Layout::Empty, writable: false });
        }
        let connection = open::own(&subject, file, false)?;
        let layout = layout(&subject, &connection)?;
        Ok(Self { subject, connection: Some(connection), layout, writable: false })
    }

    /// Opens for writing: created where it is not there, migrated where version 1 wrote it.
    pub(crate) fn write(file: &Path, adopter: &dyn Adopter) -> Result<Self, StorageError> {
        let subject = Subject::new("the record of installed packages", file);
        open::size(&subject, file)?;
        let mut connection = open::own(&subject, file, true)?;
        // What a later version wrote is refused before anything is set.
        layout(&subject, &connection)?;
        connection
            .execute_batch("PRAGMA journal_mode=DELETE; PRAGMA synchronous=EXTRA;")
            .map_err(subject.failed("write to"))?;
        migrate::migrate(&subject, &mut connection, adopter)?;
        Ok(Self { subject, connection: Some(connection), layout: Layout::Current, writable: true })
    }

    /// The rows of a statement, each parsed; errors name a row by its column `label`.
    fn find<T>(
        &self,
        sql: &str,
        parameters: impl Params,
        label: usize,
        parse: impl Fn(Values<'_>) -> Result<T, crate::value::BadValue>,
    ) -> Result<Vec<T>, StorageError> {
        let Some(connection) = &self.connection else { return Ok(Vec::new()) };
        select(&self.subject, connection, sql, parameters, |row| parse_row(&self.subject, row, label, &parse))
    }

    /// The same, where only our own tables can answer.
    fn find_in_ours<T>(
        &self,
        sql: &str,
        parameters: impl Params,
        label: usize,
        parse: impl Fn(Values<'_>) -> Result<T, crate::value::BadValue>,
    ) -> Result<Vec<T>, StorageError> {
        if self.layout == Layout::Current { self.find(sql, parameters, label, parse) } else { Ok(Vec::new()) }
    }

    fn packages(&self, rest: &str, parameters: impl Params) -> Result<Vec<InstalledPackage>, StorageError> {
        let select = match self.layout {
            Layout::Empty => return Ok(Vec::new()),
            Layout::V1 => rows::SELECT_V1_PACKAGES,
            Layout::Current => rows::SELECT_PACKAGES,
        };
        self.find(&format!("{select}{rest}"), parameters, 0, rows::package)
    }
}

/// Everything that a statement selects.
fn select<T>(
    subject: &Subject,
    connection: &Connection,
    sql: &str,
    parameters: impl Params,
    parse: impl Fn(&Row<'_>) -> Result<T, StorageError>,
) -> Result<Vec<T>, StorageError> {
    let failed = subject.failed("read");
    let mut statement = connection.prepare_cached(sql).map_err(&failed)?;
    let mut rows = statement.query(parameters).map_err(&failed)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(&failed)? {
        found.push(parse(row)?);
    }
    Ok(found)
}

/// What the file holds, by its `user_version` and, without one, by its tables.
fn layout(subject: &Subject, connection: &Connection) -> Result<Layout, StorageError> {
    let failed = subject.failed("read");
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(&failed)?;
    match version {
        0 => {}
        1..=NEWEST => return Ok(Layout::Current),
        _ => {
            return Err(subject
                .error(StorageErrorKind::Unknown, "use")
                .because(format!("its schema has the number {version}, and this program knows {NEWEST} and before"))
                .with_hint("use the version of packets that wrote it, or a later one"));
        }
    }
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(&failed)?;
    if tables == 0 {
        return Ok(Layout::Empty);
    }
    match connection.prepare(&format!("{} LIMIT 0", rows::SELECT_V1_PACKAGES)) {
        Ok(_) => Ok(Layout::V1),
        Err(error) => Err(failed(error)),
    }
}

impl Storage for InstalledDb {
    fn installed(&self) -> Result<Vec<InstalledPackage>, StorageError> {
        self.packages(" ORDER BY p.realname", [])
    }

    fn package(&self, name: &PackageName) -> Result<Option<InstalledPackage>, StorageError> {
        Ok(self.packages(" WHERE p.realname = ?1", [name.as_str()])?.pop())
    }

    fn files(&self, name: &PackageName) -> Result<Vec<FileRecord>, StorageError> {
        let mut files = self.find_in_ours(rows::SELECT_FILES, [name.as_str()], 0, rows::file)?;
        // SQL orders by bytes, paths are ordered by components.
        files.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(files)
    }

    fn owners(&self, path: &RelPath) -> Result<Vec<(PackageName, MadeBy)>, StorageError> {
        self.find_in_ours(rows::SELECT_OWNERS, [path.as_str()], 0, rows::owner)
    }

    fn approvals(&self, name: &PackageName, family: &Family) -> Result<Vec<Approval>, StorageError> {
        self.find_in_ours(rows::SELECT_APPROVALS, [name.as_str(), family.as_str()], 0, rows::approval)
    }

    fn history(&self, most: usize) -> Result<Vec<TransactionRow>, StorageError> {
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        self.find_in_ours(rows::SELECT_HISTORY, [most], 0, rows::transaction)
    }

    fn finish(&mut self, rows: &Rows) -> Result<(), StorageError> {
        match &mut self.connection {
            Some(connection) if self.writable => finish::finish(&self.subject, connection, rows),
            _ => Err(self.subject.error(StorageErrorKind::Io, "write to").because("it was opened for reading")),
        }
    }
}

impl fmt::Debug for InstalledDb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InstalledDb").field("file", &self.subject).field("layout", &self.layout).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use packets_plugin_api::conformance::storage::NothingToAdopt;
    use packets_plugin_api::ident::{Digest, TransactionId};
    use packets_plugin_api::storage::{FileKind, InstalledRow, Reason};

    use super::*;

    fn rows(number: u64, files: usize) -> Rows {
        let file = |at: usize| FileRecord {
            path: format!("opt/a/data/a-rather-long-name-of-a-file-{at}").parse().unwrap(),
            made_by: MadeBy::Data,
            kind: FileKind::File { mode: 0o644, size: 1, sha256: Digest::from_bytes([1; 32]) },
            displaced: None,
        };
        let package = InstalledPackage {
            name: format!("p{number}").parse().unwrap(),
            alias: None,
            version: "1".parse().unwrap(),
            description: String::new(),
            requires: Vec::new(),
            conflicts: Vec::new(),
            provides: Vec::new(),
            family: Family::none(),
            serial: 0,
            digest: None,
            reason: Reason::Asked,
            folder: RelPath::root(),
            installed_at: 0,
            installed_size: 0,
        };
        let id = TransactionId::from_bytes(number.to_be_bytes());
        let transaction = TransactionRow { id, time: 0, command: "install".to_owned(), summary: Vec::new() };
        let installed = vec![InstalledRow { package, files: (0..files).map(file).collect() }];
        Rows { transaction, gone: Vec::new(), installed, approved: Vec::new() }
    }

    #[test]
    fn c24_a_full_disk_leaves_the_old_record() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("installed.db");
        let mut storage = InstalledDb::write(&file, &NothingToAdopt).unwrap();
        storage.finish(&rows(1, 10)).unwrap();
        let limit = |storage: &InstalledDb, pages: u32| {
            let sql = format!("PRAGMA max_page_count = {pages}; PRAGMA cache_size = 5;");
            storage.connection.as_ref().unwrap().execute_batch(&sql).unwrap();
        };
        limit(&storage, 60);
        let error = storage.finish(&rows(2, 10_000)).unwrap_err();
        assert_eq!(error.kind, StorageErrorKind::Io, "C24 FULL {error}");
        assert!(error.hint.is_some());
        limit(&storage, 1_000_000);
        for storage in [&storage, &InstalledDb::read(&file).unwrap()] {
            assert_eq!(storage.installed().unwrap().len(), 1, "C24 FULL: all of it is as it was");
            assert_eq!(storage.history(9).unwrap().len(), 1);
        }
        storage.finish(&rows(2, 10_000)).unwrap();
        assert_eq!(storage.files(&"p2".parse().unwrap()).unwrap().len(), 10_000);
    }

    #[test]
    fn c24_busy_says_that_another_program_is_there() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("installed.db");
        let mut storage = InstalledDb::write(&file, &NothingToAdopt).unwrap();
        let reader = InstalledDb::read(&file).unwrap();
        let other = Connection::open(&file).unwrap();
        other.execute_batch("BEGIN EXCLUSIVE").unwrap();
        for connection in [&storage, &reader] {
            connection.connection.as_ref().unwrap().busy_timeout(Duration::from_millis(20)).unwrap();
        }
        for error in [storage.finish(&rows(1, 1)).unwrap_err(), reader.installed().unwrap_err()] {
            assert_eq!(error.kind, StorageErrorKind::Io, "C24 BUSY {error}");
            assert!(error.hint.unwrap().contains("another program"));
        }
        other.execute_batch("ROLLBACK").unwrap();
        storage.finish(&rows(1, 1)).unwrap();
        assert_eq!(reader.installed().unwrap().len(), 1);
    }

    #[test]
    fn writes_are_durable_and_readable_by_all() {
        let home = tempfile::tempdir().unwrap();
        let storage = InstalledDb::write(&home.path().join("installed.db"), &NothingToAdopt).unwrap();
        let connection = storage.connection.as_ref().unwrap();
        let ask = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, rusqlite::types::Value>(0)).unwrap();
        assert_eq!(ask("PRAGMA journal_mode"), "delete".to_owned().into());
        assert_eq!(ask("PRAGMA synchronous"), 3.into(), "EXTRA");
        assert_eq!(ask("PRAGMA user_version"), NEWEST.into());
    }

    #[test]
    fn look_ups_use_indexes() {
        let home = tempfile::tempdir().unwrap();
        let storage = InstalledDb::write(&home.path().join("installed.db"), &NothingToAdopt).unwrap();
        let connection = storage.connection.as_ref().unwrap();
        for sql in [
            rows::SELECT_FILES,
            rows::SELECT_OWNERS,
            rows::SELECT_APPROVALS,
            &format!("{} WHERE p.realname = ?1", rows::SELECT_PACKAGES),
        ] {
            let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let parameters = vec!["x"; statement.parameter_count()];
            let steps = statement.query_map(rusqlite::params_from_iter(parameters), |row| row.get(3)).unwrap();
            for step in steps {
                let step: String = step.unwrap();
                assert!(!step.starts_with("SCAN"), "{sql}: {step}");
            }
        }
    }
}
