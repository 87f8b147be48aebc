//! Every limit of the databases, with the threat that it answers (numbers of the
//! attack catalogue in brackets).

use std::time::Duration;

/// An index file: one that fills memory and time (M28).
pub(crate) const INDEX_BYTES: u64 = 1 << 30;
/// Packages in an index (M28).
pub(crate) const INDEX_ROWS: u64 = 1_000_000;
/// One row or value of an index as SQLite reads it: a description of a gigabyte (M28).
pub(crate) const INDEX_VALUE: i32 = 1 << 20;
/// A description in bytes (M28).
pub(crate) const DESCRIPTION: usize = 64 << 10;
/// Mirrors of one package (M28).
pub(crate) const MIRRORS: usize = 64;
/// One mirror in bytes (M28).
pub(crate) const MIRROR: usize = 2048;
/// Requirements, conflicts or provided names of one package (M28); a package of Debian provides 1,603.
pub(crate) const NAMES: usize = 4096;
/// Packages that answer to one name: work that grows with each requirement of it (M28, M33).
pub(crate) const ANSWERS: usize = 4096;
/// The name of a machine in bytes.
pub(crate) const ARCH: usize = 32;
/// Tables and indexes in the schema of an index file (M24).
pub(crate) const SCHEMA_OBJECTS: i32 = 24;
/// One statement of an index's schema in bytes (M24).
pub(crate) const SCHEMA_SQL: i32 = 16 << 10;
/// Columns of an index's table (M24).
pub(crate) const COLUMNS: i32 = 64;
/// One look-up in an index, and the reading of all of it: endless work behind a query (M25).
pub(crate) const QUERY_TIME: Duration = Duration::from_secs(10);
/// The verification of an index (M25, M28).
pub(crate) const VERIFY_TIME: Duration = Duration::from_secs(60);
/// Instructions of SQLite's machine between two looks at the clock (M25).
pub(crate) const INSTRUCTIONS: i32 = 10_000;
/// A record and its journal that a reader copies to put the copy right: a disk full of copies (C24).
pub(crate) const CUT_OFF_BYTES: u64 = 256 << 20;
/// How often a reader looks again where files change under its eyes (C24).
pub(crate) const CUT_OFF_TRIES: usize = 20;
/// A copy of this many bytes is brought up to date; a smaller one is made anew.
pub(crate) const FOLLOWED: u64 = 1 << 20;
/// Transactions that a copy may be behind to be brought up to date (C24).
pub(crate) const FOLLOWED_TRANSACTIONS: usize = 8;
/// Paths that are copied one by one for it; with more, to copy all takes no longer (C24).
pub(crate) const FOLLOWED_PATHS: i64 = 4000;
/// After so many transactions a copy is made anew, and looked through: one that has been damaged meanwhile (C24).
pub(crate) const LOOKED_THROUGH: i64 = 64;
/// How long a writer waits for another program that is writing to installed.db (C24).
pub(crate) const BUSY: Duration = Duration::from_secs(10);
/// How long whoever looks at the file without SQLite waits for writes of the same process (C20).
pub(crate) const ALONE: Duration = Duration::from_secs(5);
/// How long a reader waits for a write to end before it reads a copy: a writer that stands still (C20).
pub(crate) const BUSY_READER: Duration = Duration::from_millis(250);
