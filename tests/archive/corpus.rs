//! Small hostile files, made here byte by byte; the catalogue's names in brackets.

use std::fs;

use packets_tests::{Entry, Package, TestEnvironment, tar_of, zstd_of};

fn refuse(bytes: &[u8]) {
    let environment = TestEnvironment::hostile();
    environment.prime();
    let file = environment.work().join("bad.pkt.tar.zst");
    fs::write(&file, bytes).unwrap();
    environment.refused(5, || environment.run(&["install", file.to_str().unwrap()]));
}

/// A zstd frame header: descriptor and what follows it (RFC 8878, 3.1.1.1).
fn frame(rest: &[u8]) -> Vec<u8> {
    [b"\x28\xb5\x2f\xfd".as_slice(), rest].concat()
}

/// The last block, raw and empty.
const LAST: [u8; 3] = [1, 0, 0];

#[test]
fn a60_windows_of_terabytes() {
    // [win_max, win_256M, win_128M] A window descriptor in the second byte: exponent and mantissa.
    for descriptor in [0xff, (28 - 10) << 3, (27 - 10) << 3] {
        refuse(&frame(&[&[0, descriptor][..], &LAST].concat()));
    }
}

#[test]
fn a61_a_content_size_of_an_exabyte() {
    // [fcs_2e60] Single segment, eight bytes of size.
    refuse(&frame(&[&[0xe0][..], &(1_u64 << 60).to_le_bytes(), &LAST].concat()));
    refuse(&frame(&[&[0xc0, 0x40][..], &(1_u64 << 60).to_le_bytes(), &LAST].concat()));
}

#[test]
fn a62_dictionaries_and_skippable_frames() {
    // [dictid] One byte of dictionary id.
    refuse(&frame(&[&[0x01, 0x40, 0x07][..], &LAST].concat()));
    let good = zstd_of(&tar_of(&Package::new("bad", "1").entries()));
    let skippable = |length: u32| [b"\x50\x2a\x4d\x18".to_vec(), length.to_le_bytes().to_vec()].concat();
    // [skip_then, skip_trunc]
    refuse(&[skippable(4), vec![0; 4], good.clone()].concat());
    refuse(&[good.clone(), skippable(4), vec![0; 4]].concat());
    refuse(&[skippable(u32::MAX), vec![0]].concat());
}

#[test]
fn a64_reserved_bits_and_blocks() {
    // [reserved_bit, reserved_block]
    refuse(&frame(&[&[0x08, 0x40][..], &LAST].concat()));
    refuse(&frame(&[0, 0x40, 0x07, 0, 0]));
}

/// A pax header with these records before an entry.
fn pax(records: &[(&str, &str)]) -> Entry {
    let mut content = String::new();
    for (key, value) in records {
        let rest = format!(" {key}={value}\n");
        let mut length = rest.len() + 1;
        while format!("{length}{rest}").len() != length {
            length += 1;
        }
        content.push_str(&format!("{length}{rest}"));
    }
    Entry::file("pax", &content).kind(b'x')
}

#[test]
fn a45_a46_two_sizes() {
    // [tarmageddon, inverse] The pax size and the header's disagree: one reader's file is another's archive.
    let hidden = String::from_utf8(tar_of(&[Entry::file("data/smuggled", "x")])).unwrap();
    let mut entries = Package::new("bad", "1").entries();
    entries.push(pax(&[("size", &hidden.len().to_string())]));
    entries.push(Entry::file("data/carrier", ""));
    let mut tar = tar_of(&entries);
    tar.truncate(tar.len() - 1024);
    tar.extend_from_slice(hidden.as_bytes());
    refuse(&zstd_of(&tar));
    entries.truncate(entries.len() - 2);
    entries.push(pax(&[("size", "0")]));
    entries.push(Entry::file("data/carrier", &hidden));
    refuse(&zstd_of(&tar_of(&entries)));
}

#[test]
fn a08_a48_a49_a50_pax_headers_that_lie() {
    let with = |more: &[Entry]| zstd_of(&tar_of(&[Package::new("bad", "1").entries(), more.to_vec()].concat()));
    refuse(&with(&[pax(&[("path", "data/a"), ("path", "data/b")]), Entry::file("data/c", "x")]));
    refuse(&with(&[pax(&[("path", "/etc/moo")]), Entry::file("data/c", "x")]));
    refuse(&with(&[pax(&[("path", "data/a\0b")]), Entry::file("data/c", "x")]));
    refuse(&with(&[pax(&[("linkpath", "/etc/shadow")]), Entry::hard_link("data/c", "data/name")]));
    refuse(&with(&[pax(&[("path", "data/end")])]));
    refuse(&with(&[pax(&[("path", "data/a")]), pax(&[("path", "data/b")]), Entry::file("data/c", "x")]));
    for text in [
        "99 path=data/a\n",
        "5 path=data/a\n",
        "0 path=x\n",
        "path=x\n",
        "18446744073709551616 path=x\n",
        "13 path=data/a",
    ] {
        refuse(&with(&[Entry::file("pax", text).kind(b'x'), Entry::file("data/c", "x")]));
    }
    let long = Entry::file("././@LongLink", "data/long\0").kind(b'L');
    refuse(&with(&[long.clone(), pax(&[("path", "data/a")]), Entry::file("data/c", "x")]));
    refuse(&with(&[Entry::file("././@LongLink", "data/lo\0ng\0").kind(b'L'), Entry::file("data/c", "x")]));
    refuse(&with(&[long]));
}

#[test]
fn a52_sparse_files() {
    let with = |more: &[Entry]| zstd_of(&tar_of(&[Package::new("bad", "1").entries(), more.to_vec()].concat()));
    refuse(&with(&[Entry::file("data/c", "x").kind(b'S')]));
    let records = [
        ("GNU.sparse.major", "1"),
        ("GNU.sparse.minor", "0"),
        ("GNU.sparse.name", "data/x"),
        ("GNU.sparse.realsize", "9223372036854775807"),
    ];
    refuse(&with(&[pax(&records), Entry::file("data/c", "0\n")]));
}

#[test]
fn a39_extended_attributes_are_not_carried_out() {
    let environment = TestEnvironment::hostile();
    let entries =
        [Package::new("good", "1").entries(), vec![pax(&[("SCHILY.xattr.user.x", "y")]), Entry::file("data/c", "x")]]
            .concat();
    let file = environment.work().join("good.pkt.tar.zst");
    fs::write(&file, zstd_of(&tar_of(&entries))).unwrap();
    let output = environment.run(&["install", file.to_str().unwrap()]);
    assert!([0, 5].contains(&output.code), "{output}");
    assert!(environment.system().0.values().all(|standing| standing.attributes.is_empty()));
}
