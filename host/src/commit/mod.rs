//! The one place where a target changes: everything was staged before, each path is
//! replaced by one rename, and an error goes back.

mod area;
mod extras;
mod rows;
mod steps;

use std::collections::HashMap;
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
use crate::target::{Place, Target, is_no_folder};
use extras::Extra;
use steps::{Spot, Steps};

/// A transaction that has happened. Only this module makes one.
#[derive(Debug)]
pub struct Committed {
    outcomes: Vec<HookOutcome>,
    kept: Vec<Kept>,
    programs: Vec<RelPath>,
    warnings: Vec<String>,
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
    /// What is left to clear up, one sentence each: it has happened all the same.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
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
    let mut work = Work {
        target,
        data,
        area,
        steps: Steps::default(),
        folders: HashMap::new(),
        kept: hooked.kept().to_vec(),
        moved: Moved::default(),
    };
    let done = work.apply(&hooked).and_then(|()| {
        let rows = rows::rows(&hooked, entry, &work.moved, storage)?;
        storage.finish(&rows).map_err(Error::from)
    });
    if let Err(error) = done {
        return Err(work.go_back(error));
    }
    let warnings = work.clear_old_trees(&hooked);
    let is_program = |change: &&Change| {
        change.path.starts_with(bin) && matches!(change.becomes, Becomes::File { .. } | Becomes::Symlink { .. })
    };
    let programs = hooked.changes().iter().filter(is_program).map(|change| change.path.clone()).collect();
    Ok(Committed { outcomes: hooked.outcomes().to_vec(), kept: work.kept, programs, warnings })
}

struct Work<'a> {
    target: &'a Target,
    data: &'a Place,
    area: &'a Area,
    steps: Steps,
    /// Folders that are open: each once, however many steps there are in it.
    folders: HashMap<RelPath, Arc<Folder>>,
    kept: Vec<Kept>,
    moved: Moved,
}

/// What a `replace` moved, each from where to where.
#[derive(Debug, Default)]
struct Moved {
    /// What others had at a path, to where it is kept.
    away: HashMap<RelPath, RelPath>,
    /// What was kept, to where it belongs.
    back: HashMap<RelPath, RelPath>,
}

/// The folder, below the packages' folder, of what `replace` displaced.
const DISPLACED: &str = ".packets-displaced";

impl Work<'_> {
    fn apply(&mut self, hooked: &Hooked) -> Result<()> {
        let staged_links = self.stage_links(hooked.changes())?;
        for change in hooked.changes() {
            self.check(change)?;
        }
        let displaced_before = displaced_before(hooked.leaving());
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
                let is_taken = placed.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::AlreadyExists);
                placed.context(|| format!("cannot put {} in place", arriving.folder.absolute())).map_err(|error| {
                    match is_taken {
                        true => error.hint("no package owns what stands there: move it away, then try again"),
                        false => error,
                    }
                })?;
            }
        }
        self.carry_over(hooked)?;
        let (gone, made): (Vec<_>, Vec<_>) =
            hooked.changes().iter().enumerate().partition(|(_, change)| matches!(change.becomes, Becomes::Absent));
        for (at, change) in made {
            self.make(change, staged_links.get(&at))?;
        }
        for (_, change) in gone.into_iter().rev() {
            self.take_away(change, &displaced_before)?;
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
                // It is made in this transaction, perhaps where something else stands.
                Err(error) if is_no_folder(&error) => above = folder.parent(),
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
        let parent_path = change.path.parent().unwrap_or_default();
        let name = change.path.file_name().unwrap_or_default();
        let folder = self.target.root().walk(&parent_path).context(named)?;
        let seen = folder.stat_self().context(named)?;
        if (seen.device, seen.inode) != (parent.device, parent.inode) {
            return Err(changed());
        }
        let now = folder.stat(name).context(named)?;
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

    /// The folder at `path`. A handle stays good while the folder's own path does not change.
    fn folder(&mut self, path: &RelPath) -> io::Result<Arc<Folder>> {
        if let Some(open) = self.folders.get(path) {
            return Ok(open.clone());
        }
        let open = Arc::new(self.target.root().walk(path)?);
        self.folders.insert(path.clone(), open.clone());
        Ok(open)
    }

    fn parent_of(&mut self, path: &RelPath) -> io::Result<(Arc<Folder>, String)> {
        let parent = path.parent().ok_or_else(|| io::Error::other("the root has no parent"))?;
        let name = path.file_name().unwrap_or_default().to_owned();
        Ok((self.folder(&parent)?, name))
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
        let Some(standing) = folder.stat(&name).context(named)? else { return Ok(()) };
        let old = Spot::new(&self.area.old_folder(), leaving.package.name.as_str());
        let successor = hooked.arriving().iter().find(|arriving| arriving.folder == *path);
        if standing.kind != Kind::Folder {
            // The administrator has put something else there.
            let now = match successor {
                Some(_) => self.area.old_path()?.child(leaving.package.name.as_str())?,
                None => path.clone(),
            };
            self.kept.push(Kept { was: path.clone(), now, beside: None });
            if successor.is_none() {
                return Ok(());
            }
        }
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
            let old = self.area.old_path()?.child(leaving.package.name.as_str())?;
            let successor =
                hooked.arriving().iter().find(|arriving| Some(&arriving.package.name) == leaving.replaced_by.as_ref());
            for extra in extras {
                let was = leaving.package.folder.join(&extra.path)?;
                let carried = match successor {
                    Some(arriving) => self.carry(&extra, &old, &arriving.folder)?,
                    None => None,
                };
                let now = match carried {
                    Some(now) => now,
                    None => old.join(&extra.path)?,
                };
                if was != now {
                    self.kept.push(Kept { was, now, beside: None });
                }
            }
        }
        Ok(())
    }

    /// Moves one of them into the new tree; none where that has no folder for it: it stays in the old one.
    fn carry(&mut self, extra: &Extra, old: &RelPath, new: &RelPath) -> Result<Option<RelPath>> {
        let named = || format!("cannot carry {} over", extra.path);
        let parent = extra.path.parent().unwrap_or_default();
        let name = extra.path.file_name().unwrap_or_default();
        let mut path = new.clone();
        let mut folder = self.folder(&path).context(named)?;
        for part in parent.components() {
            match folder.stat(part).context(named)? {
                None => self.steps.make_folder(Spot::new(&folder, part), 0o755).context(named)?,
                Some(stat) if stat.kind != Kind::Folder => return Ok(None),
                Some(_) => {}
            }
            path = path.child(part)?;
            folder = self.folder(&path).context(named)?;
        }
        let mut wanted = name.to_owned();
        while folder.stat(&wanted).context(named)?.is_some() {
            wanted.push_str(".old");
        }
        let from = Spot::new(&self.folder(&old.join(&parent)?).context(named)?, name);
        self.steps.place(from, Spot::new(&folder, wanted.as_str())).context(named)?;
        Ok(Some(path.child(&wanted)?))
    }

    fn make(&mut self, change: &Change, link: Option<&Spot>) -> Result<()> {
        let named = || format!("cannot put {} in place", change.path.absolute());
        let (folder, name) = self.parent_of(&change.path).context(named)?;
        let to = Spot::new(&folder, name);
        let from = match (&change.becomes, link) {
            (Becomes::Folder { mode }, _) => {
                match &change.old {
                    Some(old) if old.kind == Kind::Folder && old.mode == *mode => return Ok(()),
                    Some(old) if old.kind == Kind::Folder => return self.steps.set_mode(to, *mode).context(named),
                    Some(_) => {
                        let old = self.away(change).context(named)?;
                        self.steps.place(to.clone(), old).context(named)?;
                    }
                    None => {}
                }
                return self.steps.make_folder(to, *mode).context(named);
            }
            (Becomes::File { staged, .. }, _) => {
                Spot::new(&self.area.place(staged.place).context(named)?, staged.name.as_str())
            }
            (Becomes::Symlink { .. }, Some(link)) => link.clone(),
            _ => return Err(Error::new(ErrorKind::Bug, format!("{} has nothing staged", change.path.absolute()))),
        };
        let Some(standing) = &change.old else { return self.steps.place(from, to).context(named) };
        let old = self.away(change).context(named)?;
        self.steps.replace(from, to, old).context(named)?;
        if standing.kind == Kind::Folder {
            // What is open there is now somewhere else.
            self.folders.retain(|path, _| !path.starts_with(&change.path));
        }
        Ok(())
    }

    /// Where what stands at a path goes.
    fn away(&mut self, change: &Change) -> io::Result<Spot> {
        if change.displaces { self.displaced_spot(change) } else { self.old_spot(&change.path) }
    }

    /// Where a displaced path waits until its displacer goes: on its own file system.
    fn displaced_spot(&mut self, change: &Change) -> io::Result<Spot> {
        let device = self.device_of(&change.path)?;
        let data_device = self.data.folder.stat_self()?.device;
        let path =
            if device == data_device { self.data.path.clone() } else { change.path.parent().unwrap_or_default() };
        let parent = self.folder(&path)?;
        if parent.stat(DISPLACED)?.is_none() {
            self.steps.make_folder(Spot::new(&parent, DISPLACED), 0o700)?;
        }
        let folder = path.child(DISPLACED).map_err(io::Error::other)?;
        let name = crate::durable::random_name()?;
        let kept = folder.child(&name).map_err(io::Error::other)?;
        self.moved.away.insert(change.path.clone(), kept);
        Ok(Spot::new(&self.folder(&folder)?, name))
    }

    fn take_away(&mut self, change: &Change, displaced_before: &HashMap<&RelPath, &RelPath>) -> Result<()> {
        let named = || format!("cannot remove {}", change.path.absolute());
        let Some(old) = &change.old else { return Ok(()) };
        let (folder, name) = match self.parent_of(&change.path) {
            // Its folder has gone as a whole, or something else stands there now.
            Err(error) if is_no_folder(&error) => return Ok(()),
            found => found.context(named)?,
        };
        let at = Spot::new(&folder, name);
        if old.kind == Kind::Folder {
            self.steps.remove_folder(at.clone()).context(named)?;
        } else {
            let away = self.old_spot(&change.path).context(named)?;
            self.steps.place(at.clone(), away).context(named)?;
        }
        match displaced_before.get(&change.path) {
            Some(kept) => self.put_back(kept, at, &change.path).context(named),
            None => Ok(()),
        }
    }

    /// What was displaced comes back, where nothing stands in its place.
    fn put_back(&mut self, kept: &RelPath, at: Spot, path: &RelPath) -> io::Result<()> {
        let (folder, name) = match self.parent_of(kept) {
            Err(error) if is_no_folder(&error) => return Ok(()),
            found => found?,
        };
        if folder.stat(&name)?.is_none() || at.folder.stat(&at.name)?.is_some() {
            return Ok(());
        }
        self.steps.place(Spot::new(&folder, name), at)?;
        self.moved.back.insert(kept.clone(), path.clone());
        match kept.parent() {
            Some(folder) => {
                let (above, name) = self.parent_of(&folder)?;
                // The last one leaves no empty folder.
                self.steps.remove_folder(Spot::new(&above, name))
            }
            None => Ok(()),
        }
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
    /// The transaction has happened: what cannot be cleared is told, and stays where it is.
    fn clear_old_trees(&mut self, hooked: &Hooked) -> Vec<String> {
        let old = self.area.old_folder();
        let mut warnings = Vec::new();
        // From here on only what was looked through is deleted.
        self.area.keep_old();
        let names = old.list().unwrap_or_else(|error| {
            warnings.push(format!("cannot list the staging folder: {error}"));
            Vec::new()
        });
        let mut keep = !warnings.is_empty();
        for name in names {
            let leaving = hooked.leaving().iter().find(|leaving| name == leaving.package.name.as_str());
            let kept = leaving.map_or(Ok(false), |leaving| extras::prune(&old, leaving));
            let cleared = kept.and_then(|kept| match kept {
                true => Ok(true),
                false => {
                    old.remove_tree(&name).context(|| "cannot clear the staging folder".to_owned()).map(|()| false)
                }
            });
            keep |= cleared.unwrap_or_else(|error| {
                warnings.push(error.to_string());
                true
            });
        }
        if !keep {
            self.area.keep_nothing();
        }
        warnings
    }
}

/// What replaced paths of packages that go had displaced, by path.
fn displaced_before(leaving: &[Leaving]) -> HashMap<&RelPath, &RelPath> {
    let files = leaving.iter().flat_map(|leaving| &leaving.files);
    files.filter_map(|file: &FileRecord| Some((&file.path, file.displaced.as_ref()?))).collect()
}
