//! One row of an index, both ways.

use packets_plugin_api::ident::{PackageName, text_acts_on_terminal};
use packets_plugin_api::requirement::Requirement;
use packets_plugin_api::storage::{IndexEntry, StorageError};
use rusqlite::Row;

use crate::failure::Subject;
use crate::limits;
use crate::value::{BadValue, Column, Values, parse_row};

const NAME: Column = Column(0, "name");
const REALNAME: Column = Column(1, "realname");
const VERSION: Column = Column(2, "version");
const HASH: Column = Column(3, "hash");
const DESCRIPTION: Column = Column(4, "description");
const DEPENDENCIES: Column = Column(5, "dependencies");
const MIRRORS: Column = Column(6, "mirrors");
const FAMILY: Column = Column(7, "family");
const SERIAL: Column = Column(8, "serial");
const SIZE: Column = Column(9, "size");
const INSTALLED_SIZE: Column = Column(10, "installed_size");
const ARCH: Column = Column(11, "arch");
const REQUIRES: Column = Column(12, "requires");
const CONFLICTS: Column = Column(13, "conflicts");
const PROVIDES: Column = Column(14, "provides");

/// v1's columns: every index has them.
pub(super) const V1: [Column; 9] = [NAME, REALNAME, VERSION, HASH, DESCRIPTION, DEPENDENCIES, MIRRORS, FAMILY, SERIAL];
/// Ours: an index of v1's has none, a later one may have more.
const OURS: [Column; 6] = [SIZE, INSTALLED_SIZE, ARCH, REQUIRES, CONFLICTS, PROVIDES];

/// The statement that reads entries from a table with these columns.
pub(super) fn select(present: &[String]) -> String {
    let mut select = "SELECT ".to_owned();
    for Column(at, name) in V1.into_iter().chain(OURS) {
        let is_there = present.iter().any(|present| present == name);
        select += if at == 0 { "" } else { ", " };
        select += if is_there { "" } else { "NULL AS " };
        select += name;
    }
    select + " FROM packages"
}

/// Parses a row that [`select`] read.
pub(super) fn parse(subject: &Subject, row: &Row<'_>) -> Result<IndexEntry, StorageError> {
    parse_row(subject, row, REALNAME.0, read)
}

fn read(values: Values<'_>) -> Result<IndexEntry, BadValue> {
    let name: PackageName = values.parsed(REALNAME)?;
    let entry = IndexEntry {
        alias: values.optional_parsed(NAME)?.filter(|alias| *alias != name),
        version: values.parsed(VERSION)?,
        digest: values.parsed(HASH)?,
        description: values.text(DESCRIPTION)?.to_owned(),
        requires: requires(values)?,
        conflicts: values.list(CONFLICTS, limits::NAMES)?,
        provides: values.list(PROVIDES, limits::NAMES)?,
        mirrors: values.words(MIRRORS, limits::MIRRORS)?,
        family: values.parsed(FAMILY)?,
        serial: values.number(SERIAL)?,
        size: values.optional_number(SIZE)?,
        installed_size: values.optional_number(INSTALLED_SIZE)?,
        arch: values.optional_text(ARCH)?.filter(|arch| !arch.is_empty()).map(str::to_owned),
        name,
    };
    check(&entry)?;
    Ok(entry)
}

/// The requirements as they were written; of v1, the names.
fn requires(values: Values<'_>) -> Result<Vec<Requirement>, BadValue> {
    if values.optional_text(REQUIRES)?.is_some_and(|text| !text.is_empty()) {
        return values.list(REQUIRES, limits::NAMES);
    }
    let names: Vec<PackageName> = values.words(DEPENDENCIES, limits::NAMES)?;
    Ok(names.into_iter().map(Requirement::of).collect())
}

/// The names that an entry answers to; one may be there twice.
pub(super) fn names(entry: &IndexEntry) -> impl Iterator<Item = &PackageName> {
    [&entry.name].into_iter().chain(&entry.alias).chain(&entry.provides)
}

/// What the types leave open. It holds for what is read and for what is written.
pub(super) fn check(entry: &IndexEntry) -> Result<(), BadValue> {
    let bad_mirror = |mirror: &&String| {
        mirror.is_empty() || mirror.len() > limits::MIRROR || mirror.contains(' ') || text_acts_on_terminal(mirror)
    };
    if entry.description.len() > limits::DESCRIPTION {
        return Err(BadValue::new(DESCRIPTION, format!("longer than {} bytes", limits::DESCRIPTION)));
    }
    if entry.mirrors.len() > limits::MIRRORS {
        return Err(BadValue::new(MIRRORS, format!("more than {}", limits::MIRRORS)));
    }
    if let Some(mirror) = entry.mirrors.iter().find(bad_mirror) {
        let why = format!("\"{}\" is not an address", packets_plugin_api::ident::escape(mirror, 80));
        return Err(BadValue::new(MIRRORS, why));
    }
    for (column, count) in
        [(REQUIRES, entry.requires.len()), (CONFLICTS, entry.conflicts.len()), (PROVIDES, entry.provides.len())]
    {
        if count > limits::NAMES {
            return Err(BadValue::new(column, format!("{count} entries, at most {}", limits::NAMES)));
        }
    }
    if entry.size == Some(0) {
        return Err(BadValue::new(SIZE, "0, which no package has"));
    }
    for (column, number) in [(SIZE, entry.size), (INSTALLED_SIZE, entry.installed_size)] {
        if number.is_some_and(|number| i64::try_from(number).is_err()) {
            return Err(BadValue::new(column, "more than a file can have"));
        }
    }
    let good_arch = |arch: &String| {
        (1..=limits::ARCH).contains(&arch.len())
            && arch.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b))
    };
    if !entry.arch.as_ref().is_none_or(good_arch) {
        return Err(BadValue::new(ARCH, "not the name of a machine"));
    }
    Ok(())
}
