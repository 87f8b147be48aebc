//! Folders for what a run needs for itself and never keeps.

use std::path::{Path, PathBuf};

use packets_hook_runtime::folder::Folder;

use crate::error::{Context as _, Result};

/// A folder of one's own in the system's folder for temporary files; gone when it is dropped.
#[derive(Debug)]
pub(super) struct PrivateFolder {
    parent: Folder,
    path: PathBuf,
    name: String,
    folder: Folder,
}

impl PrivateFolder {
    pub(super) fn make() -> Result<Self> {
        let path = std::env::temp_dir();
        let named = || format!("cannot make a folder in {}", path.display());
        let parent = Folder::open_ambient(&path).context(named)?;
        let name = format!("packets-{}", crate::durable::random_name().context(named)?);
        parent.make(&name, 0o700).context(named)?;
        let folder = parent.open(&name).context(named)?;
        Ok(Self { parent, path: path.join(&name), name, folder })
    }

    pub(super) fn folder(&self) -> &Folder {
        &self.folder
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for PrivateFolder {
    fn drop(&mut self) {
        let _ = self.parent.remove_tree(&self.name);
    }
}
