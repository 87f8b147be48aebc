//! What is around the archive.

use std::fs;

use packets_tests::{Entry, Package, TestEnvironment, hash, tar_of, zstd_of};

fn try_bytes(environment: &TestEnvironment, bytes: &[u8]) -> packets_tests::Output {
    let file = environment.work().join("bad.pkt.tar.zst");
    fs::write(&file, bytes).unwrap();
    environment.run(&["install", file.to_str().unwrap()])
}

#[test]
fn a63_a66_more_than_one_frame_or_another_format() {
    let environment = TestEnvironment::hostile();
    environment.prime();
    let tar = tar_of(&Package::new("bad", "1").entries());
    let frame = zstd_of(&tar);
    let second = zstd_of(&tar_of(&[Entry::file("data/smuggled", "x")]));
    for bytes in [
        [frame.clone(), second].concat(),
        [frame.clone(), zstd_of(b"")].concat(),
        [frame.clone(), b"junk".to_vec()].concat(),
        tar.clone(),
        b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03".to_vec(),
        b"PK\x03\x04".to_vec(),
        b"\xfd7zXZ\x00".to_vec(),
        Vec::new(),
    ] {
        environment.refused(5, || try_bytes(&environment, &bytes));
    }
    try_bytes(&environment, &frame).ok();
}

/// A small package with a hook, as bytes.
fn small() -> Vec<u8> {
    let mut entries = Package::new("small", "1").entries();
    entries.push(Entry::symlink("data/link", "name"));
    zstd_of(&tar_of(&entries))
}

#[test]
fn a65_truncated_everywhere() {
    let environment = TestEnvironment::hostile();
    environment.prime();
    let bytes = small();
    let before = environment.everything();
    for length in (0..bytes.len()).step_by(1 + bytes.len() / 60) {
        try_bytes(&environment, &bytes[..length]).fails(5);
    }
    before.assert_same(&environment.everything(), "truncated packages");
}

#[test]
fn a65_flipped_everywhere_is_an_error_or_the_same() {
    let environment = TestEnvironment::hostile();
    environment.prime();
    let bytes = small();
    try_bytes(&environment, &bytes).ok();
    let content = |environment: &TestEnvironment| environment.read("opt/packets/small/data/name");
    let good = content(&environment);
    for at in (0..bytes.len()).step_by(1 + bytes.len() / 80) {
        environment.run(&["remove", "small"]);
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (at % 8);
        let output = try_bytes(&environment, &flipped);
        match output.code {
            // A flipped bit in what nobody reads, e.g. a date; or in the text of a file, as the archive says.
            0 => assert_eq!(environment.installed().len(), 1, "byte {at}"),
            1 | 5 | 6 => assert_eq!(environment.installed(), [""; 0], "byte {at}"),
            _ => panic!("byte {at}: {output}"),
        }
    }
    environment.run(&["remove", "small"]);
    try_bytes(&environment, &bytes).ok();
    assert_eq!(hash(content(&environment).as_bytes()), hash(good.as_bytes()));
}

#[test]
fn a64_noise() {
    let environment = TestEnvironment::hostile();
    environment.prime();
    for length in [1, 4, 9, 100, 5000] {
        environment.refused(5, || try_bytes(&environment, &packets_tests::noise(length)));
        let magic = [b"\x28\xb5\x2f\xfd".to_vec(), packets_tests::noise(length)].concat();
        environment.refused(5, || try_bytes(&environment, &magic));
    }
}
