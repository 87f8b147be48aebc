//! Readers beside writers that write, and beside what killed ones left (catalogue C20, C24).
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure here is a failure of the test")]
#![allow(clippy::disallowed_methods, reason = "the test makes and looks at files of its own")]
#![expect(clippy::print_stderr, reason = "a test that cannot run says so")]

mod support;

use std::fs;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use packets_plugin_api::conformance::storage::NothingToAdopt;
use packets_plugin_api::ident::TransactionId;
use packets_plugin_api::storage::{
    Access, FileKind, FileRecord, MadeBy, Rows, Storage, StorageErrorKind, StorageFormat,
};
use support::crash::{assert_old, crashed, journal, names, packages};
use support::record::{content, name, package, read, rows, write};
use support::{FORMAT, whole};

const CHILD: &str = "PACKETS_TEST_CUT_OFF_FILE";

/// The part of the next test that runs as an ordinary user, with a temporary folder of its own.
#[test]
fn c24_cut_off_child() {
    let Some(file) = std::env::var_os(CHILD).map(PathBuf::from) else { return };
    let storage = read(&file);
    for _ in 0..3 {
        assert_old(&*storage);
    }
    let temporary = std::env::temp_dir();
    assert_eq!(names(&temporary), Vec::<String>::new(), "C24: nothing of the copy has a name any more");
    let copy = temporary.join("copy");
    storage.copy_to(&copy).unwrap();
    assert_old(&*read(&copy));
    fs::remove_file(copy).unwrap();
    assert!(FORMAT.open_installed(&file, Access::Write(&NothingToAdopt)).is_err(), "C24: it may not put it right");
}

#[test]
fn c24_an_ordinary_user_reads_what_a_killed_writer_left() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("record");
    let temporary = home.path().join("temporary");
    for new in [&folder, &temporary] {
        fs::create_dir(new).unwrap();
    }
    let file = crashed(&folder);
    let before = [fs::read(&file).unwrap(), fs::read(journal(&file)).unwrap()];
    assert!(before[0].windows(5).any(|part| part == b"6.6.6"), "half of the write is in the file");
    for (path, mode) in [(&*file, 0o444), (&*journal(&file), 0o444), (&folder, 0o555), (home.path(), 0o755)] {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "c24_cut_off_child"]).env(CHILD, &file).env("TMPDIR", &temporary);
    if fs::metadata(&folder).unwrap().uid() == 0 {
        std::os::unix::fs::chown(&temporary, Some(65534), Some(65534)).unwrap();
        child.uid(65534).gid(65534).current_dir("/");
    }
    match child.output() {
        Ok(output) => assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout)),
        Err(error) => eprintln!("skipped: an ordinary user cannot run the test: {error}"),
    }
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(names(&folder), ["installed.db", "installed.db-journal"]);
    assert_eq!(names(&temporary), Vec::<String>::new());
    assert!([fs::read(&file).unwrap(), fs::read(journal(&file)).unwrap()] == before, "C24: a reader changes nothing");
}

#[test]
fn c24_a_reader_goes_on_through_a_crash_and_its_repair() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("other");
    fs::create_dir(&folder).unwrap();
    let half = crashed(&folder);
    let file = home.path().join("installed.db");
    write(&file).finish(&rows(1, packages(0..300))).unwrap();
    let reader = read(&file);
    assert_old(&*reader);
    fs::copy(&half, &file).unwrap();
    fs::copy(journal(&half), journal(&file)).unwrap();
    assert_old(&*reader);
    assert_old(&*read(&file));
    assert!(journal(&file).exists(), "C24: a reader puts nothing right");
    let mut writer = write(&file);
    assert!(!journal(&file).exists());
    assert_old(&*reader);
    writer.finish(&rows(2, packages(300..310))).unwrap();
    assert!(reader.recorded(&rows(2, vec![]).transaction.id).unwrap(), "C24: and sees what came after");
    assert_eq!(reader.installed().unwrap().len(), 310);
}

#[test]
fn c24_a_journal_that_was_only_begun_is_cleared() {
    for begun in [0, 512] {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("installed.db");
        write(&file).finish(&rows(1, packages(0..300))).unwrap();
        let before = fs::read(&file).unwrap();
        fs::write(journal(&file), vec![0; begun]).unwrap();
        assert_old(&*read(&file));
        assert!(journal(&file).exists(), "C24: a reader clears nothing");
        assert_old(&*write(&file));
        assert!(!journal(&file).exists(), "C24: {begun} bytes of a journal are left for nobody");
        assert!(fs::read(&file).unwrap() == before, "C24: and the record is as it was");
    }
}

#[test]
fn c24_what_is_too_large_is_not_copied() {
    let home = tempfile::tempdir().unwrap();
    let file = crashed(home.path());
    let size = fs::metadata(journal(&file)).unwrap().len();
    let grow = |size| fs::File::options().write(true).open(journal(&file)).unwrap().set_len(size).unwrap();
    // Both files together; the journal's end is a hole.
    let most = (256 << 20) - fs::metadata(&file).unwrap().len();
    grow(most);
    assert_old(&*read(&file));
    grow(most + 1);
    let error = FORMAT.open_installed(&file, Access::Read).unwrap_err();
    assert_eq!(error.kind, StorageErrorKind::Limit, "C24 {}", whole(&error));
    assert!(error.hint.as_ref().unwrap().contains("cut off"), "C24 {}", whole(&error));
    grow(size);
    assert_old(&*read(&file));
    assert_old(&*write(&file));
}

/// The paths of the package that the next tests replace over and over.
const PATHS: usize = 10_000;

/// A transaction after whose end all paths of the package speak of this number.
fn generation(number: u64) -> Rows {
    let mut rows = rows(number, vec![package("big")]);
    rows.installed[0].files = (0..PATHS)
        .map(|at| FileRecord {
            path: format!("opt/big/data/usr/share/something/long/file-{at}").parse().unwrap(),
            made_by: MadeBy::Hook,
            kind: FileKind::Symlink { asked: String::new(), stored: number.to_string() },
            displaced: None,
        })
        .collect();
    rows
}

/// The number of which all paths speak.
fn seen(storage: &dyn Storage) -> u64 {
    let files = storage.files(&name("big")).unwrap_or_else(|error| panic!("C20: {}", whole(&error)));
    assert_eq!(files.len(), PATHS, "C20: all paths");
    let number = |file: &FileRecord| match &file.kind {
        FileKind::Symlink { stored, .. } => stored.parse::<u64>().unwrap(),
        other => panic!("{other:?}"),
    };
    assert!(files.windows(2).all(|pair| number(&pair[0]) == number(&pair[1])), "C20: of one transaction");
    number(&files[0])
}

const WRITER: &str = "PACKETS_TEST_WRITER_FILE";

/// The part of the next tests that writes until it is killed.
#[test]
fn c20_writing_child() {
    let Some(file) = std::env::var_os(WRITER).map(PathBuf::from) else { return };
    let mut storage = write(&file);
    let last: TransactionId = storage.history(1).unwrap()[0].id.clone();
    let last = u64::from_str_radix(last.as_str(), 16).unwrap();
    for number in last + 1.. {
        storage.finish(&generation(number)).unwrap();
    }
}

fn writer(file: &Path) -> Child {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "c20_writing_child"]).env(WRITER, file);
    child.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    child.spawn().unwrap()
}

/// Reads until `end`, with a new open and with one that stays; the answer is how often,
/// how many generations were seen, and the longest wait.
fn reads(file: &Path, end: Instant) -> (usize, usize, Duration) {
    let stays = read(file);
    let (mut last, mut count, mut generations, mut longest) = (0, 0, 0, Duration::ZERO);
    while Instant::now() < end {
        for storage in [&read(file), &stays] {
            let start = Instant::now();
            let number = seen(&**storage);
            longest = longest.max(start.elapsed());
            assert!(number >= last, "C20: never back");
            generations += usize::from(number > last);
            count += 1;
            last = number;
        }
    }
    (count, generations, longest)
}

#[test]
fn c20_readers_beside_a_writer_see_old_or_new() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("installed.db");
    write(&file).finish(&generation(1)).unwrap();
    let mut writer = writer(&file);
    let end = Instant::now() + Duration::from_secs(2);
    let readers: Vec<_> = (0..2)
        .map(|_| {
            let file = file.clone();
            thread::spawn(move || reads(&file, end))
        })
        .collect();
    for reader in readers {
        let (count, generations, longest) = reader.join().unwrap();
        assert!(count > 4 && generations > 1, "C20: {count} reads of {generations} generations");
        assert!(longest < Duration::from_secs(10), "C20: a wait of {longest:?}");
    }
    assert!(writer.try_wait().unwrap().is_none(), "C20: the writer was not stopped by readers");
    writer.kill().unwrap();
    writer.wait().unwrap();
}

/// Stops a writer for good wherever it is, and reads; the answer is the longest wait, and how often the journal
/// was there.
fn stops(file: &Path, writer: &Child, rounds: u64) -> (Duration, u32) {
    let id = rustix::process::Pid::from_child(writer);
    let send = |signal| rustix::process::kill_process(id, signal).unwrap();
    let stays = read(file);
    let (mut last, mut longest, mut amid) = (0, Duration::ZERO, 0);
    for round in 0..rounds {
        thread::sleep(Duration::from_micros(round * 7919 % 60_000));
        send(rustix::process::Signal::STOP);
        amid += u32::from(journal(file).exists());
        for open_anew in [true, false] {
            let start = Instant::now();
            let number = if open_anew { seen(&*read(file)) } else { seen(&*stays) };
            longest = longest.max(start.elapsed());
            assert!(number >= last, "C20: never back");
            last = number;
        }
        if round % 5 == 0 {
            let copy = file.with_extension("copy");
            stays.copy_to(&copy).unwrap_or_else(|error| panic!("C20: {}", whole(&error)));
            assert_eq!(seen(&*read(&copy)), last, "C20");
        }
        send(rustix::process::Signal::CONT);
    }
    (longest, amid)
}

#[test]
fn c20_readers_beside_a_writer_that_stands_still_see_old_or_new() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("installed.db");
    write(&file).finish(&generation(1)).unwrap();
    let mut writer = writer(&file);
    let (longest, amid) = stops(&file, &writer, 40);
    assert!(amid > 0, "C20: a writer stood still in the middle of a write");
    assert!(longest < MOST_PATIENCE, "C20: a wait of {longest:?}");
    assert!(writer.try_wait().unwrap().is_none(), "C20: the writer was not stopped by readers");
    writer.kill().unwrap();
    writer.wait().unwrap();
}

/// What a reader may take beside a writer that stands still, on a machine that has other things to do as well.
const MOST_PATIENCE: Duration = Duration::from_secs(5);

/// Whether the journal is complete, and so the write to the record may have begun.
fn has_begun(journal: &Path) -> bool {
    let mut first = [0];
    fs::File::open(journal).and_then(|mut file| file.read_exact(&mut first)).is_ok_and(|()| first != [0])
}

#[test]
fn c20_readers_beside_writers_that_are_killed_see_old_or_new() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("installed.db");
    write(&file).finish(&generation(1)).unwrap();
    let end = Instant::now() + Duration::from_secs(3);
    let readers: Vec<_> = (0..2)
        .map(|_| {
            let file = file.clone();
            thread::spawn(move || reads(&file, end))
        })
        .collect();
    let mut cut_off = 0;
    for round in 0_u64.. {
        if Instant::now() > end {
            break;
        }
        let mut writer = writer(&file);
        if round % 4 == 3 {
            thread::sleep(Duration::from_millis(60 + round * 37 % 150));
        } else {
            let latest = Instant::now() + Duration::from_millis(500);
            while !has_begun(&journal(&file)) && Instant::now() < latest {
                thread::sleep(Duration::from_micros(200));
            }
        }
        writer.kill().unwrap();
        writer.wait().unwrap();
        cut_off += u32::from(has_begun(&journal(&file)));
        thread::sleep(Duration::from_millis(round * 13 % 40));
    }
    for reader in readers {
        let (count, _, longest) = reader.join().unwrap();
        assert!(count > 4, "C20: {count} reads");
        assert!(longest < Duration::from_secs(10), "C20: a wait of {longest:?}");
    }
    assert!(cut_off > 0, "C20: a writer was killed in the middle of a write");
    let found = content(&*read(&file));
    let storage = write(&file);
    assert!(content(&*storage) == found);
    seen(&*storage);
}
