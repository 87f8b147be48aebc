//! `index.db`: what can be installed. Hostile input from the first byte.

mod entry;
mod schema;
mod verify;
mod write;

use std::fmt;
use std::path::Path;

use packets_plugin_api::ident::{Family, PackageName};
use packets_plugin_api::storage::{IndexEntry, PackageIndex, StorageError, StorageErrorKind};
use rusqlite::{Connection, Params};

use crate::failure::Subject;
use crate::limits;
use crate::open::{self, Clock};
use schema::Shape;
pub(crate) use verify::verify;
pub(crate) use write::write;

/// An open index with the schema that it should have.
pub(crate) struct IndexDb {
    subject: Subject,
    connection: Connection,
    clock: Clock,
    /// `SELECT` with all columns of an entry, up to `FROM packages`.
    select: String,
    /// The same for the row of one serial.
    row: String,
    /// The statement that finds the rows which provide a name.
    providing: &'static str,
    /// Whether the file has the table [`schema::PROVIDED`].
    provided: bool,
}

const NAMED: &str = "SELECT serial FROM packages WHERE realname = ?1";
const ALIASED: &str = "SELECT serial FROM packages WHERE name = ?1";
const OF_FAMILY: &str = "SELECT serial FROM packages WHERE family = ?1";

/// By key where the file has the table for it; else every row is looked at: such an index is
/// not of our writing. A name needs no escape in JSON.
fn providing(shape: &Shape) -> &'static str {
    match (shape.provided, shape.columns.iter().any(|column| column == "provides")) {
        (true, _) => "SELECT serial FROM provided WHERE name = ?1",
        (false, true) => "SELECT serial FROM packages WHERE instr(provides, '\"' || ?1 || '\"')",
        (false, false) => "SELECT serial FROM packages WHERE ?1 IS NULL",
    }
}

impl IndexDb {
    /// Opens an index and checks its schema.
    pub(crate) fn open(file: &Path) -> Result<Self, StorageError> {
        let subject = Subject::new("the index", file);
        match open::size(&subject, file)? {
            None => return Err(subject.error(StorageErrorKind::NotFound, "open").because("no such file")),
            Some(size) if size > limits::INDEX_BYTES => {
                let why = format!("{size} bytes, at most {}", limits::INDEX_BYTES);
                return Err(subject.error(StorageErrorKind::Limit, "open").because(why));
            }
            Some(_) => {}
        }
        let (connection, clock) = open::foreign(&subject, file)?;
        let shape = schema::check(&subject, &connection)?;
        let select = entry::select(&shape.columns);
        let row = format!("{select} WHERE serial = ?1");
        Ok(Self { subject, connection, clock, select, row, providing: providing(&shape), provided: shape.provided })
    }

    /// Hands every entry that the statement selects to `each`, in order.
    fn each(
        &self,
        statement: &str,
        parameters: impl Params,
        mut each: impl FnMut(IndexEntry) -> Result<(), StorageError>,
    ) -> Result<(), StorageError> {
        let failed = self.subject.failed("read");
        let mut statement = self.connection.prepare_cached(statement).map_err(&failed)?;
        let mut rows = statement.query(parameters).map_err(&failed)?;
        while let Some(row) = rows.next().map_err(&failed)? {
            each(entry::parse(&self.subject, row)?)?;
        }
        Ok(())
    }

    /// The rows whose serials these statements find for a value, each once, the highest serial
    /// first, at most so many.
    ///
    /// The serials come from an index where the file has one; the rows are then read from
    /// the table alone, so that an index that disagrees with the table cannot mix the values
    /// of two rows.
    fn look_up(&self, statements: &[&str], value: &str, most: usize) -> Result<Vec<IndexEntry>, StorageError> {
        self.clock.start(limits::QUERY_TIME);
        let failed = self.subject.failed("read");
        let mut serials: Vec<i64> = Vec::new();
        for statement in statements {
            let mut statement = self.connection.prepare_cached(statement).map_err(&failed)?;
            let mut rows = statement.query([value]).map_err(&failed)?;
            while let Some(row) = rows.next().map_err(&failed)? {
                serials.push(row.get(0).map_err(&failed)?);
            }
        }
        serials.sort_unstable_by_key(|serial| std::cmp::Reverse(*serial));
        serials.dedup();
        if serials.len() > most {
            let why = format!("more than {most} packages answer to \"{value}\"");
            return Err(self.subject.error(StorageErrorKind::Limit, "use").because(why));
        }
        let mut entries = Vec::with_capacity(serials.len());
        for serial in serials {
            self.each(&self.row, [serial], |entry| {
                entries.push(entry);
                Ok(())
            })?;
        }
        Ok(entries)
    }

    /// `entries`, if the file's own look-up tables did not lie: each is what was asked for.
    fn as_asked(
        &self,
        entries: Vec<IndexEntry>,
        asked: impl Fn(&IndexEntry) -> bool,
    ) -> Result<Vec<IndexEntry>, StorageError> {
        match entries.iter().find(|entry| !asked(entry)) {
            Some(entry) => {
                Err(self.subject.corrupt(format!("a look-up led to the row \"{}\", which is another", entry.name)))
            }
            None => Ok(entries),
        }
    }
}

impl PackageIndex for IndexDb {
    fn package(&self, name: &PackageName) -> Result<Option<IndexEntry>, StorageError> {
        let found = self.look_up(&[NAMED], name.as_str(), usize::MAX)?;
        Ok(self.as_asked(found, |entry| entry.name == *name)?.pop())
    }

    fn aliased(&self, alias: &PackageName) -> Result<Vec<IndexEntry>, StorageError> {
        let mut found = self.look_up(&[ALIASED], alias.as_str(), usize::MAX)?;
        found.retain(|entry| entry.name != *alias);
        self.as_asked(found, |entry| entry.alias.as_ref() == Some(alias))
    }

    fn providing(&self, name: &PackageName) -> Result<Vec<IndexEntry>, StorageError> {
        let mut found = self.look_up(&[self.providing], name.as_str(), usize::MAX)?;
        found.retain(|entry| entry.provides.contains(name));
        Ok(found)
    }

    fn answering(&self, name: &PackageName) -> Result<Vec<IndexEntry>, StorageError> {
        let mut found = self.look_up(&[NAMED, ALIASED, self.providing], name.as_str(), limits::ANSWERS)?;
        let answers = |entry: &IndexEntry| {
            entry.name == *name || entry.alias.as_ref() == Some(name) || entry.provides.contains(name)
        };
        if !self.provided {
            found.retain(answers);
        }
        self.as_asked(found, answers)
    }

    fn family(&self, family: &Family) -> Result<Vec<IndexEntry>, StorageError> {
        if family.is_none() {
            return Ok(Vec::new());
        }
        let found = self.look_up(&[OF_FAMILY], family.as_str(), usize::MAX)?;
        self.as_asked(found, |entry| entry.family == *family)
    }

    fn all(&self) -> Result<Vec<IndexEntry>, StorageError> {
        self.clock.start(limits::QUERY_TIME);
        let mut all = Vec::new();
        self.each(&format!("{} ORDER BY serial", self.select), [], |entry| {
            all.push(entry);
            Ok(())
        })?;
        all.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(all)
    }
}

impl fmt::Debug for IndexDb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IndexDb").field("file", &self.subject).finish_non_exhaustive()
    }
}
