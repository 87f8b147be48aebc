//! The entries of a tar, one after the other.

use std::collections::HashMap;

use packets_plugin_api::ident::Digest;
use packets_plugin_api::relpath::RelPath;
use packets_plugin_api::storage::FileKind;
use sha2::{Digest as _, Sha256};

use super::extension::Pending;
use super::frame::Plain;
use super::header::{BLOCK, Head, Kind};
use super::tree::IMPLIED_MODE;
use super::{Bounds, Budget, Sink, Summary, Tree, limits, names};
use crate::error::{Error, Result};
use crate::manifest::{self, Manifest};

fn no_manifest() -> Error {
    Error::integrity(format!("the package has no {}", manifest::FILE_NAME))
}

/// The state between two entries.
pub(super) struct Reader<'s, P> {
    plain: P,
    sink: &'s mut dyn Sink,
    budget: Budget,
    tree: Tree,
    pending: Pending,
    manifest: Option<(Manifest, Vec<String>)>,
    files: u64,
    /// What small files beside `data` hold: only the manifest tells which of them are hooks.
    outside: HashMap<RelPath, Vec<u8>>,
    kept: usize,
}

impl<'s, P: Plain> Reader<'s, P> {
    pub(super) fn new(plain: P, bounds: Bounds, sink: &'s mut dyn Sink) -> Self {
        Self {
            plain,
            sink,
            budget: Budget::new(bounds),
            tree: Tree::default(),
            pending: Pending::default(),
            manifest: None,
            files: 0,
            outside: HashMap::new(),
            kept: 0,
        }
    }

    /// Reads to the end of the file and judges the whole.
    pub(super) fn run(mut self) -> Result<Summary> {
        while self.next()? {}
        self.end()?;
        let (manifest, warnings) = self.manifest.ok_or_else(no_manifest)?;
        let records = self.tree.finish(&manifest.hooks)?;
        let scripts = self.outside;
        Ok(Summary { manifest, warnings, records, files: self.files, size: self.budget.content(), scripts })
    }

    /// Reads until the manifest has come.
    pub(super) fn run_to_manifest(mut self) -> Result<(Manifest, Vec<String>)> {
        while self.manifest.is_none() && self.next()? {}
        self.manifest.ok_or_else(no_manifest)
    }

    /// Reads one header with what belongs to it; false at the end of the archive.
    fn next(&mut self) -> Result<bool> {
        let block = self.block()?;
        if block == [0; BLOCK] {
            return Ok(false);
        }
        let head = Head::parse(&block)?;
        match head.kind {
            Kind::Pax | Kind::PaxGlobal | Kind::LongName | Kind::LongLink => self.extension(&head)?,
            Kind::File | Kind::Folder | Kind::Symlink | Kind::HardLink => self.entry(head)?,
        }
        Ok(true)
    }

    /// The next block, counted as overhead.
    fn block(&mut self) -> Result<[u8; BLOCK]> {
        self.budget.overhead(BLOCK as u64)?;
        let mut block = [0; BLOCK];
        let mut filled = 0;
        while filled < BLOCK {
            let chunk = self.plain.chunk()?;
            if chunk.is_empty() {
                return Err(Error::integrity("the archive ends without its two end blocks"));
            }
            let count = chunk.len().min(BLOCK - filled);
            block[filled..filled + count].copy_from_slice(&chunk[..count]);
            self.plain.consume(count);
            filled += count;
        }
        Ok(block)
    }

    /// After the first zero block: another one, then nothing but zeros.
    fn end(&mut self) -> Result<()> {
        if !self.pending.may_end() {
            return Err(Error::integrity("the archive ends with an extension header that belongs to no entry"));
        }
        if self.block()? != [0; BLOCK] {
            return Err(Error::integrity("the archive goes on behind a single end block"));
        }
        let mut padding = 0;
        loop {
            let chunk = self.plain.chunk()?;
            if chunk.is_empty() {
                return Ok(());
            }
            if chunk.iter().any(|byte| *byte != 0) {
                return Err(Error::integrity("the archive goes on behind its end"));
            }
            let count = chunk.len();
            padding += count as u64;
            self.plain.consume(count);
            if padding > limits::PADDING {
                return Err(Error::integrity("the archive has more padding behind its end than any tar writes"));
            }
        }
    }

    fn extension(&mut self, head: &Head) -> Result<()> {
        if head.size > limits::EXTENSION {
            let message =
                format!("an extension header has {} bytes; at most {} are allowed", head.size, limits::EXTENSION);
            return Err(Error::integrity(message));
        }
        let blocks = head.size.next_multiple_of(BLOCK as u64);
        self.budget.overhead(blocks)?;
        let mut body = Vec::new();
        self.body(blocks, |_, bytes| {
            body.extend_from_slice(bytes);
            Ok(())
        })?;
        let (body, padding) = body.split_at(head.size as usize);
        self.pending.add(head.kind, body, padding)
    }

    fn entry(&mut self, mut head: Head) -> Result<()> {
        self.pending.apply(&mut head)?;
        let path = names::entry_path(&head.name, head.kind == Kind::Folder)?;
        if path.is_root() {
            self.budget.entry(0)?;
            return self.tree.root();
        }
        if head.mode & 0o7000 != 0 && head.kind != Kind::Symlink {
            return Err(names::wrong(path.as_str(), "has a setuid, setgid or sticky bit"));
        }
        for parent in self.tree.missing_parents(&path)? {
            self.budget.entry(0)?;
            self.tree.imply(parent.clone())?;
            self.sink.folder(&parent, IMPLIED_MODE)?;
        }
        self.budget.entry(head.size).map_err(|error| error.within(format!("cannot unpack entry {path}")))?;
        match head.kind {
            Kind::Folder => self.folder(path, head.mode & 0o755 | 0o700),
            Kind::Symlink => self.symlink(path, &head.link),
            Kind::HardLink => self.hard_link(path, &head.link),
            _ => self.file(path, head.mode & 0o755, head.size),
        }
    }

    fn folder(&mut self, path: RelPath, mode: u32) -> Result<()> {
        if self.tree.settle_implied(&path, mode) {
            return if mode == IMPLIED_MODE { Ok(()) } else { self.sink.folder_mode(&path, mode) };
        }
        let kind = FileKind::Folder { mode };
        self.tree.check(&path, &kind)?;
        self.sink.folder(&path, mode)?;
        self.tree.note(path, kind);
        Ok(())
    }

    fn symlink(&mut self, path: RelPath, target: &[u8]) -> Result<()> {
        let target = names::check_target(&path, target)?;
        let kind = FileKind::Symlink { asked: target.to_owned(), stored: target.to_owned() };
        self.tree.check(&path, &kind)?;
        self.sink.symlink(&path, target)?;
        self.tree.note(path, kind);
        Ok(())
    }

    fn hard_link(&mut self, path: RelPath, existing: &[u8]) -> Result<()> {
        let existing = names::existing_path(existing)?;
        let kind = self.tree.link_target(&path, &existing)?;
        self.tree.check(&path, &kind)?;
        self.sink.hard_link(&path, &existing)?;
        self.tree.note(path, kind);
        self.files += 1;
        Ok(())
    }

    fn file(&mut self, path: RelPath, mode: u32, size: u64) -> Result<()> {
        let kind = |sha256| FileKind::File { mode, size, sha256 };
        self.tree.check(&path, &kind(Digest::from_bytes([0; 32])))?;
        let is_manifest = path.as_str() == manifest::FILE_NAME;
        if is_manifest && size > manifest::MAX_SIZE as u64 {
            let message = format!("{path} has {size} bytes; at most {} are allowed", manifest::MAX_SIZE);
            return Err(Error::integrity(message));
        }
        self.sink.file(&path, mode, size)?;
        let is_script = !is_manifest && self.keeps(&path, size);
        let mut hash = Sha256::new();
        let mut text = Vec::new();
        let mut is_of_sink = false;
        self.body(size, |sink, bytes| {
            hash.update(bytes);
            if is_manifest || is_script {
                text.extend_from_slice(bytes);
            }
            sink.content(bytes).inspect_err(|_| is_of_sink = true)
        })
        // A sink that is behind fails at an earlier entry, which it names.
        .map_err(|error| if is_of_sink { error } else { error.within(format!("cannot unpack entry {path}")) })?;
        self.sink.file_done()?;
        if is_manifest {
            let parsed = Manifest::parse(&text)?;
            self.budget.declare(parsed.0.info.installed_size)?;
            self.manifest = Some(parsed);
        } else if is_script {
            self.outside.insert(path.clone(), text);
        }
        self.tree.note(path, kind(Digest::from_bytes(hash.finalize().into())));
        self.files += 1;
        Ok(())
    }

    /// Whether what this file holds is kept.
    fn keeps(&mut self, path: &RelPath, size: u64) -> bool {
        let is_in_data = path.components().next() == Some(manifest::DATA);
        let kept = usize::try_from(size).map_or(usize::MAX, |size| self.kept.saturating_add(size));
        let is_kept = !is_in_data && kept <= limits::OUTSIDE_KEPT;
        if is_kept {
            self.kept = kept;
        }
        is_kept
    }

    /// Gives the next `size` bytes to `each` as they come, and skips the rest of their last block.
    fn body(&mut self, size: u64, mut each: impl FnMut(&mut dyn Sink, &[u8]) -> Result<()>) -> Result<()> {
        let mut left = size;
        let mut padding = size.next_multiple_of(BLOCK as u64) - size;
        while left + padding > 0 {
            let chunk = self.plain.chunk()?;
            if chunk.is_empty() {
                return Err(Error::integrity("the archive ends in the middle of an entry"));
            }
            let count = usize::try_from(left).map_or(chunk.len(), |left| left.min(chunk.len()));
            if count > 0 {
                each(&mut *self.sink, &chunk[..count])?;
            }
            let skipped = padding.min((chunk.len() - count) as u64);
            left -= count as u64;
            padding -= skipped;
            self.plain.consume(count + skipped as usize);
        }
        Ok(())
    }
}
