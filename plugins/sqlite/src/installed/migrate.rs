//! From what version 1 wrote, or nothing, to the newest schema.

use packets_plugin_api::ident::PackageName;
use packets_plugin_api::storage::{Adopted, Adopter, FileKind, InstalledPackage, StorageError};
use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::finish::{insert_details, insert_files, remove_details};
use super::{Layout, dependencies, layout, rows, select};
use crate::failure::Subject;
use crate::value::{Column, parse_row};

/// Packages that have no details: version 1 installed them, before the migration or after it.
const UNADOPTED: &str = " WHERE d.id IS NULL ORDER BY p.realname";
/// Details of packages that are gone: version 1 removed them after the migration.
const ORPHANS: &str = "SELECT realname FROM package_details WHERE realname NOT IN (SELECT realname FROM packages)";
/// Whether there are none of either.
const SETTLED: &str = "SELECT NOT EXISTS (SELECT 1 FROM packages WHERE realname NOT IN \
    (SELECT realname FROM package_details)) AND NOT EXISTS (SELECT 1 FROM package_details WHERE realname NOT IN \
    (SELECT realname FROM packages))";

/// What leads from each number of the schema to the next, from version 1's table on.
pub(super) const STEPS: [&str; 4] = [
    include_str!("../schema/1.sql"),
    include_str!("../schema/2.sql"),
    include_str!("../schema/3.sql"),
    include_str!("../schema/4.sql"),
];

/// Brings the file to the newest schema and adopts what version 1 installed, in
/// one SQLite transaction; a file that needs neither is only read.
pub(super) fn migrate(
    subject: &Subject,
    connection: &mut Connection,
    adopter: &dyn Adopter,
) -> Result<(), StorageError> {
    if layout(subject, connection)? == Layout::CURRENT && is_settled(subject, connection)? {
        return Ok(());
    }
    let failed = subject.failed("write to");
    connection.execute_batch(super::WRITING).map_err(&failed)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(&failed)?;
    // Asked again behind the lock: another program may have been quicker.
    let found = layout(subject, &transaction)?;
    bring_to_newest(&transaction, found).map_err(&failed)?;
    let (orphans, unadopted) = (orphans(subject, &transaction)?, unadopted(subject, &transaction)?);
    let has_changed = !orphans.is_empty() || !unadopted.is_empty();
    for name in orphans {
        remove_details(&transaction, &name).map_err(&failed)?;
    }
    for package in unadopted {
        let adopted = adopter.adopt(&package.name)?;
        adopt(&transaction, package, &adopted).map_err(&failed)?;
    }
    if has_changed {
        dependencies::write_all(subject, &transaction)?;
    }
    transaction.commit().map_err(&failed)
}

fn bring_to_newest(transaction: &Transaction<'_>, found: Layout) -> rusqlite::Result<()> {
    if found == Layout::Empty {
        transaction.execute_batch(include_str!("../schema/v1.sql"))?;
    }
    let number = if let Layout::Number(number) = found { number } else { 0 };
    for (to, sql) in (1..).zip(STEPS) {
        if to > number {
            transaction.execute_batch(&format!("{sql} PRAGMA user_version = {to};"))?;
        }
    }
    Ok(())
}

/// Whether no package is unadopted, and none an orphan.
fn is_settled(subject: &Subject, connection: &Connection) -> Result<bool, StorageError> {
    connection.query_row(SETTLED, [], |row| row.get(0)).map_err(subject.failed("read"))
}

fn unadopted(subject: &Subject, connection: &Connection) -> Result<Vec<InstalledPackage>, StorageError> {
    let sql = format!("{}{UNADOPTED}", rows::SELECT_PACKAGES);
    select(subject, connection, &sql, [], |row| parse_row(subject, row, 0, rows::package))
}

fn orphans(subject: &Subject, connection: &Connection) -> Result<Vec<PackageName>, StorageError> {
    select(subject, connection, ORPHANS, [], |row| {
        parse_row(subject, row, 0, |values| values.parsed(Column(0, "realname")))
    })
}

fn adopt(transaction: &Transaction<'_>, package: InstalledPackage, adopted: &Adopted) -> rusqlite::Result<()> {
    let size = |kind: &FileKind| if let FileKind::File { size, .. } = kind { *size } else { 0 };
    let package = InstalledPackage {
        description: adopted.description.clone(),
        folder: adopted.folder.clone(),
        installed_size: adopted.files.iter().map(|file| size(&file.kind)).fold(0, u64::saturating_add),
        ..package
    };
    let id = insert_details(transaction, &package)?;
    insert_files(transaction, (id, &package.folder), &adopted.files)
}
