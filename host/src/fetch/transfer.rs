//! Bytes from a reader that nobody trusts into a file, bounded and hashed on the way.

use std::fs::File;
use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use packets_plugin_api::ident::Digest;
use sha2::{Digest as _, Sha256};

use super::Limits;

/// Bytes moved by one read.
const BUFFER: usize = 256 << 10;
/// Bytes between two reports of progress.
const PROGRESS_STEP: u64 = 256 << 10;
/// Bytes at the front that tell what a file is.
const FRONT: usize = 256;

/// What has come.
#[derive(Debug)]
pub(super) struct Came {
    pub(super) size: u64,
    pub(super) digest: Digest,
    pub(super) front: Vec<u8>,
}

/// Why not all of it came.
#[derive(Debug)]
pub(super) enum Stopped {
    /// The reader failed.
    Source(io::Error),
    /// More than so many bytes came; no more than one of them has been read.
    TooLarge(u64),
    /// Fewer bytes a second than [`Limits::slowest`].
    TooSlow,
    /// The file that is written to failed.
    Disk(io::Error),
}

/// Copies everything, at most `most` bytes. `progress` hears of new bytes now and then.
pub(super) fn copy(
    from: &mut dyn Read,
    to: &mut File,
    most: u64,
    limits: &Limits,
    progress: &mut dyn FnMut(u64),
) -> Result<Came, Stopped> {
    let mut buffer = vec![0; BUFFER];
    let mut hasher = Sha256::new();
    let mut floor = Floor::new(limits);
    let mut front = Vec::new();
    let (mut size, mut told) = (0, 0);
    loop {
        // One byte more than may come shows that it is too much.
        let room = usize::try_from((most - size).saturating_add(1)).unwrap_or(usize::MAX).min(BUFFER);
        let came = match from.read(&mut buffer[..room]) {
            Ok(0) => break,
            // A reader that lies about what it has put there could lead us behind the buffer.
            Ok(came) if came > room => return Err(Stopped::Source(io::Error::other("the source misreports sizes"))),
            Ok(came) => came,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Stopped::Source(error)),
        };
        if most - size < came as u64 {
            return Err(Stopped::TooLarge(most));
        }
        let bytes = &buffer[..came];
        to.write_all(bytes).map_err(Stopped::Disk)?;
        hasher.update(bytes);
        front.extend_from_slice(&bytes[..came.min(FRONT - front.len())]);
        size += came as u64;
        floor.passed(came as u64)?;
        if size - told >= PROGRESS_STEP {
            progress(size - told);
            told = size;
        }
    }
    if size > told {
        progress(size - told);
    }
    Ok(Came { size, digest: Digest::from_bytes(hasher.finalize().into()), front })
}

/// The speed below which a place is given up (M07).
struct Floor {
    window: Duration,
    least: u64,
    since: Instant,
    came: u64,
}

impl Floor {
    fn new(limits: &Limits) -> Self {
        let least = limits.slow_window.as_secs_f64() * limits.slowest as f64;
        Self { window: limits.slow_window, least: least as u64, since: Instant::now(), came: 0 }
    }

    fn passed(&mut self, bytes: u64) -> Result<(), Stopped> {
        self.came += bytes;
        if self.since.elapsed() < self.window {
            return Ok(());
        }
        if self.came < self.least {
            return Err(Stopped::TooSlow);
        }
        (self.since, self.came) = (Instant::now(), 0);
        Ok(())
    }
}

/// Whether a file begins as a web page does, and neither as a package nor as an index.
pub(super) fn is_web_page(front: &[u8]) -> bool {
    let text = front.strip_prefix(b"\xef\xbb\xbf").unwrap_or(front).trim_ascii_start();
    let begins = |word: &[u8]| text.get(..word.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(word));
    begins(b"<!doctype")
        || begins(b"<html")
        || begins(b"<head")
        || begins(b"<?xml")
        || begins(b"<!--")
        || begins(b"<body")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n20_web_pages_are_known_by_their_front() {
        for page in ["<!DOCTYPE html>", "\r\n <html>", "\u{feff}<HTML lang=en>", "<?xml version", "<!-- login -->"] {
            assert!(is_web_page(page.as_bytes()), "{page:?}");
        }
        for other in [&b"SQLite format 3\0"[..], b"\x28\xb5\x2f\xfd", b"", b"<", b"<!", b"text <html>"] {
            assert!(!is_web_page(other), "{other:?}");
        }
    }

    #[test]
    fn a_reader_that_misreports_what_it_read_is_an_error() {
        struct Liar;
        impl Read for Liar {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                Ok(buffer.len() + 1)
            }
        }
        let mut file = tempfile::tempfile().unwrap();
        let outcome = copy(&mut Liar, &mut file, 100, &Limits::default(), &mut |_| {});
        assert!(matches!(outcome, Err(Stopped::Source(_))));
        assert_eq!(file.metadata().unwrap().len(), 0);
    }

    #[test]
    fn m14_reads_one_byte_more_than_may_come_and_no_further() {
        let mut read = 0;
        struct Count<'a>(&'a mut u64);
        impl Read for Count<'_> {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                *self.0 += buffer.len() as u64;
                Ok(buffer.len())
            }
        }
        let mut file = tempfile::tempfile().unwrap();
        let outcome = copy(&mut Count(&mut read), &mut file, 1_000_000, &Limits::default(), &mut |_| {});
        assert!(matches!(outcome, Err(Stopped::TooLarge(1_000_000))));
        assert_eq!(read, 1_000_001);
    }

    #[test]
    fn progress_adds_up_and_comes_in_steps() {
        let bytes = vec![1; 3_000_001];
        let mut steps = Vec::new();
        let mut file = tempfile::tempfile().unwrap();
        let came =
            copy(&mut &bytes[..], &mut file, u64::MAX, &Limits::default(), &mut |step| steps.push(step)).unwrap();
        assert_eq!((came.size, steps.iter().sum::<u64>()), (3_000_001, 3_000_001));
        assert!(steps.len() < 15, "{steps:?}");
        assert_eq!(crate::digest::of_file(&file).unwrap(), (came.size, came.digest));
    }
}
