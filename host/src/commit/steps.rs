//! Changes of the target, one rename each, and the way back.

use std::io;
use std::sync::Arc;

use packets_hook_runtime::folder::{Folder, Kind, Rename};

use crate::error::{Context, Result};

/// A name in an open folder.
#[derive(Debug, Clone)]
pub(super) struct Spot {
    pub(super) folder: Arc<Folder>,
    pub(super) name: String,
}

impl Spot {
    pub(super) fn new(folder: &Arc<Folder>, name: impl Into<String>) -> Self {
        Self { folder: folder.clone(), name: name.into() }
    }

    fn rename(&self, to: &Self, how: Rename) -> io::Result<()> {
        self.folder.rename(&self.name, &to.folder, &to.name, how)
    }
}

#[derive(Debug)]
enum Undo {
    /// What stands at the second goes back to the first.
    MoveBack(Spot, Spot),
    /// The two are swapped again.
    SwapBack(Spot, Spot),
    /// The folder that was made goes.
    RemoveFolder(Spot),
    /// The folder that was removed is made again.
    MakeFolder(Spot, u32),
    /// The folder gets back its mode.
    SetMode(Spot, u32),
}

/// The steps that were done.
#[derive(Debug, Default)]
pub(super) struct Steps {
    done: Vec<Undo>,
}

impl Steps {
    /// Moves `from` to `to`, where nothing stands.
    pub(super) fn place(&mut self, from: Spot, to: Spot) -> io::Result<()> {
        match from.rename(&to, Rename::Keep) {
            // A file system without RENAME_NOREPLACE: looked at first, under the lock.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                if to.folder.stat(&to.name)?.is_some() {
                    return Err(io::ErrorKind::AlreadyExists.into());
                }
                from.rename(&to, Rename::Replace)?;
            }
            renamed => renamed?,
        }
        self.done.push(Undo::MoveBack(from, to));
        Ok(())
    }

    /// Puts `from` in the place of what stands at `to`; that moves to `old`, and comes back on an error.
    pub(super) fn replace(&mut self, from: Spot, to: Spot, old: Spot) -> io::Result<()> {
        match from.rename(&to, Rename::Exchange) {
            Ok(()) => {
                self.done.push(Undo::SwapBack(from.clone(), to));
                self.place(from, old)
            }
            // A file system without RENAME_EXCHANGE.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                self.place(to.clone(), old)?;
                self.place(from, to)
            }
            Err(error) => Err(error),
        }
    }

    /// Makes the folder at `to`.
    pub(super) fn make_folder(&mut self, to: Spot, mode: u32) -> io::Result<()> {
        to.folder.make(&to.name, mode)?;
        self.done.push(Undo::RemoveFolder(to));
        Ok(())
    }

    /// Removes the folder at `at`; one that is not empty stays.
    pub(super) fn remove_folder(&mut self, at: Spot) -> io::Result<()> {
        let Some(stat) = at.folder.stat(&at.name)?.filter(|stat| stat.kind == Kind::Folder) else { return Ok(()) };
        match at.folder.remove_folder(&at.name) {
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => return Ok(()),
            removed => removed?,
        }
        self.done.push(Undo::MakeFolder(at, stat.mode));
        Ok(())
    }

    /// Gives the folder at `at` this mode.
    pub(super) fn set_mode(&mut self, at: Spot, mode: u32) -> io::Result<()> {
        let folder = at.folder.open(&at.name)?;
        let before = folder.stat_self()?.mode;
        folder.set_mode(mode)?;
        self.done.push(Undo::SetMode(at, before));
        Ok(())
    }

    /// Goes back to where it began.
    pub(super) fn undo(&mut self) -> Result<()> {
        while let Some(step) = self.done.pop() {
            step.run().context(|| format!("cannot go back at {step:?}"))?;
        }
        Ok(())
    }
}

impl Undo {
    fn run(&self) -> io::Result<()> {
        match self {
            Self::MoveBack(from, to) => to.rename(from, Rename::Replace),
            Self::SwapBack(from, to) => from.rename(to, Rename::Exchange),
            Self::RemoveFolder(at) => at.folder.remove_folder(&at.name),
            Self::SetMode(at, mode) => at.folder.open(&at.name)?.set_mode(*mode),
            Self::MakeFolder(at, mode) => {
                at.folder.make(&at.name, 0o700)?;
                at.folder.open(&at.name)?.set_mode(*mode)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goes_back_in_reverse() {
        let home = tempfile::tempdir().unwrap();
        let path = |name: &str| home.path().join(name);
        std::fs::write(path("a"), "new a").unwrap();
        std::fs::write(path("target"), "old").unwrap();
        std::fs::create_dir(path("gone")).unwrap();
        let folder = Arc::new(Folder::open_ambient(home.path()).unwrap());
        let spot = |name: &str| Spot::new(&folder, name);
        let mut steps = Steps::default();
        steps.replace(spot("a"), spot("target"), spot("kept")).unwrap();
        steps.make_folder(spot("folder"), 0o755).unwrap();
        steps.remove_folder(spot("gone")).unwrap();
        assert_eq!(std::fs::read_to_string(path("target")).unwrap(), "new a");
        assert_eq!(std::fs::read_to_string(path("kept")).unwrap(), "old");
        assert!(steps.place(spot("kept"), spot("target")).is_err());
        steps.undo().unwrap();
        assert_eq!(std::fs::read_to_string(path("target")).unwrap(), "old");
        assert_eq!(std::fs::read_to_string(path("a")).unwrap(), "new a");
        assert_eq!(folder.list().unwrap(), ["a", "gone", "target"]);
    }
}
