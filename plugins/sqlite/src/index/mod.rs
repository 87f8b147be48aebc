//! `index.db`: what can be installed. Hostile input from the first byte.

mod entry;
mod schema;
mod texts;
mod verify;
mod write;

use std::fmt;
use std::path::Path;

use packets_plugin_api::ident::{Digest, Family, PackageName};
use packets_plugin_api::storage::{Found, IndexEntry, PackageIndex, StorageError, StorageErrorKind};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Params};

use crate::failure::Subject;
use crate::limits;
use crate::open::{self, Clock};
use crate::value::{Column, parse_row};
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
    /// The statements that find the serials of the rows which answer to a name.
    answering: &'static [&'static str],
    /// Whether the file has the table [`schema::ANSWERS`].
    answers: bool,
    /// Whether the file has the table [`schema::TEXTS`].
    texts: bool,
}

const NAMED: &str = "SELECT serial FROM packages WHERE realname = ?1";
const RELEASE: &str = "SELECT realname, hash FROM packages WHERE serial = ?1";
const ALIASED: &str = "SELECT serial FROM packages WHERE name = ?1";
/// A name needs no escape in JSON.
const PROVIDING: &str = "SELECT serial FROM packages WHERE instr(provides, '\"' || ?1 || '\"')";
const ANSWERING: &str = "SELECT serial FROM answers WHERE name = ?1";
/// The names that begin with a text: by key, and for a file that has no key for it.
const BEGINNING: [&str; 3] = [
    "SELECT DISTINCT name FROM answers WHERE name >= ?1 AND name < ?1 || char(0x10ffff) ORDER BY name LIMIT ?2",
    "SELECT realname FROM packages WHERE realname >= ?1 AND realname < ?1 || char(0x10ffff) ORDER BY realname LIMIT ?2",
    "SELECT DISTINCT name FROM packages WHERE name >= ?1 AND name < ?1 || char(0x10ffff) ORDER BY name LIMIT ?2",
];
const OF_FAMILY: &str = "SELECT serial FROM packages WHERE family = ?1";

/// By one key where the file has the table for it; else every row is looked at: such an index
/// is not of our writing.
fn answering(shape: &Shape) -> &'static [&'static str] {
    match (shape.answers, shape.columns.iter().any(|column| column == "provides")) {
        (true, _) => &[ANSWERING],
        (false, true) => &[NAMED, ALIASED, PROVIDING],
        (false, false) => &[NAMED, ALIASED],
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
        let (answers, texts) = (shape.answers, shape.texts);
        Ok(Self { subject, connection, clock, select, row, answering: answering(&shape), answers, texts })
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

    fn all_answering(&self, name: &PackageName, most: usize) -> Result<Vec<IndexEntry>, StorageError> {
        let found = self.look_up(self.answering, name.as_str(), most)?;
        self.as_asked(found, |entry| entry::names(entry).any(|own| own == name))
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

    fn is_release(&self, name: &PackageName, digest: &Digest) -> Result<bool, StorageError> {
        let failed = self.subject.failed("read");
        self.clock.start(limits::QUERY_TIME);
        let mut named = self.connection.prepare_cached(NAMED).map_err(&failed)?;
        let serial: Option<i64> = named.query_row([name.as_str()], |row| row.get(0)).optional().map_err(&failed)?;
        let Some(serial) = serial else { return Ok(false) };
        let mut statement = self.connection.prepare_cached(RELEASE).map_err(&failed)?;
        let mut rows = statement.query([serial]).map_err(&failed)?;
        let Some(row) = rows.next().map_err(&failed)? else { return Ok(false) };
        let is = |at: usize, wanted: &str| -> rusqlite::Result<bool> {
            Ok(matches!(row.get_ref(at)?, ValueRef::Text(text) if text == wanted.as_bytes()))
        };
        Ok(is(0, name.as_str()).map_err(&failed)? && is(1, &digest.to_string()).map_err(&failed)?)
    }

    fn aliased(&self, alias: &PackageName) -> Result<Vec<IndexEntry>, StorageError> {
        let mut found = self.all_answering(alias, usize::MAX)?;
        found.retain(|entry| entry.alias.as_ref() == Some(alias));
        Ok(found)
    }

    fn providing(&self, name: &PackageName) -> Result<Vec<IndexEntry>, StorageError> {
        let mut found = self.all_answering(name, usize::MAX)?;
        found.retain(|entry| entry.provides.contains(name));
        Ok(found)
    }

    fn answering(&self, name: &PackageName) -> Result<Vec<IndexEntry>, StorageError> {
        self.all_answering(name, limits::ANSWERS)
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

    fn search(&self, words: &[String]) -> Result<Vec<Found>, StorageError> {
        self.clock.start(limits::QUERY_TIME);
        texts::search(self, words)
    }

    fn names(&self, prefix: &str, most: usize) -> Result<Vec<PackageName>, StorageError> {
        self.clock.start(limits::QUERY_TIME);
        let failed = self.subject.failed("read");
        let mut names = std::collections::BTreeSet::new();
        for statement in if self.answers { &BEGINNING[..1] } else { &BEGINNING[1..] } {
            let mut statement = self.connection.prepare_cached(statement).map_err(&failed)?;
            let mut rows = statement.query((prefix, i64::try_from(most).unwrap_or(i64::MAX))).map_err(&failed)?;
            while let Some(row) = rows.next().map_err(&failed)? {
                names.insert(parse_row(&self.subject, row, 0, |values| values.parsed(Column(0, "name")))?);
            }
        }
        Ok(names.into_iter().take(most).collect())
    }
}

impl fmt::Debug for IndexDb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IndexDb").field("file", &self.subject).finish_non_exhaustive()
    }
}
