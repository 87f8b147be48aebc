//! `installed.db`: what is installed on this machine.

mod copy;
mod cut_off;
mod dependencies;
mod finish;
mod follow;
mod migrate;
mod rows;

use std::cell::RefCell;
use std::fmt;
use std::path::{Path, PathBuf};

use packets_plugin_api::ident::{Family, PackageName, TransactionId};
use packets_plugin_api::relpath::RelPath;
use packets_plugin_api::storage::{
    Adopter, Approval, FileRecord, InstalledPackage, MadeBy, PreparedCopy, Rows, Storage, StorageError,
    StorageErrorKind, TransactionRow,
};
use rusqlite::{Connection, Params, Row, params_from_iter};

use crate::failure::{Subject, is_busy, is_cut_off};
use crate::limits;
use crate::value::{Values, parse_row};
use crate::{beside, open};
use copy::Prepared;
use cut_off::PutRight;

/// The newest `user_version` that this program knows.
const NEWEST: i64 = migrate::STEPS.len() as i64;

/// How a new file is made: with pages of this size 10,000 paths take a third less time than with SQLite's 4096.
const NEW: &str = "PRAGMA page_size=8192;";
/// What a file that is going to be written to must allow.
const WRITABLE: &str = "PRAGMA journal_mode=DELETE;";
/// How it is written; who only reads does without. What does not fit into memory must not shut readers out while a write
/// waits (`finish_when`): it is as much as the rows are.
const WRITING: &str = "PRAGMA synchronous=EXTRA; PRAGMA cache_spill=OFF;";

/// What is in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layout {
    /// No table yet.
    Empty,
    /// Version 1's table alone.
    V1,
    /// All tables that the schema of this number has.
    Number(i64),
}

impl Layout {
    const CURRENT: Self = Self::Number(NEWEST);
}

/// How the file is held.
enum Handle {
    /// It is not there.
    Absent,
    Open(Connection),
    /// It is opened anew each time: a connection whose write failed may go on seeing it.
    Closed,
}

/// The record of what is installed.
pub(crate) struct InstalledDb {
    subject: Subject,
    /// The file, its folder without links.
    place: PathBuf,
    file: Handle,
    /// For a reader: the record without the write that was cut off, while one is.
    put_right: RefCell<Option<PutRight>>,
    layout: Layout,
    writable: bool,
}

impl InstalledDb {
    fn absent(subject: Subject, place: PathBuf) -> Self {
        let put_right = RefCell::new(None);
        Self { subject, place, file: Handle::Absent, put_right, layout: Layout::Empty, writable: false }
    }

    /// Opens for reading; nothing is created or changed.
    pub(crate) fn read(file: &Path) -> Result<Self, StorageError> {
        let subject = subject(file);
        if open::own_size(&subject, file)?.is_none() {
            return Ok(Self::absent(subject, file.to_owned()));
        }
        let place = open::place(&subject, file)?;
        beside::check(&subject, &place)?;
        let connection = open::own(&subject, &place, false)?;
        let mut record = Self { file: Handle::Open(connection), ..Self::absent(subject, place) };
        let layout = record.ask(|connection| layout(&record.subject, connection))?;
        record.layout = layout.unwrap_or(Layout::Empty);
        Ok(record)
    }

    /// Opens for writing: created where it is not there, migrated where version 1 wrote it.
    pub(crate) fn write(file: &Path, adopter: &dyn Adopter) -> Result<Self, StorageError> {
        let subject = subject(file);
        let place = open::place(&subject, file)?;
        let mut connection = Self::open_for_writing(&subject, &place)?;
        let _working = open::working(&place);
        migrate::migrate(&subject, &mut connection, adopter)?;
        let file = Handle::Open(connection);
        Ok(Self { file, layout: Layout::CURRENT, writable: true, ..Self::absent(subject, place) })
    }

    fn open_for_writing(subject: &Subject, place: &Path) -> Result<Connection, StorageError> {
        open::own_size(subject, place)?;
        // A journal that does not fit would be written into the record: a copy is tried first.
        let has_journal = beside::check(subject, place)?;
        if has_journal
            && let Err(error) = Self::read(place)
            && error.kind == StorageErrorKind::Corrupt
        {
            return Err(error);
        }
        let _working = open::working(place);
        let connection = open::own(subject, place, true)?;
        // What a later version wrote is refused before anything is set.
        if layout(subject, &connection)? == Layout::Empty {
            connection.execute_batch(NEW).map_err(subject.failed("write to"))?;
        }
        connection.execute_batch(WRITABLE).map_err(subject.failed("write to"))?;
        if has_journal {
            clear(subject, place, &connection)?;
        }
        Ok(connection)
    }

    /// The answer from the file as it is now; none for a file that is not there.
    ///
    /// Where a write was cut off or stands still and this is a reader, it comes from a
    /// copy that was put right. The file itself is asked first each time: a writer may
    /// have put it right, and SQLite takes a journal that is just going for one that was left.
    fn ask<T>(&self, question: impl Fn(&Connection) -> Result<T, StorageError>) -> Result<Option<T>, StorageError> {
        let connection = match &self.file {
            Handle::Absent => return Ok(None),
            Handle::Open(connection) => connection,
            Handle::Closed => return Self::read(&self.place)?.ask(question),
        };
        let ask = |connection: &Connection| {
            let _working = open::working(&self.place);
            question(connection)
        };
        let mut put_right = self.put_right.borrow_mut();
        for _ in 0..limits::CUT_OFF_TRIES {
            let busy = match ask(connection) {
                Err(error) if !self.writable && (is_cut_off(&error) || is_busy(&error)) => is_busy(&error),
                answer => return answer.map(Some),
            };
            if put_right.as_ref().and_then(|copy| copy.current(&self.place)).is_none() {
                *put_right = match PutRight::copy_of(&self.subject, &self.place) {
                    // The writer will come to its end, and is waited for.
                    Err(error) if busy && error.kind == StorageErrorKind::Limit => None,
                    // It is written to by this process, which may be waiting: the file itself has the last word.
                    Err(error) if busy && error.kind == StorageErrorKind::Io => break,
                    copy => copy?,
                };
            }
            if let Some(copy) = put_right.as_ref().and_then(|copy| copy.current(&self.place)) {
                return ask(copy).map(Some);
            }
        }
        ask(connection).map(Some)
    }

    /// The rows of a statement, each parsed; errors name a row by its column `label`.
    fn find<T>(
        &self,
        sql: &str,
        parameters: impl Params + Clone,
        label: usize,
        parse: impl Fn(Values<'_>) -> Result<T, crate::value::BadValue>,
    ) -> Result<Vec<T>, StorageError> {
        let found = self.ask(|connection| {
            select(&self.subject, connection, sql, parameters.clone(), |row| {
                parse_row(&self.subject, row, label, &parse)
            })
        });
        Ok(found?.unwrap_or_default())
    }

    /// The same, where only our own tables can answer.
    fn find_in_ours<T>(
        &self,
        sql: &str,
        parameters: impl Params + Clone,
        label: usize,
        parse: impl Fn(Values<'_>) -> Result<T, crate::value::BadValue>,
    ) -> Result<Vec<T>, StorageError> {
        match self.layout {
            Layout::Number(_) => self.find(sql, parameters, label, parse),
            Layout::Empty | Layout::V1 => Ok(Vec::new()),
        }
    }

    /// See [`Storage::finish_when`].
    fn record(&mut self, rows: &Rows, happens: &mut dyn FnMut() -> bool) -> Result<bool, StorageError> {
        if !self.writable {
            return Err(self.subject.error(StorageErrorKind::Io, "write to").because("it was opened for reading"));
        }
        let mut connection = match std::mem::replace(&mut self.file, Handle::Closed) {
            Handle::Open(connection) => connection,
            Handle::Absent | Handle::Closed => Self::open_for_writing(&self.subject, &self.place)?,
        };
        let _working = open::working(&self.place);
        let is_recorded = finish::finish(&self.subject, &mut connection, rows, happens)?;
        self.file = Handle::Open(connection);
        Ok(is_recorded)
    }

    fn packages(&self, rest: &str, parameters: impl Params + Clone) -> Result<Vec<InstalledPackage>, StorageError> {
        let select = match self.layout {
            Layout::Empty => return Ok(Vec::new()),
            Layout::V1 => rows::SELECT_V1_PACKAGES,
            Layout::Number(1 | 2) => rows::SELECT_PACKAGES_2,
            Layout::Number(_) => rows::SELECT_PACKAGES,
        };
        self.find(&format!("{select}{rest}"), parameters, 0, rows::package)
    }
}

/// Takes away a journal that a killed writer had only begun: to SQLite it is none, and stays there until the next write.
fn clear(subject: &Subject, place: &Path, connection: &Connection) -> Result<(), StorageError> {
    let failed = subject.failed("write to");
    // Who may write, and has not begun to, knows that no journal is anybody's.
    connection.execute_batch("BEGIN IMMEDIATE").map_err(&failed)?;
    let removed = match rustix::fs::unlink(beside::journal(place)) {
        Err(rustix::io::Errno::NOENT) => Ok(()),
        result => result.map_err(|error| subject.failed_at("write to", error.into())),
    };
    connection.execute_batch("ROLLBACK").map_err(&failed)?;
    removed
}

fn subject(file: &Path) -> Subject {
    Subject::new("the record of installed packages", file)
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
        1..=NEWEST => return Ok(Layout::Number(version)),
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
        if let Layout::Number(1..=3) = self.layout {
            return self.find_in_ours(rows::SELECT_OWNERS_3, [path.as_str()], 0, rows::owner);
        }
        let ways: Vec<RelPath> = std::iter::successors(Some(path.clone()), RelPath::parent).collect();
        let parameters = std::iter::once(path).chain(&ways).map(RelPath::as_str);
        self.find_in_ours(&rows::select_owners(ways.len()), params_from_iter(parameters), 0, rows::owner)
    }

    fn approvals(&self, name: &PackageName, family: &Family) -> Result<Vec<Approval>, StorageError> {
        self.find_in_ours(rows::SELECT_APPROVALS, [name.as_str(), family.as_str()], 0, rows::approval)
    }

    fn all_approvals(&self) -> Result<Vec<Approval>, StorageError> {
        self.find_in_ours(rows::SELECT_ALL_APPROVALS, [], 0, rows::approval)
    }

    fn history(&self, most: usize) -> Result<Vec<TransactionRow>, StorageError> {
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let select = if self.layout == Layout::Number(1) { rows::SELECT_HISTORY_1 } else { rows::SELECT_HISTORY };
        self.find_in_ours(select, [most], 0, rows::transaction)
    }

    fn moments(&self, most: usize) -> Result<Vec<(TransactionId, u64)>, StorageError> {
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        self.find_in_ours(rows::SELECT_MOMENTS, [most], 0, rows::moment)
    }

    fn finish(&mut self, rows: &Rows) -> Result<(), StorageError> {
        self.record(rows, &mut || true).map(|_| ())
    }

    fn finish_when(&mut self, rows: &Rows, happens: &mut dyn FnMut() -> bool) -> Result<bool, StorageError> {
        self.record(rows, happens)
    }

    fn reader(&self) -> Result<Box<dyn Storage>, StorageError> {
        Ok(Box::new(Self::read(&self.place)?))
    }

    fn recorded(&self, id: &TransactionId) -> Result<bool, StorageError> {
        if !matches!(self.layout, Layout::Number(_)) {
            return Ok(false);
        }
        let is_recorded = |connection: &Connection| finish::is_recorded(connection, id);
        Ok(self.ask(|connection| is_recorded(connection).map_err(self.subject.failed("read")))?.unwrap_or(false))
    }

    fn prepare_copy(&self, file: &Path) -> Result<Box<dyn PreparedCopy>, StorageError> {
        let copy = |connection: &Connection| Prepared::of(&self.subject, connection, &self.place, file);
        // It is not put right first: that waits for a write of this process, which may be waiting for the copy. Such a
        // one shuts no reader out before it has been told that all has happened; who does is another process.
        if let Handle::Open(connection) = &self.file {
            let _working = open::working(&self.place);
            match copy(connection) {
                Err(error) if is_cut_off(&error) || is_busy(&error) => {}
                copied => return Ok(Box::new(copied?)),
            }
        }
        let copied = self.ask(copy)?.ok_or_else(|| self.subject.error(StorageErrorKind::NotFound, "copy"))?;
        Ok(Box::new(copied))
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
    use packets_plugin_api::ident::Digest;
    use packets_plugin_api::storage::{FileKind, InstalledRow, Reason};

    use super::*;

    impl InstalledDb {
        fn connection(&self) -> &Connection {
            let Handle::Open(connection) = &self.file else { panic!("it is open") };
            connection
        }
    }

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
            held: false,
        };
        let id = TransactionId::from_bytes(number.to_be_bytes());
        let transaction = TransactionRow {
            id,
            time: 0,
            command: "install".to_owned(),
            summary: Vec::new(),
            origins: Vec::new(),
            undoes: None,
        };
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
            storage.connection().execute_batch(&sql).unwrap();
        };
        limit(&storage, 60);
        let error = storage.finish(&rows(2, 10_000)).unwrap_err();
        assert_eq!(error.kind, StorageErrorKind::Io, "C24 FULL {error}");
        assert!(error.hint.is_some());
        for storage in [&storage, &InstalledDb::read(&file).unwrap()] {
            assert_eq!(storage.installed().unwrap().len(), 1, "C24 FULL: all of it is as it was");
            assert_eq!(storage.history(9).unwrap().len(), 1);
            assert!(!storage.recorded(&rows(2, 0).transaction.id).unwrap());
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
        storage.connection().busy_timeout(Duration::from_millis(20)).unwrap();
        let error = storage.finish(&rows(1, 1)).unwrap_err();
        assert_eq!(error.kind, StorageErrorKind::Io, "C24 BUSY {error}");
        assert!(error.hint.unwrap().contains("another program"));
        assert_eq!(reader.installed().unwrap(), [], "C20: a reader waits for nobody");
        other.execute_batch("ROLLBACK").unwrap();
        assert!(!storage.recorded(&rows(1, 1).transaction.id).unwrap());
        storage.finish(&rows(1, 1)).unwrap();
        assert_eq!(reader.installed().unwrap().len(), 1);
    }

    #[test]
    fn writes_are_durable_and_readable_by_all() {
        let home = tempfile::tempdir().unwrap();
        let storage = InstalledDb::write(&home.path().join("installed.db"), &NothingToAdopt).unwrap();
        let connection = storage.connection();
        let ask = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, rusqlite::types::Value>(0)).unwrap();
        assert_eq!(ask("PRAGMA journal_mode"), "delete".to_owned().into());
        assert_eq!(ask("PRAGMA synchronous"), 3.into(), "EXTRA");
        assert_eq!(ask("PRAGMA user_version"), NEWEST.into());
    }

    #[test]
    fn look_ups_use_indexes() {
        let home = tempfile::tempdir().unwrap();
        let storage = InstalledDb::write(&home.path().join("installed.db"), &NothingToAdopt).unwrap();
        let connection = storage.connection();
        for sql in [
            rows::SELECT_FILES,
            &rows::select_owners(1),
            &rows::select_owners(5),
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
