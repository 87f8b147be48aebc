//! Opening database files: flags, limits and the clock that stops a query.

use std::fmt::Write as _;
use std::fs::Metadata;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, TryLockError};
use std::thread;
use std::time::{Duration, Instant};

use packets_plugin_api::storage::{StorageError, StorageErrorKind};
use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::{Connection, OpenFlags};

use crate::failure::Subject;
use crate::limits;

/// The path from the root: SQLite takes a relative one that begins with `file:` for a URI.
fn absolute(subject: &Subject, file: &Path) -> Result<PathBuf, StorageError> {
    std::path::absolute(file).map_err(|error| subject.error(StorageErrorKind::Io, "open").because(error))
}

/// The size of the regular file at `file`; none where there is nothing.
pub(crate) fn size(subject: &Subject, file: &Path) -> Result<Option<u64>, StorageError> {
    match file.metadata() {
        Ok(data) if data.is_file() => Ok(Some(data.len())),
        Ok(_) => Err(subject.corrupt("not a regular file")),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(subject.error(StorageErrorKind::Io, "open").because(error)),
    }
}

const PRIVATE: &str = "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=MEMORY; PRAGMA synchronous=OFF;";

/// Where a file of this machine's own is: its folder without links, for whoever names
/// a file answers for the folders that lead to it, and its name, which is never one.
pub(crate) fn place(subject: &Subject, file: &Path) -> Result<PathBuf, StorageError> {
    let file = absolute(subject, file)?;
    let (Some(folder), Some(name)) = (file.parent(), file.file_name()) else {
        return Err(subject.corrupt("not a regular file"));
    };
    folder.canonicalize().map(|folder| folder.join(name)).map_err(|error| subject.failed_at("open", error))
}

/// The regular file of this machine's own at `place`; none where there is nothing.
pub(crate) fn own_size(subject: &Subject, place: &Path) -> Result<Option<Metadata>, StorageError> {
    match place.symlink_metadata() {
        Ok(data) if data.is_file() => Ok(Some(data)),
        Ok(_) => Err(subject.corrupt("not a regular file")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(subject.failed_at("open", error)),
    }
}

/// Whether SQLite may hold locks in this process: the kernel lets go of all that a
/// process holds on a file when it closes any handle of that file. One for each file,
/// or who asks for one waits for those who work with all others; two files that share
/// one merely wait for each other.
static LOCKS: [RwLock<()>; 64] = [const { RwLock::new(()) }; 64];
/// Between two looks at it.
const PAUSE: Duration = Duration::from_micros(200);

fn lock_of(place: &Path) -> &'static RwLock<()> {
    let mut hasher = DefaultHasher::new();
    place.hash(&mut hasher);
    &LOCKS[hasher.finish() as usize % LOCKS.len()]
}

/// Held while SQLite works with the file of this machine's own at `place`.
pub(crate) fn working(place: &Path) -> RwLockReadGuard<'static, ()> {
    lock_of(place).read().unwrap_or_else(PoisonError::into_inner)
}

/// Held while such a file is opened and closed without SQLite.
///
/// # Errors
/// A write of this process does not come to its end: it may be waiting for whoever asks.
pub(crate) fn alone(place: &Path) -> io::Result<RwLockWriteGuard<'static, ()>> {
    let until = Instant::now() + limits::ALONE;
    loop {
        match lock_of(place).try_write() {
            Ok(guard) => return Ok(guard),
            Err(TryLockError::Poisoned(poisoned)) => return Ok(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) if Instant::now() < until => thread::sleep(PAUSE),
            Err(TryLockError::WouldBlock) => return Err(io::Error::other("it is being written to")),
        }
    }
}

/// Switches off what no file of ours has, whatever a file says: triggers, views,
/// functions called from the schema, writes to the schema. Statements are planned once, not again for each value.
fn harden(connection: &Connection) -> rusqlite::Result<()> {
    for (option, on) in [
        (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
        (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_ATTACH_CREATE, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_ATTACH_WRITE, false),
        (DbConfig::SQLITE_DBCONFIG_DQS_DML, false),
        (DbConfig::SQLITE_DBCONFIG_DQS_DDL, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true),
    ] {
        connection.set_db_config(option, on)?;
    }
    connection.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
    Ok(())
}

/// Opens a file of this machine's own, for reading or for both. Neither it nor what
/// SQLite keeps beside it is ever a link that is followed.
pub(crate) fn own(subject: &Subject, file: &Path, write: bool) -> Result<Connection, StorageError> {
    let access = if write {
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE
    } else {
        OpenFlags::SQLITE_OPEN_READ_ONLY
    };
    let open = |path: PathBuf| {
        let access = access | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
        let connection = Connection::open_with_flags(path, access)?;
        harden(&connection)?;
        connection.busy_timeout(if write { limits::BUSY } else { limits::BUSY_READER })?;
        connection.set_prepared_statement_cache_capacity(32);
        Ok(connection)
    };
    open(place(subject, file)?).map_err(subject.failed("open"))
}

/// Opens a file for writing that nobody else looks at, and that is thrown away where it fails. Never with a journal beside
/// it: one that a kill left would be taken for that of the next file there.
pub(crate) fn private(subject: &Subject, file: &Path) -> Result<Connection, StorageError> {
    let connection = own(subject, file, true)?;
    connection.execute_batch(PRIVATE).map_err(subject.failed("open"))?;
    Ok(connection)
}

/// Opens a file that comes from outside: for reading, with no lock and nothing
/// beside it looked at, and within limits.
pub(crate) fn foreign(subject: &Subject, file: &Path) -> Result<(Connection, Clock), StorageError> {
    let access = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let open = |path: PathBuf| {
        let mut connection = Connection::open_with_flags(immutable_uri(&path), access)?;
        harden(&connection)?;
        for (limit, most) in [
            (Limit::SQLITE_LIMIT_LENGTH, limits::INDEX_VALUE),
            (Limit::SQLITE_LIMIT_SQL_LENGTH, limits::SCHEMA_SQL),
            (Limit::SQLITE_LIMIT_COLUMN, limits::COLUMNS),
            (Limit::SQLITE_LIMIT_SCHEMA, limits::SCHEMA_OBJECTS),
            (Limit::SQLITE_LIMIT_EXPR_DEPTH, 16),
            (Limit::SQLITE_LIMIT_COMPOUND_SELECT, 2),
            (Limit::SQLITE_LIMIT_FUNCTION_ARG, 4),
            (Limit::SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 256),
            (Limit::SQLITE_LIMIT_VARIABLE_NUMBER, 8),
            (Limit::SQLITE_LIMIT_TRIGGER_DEPTH, 1),
            (Limit::SQLITE_LIMIT_WORKER_THREADS, 0),
        ] {
            connection.set_limit(limit, most)?;
        }
        let clock = Clock::new();
        connection.progress_handler(limits::INSTRUCTIONS, Some(clock.handler()))?;
        clock.start(limits::QUERY_TIME);
        connection.execute_batch("PRAGMA cell_size_check=ON; PRAGMA mmap_size=0;")?;
        Ok((connection, clock))
    };
    open(absolute(subject, file)?).map_err(subject.failed("open"))
}

/// `file:///…?immutable=1`, every byte that a URI could take for its own escaped.
fn immutable_uri(path: &Path) -> String {
    let mut uri = "file://".to_owned();
    for &byte in path.as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || b"/._-".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(uri, "%{byte:02X}");
        }
    }
    uri + "?mode=ro&immutable=1"
}

/// When the running query is to be stopped.
#[derive(Debug, Clone)]
pub(crate) struct Clock {
    epoch: Instant,
    /// Microseconds after `epoch`.
    end: Arc<AtomicU64>,
}

impl Clock {
    fn new() -> Self {
        Self { epoch: Instant::now(), end: Arc::new(AtomicU64::new(u64::MAX)) }
    }

    fn elapsed(&self) -> Duration {
        self.epoch.elapsed()
    }

    /// What runs from now on may take this long.
    pub(crate) fn start(&self, span: Duration) {
        let end = (self.elapsed() + span).as_micros();
        self.end.store(u64::try_from(end).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Whether the time is over.
    pub(crate) fn is_over(&self) -> bool {
        self.elapsed().as_micros() >= u128::from(self.end.load(Ordering::Relaxed))
    }

    fn handler(&self) -> impl FnMut() -> bool + Send + 'static {
        let clock = self.clone();
        move || clock.is_over()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn m27_uris_escape_what_is_not_plain() {
        assert_eq!(immutable_uri(Path::new("/a b/ü?x#%.db")), "file:///a%20b/%C3%BC%3Fx%23%25.db?mode=ro&immutable=1");
        assert_eq!(immutable_uri(Path::new("//host/x")), "file:////host/x?mode=ro&immutable=1");
    }
}
