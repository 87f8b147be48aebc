use std::io::{Seek, SeekFrom};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::builder::{MANIFEST, Tar, compress, noise};
use super::{bounds, good, listing, raw};

/// About 2 KiB when compressed, with every kind of entry.
fn package() -> Vec<u8> {
    let noise = noise(1200);
    let tar = Tar::new()
        .pax(b'g', &[("comment", b"c")])
        .folder("./")
        .file("./manifest.toml", MANIFEST)
        .folder("./data/")
        .file("data/noise", &noise)
        .long(b'L', format!("data/{}", "n".repeat(150)))
        .file("data/short", "abc")
        .pax(b'x', &[("path", b"data/\xc3\xa9"), ("mtime", b"1.5")])
        .file("data/other", "")
        .symlink("data/link", "noise")
        .hard_link("data/hard", "data/noise");
    compress(&tar.ended())
}

#[test]
fn a65_every_truncation_is_an_error() {
    let package = package();
    for length in 0..package.len() {
        assert!(listing(&package[..length]).is_err(), "A65 cut at {length}");
    }
    let tar = good().file("data/x", "abc").ended();
    for length in 0..tar.len() {
        assert!(listing(&raw(&tar[..length])).is_err(), "A65 archive cut at {length}");
    }
}

#[test]
fn a65_every_flipped_bit_is_an_error_or_changes_nothing() {
    let package = package();
    assert!((1500..4096).contains(&package.len()), "{}", package.len());
    let (good, _) = listing(&package).unwrap();
    let mut harmless = 0;
    for at in 0..package.len() {
        for bit in 0..8 {
            let mut bytes = package.clone();
            bytes[at] ^= 1 << bit;
            match listing(&bytes) {
                Err(_) => {}
                Ok((listing, _)) => {
                    assert_eq!(listing, good, "A65 bit {bit} of byte {at} changed the content");
                    harmless += 1;
                }
            }
        }
    }
    assert!(harmless < 64, "A65: {harmless} flips were not noticed");
}

#[test]
fn a65_flipped_bits_in_the_archive_itself_never_panic() {
    let tar = zstd::decode_all(&package()[..]).unwrap();
    for at in 0..tar.len() {
        let mut bytes = tar.clone();
        bytes[at] ^= 1 << (at % 8);
        let _ = listing(&raw(&bytes));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_bytes_are_refused_or_read(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let _ = listing(&bytes);
        let _ = listing(&[&[0x28, 0xb5, 0x2f, 0xfd][..], &bytes].concat());
        let _ = listing(&raw(&bytes));
        let _ = listing(&good().raw(&bytes).package());
    }

    /// Whatever the name is: what comes out is a plain path below `data`, or nothing.
    #[test]
    fn names_never_lead_out(parts in proptest::collection::vec("[a/.\\\\]{0,3}|\\.\\.|data|\u{e9}|/", 1..8)) {
        let name = format!("data/{}", parts.join("/"));
        if let Ok((_, summary)) = listing(&good().long(b'L', &name).file("x", "").package()) {
            for record in summary.records {
                prop_assert!(record.path.components().all(|part| !matches!(part, "" | "." | "..")));
            }
        }
    }

    /// Entries in any order and of any kind: every accepted path has folders above it, and comes once.
    #[test]
    fn trees_are_trees(entries in proptest::collection::vec((0u8..4, "(a|b)(/(a|b)){0,3}"), 0..12)) {
        let tar = entries.iter().fold(good(), |tar, (kind, path)| {
            let name = format!("data/{path}");
            match kind {
                0 => tar.file(name, "x"),
                1 => tar.folder(name),
                2 => tar.symlink(name, "../../../outside"),
                _ => tar.hard_link(name, "data/a"),
            }
        });
        let site = super::Site::new();
        let unpacked = site.unpack(&tar.package());
        site.outside_is_untouched();
        prop_assert_eq!(unpacked.is_ok(), listing(&tar.package()).is_ok());
    }
}

/// A reader that fails must end the run with its error, and no thread hangs.
#[test]
fn reading_fails_as_the_file_does() {
    struct Broken(usize);
    impl std::io::Read for Broken {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let package = package();
            if self.0 >= 1000 {
                return Err(std::io::Error::other("the disk failed"));
            }
            let count = buffer.len().min(100);
            buffer[..count].copy_from_slice(&package[self.0..self.0 + count]);
            self.0 += count;
            Ok(count)
        }
    }
    let error = crate::archive::read(Broken(0), bounds(&package()), &mut crate::archive::Discard).unwrap_err();
    assert_eq!(error.kind(), crate::error::ErrorKind::Storage);
    assert!(error.to_string().contains("the disk failed"), "{error}");
}

#[test]
fn the_manifest_is_read_without_the_rest() {
    let mut file = tempfile::tempfile().unwrap();
    let bulk = noise(4 << 20);
    let first = compress(&good().file("data/x", &bulk).ended());
    std::io::Write::write_all(&mut file, &first).unwrap();
    file.seek(SeekFrom::Start(0)).unwrap();
    let (manifest, _) = crate::archive::read_manifest(&mut file, first.len() as u64).unwrap();
    assert_eq!(manifest.info.name.as_str(), "a");
    assert!(file.stream_position().unwrap() < 300_000);
    let last = compress(&Tar::new().file("data/x", &bulk).file("manifest.toml", MANIFEST).ended());
    assert!(crate::archive::read_manifest(&last[..], last.len() as u64).is_ok());
    let none = compress(&Tar::new().file("data/x", "").ended());
    assert!(crate::archive::read_manifest(&none[..], none.len() as u64).is_err(), "A56");
}

#[test]
fn a14_a66_hostile_archives_end_soon() {
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || {
        let started = Instant::now();
        // Each entry implies 127 folders of its own.
        let deep =
            (0..1000).fold(good(), |tar, n| tar.long(b'L', format!("data/{n}{}", "/d".repeat(126))).file("x", ""));
        assert!(listing(&deep.package()).unwrap_err().to_string().contains("entries"), "A14");
        send.send(started.elapsed()).unwrap();
    });
    assert!(receive.recv_timeout(Duration::from_secs(20)).unwrap() < Duration::from_secs(10));
}
