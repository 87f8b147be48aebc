//! What an administrator put into a package's folder: no release recorded it.

use std::collections::HashSet;
use std::ffi::OsStr;

use packets_hook_runtime::folder::{Folder, Kind};
use packets_hook_runtime::limits;
use packets_plugin_api::relpath::RelPath;

use crate::error::{Context, Error, Result};
use crate::hook::Leaving;

/// A path in a package's folder that is not on record.
#[derive(Debug)]
pub(super) struct Extra {
    /// Below the package's folder.
    pub(super) path: RelPath,
}

fn recorded(leaving: &Leaving) -> HashSet<RelPath> {
    leaving.files.iter().filter_map(|file| file.path.strip_prefix(&leaving.package.folder)).collect()
}

/// What is not on record in the old tree of a package, which stands in `old`.
pub(super) fn find(old: &Folder, leaving: &Leaving) -> Result<Vec<Extra>> {
    let name = leaving.package.name.as_str();
    let named = || format!("cannot look through the old {name}");
    let mut extras = Vec::new();
    if old.stat(name).context(named)?.is_some_and(|stat| stat.kind == Kind::Folder) {
        let known = recorded(leaving);
        walk(&old.open(name).context(named)?, &RelPath::root(), &known, 0, &mut extras)?;
    }
    Ok(extras)
}

fn walk(
    folder: &Folder,
    path: &RelPath,
    known: &HashSet<RelPath>,
    depth: usize,
    extras: &mut Vec<Extra>,
) -> Result<()> {
    let named = || format!("cannot look through {path}");
    if depth > limits::DEPTH {
        return Err(Error::storage(named()).caused_by("its folders are nested too deeply"));
    }
    for name in folder.list().context(named)? {
        // A name that no package can have is the administrator's; it is kept with the folder that it is in.
        let Some(here) = OsStr::to_str(&name).and_then(|name| path.child(name).ok()) else { continue };
        let is_folder = folder.stat(&name).context(named)?.is_some_and(|stat| stat.kind == Kind::Folder);
        if is_folder {
            walk(&folder.open(&name).context(named)?, &here, known, depth + 1, extras)?;
        } else if !known.contains(&here) {
            extras.push(Extra { path: here });
        }
    }
    Ok(())
}

/// Removes what is on record from an old tree; true when something is left.
pub(super) fn prune(old: &Folder, leaving: &Leaving) -> Result<bool> {
    let name = leaving.package.name.as_str();
    let named = || format!("cannot clear the old {name}");
    if old.stat(name).context(named)?.is_some_and(|stat| stat.kind != Kind::Folder) {
        return Ok(true);
    }
    let tree = old.open(name).context(named)?;
    let mut paths: Vec<RelPath> = recorded(leaving).into_iter().filter(|path| !path.is_root()).collect();
    paths.sort_by(|a, b| b.cmp(a));
    for path in paths {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { continue };
        let Ok(folder) = tree.walk(&parent) else { continue };
        match folder.stat(name).context(named)? {
            Some(stat) if stat.kind == Kind::Folder => {
                // Not empty: something of the administrator's is in it.
                let _ = folder.remove_folder(name);
            }
            Some(_) => folder.remove_file(name).context(named)?,
            None => {}
        }
    }
    Ok(!tree.list().context(named)?.is_empty())
}
