//! Making packages and indexes.

use std::fs;
use std::path::Path;
use std::process::Command;

use packets_tests::{Package, Server, TestEnvironment, hash, on_path, skip};
use rusqlite::Connection;

fn pack(environment: &TestEnvironment, folder: &Path, name: &str) -> Vec<u8> {
    let file = environment.work().join(name);
    environment.run_plain(&["pack", folder.to_str().unwrap(), "-o", file.to_str().unwrap()]).ok();
    fs::read(file).unwrap()
}

#[test]
fn the_same_folder_always_gives_the_same_bytes() {
    let environment = TestEnvironment::new();
    let package =
        Package::program("tool", "1").data("b/2", "x").data("a/1", "y").link("l", "a").executable("run", "#!/bin/sh\n");
    let first = package.write(&environment.work().join("one"));
    // Made in another order, at another time, by another umask, with other modes and owners.
    let second = environment.work().join("two/tool");
    let mut paths = packets_tests::Snapshot::of(&first).paths();
    paths.reverse();
    for path in paths.iter().filter(|path| path.ends_with('/')) {
        fs::create_dir_all(second.join(path)).unwrap();
    }
    for path in paths.iter().filter(|path| !path.ends_with('/')) {
        let (from, to) = (first.join(path), second.join(path));
        match fs::read_link(&from) {
            Ok(target) => std::os::unix::fs::symlink(target, to).unwrap(),
            Err(_) => drop(fs::copy(from, to).unwrap()),
        }
    }
    let old = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    fs::File::open(second.join("data/a/1")).unwrap().set_modified(old).unwrap();
    let mut readable = fs::metadata(second.join("data/a")).unwrap().permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut readable, 0o700);
    fs::set_permissions(second.join("data/a"), readable).unwrap();
    let (one, two) = (pack(&environment, &first, "1.tar.zst"), pack(&environment, &second, "2.tar.zst"));
    assert_eq!(hash(&one), hash(&two));
    assert_eq!(hash(&pack(&environment, &first, "3.tar.zst")), hash(&one));
}

#[test]
fn other_programs_read_what_is_packed() {
    let (Some(tar), Some(_)) = (on_path("tar"), on_path("zstd")) else { return skip("needs tar and zstd") };
    let environment = TestEnvironment::new();
    let long = format!("{}/{}", "folder".repeat(20), "file".repeat(30));
    let folder = Package::program("tool", "1").data(&long, "deep").link("link", "name").write(&environment.work());
    pack(&environment, &folder, "tool.tar.zst");
    let out = environment.work().join("out");
    fs::create_dir(&out).unwrap();
    let status =
        Command::new(tar).args(["--zstd", "-xf", "tool.tar.zst", "-C", "out"]).current_dir(environment.work()).status();
    assert!(status.unwrap().success());
    let names = |folder: &Path| packets_tests::Snapshot::of(folder).paths();
    assert_eq!(names(&out), names(&folder));
    assert_eq!(fs::read_to_string(out.join("data").join(long)).unwrap(), "deep");
    // And what it unpacked installs.
    environment.run(&["install", "./tool.tar.zst"]).ok();
}

#[test]
fn a54_a56_what_tar_makes_installs() {
    let (Some(tar), Some(_)) = (on_path("tar"), on_path("zstd")) else { return skip("needs tar and zstd") };
    let environment = TestEnvironment::new();
    let long = format!("{}/{}", "folder".repeat(20), "file".repeat(30));
    let package = Package::program("tool", "1").data(&long, "deep").hook(
        "install",
        "scripts/install.lua",
        "print('from a folder')",
    );
    package.write(&environment.work());
    let status = Command::new(tar)
        .args(["--zstd", "-cf", "../tool.pkt.tar.zst", "."])
        .current_dir(environment.work().join("tool"))
        .status();
    assert!(status.unwrap().success());
    environment.run(&["install", "./tool.pkt.tar.zst"]).ok().says("from a folder");
    assert_eq!(environment.read(&format!("opt/packets/tool/data/{long}")), "deep");
}

#[test]
fn h15_pack_finds_hooks_that_do_not_parse_and_what_is_missing() {
    let environment = TestEnvironment::new();
    Package::new("bad", "1").install("if then").write(&environment.work());
    environment.run_plain(&["pack", "./bad"]).fails(6).says("install.lua");
    Package::new("bad", "1")
        .manifest_text("[Info]\nname = \"bad\"\nversion = \"1\"\n[Hooks]\ninstall = \"absent.lua\"\n")
        .write(&environment.work());
    let output = environment.run_plain(&["pack", "./bad"]);
    assert!([1, 5].contains(&output.code) && output.stderr.contains("absent.lua"), "{output}");
    fs::create_dir(environment.work().join("empty")).unwrap();
    environment.run_plain(&["pack", "./empty"]).says("manifest.toml");
    let left: Vec<String> = packets_tests::Snapshot::of(&environment.work()).paths();
    assert!(
        !left.iter().any(|path| path.contains("tar.zst") || path.contains(".packets")),
        "no file is made: {left:?}"
    );
}

#[test]
fn version_1_reads_the_index() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    Package::program("go1.24", "1.24").family("f-go", 10).info("alias = \"go\"").file(&repo);
    Package::program("go1.25", "1.25").family("f-go", 11).info("alias = \"go\"").file(&repo);
    Package::program("app", "1").needs(&["base>=1", "go | rust"]).file(&repo);
    Package::new("base", "2").file(&repo);
    environment
        .run_plain(&["index", repo.to_str().unwrap(), "--url", "https://example.org/r/"])
        .ok()
        .prints("index.db");
    // Version 1's own columns, by name.
    let query = "SELECT name, realname, version, hash, description, dependencies, mirrors, family, serial FROM packages ORDER BY realname";
    let database = Connection::open(repo.join("index.db")).unwrap();
    let rows: Vec<[String; 8]> = database
        .prepare(query)
        .unwrap()
        .query_map([], |row| {
            let text = |at: usize| Ok::<_, rusqlite::Error>(row.get::<_, Option<String>>(at)?.unwrap_or_default());
            Ok([text(0)?, text(1)?, text(2)?, text(3)?, text(4)?, text(5)?, text(6)?, text(7)?])
        })
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let names: Vec<&str> = rows.iter().map(|row| row[1].as_str()).collect();
    assert_eq!(names, ["app", "base", "go1.24", "go1.25"]);
    assert_eq!(rows[0][5], "base go1.25", "realnames of this index, the best of each requirement");
    assert_eq!(rows[3][0], "go");
    assert_eq!(rows[1][6], "https://example.org/r/base-2.pkt.tar.zst");
    assert_eq!(rows[1][3], hash(&fs::read(repo.join("base-2.pkt.tar.zst")).unwrap()));
    let serial = |name: &str| -> i64 {
        database.query_row("SELECT serial FROM packages WHERE realname = ?1", [name], |row| row.get(0)).unwrap()
    };
    assert!(serial("go1.24") < serial("go1.25"));
}

#[test]
fn python_reads_the_index() {
    let Some(python) = on_path("python3") else { return skip("needs python3") };
    let environment = TestEnvironment::new();
    Package::program("tool", "1").file(&environment.repo());
    environment.run_plain(&["index", environment.repo().to_str().unwrap()]).ok();
    let script = "import sqlite3; print(sqlite3.connect('index.db').execute('select name, realname, version, family from packages').fetchall())";
    let output = Command::new(python).args(["-c", script]).current_dir(environment.repo()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("'tool', '1', ''"), "{text}{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn an_index_that_is_compressed_serves_like_the_plain_one() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    for name in ["tool", "another"] {
        Package::program(name, "1").file(&repo);
    }
    let words = |path: &Path| path.to_str().unwrap().to_owned();
    environment.run_plain(&["index", &words(&repo), "-o", &words(&environment.work().join("plain.db"))]).ok();
    let compressed = repo.join("index.db.zst");
    environment.run_plain(&["index", &words(&repo), "-o", &words(&compressed)]).ok().prints("index.db.zst");
    assert_eq!(fs::read_dir(&repo).unwrap().count(), 3, "nothing is left beside it");
    let (plain, bytes) = (fs::read(environment.work().join("plain.db")).unwrap(), fs::read(&compressed).unwrap());
    assert!(zstd::decode_all(&bytes[..]).unwrap() == plain);
    environment.run_plain(&["index", &words(&repo), "-o", &words(&compressed)]).ok();
    assert!(fs::read(&compressed).unwrap() == bytes, "the same packages give the same bytes");

    let server = Server::start();
    server.serve(&repo);
    for place in
        [words(&compressed), format!("file://{}", words(&compressed)), words(&repo), server.url("/index.db.zst")]
    {
        environment.run(&["--repo", &place, "install", "tool"]).ok();
        assert_eq!(environment.launch("usr/bin/tool", &[]), "tool 1\n", "{place}");
        environment.run(&["remove", "tool"]).ok();
        environment.run(&["cache", "clean", "--packages"]).ok();
        environment.run(&["sync", &place]).ok().says("2 packages in the index from");
        environment.run(&["list", "--available"]).ok().prints("another");
    }
    // The name decides nothing, the bytes do.
    fs::copy(&compressed, repo.join("index.db")).unwrap();
    environment.run(&["--repo", &words(&repo), "install", "tool"]).ok();
}

#[test]
fn m28_a_compressed_repository_is_bounded_and_verified() {
    let environment = TestEnvironment::hostile();
    environment.prime();
    let file = environment.work().join("bad.db.zst");
    let zeros = packets_tests::zstd_of(&vec![0; 1 << 20]);
    let cases: [(&str, Vec<u8>, i32); 3] = [
        ("no index", zeros.clone(), 5),
        ("truncated", zeros[..zeros.len() - 3].to_vec(), 5),
        ("a frame of nothing", packets_tests::zstd_of(&[]), 5),
    ];
    for (case, bytes, code) in cases {
        fs::write(&file, bytes).unwrap();
        let run = || environment.run(&["--repo", file.to_str().unwrap(), "install", "tool"]);
        let output = environment.refused(code, run);
        assert!(output.stderr.contains("bad.db.zst"), "{case}: {output}");
    }
}

#[test]
fn index_of_a_bad_package_keeps_the_old_index() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    Package::program("tool", "1").file(&repo);
    environment.run_plain(&["index", repo.to_str().unwrap()]).ok();
    let before = fs::read(repo.join("index.db")).unwrap();
    fs::write(repo.join("bad.pkt.tar.zst"), b"not a package").unwrap();
    environment.run_plain(&["index", repo.to_str().unwrap()]).fails(5).says("bad.pkt.tar.zst");
    assert_eq!(fs::read(repo.join("index.db")).unwrap(), before);
    assert_eq!(fs::read_dir(&repo).unwrap().count(), 3, "nothing is left");
}

#[test]
fn a_dry_run_of_pack_and_index_leaves_no_file() {
    let environment = TestEnvironment::new();
    let folder = Package::new("tool", "1").write(&environment.work());
    let before = packets_tests::Snapshot::of(environment.place());
    environment.run_plain(&["pack", folder.to_str().unwrap(), "--dry-run"]).ok().prints("tool-1.pkt.tar.zst");
    let repo = environment.repo();
    let output = environment.run_plain(&["index", repo.to_str().unwrap(), "--dry-run"]).ok();
    output.says("0 packages").says("warning: no package file (*.tar.zst)");
    before.assert_same(&packets_tests::Snapshot::of(environment.place()), "a dry run of pack and index");
}
