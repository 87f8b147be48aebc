//! Recording a transaction.

use std::sync::LazyLock;

use packets_plugin_api::hook::Grant;
use packets_plugin_api::ident::{PackageName, TransactionId};
use packets_plugin_api::relpath::RelPath;
use packets_plugin_api::storage::{
    Approval, FileKind, FileRecord, InstalledPackage, InstalledRow, Rows, StorageError, TransactionRow,
};
use rusqlite::{CachedStatement, Connection, OptionalExtension, ToSql, Transaction, TransactionBehavior, params};
use serde::Serialize;

use super::{dependencies, rows as selected};
use crate::failure::Subject;
use crate::value::{json_list, number};

const UPSERT_PACKAGE: &str = "INSERT INTO packages(realname, version, dependencies, name, family, serial) \
    VALUES (?1, ?2, '', ?3, ?4, ?5) ON CONFLICT(realname) DO UPDATE SET \
    version = excluded.version, name = excluded.name, family = excluded.family, serial = excluded.serial";

const INSERT_DETAILS: &str = "INSERT INTO package_details(realname, description, requires, conflicts, provides, sha256, \
    reason, folder, installed_at, installed_size, held) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";

/// Without a savepoint for each row (`OR FAIL`): an error takes back the whole transaction.
const INSERT_FILES: &str =
    "INSERT OR FAIL INTO files(package, path, made_by, kind, mode, size, sha256, asked, target, displaced) VALUES ";
const FILE: &str = "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";

/// So many paths by one statement, while there are so many: what SQLite does once for each is a quarter of what a path costs.
const AT_ONCE: [usize; 3] = [32, 8, 1];
static INSERTS: LazyLock<[String; 3]> =
    LazyLock::new(|| AT_ONCE.map(|count| format!("{INSERT_FILES}{}", vec![FILE; count].join(","))));

const INSERT_APPROVAL: &str = "INSERT OR REPLACE INTO approvals(name, family, approved) VALUES (?1, ?2, ?3)";

const INSERT_TRANSACTION: &str =
    "INSERT INTO transactions(id, time, command, summary, origins, undoes) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";

/// Records the rows in one SQLite transaction, where `happens` says so once they are written and nobody sees them yet; the
/// answer is whether they are recorded. A transaction that is recorded already changes nothing.
pub(super) fn finish(
    subject: &Subject,
    connection: &mut Connection,
    rows: &Rows,
    happens: &mut dyn FnMut() -> bool,
) -> Result<bool, StorageError> {
    let failed = subject.failed("write to");
    connection.execute_batch(super::WRITING).map_err(&failed)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(&failed)?;
    if is_recorded(&transaction, &rows.transaction.id).map_err(&failed)? {
        return transaction.rollback().map(|()| true).map_err(&failed);
    }
    write(&transaction, rows).map_err(&failed)?;
    dependencies::write(subject, &transaction, rows)?;
    if !happens() {
        return transaction.rollback().map(|()| false).map_err(&failed);
    }
    transaction.commit().map(|()| true).map_err(&failed)
}

/// Whether a transaction is in the file.
pub(super) fn is_recorded(connection: &Connection, id: &TransactionId) -> rusqlite::Result<bool> {
    connection.prepare_cached("SELECT 1 FROM transactions WHERE id = ?1")?.exists([id.as_str()])
}

fn write(transaction: &Transaction<'_>, rows: &Rows) -> rusqlite::Result<()> {
    for name in &rows.gone {
        remove_details(transaction, name)?;
        transaction.prepare_cached("DELETE FROM packages WHERE realname = ?1")?.execute([name.as_str()])?;
    }
    // By their folders, so that the look-up by folder grows at its end too.
    let mut ordered: Vec<&InstalledRow> = rows.installed.iter().collect();
    ordered.sort_unstable_by_key(|row| row.package.folder.as_str());
    for InstalledRow { package, files } in ordered {
        remove_details(transaction, &package.name)?;
        transaction.prepare_cached(UPSERT_PACKAGE)?.execute(params![
            package.name.as_str(),
            package.version.as_str(),
            package.alias.as_ref().unwrap_or(&package.name).as_str(),
            package.family.as_str(),
            number(package.serial)?,
        ])?;
        let id = insert_details(transaction, package)?;
        insert_files(transaction, (id, &package.folder), files)?;
    }
    for approval in &rows.approved {
        write_approval(transaction, approval)?;
    }
    write_transaction(transaction, &rows.transaction)
}

fn write_transaction(transaction: &Transaction<'_>, row: &TransactionRow) -> rusqlite::Result<()> {
    transaction.prepare_cached(INSERT_TRANSACTION)?.execute(params![
        row.id.as_str(),
        number(row.time)?,
        row.command,
        json_list(&row.summary),
        json(&row.origins)?,
        row.undoes.as_ref().map(TransactionId::as_str),
    ])?;
    Ok(())
}

/// Forgets what our own tables hold of a package.
pub(super) fn remove_details(transaction: &Transaction<'_>, name: &PackageName) -> rusqlite::Result<()> {
    let id: Option<i64> = transaction
        .prepare_cached("SELECT id FROM package_details WHERE realname = ?1")?
        .query_row([name.as_str()], |row| row.get(0))
        .optional()?;
    // Most are new: to delete what is not there costs more than to look.
    if let Some(id) = id {
        transaction.prepare_cached("DELETE FROM package_details WHERE id = ?1")?.execute([id])?;
        transaction.prepare_cached("DELETE FROM files WHERE package = ?1")?.execute([id])?;
    }
    Ok(())
}

/// Adds a package to our own tables; the answer is its number there.
pub(super) fn insert_details(transaction: &Transaction<'_>, package: &InstalledPackage) -> rusqlite::Result<i64> {
    transaction.prepare_cached(INSERT_DETAILS)?.insert(params![
        package.name.as_str(),
        package.description,
        json_list(&package.requires),
        json_list(&package.conflicts),
        json_list(&package.provides),
        package.digest.as_ref().map(|digest| digest.as_bytes().as_slice()),
        selected::reason_text(package.reason),
        package.folder.as_str(),
        number(package.installed_at)?,
        number(package.installed_size)?,
        package.held,
    ])
}

/// Adds the paths of a package, of which this is the number in our own tables, and the folder.
pub(super) fn insert_files(
    transaction: &Transaction<'_>,
    package: (i64, &RelPath),
    files: &[FileRecord],
) -> rusqlite::Result<()> {
    // In the order of the table each row goes behind the last, and pages fill up.
    let mut ordered: Vec<&FileRecord> = files.iter().collect();
    ordered.sort_unstable_by_key(|file| file.path.as_str());
    let mut left = &ordered[..];
    for (count, sql) in AT_ONCE.into_iter().zip(&*INSERTS) {
        let chunks = left.chunks_exact(count);
        left = chunks.remainder();
        if chunks.len() == 0 {
            continue;
        }
        let mut insert = Insert { statement: transaction.prepare_cached(sql)?, bound: 0 };
        for chunk in chunks {
            chunk.iter().try_for_each(|file| insert.file(package, file))?;
            insert.execute()?;
        }
    }
    Ok(())
}

/// A statement that inserts rows, and how many of its parameters are bound.
struct Insert<'a> {
    statement: CachedStatement<'a>,
    bound: usize,
}

impl Insert<'_> {
    fn file(&mut self, (package, folder): (i64, &RelPath), file: &FileRecord) -> rusqlite::Result<()> {
        let (kind, mode, size, sha256, asked, target) = match &file.kind {
            FileKind::File { mode, size, sha256 } => {
                ("file", Some(*mode), Some(number(*size)?), Some(sha256.as_bytes().as_slice()), None, None)
            }
            FileKind::Symlink { asked, stored } => ("symlink", None, None, None, Some(asked), Some(stored)),
            FileKind::Folder { mode } => ("folder", Some(*mode), None, None, None, None),
        };
        self.bind(package)?;
        self.bind(file.path.as_str())?;
        self.bind(selected::made_by_text(file, folder))?;
        self.bind(kind)?;
        self.bind(mode)?;
        self.bind(size)?;
        self.bind(sha256)?;
        self.bind(asked)?;
        self.bind(target)?;
        self.bind(file.displaced.as_ref().map(|path| path.as_str()))
    }

    fn execute(&mut self) -> rusqlite::Result<()> {
        self.bound = 0;
        self.statement.raw_execute().map(|_| ())
    }

    fn bind(&mut self, value: impl ToSql) -> rusqlite::Result<()> {
        self.bound += 1;
        self.statement.raw_bind_parameter(self.bound, value)
    }
}

fn write_approval(transaction: &Transaction<'_>, approval: &Approval) -> rusqlite::Result<()> {
    let (name, family) = (approval.name.as_str(), approval.family.as_str());
    if approval.grant == Grant::default() {
        transaction.prepare_cached("DELETE FROM approvals WHERE name = ?1 AND family = ?2")?.execute([name, family])?;
        return Ok(());
    }
    transaction.prepare_cached(INSERT_APPROVAL)?.execute([name, family, &json(&approval.grant)?])?;
    Ok(())
}

fn json(value: &impl Serialize) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}
