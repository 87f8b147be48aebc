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
pub(crate) use verify::verify;
pub(crate) use write::write;

/// An open index with the schema that it should have.
pub(crate) struct IndexDb {
    subject: Subject,
    connection: Connection,
    clock: Clock,
    /// `SELECT` with the columns of [`entry::SELECTED`], up to `FROM packages`.
    select: String,
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
        let columns = schema::check(&subject, &connection)?;
        let select = entry::select(&columns);
        Ok(Self { subject, connection, clock, select })
    }

    /// Hands every entry that `rest` of the statement selects to `each`, in order.
    fn each(
        &self,
        rest: &str,
        parameters: impl Params,
        mut each: impl FnMut(IndexEntry) -> Result<(), StorageError>,
    ) -> Result<(), StorageError> {
        let failed = self.subject.failed("read");
        let mut statement = self.connection.prepare_cached(&format!("{}{rest}", self.select)).map_err(&failed)?;
        let mut rows = statement.query(parameters).map_err(&failed)?;
        while let Some(row) = rows.next().map_err(&failed)? {
            each(entry::parse(&self.subject, row)?)?;
        }
        Ok(())
    }

    /// The entries that `rest` of the statement selects.
    fn find(&self, rest: &str, parameters: impl Params) -> Result<Vec<IndexEntry>, StorageError> {
        self.clock.start(limits::QUERY_TIME);
        let mut entries = Vec::new();
        self.each(rest, parameters, |entry| {
            entries.push(entry);
            Ok(())
        })?;
        Ok(entries)
    }

    /// The rows that meet a condition, the highest serial first.
    ///
    /// The condition finds their numbers, by an index where the file has one; the rows
    /// are then read from the table alone, so that an index that disagrees with the
    /// table cannot mix the values of two rows.
    fn look_up(&self, condition: &str, value: &str) -> Result<Vec<IndexEntry>, StorageError> {
        let rest = format!(" WHERE serial IN (SELECT serial FROM packages WHERE {condition}) ORDER BY serial DESC");
        self.find(&rest, [value])
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
        let found = self.look_up("realname = ?1", name.as_str())?;
        Ok(self.as_asked(found, |entry| entry.name == *name)?.pop())
    }

    fn aliased(&self, alias: &PackageName) -> Result<Vec<IndexEntry>, StorageError> {
        let mut found = self.look_up("name = ?1", alias.as_str())?;
        found.retain(|entry| entry.name != *alias);
        self.as_asked(found, |entry| entry.alias.as_ref() == Some(alias))
    }

    fn providing(&self, name: &PackageName) -> Result<Vec<IndexEntry>, StorageError> {
        // A name needs no escape in JSON. The index of the column alone answers this, and
        // only what provides anything stands in the part of it that is searched.
        let mut found = self.look_up("provides > '' AND instr(provides, ?1)", &format!("\"{name}\""))?;
        found.retain(|entry| entry.provides.contains(name));
        Ok(found)
    }

    fn family(&self, family: &Family) -> Result<Vec<IndexEntry>, StorageError> {
        if family.is_none() {
            return Ok(Vec::new());
        }
        let found = self.look_up("family = ?1", family.as_str())?;
        self.as_asked(found, |entry| entry.family == *family)
    }

    fn all(&self) -> Result<Vec<IndexEntry>, StorageError> {
        let mut all = self.find(" ORDER BY serial", [])?;
        all.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(all)
    }
}

impl fmt::Debug for IndexDb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IndexDb").field("file", &self.subject).finish_non_exhaustive()
    }
}
