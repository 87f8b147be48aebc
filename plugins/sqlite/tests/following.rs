//! Copies that follow the record of installed packages (catalogue C24).
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure here is a failure of the test")]
#![allow(clippy::disallowed_methods, reason = "the test makes and looks at files of its own")]

mod support;

use std::fs;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use packets_plugin_api::hook::Grant;
use packets_plugin_api::ident::Family;
use packets_plugin_api::storage::{Approval, InstalledPackage, InstalledRow, Rows, Storage, StorageErrorKind};
use rusqlite::Connection;
use rusqlite::types::Value;
use support::crash::{journal, names};
use support::record::{link, name, package, read, rows, write};
use support::whole;

/// So many paths make a record of more than a megabyte.
const MANY: usize = 14_000;
/// What the copy before says of a path that no transaction touches: who copies all would not find it.
const MARK: &str = "copied before";

fn with_paths(package: InstalledPackage, count: usize) -> InstalledRow {
    let files = (0..count).map(|at| link(&format!("usr/share/{}/{at}", package.name))).collect();
    InstalledRow { package, files }
}

fn change(number: u64, gone: &[&str], installed: Vec<InstalledRow>) -> Rows {
    Rows { gone: gone.iter().map(|text| name(text)).collect(), installed, ..rows(number, Vec::new()) }
}

/// A large record with one transaction, and a copy of it with the mark.
struct Case {
    home: tempfile::TempDir,
    storage: Box<dyn Storage>,
}

impl Case {
    fn new(paths: usize) -> Self {
        let home = tempfile::tempdir().unwrap();
        let mut storage = write(&home.path().join("installed.db"));
        // It was there before: what came with the newest transaction of a copy is never taken from that.
        let big = InstalledPackage { installed_at: 0, ..package("big") };
        storage.finish(&change(1, &[], vec![with_paths(big, paths)])).unwrap();
        let case = Self { home, storage };
        case.storage.copy_to(&case.copy()).unwrap();
        case.mark();
        case
    }

    fn file(&self) -> PathBuf {
        self.home.path().join("installed.db")
    }

    fn copy(&self) -> PathBuf {
        self.home.path().join("copy.db")
    }

    fn older(&self) -> PathBuf {
        self.home.path().join("copy.db.older")
    }

    fn mark(&self) {
        let sql = "UPDATE files SET asked = ?1 WHERE path = 'usr/share/big/7'";
        assert_eq!(Connection::open(self.copy()).unwrap().execute(sql, [MARK]).unwrap(), 1);
    }

    /// Copies, and looks whether the copy is as the record is; the answer is whether it has followed.
    fn has_followed(&self) -> bool {
        let expected = dump(&self.file());
        self.storage.copy_to(&self.copy()).unwrap();
        let mut found = dump(&self.copy());
        let marked = Value::Text(MARK.to_owned());
        let mark = found.iter_mut().flatten().flatten().find(|value| **value == marked);
        let has_followed = mark.map(|mark| *mark = Value::Text("/x".to_owned())).is_some();
        assert!(found == expected, "C24: a copy is what its record is");
        let mut left = names(self.home.path());
        left.retain(|name| name != "copy.db.older");
        assert_eq!(left, ["copy.db", "installed.db"]);
        assert!(!has_followed || self.older().exists(), "the one before waits to be the next one");
        has_followed
    }
}

/// All rows of all tables.
fn dump(file: &Path) -> Vec<Vec<Vec<Value>>> {
    let connection = Connection::open(file).unwrap();
    let verdict: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(verdict, "ok");
    let table = |sql: &str| {
        let mut statement = connection.prepare(sql).unwrap();
        let columns = statement.column_count();
        let rows = statement.query_map([], |row| (0..columns).map(|at| row.get(at)).collect()).unwrap();
        rows.collect::<rusqlite::Result<Vec<Vec<Value>>>>().unwrap()
    };
    [
        "SELECT * FROM packages ORDER BY realname",
        "SELECT * FROM package_details ORDER BY id",
        "SELECT * FROM files ORDER BY package, path",
        "SELECT * FROM approvals ORDER BY name, family",
        "SELECT * FROM transactions ORDER BY number",
        "SELECT * FROM sqlite_sequence",
    ]
    .map(table)
    .into()
}

#[test]
fn c24_a_copy_follows_its_record() {
    let mut case = Case::new(MANY);
    assert!(case.has_followed(), "where nothing has changed");
    let held = InstalledPackage { held: true, ..package("a") };
    let newer = InstalledPackage { version: "2.0".parse().unwrap(), ..package("a") };
    let approval = |grant: Grant| Approval { name: name("a"), family: Family::none(), grant };
    let granted = Grant { write: vec!["etc/a".parse().unwrap()], ..Grant::default() };
    let steps = [
        change(2, &[], vec![with_paths(package("a"), 3)]),
        change(3, &[], vec![with_paths(package("b"), 50), with_paths(package("c"), 1)]),
        // The very same row of the package, by a number that is free again.
        change(4, &[], vec![with_paths(package("c"), 2)]),
        change(5, &[], vec![with_paths(newer, 2)]),
        Rows { approved: vec![approval(granted)], ..change(6, &["b"], Vec::new()) },
        change(7, &[], vec![with_paths(held, 2)]),
        Rows { approved: vec![approval(Grant::default())], ..change(8, &["a", "c"], Vec::new()) },
        change(9, &[], vec![with_paths(package("d"), 4), with_paths(package("b"), 4)]),
        change(10, &["big"], Vec::new()),
    ];
    let last = steps.len() - 1;
    for (at, step) in steps.iter().enumerate() {
        case.storage.finish(step).unwrap();
        assert_eq!(case.has_followed(), at < last, "{at}: as long as the marked package is there");
    }
}

#[test]
fn c24_what_version_1_did_is_in_the_copy() {
    let case = Case::new(MANY);
    let version_1 = Connection::open(case.file()).unwrap();
    let added = "INSERT INTO packages VALUES ('one', '1', '', 'one', '', 3)";
    for sql in [added, "UPDATE packages SET version = '9' WHERE realname = 'big'", "DELETE FROM packages"] {
        version_1.execute(sql, []).unwrap();
        assert!(case.has_followed(), "{sql}");
    }
}

#[test]
fn c24_damage_elsewhere_does_not_get_into_the_copy() {
    let mut case = Case::new(MANY);
    let before = dump(&case.copy());
    let file = fs::File::options().write(true).open(case.file()).unwrap();
    let half = file.metadata().unwrap().len() / 2;
    file.write_all_at(&[0xee; 8192], half / 8192 * 8192).unwrap();
    case.storage.finish(&change(2, &[], vec![with_paths(package("a"), 3)])).unwrap();
    read(&case.file()).copy_to(&case.copy()).unwrap();
    let copied = dump(&case.copy());
    assert_eq!((copied[1].len(), copied[2].len()), (2, before[2].len() + 3));
    assert_eq!(read(&case.copy()).files(&name("big")).unwrap().len(), MANY);
    // Where all is copied it is seen, and the copy stays.
    fs::write(journal(&case.copy()), "").unwrap();
    let error = read(&case.file()).copy_to(&case.copy()).unwrap_err();
    assert_eq!(error.kind, StorageErrorKind::Corrupt, "C24 {}", whole(&error));
    fs::remove_file(journal(&case.copy())).unwrap();
    assert!(dump(&case.copy()) == copied);
}

#[test]
fn c24_a_copy_that_cannot_follow_is_made_anew() {
    let case = Case::new(MANY);
    let run = |file: &Path, sql: &str| Connection::open(file).unwrap().execute_batch(sql).unwrap();
    let made_at = |file: &Path, time| fs::File::options().write(true).open(file).unwrap().set_modified(time).unwrap();
    let ways: [&dyn Fn(&Path); 9] = [
        // Before this boot: what was not synced may be lost.
        &|file| made_at(file, SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000)),
        &|file| run(file, "CREATE TABLE other(a)"),
        &|file| run(file, "PRAGMA user_version = 2"),
        &|file| run(file, "UPDATE transactions SET id = 'ffffffffffffffff'"),
        &|file| run(file, "DELETE FROM transactions"),
        &|file| run(file, "UPDATE packages SET realname = x'41'"),
        &|file| fs::write(file, vec![0xee; 2 << 20]).unwrap(),
        &|file| fs::write(file, "").unwrap(),
        &|file| fs::remove_file(file).unwrap(),
    ];
    for (at, spoil) in ways.iter().enumerate() {
        assert!(case.has_followed(), "{at}");
        spoil(&case.older());
        assert!(case.has_followed(), "{at}: the newer one is there");
        fs::remove_file(case.older()).unwrap();
        spoil(&case.copy());
        assert!(!case.has_followed(), "{at}");
        assert!(!case.older().exists(), "{at}: it was not looked through with that one");
        case.mark();
    }
}

#[test]
fn c24_two_copies_take_turns() {
    let mut case = Case::new(MANY);
    assert!(case.has_followed());
    let inode = |file: &Path| fs::symlink_metadata(file).unwrap().ino();
    let of_both = |case: &Case| (inode(&case.copy()), inode(&case.older()));
    for number in 2..6 {
        let (newer, older) = of_both(&case);
        case.storage.finish(&change(number, &[], vec![with_paths(package("a"), 3)])).unwrap();
        assert!(case.has_followed());
        assert_eq!(of_both(&case), (older, newer), "nothing is copied");
    }
    // Links, and what is of another mode, are nobody's copy.
    let elsewhere = tempfile::tempdir().unwrap();
    let target = elsewhere.path().join("x");
    fs::rename(case.older(), &target).unwrap();
    let content = fs::read(&target).unwrap();
    symlink(&target, case.older()).unwrap();
    case.storage.finish(&change(6, &[], vec![with_paths(package("a"), 4)])).unwrap();
    assert!(case.has_followed());
    assert!(fs::read(&target).unwrap() == content, "C24: it is not written to");
    fs::hard_link(case.older(), elsewhere.path().join("backup")).unwrap();
    let content = fs::read(case.older()).unwrap();
    case.storage.finish(&change(7, &[], vec![with_paths(package("a"), 5)])).unwrap();
    assert!(case.has_followed());
    assert!(fs::read(elsewhere.path().join("backup")).unwrap() == content, "C24: a second name is somebody's");
    fs::set_permissions(case.file(), fs::Permissions::from_mode(0o600)).unwrap();
    assert!(case.has_followed());
    let mode = |file: &Path| fs::metadata(file).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&case.copy()), mode(&case.older())), (0o600, 0o644));
    // A copy that is dropped leaves the one there.
    let kept = inode(&case.copy());
    drop(case.storage.prepare_copy(&case.copy()).unwrap());
    assert_eq!(inode(&case.copy()), kept);
    assert_eq!(names(case.home.path()), ["copy.db", "copy.db.older", "installed.db"]);
}

#[test]
fn c24_how_far_a_copy_may_be_behind() {
    let mut case = Case::new(MANY);
    let mut number = 1;
    for (behind, follows) in [(8, true), (9, false)] {
        for _ in 0..behind {
            number += 1;
            case.storage.finish(&change(number, &[], vec![with_paths(package("a"), 1)])).unwrap();
        }
        assert_eq!(case.has_followed(), follows, "{behind} transactions");
        case.mark();
    }
    for (paths, follows) in [(4000, true), (4001, false)] {
        number += 1;
        case.storage.finish(&change(number, &[], vec![with_paths(package("a"), paths)])).unwrap();
        assert_eq!(case.has_followed(), follows, "{paths} paths");
        case.mark();
    }
    while number < 66 {
        number += 1;
        case.storage.finish(&change(number, &[], vec![with_paths(package("a"), 1)])).unwrap();
        assert_eq!(case.has_followed(), number != 64, "transaction {number}");
        case.mark();
    }
}

#[test]
fn c24_small_copies_are_made_anew() {
    let mut case = Case::new(11_000);
    let mut number = 1;
    let size = |case: &Case| fs::metadata(case.copy()).unwrap().len();
    assert!(size(&case) < 1 << 20);
    loop {
        let is_small = size(&case) < 1 << 20;
        number += 1;
        let one = package(&format!("p{number}"));
        case.storage.finish(&change(number, &[], vec![with_paths(one, 20)])).unwrap();
        if number != 64 {
            assert_eq!(case.has_followed(), !is_small, "a copy of {} bytes", size(&case));
        }
        case.mark();
        if !is_small {
            return;
        }
        assert!(size(&case) < 2 << 20);
    }
}
