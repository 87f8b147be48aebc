//! Entries that are no files, folders or links, and files that are more than files.

use std::fs;

use packets_tests::{Entry, Package, TestEnvironment, tar_of, zstd_of};

use crate::names::{accepted, refused};

#[test]
fn a22_to_a25_hard_links() {
    refused(&[Entry::hard_link("data/shadow", "/etc/shadow"), Entry::file("data/shadow", "x")]);
    refused(&[Entry::hard_link("data/x", "../target/foo")]);
    refused(&[Entry::symlink("data/way", "/etc"), Entry::hard_link("data/x", "data/way/passwd")]);
    refused(&[Entry::hard_link("data/x", "data/absent")]);
    refused(&[Entry::hard_link("data/x", "data/x")]);
    refused(&[Entry::hard_link("data/x", "data/later"), Entry::file("data/later", "x")]);
    let environment = accepted(&[Entry::file("data/first", "x"), Entry::hard_link("data/second", "data/first")]);
    assert_eq!(environment.read("opt/packets/good/data/second"), "x");
}

#[test]
fn a28_links_that_are_none() {
    refused(&[Entry::symlink("data/x", "")]);
    refused(&[Entry::symlink("data/x", "a\nb")]);
}

#[test]
fn a29_links_in_circles_are_only_links() {
    let environment = accepted(&[Entry::symlink("data/loop", "loop"), Entry::symlink("data/other", "loop/x")]);
    environment.run(&["files", "good"]).ok().prints("/opt/packets/good/data/loop -> loop");
    environment.run(&["remove", "good"]).ok();
}

#[test]
fn a36_a37_a44_devices_pipes_and_unknown_types() {
    for kind in *b"346V7DNSZMA" {
        refused(&[Entry::file("data/x", "").kind(kind)]);
    }
}

#[test]
fn a38_setuid_setgid_and_sticky() {
    for mode in [0o4755, 0o2755, 0o6755] {
        refused(&[Entry::file("data/x", "x").mode(mode)]);
    }
    use std::os::unix::fs::MetadataExt;
    let environment = accepted(&[Entry::file("data/open", "x").mode(0o777), Entry::file("data/closed", "x").mode(0)]);
    let mode =
        |name: &str| environment.at(&format!("opt/packets/good/data/{name}")).metadata().unwrap().mode() & 0o7777;
    assert_eq!(mode("open"), 0o755);
    assert_eq!(mode("closed") & 0o022, 0);
}

#[test]
fn a41_the_owner_is_who_installs() {
    use std::os::unix::fs::MetadataExt;
    let environment = accepted(&[Entry::file("data/x", "x")]);
    let owner = environment.at("opt/packets/good/data/x").metadata().unwrap().uid();
    assert_eq!(owner, environment.root().metadata().unwrap().uid());
}

#[test]
fn a43_a53_headers_that_are_wrong() {
    let environment = TestEnvironment::hostile();
    environment.prime();
    let good = tar_of(&Package::program("bad", "1").entries());
    let file = environment.work().join("bad.pkt.tar.zst");
    let mut checksum = good.clone();
    checksum[148] ^= 1;
    let mut no_end = good.clone();
    no_end.truncate(good.len() - 1024);
    let mut behind_the_end = good.clone();
    behind_the_end.extend_from_slice(&tar_of(&[Entry::file("data/smuggled", "x")]));
    let mut junk = good.clone();
    junk.extend_from_slice(b"junk");
    for (tar, what) in
        [(checksum, "A53"), (no_end, "A53"), (behind_the_end, "A54"), (junk, "A54"), (good[..700].to_vec(), "A53")]
    {
        fs::write(&file, zstd_of(&tar)).unwrap();
        let output = environment.refused(5, || environment.run(&["install", file.to_str().unwrap()]));
        assert_eq!(output.code, 5, "{what}");
    }
    let mut padded = good;
    padded.resize(padded.len().next_multiple_of(10_240), 0);
    fs::write(&file, zstd_of(&padded)).unwrap();
    environment.run(&["install", file.to_str().unwrap()]).ok();
}

#[test]
fn a47_global_headers() {
    let record = |text: &str| Entry {
        content: format!("{} {text}\n", text.len() + 4).into_bytes(),
        ..Entry::file("pax_global_header", "").kind(b'g')
    };
    refused(&[record("path=data/evil"), Entry::file("data/x", "x")]);
    accepted(&[record("comment=abcdef"), Entry::file("data/x", "x")]);
    // Python's tarfile refuses one that nothing follows.
    refused(&[record("comment=abcdef")]);
}

#[test]
fn a56_m32_manifests_that_are_none() {
    let environment = TestEnvironment::hostile();
    environment.prime();
    let file = environment.work().join("bad.pkt.tar.zst");
    let nested = format!("[Info]\nname = \"bad\"\nversion = \"1\"\nx = {}", "[".repeat(10_000));
    let large = format!("[Info]\nname = \"bad\"\nversion = \"1\"\ndescription = \"{}\"\n", "x".repeat(8 << 20));
    for manifest in [
        vec![],
        vec![Entry::symlink("manifest.toml", "/etc/passwd")],
        vec![Entry::folder("manifest.toml/")],
        vec![Entry::file("manifest.toml", &large)],
        vec![Entry::file("manifest.toml", &nested)],
        vec![Entry::file("manifest.toml", "")],
        vec![Entry::file("manifest.toml", "[Info]\nname = \"bad\"\nname = \"bad\"\nversion = \"1\"\n")],
        vec![Entry::file("manifest.toml", "[Info]\nname = \"../bad\"\nversion = \"1\"\n")],
        vec![Entry::file("manifest.toml", "[Info]\nname = \"bad\"\nversion = \"1/../../x\"\n")],
        vec![Entry::file("manifest.toml", "[Info]\nname = \"bad\"\nversion = \"1\"\nserial = 99999999999999999999\n")],
        vec![Entry::file(
            "manifest.toml",
            "[Info]\nname = \"bad\"\nversion = \"1\"\n[Hooks]\ninstall = \"../x.lua\"\n",
        )],
        vec![Entry::file(
            "manifest.toml",
            "[Info]\nname = \"bad\"\nversion = \"1\"\n[Hooks]\ninstall = \"absent.lua\"\n",
        )],
    ] {
        let entries = [vec![Entry::folder("data/"), Entry::file("data/x", "x")], manifest.clone()].concat();
        fs::write(&file, zstd_of(&tar_of(&entries))).unwrap();
        let output = environment.refused(5, || environment.run(&["install", file.to_str().unwrap()]));
        assert!(output.stderr.len() < 5000, "{manifest:.100?}");
    }
}

#[test]
fn unknown_keys_are_a_warning() {
    let environment = TestEnvironment::hostile();
    environment.install(&Package::new("tomorrow", "1").info("colour = \"red\"")).ok().says("warning: ").says("colour");
}
