//! Everything that can be seen of a tree, so that two moments can be compared.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use crate::bytes::hash;

/// What stands at one path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// `file`, `folder`, `link`, or what else there is.
    pub kind: &'static str,
    /// With the setuid, setgid and sticky bits.
    pub mode: u32,
    /// Its owner.
    pub owner: (u32, u32),
    /// Of files: names that it has.
    pub links: u64,
    /// Of files and links: when it was last written, in nanoseconds.
    pub written: i128,
    /// Of files: SHA-256 in hex. Of links: the target.
    pub content: String,
    /// Its extended attributes.
    pub attributes: BTreeMap<String, Vec<u8>>,
}

/// A tree at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Snapshot(pub BTreeMap<PathBuf, Standing>);

impl Snapshot {
    /// All that is below `folder`, paths relative to it; `.` is the folder itself. A folder that is not there is empty.
    pub fn of(folder: &Path) -> Self {
        let mut all = BTreeMap::new();
        if folder.symlink_metadata().is_ok() {
            look(folder, Path::new("."), &mut all);
        }
        Self(all)
    }

    /// The same without these paths and what is below them.
    #[must_use]
    pub fn without(mut self, paths: &[&str]) -> Self {
        self.0.retain(|path, _| !paths.iter().any(|gone| path.starts_with(Path::new(".").join(gone))));
        self
    }

    /// All paths, folders with a slash at their end.
    pub fn paths(&self) -> Vec<String> {
        let name = |(path, standing): (&PathBuf, &Standing)| {
            let slash = if standing.kind == "folder" { "/" } else { "" };
            format!("{}{slash}", path.strip_prefix(".").unwrap_or(path).display())
        };
        self.0.iter().map(name).filter(|path| path != "/").collect()
    }

    /// What differs between two moments, one line a path; empty where nothing does.
    pub fn difference(&self, later: &Self) -> Vec<String> {
        let mut lines = Vec::new();
        for (path, before) in &self.0 {
            match later.0.get(path) {
                None => lines.push(format!("gone: {}", path.display())),
                Some(after) if after != before => {
                    lines.push(format!("changed: {}\n  before {before:?}\n  after  {after:?}", path.display()));
                }
                Some(_) => {}
            }
        }
        lines.extend(
            later.0.keys().filter(|path| !self.0.contains_key(*path)).map(|path| format!("new: {}", path.display())),
        );
        lines
    }

    /// Nothing may differ.
    #[track_caller]
    pub fn assert_same(&self, later: &Self, what: &str) {
        let lines = self.difference(later);
        assert!(lines.is_empty(), "{what}:\n{}", lines.join("\n"));
    }
}

fn look(folder: &Path, name: &Path, all: &mut BTreeMap<PathBuf, Standing>) {
    let path = folder.join(name);
    let data = path.symlink_metadata().unwrap();
    let kind = data.file_type();
    let is_folder = kind.is_dir();
    let standing = Standing {
        kind: match () {
            () if is_folder => "folder",
            () if kind.is_file() => "file",
            () if kind.is_symlink() => "link",
            () if kind.is_fifo() => "fifo",
            () => "special",
        },
        mode: data.mode() & 0o7777,
        owner: (data.uid(), data.gid()),
        links: if is_folder { 0 } else { data.nlink() },
        written: if is_folder { 0 } else { i128::from(data.mtime()) * 1_000_000_000 + i128::from(data.mtime_nsec()) },
        content: match () {
            () if kind.is_file() => fs::read(&path).map_or_else(|error| error.to_string(), |bytes| hash(&bytes)),
            () if kind.is_symlink() => fs::read_link(&path).unwrap().display().to_string(),
            () => String::new(),
        },
        attributes: attributes(&path),
    };
    all.insert(name.to_owned(), standing);
    if is_folder {
        let Ok(entries) = fs::read_dir(&path) else { return };
        for entry in entries {
            look(folder, &name.join(entry.unwrap().file_name()), all);
        }
    }
}

fn attributes(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut names = vec![0_u8; 64 << 10];
    let Ok(length) = rustix::fs::llistxattr(path, names.as_mut_slice()) else { return BTreeMap::new() };
    let names = String::from_utf8_lossy(&names[..length]).into_owned();
    let value = |name: &str| {
        let mut bytes = vec![0_u8; 64 << 10];
        let length = rustix::fs::lgetxattr(path, name, bytes.as_mut_slice()).unwrap_or(0);
        bytes.truncate(length);
        bytes
    };
    names.split('\0').filter(|name| !name.is_empty()).map(|name| (name.to_owned(), value(name))).collect()
}
