//! What reading an archive costs at most, whatever it holds. A process of its own,
//! because its peak is what is measured.

#![expect(clippy::unwrap_used, reason = "a test stops where its own preparation fails")]
#![expect(clippy::disallowed_methods, reason = "a test lays out its own folders")]

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use packets_host::archive::{Bounds, Discard, read};

/// The most memory that this process has held, in bytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    let kibibytes: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kibibytes << 10
}

fn header(name: &str, size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_path(name).unwrap();
    header.set_mode(0o644);
    header.set_size(size);
    header.set_cksum();
    header
}

const MANIFEST: &[u8] = b"[Info]\nname = \"a\"\nversion = \"1\"\n";

/// Compresses what `write` writes, with this window.
fn package(window: u32, installed_size: Option<u64>, write: impl FnOnce(&mut dyn Write)) -> std::fs::File {
    let file = tempfile::tempfile().unwrap();
    let mut encoder = zstd::Encoder::new(file, 1).unwrap();
    encoder.window_log(window).unwrap();
    let size = installed_size.map(|size| format!("installed_size = {size}\n")).unwrap_or_default();
    let mut manifest = [MANIFEST, size.as_bytes()].concat();
    encoder.write_all(header("manifest.toml", manifest.len() as u64).as_bytes()).unwrap();
    manifest.resize(512, 0);
    encoder.write_all(&manifest).unwrap();
    write(&mut encoder);
    encoder.write_all(&[0; 1024]).unwrap();
    let mut file = encoder.finish().unwrap();
    std::io::Seek::rewind(&mut file).unwrap();
    file
}

fn check(case: &str, file: std::fs::File, good: bool) {
    let started = Instant::now();
    let bounds = Bounds { compressed: file.metadata().unwrap().len(), installed_size: None, available: None };
    let result = read(file, bounds, &mut Discard);
    assert_eq!(result.is_ok(), good, "{case}: {:?}", result.err().map(|error| error.to_string()));
    assert!(peak() < 48 << 20, "{case}: {} bytes", peak());
    assert!(started.elapsed() < Duration::from_secs(60), "{case}: {:?}", started.elapsed());
}

/// Cheap bytes that zstd cannot take for one long run.
fn noise(bytes: u64) -> impl Read {
    struct Noise(u64);
    impl Read for Noise {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            for byte in buffer.iter_mut() {
                self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                *byte = (self.0 >> 60) as u8;
            }
            Ok(buffer.len())
        }
    }
    Noise(1).take(bytes)
}

#[test]
fn a58_to_a61_a66_memory_and_time_are_bounded() {
    let large = 300 << 20;
    let file = package(23, Some(large), |out| {
        out.write_all(header("data/x", large).as_bytes()).unwrap();
        std::io::copy(&mut noise(large), out).unwrap();
    });
    check("300 MiB with a window of 8 MiB", file, true);

    let bomb = 10 << 30;
    let zeros = |bytes: u64| {
        move |out: &mut dyn Write| {
            out.write_all(header("data/x", bomb).as_bytes()).unwrap();
            std::io::copy(&mut std::io::repeat(0).take(bytes), out).unwrap();
        }
    };
    check("A58 10 GiB of zeros, not stated", package(23, None, zeros(1 << 30)), false);
    check("A59 10 GiB of zeros, 1 MiB stated", package(23, Some(1 << 20), zeros(1 << 30)), false);
    check("A59 10 GiB of zeros stated, 1 GiB there", package(23, Some(bomb), zeros(1 << 30)), false);

    let many = |count: u32| {
        move |out: &mut dyn Write| {
            for number in 0..count {
                let name = format!("data/usr/share/some/folder/with/a/name/{:03}/file-number-{number}", number / 1000);
                out.write_all(header(&name, 0).as_bytes()).unwrap();
            }
        }
    };
    check("A66 99,000 empty files", package(23, None, many(99_000)), true);
    check("A66 more entries than allowed", package(23, None, many(101_000)), false);

    for descriptor in [0xff_u8, 0x90, 0x88, 0x80] {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&[0x28, 0xb5, 0x2f, 0xfd, 0, descriptor, 1, 0, 0]).unwrap();
        std::io::Seek::rewind(&mut file).unwrap();
        check("A60 window", file, false);
    }
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&[0x28, 0xb5, 0x2f, 0xfd, 0b1100_0000, 0x78, 0, 0, 0, 0, 0, 0, 0, 0x10, 1, 0, 0]).unwrap();
    std::io::Seek::rewind(&mut file).unwrap();
    check("A61 2^60 bytes claimed", file, false);
}
