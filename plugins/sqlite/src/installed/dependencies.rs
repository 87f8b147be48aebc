//! v1's column `dependencies`: for each package the names of those that answer its requirements now, between spaces. What
//! nothing answers stays there by its own name.

use std::collections::{BTreeSet, HashSet};

use packets_plugin_api::ident::PackageName;
use packets_plugin_api::requirement::Requirement;
use packets_plugin_api::storage::{InstalledPackage, Rows, StorageError};
use rusqlite::{Params, Transaction};

use super::{rows as selected, select};
use crate::failure::Subject;
use crate::supply::{Offer, Supply, Unmet};
use crate::value::{Column, parse_row};

/// Names that are looked for one after the other; to read all packages takes as long as to look for so many.
const FEW: usize = 8;

/// A package, and what its column holds.
type Recorded = (InstalledPackage, String);

/// Fills the column after these rows have been written.
pub(super) fn write(subject: &Subject, transaction: &Transaction<'_>, rows: &Rows) -> Result<(), StorageError> {
    let failed = subject.failed("read");
    let Some(names) = affected(transaction, rows).map_err(&failed)? else { return write_all(subject, transaction) };
    let affected = each(subject, transaction, &names)?;
    let asked: HashSet<&str> = affected.iter().flat_map(|(package, _)| asked(package)).collect();
    let answering = each(subject, transaction, &answering(transaction, &asked).map_err(&failed)?)?;
    update(subject, transaction, &affected, &answering)
}

/// Fills the column of all packages: version 1 may have changed any of them.
pub(super) fn write_all(subject: &Subject, transaction: &Transaction<'_>) -> Result<(), StorageError> {
    let all = read(subject, transaction, "", [])?;
    update(subject, transaction, &all, &all)
}

/// The names that a package asks for.
fn asked(package: &InstalledPackage) -> impl Iterator<Item = &str> {
    let constraints = package.requires.iter().flat_map(Requirement::alternatives);
    constraints.map(|constraint| constraint.name.as_str())
}

/// The packages whose column may be another one, and perhaps some more; none where it is quicker to look at all. Those that
/// are written; those that have one of them there; and those that ask for what one of them answers to.
fn affected(transaction: &Transaction<'_>, rows: &Rows) -> rusqlite::Result<Option<BTreeSet<String>>> {
    let written = || rows.installed.iter().map(|row| &row.package);
    let there: Vec<&PackageName> = rows.gone.iter().chain(written().map(|package| &package.name)).collect();
    let asked: Vec<&PackageName> = written()
        .flat_map(|package| [&package.name].into_iter().chain(&package.alias).chain(&package.provides))
        .collect();
    if there.len() + asked.len() > FEW {
        return Ok(None);
    }
    let mut names: BTreeSet<String> = written().map(|package| package.name.to_string()).collect();
    let mut find = |sql, name: &PackageName| -> rusqlite::Result<()> {
        let mut statement = transaction.prepare_cached(sql)?;
        let found = statement.query_map([name.as_str()], |row| row.get(0))?;
        found.into_iter().try_for_each(|name| name.map(|name| names.extend([name])))
    };
    for name in there {
        find("SELECT realname FROM packages WHERE instr(dependencies, ?1)", name)?;
    }
    for name in asked {
        find("SELECT realname FROM package_details WHERE instr(requires, ?1)", name)?;
    }
    Ok(Some(names))
}

/// The packages that answer to one of these names, and perhaps some more.
fn answering(transaction: &Transaction<'_>, asked: &HashSet<&str>) -> rusqlite::Result<BTreeSet<String>> {
    let mut statement = transaction.prepare_cached(
        "SELECT p.realname, p.name, d.provides FROM packages p LEFT JOIN package_details d ON d.realname = p.realname",
    )?;
    let (mut found, mut names) = (statement.query([])?, BTreeSet::new());
    while let Some(row) = found.next()? {
        let text = |column| row.get_ref(column).ok().and_then(|value| value.as_str_or_null().ok()).flatten();
        let is_asked = |column| text(column).is_some_and(|name| asked.contains(name));
        let is_provided = || text(2).is_some_and(|provided| asked.iter().any(|name| provided.contains(name)));
        if is_asked(0) || is_asked(1) || is_provided() {
            names.insert(row.get(0)?);
        }
    }
    Ok(names)
}

/// The packages of these names.
fn each(
    subject: &Subject,
    transaction: &Transaction<'_>,
    names: &BTreeSet<String>,
) -> Result<Vec<Recorded>, StorageError> {
    let mut all = Vec::new();
    for name in names {
        all.append(&mut read(subject, transaction, " WHERE p.realname = ?1", [name])?);
    }
    Ok(all)
}

fn read(
    subject: &Subject,
    transaction: &Transaction<'_>,
    rest: &str,
    parameters: impl Params,
) -> Result<Vec<Recorded>, StorageError> {
    select(subject, transaction, &format!("{}{rest}", selected::SELECT_PACKAGES), parameters, |row| {
        parse_row(subject, row, 0, |values| {
            let recorded = values.optional_text(Column(2, "dependencies"))?.unwrap_or_default().to_owned();
            Ok((selected::package(values)?, recorded))
        })
    })
}

/// Writes what has to be another one in the column of these packages; `answering` are all that answer what they require.
fn update(
    subject: &Subject,
    transaction: &Transaction<'_>,
    packages: &[Recorded],
    answering: &[Recorded],
) -> Result<(), StorageError> {
    let mut offers: Vec<(u64, Offer<'_>)> = answering
        .iter()
        .map(|(package, _)| {
            let (name, alias) = (&package.name, package.alias.as_ref());
            (package.serial, Offer { name, alias, provides: &package.provides, version: &package.version })
        })
        .collect();
    offers.sort_by_key(|(serial, offer)| (*serial, offer.name));
    let offers: Vec<Offer<'_>> = offers.into_iter().map(|(_, offer)| offer).collect();
    let supply = Supply::new(&offers);
    for (package, recorded) in packages {
        let names = supply.names(&package.name, &package.requires, Unmet::Name);
        if names != *recorded {
            transaction
                .prepare_cached("UPDATE packages SET dependencies = ?2 WHERE realname = ?1")
                .and_then(|mut update| update.execute([package.name.as_str(), &names]))
                .map_err(subject.failed("write to"))?;
        }
    }
    Ok(())
}
