//! Files beside the record of installed packages that are not its own (catalogue C24).
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure here is a failure of the test")]
#![allow(clippy::disallowed_methods, reason = "the test makes and looks at files of its own")]

mod support;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use packets_plugin_api::conformance::storage::NothingToAdopt;
use packets_plugin_api::storage::{Access, StorageErrorKind, StorageFormat};
use rusqlite::Connection;
use support::crash::{assert_old, crashed, good, journal, names, packages, spilling};
use support::record::{name, read, rows, write};
use support::{FORMAT, whole};

/// Looks at a record beside which something was planted: whoever does not refuse it
/// finds exactly what was recorded.
fn refused_or_ignored(case: &str, file: &Path, is_refused: bool) {
    let good = fs::read(file).unwrap();
    for access in [Access::Read, Access::Write(&NothingToAdopt)] {
        match FORMAT.open_installed(file, access) {
            Ok(storage) => {
                assert!(!is_refused, "C24 {case}: not refused");
                assert_old(&*storage);
            }
            Err(error) => {
                assert!(is_refused, "C24 {case}: {}", whole(&error));
                assert_eq!(error.kind, StorageErrorKind::Corrupt, "C24 {case}: {}", whole(&error));
                assert!(error.hint.is_some(), "C24 {case}");
                assert!(whole(&error).contains("beside it"), "C24 {case}: {}", whole(&error));
            }
        }
        assert!(fs::read(file).unwrap() == good, "C24 {case}: the record stays as it was");
    }
}

#[test]
fn c24_journals_of_others_are_not_played() {
    let other = tempfile::tempdir().unwrap();
    let foreign = {
        let file = other.path().join("other.db");
        let mut storage = write(&file);
        for number in 1..5 {
            storage.finish(&rows(number, packages(0..200))).unwrap();
        }
        let _spilling = spilling(&file);
        fs::read(journal(&file)).unwrap()
    };
    // Of a record of the same history, in which other packages are.
    let twin = {
        let file = other.path().join("twin.db");
        write(&file).finish(&rows(1, packages(1000..1300))).unwrap();
        let _spilling = spilling(&file);
        fs::read(journal(&file)).unwrap()
    };
    let mut emptying = foreign.clone();
    emptying[16..20].fill(0);
    let mut torn = foreign.clone();
    torn.truncate(700);
    let garbage: Vec<u8> = (0..9000_u32).map(|at| ((at * 7919) >> 3) as u8 | 1).collect();
    let magic = foreign[..8].to_vec();
    for (case, content, is_refused) in [
        ("empty", &b""[..], false),
        ("zeros", &[0; 512], false),
        ("short", &b"x"[..], false),
        ("garbage", &garbage, false),
        ("only the magic", &magic, false),
        ("of a record with another history", &foreign, true),
        ("of its twin", &twin, true),
        ("that empties the file", &emptying, true),
        ("cut off", &torn, true),
    ] {
        let home = tempfile::tempdir().unwrap();
        let file = good(home.path());
        fs::write(journal(&file), content).unwrap();
        refused_or_ignored(case, &file, is_refused);
        if is_refused {
            assert!(fs::read(journal(&file)).unwrap() == content, "C24 {case}: left for a person to look at");
            fs::remove_file(journal(&file)).unwrap();
        }
        assert_old(&*read(&file));
        write(&file).finish(&rows(2, packages(0..1))).unwrap();
    }
}

#[test]
fn c24_a_copy_beside_the_journal_of_what_it_replaces() {
    let home = tempfile::tempdir().unwrap();
    let file = good(home.path());
    let copy = home.path().join("copy.db");
    read(&file).copy_to(&copy).unwrap();
    write(&file).finish(&rows(2, packages(300..310))).unwrap();
    let half = {
        let _spilling = spilling(&file);
        fs::read(journal(&file)).unwrap()
    };
    fs::copy(&copy, &file).unwrap();
    fs::write(journal(&file), half).unwrap();
    refused_or_ignored("an older copy", &file, true);
    fs::remove_file(journal(&file)).unwrap();
    assert_old(&*write(&file));
}

#[test]
fn c24_a_journal_that_names_files_elsewhere() {
    let home = tempfile::tempdir().unwrap();
    let file = crashed(home.path());
    let victim = home.path().join("victim");
    fs::write(&victim, "keep me").unwrap();
    let name = victim.to_str().unwrap();
    let mut content = fs::read(journal(&file)).unwrap();
    let sum: u32 = name.bytes().map(u32::from).sum();
    content.extend(1_u32.to_be_bytes());
    content.extend(name.bytes());
    content.extend((name.len() as u32).to_be_bytes());
    content.extend(sum.to_be_bytes());
    content.extend([0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7]);
    for is_there in [true, false] {
        if !is_there {
            fs::remove_file(&victim).unwrap();
        }
        fs::write(journal(&file), &content).unwrap();
        refused_or_ignored("names files elsewhere", &file, true);
        assert_eq!(victim.exists(), is_there, "C24: what it names is neither removed nor made");
    }
}

#[test]
fn c24_nothing_beside_the_record_is_followed() {
    let home = tempfile::tempdir().unwrap();
    let outside = home.path().join("outside");
    fs::write(&outside, "outside").unwrap();
    for suffix in ["-journal", "-wal"] {
        for case in ["link", "dangling link", "fifo", "folder"] {
            let folder = tempfile::tempdir().unwrap();
            let file = good(folder.path());
            let planted = folder.path().join(format!("installed.db{suffix}"));
            match case {
                "link" => symlink(&outside, &planted).unwrap(),
                "dangling link" => symlink(home.path().join("absent"), &planted).unwrap(),
                "fifo" => {
                    let status = Command::new("mkfifo").arg(&planted).status().unwrap();
                    assert!(status.success());
                }
                _ => fs::create_dir(&planted).unwrap(),
            }
            refused_or_ignored(&format!("{case} {suffix}"), &file, true);
        }
    }
    assert_eq!(fs::read(&outside).unwrap(), b"outside");
    assert_eq!(names(home.path()), ["outside"], "C24: nothing was made at the end of a link");
}

#[test]
fn c24_a_link_to_a_crashed_writers_journal_is_not_followed() {
    let home = tempfile::tempdir().unwrap();
    let file = crashed(home.path());
    let moved = home.path().join("moved");
    fs::rename(journal(&file), &moved).unwrap();
    symlink(&moved, journal(&file)).unwrap();
    refused_or_ignored("link", &file, true);
}

#[test]
fn c24_a_log_of_others_is_not_read() {
    let home = tempfile::tempdir().unwrap();
    let other = home.path().join("other.db");
    write(&other).finish(&rows(1, packages(0..300))).unwrap();
    let (log, index) = {
        let connection = Connection::open(&other).unwrap();
        connection.execute_batch("PRAGMA journal_mode=WAL; UPDATE packages SET version = '6.6.6'").unwrap();
        (fs::read(home.path().join("other.db-wal")).unwrap(), fs::read(home.path().join("other.db-shm")).unwrap())
    };
    assert!(log.windows(5).any(|part| part == b"6.6.6"));
    for (case, content) in [("log", &log[..]), ("garbage", b"garbage"), ("empty", b"")] {
        let folder = tempfile::tempdir().unwrap();
        let file = good(folder.path());
        let planted = folder.path().join("installed.db-wal");
        fs::write(&planted, content).unwrap();
        fs::write(folder.path().join("installed.db-shm"), &index).unwrap();
        refused_or_ignored(case, &file, true);
        assert!(fs::read(&planted).unwrap() == content);
        fs::remove_file(planted).unwrap();
        assert_old(&*write(&file));
    }
    // A record that really was written through a log is read, and is none any more then.
    let folder = tempfile::tempdir().unwrap();
    let file = good(folder.path());
    let keeps_the_log = Connection::open(&file).unwrap();
    keeps_the_log.execute_batch("PRAGMA journal_mode=WAL; UPDATE packages SET serial = 5").unwrap();
    assert_eq!(read(&file).package(&name("p3")).unwrap().unwrap().serial, 5);
    drop(keeps_the_log);
    assert_eq!(write(&file).package(&name("p3")).unwrap().unwrap().serial, 5);
    assert_eq!(names(folder.path()), ["installed.db"]);
}

#[test]
fn c24_the_record_itself_is_no_link() {
    let home = tempfile::tempdir().unwrap();
    let real = home.path().join("real");
    fs::create_dir(&real).unwrap();
    let file = good(&real);
    let folder = home.path().join("folder");
    symlink(&real, &folder).unwrap();
    assert_old(&*read(&folder.join("installed.db")));
    assert_old(&*write(&folder.join("installed.db")));
    let link = home.path().join("installed.db");
    symlink(&file, &link).unwrap();
    for access in [Access::Read, Access::Write(&NothingToAdopt)] {
        assert!(FORMAT.open_installed(&link, access).is_err());
    }
    let dangling = home.path().join("dangling.db");
    symlink(home.path().join("absent"), &dangling).unwrap();
    assert!(FORMAT.open_installed(&dangling, Access::Write(&NothingToAdopt)).is_err());
    assert!(!home.path().join("absent").exists());
}
