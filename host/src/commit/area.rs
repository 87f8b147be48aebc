//! The staging folders of a transaction: one on each file system that it touches.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use packets_hook_runtime::folder::Folder;
use packets_hook_runtime::view::{Staging, StagingPlace};
use packets_plugin_api::ident::TransactionId;
use packets_plugin_api::relpath::RelPath;

use crate::error::{Context, Result};
use crate::target::{Place, Target};

/// The folder below the packages' folder that holds the staging folders.
const STAGING: &str = ".packets";
/// Where the new trees stand in the first staging folder.
const NEW: &str = "new";
/// Where what was displaced goes.
const OLD: &str = "old";

/// All staging folders of one transaction. Dropping it removes them with all that is in them.
#[derive(Debug, Clone)]
pub struct Area(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    transaction: TransactionId,
    root: Folder,
    folders: Vec<Staged>,
    by_device: HashMap<u64, u32>,
    next: u64,
    keep: Keep,
}

/// What stays when an area is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keep {
    Nothing,
    Old,
    Everything,
}

/// One staging folder, and the folder that it is in.
#[derive(Debug)]
struct Staged {
    parent: Folder,
    name: String,
    path: RelPath,
    folder: Arc<Folder>,
    old: Arc<Folder>,
}

impl Staged {
    fn make(parent: Folder, parent_path: &RelPath, name: &str) -> io::Result<Self> {
        parent.make(name, 0o700)?;
        let folder = parent.open(name)?;
        folder.make(OLD, 0o700)?;
        let old = folder.open(OLD)?;
        let path = parent_path.child(name).map_err(io::Error::other)?;
        Ok(Self { parent, name: name.to_owned(), path, folder: Arc::new(folder), old: Arc::new(old) })
    }
}

impl Area {
    /// Makes the first staging folder, beside the packages.
    pub fn make(target: &Target, data: &Place, transaction: &TransactionId) -> Result<Self> {
        let named = || format!("cannot make a staging folder in {}", data.path.absolute());
        let parent = data.folder.open_or_make(STAGING, 0o700).context(named)?;
        let path = data.path.child(STAGING)?;
        let first = Staged::make(parent, &path, transaction.as_str()).context(named)?;
        first.folder.make(NEW, 0o700).context(named)?;
        let device = first.folder.stat_self().context(named)?.device;
        Ok(Self(Arc::new(Mutex::new(Inner {
            transaction: transaction.clone(),
            root: target.root().again().context(named)?,
            folders: vec![first],
            by_device: HashMap::from([(device, 0)]),
            next: 0,
            keep: Keep::Nothing,
        }))))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The folder in which new package trees are unpacked.
    pub fn new_trees(&self) -> io::Result<Folder> {
        self.inner().folders[0].folder.open(NEW)
    }

    /// A folder for staged files on the file system of `near`.
    pub fn place_for(&self, device: u64, near: &RelPath) -> io::Result<StagingPlace> {
        let mut inner = self.inner();
        let id = match inner.by_device.get(&device) {
            Some(id) => *id,
            None => inner.add(device, near)?,
        };
        let folder = inner.folders[id as usize].folder.clone();
        Ok(StagingPlace { id, folder })
    }

    /// The staging folder with this id.
    pub(super) fn place(&self, id: u32) -> io::Result<Arc<Folder>> {
        let inner = self.inner();
        inner
            .folders
            .get(id as usize)
            .map(|staged| staged.folder.clone())
            .ok_or_else(|| io::Error::other("no such staging folder"))
    }

    /// A new name in `old/` on this file system.
    pub(super) fn old_name(&self, device: u64, near: &RelPath) -> io::Result<(Arc<Folder>, String)> {
        let id = self.place_for(device, near)?.id;
        let mut inner = self.inner();
        inner.next += 1;
        // No package's name begins so: their old trees stand in the same folder.
        let name = format!("-{}", inner.next);
        Ok((inner.folders[id as usize].old.clone(), name))
    }

    /// Where the first `old/` is, below the target's root.
    pub(super) fn old_path(&self) -> Result<RelPath> {
        Ok(self.inner().folders[0].path.child(OLD)?)
    }

    /// The handle of the first `old/`.
    pub(super) fn old_folder(&self) -> Arc<Folder> {
        self.inner().folders[0].old.clone()
    }

    /// Nothing stays when the area is dropped.
    pub(super) fn keep_nothing(&self) {
        self.inner().keep = Keep::Nothing;
    }

    /// What is in `old/` stays when the area is dropped.
    pub(super) fn keep_old(&self) {
        self.inner().keep = Keep::Old;
    }

    /// Everything stays: it could not be put back where it belongs.
    pub(super) fn keep_everything(&self) {
        self.inner().keep = Keep::Everything;
    }
}

impl Inner {
    /// A staging folder in the nearest folder above `near` that stands on this file system.
    fn add(&mut self, device: u64, near: &RelPath) -> io::Result<u32> {
        let mut above = near.parent();
        while let Some(path) = above {
            if let Ok(folder) = self.root.walk(&path)
                && folder.stat_self()?.device == device
            {
                let staged = Staged::make(folder, &path, &format!("{STAGING}-{}", self.transaction))?;
                let id = u32::try_from(self.folders.len()).map_err(io::Error::other)?;
                self.folders.push(staged);
                self.by_device.insert(device, id);
                return Ok(id);
            }
            above = path.parent();
        }
        Err(io::Error::other("no folder of that file system was found"))
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if self.keep == Keep::Everything {
            return;
        }
        for (at, staged) in self.folders.iter().enumerate() {
            if at == 0 && self.keep == Keep::Old {
                for name in staged.folder.list().unwrap_or_default().iter().filter(|name| *name != OLD) {
                    let _ = staged.folder.remove_tree(name);
                }
                continue;
            }
            let _ = staged.parent.remove_tree(&staged.name);
        }
    }
}

impl Staging for Area {
    fn folder_for(&mut self, device: u64, near: &RelPath) -> io::Result<StagingPlace> {
        self.place_for(device, near)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_private_and_leaves_nothing() {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(home.path().join("opt/packets")).unwrap();
        let target = Target::open(Some(home.path()), false).unwrap();
        let data = target.enter(&"opt/packets".parse().unwrap()).unwrap().unwrap();
        let id = TransactionId::from_bytes([7; 8]);
        let area = Area::make(&target, &data, &id).unwrap();
        let staged = home.path().join("opt/packets/.packets").join(id.as_str());
        assert_eq!(std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(&staged).unwrap()) & 0o777, 0o700);
        area.new_trees().unwrap().create("x", 0o644).unwrap();
        let (old, name) =
            area.old_name(data.folder.stat_self().unwrap().device, &"usr/bin/x".parse().unwrap()).unwrap();
        old.create(&name, 0o600).unwrap();
        drop(area);
        assert!(!staged.exists());
    }
}
