//! Writing an index that version 1 can read too.

use std::collections::HashSet;
use std::path::Path;

use packets_plugin_api::ident::PackageName;
use packets_plugin_api::storage::{IndexEntry, StorageError, StorageErrorKind};
use rusqlite::{Connection, params};

use super::{entry, schema, texts};
use crate::failure::Subject;
use crate::limits;
use crate::open;
use crate::supply::{Offer, Supply, Unmet};
use crate::value::json_list;

const INSERT: &str = "INSERT INTO packages(name, realname, version, hash, description, dependencies, mirrors, family, \
    serial, size, installed_size, arch, requires, conflicts, provides) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)";

/// Writes a new index. The same entries give the same bytes. An error of the disk
/// leaves a part of the file.
pub(crate) fn write(file: &Path, entries: &[IndexEntry]) -> Result<(), StorageError> {
    let subject = Subject::new("the index", file);
    check(&subject, entries)?;
    if file.symlink_metadata().is_ok() {
        return Err(subject.error(StorageErrorKind::Io, "write").because("something of that name is there already"));
    }
    let mut connection = open::own(&subject, file, true)?;
    fill(&mut connection, entries).map_err(subject.failed("write"))?;
    connection.close().map_err(|(_, error)| subject.failed("write")(error))
}

/// Whether all that is written can be read back.
fn check(subject: &Subject, entries: &[IndexEntry]) -> Result<(), StorageError> {
    if entries.len() as u64 > limits::INDEX_ROWS {
        let why = format!("{} packages, at most {}", entries.len(), limits::INDEX_ROWS);
        return Err(subject.error(StorageErrorKind::Limit, "write").because(why));
    }
    let mut names = HashSet::with_capacity(entries.len());
    for entry in entries {
        let bad = |why: String| {
            subject.error(StorageErrorKind::Corrupt, "write").because(format!("the package {}: {why}", entry.name))
        };
        entry::check(entry).map_err(|why| bad(why.to_string()))?;
        if row_length(entry) > limits::INDEX_VALUE as usize {
            return Err(bad(format!("its row would be longer than {} bytes", limits::INDEX_VALUE)));
        }
        if !names.insert(&entry.name) {
            return Err(bad("it is there twice".to_owned()));
        }
    }
    Ok(())
}

/// No less than the length of an entry's row in bytes.
fn row_length(entry: &IndexEntry) -> usize {
    // All that is short, with the widest name of each.
    const REST: usize = 2 << 10;
    let mirrors: usize = entry.mirrors.iter().map(|mirror| mirror.len() + 1).sum();
    let lists = [json_list(&entry.requires), json_list(&entry.conflicts), json_list(&entry.provides)];
    let lists: usize = lists.iter().map(String::len).sum();
    let dependencies = entry.requires.len() * (PackageName::MAX_LEN + 1);
    REST + entry.description.len() + mirrors + lists + dependencies
}

fn fill(connection: &mut Connection, entries: &[IndexEntry]) -> rusqlite::Result<()> {
    // A new file that nobody else sees needs no way back, only to be on the disk at the end.
    connection.execute_batch("PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=OFF; PRAGMA synchronous=NORMAL;")?;
    let offers: Vec<Offer<'_>> = entries
        .iter()
        .map(|entry| Offer {
            name: &entry.name,
            alias: entry.alias.as_ref(),
            provides: &entry.provides,
            version: &entry.version,
        })
        .collect();
    let supply = Supply::new(&offers);
    let transaction = connection.transaction()?;
    transaction.execute_batch(include_str!("../schema/index.sql"))?;
    transaction.execute_batch(schema::ANSWERS)?;
    transaction.execute_batch(schema::TEXTS)?;
    {
        let mut insert = transaction.prepare(INSERT)?;
        for (serial, entry) in (1_i64..).zip(entries) {
            // A package without an alias is found by its own name in this column too.
            let alias = entry.alias.as_ref().unwrap_or(&entry.name);
            let list = |text: String| (text != "[]").then_some(text);
            insert.execute(params![
                alias.as_str(),
                entry.name.as_str(),
                entry.version.as_str(),
                entry.digest.to_string(),
                entry.description,
                supply.names(&entry.name, &entry.requires, Unmet::LeaveOut),
                entry.mirrors.join(" "),
                entry.family.as_str(),
                serial,
                entry.size.map(u64::cast_signed),
                entry.installed_size.map(u64::cast_signed),
                entry.arch,
                // Never NULL: else v1's column would speak, which lacks what this index lacks.
                json_list(&entry.requires),
                list(json_list(&entry.conflicts)),
                list(json_list(&entry.provides)),
            ])?;
        }
    }
    fill_answers(&transaction, entries)?;
    texts::fill(&transaction, entries)?;
    transaction.execute_batch(include_str!("../schema/index_lookups.sql"))?;
    transaction.commit()
}

/// Sorted, so that each page is written once.
fn fill_answers(connection: &Connection, entries: &[IndexEntry]) -> rusqlite::Result<()> {
    let of = |(serial, entry)| {
        let entry: &IndexEntry = entry;
        entry::names(entry).map(move |name| (name.as_str(), serial))
    };
    let mut pairs: Vec<(&str, i64)> = (1_i64..).zip(entries).flat_map(of).collect();
    pairs.sort_unstable();
    pairs.dedup();
    let mut insert = connection.prepare("INSERT INTO answers(name, serial) VALUES (?1, ?2)")?;
    for pair in pairs {
        insert.execute(pair)?;
    }
    Ok(())
}
