//! Indexes that this program writes, and version 1 reads.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure here is a failure of the test")]
#![allow(clippy::disallowed_methods, reason = "the test makes and looks at files of its own")]

mod support;

use packets_plugin_api::storage::{IndexEntry, StorageErrorKind, StorageFormat};
use rusqlite::Connection;
use support::{FORMAT, INDEX_V1, database, entry, whole};

#[test]
fn v1_reads_what_is_written() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("index.db");
    let mut go = entry("go1.24");
    go.version = "1.24".parse().unwrap();
    go.alias = Some("go".parse().unwrap());
    let mut tool = entry("tool");
    tool.requires =
        ["go>=1.20", "zlib>=9 | virtual", "not-in-this-index", "tool"].map(|text| text.parse().unwrap()).to_vec();
    let mut provider = entry("provider");
    provider.provides = vec!["virtual".parse().unwrap()];
    provider.mirrors.push("https://example.com/provider.pkt.tar.zst".to_owned());
    FORMAT.write_index(&file, &[go, tool, entry("zlib"), provider]).unwrap();

    let v1 = Connection::open(&file).unwrap();
    let mut statement =
        v1.prepare("SELECT name, realname, version, hash, description, dependencies, mirrors, family, serial FROM packages ORDER BY serial").unwrap();
    let row = |row: &rusqlite::Row<'_>| -> rusqlite::Result<(String, String, String, String, String, i64)> {
        Ok((row.get(0)?, row.get(1)?, row.get(3)?, row.get(5)?, row.get(6)?, row.get(8)?))
    };
    let rows: Vec<_> = statement.query_map([], row).unwrap().map(Result::unwrap).collect();
    let names: Vec<_> = rows.iter().map(|row| (row.0.as_str(), row.1.as_str(), row.5)).collect();
    assert_eq!(names, [("go", "go1.24", 1), ("tool", "tool", 2), ("zlib", "zlib", 3), ("provider", "provider", 4)]);
    assert_eq!(rows[1].3, "go1.24 provider", "only names of this index, the best of each requirement, never itself");
    assert_eq!(rows[1].2, "ab".repeat(32));
    assert_eq!(rows[3].4, "https://example.org/provider.pkt.tar.zst https://example.com/provider.pkt.tar.zst");
    let columns: Vec<String> =
        v1.prepare("SELECT * FROM packages").unwrap().column_names().map(ToString::to_string).collect();
    let expected = "name realname version hash description dependencies mirrors family serial";
    assert_eq!(columns[..9].join(" "), expected, "v1's columns come first, in its order");
    v1.execute_batch(
        "INSERT INTO packages(realname, version, hash, description, mirrors, family) VALUES ('x', '1', '', '', '', '')",
    )
    .unwrap();
    assert_eq!(v1.last_insert_rowid(), 5, "v1 counts on");
}

#[test]
fn requirements_come_back_as_they_were_written() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("index.db");
    let mut tool = entry("tool");
    tool.requires = vec!["not-in-this-index>=2 | other".parse().unwrap()];
    FORMAT.write_index(&file, &[tool.clone()]).unwrap();
    let found = FORMAT.open_index(&file).unwrap().package(&tool.name).unwrap().unwrap();
    assert_eq!(found.requires, tool.requires);
}

#[test]
fn v1s_index_opens() {
    let home = tempfile::tempdir().unwrap();
    let hash = "cd".repeat(32);
    let file = database(
        home.path(),
        "index.db",
        &format!(
            "{INDEX_V1}
            INSERT INTO packages(name, realname, version, hash, description, dependencies, mirrors, family) VALUES
            ('go', 'go1.24.4', '1.24.4', '{hash}', 'The Go language', 'pcre2  zlib', 'http://a/x http://b/x', '1f84ca15-5077'),
            (NULL, 'pcre2', '10', '{hash}', '', NULL, 'http://a/y', ''),
            ('', 'zlib', '1.3', '{hash}', '', '', 'http://a/z', ''),
            ('jq', 'jq', '1.7', '{hash}', '', ' ', '', '');"
        ),
    );
    assert_eq!(FORMAT.verify_index(&file).unwrap().packages, 4);
    let index = FORMAT.open_index(&file).unwrap();
    let go = index.package(&"go1.24.4".parse().unwrap()).unwrap().unwrap();
    assert_eq!(go.alias.as_ref().unwrap().as_str(), "go");
    assert_eq!(go.requires, ["pcre2", "zlib"].map(|name| name.parse().unwrap()));
    assert_eq!(go.mirrors, ["http://a/x", "http://b/x"]);
    assert_eq!((go.serial, go.size, go.arch.as_deref()), (1, None, None));
    assert_eq!(index.aliased(&"go".parse().unwrap()).unwrap(), std::slice::from_ref(&go));
    assert_eq!(index.family(&go.family).unwrap(), [go]);
    for name in ["pcre2", "zlib", "jq"] {
        let found = index.package(&name.parse().unwrap()).unwrap().unwrap();
        assert_eq!((found.alias, found.requires), (None, Vec::new()), "{name}");
        assert_eq!(index.aliased(&name.parse().unwrap()).unwrap(), []);
        assert_eq!(index.providing(&name.parse().unwrap()).unwrap(), []);
    }
}

#[test]
fn the_same_entries_give_the_same_bytes() {
    let home = tempfile::tempdir().unwrap();
    let entries: Vec<_> = (0..500).map(|at| entry(&format!("package-{}", at * 7 % 500))).collect();
    let written = ["one", "two"].map(|name| {
        FORMAT.write_index(&home.path().join(name), &entries).unwrap();
        std::fs::read(home.path().join(name)).unwrap()
    });
    assert!(written[0] == written[1]);
    let mut names: Vec<_> = std::fs::read_dir(home.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["one", "two"], "nothing is left beside");
}

#[test]
fn what_could_not_be_read_back_is_not_written() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("index.db");
    let bad = |case: &str, change: &dyn Fn(&mut packets_plugin_api::storage::IndexEntry)| {
        let mut changed = entry("changed");
        change(&mut changed);
        let error = FORMAT.write_index(&file, &[entry("first"), changed]).expect_err(case);
        assert_eq!(error.kind, StorageErrorKind::Corrupt, "{case}");
        assert!(whole(&error).contains("changed"), "{case}: {}", whole(&error));
        assert!(!file.exists(), "{case}: no file is left");
    };
    bad("a mirror with a space", &|entry| entry.mirrors = vec!["a b".to_owned()]);
    bad("an empty mirror", &|entry| entry.mirrors.push(String::new()));
    bad("a mirror with a tab", &|entry| entry.mirrors.push("a\tb".to_owned()));
    bad("size 0", &|entry| entry.size = Some(0));
    bad("size 2^63", &|entry| entry.size = Some(1 << 63));
    bad("a long description", &|entry| entry.description = "x".repeat(70_000));
    bad("an empty machine", &|entry| entry.arch = Some(String::new()));
    let many = vec!["name>=1".parse().unwrap(); 4097];
    bad("4097 requirements", &|entry| entry.requires.clone_from(&many));
    let long = format!("{0}>={0}", "n".repeat(120));
    let row: Vec<_> = vec![[long.as_str(); 60].join(" | ").parse().unwrap(); 100];
    bad("a row of more than a megabyte", &|entry| entry.requires.clone_from(&row));
}

#[test]
fn a_link_in_the_place_of_the_new_file_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("index.db");
    std::os::unix::fs::symlink(home.path().join("elsewhere"), &file).unwrap();
    assert!(FORMAT.write_index(&file, &[entry("a")]).is_err());
    assert!(!home.path().join("elsewhere").exists());
}

#[test]
fn an_alias_that_is_the_name_is_none() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("index.db");
    let same = IndexEntry { alias: Some("tool".parse().unwrap()), ..entry("tool") };
    FORMAT.write_index(&file, &[same]).unwrap();
    FORMAT.verify_index(&file).unwrap();
    let found = FORMAT.open_index(&file).unwrap().search(&["tool".to_owned()]).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].alias, None);
}
