//! Writes the entries of an archive below a folder.

use std::fs::File;
use std::io::Write;

use packets_hook_runtime::folder::{self, Folder};
use packets_plugin_api::relpath::RelPath;

use super::cursor::Cursor;
use crate::archive::Sink;
use crate::error::{Context, Error, Result};
use crate::interrupt;

/// Each file costs one open, its writes and one close; a mode is set only where the
/// umask has changed it. Nothing that stands there is ever replaced or followed.
pub(super) struct Writer {
    cursor: Cursor,
    /// Whether the umask leaves modes of at most 0755 as they are.
    modes_hold: bool,
    /// The file whose content comes.
    file: Option<(RelPath, File)>,
}

pub(super) fn failed(path: &RelPath) -> impl FnOnce() -> String {
    move || format!("cannot unpack {path}")
}

impl Writer {
    /// Writes below `root`, which has just been made with mode 0755.
    pub(super) fn new(root: Folder) -> Result<Self> {
        let made = root.stat_self().context(|| "cannot look at the staging folder".to_owned())?;
        let modes_hold = made.mode & 0o777 == 0o755;
        if !modes_hold {
            root.set_mode(0o755).context(|| "cannot set the mode of the staging folder".to_owned())?;
        }
        Ok(Self { cursor: Cursor::new(root), modes_hold, file: None })
    }

    /// One for another thread, below the same folder.
    pub(super) fn again(&self) -> Result<Self> {
        let root = self.cursor.root_again().context(|| "cannot open the staging folder again".to_owned())?;
        Ok(Self { cursor: Cursor::new(root), modes_hold: self.modes_hold, file: None })
    }

    /// A new file, empty and open.
    pub(super) fn create(&mut self, path: &RelPath, mode: u32) -> Result<File> {
        let (parent, name) = self.cursor.parent_of(path.as_str()).context(failed(path))?;
        let file = parent.create(name, mode).context(failed(path))?;
        if !self.modes_hold {
            folder::set_mode(&file, mode).context(failed(path))?;
        }
        Ok(file)
    }

    /// A new file with all its content.
    pub(super) fn whole(&mut self, path: &RelPath, mode: u32, bytes: &[u8]) -> Result<()> {
        let mut file = self.create(path, mode)?;
        file.write_all(bytes).context(failed(path))
    }

    pub(super) fn into_root(self) -> Folder {
        self.cursor.into_root()
    }
}

impl Sink for Writer {
    fn folder(&mut self, path: &RelPath, mode: u32) -> Result<()> {
        let (parent, name) = self.cursor.parent_of(path.as_str()).context(failed(path))?;
        parent.make(name, mode).context(failed(path))?;
        if self.modes_hold { Ok(()) } else { self.folder_mode(path, mode) }
    }

    fn folder_mode(&mut self, path: &RelPath, mode: u32) -> Result<()> {
        let folder = self.cursor.folder(path.as_str()).context(failed(path))?;
        folder.set_mode(mode).context(failed(path))
    }

    fn file(&mut self, path: &RelPath, mode: u32, _: u64) -> Result<()> {
        interrupt::check()?;
        self.file = Some((path.clone(), self.create(path, mode)?));
        Ok(())
    }

    fn content(&mut self, bytes: &[u8]) -> Result<()> {
        interrupt::check()?;
        let (path, file) = self.file.as_mut().ok_or_else(|| Error::storage("no file is open to unpack to"))?;
        file.write_all(bytes).context(failed(path))
    }

    fn file_done(&mut self) -> Result<()> {
        self.file = None;
        Ok(())
    }

    fn symlink(&mut self, path: &RelPath, target: &str) -> Result<()> {
        let (parent, name) = self.cursor.parent_of(path.as_str()).context(failed(path))?;
        parent.symlink(target, name).context(failed(path))
    }

    fn hard_link(&mut self, path: &RelPath, existing: &RelPath) -> Result<()> {
        let (parent, existing) = self.cursor.parent_of(existing.as_str()).context(failed(path))?;
        let from = parent.again().context(failed(path))?;
        let (parent, name) = self.cursor.parent_of(path.as_str()).context(failed(path))?;
        from.hard_link(existing, parent, name).context(failed(path))
    }
}
