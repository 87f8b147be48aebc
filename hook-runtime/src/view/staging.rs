//! Where new content goes until it is committed.

use std::fmt::Debug;
use std::io;
use std::sync::Arc;

use packets_plugin_api::relpath::RelPath;

use crate::folder::Folder;

/// Says where new files are staged.
pub trait Staging: Send {
    /// The folder for a file that may come to `near` (canonical) on the file system
    /// `device`: on the same one, so that a rename brings it there. Called for each new file.
    fn folder_for(&mut self, device: u64, near: &RelPath) -> io::Result<StagingPlace>;
}

/// A folder in which files are staged.
#[derive(Debug, Clone)]
pub struct StagingPlace {
    /// Which of the transaction's staging folders it is.
    pub id: u32,
    /// The folder, which nobody else may enter.
    pub folder: Arc<Folder>,
}

/// Everything in one private folder: for what is never committed.
#[derive(Debug)]
pub struct PrivateStaging(StagingPlace);

impl PrivateStaging {
    /// Stages in `folder`.
    pub fn new(folder: Folder) -> Self {
        Self(StagingPlace { id: 0, folder: Arc::new(folder) })
    }
}

impl Staging for PrivateStaging {
    fn folder_for(&mut self, _: u64, _: &RelPath) -> io::Result<StagingPlace> {
        Ok(self.0.clone())
    }
}
