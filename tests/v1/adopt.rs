//! What version 1 installed is listed, upgraded and removed.

use std::fs;

use packets_tests::{Package, Snapshot, TestEnvironment, v1};
use rusqlite::Connection;

/// A tree as version 1 leaves it: with a manifest, and hooks that speak v1's language.
fn jq(version: &str) -> Package {
    Package::program("jq", version).family("f-jq", 3).remove(
        "local tool = path_join(packets_bin_dir, 'jq')\nlocal done, why = os.remove(tool)\nif not done then print(why) end",
    )
}

fn left_by_v1(environment: &TestEnvironment) {
    let onig = Package::new("onig", "6.9").link("link", "name");
    let jq = jq("1.6").needs(&["onig"]);
    v1::leave(
        &environment.root(),
        &[
            v1::Row { package: &onig, version: "6.9", dependencies: "", name: "onig", family: "f-onig", serial: 2 },
            v1::Row { package: &jq, version: "1.6", dependencies: "onig", name: "jq", family: "f-jq", serial: 3 },
        ],
    );
    // A file that a hook of version 1 copied, and one that it did not.
    fs::create_dir_all(environment.at("usr/share/doc")).unwrap();
    fs::copy(environment.at("opt/packets/jq/data/name"), environment.at("usr/share/doc/jq")).unwrap();
    environment.put("usr/share/doc/other", "other\n");
}

#[test]
fn readers_see_it_and_write_nothing() {
    let environment = TestEnvironment::new();
    left_by_v1(&environment);
    let before = Snapshot::of(&environment.root());
    assert_eq!(environment.installed(), ["jq", "onig"]);
    environment.run(&["info", "jq"]).ok().prints("1.6");
    environment.run(&["list"]).ok().prints("jq    1.6");
    before.assert_same(&Snapshot::of(&environment.root()), "readers");
}

#[test]
fn it_is_removed_whole() {
    let environment = TestEnvironment::new();
    left_by_v1(&environment);
    environment.run(&["remove", "onig"]).fails(1).says("jq");
    environment.run(&["remove", "jq", "onig"]).ok();
    let left: Vec<String> = environment.system().paths();
    for gone in ["opt/packets/jq", "opt/packets/onig", "usr/bin/jq", "usr/share/doc/jq"] {
        assert!(!left.iter().any(|path| path.trim_end_matches('/') == gone), "{gone} is left: {left:?}");
    }
    assert_eq!(environment.read("usr/share/doc/other"), "other\n");
}

#[test]
fn it_is_upgraded_by_family() {
    let environment = TestEnvironment::new();
    left_by_v1(&environment);
    let repo = environment.repo();
    Package::program("jq1.7", "1.7").family("f-jq", 4).info("alias = \"jq\"").needs(&["onig"]).file(&repo);
    Package::new("onig", "6.9").file(&repo);
    environment.run_plain(&["index", repo.to_str().unwrap()]).ok();
    environment.run(&["sync", repo.to_str().unwrap()]).ok();
    environment.run(&["upgrade", "jq"]).ok();
    assert_eq!(environment.installed(), ["jq1.7", "onig"]);
    assert!(
        !environment.exists("usr/bin/jq")
            && !environment.exists("opt/packets/jq")
            && !environment.exists("usr/share/doc/jq")
    );
    assert_eq!(environment.launch("usr/bin/jq1.7", &[]), "jq1.7 1.7\n");
    environment.run(&["remove", "jq1.7", "onig"]).ok();
    assert!(!environment.exists("usr/bin/jq1.7"));
}

#[test]
fn within_one_name_too() {
    let environment = TestEnvironment::new();
    left_by_v1(&environment);
    environment.publish(&jq("1.8").family("f-jq", 9).needs(&["onig"]));
    environment.run_with_repo(&["upgrade", "jq"]).ok();
    assert_eq!(environment.launch("usr/bin/jq", &[]), "jq 1.8\n");
    assert!(!environment.exists("usr/share/doc/jq"));
    environment.run(&["remove", "jq"]).ok();
    assert!(!environment.exists("usr/bin/jq"));
}

#[test]
fn version_1_still_reads_what_this_one_writes() {
    let environment = TestEnvironment::new();
    left_by_v1(&environment);
    environment.install(&Package::program("tool", "1").needs(&["jq"]).family("f-tool", 7).info("alias = \"t\"")).ok();
    let database = Connection::open(environment.at("etc/packets/installed.db")).unwrap();
    let query = "SELECT realname, version, dependencies, name, family, serial FROM packages WHERE realname = 'tool'";
    let row: (String, String, String, String, String, i64) = database
        .query_row(query, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?)))
        .unwrap();
    assert_eq!(row, ("tool".into(), "1".into(), "jq".into(), "t".into(), "f-tool".into(), 7));
    let mode: String = database.query_row("PRAGMA journal_mode", [], |row| row.get(0)).unwrap();
    assert_eq!(mode, "delete");
}

#[test]
fn its_config_is_kept_as_it_is() {
    let environment = TestEnvironment::new();
    left_by_v1(&environment);
    let config = v1::CONFIG.replace("/usr/bin", "/usr/local/bin");
    environment.put("etc/packets/config.toml", &config);
    environment.install(&Package::program("tool", "1")).ok();
    assert_eq!(environment.launch("usr/local/bin/tool", &[]), "tool 1\n");
    assert_eq!(environment.read("etc/packets/config.toml"), config);
}

#[test]
fn a_database_of_a_later_version_is_refused() {
    let environment = TestEnvironment::new();
    left_by_v1(&environment);
    let database = Connection::open(environment.at("etc/packets/installed.db")).unwrap();
    database.execute_batch("PRAGMA user_version = 999").unwrap();
    drop(database);
    environment.refused(7, || environment.install(&Package::program("tool", "1"))).says("installed.db");
}

#[test]
fn c24_a_broken_database_is_refused_and_left() {
    let environment = TestEnvironment::new();
    left_by_v1(&environment);
    environment.put("etc/packets/installed.db", "this is no database, whatever its name says; it never was one\n");
    let output = environment.refused(5, || environment.install(&Package::program("tool", "1")));
    output.says("installed.db");
}
