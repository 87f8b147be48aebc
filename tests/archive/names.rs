//! Names that lead elsewhere.

use std::fs;

use packets_tests::{Entry, Package, TestEnvironment, tar_of, zstd_of};

/// A package with these entries behind its own is refused with code 5.
#[track_caller]
pub(crate) fn refused(entries: &[Entry]) {
    TestEnvironment::hostile_with_and_without_openat2(|environment| {
        environment.prime();
        let file = environment.work().join("bad.pkt.tar.zst");
        fs::write(&file, Package::program("bad", "1").archive_with(entries)).unwrap();
        let output = environment.refused(5, || environment.run(&["install", file.to_str().unwrap()]));
        assert!(!output.stderr.contains(['\u{1b}', '\u{202e}', '\0']), "D1 (e) {output}");
        assert!(output.stderr.contains("bad.pkt.tar.zst") || output.stderr.contains("bad"), "D1 (e) {output}");
    });
}

/// A package with these entries behind its own installs.
#[track_caller]
pub(crate) fn accepted(entries: &[Entry]) -> TestEnvironment {
    let environment = TestEnvironment::hostile();
    let file = environment.work().join("good.pkt.tar.zst");
    fs::write(&file, Package::program("good", "1").archive_with(entries)).unwrap();
    environment.run(&["install", file.to_str().unwrap()]).ok();
    environment
}

#[test]
fn a01_a02_absolute_paths() {
    for name in ["/tmp/moo", "//tmp/moo", "///x"] {
        refused(&[Entry::file(name, "x")]);
    }
}

#[test]
fn a03_a04_dots() {
    for name in ["../moo", "tmp/../../moo", "data/..", "data/a/../../x", "./../x", "data/../manifest.toml"] {
        refused(&[Entry::file(name, "x")]);
    }
    assert_eq!(accepted(&[Entry::file("data/...", "x")]).read("opt/packets/good/data/..."), "x");
}

#[test]
fn a05_entries_outside_of_the_package() {
    for name in ["Data/x", "data2/x", "install.lua/x", ".git/x", "README"] {
        refused(&[Entry::file(name, "x")]);
    }
}

#[test]
fn a06_data_itself_is_something_else() {
    for data in [Entry::symlink("data", "/"), Entry::file("data", "x")] {
        TestEnvironment::hostile_with_and_without_openat2(|environment| {
            environment.prime();
            let manifest = Entry::file("manifest.toml", "[Info]\nname = \"bad\"\nversion = \"1\"\n");
            let entries = [manifest, data.clone(), Entry::file("data/etc/x", "x")];
            let file = environment.work().join("bad.pkt.tar.zst");
            fs::write(&file, zstd_of(&tar_of(&entries))).unwrap();
            environment.refused(5, || environment.run(&["install", file.to_str().unwrap()]));
        });
    }
}

#[test]
fn a07_empty_and_dot_names() {
    for name in ["", "data//x", "data/./x", "data/../x", "data/x/"] {
        refused(&[Entry::file(name, "x")]);
    }
    // POSITIVE: what `tar -C dir .` writes.
    let environment = TestEnvironment::hostile();
    let mut entries = vec![Entry::folder("./")];
    for mut entry in Package::program("good", "1").entries() {
        entry.name = [b"./".as_slice(), &entry.name].concat();
        entries.push(entry);
    }
    let file = environment.work().join("good.pkt.tar.zst");
    fs::write(&file, zstd_of(&tar_of(&entries))).unwrap();
    environment.run(&["install", file.to_str().unwrap()]).ok();
    assert_eq!(environment.launch("usr/bin/good", &[]), "good 1\n");
}

#[test]
fn a09_a10_control_characters_and_other_encodings() {
    for name in ["data/a\nb", "data/\u{1b}[2J", "data/\u{202e}x", "data/\u{7f}"] {
        refused(&[Entry::file(name, "x")]);
    }
    let mut koi8 = Entry::file("data/", "x");
    koi8.name = b"data/\xd4\xc5\xd3\xd4".to_vec();
    refused(&[koi8]);
    assert_eq!(accepted(&[Entry::file("data/日本語", "x")]).read("opt/packets/good/data/日本語"), "x");
}

#[test]
fn a11_a12_twins() {
    // The same name in two normalisations is refused; the same letters in two cases are two files.
    refused(&[Entry::symlink("data/caf\u{e9}", "/etc"), Entry::file("data/cafe\u{301}", "x")]);
    let environment = accepted(&[Entry::file("data/A", "1"), Entry::file("data/a", "2")]);
    assert_eq!(
        (environment.read("opt/packets/good/data/A"), environment.read("opt/packets/good/data/a")),
        ("1".to_owned(), "2".to_owned())
    );
}

#[test]
fn a15_backslashes_are_letters() {
    let environment = accepted(&[Entry::file("data/a\\..\\b", "x"), Entry::file("data/c:..", "y")]);
    assert_eq!(environment.read("opt/packets/good/data/a\\..\\b"), "x");
}

#[test]
fn a16_to_a21_through_a_link() {
    refused(&[Entry::symlink("data/moo", "/tmp/moo"), Entry::file("data/moo", "x")]);
    refused(&[Entry::symlink("data/way", "/tmp"), Entry::file("data/way/moo", "x")]);
    refused(&[
        Entry::symlink("data/cur", "."),
        Entry::symlink("data/par", "cur/../.."),
        Entry::file("data/par/moo", "x"),
    ]);
    refused(&[Entry::symlink("data/cur", "."), Entry::symlink("data/cur/par", ".."), Entry::file("data/par/moo", "x")]);
    refused(&[
        Entry::symlink("data/way", ".."),
        Entry::folder("data/way/exploit/"),
        Entry::file("data/way/exploit/foo", "x"),
    ]);
    refused(&[Entry::symlink("data/way", "/tmp"), Entry::folder("data/way/").mode(0o777)]);
}

#[test]
fn a55_a_path_twice() {
    refused(&[Entry::file("manifest.toml", "x")]);
    refused(&[Entry::file("data/x", "1"), Entry::file("data/x", "2")]);
    refused(&[Entry::file("data/x", "1"), Entry::folder("data/x/")]);
    refused(&[Entry::folder("data/x/"), Entry::file("data/x", "1")]);
}

#[test]
fn a57_parents_that_are_missing_or_odd() {
    let environment = accepted(&[
        Entry::folder("data/closed/").mode(0),
        Entry::file("data/closed/file", "x"),
        Entry::file("data/p/q/r", "y"),
    ]);
    assert_eq!(environment.read("opt/packets/good/data/closed/file"), "x");
    assert_eq!(environment.read("opt/packets/good/data/p/q/r"), "y");
    environment.run(&["remove", "good"]).ok();
    assert!(!environment.exists("opt/packets/good"));
}
