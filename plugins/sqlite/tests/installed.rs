//! The record of installed packages: version 1's, damaged ones, and those that a
//! crash left (catalogue C24).
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure here is a failure of the test")]
#![allow(clippy::disallowed_methods, reason = "the test makes and looks at files of its own")]
#![expect(clippy::print_stderr, reason = "a test that cannot run says so")]

mod support;

use std::cell::RefCell;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use packets_plugin_api::conformance::storage::NothingToAdopt;
use packets_plugin_api::ident::{Digest, PackageName};
use packets_plugin_api::relpath::RelPath;
use packets_plugin_api::storage::{
    Access, Adopted, Adopter, FileKind, FileRecord, InstalledPackage, InstalledRow, MadeBy, Origin, Reason, Rows,
    Storage, StorageError, StorageErrorKind, StorageFormat,
};
use rusqlite::Connection;
use support::record::{content, link, name, package, read, rows, write};
use support::{FORMAT, INSTALLED_V1, database, run, whole};

/// Answers for every package, and remembers which it was asked for.
#[derive(Default)]
struct Host {
    asked: RefCell<Vec<String>>,
    fails_for: Option<&'static str>,
}

impl Adopter for Host {
    fn adopt(&self, name: &PackageName) -> Result<Adopted, StorageError> {
        self.asked.borrow_mut().push(name.to_string());
        if self.fails_for == Some(name.as_str()) {
            return Err(StorageError::new(StorageErrorKind::Io, "cannot read the folder"));
        }
        let kind = FileKind::File { mode: 0o644, size: 40, sha256: Digest::from_bytes([5; 32]) };
        let manifest: RelPath = format!("opt/packets/{name}/manifest.toml").parse().unwrap();
        let manifest = FileRecord { path: manifest, made_by: MadeBy::Data, kind, displaced: None };
        Ok(Adopted {
            folder: format!("opt/packets/{name}").parse().unwrap(),
            description: format!("about {name}"),
            files: vec![manifest, link(&format!("usr/bin/{name}"))],
        })
    }
}

fn v1(folder: &Path) -> PathBuf {
    let rows = "INSERT INTO packages VALUES('zlib', '1.3', '', 'zlib', '', 3);
        INSERT INTO packages VALUES('go1.24.4', '1.24.4', 'pcre2  zlib', 'go', '1f84ca15-5077', 12);
        INSERT INTO packages(realname, version, family) VALUES('pcre2', '10', '');";
    database(folder, "installed.db", &format!("{INSTALLED_V1}{rows}"))
}

#[test]
fn v1s_record_is_read_as_it_is() {
    let home = tempfile::tempdir().unwrap();
    let file = v1(home.path());
    let before = fs::read(&file).unwrap();
    let storage = read(&file);
    let names: Vec<_> = storage.installed().unwrap().iter().map(|package| package.name.to_string()).collect();
    assert_eq!(names, ["go1.24.4", "pcre2", "zlib"]);
    let go = storage.package(&name("go1.24.4")).unwrap().unwrap();
    assert_eq!((go.alias, go.serial, go.digest), (Some(name("go")), 12, None));
    assert_eq!(go.requires, ["pcre2", "zlib"].map(|text| text.parse().unwrap()));
    assert_eq!((go.folder, go.installed_at, go.reason), (RelPath::root(), 0, Reason::Asked));
    assert_eq!(storage.package(&name("zlib")).unwrap().unwrap().alias, None, "its own name is no alias");
    assert_eq!(storage.files(&name("zlib")).unwrap(), []);
    assert_eq!(storage.owners(&"usr/bin/zlib".parse().unwrap()).unwrap(), []);
    assert_eq!(storage.history(5).unwrap(), []);
    drop(storage);
    assert!(fs::read(&file).unwrap() == before, "reading migrates nothing");
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1);
}

#[test]
fn v1s_record_is_migrated_and_v1_reads_on() {
    let home = tempfile::tempdir().unwrap();
    let file = v1(home.path());
    let host = Host::default();
    let mut storage = FORMAT.open_installed(&file, Access::Write(&host)).unwrap();
    assert_eq!(*host.asked.borrow(), ["go1.24.4", "pcre2", "zlib"], "the host is asked for each");
    let go = storage.package(&name("go1.24.4")).unwrap().unwrap();
    assert_eq!((go.description.as_str(), go.folder.as_str()), ("about go1.24.4", "opt/packets/go1.24.4"));
    assert_eq!((go.installed_size, go.digest), (40, None));
    assert_eq!(go.requires, ["pcre2", "zlib"].map(|text| text.parse().unwrap()));
    assert_eq!(storage.files(&name("zlib")).unwrap().len(), 2);
    let owners = storage.owners(&"usr/bin/zlib".parse().unwrap()).unwrap();
    assert_eq!(owners, [(name("zlib"), MadeBy::Hook)]);

    let mut tool = package("tool");
    tool.requires = vec!["go>=1.20".parse().unwrap(), "pcre2 | other".parse().unwrap()];
    let mut first = rows(1, vec![tool]);
    first.gone = vec![name("zlib")];
    storage.finish(&first).unwrap();
    drop(storage);
    let v1 = Connection::open(&file).unwrap();
    let mut statement = v1.prepare("SELECT * FROM packages ORDER BY realname").unwrap();
    assert_eq!(
        statement.column_names().collect::<Vec<_>>(),
        ["realname", "version", "dependencies", "name", "family", "serial"],
        "v1's table has v1's columns"
    );
    let found: Vec<(String, String, String)> = statement
        .query_map([], |row| {
            Ok((
                row.get(0)?,
                row.get::<_, Option<String>>(2)?.unwrap_or_default(),
                row.get::<_, Option<String>>(3)?.unwrap_or_default(),
            ))
        })
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let expected = [("go1.24.4", "pcre2 zlib", "go"), ("pcre2", "", ""), ("tool", "go1.24.4 pcre2", "tool")];
    let expected = expected.map(|(a, b, c)| (a.to_owned(), b.to_owned(), c.to_owned()));
    assert_eq!(found, expected, "dependencies are names of packages; what is gone keeps its name");
}

#[test]
fn a_migration_is_whole_or_not_at_all() {
    let home = tempfile::tempdir().unwrap();
    let file = v1(home.path());
    let before = fs::read(&file).unwrap();
    let host = Host { fails_for: Some("zlib"), ..Host::default() };
    let error = FORMAT.open_installed(&file, Access::Write(&host)).unwrap_err();
    assert_eq!(error.to_string(), "cannot read the folder");
    assert!(fs::read(&file).unwrap() == before, "a failed adoption leaves the file byte for byte");
    assert_eq!(read(&file).installed().unwrap().len(), 3);
    FORMAT.open_installed(&file, Access::Write(&Host::default())).unwrap();
    let host = Host::default();
    FORMAT.open_installed(&file, Access::Write(&host)).unwrap();
    assert!(host.asked.borrow().is_empty(), "what is adopted is not adopted again");
}

#[test]
fn what_v1_did_after_the_migration_is_noticed() {
    let home = tempfile::tempdir().unwrap();
    let file = v1(home.path());
    FORMAT.open_installed(&file, Access::Write(&Host::default())).unwrap();
    run(
        &file,
        "INSERT INTO packages VALUES('new', '1', 'pcre2', 'new', '', 9); DELETE FROM packages WHERE realname = 'zlib';",
    );
    let storage = read(&file);
    let new = storage.package(&name("new")).unwrap().unwrap();
    assert_eq!((new.folder, new.requires.len()), (RelPath::root(), 1));
    assert!(storage.package(&name("zlib")).unwrap().is_none());
    let host = Host::default();
    let storage = FORMAT.open_installed(&file, Access::Write(&host)).unwrap();
    assert_eq!(*host.asked.borrow(), ["new"]);
    assert_eq!(storage.files(&name("new")).unwrap().len(), 2);
    assert_eq!(storage.owners(&"usr/bin/zlib".parse().unwrap()).unwrap(), [], "v1 took its package away");
}

#[test]
fn v1s_column_follows_what_is_installed() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("installed.db");
    let mut storage = write(&file);
    let mut tool = package("tool");
    tool.requires = vec!["lib>=1".parse().unwrap(), "virtual".parse().unwrap()];
    let release = |text: &str, version: &str| InstalledPackage {
        alias: Some(name("lib")),
        version: version.parse().unwrap(),
        ..package(text)
    };
    let provider = InstalledPackage { provides: vec![name("virtual")], ..package("provider") };
    storage.finish(&rows(1, vec![tool, release("lib-1", "1"), provider])).unwrap();
    let column = || -> String {
        let v1 = Connection::open(&file).unwrap();
        v1.query_row("SELECT dependencies FROM packages WHERE realname = 'tool'", [], |row| row.get(0)).unwrap()
    };
    assert_eq!(column(), "lib-1 provider");
    let mut second = rows(2, vec![release("lib-2", "2")]);
    second.gone = vec![name("lib-1")];
    storage.finish(&second).unwrap();
    assert_eq!(column(), "lib-2 provider", "also of packages that the transaction did not name");
}

#[test]
fn later_schemas_are_refused() {
    let home = tempfile::tempdir().unwrap();
    for version in [5, 99, -1] {
        let file = home.path().join(format!("{version}.db"));
        drop(write(&file));
        run(&file, &format!("PRAGMA user_version = {version}"));
        let before = fs::read(&file).unwrap();
        for access in [Access::Read, Access::Write(&NothingToAdopt)] {
            let error = FORMAT.open_installed(&file, access).unwrap_err();
            assert_eq!(error.kind, StorageErrorKind::Unknown, "{version}");
            assert!(error.hint.is_some());
        }
        assert!(fs::read(&file).unwrap() == before);
    }
}

#[test]
fn c24_files_that_are_no_record() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("installed.db");
    let whole_record = {
        let other = home.path().join("other.db");
        write(&other).finish(&rows(1, vec![package("a")])).unwrap();
        fs::read(other).unwrap()
    };
    let foreign = fs::read(database(home.path(), "foreign.db", "CREATE TABLE t(x); INSERT INTO t VALUES(1);")).unwrap();
    let cut = &whole_record[..whole_record.len() / 2];
    for (case, content) in [
        ("text", &b"this is a text, and no database at all"[..]),
        ("zeros", &[0; 8192]),
        ("another program's", &foreign),
        ("cut off", cut),
    ] {
        fs::write(&file, content).unwrap();
        for access in [Access::Read, Access::Write(&NothingToAdopt)] {
            let error = match FORMAT.open_installed(&file, access) {
                Ok(storage) => storage.installed().expect_err(case),
                Err(error) => error,
            };
            assert_eq!(error.kind, StorageErrorKind::Corrupt, "C24 {case}: {}", whole(&error));
            assert!(error.to_string().contains(file.to_str().unwrap()), "C24 {case}");
        }
        assert!(fs::read(&file).unwrap() == content, "C24 {case}: left as it is");
    }
    fs::write(&file, "").unwrap();
    assert_eq!(read(&file).installed().unwrap(), [], "an empty file is one that was only just made");
    assert!(FORMAT.open_installed(home.path(), Access::Read).is_err(), "C24 a folder");
}

#[test]
fn c24_damaged_rows_are_named() {
    let home = tempfile::tempdir().unwrap();
    let good = home.path().join("good.db");
    write(&good).finish(&rows(1, vec![package("victim"), package("other")])).unwrap();
    let details = "UPDATE package_details SET";
    let file_row = "UPDATE files SET";
    for (case, sql) in [
        ("version", "UPDATE packages SET version = '' WHERE realname = 'victim'".to_owned()),
        ("alias", "UPDATE packages SET name = '../x' WHERE realname = 'victim'".to_owned()),
        ("serial", "UPDATE packages SET serial = -1 WHERE realname = 'victim'".to_owned()),
        ("serial as text", "UPDATE packages SET serial = 'x' WHERE realname = 'victim'".to_owned()),
        ("requires", format!("{details} requires = '[' WHERE realname = 'victim'")),
        ("provides", format!("{details} provides = '[\"a b\"]' WHERE realname = 'victim'")),
        ("sha256", format!("{details} sha256 = x'00' WHERE realname = 'victim'")),
        ("sha256 as text", format!("{details} sha256 = 'x' WHERE realname = 'victim'")),
        ("reason", format!("{details} reason = 'because' WHERE realname = 'victim'")),
        ("folder", format!("{details} folder = '../../etc' WHERE realname = 'victim'")),
        ("folder, absolute", format!("{details} folder = '/etc' WHERE realname = 'victim'")),
        ("installed_at", format!("{details} installed_at = 1.5 WHERE realname = 'victim'")),
        ("path", format!("{file_row} path = '../victim' WHERE path = 'usr/bin/victim'")),
        ("kind", format!("{file_row} kind = 'device' WHERE path = 'usr/bin/victim'")),
        ("target", format!("{file_row} target = NULL WHERE path = 'usr/bin/victim'")),
        ("mode", format!("{file_row} kind = 'folder', mode = 65535 WHERE path = 'usr/bin/victim'")),
        ("file without sha256", format!("{file_row} kind = 'file', mode = 0, size = 1 WHERE path = 'usr/bin/victim'")),
        ("size", format!("{file_row} kind = 'file', mode = 0, size = -1 WHERE path = 'usr/bin/victim'")),
        ("made_by", format!("{file_row} made_by = 'magic' WHERE path = 'usr/bin/victim'")),
        ("displaced", format!("{file_row} displaced = '/x' WHERE path = 'usr/bin/victim'")),
    ] {
        let file = home.path().join("bad.db");
        fs::copy(&good, &file).unwrap();
        run(&file, &sql);
        let storage = read(&file);
        let error = storage.package(&name("victim")).and_then(|_| storage.files(&name("victim"))).expect_err(case);
        assert_eq!(error.kind, StorageErrorKind::Corrupt, "C24 {case}");
        assert!(whole(&error).contains("victim\""), "C24 {case}: {}", whole(&error));
        assert!(storage.package(&name("other")).unwrap().is_some(), "C24 {case}: the others are whole");
    }
}

#[test]
fn c24_journals_that_hold_nothing() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("installed.db");
    write(&file).finish(&rows(1, vec![package("a")])).unwrap();
    for content in [&b""[..], &[0; 512]] {
        fs::write(home.path().join("installed.db-journal"), content).unwrap();
        assert_eq!(read(&file).installed().unwrap().len(), 1, "C24");
        assert_eq!(write(&file).installed().unwrap().len(), 1, "C24");
    }
}

#[test]
fn c24_a_lock_that_is_let_go_is_waited_for() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("installed.db");
    let mut storage = write(&file);
    let other = Connection::open(&file).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let holder = thread::spawn(move || {
        thread::sleep(Duration::from_millis(300));
        other.execute_batch("ROLLBACK").unwrap();
    });
    assert_eq!(read(&file).installed().unwrap(), [], "C24 BUSY");
    storage.finish(&rows(1, vec![package("a")])).unwrap();
    holder.join().unwrap();
}

const CHILD: &str = "PACKETS_TEST_READ_ONLY_FILE";

/// The part of the next test that runs as an ordinary user.
#[test]
fn c24_read_only_child() {
    let Some(file) = std::env::var_os(CHILD).map(PathBuf::from) else { return };
    let storage = read(&file);
    assert_eq!(storage.installed().unwrap().len(), 1);
    assert_eq!(storage.files(&name("a")).unwrap().len(), 1);
    let error = FORMAT
        .open_installed(&file, Access::Write(&NothingToAdopt))
        .map(|mut storage| storage.finish(&rows(2, vec![])));
    let error = error.and_then(|finished| finished).unwrap_err();
    assert_eq!(error.kind, StorageErrorKind::Io, "C24 READONLY {}", whole(&error));
    let absent = file.with_file_name("absent.db");
    let error = FORMAT.open_installed(&absent, Access::Write(&NothingToAdopt)).unwrap_err();
    assert_eq!(error.kind, StorageErrorKind::Io, "C24 READONLY {}", whole(&error));
    assert!(!absent.exists());
}

#[test]
fn c24_a_folder_that_only_its_owner_may_write() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("installed.db");
    write(&file).finish(&rows(1, vec![package("a")])).unwrap();
    let before = fs::read(&file).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o444)).unwrap();
    fs::set_permissions(home.path(), fs::Permissions::from_mode(0o555)).unwrap();
    let program = std::env::current_exe().unwrap();
    let mut child = Command::new(&program);
    child.args(["--exact", "c24_read_only_child"]).env(CHILD, &file);
    if fs::metadata(home.path()).unwrap().uid() == 0 {
        child.uid(65534).gid(65534);
        child.current_dir("/");
    }
    match child.output() {
        Ok(output) => assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout)),
        Err(error) => eprintln!("skipped: an ordinary user cannot run {}: {error}", program.display()),
    }
    fs::set_permissions(home.path(), fs::Permissions::from_mode(0o755)).unwrap();
    assert!(fs::read(&file).unwrap() == before);
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1);
}

#[test]
fn odd_paths_are_paths() {
    let home = tempfile::tempdir().unwrap();
    for odd in ["file:a?mode=memory", "b c#d", ":memory:", "e%41"] {
        let file = home.path().join(odd);
        write(&file).finish(&rows(1, vec![package("a")])).unwrap();
        assert!(file.is_file(), "{odd}");
        assert_eq!(read(&file).installed().unwrap().len(), 1, "{odd}");
    }
}

/// A record as the schema with the number 1 had it, with one package and one transaction.
fn number_1(folder: &Path) -> PathBuf {
    let schema = include_str!("../src/schema/1.sql");
    let rows = "INSERT INTO packages VALUES('a', '1', '', 'a', '', 1);
        INSERT INTO package_details VALUES(1, 'a', '', '[]', '[]', '[]', NULL, 'asked', 'opt/a', 5, 6);
        INSERT INTO files VALUES(1, 'usr/bin/a', 'hook', 'symlink', NULL, NULL, NULL, '/x', '../x', NULL);
        INSERT INTO transactions VALUES(4, '00000000000000aa', 1, 'install', '[\"a line\"]');
        PRAGMA user_version = 1;";
    database(folder, "installed.db", &format!("{INSTALLED_V1}{schema}{rows}"))
}

#[test]
fn number_1_is_read_as_it_is_and_becomes_the_newest() {
    let home = tempfile::tempdir().unwrap();
    let file = number_1(home.path());
    let before = fs::read(&file).unwrap();
    let reader = read(&file);
    let old = content(&*reader);
    let history = reader.history(9).unwrap();
    assert_eq!(history.len(), 1);
    assert_eq!((history[0].origins.len(), &history[0].undoes, history[0].command.as_str()), (0, &None, "install"));
    assert!(reader.recorded(&history[0].id).unwrap());
    reader.copy_to(&home.path().join("copy.db")).unwrap();
    assert!(fs::read(&file).unwrap() == before, "reading migrates nothing");

    let mut storage = write(&file);
    assert!(content(&*storage) == old, "a migration changes nothing that was recorded");
    let number = |file: &Path| -> i64 {
        Connection::open(file).unwrap().query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap()
    };
    assert_eq!((number(&file), number(&home.path().join("copy.db"))), (4, 1));
    let mut next = rows(7, vec![package("b")]);
    next.transaction.undoes = Some(history[0].id.clone());
    next.transaction.origins = vec![Origin { package: name("b"), source: "there".to_owned() }];
    storage.finish(&next).unwrap();
    assert_eq!(read(&file).history(1).unwrap(), [next.transaction]);
    assert_eq!(reader.history(9).unwrap().len(), 2, "a reader from before the migration goes on");
}

#[test]
fn owners_are_found_by_each_schema() {
    let home = tempfile::tempdir().unwrap();
    let file = number_1(home.path());
    for (id, name, folder, path) in [
        (1, "a", "opt/a", "opt/a/data/ä"),
        (1, "a", "opt/a", "opt/a"),
        (1, "a", "opt/a", "opt/ab"),
        (1, "a", "opt/a", "srv/x"),
        (2, "top", "", "srv/x"),
    ] {
        run(
            &file,
            &format!(
                "INSERT OR IGNORE INTO packages VALUES('{name}', '1', '', '{name}', '', 2);
                INSERT OR IGNORE INTO package_details VALUES({id}, '{name}', '', '[]', '[]', '[]', NULL, 'asked', '{folder}', 5, 6);
                INSERT INTO files VALUES({id}, '{path}', 'data', 'folder', 493, NULL, NULL, NULL, NULL, NULL);"
            ),
        );
    }
    let owners = |storage: &dyn Storage| -> Vec<Vec<(PackageName, MadeBy)>> {
        let paths = ["opt/a/data/ä", "opt/a", "opt/ab", "srv/x", "usr/bin/a", "opt/a/data", "opt", "srv/x/y"];
        paths.iter().map(|path| storage.owners(&path.parse().unwrap()).unwrap()).collect()
    };
    let (reader, before) = (read(&file), owners(&*read(&file)));
    assert_eq!(before.iter().map(Vec::len).collect::<Vec<_>>(), [1, 1, 1, 2, 1, 0, 0, 0]);
    let mut storage = write(&file);
    assert_eq!(owners(&*storage), before, "as they were migrated");
    assert_eq!(owners(&*reader), before, "by a reader from before");
    let row = |package: InstalledPackage| {
        let files = storage.files(&package.name).unwrap();
        InstalledRow { package, files }
    };
    let installed = storage.installed().unwrap().into_iter().map(row).collect();
    storage.finish(&Rows { installed, ..rows(9, Vec::new()) }).unwrap();
    assert_eq!(owners(&*storage), before, "as they are written");
}

#[test]
fn each_way_to_the_newest_schema_ends_the_same() {
    let home = tempfile::tempdir().unwrap();
    let schema = |file: &Path| -> Vec<(String, String)> {
        let connection = Connection::open(file).unwrap();
        let mut statement =
            connection.prepare("SELECT name, coalesce(sql, '') FROM sqlite_schema ORDER BY name").unwrap();
        statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect()
    };
    let new = home.path().join("new.db");
    drop(write(&new));
    for make in [v1, number_1] {
        let folder = tempfile::tempdir().unwrap();
        let file = make(folder.path());
        FORMAT.open_installed(&file, Access::Write(&Host::default())).unwrap();
        assert_eq!(schema(&file), schema(&new));
    }
}

#[test]
fn a_migration_from_number_1_is_whole_or_not_at_all() {
    let home = tempfile::tempdir().unwrap();
    let file = number_1(home.path());
    run(&file, "INSERT INTO packages VALUES('new', '1', '', 'new', '', 9)");
    let before = fs::read(&file).unwrap();
    let host = Host { fails_for: Some("new"), ..Host::default() };
    FORMAT.open_installed(&file, Access::Write(&host)).unwrap_err();
    assert!(fs::read(&file).unwrap() == before, "a failed adoption takes the new columns back");
    FORMAT.open_installed(&file, Access::Write(&Host::default())).unwrap();
    assert_eq!(read(&file).files(&name("new")).unwrap().len(), 2);
}

#[test]
fn c24_damaged_rows_of_the_history_are_named() {
    let home = tempfile::tempdir().unwrap();
    let good = home.path().join("good.db");
    write(&good).finish(&rows(0xab, vec![package("a")])).unwrap();
    for sql in [
        "origins = 'x'",
        "origins = '[{\"package\": \"../x\", \"source\": \"\"}]'",
        "origins = '[{\"package\": \"x\"}]'",
        "origins = x'00'",
        "undoes = 'the last one'",
        "undoes = 5.5",
        "id = '../../etc'",
        "summary = '{}'",
    ] {
        let file = home.path().join("bad.db");
        fs::copy(&good, &file).unwrap();
        run(&file, &format!("UPDATE transactions SET {sql}"));
        let error = read(&file).history(9).expect_err(sql);
        assert_eq!(error.kind, StorageErrorKind::Corrupt, "C24 {sql}");
        assert!(whole(&error).contains("damaged"), "C24 {sql}: {}", whole(&error));
    }
}

/// The write waits for another program, and its end for the copy: the copy must wait for neither for ever.
#[test]
fn c24_a_copy_waits_for_no_write_of_its_own_process() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("installed.db");
    let mut writer = write(&file);
    writer.finish(&rows(1, vec![package("a")])).unwrap();
    let reader = writer.reader().unwrap();
    let other = Connection::open(&file).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let (tell, told) = mpsc::channel();
    let copy = home.path().join("copy.db");
    thread::scope(|scope| {
        let next = rows(2, vec![package("b")]);
        let writing = scope.spawn(move || {
            let happens = &mut || told.recv_timeout(Duration::from_secs(30)).expect("the copy has come to an end");
            writer.finish_when(&next, happens).unwrap()
        });
        let copying = scope.spawn(move || {
            let copied = reader.copy_to(&copy);
            tell.send(true).unwrap();
            copied
        });
        thread::sleep(Duration::from_secs(1));
        other.execute_batch("ROLLBACK").unwrap();
        copying.join().unwrap().expect("C24: what was locked is copied when it is let go");
        assert!(writing.join().unwrap(), "C24: and the rows are recorded all the same");
    });
    assert_eq!(read(&home.path().join("copy.db")).installed().unwrap()[0].name, name("a"));
}

#[test]
fn c24_a_write_to_one_file_keeps_nobody_from_another() {
    let home = tempfile::tempdir().unwrap();
    let mut writer = write(&home.path().join("written.db"));
    // Files share locks by their names: three of them cannot all have that of the one that is written.
    let locked: Vec<_> = (0..3).map(|number| home.path().join(format!("{number}.db"))).collect();
    let holders: Vec<_> = locked
        .iter()
        .map(|file| {
            drop(write(file));
            let other = Connection::open(file).unwrap();
            other.execute_batch("BEGIN EXCLUSIVE").unwrap();
            other
        })
        .collect();
    let happens = &mut || {
        let is_read = |file: &PathBuf| FORMAT.open_installed(file, Access::Read).is_ok();
        assert!(locked.iter().any(is_read), "C24: whoever keeps another file to himself is not waited for");
        true
    };
    let next = rows(1, vec![package("a")]);
    assert!(writer.finish_when(&next, happens).unwrap());
    drop(holders);
}
