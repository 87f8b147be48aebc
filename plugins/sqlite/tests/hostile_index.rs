//! Indexes that someone made to do harm (catalogue M12-M14, M24-M29).
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure here is a failure of the test")]
#![allow(clippy::disallowed_methods, reason = "the test makes and looks at files of its own")]

mod support;

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, Instant};

use packets_plugin_api::storage::{IndexEntry, StorageError, StorageErrorKind, StorageFormat};
use rusqlite::Connection;
use support::{FORMAT, INDEX_V1, database, entry, index_row, run, whole};

/// Both ways in refuse the file, and leave it as it is.
fn refused(case: &str, file: &Path) -> StorageError {
    let before = fs::read(file).unwrap();
    let error = FORMAT.open_index(file).err().unwrap_or_else(|| panic!("{case}: opened"));
    assert!(matches!(error.kind, StorageErrorKind::Corrupt | StorageErrorKind::Limit), "{case}: {}", whole(&error));
    assert!(error.to_string().contains(file.to_str().unwrap()), "{case}: {error} names the file");
    let verified = FORMAT.verify_index(file).expect_err(case);
    assert_eq!(verified.kind, error.kind, "{case}");
    assert!(fs::read(file).unwrap() == before, "{case}: the file has changed");
    error
}

#[test]
fn m24_schemas_that_run_code() {
    let home = tempfile::tempdir().unwrap();
    let row = index_row("a");
    let with = |from: &str, to: &str| {
        let sql = INDEX_V1.replace(from, to);
        assert_ne!(sql, INDEX_V1, "{from}");
        sql
    };
    let and = |sql: &str| format!("{INDEX_V1}{row}{sql}");
    let patched = |change: &str| and(&format!("PRAGMA writable_schema=ON; UPDATE sqlite_schema SET {change};"));
    let cases = [
        ("view", INDEX_V1.replace("packages", "hidden") + "CREATE VIEW packages AS SELECT * FROM hidden;"),
        ("view beside", and("CREATE VIEW v AS SELECT * FROM packages;")),
        ("trigger", and("CREATE TRIGGER t AFTER INSERT ON packages BEGIN SELECT load_extension('x'); END;")),
        (
            "generated, virtual",
            with("family TEXT NOT NULL", "family TEXT GENERATED ALWAYS AS (lower(version)) VIRTUAL"),
        ),
        ("generated, stored", with("family TEXT NOT NULL", "family TEXT NOT NULL, x AS (lower(version)) STORED")),
        ("check", with("family TEXT NOT NULL", "family TEXT NOT NULL CHECK (length(family) < 9)")),
        ("table check", with("AUTOINCREMENT)", "AUTOINCREMENT, CHECK (length(family) < 9))")),
        ("default expression", with("family TEXT NOT NULL", "family TEXT NOT NULL DEFAULT (lower('X'))")),
        ("collation", with("realname TEXT", "realname TEXT COLLATE NOCASE")),
        ("foreign key", with("family TEXT NOT NULL", "family TEXT NOT NULL REFERENCES other(x)")),
        ("partial index", and("CREATE INDEX i ON packages(name) WHERE length(name) > 3;")),
        ("expression index", and("CREATE INDEX i ON packages(lower(name));")),
        ("virtual table", "CREATE VIRTUAL TABLE packages USING fts5(name, realname, version);".to_owned()),
        ("virtual table beside", and("CREATE VIRTUAL TABLE t USING fts5(x);")),
        ("table beside", and("CREATE TABLE t(x);")),
        ("statistics", and("ANALYZE;")),
        ("strict", with("AUTOINCREMENT)", "AUTOINCREMENT) STRICT")),
        ("unique lost", with("UNIQUE", "")),
        ("column missing", with("mirrors TEXT NOT NULL,", "")),
        ("column of another spelling", with("mirrors", "MIRRORS")),
        ("no table", "CREATE TABLE x(y); DROP TABLE x;".to_owned()),
        ("other table", INDEX_V1.replace("packages", "package")),
        ("many indexes", and(&(0..30).map(|n| format!("CREATE INDEX i{n} ON packages(name);")).collect::<String>())),
        ("huge statement", with("(name TEXT,", &format!("(name TEXT, {}", "\n".repeat(100_000)))),
        (
            "patched to a view",
            patched("type = 'view', sql = 'CREATE VIEW packages AS SELECT 1' WHERE name = 'packages'"),
        ),
        ("patched sql", patched("sql = 'CREATE VIEW packages AS SELECT 1 AS name' WHERE name = 'packages'")),
        ("patched name", patched("name = 'packages2' WHERE name = 'packages'")),
        ("patched type", patched("type = 'trigger' WHERE name = 'packages'")),
        (
            "patched counter",
            patched("sql = 'CREATE TABLE sqlite_sequence(name,seq,x AS (1))' WHERE name = 'sqlite_sequence'"),
        ),
        ("patched root", patched("rootpage = 4000000 WHERE name = 'packages'")),
        ("patched nothing", patched("sql = NULL WHERE name = 'packages'")),
    ];
    for (case, sql) in cases {
        let file = database(home.path(), case, &sql);
        refused(&format!("M24 {case}"), &file);
    }
}

#[test]
fn m24_what_is_not_an_attack_opens() {
    let home = tempfile::tempdir().unwrap();
    let row = index_row("a");
    for (case, sql) in [
        ("v1", format!("{INDEX_V1}{row}")),
        ("plain index", format!("{INDEX_V1}{row}CREATE INDEX i ON packages(family, serial DESC);")),
        ("later columns", format!("{INDEX_V1}{row}ALTER TABLE packages ADD COLUMN later TEXT DEFAULT 'x';")),
        ("some of ours", format!("{INDEX_V1}{row}ALTER TABLE packages ADD COLUMN size INTEGER;")),
        ("utf-16", format!("PRAGMA encoding='UTF-16le';{INDEX_V1}{row}")),
        ("small pages", format!("PRAGMA page_size=512;{INDEX_V1}{row}")),
    ] {
        let file = database(home.path(), case, &sql);
        assert_eq!(FORMAT.verify_index(&file).unwrap_or_else(|error| panic!("{case}: {}", whole(&error))).packages, 1);
        let found = FORMAT.open_index(&file).unwrap().package(&"a".parse().unwrap()).unwrap().unwrap();
        assert_eq!((found.serial, found.alias, found.size), (1, None, None), "{case}");
    }
}

#[test]
fn m25_endless_queries_in_the_schema_never_run() {
    let home = tempfile::tempdir().unwrap();
    let columns = "1 AS name, x AS realname, 1 AS version, 1 AS hash, 1 AS description, 1 AS dependencies, \
        1 AS mirrors, 1 AS family, 1 AS serial";
    let endless = format!("WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT {columns} FROM c");
    let start = Instant::now();
    for (case, sql) in [
        ("endless view", format!("CREATE VIEW packages AS {endless};")),
        (
            "huge join",
            "CREATE VIEW packages AS SELECT 1 FROM sqlite_schema a, sqlite_schema b, sqlite_schema c;".into(),
        ),
    ] {
        refused(&format!("M25 {case}"), &database(home.path(), case, &sql));
    }
    assert!(start.elapsed() < Duration::from_secs(5), "M25");
}

fn sample(folder: &Path) -> std::path::PathBuf {
    let file = folder.join("sample.db");
    let entries: Vec<_> = (0..60)
        .map(|at| {
            let mut entry = entry(&format!("package-{at}"));
            entry.alias = Some(format!("alias-{}", at / 2).parse().unwrap());
            entry.provides = vec![format!("provided-{}", at / 3).parse().unwrap()];
            entry.family = format!("family-{}", at / 4).parse().unwrap();
            entry.requires = vec!["package-1>=1".parse().unwrap()];
            // Some rows reach into overflow pages.
            entry.description = "long ".repeat(if at % 20 == 0 { 1500 } else { 5 });
            entry
        })
        .collect();
    FORMAT.write_index(&file, &entries).unwrap();
    file
}

/// Asks everything of a damaged file: each answer is an answer or an error. Whether all were answers.
fn survives(file: &Path) -> bool {
    let verified = FORMAT.verify_index(file).is_ok();
    let Ok(index) = FORMAT.open_index(file) else { return false };
    let name = |text: &str| text.parse().unwrap();
    let answers = [
        index.package(&name("package-7")).is_ok(),
        index.aliased(&name("alias-9")).is_ok(),
        index.providing(&name("provided-11")).is_ok(),
        index.answering(&name("package-7")).is_ok(),
        index.family(&"family-3".parse().unwrap()).is_ok(),
        index.all().is_ok(),
        index.search(&["ackage".to_owned()]).is_ok(),
        index.names("pack", 10).is_ok(),
    ];
    assert!(!verified || answers.iter().all(|ok| *ok), "M26: what is verified can be searched without surprise");
    verified
}

#[test]
fn m26_flipped_bytes() {
    let home = tempfile::tempdir().unwrap();
    let good = fs::read(sample(home.path())).unwrap();
    let file = home.path().join("flipped.db");
    let mut refusals = 0;
    let is_structure = |at: usize| at < 120 || at % 4096 < 16;
    for at in (0..good.len()).filter(|at| is_structure(*at) || at % 211 == 0) {
        for change in [0x01, 0xff] {
            let mut bad = good.clone();
            bad[at] ^= change;
            fs::write(&file, &bad).unwrap();
            refusals += usize::from(!survives(&file));
        }
    }
    assert!(refusals > 100, "M26: {refusals} of the damaged files were refused");
}

#[test]
fn m26_truncations_and_lies_in_the_header() {
    let home = tempfile::tempdir().unwrap();
    let good = fs::read(sample(home.path())).unwrap();
    assert!(good.len() > 40_000, "{} bytes", good.len());
    let file = home.path().join("bad.db");
    for length in (0..good.len()).step_by(509) {
        fs::write(&file, &good[..length]).unwrap();
        assert!(!survives(&file), "M26 cut after {length} bytes");
    }
    for (case, at, bytes) in [
        ("page size 65536", 16, &[0, 1][..]),
        ("page size 512", 16, &[2, 0]),
        ("page size 0", 16, &[0, 0]),
        ("reserved space", 20, &[255]),
        ("encoding", 56, &[0, 0, 0, 2]),
        ("schema format", 44, &[0, 0, 0, 9]),
        ("later format", 18, &[9, 9]),
        ("magic", 0, b"SQLite format 4"),
        ("leaf kind of page 1", 100, &[2]),
    ] {
        let mut bad = good.clone();
        bad[at..at + bytes.len()].copy_from_slice(bytes);
        fs::write(&file, &bad).unwrap();
        assert!(!survives(&file), "M26 {case}");
    }
    for garbage in [&b""[..], b"garbage", &[0; 4096], &b"SQLite format 3\0".repeat(300)] {
        fs::write(&file, garbage).unwrap();
        refused("M26 garbage", &file);
    }
    assert!(FORMAT.open_index(home.path()).is_err(), "M26 a folder");
}

/// Found by the fuzzer: SQLite finds nothing wrong with an inner page of a look-up table that has no child, as
/// long as the table has no rows; the first look-up does.
#[test]
fn m26_a_look_up_table_without_a_leaf() {
    let home = tempfile::tempdir().unwrap();
    let file = database(home.path(), "index.db", INDEX_V1);
    let mut bytes = fs::read(&file).unwrap();
    assert_eq!(bytes[2 * 4096], 0x0a, "page 3 is the leaf of an index");
    bytes[2 * 4096] = 2;
    fs::write(&file, &bytes).unwrap();
    let error = FORMAT.verify_index(&file).expect_err("M26");
    assert_eq!(error.kind, StorageErrorKind::Corrupt, "{}", whole(&error));
}

#[test]
fn m26_an_index_that_lies_about_its_table() {
    let home = tempfile::tempdir().unwrap();
    let file = sample(home.path());
    // The look-up tables of realname and family change places.
    run(
        &file,
        "PRAGMA writable_schema=ON;
         UPDATE sqlite_schema SET rootpage = (SELECT sum(rootpage) FROM sqlite_schema
           WHERE name IN ('sqlite_autoindex_packages_1', 'packages_family')) - rootpage
         WHERE name IN ('sqlite_autoindex_packages_1', 'packages_family');",
    );
    assert_eq!(FORMAT.verify_index(&file).unwrap_err().kind, StorageErrorKind::Corrupt);
    let index = FORMAT.open_index(&file).unwrap();
    let found = index.package(&"family-3".parse().unwrap());
    assert_eq!(found.unwrap_err().kind, StorageErrorKind::Corrupt, "a look-up that leads elsewhere is noticed");
}

/// A file and a journal that would change it, as a crash leaves them.
fn crashed(folder: &Path, name: &str, sql: &str, change: &str) -> std::path::PathBuf {
    let living = database(folder, "living.db", sql);
    let connection = Connection::open(&living).unwrap();
    connection.execute_batch("PRAGMA cache_size=1; PRAGMA cache_spill=1; BEGIN IMMEDIATE;").unwrap();
    connection.execute_batch(change).unwrap();
    let file = folder.join(name);
    fs::copy(&living, &file).unwrap();
    fs::copy(folder.join("living.db-journal"), folder.join(format!("{name}-journal"))).unwrap();
    file
}

#[test]
fn m27_sidecars_are_ignored() {
    let home = tempfile::tempdir().unwrap();
    let rows: String = (0..200).map(|at| index_row(&format!("p{at}"))).collect();
    let file = crashed(
        home.path(),
        "index.db",
        &format!("{INDEX_V1}{rows}"),
        "UPDATE packages SET version = '6.6.6' || printf('%.100c', '0');",
    );
    let (journal, wal) = (home.path().join("index.db-journal"), home.path().join("index.db-wal"));
    let before = [fs::read(&file).unwrap(), fs::read(&journal).unwrap()];
    let _ = FORMAT.verify_index(&file);
    assert!([fs::read(&file).unwrap(), fs::read(&journal).unwrap()] == before, "M27: nothing is rolled back");

    let good = sample(home.path());
    fs::rename(&journal, home.path().join("sample.db-journal")).unwrap();
    fs::write(home.path().join("sample.db-wal"), [7; 5000]).unwrap();
    fs::create_dir(home.path().join("sample.db-shm")).unwrap();
    assert_eq!(FORMAT.verify_index(&good).unwrap().packages, 60, "M27");
    assert_eq!(FORMAT.open_index(&good).unwrap().all().unwrap().len(), 60, "M27");
    assert!(home.path().join("sample.db-journal").exists() && !wal.exists(), "M27: left where they are");
}

#[test]
fn m27_a_write_ahead_log_is_not_read() {
    let home = tempfile::tempdir().unwrap();
    let living = database(home.path(), "living.db", &format!("PRAGMA journal_mode=WAL;{INDEX_V1}{}", index_row("a")));
    let connection = Connection::open(&living).unwrap();
    connection.execute_batch("UPDATE packages SET version = '6.6.6'").unwrap();
    let file = home.path().join("index.db");
    fs::copy(&living, &file).unwrap();
    fs::copy(home.path().join("living.db-wal"), home.path().join("index.db-wal")).unwrap();
    assert_eq!(FORMAT.verify_index(&file).unwrap().packages, 1);
    let found = FORMAT.open_index(&file).unwrap().package(&"a".parse().unwrap()).unwrap().unwrap();
    assert_eq!(found.version.as_str(), "1.0", "M27: what stands beside the file does not count");
    assert!(!home.path().join("index.db-shm").exists(), "M27");
}

#[test]
fn m27_file_names_are_not_uris() {
    let home = tempfile::tempdir().unwrap();
    let good = sample(home.path());
    let odd =
        ["a?mode=rw", "b#c", "d%41", "file:e", "f g&immutable=0", "%00", "ü"].map(|text| text.as_bytes().to_vec());
    for name in odd.into_iter().chain([b"\xff\xfe".to_vec()]) {
        let file = home.path().join(std::ffi::OsStr::from_bytes(&name));
        fs::copy(&good, &file).unwrap();
        assert_eq!(FORMAT.verify_index(&file).unwrap().packages, 60, "{}", file.display());
        fs::remove_file(&file).unwrap();
        assert_eq!(FORMAT.open_index(&file).unwrap_err().kind, StorageErrorKind::NotFound);
    }
}

/// The row `a` with one column changed is refused by all that reads it, and named.
fn bad_row(folder: &Path, case: &str, change: &str) -> StorageError {
    let ours = "ALTER TABLE packages ADD COLUMN size INTEGER; ALTER TABLE packages ADD COLUMN requires TEXT;
        ALTER TABLE packages ADD COLUMN provides TEXT; ALTER TABLE packages ADD COLUMN arch TEXT;";
    let file = folder.join("row.db");
    let _ = fs::remove_file(&file);
    database(folder, "row.db", &format!("{INDEX_V1}{}{}{ours}", index_row("a"), index_row("b")));
    FORMAT.verify_index(&file).unwrap();
    let nullable = "PRAGMA writable_schema=ON; UPDATE sqlite_schema SET sql = replace(sql, 'NOT NULL,', ',') WHERE name = 'packages';";
    run(&file, nullable);
    run(&file, &format!("UPDATE packages SET {change} WHERE realname = 'a';"));
    let index = FORMAT.open_index(&file).unwrap();
    assert!(index.package(&"b".parse().unwrap()).unwrap().is_some(), "{case}: its neighbour is whole");
    assert!(index.all().is_err(), "{case}");
    let error = FORMAT.verify_index(&file).expect_err(case);
    assert!(matches!(error.kind, StorageErrorKind::Corrupt | StorageErrorKind::Limit), "{case}");
    error
}

#[test]
fn m12_m13_hashes_that_are_none() {
    let home = tempfile::tempdir().unwrap();
    let good = "ab".repeat(32);
    for (case, change) in [
        ("leading space", format!("hash = ' {}'", &good[1..])),
        ("upper case", format!("hash = '{}'", good.to_uppercase())),
        ("63 digits", format!("hash = '{}'", &good[1..])),
        ("65 digits", format!("hash = '{good}a'")),
        ("empty", "hash = ''".to_owned()),
        ("0x", format!("hash = '0x{}'", &good[2..])),
        ("NUL", format!("hash = '{good}' || char(0)")),
        ("line feed", format!("hash = '{good}' || char(10)")),
        ("no hex", format!("hash = 'g{}'", &good[1..])),
        ("MD5", format!("hash = '{}'", &good[..32])),
        ("NULL", "hash = NULL".to_owned()),
        ("a number", "hash = 5".to_owned()),
        ("the bytes", format!("hash = x'{good}'")),
    ] {
        let error = bad_row(home.path(), case, &change);
        let text = whole(&error);
        assert!(text.contains("the row \"a\"") && text.contains("hash:"), "M12 {case}: {text}");
    }
}

#[test]
fn m14_m29_values_that_are_none() {
    let home = tempfile::tempdir().unwrap();
    for (case, change) in [
        ("M14 size 0", "size = 0"),
        ("M14 size -1", "size = -1"),
        ("M14 size 2^64", "size = 18446744073709551616"),
        ("M14 size as text", "size = 'many'"),
        ("M29 alias ../x", "name = '../x'"),
        ("M29 alias with a line feed", "name = 'x' || char(10)"),
        ("version", "version = ''"),
        ("version with a slash", "version = '1/2'"),
        ("version NULL", "version = NULL"),
        ("family", "family = char(27)"),
        ("description as bytes", "description = x'00'"),
        ("description not UTF-8", "description = CAST(x'ff' AS TEXT)"),
        ("mirror with an escape", "mirrors = 'http://x/' || char(27)"),
        ("dependency", "dependencies = 'ok $(id)'"),
        ("requires", "requires = '[\"a\", 5]'"),
        ("requires not a list", "requires = '{}'"),
        ("requires cut off", "requires = '[\"a\"'"),
        ("requires nested", "requires = replace(printf('%.5000c', '['), ' ', '[')"),
        ("provides", "provides = '[\"../x\"]'"),
        ("arch", "arch = 'x86 64'"),
        ("serial", "serial = -5"),
    ] {
        let text = whole(&bad_row(home.path(), case, change));
        assert!(text.contains("the row \"a\""), "{case}: {text}");
    }
    let text = whole(&bad_row(home.path(), "M29", "realname = '../x' || char(27)"));
    assert!(text.contains("../x") && !text.contains('\u{1b}'), "M29 {text}");
}

#[test]
fn m28_volumes() {
    let home = tempfile::tempdir().unwrap();
    for (case, change) in [
        ("description of 64 KiB and one", "description = printf('%.65537c', 'x')"),
        ("description of 2 MiB", "description = printf('%.2000000c', 'x')"),
        ("65 mirrors", "mirrors = replace(printf('%.65c', 'x'), 'x', 'y ')"),
        ("a mirror of 2049 bytes", "mirrors = printf('%.2049c', 'x')"),
        ("100,000 dependencies", "dependencies = replace(printf('%.100000c', 'x'), 'x', 'y ')"),
        ("4097 dependencies", "dependencies = replace(printf('%.4097c', 'x'), 'x', 'y ')"),
        ("4097 requirements", "requires = '[' || replace(printf('%.4096c', 'x'), 'x', '\"y\",') || '\"y\"]'"),
        ("4097 provided names", "provides = '[' || replace(printf('%.4096c', 'x'), 'x', '\"y\",') || '\"y\"]'"),
    ] {
        let start = Instant::now();
        bad_row(home.path(), &format!("M28 {case}"), change);
        assert!(start.elapsed() < Duration::from_secs(5), "M28 {case}");
    }
    let file = sample(home.path());
    fs::File::options().write(true).open(&file).unwrap().set_len((1 << 30) + 4096).unwrap();
    assert_eq!(FORMAT.open_index(&file).unwrap_err().kind, StorageErrorKind::Limit, "M28 a file of a gigabyte");
}

/// The row `a` of an index, with these columns changed, is read by all that reads it.
fn good_row(folder: &Path, case: &str, change: &str) -> IndexEntry {
    let ours = "ALTER TABLE packages ADD COLUMN requires TEXT; ALTER TABLE packages ADD COLUMN conflicts TEXT;
        ALTER TABLE packages ADD COLUMN provides TEXT; ALTER TABLE packages ADD COLUMN arch TEXT;";
    let file = folder.join("good.db");
    let _ = fs::remove_file(&file);
    database(folder, "good.db", &format!("{INDEX_V1}{}{ours}", index_row("a")));
    run(&file, &format!("UPDATE packages SET {change};"));
    FORMAT.verify_index(&file).unwrap_or_else(|error| panic!("{case}: {}", whole(&error)));
    FORMAT.open_index(&file).unwrap().package(&"a".parse().unwrap()).unwrap().unwrap()
}

/// `count` times `"y"` as a list in JSON.
fn json_list(count: usize) -> String {
    format!("[{}]", vec!["\"y\""; count].join(","))
}

#[test]
fn m28_what_just_fits_and_what_does_not() {
    let home = tempfile::tempdir().unwrap();
    let row = |case: &str, change: &dyn Fn(usize) -> String, most: usize, part: &str| {
        let found = good_row(home.path(), case, &change(most));
        let text = whole(&bad_row(home.path(), case, &change(most + 1)));
        assert!(text.contains("the row \"a\"") && text.contains(part), "{case}: {text}");
        found
    };
    let text = |column: &'static str| move |count: usize| format!("{column} = printf('%.{count}c', 'x')");
    let list = |column: &'static str| move |count: usize| format!("{column} = '{}'", json_list(count));
    let found = row("description", &text("description"), 64 << 10, "65536 bytes");
    assert_eq!(found.description.len(), 64 << 10);
    row("mirror", &text("mirrors"), 2048, "not an address");
    let mirrors = |count: usize| format!("mirrors = '{}'", vec!["y"; count].join(" "));
    assert_eq!(row("mirrors", &mirrors, 64, "64").mirrors.len(), 64);
    let names = |count: usize| format!("dependencies = '{}'", vec!["y"; count].join(" "));
    assert_eq!(row("dependencies", &names, 4096, "4096").requires.len(), 4096);
    assert_eq!(row("requires", &list("requires"), 4096, "4096").requires.len(), 4096);
    assert_eq!(row("provides", &list("provides"), 4096, "4096").provides.len(), 4096);
    assert_eq!(row("arch", &text("arch"), 32, "not the name of a machine").arch.map(|arch| arch.len()), Some(32));
}

#[test]
fn m28_a_file_as_large_as_may_be() {
    let home = tempfile::tempdir().unwrap();
    let file = sample(home.path());
    // Holes behind the last page: SQLite looks at none of them.
    let grown = fs::File::options().write(true).open(&file).unwrap();
    grown.set_len(1 << 30).unwrap();
    FORMAT.open_index(&file).unwrap_or_else(|error| panic!("M28: {}", whole(&error)));
    grown.set_len((1 << 30) + 1).unwrap();
    let error = FORMAT.open_index(&file).unwrap_err();
    assert_eq!(error.kind, StorageErrorKind::Limit);
    assert!(whole(&error).contains("at most 1073741824"), "{}", whole(&error));
}

#[test]
fn m28_a_value_as_large_as_sqlite_gives() {
    let home = tempfile::tempdir().unwrap();
    let with = |length: usize| {
        let text = whole(&bad_row(home.path(), "M28", &format!("description = printf('%.{length}c', 'x')")));
        text.contains("description: longer than 65536 bytes")
    };
    // Of a row within the bound the value is read and judged, and of a larger one nothing is read at all.
    assert!(with(1 << 20));
    assert!(!with((1 << 20) + 1));
}

#[test]
fn m24_schemas_as_large_as_may_be() {
    let home = tempfile::tempdir().unwrap();
    // The table, its look-up table, the counter of AUTOINCREMENT, and SQLite's own table of all these.
    let objects = |count: usize| (4..count).map(|n| format!("CREATE INDEX i{n} ON packages(name);")).collect();
    let columns = |count: usize| (9..count).map(|n| format!("ALTER TABLE packages ADD COLUMN c{n};")).collect();
    // As SQLite keeps the statement: without the semicolon.
    let bytes = |length: usize| {
        let more = length - (INDEX_V1.len() - 1);
        format!("DROP TABLE packages; {}", INDEX_V1.replace("(name TEXT", &format!("(name{} TEXT", " ".repeat(more))))
    };
    let check = |case: &str, most: usize, with: &dyn Fn(usize) -> String| {
        let file = |count| database(home.path(), &format!("{case} {count}"), &format!("{INDEX_V1}{}", with(count)));
        FORMAT.verify_index(&file(most)).unwrap_or_else(|error| panic!("M24 {most} {case}: {}", whole(&error)));
        refused(&format!("M24 {} {case}", most + 1), &file(most + 1));
    };
    check("objects", 24, &objects);
    check("columns", 64, &columns);
    check("bytes of a statement", 16 << 10, &bytes);
}

#[test]
fn m24_names_that_the_packages_do_not_say() {
    let home = tempfile::tempdir().unwrap();
    let mut provider = entry("provider");
    provider.provides = vec!["virtual".parse().unwrap()];
    let written = |case: &str, sql: &str| {
        let file = home.path().join(case);
        FORMAT.write_index(&file, &[provider.clone(), entry("other")]).unwrap();
        run(&file, sql);
        file
    };
    for (case, sql) in [
        ("left out", "DELETE FROM answers WHERE name = 'virtual'"),
        ("too many", "INSERT INTO answers VALUES('ghost', 2)"),
        ("another", "UPDATE answers SET name = 'ghost' WHERE name = 'other'"),
        ("of nobody", "INSERT INTO answers VALUES('ghost', 99)"),
    ] {
        let error = FORMAT.verify_index(&written(case, sql)).expect_err(case);
        assert_eq!(error.kind, StorageErrorKind::Corrupt, "M24 {case}: {}", whole(&error));
    }
    let lying = FORMAT.open_index(&written("lying", "INSERT INTO answers VALUES('ghost', 2)")).unwrap();
    let error = lying.answering(&"ghost".parse().unwrap()).unwrap_err();
    assert_eq!(error.kind, StorageErrorKind::Corrupt, "M24 {}", whole(&error));
    let other = "DROP TABLE answers; CREATE TABLE answers(name TEXT, serial INTEGER CHECK (serial > 0));";
    refused("M24 of another shape", &written("other shape", other));
}

#[test]
fn m24_texts_that_the_packages_do_not_say() {
    let home = tempfile::tempdir().unwrap();
    let written = |case: &str, sql: &str| {
        let file = home.path().join(case);
        FORMAT.write_index(&file, &[entry("one"), entry("other")]).unwrap();
        FORMAT.verify_index(&file).expect(case);
        run(&file, sql);
        file
    };
    for (case, sql) in [
        ("nothing", "DELETE FROM texts"),
        ("less", "UPDATE texts SET text = substr(text, 1, instr(text, char(10)))"),
        ("more", "INSERT INTO texts VALUES(9, 'ghost' || char(9) || char(9) || '1' || char(9) || char(10))"),
        ("another", "UPDATE texts SET text = replace(text, 'other', 'otter')"),
        // All is there, but nobody would find "other".
        (
            "a line in two parts",
            "INSERT INTO texts SELECT 9, substr(text, instr(text, 'her')) FROM texts; \
             UPDATE texts SET text = substr(text, 1, instr(text, 'her') - 1) WHERE part = 1",
        ),
    ] {
        let error = FORMAT.verify_index(&written(case, sql)).expect_err(case);
        assert_eq!(error.kind, StorageErrorKind::Corrupt, "M24 {case}: {}", whole(&error));
    }
    let broken = FORMAT.open_index(&written("broken", "UPDATE texts SET text = 'one'")).unwrap();
    assert_eq!(broken.search(&["one".to_owned()]).unwrap_err().kind, StorageErrorKind::Corrupt, "M24");
    let other = "DROP TABLE texts; CREATE TABLE texts(part INTEGER PRIMARY KEY, text TEXT CHECK (text > 0));";
    refused("M24 of another shape", &written("other shape", other));
}

#[test]
fn an_index_without_the_table_of_names_is_looked_through() {
    let home = tempfile::tempdir().unwrap();
    let row = index_row("a");
    let provides = "ALTER TABLE packages ADD COLUMN provides TEXT; UPDATE packages SET provides = '[\"b\",\"bc\"]';";
    let file = database(home.path(), "v1 and a column", &format!("{INDEX_V1}{row}{provides}"));
    let index = FORMAT.open_index(&file).unwrap();
    for (asked, count) in [("a", 1), ("b", 1), ("bc", 1), ("c", 0)] {
        assert_eq!(index.answering(&asked.parse().unwrap()).unwrap().len(), count, "{asked}");
    }
    let file = database(home.path(), "v1", &format!("{INDEX_V1}{row}"));
    let index = FORMAT.open_index(&file).unwrap();
    assert_eq!(index.answering(&"a".parse().unwrap()).unwrap().len(), 1);
    assert_eq!(index.answering(&"b".parse().unwrap()).unwrap(), []);
    assert_eq!(index.search(&["a".to_owned()]).unwrap().len(), 1);
    assert_eq!(index.names("", 9).unwrap(), ["a".parse().unwrap()]);
}

#[test]
fn m33_a_name_that_everybody_answers_to() {
    let home = tempfile::tempdir().unwrap();
    let named = |at: usize| IndexEntry { alias: Some("all".parse().unwrap()), ..entry(&format!("p{at}")) };
    let answering = |count: usize| {
        let file = home.path().join(format!("{count}.db"));
        FORMAT.write_index(&file, &(0..count).map(named).collect::<Vec<_>>()).unwrap();
        FORMAT.open_index(&file).unwrap().answering(&"all".parse().unwrap())
    };
    assert_eq!(answering(4096).unwrap().len(), 4096);
    let error = answering(4097).unwrap_err();
    assert_eq!(error.kind, StorageErrorKind::Limit, "M33 {}", whole(&error));
}
