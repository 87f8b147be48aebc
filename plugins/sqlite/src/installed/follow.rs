//! A copy that follows its record: the one before, with what has changed since.
//!
//! A large record takes ten times as long to be copied and looked through as a small transaction takes. The copy before was
//! looked through when it was made, and what has changed is read row by row: what is damaged elsewhere in the record does
//! not get into the copy. The first after a boot, and one of many besides, is made of all of the record again.

use std::cmp::Ordering;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rusqlite::fallible_streaming_iterator::FallibleStreamingIterator;
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, OptionalExtension, params_from_iter};
use rustix::fs::rename;
use rustix::time::{ClockId, clock_gettime};

use crate::beside::{self, anew, beside, open_file};
use crate::failure::Subject;
use crate::{limits, open};

/// What tells one row of a table from another, by the table's name; its paths go with a package, its history only grows.
const TABLES: [(&str, &[&str]); 3] =
    [(DETAILS, &["id"]), ("packages", &["realname"]), ("approvals", &["name", "family"])];
const DETAILS: &str = "package_details";

/// A row, by the order of its table's columns.
type Row = Vec<Value>;

/// Where the copy before the one at `place` waits to be the next one.
pub(super) fn older(place: &Path) -> PathBuf {
    beside(place, ".older")
}

/// Makes the file `new`, of this mode, a copy of what `record` reads, by way of one before: of the last but one, which is
/// written to where it lies and becomes the new one, or of that at `place`, which is copied. Where that cannot be done, or
/// would take longer than to copy all, nothing is answered, and what is in `new` is of no use.
pub(super) fn follow(target: &Subject, record: &Connection, place: &Path, (new, mode): (&Path, u32)) -> Option<()> {
    let last = sound(place)?;
    let bring = || {
        let copy = open::private(target, new).ok()?;
        bring_up_to_date(record, &copy).ok()??;
        copy.close().ok()
    };
    let by_older = || {
        let (older, data) = (older(place), sound(&older(place))?);
        let is_alike = data.mode() & 0o7777 == mode && (data.uid(), data.gid()) == (last.uid(), last.gid());
        // With a second name it may be somebody's backup.
        (is_alike && data.nlink() == 1).then(|| rename(older, new).ok())?
    };
    by_older().and_then(|()| bring()).or_else(|| {
        io::copy(&mut open_file(place).ok()?, &mut anew(new, mode).ok()?).ok()?;
        bring()
    })
}

/// Whether the copy at this place is whole as it was left, and so large that it is worth it.
fn sound(place: &Path) -> Option<Metadata> {
    let data = place.symlink_metadata().ok().filter(Metadata::is_file)?;
    let is_large = data.len() >= limits::FOLLOWED;
    (is_large && is_of_this_boot(data.modified().ok()?) && !beside::is_unfinished(place)).then_some(data)
}

/// Whether nothing has cut the power since: a copy is not synced.
fn is_of_this_boot(made: SystemTime) -> bool {
    let running = clock_gettime(ClockId::Boottime);
    let seconds = Duration::from_secs(u64::try_from(running.tv_sec).unwrap_or(0));
    SystemTime::now().checked_sub(seconds).is_some_and(|booted| made > booted)
}

fn bring_up_to_date(record: &Connection, copy: &Connection) -> rusqlite::Result<Option<()>> {
    // All of it is read as it is at one moment, and written at once.
    let _moment = record.unchecked_transaction()?;
    let written = copy.unchecked_transaction()?;
    let tables = schema(record)?;
    if tables != schema(copy)? || tables.1.iter().any(has_an_order_of_its_own) {
        return Ok(None);
    }
    let Some(since) = add_history(record, copy)? else { return Ok(None) };
    for (table, keys) in TABLES {
        let Some((gone, come)) = difference(copy, record, table, keys, since)? else { return Ok(None) };
        if table == DETAILS && count_of_paths(record, &come)? > limits::FOLLOWED_PATHS {
            return Ok(None);
        }
        let wanted: Vec<String> = keys.iter().map(|key| format!("{key} = ?")).collect();
        let delete = format!("DELETE FROM {table} WHERE {}", wanted.join(" AND "));
        for row in &gone {
            copy.prepare_cached(&delete)?.execute(params_from_iter(&row[..keys.len()]))?;
            if table == DETAILS {
                copy.prepare_cached("DELETE FROM files WHERE package = ?")?.execute([&row[0]])?;
            }
        }
        for row in &come {
            insert(copy, table, row)?;
            if table == DETAILS {
                for path in read(record, "SELECT * FROM files WHERE package = ?", [&row[0]])? {
                    insert(copy, "files", &path)?;
                }
            }
        }
    }
    written.commit().map(Some)
}

/// What the tables are, and the number of that.
fn schema(connection: &Connection) -> rusqlite::Result<(i64, Vec<Row>)> {
    let number = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let tables = read(connection, "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name", [])?;
    Ok((number, tables))
}

/// Whether SQL orders texts of this table in another way than by bytes.
fn has_an_order_of_its_own(table: &Row) -> bool {
    matches!(table.last(), Some(Value::Text(sql)) if sql.to_ascii_lowercase().contains("collate"))
}

/// Adds what the history has since; the answer is the time of what was the newest. None where the copy is of another
/// history, or so far behind that it is time to look through all again.
fn add_history(record: &Connection, copy: &Connection) -> rusqlite::Result<Option<i64>> {
    let newest = "SELECT number, time FROM transactions ORDER BY number DESC LIMIT 1";
    let row = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?));
    let Some((number, time)) = copy.query_row(newest, [], row).optional()? else { return Ok(None) };
    let count = |connection: &Connection| -> rusqlite::Result<(i64, Option<String>)> {
        let sql = "SELECT count(*), max(CASE number WHEN ?1 THEN id END) FROM transactions WHERE number <= ?1";
        connection.query_row(sql, [number], |row| Ok((row.get(0)?, row.get(1)?)))
    };
    if count(record)? != count(copy)? {
        return Ok(None);
    }
    let since = read(record, "SELECT * FROM transactions WHERE number > ? ORDER BY number", [number])?;
    let is_due = |row: &Row| matches!(row[0], Value::Integer(number) if number % limits::LOOKED_THROUGH == 0);
    if since.len() > limits::FOLLOWED_TRANSACTIONS || since.iter().any(is_due) {
        return Ok(None);
    }
    for row in &since {
        insert(copy, "transactions", row)?;
    }
    Ok(Some(time))
}

/// How many paths these packages have.
fn count_of_paths(record: &Connection, packages: &[Row]) -> rusqlite::Result<i64> {
    let mut count = record.prepare_cached("SELECT count(*) FROM files WHERE package = ?")?;
    packages.iter().map(|row| count.query_row([&row[0]], |row| row.get::<_, i64>(0))).sum()
}

fn insert(copy: &Connection, table: &str, row: &Row) -> rusqlite::Result<()> {
    let places = vec!["?"; row.len()].join(", ");
    copy.prepare_cached(&format!("INSERT INTO {table} VALUES ({places})"))?.execute(params_from_iter(row))?;
    Ok(())
}

fn read(connection: &Connection, sql: &str, parameters: impl rusqlite::Params) -> rusqlite::Result<Vec<Row>> {
    let mut statement = connection.prepare_cached(sql)?;
    let columns = statement.column_count();
    statement.query_map(parameters, |row| values(row, columns))?.collect()
}

/// The rows of a table that were there `before` and are gone or others, and those that stand there `now`. A number is given
/// again after its package has gone, and a second may see two packages of one number: what was installed `since` then
/// counts as different. None where rows have keys that cannot be told apart.
fn difference(
    before: &Connection,
    now: &Connection,
    table: &str,
    keys: &[&str],
    since: i64,
) -> rusqlite::Result<Option<(Vec<Row>, Vec<Row>)>> {
    // What tells them apart comes first in the tables.
    let sql = format!("SELECT * FROM {table} ORDER BY {}", keys.join(", "));
    let (mut before, mut now) = (before.prepare_cached(&sql)?, now.prepare_cached(&sql)?);
    let columns = now.column_count();
    let installed_at = now.column_names().position(|name| name == "installed_at");
    let (mut before, mut now) = (before.query([])?, now.query([])?);
    let (mut gone, mut come) = (Vec::new(), Vec::new());
    before.advance()?;
    now.advance()?;
    loop {
        let (order, is_same) = match (before.get(), now.get()) {
            (None, None) => return Ok(Some((gone, come))),
            (Some(before), None) => (order(before, before, keys.len())?.map(|_| Ordering::Less), false),
            (None, Some(now)) => (order(now, now, keys.len())?.map(|_| Ordering::Greater), false),
            (Some(before), Some(now)) => {
                let is_same = is_same(before, now, columns)? && !is_new(now, installed_at, since)?;
                (order(before, now, keys.len())?, is_same)
            }
        };
        let Some(order) = order else { return Ok(None) };
        if order.is_le() {
            gone.extend(before.get().filter(|_| !is_same).map(|row| values(row, columns)).transpose()?);
            before.advance()?;
        }
        if order.is_ge() {
            come.extend(now.get().filter(|_| !is_same).map(|row| values(row, columns)).transpose()?);
            now.advance()?;
        }
    }
}

/// How two rows follow each other in the order of their keys, which are numbers and texts.
fn order(one: &rusqlite::Row<'_>, other: &rusqlite::Row<'_>, keys: usize) -> rusqlite::Result<Option<Ordering>> {
    for key in 0..keys {
        let order = match (one.get_ref(key)?, other.get_ref(key)?) {
            (ValueRef::Integer(one), ValueRef::Integer(other)) => one.cmp(&other),
            (ValueRef::Text(one), ValueRef::Text(other)) => one.cmp(other),
            _ => return Ok(None),
        };
        if order != Ordering::Equal {
            return Ok(Some(order));
        }
    }
    Ok(Some(Ordering::Equal))
}

fn is_same(one: &rusqlite::Row<'_>, other: &rusqlite::Row<'_>, columns: usize) -> rusqlite::Result<bool> {
    for column in 0..columns {
        if one.get_ref(column)? != other.get_ref(column)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn is_new(row: &rusqlite::Row<'_>, installed_at: Option<usize>, since: i64) -> rusqlite::Result<bool> {
    let Some(column) = installed_at else { return Ok(false) };
    Ok(!matches!(row.get_ref(column)?, ValueRef::Integer(time) if time < since))
}

fn values(row: &rusqlite::Row<'_>, columns: usize) -> rusqlite::Result<Row> {
    (0..columns).map(|column| row.get(column)).collect()
}
