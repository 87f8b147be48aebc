//! The attack catalogue (A01-A66) held against the reader and the unpacker.

#![expect(clippy::disallowed_methods, reason = "a test lays out its own folders")]

mod bounds;
pub(crate) mod builder;
mod corpus;
mod ends;
mod frames;
mod kinds;
mod links;
mod names;
mod sweeps;
mod tools;

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use packets_hook_runtime::folder::Folder;

use super::{Bounds, Record, Sink, Summary, read};
use crate::error::{Error, ErrorKind, Result};
use crate::unpack::{self, Expected, Staged};
use builder::{MANIFEST, Tar, compress};
use packets_plugin_api::relpath::RelPath;

/// Notes what it is given, one line an entry.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Listing {
    pub(crate) lines: Vec<String>,
    pub(crate) bytes: Vec<u8>,
}

impl Sink for Listing {
    fn folder(&mut self, path: &RelPath, mode: u32) -> Result<()> {
        self.lines.push(format!("d {path} {mode:o}"));
        Ok(())
    }
    fn folder_mode(&mut self, path: &RelPath, mode: u32) -> Result<()> {
        self.lines.push(format!("m {path} {mode:o}"));
        Ok(())
    }
    fn file(&mut self, path: &RelPath, mode: u32, size: u64) -> Result<()> {
        self.lines.push(format!("f {path} {mode:o} {size}"));
        Ok(())
    }
    fn content(&mut self, bytes: &[u8]) -> Result<()> {
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }
    fn file_done(&mut self) -> Result<()> {
        Ok(())
    }
    fn symlink(&mut self, path: &RelPath, target: &str) -> Result<()> {
        self.lines.push(format!("l {path} {target}"));
        Ok(())
    }
    fn hard_link(&mut self, path: &RelPath, existing: &RelPath) -> Result<()> {
        self.lines.push(format!("h {path} {existing}"));
        Ok(())
    }
}

pub(crate) fn bounds(package: &[u8]) -> Bounds {
    Bounds { compressed: package.len() as u64, installed_size: None, available: None }
}

/// What a package holds, by the reader alone.
pub(crate) fn listing(package: &[u8]) -> Result<(Listing, Summary)> {
    let mut listing = Listing::default();
    let summary = read(package, bounds(package), &mut listing)?;
    Ok((listing, summary))
}

pub(crate) fn expected() -> Expected {
    Expected {
        name: "a".parse().unwrap(),
        version: "1".parse().unwrap(),
        requires: Some(Vec::new()),
        installed_size: None,
    }
}

/// A staging folder beside things that no package may touch.
pub(crate) struct Site {
    pub(crate) home: tempfile::TempDir,
}

impl Site {
    pub(crate) fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        for folder in ["staging", "outside", "outside/inner"] {
            std::fs::create_dir(home.path().join(folder)).unwrap();
        }
        std::fs::write(home.path().join("outside/secret"), "secret").unwrap();
        std::fs::set_permissions(home.path().join("outside"), PermissionsExt::from_mode(0o751)).unwrap();
        Self { home }
    }

    pub(crate) fn staging(&self) -> std::path::PathBuf {
        self.home.path().join("staging")
    }

    /// Unpacks for real, by one thread. Into a site that is as it was made, several threads must come to the same.
    pub(crate) fn unpack(&self, package: &[u8]) -> Result<Staged> {
        let is_new = std::fs::read_dir(self.staging()).unwrap().next().is_none();
        let alone = self.unpack_with(1, package);
        if is_new {
            self.compare_with_several_threads(&alone, package);
        }
        alone
    }

    fn compare_with_several_threads(&self, alone: &Result<Staged>, package: &[u8]) {
        let other = Self::new();
        let together = other.unpack_with(3, package);
        other.outside_is_untouched();
        match (alone, &together) {
            (Ok(alone), Ok(together)) => assert_eq!(alone.files(), together.files()),
            (Err(alone), Err(together)) => {
                assert_eq!((alone.to_string(), alone.causes()), (together.to_string(), together.causes()));
            }
            (alone, together) => panic!("{alone:?}, and by several threads {together:?}"),
        }
        let within_reach = |record: &Record| record.path.as_str().len() < 3000;
        if alone.as_ref().map_or(&[][..], Staged::files).iter().all(within_reach) {
            assert_eq!(walk(&self.staging()), walk(&other.staging()));
        }
    }

    fn unpack_with(&self, threads: usize, package: &[u8]) -> Result<Staged> {
        let staging = Folder::open_ambient(&self.staging()).unwrap();
        unpack::with_threads(threads, &staging, package, package.len() as u64, &expected())
    }

    pub(crate) fn outside_is_untouched(&self) {
        let lines = walk(&self.home.path().join("outside"));
        assert_eq!(lines, [". 751 3", "inner 755 2", "secret 644 1"]);
        assert_eq!(std::fs::read(self.home.path().join("outside/secret")).unwrap(), b"secret");
        assert_eq!(std::fs::read_dir(self.home.path()).unwrap().count(), 2, "something new beside staging");
    }
}

/// Every path below `folder` with its mode and number of links, sorted.
pub(crate) fn walk(folder: &Path) -> Vec<String> {
    fn visit(at: &Path, name: &str, lines: &mut Vec<String>) {
        let stat = at.symlink_metadata().unwrap();
        lines.push(format!("{name} {:o} {}", stat.mode() & 0o7777, stat.nlink()));
        if stat.is_dir() {
            for entry in std::fs::read_dir(at).unwrap() {
                let entry = entry.unwrap();
                let inner = entry.file_name().into_string().unwrap();
                visit(&entry.path(), &if name == "." { inner } else { format!("{name}/{inner}") }, lines);
            }
        }
    }
    let mut lines = Vec::new();
    visit(folder, ".", &mut lines);
    lines.sort();
    lines
}

/// The error of a package that must be refused, by the reader and by the unpacker, which must
/// leave nothing.
#[track_caller]
pub(crate) fn refused_package(case: &str, package: &[u8]) -> Error {
    let error = match listing(package) {
        Ok((listing, _)) => panic!("{case}: was accepted: {:?}", listing.lines),
        Err(error) => error,
    };
    assert_eq!(error.kind(), ErrorKind::Integrity, "{case}: {error}");
    let site = Site::new();
    let unpacked = site.unpack(package).expect_err(case);
    assert_eq!(std::fs::read_dir(site.staging()).unwrap().count(), 0, "{case}: left something in staging");
    site.outside_is_untouched();
    assert!(unpacked.message().contains("cannot unpack a"), "{case}: {unpacked}");
    let text = unpacked.to_string();
    assert!(text.chars().all(|c| c == '\n' || !packets_plugin_api::ident::acts_on_terminal(c)), "{case}: {text:?}");
    error
}

/// As [`refused_package`], of an archive that is otherwise a good package; the error says `part`.
#[track_caller]
pub(crate) fn refused(case: &str, tar: Tar, part: &str) {
    let error = refused_package(case, &tar.package()).to_string();
    assert!(error.contains(part), "{case}: {error}");
}

/// What is unpacked of a good package, one line an entry.
#[track_caller]
pub(crate) fn accepted(case: &str, tar: Tar) -> Vec<String> {
    let package = tar.package();
    let (listing, summary) = listing(&package).unwrap_or_else(|error| panic!("{case}: {error}"));
    let site = Site::new();
    let staged = site.unpack(&package).unwrap_or_else(|error| panic!("{case}: {error}"));
    site.outside_is_untouched();
    let on_disk = walk(&site.staging().join("a")).len() - 1;
    assert_eq!(staged.files().len(), on_disk, "{case}: every path is on record");
    assert_eq!(&staged.files()[..summary.records.len()], summary.records, "{case}");
    listing.lines
}

/// A package's manifest and its folder `data`.
pub(crate) fn good() -> Tar {
    Tar::new().file("manifest.toml", MANIFEST).folder("data/")
}

/// A package file of these bytes, an archive or not.
pub(crate) fn raw(tar: &[u8]) -> Vec<u8> {
    compress(tar)
}
