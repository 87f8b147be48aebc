//! The one place where a target changes: everything was staged before, each path is
//! replaced by one rename, and an error goes back.

mod area;
mod extras;
mod rows;
mod steps;

use std::io;
use std::sync::Arc;

use packets_hook_runtime::folder::{Folder, Kind, Stat};
use packets_hook_runtime::view::{Becomes, Change};
use packets_plugin_api::relpath::RelPath;
use packets_plugin_api::storage::{FileRecord, Storage};

pub use area::Area;
pub use rows::Entry;

use crate::error::{Context, Error, ErrorKind, Result};
use crate::hook::{Hooked, Leaving};
use crate::ops::{HookOutcome, Kept};
use crate::target::{Place, Target};
use extras::Extra;
use steps::{Spot, Steps};

/// A transaction that has happened. Only this module makes one.
#[derive(Debug)]
pub struct Committed {
    outcomes: Vec<HookOutcome>,
    kept: Vec<Kept>,
    programs: Vec<RelPath>,
}

impl Committed {
    /// What each hook did.
    pub fn outcomes(&self) -> &[HookOutcome] {
        &self.outcomes
    }
    /// Files of the administrator that were kept.
    pub fn kept(&self) -> &[Kept] {
        &self.kept
    }
    /// Programs that can be run now.
    pub fn programs(&self) -> &[RelPath] {
        &self.programs
    }
}

/// Applies what the hooks stage left, and records it.
///
/// # Errors
/// The first step that fails; then everything is as it was, unless the error says otherwise.
pub fn commit(
    hooked: Hooked,
    target: &Target,
    data: &Place,
    area: &Area,
    storage: &mut dyn Storage,
    entry: &Entry<'_>,
    bin: &RelPath,
) -> Result<Committed> {
    let mut work =
        Work { target, data, area, steps: Steps::default(), kept: hooked.kept().to_vec(), displaced: Vec::new() };
    let done = work.apply(&hooked).and_then(|()| {
        let rows = rows::rows(&hooked, entry, &work.displaced);
        storage.finish(&rows).map_err(Error::from)
    });
    if let Err(error) = done {
        return Err(work.go_back(error));
    }
    work.clear_old_trees(&hooked)?;
    let is_program = |change: &&Change| {
        change.path.starts_with(bin) && matches!(change.becomes, Becomes::File { .. } | Becomes::Symlink { .. })
    };
    let programs = hooked.changes().iter().filter(is_program).map(|change| change.path.clone()).collect();
    Ok(Committed { outcomes: hooked.outcomes().to_vec(), kept: work.kept, programs })
}

struct Work<'a> {
    target: &'a Target,
    data: &'a Place,
    area: &'a Area,
    steps: Steps,
    kept: Vec<Kept>,
    /// Where the content of displaced paths is kept.
    displaced: Vec<(RelPath, RelPath)>,
}

/// The folder, below the packages' folder, of what `replace` displaced.
const DISPLACED: &str = ".packets-displaced";

impl Work<'_> {
    fn apply(&mut self, hooked: &Hooked) -> Result<()> {
        let staged_links = self.stage_links(hooked.changes())?;
        for change in hooked.changes() {
            self.check(change)?;
        }
        let trees = self.area.new_trees().context(|| "cannot open the staging folder".to_owned())?;
        let trees = Arc::new(trees);
        for leaving in hooked.leaving() {
            self.swap_tree(leaving, hooked, &trees)?;
        }
        for arriving in hooked.arriving() {
            let name = arriving.package.name.as_str();
            let data =
                Arc::new(self.data.folder.again().context(|| format!("cannot open {}", self.data.path.absolute()))?);
            if trees.stat(name).context(|| format!("cannot look at the staged {name}"))?.is_some() {
                let placed = self.steps.place(Spot::new(&trees, name), Spot::new(&data, name));
                placed.context(|| format!("cannot put {} in place", arriving.folder.absolute()))?;
            }
        }
        self.carry_over(hooked)?;
        let (gone, made): (Vec<_>, Vec<_>) =
            hooked.changes().iter().enumerate().partition(|(_, change)| matches!(change.becomes, Becomes::Absent));
        for (at, change) in made {
            self.make(change, staged_links.get(&at))?;
        }
        for (_, change) in gone.into_iter().rev() {
            self.take_away(change, hooked.leaving())?;
        }
        Ok(())
    }

    /// Links are made in staging first, so that they too come into place by one rename.
    fn stage_links(&self, changes: &[Change]) -> Result<std::collections::HashMap<usize, Spot>> {
        let mut staged = std::collections::HashMap::new();
        for (at, change) in changes.iter().enumerate() {
            let Becomes::Symlink { stored, .. } = &change.becomes else { continue };
            let named = || format!("cannot stage the link {}", change.path.absolute());
            let place =
                self.area.place_for(self.device_of(&change.path).context(named)?, &change.path).context(named)?;
            let name = format!("link-{at}");
            place.folder.symlink(stored, &name).context(named)?;
            staged.insert(at, Spot::new(&place.folder, name));
        }
        Ok(staged)
    }

    /// The file system on which a path will be: that of the nearest folder above it that exists.
    fn device_of(&self, path: &RelPath) -> io::Result<u64> {
        let mut above = path.parent();
        while let Some(folder) = above {
            match self.target.root().walk(&folder) {
                Ok(found) => return Ok(found.stat_self()?.device),
                Err(error) if error.kind() == io::ErrorKind::NotFound => above = folder.parent(),
                Err(error) => return Err(error),
            }
        }
        Ok(self.target.root().stat_self()?.device)
    }

    /// What the view saw must still stand there.
    fn check(&self, change: &Change) -> Result<()> {
        let named = || format!("cannot look at {}", change.path.absolute());
        let changed = || {
            Error::storage(format!("{} was changed by someone else meanwhile", change.path.absolute()))
                .hint("nothing was done; run the command again")
        };
        let Some(parent) = &change.parent else { return Ok(()) };
        let (folder, name) = self.parent_of(&change.path).context(named)?;
        let seen = folder.stat_self().context(named)?;
        if (seen.device, seen.inode) != (parent.device, parent.inode) {
            return Err(changed());
        }
        let now = folder.stat(&name).context(named)?;
        let same = |old: &Stat, now: &Stat| {
            old.same_inode(now)
                && (old.kind == Kind::Folder
                    || (old.size, old.modified, old.mode) == (now.size, now.modified, now.mode))
        };
        match (&change.old, &now) {
            (None, None) => Ok(()),
            (Some(old), Some(now)) if same(old, now) => Ok(()),
            _ => Err(changed()),
        }
    }

    fn parent_of(&self, path: &RelPath) -> io::Result<(Arc<Folder>, String)> {
        let parent = path.parent().ok_or_else(|| io::Error::other("the root has no parent"))?;
        let name = path.file_name().unwrap_or_default().to_owned();
        Ok((Arc::new(self.target.root().walk(&parent)?), name))
    }

    fn old_spot(&self, path: &RelPath) -> io::Result<Spot> {
        let (folder, name) = self.area.old_name(self.device_of(path)?, path)?;
        Ok(Spot::new(&folder, name))
    }

    /// The tree of a package that goes moves to `old/`; that of one with the same name
    /// is swapped with the new tree.
    fn swap_tree(&mut self, leaving: &Leaving, hooked: &Hooked, trees: &Arc<Folder>) -> Result<()> {
        let path = &leaving.package.folder;
        let named = || format!("cannot move {} away", path.absolute());
        let (folder, name) = self.parent_of(path).context(named)?;
        if folder.stat(&name).context(named)?.is_none() {
            return Ok(());
        }
        let old = Spot::new(&self.area.old_folder(), leaving.package.name.as_str());
        let successor = hooked.arriving().iter().find(|arriving| arriving.folder == *path);
        match successor {
            Some(_) => self.steps.replace(Spot::new(trees, name.as_str()), Spot::new(&folder, name.as_str()), old),
            None => self.steps.place(Spot::new(&folder, name), old),
        }
        .context(named)
    }

    /// What the administrator put into a package's folder moves to the release that takes its place.
    fn carry_over(&mut self, hooked: &Hooked) -> Result<()> {
        for leaving in hooked.leaving() {
            let extras = extras::find(&self.area.old_folder(), leaving)?;
            let successor =
                hooked.arriving().iter().find(|arriving| Some(&arriving.package.name) == leaving.replaced_by.as_ref());
            for extra in extras {
                let was = leaving.package.folder.join(&extra.path)?;
                let now = match successor {
                    Some(arriving) => self.carry(&extra, leaving, &arriving.folder)?,
                    None => self.area.old_path()?.child(leaving.package.name.as_str())?.join(&extra.path)?,
                };
                if was != now {
                    self.kept.push(Kept { was, now });
                }
            }
        }
        Ok(())
    }

    fn carry(&mut self, extra: &Extra, leaving: &Leaving, new: &RelPath) -> Result<RelPath> {
        let named = || format!("cannot carry {} over", extra.path);
        let old_tree = self.area.old_folder().open(leaving.package.name.as_str()).context(named)?;
        let parent = extra.path.parent().unwrap_or_default();
        let name = extra.path.file_name().unwrap_or_default();
        let from = Spot::new(&Arc::new(old_tree.walk(&parent).context(named)?), name);
        let target = self.target.root().walk(new).context(named)?;
        let mut folder = Arc::new(target);
        for part in parent.components() {
            if folder.stat(part).context(named)?.is_none() {
                self.steps.make_folder(Spot::new(&folder, part), 0o755).context(named)?;
            }
            folder = Arc::new(folder.open(part).context(named)?);
        }
        let mut wanted = name.to_owned();
        if folder.stat(name).context(named)?.is_some() {
            wanted = format!("{name}.old");
        }
        self.steps.place(from, Spot::new(&folder, wanted.as_str())).context(named)?;
        Ok(new.join(&parent)?.child(&wanted)?)
    }

    fn make(&mut self, change: &Change, link: Option<&Spot>) -> Result<()> {
        let named = || format!("cannot put {} in place", change.path.absolute());
        let (folder, name) = self.parent_of(&change.path).context(named)?;
        let to = Spot::new(&folder, name);
        let from = match (&change.becomes, link) {
            (Becomes::Folder { mode }, _) => {
                return match &change.old {
                    Some(old) if old.kind == Kind::Folder => Ok(()),
                    Some(_) => {
                        let old = self.old_spot(&change.path).context(named)?;
                        self.steps
                            .place(to.clone(), old)
                            .and_then(|()| self.steps.make_folder(to, *mode))
                            .context(named)
                    }
                    None => self.steps.make_folder(to, *mode).context(named),
                };
            }
            (Becomes::File { staged, .. }, _) => {
                Spot::new(&self.area.place(staged.place).context(named)?, staged.name.as_str())
            }
            (Becomes::Symlink { .. }, Some(link)) => link.clone(),
            _ => return Err(Error::new(ErrorKind::Bug, format!("{} has nothing staged", change.path.absolute()))),
        };
        if change.old.is_none() {
            return self.steps.place(from, to).context(named);
        }
        let old = if change.displaces {
            self.displaced_spot(change).context(named)?
        } else {
            self.old_spot(&change.path).context(named)?
        };
        self.steps.replace(from, to, old).context(named)
    }

    /// Where a displaced path waits until its displacer goes: on its own file system.
    fn displaced_spot(&mut self, change: &Change) -> io::Result<Spot> {
        let device = self.device_of(&change.path)?;
        let data_device = self.data.folder.stat_self()?.device;
        let (parent, path) = if device == data_device {
            (self.data.folder.again()?, self.data.path.clone())
        } else {
            let path = change.path.parent().unwrap_or_default();
            (self.target.root().walk(&path)?, path)
        };
        let folder = Arc::new(parent.open_or_make(DISPLACED, 0o700)?);
        let name = crate::durable::random_name()?;
        let kept = path.child(DISPLACED).and_then(|path| path.child(&name)).map_err(io::Error::other)?;
        self.displaced.push((change.path.clone(), kept));
        Ok(Spot::new(&folder, name))
    }

    fn take_away(&mut self, change: &Change, leaving: &[Leaving]) -> Result<()> {
        let named = || format!("cannot remove {}", change.path.absolute());
        let Some(old) = &change.old else { return Ok(()) };
        let (folder, name) = match self.parent_of(&change.path) {
            // Its folder has gone as a whole, or something else stands there now.
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Ok(());
            }
            found => found.context(named)?,
        };
        let at = Spot::new(&folder, name);
        if old.kind == Kind::Folder {
            return self.steps.remove_folder(at).context(named);
        }
        let away = self.old_spot(&change.path).context(named)?;
        if let Some(kept) = displaced_before(leaving, &change.path) {
            let (folder, name) = self.parent_of(&kept).context(named)?;
            if folder.stat(&name).context(named)?.is_some() {
                return self.steps.replace(Spot::new(&folder, name), at, away).context(named);
            }
        }
        self.steps.place(at, away).context(named)
    }

    fn go_back(mut self, error: Error) -> Error {
        match self.steps.undo() {
            Ok(()) => error,
            Err(undo) => {
                self.area.keep_everything();
                let message = "the transaction failed, and not everything could be put back".to_owned();
                Error::storage(message).caused_by(error.to_string()).caused_by(undo.to_string())
            }
        }
    }

    /// What the old trees still hold is on record, and goes, or belongs to the administrator, and stays.
    fn clear_old_trees(&mut self, hooked: &Hooked) -> Result<()> {
        let old = self.area.old_folder();
        let mut keep = false;
        for name in old.list().context(|| "cannot list the staging folder".to_owned())? {
            let leaving = hooked.leaving().iter().find(|leaving| name == leaving.package.name.as_str());
            let kept = match leaving {
                Some(leaving) => extras::prune(&old, leaving)?,
                _ => false,
            };
            if kept {
                keep = true;
            } else {
                old.remove_tree(&name).context(|| "cannot clear the staging folder".to_owned())?;
            }
        }
        if keep {
            self.area.keep_old();
        }
        Ok(())
    }
}

fn displaced_before(leaving: &[Leaving], path: &RelPath) -> Option<RelPath> {
    let files = leaving.iter().flat_map(|leaving| &leaving.files);
    files.filter(|file: &&FileRecord| file.path == *path).find_map(|file| file.displaced.clone())
}
