//! The table that a search looks through (see [`schema::TEXTS`](super::schema::TEXTS)).

use memchr::memmem::Finder;
use packets_plugin_api::ident::PackageName;
use packets_plugin_api::storage::{Found, IndexEntry, StorageError};
use rusqlite::Connection;

use super::IndexDb;
use crate::value::{BadValue, Column, parse_row};

/// A part ends with the line that reaches so many bytes.
const PART: usize = 64 << 10;
const SELECT: &str = "SELECT text, part FROM texts ORDER BY part";
/// For a file without the table: every row.
const ROWS: &str = "SELECT realname, name, version, description FROM packages";

/// One package: all that a search shows.
fn line(name: &PackageName, alias: Option<&PackageName>, version: &str, description: &str) -> String {
    // An alias that is the name is none, as it is read from a row.
    let alias = alias.filter(|alias| *alias != name).map_or("", PackageName::as_str);
    // What is between the lines stands in none of them.
    let description = description.replace(['\t', '\n'], " ");
    format!("{name}\t{alias}\t{version}\t{description}\n")
}

/// The lines of an index, until all of them are known.
#[derive(Debug, Default)]
pub(super) struct Lines(Vec<(PackageName, String)>);

impl Lines {
    pub(super) fn add(&mut self, entry: &IndexEntry) {
        let text = line(&entry.name, entry.alias.as_ref(), entry.version.as_str(), &entry.description);
        self.0.push((entry.name.clone(), text));
    }

    fn sorted(mut self) -> impl Iterator<Item = String> {
        self.0.sort_unstable();
        self.0.into_iter().map(|(_, text)| text)
    }

    /// The table must say what the rows say: a search would miss what it leaves out.
    pub(super) fn check(self, index: &IndexDb) -> Result<(), StorageError> {
        if !index.texts {
            return Ok(());
        }
        let expected: String = self.sorted().collect();
        let mut rest = expected.as_str();
        let mut same = true;
        each_part(index, |part| {
            match rest.strip_prefix(part) {
                // A line that is cut in two would be found in neither part, or as another package.
                Some(after) if part.ends_with('\n') => rest = after,
                _ => same = false,
            }
            Ok(())
        })?;
        match same && rest.is_empty() {
            true => Ok(()),
            false => Err(index.subject.corrupt("the table \"texts\" does not say what the packages say")),
        }
    }
}

/// Fills the table.
pub(super) fn fill(connection: &Connection, entries: &[IndexEntry]) -> rusqlite::Result<()> {
    let mut lines = Lines::default();
    entries.iter().for_each(|entry| lines.add(entry));
    let mut insert = connection.prepare("INSERT INTO texts(part, text) VALUES (?1, ?2)")?;
    let mut part = String::new();
    let mut number = 0;
    for line in lines.sorted() {
        part.push_str(&line);
        if part.len() >= PART {
            number += 1;
            insert.execute((number, &part))?;
            part.clear();
        }
    }
    if !part.is_empty() {
        insert.execute((number + 1, &part))?;
    }
    Ok(())
}

fn each_part(index: &IndexDb, mut each: impl FnMut(&str) -> Result<(), BadValue>) -> Result<(), StorageError> {
    let failed = index.subject.failed("read");
    let mut statement = index.connection.prepare_cached(SELECT).map_err(&failed)?;
    let mut rows = statement.query([]).map_err(&failed)?;
    while let Some(row) = rows.next().map_err(&failed)? {
        parse_row(&index.subject, row, 1, |values| each(values.text(Column(0, "text"))?))?;
    }
    Ok(())
}

/// See [`PackageIndex::search`](packets_plugin_api::storage::PackageIndex::search).
pub(super) fn search(index: &IndexDb, words: &[String]) -> Result<Vec<Found>, StorageError> {
    if !index.texts {
        return search_rows(index, words);
    }
    // The rarest is likely the longest.
    let longest = words.iter().max_by_key(|word| word.len()).map(String::as_str).unwrap_or_default();
    let finder = Finder::new(longest);
    let mut found = Vec::new();
    let mut lower = Vec::new();
    each_part(index, |part| {
        lower.clear();
        lower.extend_from_slice(part.as_bytes());
        lower.make_ascii_lowercase();
        let mut at = 0;
        while at < part.len() {
            let Some(hit) = finder.find(&lower[at..]) else { break };
            let hit = at + hit;
            let start = memchr::memrchr(b'\n', &lower[..hit]).map_or(0, |feed| feed + 1);
            let end = memchr::memchr(b'\n', &lower[hit..]).map_or(part.len(), |feed| hit + feed);
            let text = part.get(start..end).unwrap_or_default();
            let package = parse(text)?;
            if package.has_all(words) {
                found.push(package);
            }
            at = end + 1;
        }
        Ok(())
    })?;
    Ok(found)
}

fn parse(line: &str) -> Result<Found, BadValue> {
    const TEXT: Column = Column(0, "text");
    let bad = |why: &dyn std::fmt::Display| BadValue::new(TEXT, why);
    let mut fields = line.splitn(4, '\t');
    let mut next = || fields.next().ok_or_else(|| bad(&"a line without four fields"));
    let (name, alias, version, description) = (next()?, next()?, next()?, next()?);
    Ok(Found {
        name: name.parse().map_err(|error| bad(&error))?,
        alias: if alias.is_empty() { None } else { Some(alias.parse().map_err(|error| bad(&error))?) },
        version: version.parse().map_err(|error| bad(&error))?,
        description: description.to_owned(),
    })
}

fn search_rows(index: &IndexDb, words: &[String]) -> Result<Vec<Found>, StorageError> {
    let failed = index.subject.failed("read");
    let mut statement = index.connection.prepare_cached(ROWS).map_err(&failed)?;
    let mut rows = statement.query([]).map_err(&failed)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(&failed)? {
        let package = parse_row(&index.subject, row, 0, |values| {
            let name: PackageName = values.parsed(Column(0, "realname"))?;
            Ok(Found {
                alias: values.optional_parsed(Column(1, "name"))?.filter(|alias| *alias != name),
                version: values.parsed(Column(2, "version"))?,
                description: values.text(Column(3, "description"))?.to_owned(),
                name,
            })
        })?;
        if package.has_all(words) {
            found.push(package);
        }
    }
    found.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(found)
}
