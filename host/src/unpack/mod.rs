//! The stage that writes a verified package into staging, in one pass: each entry is
//! checked, then written; what can only be judged at the end is judged before anyone
//! gets the result.
//!
//! Modes are the archive's `& 0755`, owners are who unpacks, and times are the time of
//! unpacking: setting the archive's would cost a system call for every file and serve
//! nobody. The target of a symbolic link is stored as written, also below another root.
//! A hard link is one within the staged tree: whoever changes a staged file writes a new one.

mod behind;
mod cursor;
#[cfg(test)]
mod tests;
mod writer;

use std::collections::BTreeSet;
use std::env::consts::ARCH;
use std::io::Read;
use std::thread;

use packets_hook_runtime::folder::Folder;
use packets_hook_runtime::limits;
use packets_plugin_api::hook::HookSource;
use packets_plugin_api::ident::{PackageName, escape};
use packets_plugin_api::relpath::RelPath;
use packets_plugin_api::requirement::Requirement;
use packets_plugin_api::storage::FileKind;
use packets_plugin_api::version::Version;

use crate::archive::{self, Bounds, Record, Summary};
use crate::error::{Context, Error, Result};
use crate::manifest::{self, Manifest};
use crate::verify::Verified;
use behind::Behind;
pub(crate) use cursor::Cursor;
use writer::Writer;

/// Smaller packages are unpacked by one thread, beside others: more would cost more than they save.
const ALONE: u64 = 1 << 20;

/// What a package must turn out to be: what the plan was made with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// The name in its manifest.
    pub name: PackageName,
    /// The version in its manifest.
    pub version: Version,
    /// What it needs, in any order; none where that is not known.
    pub requires: Option<Vec<Requirement>>,
    /// Size when installed in bytes, where the index states it.
    pub installed_size: Option<u64>,
}

/// A package that stands in staging, whole and as expected.
#[derive(Debug)]
pub struct Staged {
    tree: Folder,
    summary: Summary,
}

impl Staged {
    /// The folder that holds it: manifest, `data` and hooks. Its name is the package's.
    pub fn tree(&self) -> &Folder {
        &self.tree
    }
    /// Its manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.summary.manifest
    }
    /// All its paths, in the archive's order: files, links and folders, relative to [`Self::tree`].
    pub fn files(&self) -> &[Record] {
        &self.summary.records
    }
    /// Bytes of all its files.
    pub fn size(&self) -> u64 {
        self.summary.size
    }
    /// What a user should know about it, one sentence each.
    pub fn warnings(&self) -> &[String] {
        &self.summary.warnings
    }

    /// A hook file of the package.
    ///
    /// # Errors
    /// Of kind storage when it cannot be read; of kind integrity when it is too large.
    pub fn hook(&self, name: &RelPath) -> Result<HookSource> {
        if let Some(text) = self.summary.scripts.get(name) {
            return Ok(HookSource { name: name.clone(), text: text.clone() });
        }
        let failed = || format!("cannot read the hook {name}");
        let folder = self.tree.walk(&name.parent().unwrap_or_default()).context(failed)?;
        let file = folder.read(name.file_name().unwrap_or_default()).context(failed)?;
        let mut text = Vec::new();
        file.take(limits::SCRIPT + 1).read_to_end(&mut text).context(failed)?;
        if text.len() as u64 > limits::SCRIPT {
            return Err(Error::integrity(failed()).caused_by(format!("it has more than {} bytes", limits::SCRIPT)));
        }
        Ok(HookSource { name: name.clone(), text })
    }
}

/// Unpacks a verified package into a new folder of `staging`, which gets the package's name.
///
/// # Errors
/// Of kind integrity when the archive or its manifest is not as it should be or as
/// `expected`, of kind request when it is for another machine, of kind storage when it
/// cannot be written. Then the folder is gone.
pub fn unpack(verified: Verified, staging: &Folder, expected: &Expected) -> Result<Staged> {
    into(staging, verified.file(), verified.size(), expected)
}

/// As [`unpack`], from any bytes.
pub(crate) fn into(staging: &Folder, reader: impl Read + Send, compressed: u64, expected: &Expected) -> Result<Staged> {
    // To count the cores takes as long as some files.
    let threads = if compressed < ALONE { 1 } else { thread::available_parallelism().map_or(1, usize::from) };
    with_threads(threads, staging, reader, compressed, expected)
}

/// As [`into`]; with more than one thread it is decompressed, checked and written at the same time.
pub(crate) fn with_threads(
    threads: usize,
    staging: &Folder,
    reader: impl Read + Send,
    compressed: u64,
    expected: &Expected,
) -> Result<Staged> {
    let name = &expected.name;
    let whole = |error: Error| error.within(format!("cannot unpack {name}"));
    staging.make(name.as_str(), 0o755).context(|| format!("cannot make a staging folder for {name}"))?;
    let staged = staging
        .open(name.as_str())
        .context(|| format!("cannot open the staging folder of {name}"))
        .and_then(|tree| write(threads, tree, reader, compressed, expected))
        .and_then(|staged| check(&staged.summary.manifest, expected).map(|()| staged));
    staged.map_err(|error| match staging.remove_tree(name.as_str()) {
        Ok(()) => whole(error),
        Err(left) => whole(error.hint(format!("its staging folder could not be removed: {left}"))),
    })
}

fn write(
    threads: usize,
    tree: Folder,
    reader: impl Read + Send,
    compressed: u64,
    expected: &Expected,
) -> Result<Staged> {
    let space = rustix::fs::fstatvfs(&tree).context(|| "cannot ask for the free space".to_owned())?;
    // A file system without a size of its own says 0 blocks.
    let available = (space.f_blocks > 0).then(|| space.f_bavail.saturating_mul(space.f_frsize));
    let bounds = Bounds { compressed, installed_size: expected.installed_size, available };
    let mut writer = Writer::new(tree)?;
    let (mut summary, tree) = match threads {
        1 => (archive::read(reader, bounds, &mut writer)?, writer.into_root()),
        _ => read_and_write(threads, reader, bounds, writer)?,
    };
    // Hooks are given the path of this folder, so it is always there.
    let data: RelPath = manifest::DATA.parse()?;
    if !summary.records.iter().any(|record| record.path == data) {
        let made = tree.make(manifest::DATA, 0o755).and_then(|()| tree.open(manifest::DATA)?.set_mode(0o755));
        made.context(|| "cannot make the folder data".to_owned())?;
        summary.records.push(Record { path: data, kind: FileKind::Folder { mode: 0o755 } });
    }
    Ok(Staged { tree, summary })
}

fn read_and_write(
    threads: usize,
    reader: impl Read + Send,
    bounds: Bounds,
    writer: Writer,
) -> Result<(Summary, Folder)> {
    thread::scope(|scope| {
        let mut behind = Behind::new(writer, threads, scope)?;
        let summary = archive::read_ahead(reader, bounds, &mut behind)?;
        Ok((summary, behind.finish()?.into_root()))
    })
}

/// Compares the manifest with what was expected (M08, M10, M11).
fn check(found: &Manifest, expected: &Expected) -> Result<()> {
    let info = &found.info;
    let differs = |what: &str, inside: &str, outside: &str| {
        let message =
            format!("its manifest says {what} {}, expected was {}", escape(inside, 200), escape(outside, 200));
        Err(Error::integrity(message).hint("the package and the index do not belong together"))
    };
    if info.name != expected.name {
        return differs("name", info.name.as_str(), expected.name.as_str());
    }
    if info.version != expected.version {
        return differs("version", info.version.as_str(), expected.version.as_str());
    }
    let set = |requirements: &[Requirement]| requirements.iter().map(ToString::to_string).collect::<BTreeSet<_>>();
    if let Some(requires) = &expected.requires
        && set(requires) != set(&info.dependencies)
    {
        let list = |set: BTreeSet<String>| format!("[{}]", set.into_iter().collect::<Vec<_>>().join(", "));
        return differs("dependencies", &list(set(&info.dependencies)), &list(set(requires)));
    }
    match &info.arch {
        Some(arch) if arch != ARCH => {
            Err(Error::request(format!("it is made for {}, and this machine is {ARCH}", escape(arch, 40))))
        }
        _ => Ok(()),
    }
}
