//! The record of installed packages on a disk that fails, and in a process that is
//! killed, at every operation of a write (catalogue C20, C24).
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure here is a failure of the test")]
#![allow(clippy::disallowed_methods, reason = "the test makes and looks at files of its own")]

#[path = "../support/mod.rs"]
mod support;
mod vfs;

use std::fs;
use std::ops::Range;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use packets_plugin_api::storage::{InstalledRow, Rows, StorageErrorKind};
use rusqlite::ffi;
use support::record::{Content, content, link, name, package, read, rows, write};
use support::whole;
use tempfile::TempDir;
use vfs::{Fault, Operation, arm, disarm};

/// What a record holds before the write, the write, and what it holds after it.
struct Case {
    bytes: Vec<u8>,
    old: Content,
    next: Rows,
    new: Content,
}

/// A folder on which a sync costs nothing, where there is one.
fn in_memory() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// How many packages a transaction brings, and how many paths each of them has.
#[derive(Debug, Clone, Copy)]
struct Size(usize, usize);

/// A few pages.
const SMALL: Size = Size(40, 1);
/// More than the cache that SQLite keeps by itself; even so nothing is written to the file before the end.
const LARGE: Size = Size(8, 3_000);

fn transaction(number: u64, packages: Range<usize>, files: usize) -> Rows {
    let mut rows = rows(number, packages.map(|at| package(&format!("p{at}"))).collect());
    for InstalledRow { package, files: paths } in &mut rows.installed {
        paths.extend((1..files).map(|at| link(&format!("usr/share/{}/a-name-of-a-usual-length-{at}", package.name))));
    }
    rows
}

/// The second transaction replaces some packages of the first, and brings as many new ones.
fn case(size: Size) -> Case {
    vfs::install();
    let home = in_memory();
    let file = home.path().join("installed.db");
    let mut storage = write(&file);
    storage.finish(&transaction(1, 0..size.0, size.1)).unwrap();
    let (bytes, old) = (fs::read(&file).unwrap(), content(&*storage));
    let next = next(size);
    storage.finish(&next).unwrap();
    let new = content(&*storage);
    Case { bytes, old, next, new }
}

fn next(Size(packages, files): Size) -> Rows {
    let mut next = transaction(2, packages / 2..packages * 3 / 2, files);
    next.gone = (0..packages / 4).map(|at| name(&format!("p{at}"))).collect();
    next
}

impl Case {
    /// The old record, alone in its folder.
    fn lay(&self, folder: &Path) -> PathBuf {
        let file = folder.join("installed.db");
        fs::write(&file, &self.bytes).unwrap();
        for beside in ["installed.db-journal", "installed.db-wal", "installed.db-shm"] {
            let _ = fs::remove_file(folder.join(beside));
        }
        file
    }

    /// Whether the record is the new one; it must be that or the old one, for readers
    /// and for writers, and can be finished from there.
    fn is_new(&self, file: &Path, what: &str) -> bool {
        let pair = || [fs::read(file).ok(), fs::read(file.with_file_name("installed.db-journal")).ok()];
        let before = pair();
        let found = content(&*read(file));
        assert!(pair() == before, "C24 {what}: a reader changes nothing");
        let is_new = found == self.new;
        assert!(is_new || found == self.old, "C24 {what}: neither old nor new");
        let mut storage = write(file);
        assert!(content(&*storage) == found, "C24 {what}: a writer finds what a reader found");
        assert_eq!(storage.recorded(&self.next.transaction.id).unwrap(), is_new, "C24 {what}");
        storage.finish(&self.next).unwrap_or_else(|error| panic!("C24 {what}: {}", whole(&error)));
        assert!(content(&*storage) == self.new, "C24 {what}: finished at last");
        is_new
    }
}

/// How the writes of one fault ended.
#[derive(Debug, Default)]
struct Outcomes {
    refused: usize,
    reported_and_new: usize,
    survived: usize,
}

/// Lets the fault strike at the first operation of its kind, at the second, and so on
/// until the write ends before it comes.
fn at_every(case: &Case, fault: Fault, kinds: &[StorageErrorKind], step: usize) -> Outcomes {
    let home = in_memory();
    let mut outcomes = Outcomes::default();
    for after in (0..).step_by(step) {
        let file = case.lay(home.path());
        let what = format!("{fault:?} after {after}");
        let mut storage = write(&file);
        arm(Fault { after, ..fault });
        let finished = storage.finish(&case.next);
        let said = storage.recorded(&case.next.transaction.id);
        let struck = disarm();
        let recorded = storage.recorded(&case.next.transaction.id);
        let recorded = recorded.unwrap_or_else(|error| panic!("C24 {what}: {}", whole(&error)));
        let is_new = case.is_new(&file, &what);
        assert_eq!(recorded, is_new, "C24 {what}: what is said is what is there");
        if let Ok(said) = said {
            assert_eq!(said, is_new, "C24 {what}: also while the disk fails");
        }
        match finished {
            Ok(()) => {
                assert!(is_new, "C24 {what}: what is finished is there");
                outcomes.survived += usize::from(struck > 0);
            }
            Err(error) => {
                assert!(kinds.contains(&error.kind), "C24 {what}: {}", whole(&error));
                assert!(struck > 0);
                *if is_new { &mut outcomes.reported_and_new } else { &mut outcomes.refused } += 1;
            }
        }
        if struck == 0 {
            assert!(after > 0, "C24 {what}: no such operation");
            return outcomes;
        }
    }
    unreachable!()
}

const IO: &[StorageErrorKind] = &[StorageErrorKind::Io];
const CORRUPT: &[StorageErrorKind] = &[StorageErrorKind::Corrupt];

/// Every way in which an operation can fail, and what kind of error comes of it.
const FAULTS: &[(Operation, i32, &[StorageErrorKind])] = &[
    (Operation::Open, ffi::SQLITE_CANTOPEN, IO),
    (Operation::Open, ffi::SQLITE_READONLY_DIRECTORY, IO),
    (Operation::Access, ffi::SQLITE_IOERR_ACCESS, IO),
    (Operation::Delete, ffi::SQLITE_IOERR_DELETE, IO),
    (Operation::SyncFolder, ffi::SQLITE_IOERR_DIR_FSYNC, IO),
    (Operation::Read, ffi::SQLITE_IOERR_READ, IO),
    (Operation::Read, ffi::SQLITE_CORRUPT, CORRUPT),
    (Operation::Read, ffi::SQLITE_NOTADB, CORRUPT),
    (Operation::Write, ffi::SQLITE_IOERR_WRITE, IO),
    (Operation::Write, ffi::SQLITE_FULL, IO),
    (Operation::Write, ffi::SQLITE_READONLY, IO),
    (Operation::Tear, ffi::SQLITE_FULL, IO),
    (Operation::Sync, ffi::SQLITE_IOERR_FSYNC, IO),
    (Operation::Size, ffi::SQLITE_IOERR_FSTAT, IO),
    (Operation::Lock, ffi::SQLITE_IOERR_LOCK, IO),
    (Operation::Unlock, ffi::SQLITE_IOERR_UNLOCK, IO),
];

#[test]
fn c24_a_fault_at_every_operation_leaves_old_or_new() {
    let case = case(SMALL);
    let mut late = 0;
    for &(operation, code, kinds) in FAULTS {
        for stays in [false, true] {
            let fault = Fault { operation: Some(operation), after: 0, code: Some(code), stays };
            let outcomes = at_every(&case, fault, kinds, 1);
            late += outcomes.reported_and_new;
        }
    }
    assert!(late > 0, "C24: an error after the point of no return is among them");
}

#[test]
fn c24_a_fault_in_a_write_that_does_not_fit_the_cache() {
    let case = case(LARGE);
    for (operation, code, step) in [
        (Operation::Write, ffi::SQLITE_FULL, 101),
        (Operation::Tear, ffi::SQLITE_IOERR_WRITE, 97),
        (Operation::Sync, ffi::SQLITE_IOERR_FSYNC, 1),
        (Operation::Read, ffi::SQLITE_IOERR_READ, 23),
        (Operation::Delete, ffi::SQLITE_IOERR_DELETE, 1),
    ] {
        for stays in [false, true] {
            let fault = Fault { operation: Some(operation), after: 0, code: Some(code), stays };
            let outcomes = at_every(&case, fault, IO, step);
            assert!(outcomes.refused + outcomes.survived > 0);
        }
    }
}

#[test]
fn c24_a_lock_that_is_busy_once_is_waited_for() {
    let case = case(SMALL);
    let fault = Fault { operation: Some(Operation::Lock), after: 0, code: Some(ffi::SQLITE_BUSY), stays: false };
    let outcomes = at_every(&case, fault, IO, 1);
    assert!(outcomes.survived > 0);
}

const FILE: &str = "PACKETS_TEST_KILLED_FILE";
const AFTER: &str = "PACKETS_TEST_KILLED_AFTER";
const LARGELY: &str = "PACKETS_TEST_KILLED_LARGELY";
const TEARS: &str = "PACKETS_TEST_KILLED_TEARS";

/// The part of the next tests that is killed.
#[test]
fn c20_killed_child() {
    let Some(file) = std::env::var_os(FILE).map(PathBuf::from) else { return };
    let number = |name: &str| std::env::var(name).unwrap().parse::<usize>().unwrap();
    vfs::install();
    let mut storage = write(&file);
    let operation = (number(TEARS) == 1).then_some(Operation::Tear);
    arm(Fault { operation, after: number(AFTER), code: None, stays: false });
    storage.finish(&next(if number(LARGELY) == 1 { LARGE } else { SMALL })).unwrap();
}

/// Kills a writer before its first operation, before its second, and so on; the answer
/// is how often the old state was found, the new one, and half of a write in the file.
fn killed_at_every(case: &Case, is_large: bool, tears: bool, step: usize) -> (usize, usize, usize) {
    let home = in_memory();
    let (mut old, mut new, mut halves) = (0, 0, 0);
    for after in (0..).step_by(step) {
        let file = case.lay(home.path());
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "c20_killed_child"]).env(FILE, &file).env(AFTER, after.to_string());
        child.env(LARGELY, u8::from(is_large).to_string()).env(TEARS, u8::from(tears).to_string());
        let output = child.output().unwrap();
        let killed = output.status.signal() == Some(9);
        assert!(killed || output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        let journal = fs::read(home.path().join("installed.db-journal")).unwrap_or_default();
        let is_hot = journal.first().is_some_and(|first| *first != 0);
        halves += usize::from(is_hot && fs::read(&file).unwrap() != case.bytes);
        *if case.is_new(&file, &format!("killed after {after}, tears: {tears}")) { &mut new } else { &mut old } += 1;
        if !killed {
            return (old, new, halves);
        }
    }
    unreachable!()
}

#[test]
fn c20_a_writer_that_is_killed_at_every_operation() {
    let small = case(SMALL);
    for tears in [false, true] {
        let (old, new, halves) = killed_at_every(&small, false, tears, 1);
        assert!(old > 10 && new >= 1 && halves > 1);
    }
    let large = case(LARGE);
    for (tears, step) in [(false, 53), (true, 43)] {
        let (old, new, halves) = killed_at_every(&large, true, tears, step);
        assert!(old > 5 && new >= 1 && halves > 2);
    }
}
