//! Folders that cannot be moved: those of a lower layer of an overlay. All that is in one moves into another of
//! the same shape, file by file, which then goes in its stead; and back again as long as it stands.

use std::ffi::OsStr;
use std::io;

use packets_hook_runtime::folder::{Folder, Kind, Obstacle, Rename};
use packets_hook_runtime::limits;

/// Makes a folder with the rights and the owner of another: it may be closed to others, or a daemon's.
pub(super) fn make_alike(parent: &Folder, name: impl AsRef<OsStr>, other: &Folder) -> io::Result<()> {
    let name = name.as_ref();
    parent.make(name, 0o700)?;
    parent.open(name)?.rights_as(other)
}

/// Makes `name` in `parent` with the same folders in it as `tree`, and no files.
pub(super) fn shape(parent: &Folder, name: impl AsRef<OsStr>, tree: &Folder) -> io::Result<()> {
    shape_at(parent, name.as_ref(), tree, 0)
}

fn shape_at(parent: &Folder, name: &OsStr, tree: &Folder, depth: usize) -> io::Result<()> {
    make_alike(parent, name, tree)?;
    let made = parent.open(name)?;
    for inner in folders_in(tree, depth)? {
        if tree.obstacle(&inner)? == Some(Obstacle::MountPoint) {
            return Err(io::Error::new(
                io::ErrorKind::ResourceBusy,
                format!("something is mounted at {}", inner.display()),
            ));
        }
        shape_at(&made, &inner, &tree.open(&inner)?, depth + 1)?;
    }
    Ok(())
}

fn folders_in(tree: &Folder, depth: usize) -> io::Result<Vec<std::ffi::OsString>> {
    if depth > limits::DEPTH {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "folders nested too deeply"));
    }
    let mut names = tree.list()?;
    let mut failed = None;
    names.retain(|name| match tree.stat(name) {
        Ok(stat) => stat.is_some_and(|stat| stat.kind == Kind::Folder),
        Err(error) => {
            failed.get_or_insert(error);
            false
        }
    });
    failed.map_or(Ok(names), Err)
}

/// Moves all that is in `from` into `to`, where its folders are or are made. The folders of `from` stay, empty.
/// Goes on where it was cut off.
pub(super) fn pour(from: &Folder, to: &Folder) -> io::Result<()> {
    pour_at(from, to, 0)
}

fn pour_at(from: &Folder, to: &Folder, depth: usize) -> io::Result<()> {
    let folders = folders_in(from, depth)?;
    for name in from.list()? {
        if !folders.contains(&name) {
            from.rename(&name, to, &name, Rename::Keep)?;
        }
    }
    for name in folders {
        let inner = from.open(&name)?;
        let place = to.open_or_make(&name, 0o700)?;
        pour_at(&inner, &place, depth + 1)?;
        // Also where it was there: it may have been cut off before it came to that.
        place.rights_as(&inner)?;
    }
    Ok(())
}

/// Removes `name` from `parent` with the folders in it, which must be empty.
pub(super) fn remove_empty(parent: &Folder, name: impl AsRef<OsStr>) -> io::Result<()> {
    remove_empty_at(parent, name.as_ref(), 0)
}

fn remove_empty_at(parent: &Folder, name: &OsStr, depth: usize) -> io::Result<()> {
    let tree = parent.open(name)?;
    for inner in folders_in(&tree, depth)? {
        remove_empty_at(&tree, &inner, depth + 1)?;
    }
    parent.remove_folder(name)
}
