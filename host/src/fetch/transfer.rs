//! Bytes from a reader that nobody trusts into a file, bounded and hashed on the way.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use packets_plugin_api::ident::Digest;

use super::hashing::Hashing;
use super::limits::Speed;

/// Bytes moved by one read.
pub(super) const BUFFER: usize = 256 << 10;
/// Bytes between two reports of progress.
pub(super) const PROGRESS_STEP: u64 = 256 << 10;
/// The same in time, where they come slowly.
const PROGRESS_TIME: Duration = Duration::from_millis(100);
/// Bytes at the front that tell what a file is.
const FRONT: usize = 256;

/// What a file holds so far, which grows at its end.
#[derive(Debug, Default)]
pub(super) struct Written {
    size: u64,
    hashing: Hashing,
    front: Vec<u8>,
}

impl Written {
    /// What stands in this file already, at most `most` bytes of it.
    pub(super) fn of(file: &File, most: u64) -> io::Result<Self> {
        let mut written = Self::default();
        let mut buffer = vec![0; BUFFER];
        while written.size < most {
            let room = usize::try_from(most - written.size).unwrap_or(usize::MAX).min(BUFFER);
            match file.read_at(&mut buffer[..room], written.size) {
                Ok(0) => break,
                Ok(came) => buffer = buffer_of(written.add(buffer, came)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(written)
    }

    /// The first so many bytes of this piece have been written at its end. What is given back, this one or an earlier
    /// one, can be filled again.
    pub(super) fn add(&mut self, piece: Vec<u8>, length: usize) -> Option<Vec<u8>> {
        self.front.extend_from_slice(&piece[..length.min(FRONT - self.front.len())]);
        self.size += length as u64;
        self.hashing.add(piece, length)
    }

    /// In bytes.
    pub(super) fn size(&self) -> u64 {
        self.size
    }
    /// Of all of it.
    pub(super) fn digest(&self) -> Digest {
        self.hashing.digest()
    }
    /// Its first bytes.
    pub(super) fn front(&self) -> &[u8] {
        &self.front
    }
}

/// Why not all of it came.
#[derive(Debug)]
pub(super) enum Stopped {
    /// The reader failed.
    Source(io::Error),
    /// More than so many bytes came; no more than one of them has been read.
    TooLarge(u64),
    /// Fewer bytes a second than they should; so many.
    TooSlow(u64),
    /// The file that is written to failed.
    Disk(io::Error),
}

/// Copies everything behind what is `written`, up to `most` bytes in all. `progress` hears
/// now and then how many there are; `slowest` is asked again each time that bytes have come.
pub(super) fn copy(
    from: &mut dyn Read,
    to: &mut File,
    written: &mut Written,
    most: u64,
    slowest: &mut dyn FnMut() -> Speed,
    progress: &mut dyn FnMut(u64),
) -> Result<(), Stopped> {
    let mut buffer = vec![0; BUFFER];
    let mut floor = Floor::new(slowest());
    let (mut told, mut told_at) = (written.size, Instant::now());
    loop {
        // One byte more than may come shows that it is too much.
        let left = most.saturating_sub(written.size);
        let room = usize::try_from(left.saturating_add(1)).unwrap_or(usize::MAX).min(BUFFER);
        let came = match from.read(&mut buffer[..room]) {
            Ok(0) => break,
            // A reader that lies about what it has put there could lead us behind the buffer.
            Ok(came) if came > room => return Err(Stopped::Source(io::Error::other("the source misreports sizes"))),
            Ok(came) => came,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Stopped::Source(error)),
        };
        if left < came as u64 {
            return Err(Stopped::TooLarge(most));
        }
        to.write_all(&buffer[..came]).map_err(Stopped::Disk)?;
        buffer = buffer_of(written.add(buffer, came));
        floor.must_be(slowest());
        floor.passed(came as u64)?;
        if written.size - told >= PROGRESS_STEP || told_at.elapsed() >= PROGRESS_TIME {
            (told, told_at) = (written.size, Instant::now());
            progress(told);
        }
    }
    if written.size > told {
        progress(written.size);
    }
    Ok(())
}

/// This one again, where it has the size.
fn buffer_of(used: Option<Vec<u8>>) -> Vec<u8> {
    used.filter(|used| used.len() == BUFFER).unwrap_or_else(|| vec![0; BUFFER])
}

/// The speed below which a place is given up (M07).
pub(super) struct Floor {
    slowest: Speed,
    since: Instant,
    came: u64,
}

impl Floor {
    pub(super) fn new(slowest: Speed) -> Self {
        Self { slowest, since: Instant::now(), came: 0 }
    }

    /// The same time, looked at with another bound.
    pub(super) fn must_be(&mut self, slowest: Speed) {
        self.slowest = slowest;
    }

    pub(super) fn passed(&mut self, bytes: u64) -> Result<(), Stopped> {
        self.came += bytes;
        let took = self.since.elapsed();
        if took < self.slowest.window {
            return Ok(());
        }
        let speed = self.came as f64 / took.as_secs_f64();
        if speed < self.slowest.least as f64 {
            return Err(Stopped::TooSlow(speed as u64));
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
        || begins(b"<meta")
        || begins(b"<script")
        || begins(b"<title")
}

#[cfg(test)]
mod tests {
    use super::super::limits::SLOWEST;
    use super::*;

    #[test]
    fn n20_web_pages_are_known_by_their_front() {
        for page in
            ["<!DOCTYPE html>", "\r\n <html>", "\u{feff}<HTML lang=en>", "<?xml version", "<!-- login -->", "<Script>"]
        {
            assert!(is_web_page(page.as_bytes()), "{page:?}");
        }
        for other in [&b"SQLite format 3\0"[..], b"\x28\xb5\x2f\xfd", b"", b"<", b"<!", b"text <html>"] {
            assert!(!is_web_page(other), "{other:?}");
        }
    }

    fn copied(from: &mut dyn Read, to: &mut File, most: u64) -> Result<Written, Stopped> {
        let mut written = Written::default();
        copy(from, to, &mut written, most, &mut || SLOWEST, &mut |_| {})?;
        Ok(written)
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
        assert!(matches!(copied(&mut Liar, &mut file, 100), Err(Stopped::Source(_))));
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
        let outcome = copied(&mut Count(&mut read), &mut file, 1_000_000);
        assert!(matches!(outcome, Err(Stopped::TooLarge(1_000_000))));
        assert_eq!(read, 1_000_001);
    }

    #[test]
    fn m14_what_is_there_already_counts() {
        for (more, fits) in [(&b"56789"[..], true), (b"5678", true), (b"56789x", false), (b"", true)] {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(b"01234").unwrap();
            let mut written = Written::of(&file, u64::MAX).unwrap();
            let outcome = copy(&mut &*more, &mut file, &mut written, 10, &mut || SLOWEST, &mut |_| {});
            assert_eq!(outcome.is_ok(), fits, "{more:?}");
            assert_eq!(crate::digest::of_file(&file).unwrap(), (written.size(), written.digest()), "{more:?}");
        }
    }

    #[test]
    fn what_came_in_pieces_of_another_size_is_gone_on_with() {
        let (mut file, mut written) = (tempfile::tempfile().unwrap(), Written::default());
        for number in 0..6 {
            let piece = vec![number; 1 << 20];
            file.write_all(&piece).unwrap();
            written.add(piece, 1 << 20);
            written.add(Vec::new(), 0);
        }
        let rest = vec![9; 6 << 20];
        copy(&mut &rest[..], &mut file, &mut written, u64::MAX, &mut || SLOWEST, &mut |_| {}).unwrap();
        assert_eq!(crate::digest::of_file(&file).unwrap(), (written.size(), written.digest()));
    }

    #[test]
    fn n18_what_is_there_is_hashed_up_to_a_bound() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&vec![7; BUFFER + 3]).unwrap();
        let whole = Written::of(&file, u64::MAX).unwrap();
        assert_eq!(crate::digest::of_file(&file).unwrap(), (whole.size(), whole.digest()));
        assert_eq!((whole.front().len(), Written::of(&file, 5).unwrap().size()), (FRONT, 5));
    }

    #[test]
    fn progress_is_told_in_steps_and_at_the_end() {
        let bytes = vec![1; 3_000_001];
        let mut steps = Vec::new();
        let mut file = tempfile::tempfile().unwrap();
        let mut written = Written::default();
        copy(&mut &bytes[..], &mut file, &mut written, u64::MAX, &mut || SLOWEST, &mut |step| steps.push(step))
            .unwrap();
        assert!(steps.is_sorted() && steps.last() == Some(&3_000_001), "{steps:?}");
        assert!(steps.len() < 15, "{steps:?}");
        assert_eq!(crate::digest::of_file(&file).unwrap(), (written.size(), written.digest()));
    }
}
