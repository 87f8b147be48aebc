use std::io::Write;
use std::time::{Duration, Instant};

use super::builder::{Head, MANIFEST, Tar, compress};
use super::{good, listing, raw, refused_package};

const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

fn refused(case: &str, package: &[u8], part: &str) {
    let error = refused_package(case, package).to_string();
    assert!(error.contains(part), "{case}: {error}");
}

/// A frame with this window descriptor, without content size, of these blocks.
fn frame(window: u8, blocks: &[u8]) -> Vec<u8> {
    [&MAGIC[..], &[0, window], blocks].concat()
}

fn block(last: bool, kind: u32, size: u32) -> [u8; 3] {
    let header = u32::from(last) | kind << 1 | size << 3;
    let bytes = header.to_le_bytes();
    [bytes[0], bytes[1], bytes[2]]
}

#[test]
fn a58_bombs_stop_at_the_ratio() {
    let started = Instant::now();
    // One file of 1 GiB, by its header and by RLE blocks of 128 KiB.
    let head = Tar::new()
        .file("manifest.toml", MANIFEST)
        .folder("data")
        .raw(&Head::new(b'0', b"data/x", 1 << 30).summed())
        .bytes;
    let mut blocks = [&block(false, 0, head.len() as u32)[..], &head].concat();
    for _ in 0..8192 {
        blocks.extend_from_slice(&block(false, 1, 128 << 10));
        blocks.push(0);
    }
    refused("A58", &frame(0x38, &blocks), "1000 times");
    // Zeros where an archive should be, and behind its end.
    let zeros: Vec<u8> = (0..8192).flat_map(|_| [&block(false, 1, 128 << 10)[..], &[0]].concat()).collect();
    refused("A58", &frame(0x38, &zeros), "more padding");
    assert!(started.elapsed() < Duration::from_secs(5), "A58 took {:?}", started.elapsed());
}

#[test]
fn a59_stated_sizes_hold() {
    let manifest = |size: u64| format!("{}installed_size = {size}\n", String::from_utf8_lossy(MANIFEST));
    let package = |size, manifest_first: bool| {
        let (content, text) = (vec![7; 4 << 20], manifest(size));
        let tar = if manifest_first {
            Tar::new().file("manifest.toml", &text).file("data/x", &content)
        } else {
            Tar::new().file("data/x", &content).file("manifest.toml", &text)
        };
        compress(&tar.ended())
    };
    refused("A59 too small", &package(100, true), "states");
    refused("A59", &package(0, true), "states");
    assert!(listing(&package(4 << 20, true)).is_ok(), "A59 positive: far over the ratio, and stated");
    refused("A59 stated too late", &package(4 << 20, false), "1000 times");
    // The index's word counts beside the manifest's.
    let bounds = super::Bounds { compressed: 1 << 20, installed_size: Some(100), available: None };
    assert!(super::read(&package(4 << 20, true)[..], bounds, &mut super::Listing::default()).is_err());
}

#[test]
fn a60_windows() {
    for descriptor in [0xff, 0x80, 0x88, 0x90, 0x79, 0x81] {
        refused("A60", &frame(descriptor, &block(true, 0, 0)), "window");
    }
    refused("A60 highest accepted", &frame(0x78, &block(true, 0, 0)), "end blocks");
    let mut encoder = zstd::Encoder::new(Vec::new(), 3).unwrap();
    encoder.long_distance_matching(true).unwrap();
    encoder.window_log(27).unwrap();
    encoder.write_all(&good().ended()).unwrap();
    refused("A60", &encoder.finish().unwrap(), "window");
    let mut encoder = zstd::Encoder::new(Vec::new(), 3).unwrap();
    encoder.window_log(25).unwrap();
    encoder.write_all(&good().ended()).unwrap();
    assert!(listing(&encoder.finish().unwrap()).is_ok(), "A60 positive: 32 MiB");
}

#[test]
fn a61_content_sizes_are_only_claims() {
    let claims = |descriptor: u8, size: &[u8], blocks: &[u8]| [&MAGIC[..], &[descriptor], size, blocks].concat();
    refused("A61 single segment", &claims(0b1110_0000, &(1u64 << 60).to_le_bytes(), &block(true, 0, 0)), "window");
    let with_window = [&MAGIC[..], &[0b1100_0000, 0x38], &(1u64 << 60).to_le_bytes(), &block(true, 0, 0)].concat();
    refused("A61", &with_window, "");
    refused("A61 too small", &claims(0b0010_0000, &[1], &[&block(true, 0, 2)[..], b"ab"].concat()), "damaged");
    refused("A61 too large", &claims(0b0010_0000, &[3], &[&block(true, 0, 2)[..], b"ab"].concat()), "damaged");
}

#[test]
fn a62_dictionaries_and_skippable_frames() {
    for (flag, id) in [(1, &[1][..]), (2, &[1, 0]), (3, &[0, 0, 0, 0])] {
        let with_id = [&MAGIC[..], &[flag, 0x38], id, &block(true, 0, 0)].concat();
        refused("A62 dictionary", &with_id, "dictionary");
    }
    let package = good().package();
    let skippable = |length: u32, body: &[u8]| [&[0x50, 0x2a, 0x4d, 0x18], &length.to_le_bytes()[..], body].concat();
    refused("A62 first", &[skippable(3, b"abc"), package.clone()].concat(), "skippable");
    refused("A62 only", &skippable(u32::MAX, b""), "skippable");
    refused("A62 last", &[package.clone(), skippable(3, b"abc")].concat(), "behind its zstd frame");
    refused("A62 last", &[package, skippable(0, b"")].concat(), "behind its zstd frame");
}

#[test]
fn a63_one_frame_and_nothing_else() {
    let package = good().package();
    refused("A63 second", &[&package[..], &package].concat(), "behind its zstd frame");
    refused("A63 second empty", &[&package[..], &frame(0x38, &block(true, 0, 0))].concat(), "behind its zstd frame");
    refused("A63 junk", &[&package[..], b"\0"].concat(), "behind its zstd frame");
    refused("A63 split", &[raw(&good().bytes), raw(&[0; 1024])].concat(), "behind its zstd frame");
    let started = Instant::now();
    refused("A63 empty frames", &frame(0x38, &block(true, 0, 0)).repeat(200_000), "behind its zstd frame");
    let empty_blocks: Vec<u8> = block(false, 0, 0).repeat(600_000);
    refused("A63 empty blocks", &frame(0x38, &empty_blocks), "middle of its zstd frame");
    assert!(started.elapsed() < Duration::from_secs(5));
}

/// Gives one byte at a time: no answer depends on how the file is read.
struct Slowly<'a>(&'a [u8]);

impl std::io::Read for Slowly<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = buffer.len().min(self.0.len()).min(1);
        buffer[..count].copy_from_slice(&self.0[..count]);
        self.0 = &self.0[count..];
        Ok(count)
    }
}

#[test]
fn a63_also_when_bytes_come_one_by_one() {
    let package = good().file("data/x", "abc").package();
    let read = |bytes: &[u8]| super::read(Slowly(bytes), super::bounds(bytes), &mut super::Listing::default());
    assert_eq!(read(&package).unwrap(), listing(&package).unwrap().1);
    assert!(read(&[&package[..], b"\0"].concat()).is_err());
    assert!(read(&package[..package.len() - 1]).is_err());
    assert!(read(b"").is_err());
}

#[test]
fn a64_malformed_frames() {
    refused("A64 reserved bit", &[&MAGIC[..], &[0b0000_1000, 0x38], &block(true, 0, 0)].concat(), "reserved");
    refused("A64 reserved block", &frame(0x38, &block(true, 3, 0)), "damaged");
    refused(
        "A64 block over 128 KiB",
        &frame(0x78, &[&block(true, 0, 200_000)[..], &vec![0; 200_000]].concat()),
        "damaged",
    );
    let mut package = good().package();
    *package.last_mut().unwrap() ^= 1;
    refused("A64 checksum", &package, "damaged");
    for length in 0..12 {
        refused("A64 cut", &good().package()[..length], "");
    }
    for bytes in [&[0xff; 64][..], &[0; 64], &MAGIC, &[0x27, 0xb5, 0x2f, 0xfd, 0, 0x38, 1, 0, 0]] {
        refused("A64", bytes, "");
    }
}

#[test]
fn a66_other_formats_and_sizes() {
    let tar = good().ended();
    refused("A66 plain tar", &tar, "not compressed");
    refused("A66 gzip", &[b"\x1f\x8b\x08\0", &tar[..]].concat(), "gzip");
    refused("A66 xz", b"\xfd7zXZ\0\0\x04", "xz");
    refused("A66 zip", b"PK\x03\x04\0\0\0\0", "zip");
    refused("A66 page", b"<!DOCTYPE html><html>", "web page");
    refused("A66 empty", b"", "empty");
    let huge = Head::new(b'0', b"data/x", 0).with(124, b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff");
    refused("A66 2^63-1", &good().raw(&huge.summed()).package(), "1000 times");
}

#[test]
fn a66_a_million_empty_files() {
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.write_all(&good().bytes).unwrap();
    for number in 0..100_100 {
        encoder.write_all(&Head::new(b'0', format!("data/{number}").as_bytes(), 0).summed()).unwrap();
    }
    encoder.write_all(&[0; 1024]).unwrap();
    let package = encoder.finish().unwrap();
    let error = listing(&package).unwrap_err().to_string();
    assert!(error.contains("more than 100000 entries"), "{error}");
    let bounds = super::Bounds { installed_size: Some(0), ..super::bounds(&package) };
    let summary = super::read(&package[..], bounds, &mut crate::archive::Discard).unwrap();
    assert_eq!(summary.files, 100_101, "with a stated size more are allowed");
}
