//! Every bound of reading an archive, with the attack that it answers (numbers of
//! the attack catalogue in brackets).

use crate::error::{Error, Result};

/// Logarithm of the largest zstd window: a frame that asks for terabytes (A60). 32 MiB
/// is what v1's packer uses at its best level.
pub(crate) const WINDOW_LOG: u32 = 25;
/// The highest compression level of a packer; above it windows exceed what readers must support.
pub(crate) const MAX_COMPRESSION_LEVEL: i32 = 19;
/// Bytes read, and bytes decompressed, at once; the only buffers whose size is not the window's (A61).
pub(super) const CHUNK: usize = 128 << 10;
/// What a frame that says so of itself is decompressed to in one go: into a window, and from there into a buffer, takes
/// longer (A61).
pub(super) const WHOLE: usize = 512 << 10;
/// Decompressed buffers of [`CHUNK`] bytes that wait for the reader, where a thread of its own fills them: what a
/// bomb can make before it is found out.
pub(super) const AHEAD: usize = 8;
/// Bytes that a decoder may hold to be kept for the next package of its thread: enough for a window of 2 MiB, which is
/// that of zstd's default level.
pub(super) const SPARE: usize = 3 << 20;
/// Body of a pax header or a GNU long name (A51).
pub(super) const EXTENSION: u64 = 256 << 10;
/// Records in one pax header (A49).
pub(super) const PAX_RECORDS: usize = 256;
/// Zeros behind the end-of-archive blocks (A54): the largest record of GNU tar in use.
pub(super) const PADDING: u64 = 1 << 20;
/// Folders inside folders (A14).
pub(super) const DEPTH: usize = 128;
/// Text of a symbolic link in bytes (A28): Linux takes no more.
pub(super) const LINK_TARGET: usize = 4095;
/// Entries beside `manifest.toml` and `data/` (A05): they are judged when the manifest is known.
pub(super) const OUTSIDE: usize = 64;
/// Size of each of them; they can only be hooks (H15).
pub(super) const OUTSIDE_SIZE: u64 = packets_hook_runtime::limits::SCRIPT;
/// Bytes of such files that are kept for whoever runs them: packages that fill the memory with them (A66).
pub(super) const OUTSIDE_KEPT: usize = 64 << 10;
/// Entries of a package that does not state its size (A66).
const ENTRIES: u64 = 100_000;
/// Entries of one that does (A66).
const ENTRIES_DECLARED: u64 = 1_000_000;
/// Times its own size to which a package may unpack that does not state its size (A58).
const RATIO: u64 = 1000;
/// What every package may unpack to: of a tiny one the padding alone exceeds the ratio.
const RATIO_FLOOR: u64 = 1 << 20;
/// What a package may exceed its stated size by: a part of it (1/8) and this. Packagers count
/// differently (A59).
const DECLARED_SLACK: u64 = 1 << 20;
/// Bytes of headers, long names and padding: for any archive, and for each entry of it (A51).
const OVERHEAD: u64 = 16 << 20;
/// See [`OVERHEAD`].
const OVERHEAD_PER_ENTRY: u64 = 12 << 10;

/// What is known of an archive before it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Size of the package file in bytes.
    pub compressed: u64,
    /// Size when installed, by the index. The manifest may state it too; then both hold.
    pub installed_size: Option<u64>,
    /// Bytes free where it is unpacked to.
    pub available: Option<u64>,
}

/// Counts what an archive unpacks to.
#[derive(Debug)]
pub(crate) struct Budget {
    bounds: Bounds,
    entries: u64,
    content: u64,
    overhead: u64,
}

impl Budget {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self { bounds, entries: 0, content: 0, overhead: 0 }
    }

    /// Bytes of all files so far.
    pub(crate) fn content(&self) -> u64 {
        self.content
    }

    /// The manifest's own word; what has been read until here must agree with it.
    pub(crate) fn declare(&mut self, installed_size: Option<u64>) -> Result<()> {
        if let Some(size) = installed_size {
            self.bounds.installed_size = Some(self.bounds.installed_size.map_or(size, |other| other.min(size)));
        }
        self.check()
    }

    /// One more entry, of `size` bytes: counted before any of them is read.
    pub(crate) fn entry(&mut self, size: u64) -> Result<()> {
        self.entries += 1;
        self.content = self.content.saturating_add(size);
        self.check()
    }

    /// Bytes of the archive that are no file's content.
    pub(crate) fn overhead(&mut self, bytes: u64) -> Result<()> {
        self.overhead = self.overhead.saturating_add(bytes);
        self.check()
    }

    fn check(&self) -> Result<()> {
        let Bounds { compressed, installed_size, available } = self.bounds;
        let most = if installed_size.is_some() { ENTRIES_DECLARED } else { ENTRIES };
        if self.entries > most {
            return Err(Error::integrity(format!("the package has more than {most} entries")).hint(state_size(most)));
        }
        if self.overhead > OVERHEAD + self.entries * OVERHEAD_PER_ENTRY {
            return Err(Error::integrity("the package consists of headers"));
        }
        if available.is_some_and(|available| self.content > available) {
            let content = self.content;
            return Err(Error::storage(format!("the package needs {content} bytes or more, and so much is not free")));
        }
        match installed_size {
            Some(size) => {
                let most = size.saturating_add(size / 8).saturating_add(DECLARED_SLACK);
                (self.content <= most).then_some(()).ok_or_else(|| {
                    Error::integrity(format!("the package unpacks to more than the {size} bytes that it states"))
                })
            }
            None => {
                let most = compressed.saturating_mul(RATIO).max(RATIO_FLOOR);
                (self.content.saturating_add(self.overhead) <= most).then_some(()).ok_or_else(|| {
                    Error::integrity(format!("the package unpacks to more than {RATIO} times its {compressed} bytes"))
                        .hint(state_size(ENTRIES))
                })
            }
        }
    }
}

fn state_size(entries: u64) -> &'static str {
    if entries == ENTRIES_DECLARED {
        "split it into several packages"
    } else {
        "its packager can state installed_size in manifest.toml"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn budget(compressed: u64, installed_size: Option<u64>) -> Budget {
        Budget::new(Bounds { compressed, installed_size, available: None })
    }

    #[test]
    fn a66_entries_up_to_a_bound() {
        for (installed_size, most) in [(None, ENTRIES), (Some(0), ENTRIES_DECLARED)] {
            let mut budget = budget(1 << 30, installed_size);
            (0..most).for_each(|_| budget.entry(0).unwrap());
            let error = budget.entry(0).unwrap_err();
            assert!(error.to_string().contains(&format!("more than {most} entries")), "{error}");
        }
    }

    #[test]
    fn a58_a59_contents_up_to_a_bound() {
        let size = 80 << 20;
        for (compressed, installed_size, most) in [
            (1 << 20, None, RATIO << 20),
            (1, None, RATIO_FLOOR),
            (0, None, RATIO_FLOOR),
            (1, Some(0), DECLARED_SLACK),
            (1, Some(size), size + size / 8 + DECLARED_SLACK),
        ] {
            budget(compressed, installed_size).entry(most).unwrap();
            let error = budget(compressed, installed_size).entry(most + 1).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Integrity, "{compressed} {installed_size:?}: {error}");
            assert!(error.to_string().contains("unpacks to more than"), "{error}");
        }
    }

    #[test]
    fn a51_overhead_up_to_a_bound() {
        for entries in [0, 1, 1000] {
            let most = OVERHEAD + entries * OVERHEAD_PER_ENTRY;
            let mut budget = budget(1 << 30, Some(0));
            (0..entries).for_each(|_| budget.entry(0).unwrap());
            budget.overhead(most).unwrap();
            let error = budget.overhead(1).unwrap_err();
            assert!(error.to_string().contains("consists of headers"), "{entries} entries: {error}");
        }
    }

    #[test]
    fn a57_room_up_to_a_bound() {
        let bounds = Bounds { compressed: 1 << 20, installed_size: None, available: Some(1000) };
        Budget::new(bounds).entry(1000).unwrap();
        assert_eq!(Budget::new(bounds).entry(1001).unwrap_err().kind(), ErrorKind::Storage);
    }
}
