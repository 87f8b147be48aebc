//! Packages: the frame and the tar in it.

use std::collections::HashSet;

use packets_host::archive::{Bounds, Sink, read, read_manifest};
use packets_host::error::{ErrorKind, Result};
use packets_plugin_api::relpath::RelPath;

use crate::bytes::{Entry, tar_of, zstd_of};
use crate::package::Package;

/// A sink that holds the reader to what [`Sink`] promises.
#[derive(Default)]
struct Strict {
    folders: HashSet<RelPath>,
    files: HashSet<RelPath>,
    others: HashSet<RelPath>,
    /// Bytes of the open file that are still to come.
    open: Option<u64>,
}

impl Strict {
    fn comes(&mut self, path: &RelPath) {
        assert!(self.open.is_none(), "{path} comes while a file is open");
        assert!(!path.components().any(|part| part == ".." || part == "." || part.is_empty()), "{path:?}");
        let known = [&self.folders, &self.files, &self.others].into_iter().any(|all| all.contains(path));
        assert!(!known, "{path:?} comes twice");
        let parent = path.parent().unwrap();
        assert!(parent.is_root() || self.folders.contains(&parent), "{path:?} comes before its folder");
    }
}

impl Sink for Strict {
    fn folder(&mut self, path: &RelPath, mode: u32) -> Result<()> {
        self.comes(path);
        assert!(mode & !0o755 == 0 && mode & 0o700 == 0o700, "{mode:o}");
        self.folders.insert(path.clone());
        Ok(())
    }
    fn folder_mode(&mut self, path: &RelPath, mode: u32) -> Result<()> {
        assert!(self.folders.contains(path) && mode & !0o755 == 0 && mode & 0o700 == 0o700, "{path:?} {mode:o}");
        Ok(())
    }
    fn file(&mut self, path: &RelPath, mode: u32, size: u64) -> Result<()> {
        self.comes(path);
        assert!(mode & !0o755 == 0, "{mode:o}");
        self.files.insert(path.clone());
        self.open = Some(size);
        Ok(())
    }
    fn content(&mut self, bytes: &[u8]) -> Result<()> {
        let left = self.open.expect("content without a file");
        self.open = Some(left.checked_sub(bytes.len() as u64).expect("more content than was said"));
        Ok(())
    }
    fn file_done(&mut self) -> Result<()> {
        assert_eq!(self.open.take(), Some(0), "a file is done before its end");
        Ok(())
    }
    fn symlink(&mut self, path: &RelPath, target: &str) -> Result<()> {
        self.comes(path);
        assert!(!target.is_empty() && !target.contains('\0'), "{target:?}");
        self.others.insert(path.clone());
        Ok(())
    }
    fn hard_link(&mut self, path: &RelPath, existing: &RelPath) -> Result<()> {
        self.comes(path);
        assert!(self.files.contains(existing), "{path:?} is a second name of nothing");
        self.files.insert(path.clone());
        Ok(())
    }
}

/// A file of any bytes.
pub(super) fn package(bytes: &[u8]) {
    let bounds = Bounds { compressed: bytes.len() as u64, installed_size: None, available: None };
    let mut sink = Strict::default();
    match read(bytes, bounds, &mut sink) {
        Ok(summary) => {
            let paths = sink.folders.len() + sink.files.len() + sink.others.len();
            assert_eq!(summary.records.len(), paths, "what is on record is what came");
            let (manifest, _) = read_manifest(bytes, bytes.len() as u64).expect("its manifest can be read alone");
            assert_eq!(manifest, summary.manifest);
        }
        Err(error) => assert_eq!(error.kind(), ErrorKind::Integrity, "{error}"),
    }
}

/// A tar of any bytes, in a frame that is right.
pub(super) fn archive(bytes: &[u8]) {
    package(&zstd::encode_all(bytes, 1).unwrap());
}

fn tars() -> Vec<Vec<u8>> {
    let plain = Package::program("tool", "1").link("link", "tool").install("print(1)").entries();
    let manifest = Entry::file("manifest.toml", "[Info]\nname = \"a\"\nversion = \"1\"\n");
    let long = Entry::file("././@LongLink", &format!("data/{}\0", "long/".repeat(30))).kind(b'L');
    let folders = [manifest, Entry::folder("data/"), long, Entry::folder("data/long")];
    vec![tar_of(&plain), tar_of(&folders)]
}

pub(super) fn archives() -> Vec<Vec<u8>> {
    tars()
}

pub(super) fn packages() -> Vec<Vec<u8>> {
    tars().iter().map(|tar| zstd_of(tar)).collect()
}
