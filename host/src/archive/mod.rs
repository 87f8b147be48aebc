//! Packages as they come: one zstd frame that holds a tar, read once, strictly.
//!
//! [`read`] checks each entry and gives it to a [`Sink`] before it looks at the
//! next; what can only be judged with the whole archive in hand (the set of
//! names, when the manifest comes last) is judged at the end. A sink therefore
//! works on something that can be thrown away.
//!
//! What is taken and what is refused:
//!
//! * **Frame**: exactly one, without a dictionary, a window of at most 32 MiB, and
//!   nothing behind it. Its checksum is verified where it has one.
//! * **Tar**: regular files, folders, symbolic links, hard links to an earlier file
//!   below `data/`, pax headers, and GNU's long names. Two zero blocks at the end, and
//!   only zeros behind them. What other readers take a name, a size or an end from must
//!   say the same to all of them, also where it is not used here.
//! * **Names**: UTF-8, relative, without `..`, without characters that act on a
//!   terminal; once each; never below anything but a folder of the same archive. A
//!   leading `./` and one entry for the root itself are accepted.
//! * **Which names**: `manifest.toml`, `data`, and the hook files that the manifest
//!   names with their parents.
//! * **Left out**: owners, times, extended attributes and ACLs. A package that
//!   asks for rights through them (setuid, file capabilities) is refused.

mod ahead;
mod entries;
mod extension;
mod frame;
mod header;
mod limits;
mod names;
#[cfg(test)]
pub(crate) mod tests;
mod tree;

use std::collections::HashMap;
use std::io::Read;
use std::thread;

use packets_plugin_api::relpath::RelPath;
use packets_plugin_api::storage::FileKind;

use crate::error::Result;
use crate::manifest::{self, Manifest};
use ahead::Ahead;
use frame::Frame;
pub use limits::Bounds;
pub(crate) use limits::{Budget, MAX_COMPRESSION_LEVEL, WINDOW_LOG};
pub(crate) use names::{check_path, check_target};
pub(crate) use tree::Tree;

/// Size of a manifest in bytes.
pub const MAX_MANIFEST: u64 = manifest::MAX_SIZE as u64;

/// Takes the entries of an archive, in its order.
///
/// Guarantee: each path comes once, its parent came before as a folder, and no
/// component of it is a link. Modes are 0755 at most, and of folders 0700 at least.
/// Its errors name the entry that they are about, which may be an earlier one.
pub trait Sink {
    /// A new folder.
    fn folder(&mut self, path: &RelPath, mode: u32) -> Result<()>;
    /// Another mode for a folder that came before, without an entry of its own.
    fn folder_mode(&mut self, path: &RelPath, mode: u32) -> Result<()>;
    /// A new file of `size` bytes; they follow in calls of [`Self::content`].
    fn file(&mut self, path: &RelPath, mode: u32, size: u64) -> Result<()>;
    /// More of the content of the last file.
    fn content(&mut self, bytes: &[u8]) -> Result<()>;
    /// The last file is complete.
    fn file_done(&mut self) -> Result<()>;
    /// A new link that holds the text `target`, which may point anywhere and is not to be followed.
    fn symlink(&mut self, path: &RelPath, target: &str) -> Result<()>;
    /// A second name for the file `existing`, which came before.
    fn hard_link(&mut self, path: &RelPath, existing: &RelPath) -> Result<()>;
}

/// A sink that keeps nothing, for reading a manifest or checking an archive.
#[derive(Debug, Clone, Copy, Default)]
pub struct Discard;

impl Sink for Discard {
    fn folder(&mut self, _: &RelPath, _: u32) -> Result<()> {
        Ok(())
    }
    fn folder_mode(&mut self, _: &RelPath, _: u32) -> Result<()> {
        Ok(())
    }
    fn file(&mut self, _: &RelPath, _: u32, _: u64) -> Result<()> {
        Ok(())
    }
    fn content(&mut self, _: &[u8]) -> Result<()> {
        Ok(())
    }
    fn file_done(&mut self) -> Result<()> {
        Ok(())
    }
    fn symlink(&mut self, _: &RelPath, _: &str) -> Result<()> {
        Ok(())
    }
    fn hard_link(&mut self, _: &RelPath, _: &RelPath) -> Result<()> {
        Ok(())
    }
}

/// One path of a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Below the package's folder.
    pub path: RelPath,
    /// What it is. The mode is the one that it gets; a file's hash was taken while it was read.
    pub kind: FileKind,
}

/// What an archive held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Its manifest.
    pub manifest: Manifest,
    /// What a user should know about it, one sentence each.
    pub warnings: Vec<String>,
    /// All its paths, in the archive's order; folders that it only implied too.
    pub records: Vec<Record>,
    /// How many of them are files.
    pub files: u64,
    /// Bytes of all files.
    pub size: u64,
    /// What the hook files hold, as far as they are small.
    pub scripts: HashMap<RelPath, Vec<u8>>,
}

/// Reads an archive to its end and gives every entry to `sink`.
///
/// # Errors
/// Of kind integrity, which name the entry, for whatever is not as it should be; the
/// sink's own; of kind storage when `reader` fails. After an error what the sink has
/// made is to be thrown away.
pub fn read(reader: impl Read, bounds: Bounds, sink: &mut dyn Sink) -> Result<Summary> {
    let mut frame = Frame::open(reader)?;
    let summary = entries::Reader::new(&mut frame, bounds, sink).run();
    frame.leave();
    summary
}

/// As [`read`], while another thread decompresses what comes next.
///
/// # Errors
/// As [`read`]; of kind storage where there is no thread to be had.
pub fn read_ahead(reader: impl Read + Send, bounds: Bounds, sink: &mut dyn Sink) -> Result<Summary> {
    let frame = Frame::open(reader)?;
    thread::scope(|scope| entries::Reader::new(Ahead::of(frame, scope)?, bounds, sink).run())
}

/// The manifest of an archive of `compressed` bytes, with warnings. Reads no further than
/// it must; whether the rest is as it should be is seen when the package is unpacked.
///
/// # Errors
/// As [`read`], for what stands before the manifest.
pub fn read_manifest(reader: impl Read, compressed: u64) -> Result<(Manifest, Vec<String>)> {
    let bounds = Bounds { compressed, installed_size: None, available: None };
    entries::Reader::new(Frame::open(reader)?, bounds, &mut Discard).run_to_manifest()
}
