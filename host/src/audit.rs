//! What stands on the disk against what is on record: missing, changed, extra.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use packets_hook_runtime::folder::{Folder, Kind, Stat};
use packets_hook_runtime::limits;
use packets_plugin_api::ident::PackageName;
use packets_plugin_api::relpath::RelPath;
use packets_plugin_api::storage::{FileKind, FileRecord, InstalledPackage, MadeBy};
use serde::Serialize;

use crate::digest;
use crate::error::{Context, Error, Result};
use crate::interrupt;
use crate::target::is_no_folder;
use crate::unpack::Cursor;

/// Paths that one thread takes at a time.
const SHARE: usize = 64;

/// A path that is not as it is on record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Whose it is.
    pub package: PackageName,
    /// The path.
    pub path: RelPath,
    /// What is the matter with it.
    pub what: Fault,
    /// Who made what is on record; none for what is not.
    pub made_by: Option<MadeBy>,
    /// What differs, for people.
    pub details: Vec<String>,
}

/// What is the matter with a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Fault {
    /// Nothing stands there.
    Missing,
    /// Something else stands there.
    Changed,
    /// It stands in the package's folder and no release recorded it.
    Extra,
    /// It cannot be looked at.
    Unreadable,
}

/// Compares the packages' paths with the disk, on all cores; ordered by package and path.
pub(crate) fn audit(root: &Folder, packages: &[(InstalledPackage, Vec<FileRecord>)]) -> Result<Vec<Finding>> {
    let named = || "cannot open the root".to_owned();
    let mut shares = Vec::new();
    for (package, files) in packages {
        shares.push(Share::Extras(package, files));
        shares.extend(files.chunks(SHARE).map(|files| Share::Files(package, files)));
    }
    let next = AtomicUsize::new(0);
    let work = |root: Folder| -> Result<Vec<Finding>> {
        let mut auditor = Auditor { root: Cursor::new(root), buffer: Vec::new(), found: Vec::new() };
        while let Some(share) = shares.get(next.fetch_add(1, Ordering::Relaxed)) {
            interrupt::check()?;
            auditor.take(share)?;
        }
        Ok(auditor.found)
    };
    let workers = thread::available_parallelism().map_or(1, usize::from).min(shares.len()).max(1);
    let mut found = Vec::new();
    thread::scope(|scope| -> Result<()> {
        let mut others = Vec::new();
        for _ in 1..workers {
            let root = root.again().context(named)?;
            others.push(scope.spawn(|| work(root)));
        }
        found = work(root.again().context(named)?)?;
        for other in others {
            let theirs = other.join().map_err(|_| Error::new(crate::error::ErrorKind::Bug, "a thread ended early"))?;
            found.extend(theirs?);
        }
        Ok(())
    })?;
    found.sort_by(|a, b| (&a.package, &a.path, a.what).cmp(&(&b.package, &b.path, b.what)));
    Ok(found)
}

enum Share<'a> {
    /// Recorded paths of a package.
    Files(&'a InstalledPackage, &'a [FileRecord]),
    /// What is in its folder and not recorded.
    Extras(&'a InstalledPackage, &'a [FileRecord]),
}

struct Auditor {
    root: Cursor,
    buffer: Vec<u8>,
    found: Vec<Finding>,
}

impl Auditor {
    fn take(&mut self, share: &Share<'_>) -> Result<()> {
        match share {
            Share::Files(package, files) => files.iter().try_for_each(|file| self.compare(package, file)),
            Share::Extras(package, files) => self.extras(package, files),
        }
    }

    fn compare(&mut self, package: &InstalledPackage, file: &FileRecord) -> Result<()> {
        let named = || format!("cannot look at {}", file.path.absolute());
        let (what, details) = match self.root.parent_of(file.path.as_str()) {
            Err(error) if is_no_folder(&error) => (Fault::Missing, Vec::new()),
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => unreadable(&error),
            Err(error) => return Err(error).context(named),
            Ok((parent, name)) => match parent.stat(name) {
                Ok(None) => (Fault::Missing, Vec::new()),
                Ok(Some(stat)) => match differences(parent, name, &stat, &file.kind, &mut self.buffer) {
                    Ok(details) if details.is_empty() => return Ok(()),
                    Ok(details) => (Fault::Changed, details),
                    Err(error) => unreadable(&error),
                },
                Err(error) => unreadable(&error),
            },
        };
        self.found.push(Finding {
            package: package.name.clone(),
            path: file.path.clone(),
            what,
            made_by: Some(file.made_by),
            details,
        });
        Ok(())
    }

    fn extras(&mut self, package: &InstalledPackage, files: &[FileRecord]) -> Result<()> {
        if package.folder.is_root() {
            return Ok(());
        }
        let known: HashSet<&RelPath> = files.iter().map(|file| &file.path).collect();
        let found = &mut self.found;
        let mut add = |path: RelPath, (what, details): (Fault, Vec<String>)| {
            let package = package.name.clone();
            found.push(Finding { package, path, what, made_by: None, details });
        };
        match self.root.folder(package.folder.as_str()) {
            // What is missing is told path by path.
            Err(_) => Ok(()),
            Ok(folder) => extras(folder, &package.folder, &known, 0, &mut add),
        }
    }
}

fn unreadable(error: &std::io::Error) -> (Fault, Vec<String>) {
    (Fault::Unreadable, vec![error.to_string()])
}

fn extras(
    folder: &Folder,
    path: &RelPath,
    known: &HashSet<&RelPath>,
    depth: usize,
    add: &mut dyn FnMut(RelPath, (Fault, Vec<String>)),
) -> Result<()> {
    let named = || format!("cannot look through {}", path.absolute());
    let names = match folder.list() {
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            add(path.clone(), unreadable(&error));
            return Ok(());
        }
        listed => listed.context(named)?,
    };
    for name in names {
        let Some(here) = OsStr::to_str(&name).and_then(|name| path.child(name).ok()) else {
            add(path.clone(), (Fault::Extra, vec!["holds a name that cannot be written down".to_owned()]));
            continue;
        };
        if !known.contains(&here) {
            add(here, (Fault::Extra, Vec::new()));
        } else if depth < limits::DEPTH
            && folder.stat(&name).context(named)?.is_some_and(|stat| stat.kind == Kind::Folder)
        {
            match folder.open(&name) {
                Ok(inner) => extras(&inner, &here, known, depth + 1, add)?,
                Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => add(here, unreadable(&error)),
                Err(error) => return Err(error).context(named),
            }
        }
    }
    Ok(())
}

/// What differs between a name and its record; nothing: it is as it was made.
fn differences(
    parent: &Folder,
    name: &str,
    stat: &Stat,
    recorded: &FileKind,
    buffer: &mut Vec<u8>,
) -> std::io::Result<Vec<String>> {
    let mut details = Vec::new();
    let mut mode = |wanted: u32| {
        if stat.mode != wanted {
            details.push(format!("mode {:o} instead of {wanted:o}", stat.mode));
        }
    };
    match (recorded, stat.kind) {
        (FileKind::File { mode: wanted, size, sha256 }, Kind::File) => {
            mode(*wanted);
            if stat.size != *size {
                details.push(format!("{} bytes instead of {size}", stat.size));
            } else if digest::of_in(parent.read(name)?, buffer)? != *sha256 {
                details.push("other content".to_owned());
            }
        }
        (FileKind::Symlink { stored, .. }, Kind::Symlink) => {
            let target = parent.read_link(name)?;
            if target.to_str() != Some(stored.as_str()) {
                details.push(format!("leads to {} instead of {stored}", target.to_string_lossy()));
            }
        }
        (FileKind::Folder { mode: wanted }, Kind::Folder) => mode(*wanted),
        (_, is) => details.push(format!("a {} instead of a {}", kind_name(is), recorded_name(recorded))),
    }
    Ok(details)
}

fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::File => "file",
        Kind::Folder => "folder",
        Kind::Symlink => "link",
        Kind::Special => "device, FIFO or socket",
    }
}

fn recorded_name(kind: &FileKind) -> &'static str {
    match kind {
        FileKind::File { .. } => "file",
        FileKind::Symlink { .. } => "link",
        FileKind::Folder { .. } => "folder",
    }
}
