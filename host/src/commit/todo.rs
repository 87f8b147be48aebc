//! What is left to do to take a finished transaction back, judged by what stands now. Nothing is changed.

use std::collections::{BTreeMap, HashSet};

use packets_hook_runtime::folder::{Folder, Kind as FileKind, Stat};
use packets_plugin_api::relpath::RelPath;
use packets_plugin_api::storage::FileKind as Recorded;

use super::draft::looking;
use super::past::spot_path;
use crate::error::{Error, Result};
use crate::journal::{Decision, Kind, Put, Step};
use crate::target::is_no_folder;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Todo {
    /// Steps after which nothing is left to be taken back: what they brought is gone already, or the folder that
    /// they took away stands again.
    pub(super) done: HashSet<usize>,
    /// Folders that have gone since and that something comes back into, with their modes; parents first.
    pub(super) anew: BTreeMap<RelPath, u32>,
}

impl Todo {
    /// # Errors
    /// The first path that does not stand as the transaction left it.
    pub(super) fn of(past: &Decision, root: &Folder) -> Result<Self> {
        let mut todo = Self::default();
        let mut brought = HashSet::new();
        for (at, step) in past.steps.iter().enumerate().rev() {
            let is_done = match step {
                Step::Put(put) => todo.judge(past, root, put, &mut brought)?,
                Step::Mode { folder, after, .. } => mode_is_gone(root, &past.folders[*folder].path, *after)?,
                Step::Carry { .. } => true,
            };
            if is_done {
                todo.done.insert(at);
            }
        }
        Ok(todo)
    }

    /// Whether nothing is left to do; `brought`: folders that steps judged before this one bring back.
    fn judge(&mut self, past: &Decision, root: &Folder, put: &Put, brought: &mut HashSet<RelPath>) -> Result<bool> {
        let path = spot_path(past, &put.at)?;
        let now = stat(root, &path)?;
        let comes_back = put.before.is_some();
        match (&put.after, now) {
            (Some(after), Some(now)) if after.is(&now) => {
                if let Some(home) = put.new.as_ref().filter(|_| put.returns) {
                    let above = spot_path(past, home)?.parent().unwrap_or_default();
                    self.has_a_folder(past, root, &above, brought)?;
                }
            }
            // It is gone already, and nothing was there before.
            (Some(_), None) if !comes_back => return Ok(true),
            // A folder of its name is somebody else's, or stands again.
            (Some(_), Some(now)) | (None, Some(now)) if put.only_empty && now.kind == FileKind::Folder => {
                return Ok(true);
            }
            (None, None) => {}
            _ => return Err(changed(&path)),
        }
        if comes_back {
            self.is_kept(past, root, put)?;
            self.has_a_folder(past, root, &path.parent().unwrap_or_default(), brought)?;
            if put.before.as_ref().is_some_and(|before| before.kind == Kind::Folder) {
                brought.insert(path);
            }
        }
        Ok(false)
    }

    fn is_kept(&self, past: &Decision, root: &Folder, put: &Put) -> Result<()> {
        let (Some(before), Some(old)) = (&put.before, &put.old) else { return Ok(()) };
        match stat(root, &spot_path(past, old)?)? {
            Some(now) if before.is(&now) => Ok(()),
            _ => {
                let path = spot_path(past, &put.at)?.absolute();
                Err(Error::request(format!("what it displaced at {path} is no longer kept")))
            }
        }
    }

    /// The folder that something comes back into stands, is brought back, or can be made anew.
    fn has_a_folder(
        &mut self,
        past: &Decision,
        root: &Folder,
        folder: &RelPath,
        brought: &HashSet<RelPath>,
    ) -> Result<()> {
        let mut above = folder.clone();
        while !brought.contains(&above) && !self.anew.contains_key(&above) && !stands(root, &above)? {
            let recorded = past.before.installed.iter().flat_map(|row| &row.files).find(|file| file.path == above);
            let Some(Recorded::Folder { mode }) = recorded.map(|file| &file.kind) else {
                return Err(Error::request(format!("the folder {} has gone since", above.absolute()))
                    .hint(format!("`mkdir {}`, then try again", above.absolute())));
            };
            if stat(root, &above)?.is_some() {
                return Err(changed(&above));
            }
            self.anew.insert(above.clone(), *mode);
            let Some(parent) = above.parent() else { return Ok(()) };
            above = parent;
        }
        Ok(())
    }
}

fn mode_is_gone(root: &Folder, path: &RelPath, after: u32) -> Result<bool> {
    match looking(path, walk(root, path))? {
        None => Ok(true),
        Some(folder) if looking(path, folder.stat_self())?.mode == after => Ok(false),
        Some(_) => Err(changed(path)),
    }
}

fn walk(root: &Folder, path: &RelPath) -> std::io::Result<Option<Folder>> {
    match root.walk(path) {
        Err(error) if is_no_folder(&error) => Ok(None),
        walked => walked.map(Some),
    }
}

fn stands(root: &Folder, path: &RelPath) -> Result<bool> {
    Ok(looking(path, walk(root, path))?.is_some())
}

fn stat(root: &Folder, path: &RelPath) -> Result<Option<Stat>> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Ok(None) };
    match looking(path, walk(root, &parent))? {
        Some(folder) => looking(path, folder.stat(name)),
        None => Ok(None),
    }
}

fn changed(path: &RelPath) -> Error {
    Error::request(format!("{} was changed since", path.absolute()))
        .hint("put back what the transaction had left there, or change it with install, upgrade and remove")
}
