//! One staging folder.

use std::ffi::{OsStr, OsString};
use std::io;
use std::sync::Arc;

use packets_hook_runtime::folder::Folder;
use packets_plugin_api::relpath::RelPath;

use super::extras;
use crate::error::{Context, Result};
use crate::journal::{Decision, FolderId, Kind, Put, Step};
use crate::target::is_no_folder;

/// The folder below the packages' folder that holds the staging folders.
pub(super) const STAGING: &str = ".packets";
/// Where the new trees stand in the first staging folder.
pub(super) const NEW: &str = "new";
/// Where what was displaced goes.
pub(super) const OLD: &str = "old";
/// Stands in the first staging folder as soon as anything on the target may have changed.
const BEGUN: &str = "begun";
/// Holds room that a recovery on a full disk can use.
const RESERVE: &str = "reserve";

/// One staging folder, and the folder that it is in.
#[derive(Debug)]
pub(super) struct Staged {
    parent: Folder,
    name: String,
    pub(super) path: RelPath,
    /// Opened before the first write, so that it is told of every write that failed.
    pub(super) folder: Arc<Folder>,
    /// None where it was removed already, when the removal of the whole was cut off.
    old: Option<Arc<Folder>>,
}

impl Staged {
    /// Makes `name` in `parent`, private.
    pub(super) fn make(parent: Folder, parent_path: &RelPath, name: &str) -> io::Result<Self> {
        let path = parent_path.child(name).map_err(io::Error::other)?;
        parent.make(name, 0o700)?;
        let inside = parent.open(name).and_then(|folder| {
            folder.make(NEW, 0o700)?;
            folder.make(OLD, 0o700)?;
            Ok((folder.open(OLD)?, folder))
        });
        let (old, folder) = inside.inspect_err(|_| {
            // Nobody else knows of it yet.
            let _ = parent.remove_tree(name);
        })?;
        Ok(Self { parent, name: name.to_owned(), path, folder: Arc::new(folder), old: Some(Arc::new(old)) })
    }

    /// The one that a journal names, as it stands below the root; none where it does not.
    pub(super) fn find(root: &Folder, id: &FolderId) -> io::Result<Option<Self>> {
        let (Some(parent), Some(name)) = (id.path.parent(), id.path.file_name()) else { return Ok(None) };
        let opened = root.walk(&parent).and_then(|parent| Ok((parent.open(name)?, parent)));
        let (folder, parent) = match opened {
            Err(error) if is_no_folder(&error) => return Ok(None),
            opened => opened?,
        };
        if folder.stat_self()?.inode != id.inode {
            return Ok(None);
        }
        let old = match folder.open(OLD) {
            Err(error) if is_no_folder(&error) => None,
            opened => Some(Arc::new(opened?)),
        };
        Ok(Some(Self { parent, name: name.to_owned(), path: id.path.clone(), folder: Arc::new(folder), old }))
    }

    /// What was displaced.
    pub(super) fn old(&self) -> io::Result<&Arc<Folder>> {
        self.old.as_ref().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Whether the folder `name` in `folder`, on the same mount, can be moved.
    pub(super) fn can_move(&self, folder: &Folder, name: &str) -> io::Result<bool> {
        // It holds `new/` and `old/`.
        folder.can_move(name, &self.parent, &self.name)
    }

    fn displaced(&self) -> io::Result<Vec<OsString>> {
        self.old.as_ref().map_or(Ok(Vec::new()), |old| old.list())
    }

    pub(super) fn old_path(&self) -> io::Result<RelPath> {
        self.path.child(OLD).map_err(io::Error::other)
    }

    /// Marks that changes begin.
    pub(super) fn begin(&self) -> io::Result<()> {
        self.folder.make(BEGUN, 0o700)
    }

    /// Sets room aside, so that a disk that is full later cannot stop what has begun.
    pub(super) fn reserve(&self, bytes: u64) -> io::Result<()> {
        let file = self.folder.create(RESERVE, 0o600)?;
        crate::journal::set_aside(&file, 0, bytes)
    }

    /// The room may be used.
    pub(super) fn release(&self) {
        // It goes with the folder at the latest.
        let _ = self.folder.remove_file(RESERVE);
    }

    /// Removes all but `old/`, and the whole folder where that is empty.
    pub(super) fn leave_old(&self) -> Result<()> {
        let named = || format!("cannot clear the staging folder {}", self.path.absolute());
        if self.displaced().context(named)?.is_empty() {
            return self.remove();
        }
        for name in self.folder.list().context(named)?.iter().filter(|name| *name != OLD) {
            self.folder.remove_tree(name).context(named)?;
        }
        Ok(())
    }

    /// Removes it with all that is in it.
    pub(super) fn remove(&self) -> Result<()> {
        self.parent
            .remove_tree(&self.name)
            .context(|| format!("cannot remove the staging folder {}", self.path.absolute()))
    }
}

/// Whether changes of the target may have begun, by what a staging folder holds.
pub(super) fn has_begun(folder: &Folder) -> io::Result<bool> {
    let in_old = match folder.open(OLD) {
        Ok(old) => !old.list()?.is_empty(),
        Err(error) if is_no_folder(&error) => false,
        Err(error) => return Err(error),
    };
    Ok(in_old || folder.stat(BEGUN)?.is_some())
}

/// Removes the staging folders of a transaction that was taken back. What somebody has put into a
/// package's tree, while that was in place, stays; true then.
pub(super) fn remove_reverted(folders: &[Staged], decision: &Decision) -> Result<bool> {
    let mut is_left = false;
    for staged in folders {
        let mut left_here = false;
        for step in &decision.steps {
            let Step::Put(put) = step else { continue };
            let (Some(after), Some(new)) = (&put.after, &put.new) else { continue };
            let id = &decision.folders[new.folder];
            if after.kind != Kind::Folder || put.only_empty || !id.path.starts_with(&staged.path) {
                continue;
            }
            let named = || format!("cannot clear the staging folder {}", staged.path.absolute());
            let above = match staged.folder.walk(&id.path.strip_prefix(&staged.path).unwrap_or_default()) {
                // It was cleared already, when that was cut off.
                Err(error) if is_no_folder(&error) => continue,
                walked => walked.context(named)?,
            };
            let row = decision.rows.installed.iter().find(|row| row.package.name.as_str() == new.name);
            let files = row.map_or(&[][..], |row| &row.files);
            let folder = row.map(|row| row.package.folder.clone()).unwrap_or_default();
            left_here |= extras::prune(&above, &new.name, files, &folder)?;
        }
        if !left_here {
            staged.remove()?;
        }
        is_left |= left_here;
    }
    Ok(is_left)
}

/// Deletes what a finished transaction displaced. What the administrator had put into a package's tree, or into
/// another folder before that was displaced, stays; true then.
pub(crate) fn free(root: &Folder, decision: &Decision) -> Result<bool> {
    let mut is_left = false;
    for id in &decision.places {
        let named = || format!("cannot clear the staging folder {}", id.path.absolute());
        let Some(staged) = Staged::find(root, id).context(named)? else { continue };
        let mut left_here = false;
        for name in staged.displaced().context(named)? {
            left_here |= free_one(&staged, &name, decision)?;
        }
        if !left_here {
            staged.remove()?;
        }
        is_left |= left_here;
    }
    Ok(is_left)
}

fn free_one(staged: &Staged, name: &OsStr, decision: &Decision) -> Result<bool> {
    let named = || format!("cannot clear the staging folder {}", staged.path.absolute());
    let old = staged.old().context(named)?;
    let row = decision.before.installed.iter().find(|row| name == row.package.name.as_str());
    if let Some(row) = row {
        return extras::prune(old, row.package.name.as_str(), &row.files, &row.package.folder);
    }
    if old.stat(name).context(named)?.is_none_or(|stat| Kind::from(stat.kind) != Kind::Folder) {
        return old.remove_tree(name).context(named).map(|()| false);
    }
    match name.to_str().and_then(|name| Some((name, where_it_stood(staged, name, decision)?))) {
        Some((name, path)) => {
            let files = decision.before.installed.iter().flat_map(|row| &row.files);
            extras::prune(old, name, files.filter(|file| file.path.starts_with(&path)), &path)
        }
        // Nobody knows what it is.
        None => Ok(true),
    }
}

/// Where stood what waits in `old/` by that name.
fn where_it_stood(staged: &Staged, name: &str, decision: &Decision) -> Option<RelPath> {
    let old = staged.old_path().ok()?;
    let is_it =
        |put: &&Put| put.old.as_ref().is_some_and(|it| it.name == name && decision.folders[it.folder].path == old);
    let put = decision.steps.iter().filter_map(Step::as_put).find(is_it)?;
    decision.folders[put.at.folder].path.child(&put.at.name).ok()
}
