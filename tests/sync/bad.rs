//! M22: whatever comes instead of an index, the old one stays byte for byte.

use std::fs;

use packets_tests::{Package, Reply, Server, TestEnvironment, on_path, skip, tar_of, zstd_of};
use rusqlite::Connection;

struct Synced {
    environment: TestEnvironment,
    server: Server,
    good: Vec<u8>,
}

fn synced() -> Synced {
    let environment = TestEnvironment::hostile();
    for name in ["tool", "another"] {
        Package::program(name, "1").needs(&[]).file(&environment.repo());
    }
    let repo = environment.repo();
    let server = Server::start();
    environment.run_plain(&["index", repo.to_str().unwrap(), "--url", &server.url("")]).ok();
    server.serve(&repo);
    environment.run(&["sync", &server.url("/index.db")]).ok();
    let good = fs::read(repo.join("index.db")).unwrap();
    Synced { environment, server, good }
}

impl Synced {
    fn refuses(&self, reply: Reply, codes: &[i32], what: &str) {
        self.server.set("/index.db", reply);
        let before = self.environment.everything();
        let output = self.environment.run(&["sync"]);
        assert!(codes.contains(&output.code), "{what}: {output}");
        before.assert_same(&self.environment.everything(), what);
    }

    /// An index with these statements run on it.
    fn changed(&self, statements: &str) -> Vec<u8> {
        let path = self.environment.work().join("changed.db");
        fs::write(&path, &self.good).unwrap();
        let database = Connection::open(&path).unwrap();
        database.execute_batch(statements).unwrap();
        drop(database);
        fs::read(path).unwrap()
    }
}

#[test]
fn m22_m26_truncated_at_many_places() {
    let synced = synced();
    for part in [0, 1, 15, 16, 99, 100, 511, 512, 4095, 4096, synced.good.len() / 2, synced.good.len() - 1] {
        synced.refuses(Reply::Bytes(synced.good[..part].to_vec()), &[5], &format!("the first {part} bytes"));
    }
    synced.environment.run(&["install", "tool"]).ok();
}

#[test]
fn m22_m26_flipped_bytes_are_refused_or_harmless() {
    let synced = synced();
    for at in (0..112).step_by(3).chain((112..synced.good.len()).step_by(701)) {
        let mut bytes = synced.good.clone();
        bytes[at] ^= 0xff;
        synced.server.set("/index.db", Reply::Bytes(bytes.clone()));
        let before = synced.environment.everything();
        let output = synced.environment.run(&["sync"]);
        if output.code == 0 {
            // A byte that means nothing, or a description: what is accepted is what came.
            assert_eq!(fs::read(synced.environment.at("etc/packets/index.db")).unwrap(), bytes, "byte {at}");
            let _ = synced.environment.run(&["list", "--available"]);
        } else {
            assert_eq!(output.code, 5, "byte {at}: {output}");
            before.assert_same(&synced.environment.everything(), &format!("byte {at}"));
        }
    }
}

#[test]
fn m22_n20_other_things_than_an_index() {
    let synced = synced();
    synced.refuses(Reply::Bytes(b"<!doctype html><html>Please log in</html>".to_vec()), &[4], "a captive portal");
    synced.refuses(Reply::Bytes(vec![0; 8192]), &[5], "zeros");
    synced.refuses(Reply::Status(404), &[4], "404");
    synced.refuses(Reply::Status(503), &[4], "503");
    // Another version than the one that is there, or nothing of it would be wanted.
    synced.refuses(Reply::Cut([&*synced.good, b"x"].concat(), 5000), &[4, 5], "a broken transfer");
    synced.refuses(Reply::Redirect("file:///etc/passwd".to_owned()), &[4], "N13 a redirect to a file");
    synced.refuses(Reply::Redirect("/index.db".to_owned()), &[4], "N13 a redirect in a circle");
}

#[test]
fn m06_an_index_without_an_end() {
    let synced = synced();
    synced.refuses(Reply::Endless, &[4, 5], "zeros without an end");
}

#[test]
fn m24_m25_schemas_that_act() {
    let synced = synced();
    for statements in [
        "ALTER TABLE packages RENAME TO old; CREATE VIEW packages AS SELECT * FROM old;",
        "CREATE TRIGGER t AFTER INSERT ON packages BEGIN DELETE FROM packages; END;",
        "DROP TABLE packages;",
        "DROP TABLE packages; CREATE TABLE packages(name TEXT);",
        "DROP TABLE packages; CREATE VIEW packages AS WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM n) SELECT x AS name, x AS realname,
            x AS version, x AS hash, x AS description, x AS dependencies, x AS mirrors, x AS family, x AS serial FROM n;",
        "CREATE VIRTUAL TABLE v USING fts5(x);",
        "CREATE INDEX i ON packages(name) WHERE abs(serial) > 0;",
    ] {
        synced.refuses(Reply::Bytes(synced.changed(statements)), &[5], statements);
    }
}

#[test]
fn m12_m13_m14_m29_m30_values_that_are_none() {
    let synced = synced();
    let hash = "0".repeat(64);
    for (column, value) in [
        ("hash", "''".to_owned()),
        ("hash", format!("' {hash}'")),
        ("hash", format!("'{hash}0'")),
        ("hash", format!("'{}'", &hash[1..])),
        ("hash", format!("'{hash}\n'")),
        ("hash", format!("'{}'", "A".repeat(64))),
        ("hash", "'d41d8cd98f00b204e9800998ecf8427e'".to_owned()),
        ("hash", format!("x'{}'", "00".repeat(32))),
        ("size", "-1".to_owned()),
        ("size", "'many'".to_owned()),
        ("realname", "'../x'".to_owned()),
        ("realname", "'-rf'".to_owned()),
        ("realname", "'a b'".to_owned()),
        ("realname", "'$(id)'".to_owned()),
        ("realname", "';reboot'".to_owned()),
        ("realname", "char(97, 10)".to_owned()),
        ("realname", "'p\u{430}ypal'".to_owned()),
        ("realname", format!("'{}'", "x".repeat(10_000))),
        ("version", "'1/../../x'".to_owned()),
        ("version", format!("'{}'", "9".repeat(10_000))),
        ("dependencies", "'../x', requires = NULL".to_owned()),
        ("requires", "'{'".to_owned()),
        ("family", "char(27, 91)".to_owned()),
    ] {
        let statement = format!("UPDATE packages SET {column} = {value} WHERE realname = 'tool'");
        let bytes = synced.changed(&statement);
        synced.server.set("/index.db", Reply::Bytes(bytes));
        let before = synced.environment.everything();
        let output = synced.environment.run(&["sync"]);
        if output.code == 0 {
            // Rows may also be judged when they are used: then this one never installs.
            let use_it = synced.environment.run(&["install", "tool"]);
            assert!([1, 5].contains(&use_it.code), "{statement}: {use_it}");
            assert_eq!(synced.environment.installed(), [""; 0]);
        } else {
            assert_eq!(output.code, 5, "{statement}: {output}");
            before.assert_same(&synced.environment.everything(), &statement);
        }
        assert!(!output.stderr.contains('\u{1b}'));
    }
}

/// The address of the package `tool`, and its bytes on another day: the same version, and one letter of a file differs.
fn another_day(synced: &Synced) -> (&'static str, Vec<u8>) {
    let other = Package::program("tool", "1").needs(&[]).data("name", "fool 1\n");
    let bytes = fs::read(other.file(&synced.environment.work())).unwrap();
    ("/tool-1.pkt.tar.zst", bytes)
}

#[test]
fn m09_an_index_of_one_day_and_a_package_of_another() {
    let synced = synced();
    synced.environment.prime();
    let (path, later) = another_day(&synced);
    let first = fs::read(synced.environment.repo().join(&path[1..])).unwrap();
    assert_ne!(first, later);
    let install = || synced.environment.run(&["install", "tool"]);
    for knows_sizes in [true, false] {
        if !knows_sizes {
            // As version 1 wrote them: then only the hash can tell.
            let without = synced.changed("UPDATE packages SET size = NULL");
            synced.server.set("/index.db", Reply::Bytes(without));
            synced.environment.run(&["sync"]).ok();
        }
        synced.server.set(path, Reply::Bytes(later.clone()));
        let refused = synced.environment.refused(5, install);
        assert!(refused.stderr.contains("tool"), "{refused}");
    }
    assert_eq!(synced.environment.installed(), [""; 0]);

    // The index of the other day, and the package of this one.
    let newer = TestEnvironment::hostile();
    fs::write(newer.repo().join(&path[1..]), &later).unwrap();
    let repo = newer.repo();
    newer.run_plain(&["index", repo.to_str().unwrap(), "--url", &synced.server.url("")]).ok();
    synced.server.set("/index.db", Reply::Bytes(fs::read(repo.join("index.db")).unwrap()));
    synced.environment.run(&["sync"]).ok();
    synced.server.set(path, Reply::Bytes(first));
    synced.environment.refused(5, install);
    // Of one day, they go together.
    synced.server.set(path, Reply::Bytes(later));
    install().ok();
}

#[test]
fn m21_no_byte_of_a_package_lies_outside_of_its_hash() {
    let synced = synced();
    synced.environment.prime();
    synced.server.set("/index.db", Reply::Bytes(synced.changed("UPDATE packages SET size = NULL")));
    synced.environment.run(&["sync"]).ok();
    let package = Package::program("tool", "1").needs(&[]);
    let good = fs::read(synced.environment.repo().join("tool-1.pkt.tar.zst")).unwrap();
    let manifest = package.manifest();
    let with_manifest = |text: &str| package.clone().manifest_text(text).archive_with(&[]);
    let tar = tar_of(&package.entries());
    for (what, bytes) in [
        ("a comment in the manifest", with_manifest(&format!("{manifest}# x\n"))),
        ("another author", with_manifest(&manifest.replace("[Info]\n", "[Info]\nauthor = \"x\"\n"))),
        ("a permission", with_manifest(&format!("{manifest}[Permissions]\nwrite = [\"/etc/x\"]\n"))),
        ("padding of the archive", zstd_of(&[&tar[..], &[0; 512]].concat())),
        ("another compression of the same bytes", zstd::encode_all(&tar[..], 19).unwrap()),
        ("a byte behind the frame", [&good[..], b"\0"].concat()),
    ] {
        assert_ne!(bytes, good, "{what}");
        synced.server.set("/tool-1.pkt.tar.zst", Reply::Bytes(bytes));
        let refused = synced.environment.refused(5, || synced.environment.run(&["install", "tool"]));
        assert!(refused.stderr.contains("SHA-256"), "{what}: {refused}");
    }
    synced.server.set("/tool-1.pkt.tar.zst", Reply::Bytes(good));
    synced.environment.run(&["install", "tool"]).ok();
}

#[test]
fn m27_files_beside_the_index_are_ignored() {
    let synced = synced();
    let index = synced.environment.at("etc/packets/index.db");
    for ending in ["-wal", "-journal", "-shm"] {
        fs::write(format!("{}{ending}", index.display()), b"planted").unwrap();
    }
    synced.environment.run(&["list", "--available"]).ok().prints("tool");
    assert_eq!(fs::read(&index).unwrap(), synced.good);
    synced.environment.run(&["install", "tool"]).ok();
}

#[test]
fn m31_descriptions_never_act_on_the_terminal() {
    let synced = synced();
    let bytes = synced.changed("DROP TABLE texts; UPDATE packages SET description = char(27) || '[2J' || char(8238) || 'x' || char(10) || 'y' WHERE realname = 'tool'");
    synced.server.set("/index.db", Reply::Bytes(bytes));
    synced.environment.run(&["sync"]).ok();
    for arguments in [&["list", "--available"][..], &["info", "tool"]] {
        let output = synced.environment.run(arguments).ok();
        assert!(!output.stdout.contains(['\u{1b}', '\u{202e}']), "{output}");
        assert!(output.stdout.contains("\\u{1b}[2J"), "{output}");
    }
    let json = synced.environment.run(&["info", "tool", "--json"]).ok().json();
    assert_eq!(json["available"]["description"], "\u{1b}[2J\u{202e}x\ny", "JSON is intact");
}

#[test]
fn m05_the_machines_clock_does_not_matter() {
    let Some(faketime) = on_path("faketime") else { return skip("needs faketime") };
    let mut synced = synced();
    synced.environment.run_by(vec![faketime.display().to_string(), "1971-01-01".to_owned()]);
    synced.environment.run(&["sync"]).ok();
    synced.environment.run(&["install", "tool"]).ok();
}
