//! What must be on the disk before the next state begins.

use std::io;
use std::sync::Arc;

use packets_hook_runtime::folder::{Folder, Kind};

use super::staged::Staged;
use crate::error::{Context, Result};

/// Up to so many files and folders are synced one by one: that does not wait for what others write.
pub(super) const ONE_BY_ONE: usize = 64;

/// Makes all that is staged durable; `entries` is how much that is, about.
pub(super) fn staged(folders: &[Staged], entries: usize) -> Result<()> {
    let named = |staged: &Staged| format!("cannot make {} durable", staged.path.absolute());
    for staged in folders {
        let synced = match entries > ONE_BY_ONE {
            true => staged.folder.sync_file_system(),
            false => tree(&staged.folder).or_else(|error| match error.kind() {
                // A package may bring what its owner, who is not root, may not open.
                io::ErrorKind::PermissionDenied => staged.folder.sync_file_system(),
                _ => Err(error),
            }),
        };
        synced.context(|| named(staged))?;
    }
    Ok(())
}

/// Files first, then the folder that names them.
fn tree(folder: &Folder) -> io::Result<()> {
    for name in folder.list()? {
        match folder.stat(&name)?.map(|stat| stat.kind) {
            Some(Kind::Folder) => tree(&folder.open(&name)?)?,
            Some(Kind::File) => folder.read(&name)?.sync_all()?,
            _ => {}
        }
    }
    folder.sync()
}

/// Makes the names in a folder durable.
pub(super) fn names(folder: &Folder) -> Result<()> {
    folder.sync().context(|| "cannot make the changes durable".to_owned())
}

/// Makes everything durable on the file systems of these folders.
pub(super) fn file_systems(places: &[Arc<Folder>]) -> Result<()> {
    places
        .iter()
        .try_for_each(|place| place.sync_file_system())
        .context(|| "cannot make the changes durable".to_owned())
}
