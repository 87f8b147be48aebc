//! What an administrator put into a package's folder: no release recorded it.

use std::collections::HashSet;
use std::ffi::OsStr;

use packets_hook_runtime::folder::{Folder, Kind, Obstacle};
use packets_hook_runtime::limits;
use packets_plugin_api::relpath::RelPath;
use packets_plugin_api::storage::FileRecord;

use crate::error::{Context, Error, Result};

/// Something in a package's folder that is not on record: a file, or a whole folder that no release knows.
#[derive(Debug)]
pub(super) struct Extra {
    /// Below the package's folder.
    pub(super) path: RelPath,
    /// Its name cannot be written down (it is not UTF-8, or too long): `path` is the folder that it is in.
    pub(super) nameless: bool,
}

/// The paths on record that lie in a package's folder, as seen from it.
fn recorded<'a>(files: &'a [FileRecord], folder: &RelPath) -> HashSet<&'a str> {
    let mut known = HashSet::with_capacity(files.len());
    known.extend(files.iter().filter_map(|file| file.path.below(folder)));
    known
}

/// What is not on record in a package's folder, which stands at `name` in `parent` and has `folder` for its path
/// on record. A folder that is not on record is one thing, unless `into` wants to see what is in it.
pub(super) fn find(
    parent: &Folder,
    name: &str,
    (files, folder): (&[FileRecord], &RelPath),
    into: &dyn Fn(&RelPath) -> bool,
) -> Result<Vec<Extra>> {
    let named = || format!("cannot look through the old {name}");
    let mut extras = Vec::new();
    if parent.stat(name).context(named)?.is_some_and(|stat| stat.kind == Kind::Folder) {
        let known = recorded(files, folder);
        let search = Search { known: &known, into };
        search.walk(&parent.open(name).context(named)?, &RelPath::root(), 0, &mut extras)?;
    }
    Ok(extras)
}

struct Search<'a> {
    known: &'a HashSet<&'a str>,
    into: &'a dyn Fn(&RelPath) -> bool,
}

impl Search<'_> {
    fn walk(&self, folder: &Folder, path: &RelPath, depth: usize, extras: &mut Vec<Extra>) -> Result<()> {
        let named = || format!("cannot look through {path}");
        for (name, is_folder) in folder.list_with_kinds().context(named)? {
            let Some(here) = OsStr::to_str(&name).and_then(|name| path.child(name).ok()) else {
                extras.push(Extra { path: path.clone(), nameless: true });
                continue;
            };
            let is_known = self.known.contains(here.as_str());
            if is_folder && folder.obstacle(&name).context(named)? == Some(Obstacle::MountPoint) {
                return Err(Error::request(format!(
                    "cannot move the folder of a package: something is mounted in it at {here}"
                ))
                .hint("unmount it, then try again"));
            }
            if is_folder && depth < limits::DEPTH && (is_known || (self.into)(&here)) {
                self.walk(&folder.open(&name).context(named)?, &here, depth + 1, extras)?;
            } else if !is_known {
                extras.push(Extra { path: here, nameless: false });
            }
        }
        Ok(())
    }
}

/// Removes what is on record from a tree that is out of use, and the tree where nothing else is in it;
/// true when something of the administrator's is left.
pub(super) fn prune<'a>(
    parent: &Folder,
    name: &str,
    files: impl IntoIterator<Item = &'a FileRecord>,
    folder: &RelPath,
) -> Result<bool> {
    let named = || format!("cannot clear the old {name}");
    match parent.stat(name).context(named)? {
        None => return Ok(false),
        Some(stat) if stat.kind != Kind::Folder => return Ok(true),
        Some(_) => {}
    }
    let tree = parent.open(name).context(named)?;
    let below = files.into_iter().filter_map(|file| file.path.strip_prefix(folder));
    let mut paths: Vec<RelPath> = below.filter(|path| !path.is_root()).collect();
    paths.sort_by(|a, b| b.cmp(a));
    for path in paths {
        let (Some(above), Some(name)) = (path.parent(), path.file_name()) else { continue };
        let Ok(folder) = tree.walk(&above) else { continue };
        let named = || format!("cannot delete {path} of it");
        match folder.stat(name).context(named)? {
            // Not empty: something of the administrator's is in it.
            Some(stat) if stat.kind == Kind::Folder => drop(folder.remove_folder(name)),
            Some(_) => folder.remove_file(name).context(named)?,
            None => {}
        }
    }
    drop_empty(&tree, 0).context(named)?;
    let is_left = !tree.list().context(named)?.is_empty();
    if !is_left {
        parent.remove_folder(name).context(named)?;
    }
    Ok(is_left)
}

/// Removes the folders in which nothing is left: what was in them has been carried elsewhere.
fn drop_empty(folder: &Folder, depth: usize) -> std::io::Result<()> {
    for name in folder.list()? {
        if depth < limits::DEPTH && folder.stat(&name)?.is_some_and(|stat| stat.kind == Kind::Folder) {
            let inner = folder.open(&name)?;
            drop_empty(&inner, depth + 1)?;
            if inner.list_at_most(0).is_ok() {
                folder.remove_folder(&name)?;
            }
        }
    }
    Ok(())
}
