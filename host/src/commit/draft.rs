//! Steps in the making: what stands where now, where what comes is staged, and where what goes will be.

use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::Arc;

use packets_hook_runtime::folder::{Folder, Kind as FileKind, Stat};
use packets_plugin_api::relpath::RelPath;

use super::{Area, layers};
use crate::error::{Context, Error, Result};
use crate::journal::{FolderId, Kind, Put, Spot, Standing, Step, Stuck};
use crate::target::is_no_folder;

/// See the module. Nothing on the target changes by it.
pub(super) struct Draft<'a> {
    pub(super) root: &'a Folder,
    pub(super) area: &'a Area,
    pub(super) folders: Vec<FolderId>,
    pub(super) steps: Vec<Step>,
    numbers: HashMap<(RelPath, u64), usize>,
    /// The folder that stands at a path when a step needs it: of the disk, or one that comes.
    by_path: HashMap<RelPath, usize>,
    /// Folders of the disk that were looked into.
    open: HashMap<RelPath, Arc<Folder>>,
    /// Names that steps have put something at.
    taken: HashSet<Spot>,
    /// For each folder that goes: the staged name of the one that goes in its stead, where it cannot be moved.
    stand_ins: HashMap<RelPath, Option<String>>,
}

impl<'a> Draft<'a> {
    pub(super) fn new(root: &'a Folder, area: &'a Area) -> Self {
        Self {
            root,
            area,
            folders: Vec::new(),
            steps: Vec::new(),
            numbers: HashMap::new(),
            by_path: HashMap::new(),
            open: HashMap::new(),
            taken: HashSet::new(),
            stand_ins: HashMap::new(),
        }
    }

    /// The number of a folder among those that steps name.
    pub(super) fn number(&mut self, id: FolderId) -> usize {
        let next = self.folders.len();
        let number = *self.numbers.entry((id.path.clone(), id.inode)).or_insert(next);
        if number == next {
            self.folders.push(id);
        }
        number
    }

    /// A folder that comes to `path` in this transaction and is open now.
    pub(super) fn coming(&mut self, folder: &Folder, path: RelPath) -> io::Result<usize> {
        let id = FolderId { comes: true, ..FolderId::of(folder, path)? };
        Ok(self.number(id))
    }

    /// An open folder that stands at `path` already.
    pub(super) fn standing_folder(&mut self, folder: &Folder, path: RelPath) -> io::Result<usize> {
        let id = FolderId::of(folder, path)?;
        Ok(self.number(id))
    }

    /// From here on the folder at `path` is one that comes.
    pub(super) fn comes_to(&mut self, path: &RelPath, folder: usize) {
        self.by_path.insert(path.clone(), folder);
    }

    /// The open folder at `path` of the disk.
    pub(super) fn on_disk(&mut self, path: &RelPath) -> io::Result<Arc<Folder>> {
        if let Some(open) = self.open.get(path) {
            return Ok(open.clone());
        }
        if self.open.len() >= MOST_OPEN {
            self.open.clear();
        }
        let folder = Arc::new(self.root.walk(path)?);
        self.open.insert(path.clone(), folder.clone());
        Ok(folder)
    }

    /// The spot of a path.
    pub(super) fn spot(&mut self, path: &RelPath) -> io::Result<Spot> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(io::Error::other("the root has no name"));
        };
        let folder = match self.by_path.get(&parent) {
            Some(folder) => *folder,
            None => {
                let open = self.on_disk(&parent)?;
                let folder = self.standing_folder(&open, parent.clone())?;
                self.by_path.insert(parent, folder);
                folder
            }
        };
        Ok(Spot { folder, name: name.to_owned() })
    }

    /// What stands at a path of the disk now.
    pub(super) fn stands(&mut self, path: &RelPath) -> io::Result<Option<Standing>> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Ok(None) };
        standing(&*self.on_disk(&parent)?, name)
    }

    /// A name in `old/` for what stands at `near`.
    pub(super) fn old_spot(&mut self, near: &RelPath) -> io::Result<Spot> {
        let name = self.area.new_name();
        self.old_spot_named(near, name)
    }

    /// This name in `old/`, for what stands at `near`.
    pub(super) fn old_spot_named(&mut self, near: &RelPath, name: String) -> io::Result<Spot> {
        let (old, path) = self.area.old_for(near)?;
        Ok(Spot { folder: self.standing_folder(&old, path)?, name })
    }

    /// What is staged under this name in a staging folder.
    pub(super) fn staged(&mut self, place: u32, name: &str) -> io::Result<(Spot, Standing)> {
        let (folder, path) = self.area.place(place)?;
        let standing = standing(&folder, name)?.ok_or(io::ErrorKind::NotFound)?;
        Ok((Spot { folder: self.standing_folder(&folder, path)?, name: name.to_owned() }, standing))
    }

    /// Makes an empty folder in staging, which will stand at `path`.
    pub(super) fn stage_folder(&mut self, path: &RelPath, mode: u32) -> io::Result<(Spot, Standing)> {
        let place = self.area.place_for(path)?;
        let name = self.area.new_name();
        place.folder.make(&name, 0o700)?;
        let folder = place.folder.open(&name)?;
        folder.set_mode(mode)?;
        let number = self.coming(&folder, path.clone())?;
        self.comes_to(path, number);
        self.staged(place.id, &name)
    }

    /// Makes a link in staging, which will stand at `path`.
    pub(super) fn stage_link(&mut self, path: &RelPath, target: &str) -> io::Result<(Spot, Standing)> {
        let place = self.area.place_for(path)?;
        let name = self.area.new_name();
        place.folder.symlink(target, &name)?;
        self.staged(place.id, &name)
    }

    /// Something comes to `at`, and what stood there goes.
    pub(super) fn put(&mut self, mut put: Put) -> Result<()> {
        if let Some(before) = &put.before {
            let path = self.folders[put.at.folder].path.child(&put.at.name)?;
            let named = || format!("cannot move {}", path.absolute());
            match before.kind {
                Kind::Folder => self.replace_stuck(&mut put, &path).context(named)?,
                _ => put.before = Some(self.raised(before, &path).context(named)?),
            }
        }
        self.taken.insert(put.at.clone());
        self.steps.push(Step::Put(put));
        Ok(())
    }

    /// What stands at `path` and is no folder, as it will be when it is moved.
    fn raised(&mut self, before: &Standing, path: &RelPath) -> io::Result<Standing> {
        let (Some(above), Some(name)) = (path.parent(), path.file_name()) else { return Ok(before.clone()) };
        let parent = match self.on_disk(&above) {
            Err(error) if is_no_folder(&error) => return Ok(before.clone()),
            opened => opened?,
        };
        self.raise(&parent, name, path)?;
        let now = standing(&parent, name)?.map(|now| Standing { content: before.content.clone(), ..now });
        // Anything else was changed meanwhile: the check will say so.
        let same = |now: &Standing| {
            let moved = (before.device, before.inode);
            *before == Standing { device: moved.0, inode: moved.1, ..now.clone() }
        };
        Ok(now.filter(same).unwrap_or_else(|| before.clone()))
    }

    /// Sees to it that `name` in `folder`, which stands at `path`, is the same thing after it was moved.
    pub(super) fn raise(&mut self, folder: &Folder, name: &str, path: &RelPath) -> io::Result<()> {
        let place = self.area.place_for(path)?;
        folder.raise(name, &place.folder, self.area.new_name())
    }

    /// Where the folder that goes cannot be moved, another one goes in its stead.
    fn replace_stuck(&mut self, put: &mut Put, path: &RelPath) -> io::Result<()> {
        // What goes only when it is empty takes no folders with it.
        let Some(name) = self.stand_in(path, !put.only_empty)? else { return Ok(()) };
        let place = self.area.place_for(path)?;
        let (waits, standing) = self.staged(place.id, &name)?;
        let stuck = put.before.replace(standing);
        put.stuck = stuck.map(|standing| Box::new(Stuck { standing, waits, back: false }));
        Ok(())
    }

    /// The staged name of the folder that goes in the stead of the one at `path`, which cannot be moved; none where
    /// it can.
    fn stand_in(&mut self, path: &RelPath, with_folders: bool) -> io::Result<Option<String>> {
        if let Some(known) = self.stand_ins.get(path) {
            return Ok(known.clone());
        }
        let (Some(above), Some(name)) = (path.parent(), path.file_name()) else { return Ok(None) };
        let parent = self.on_disk(&above)?;
        let stand_in = match self.area.can_move(&parent, name, path)? {
            true => None,
            false => {
                let staged = self.area.new_name();
                let (staging, tree) = (self.area.place_for(path)?.folder, parent.open(name)?);
                match with_folders {
                    true => layers::shape(&staging, &staged, &tree)?,
                    false => layers::make_alike(&staging, &staged, &tree)?,
                }
                Some(staged)
            }
        };
        self.stand_ins.insert(path.clone(), stand_in.clone());
        Ok(stand_in)
    }

    /// The folder that goes when the one at `path` does: `tree`, which stands there, or another one in its stead.
    pub(super) fn tree_that_goes(&mut self, path: &RelPath, tree: &Folder) -> io::Result<Folder> {
        match self.stand_in(path, true)? {
            Some(staged) => self.area.place_for(path)?.folder.open(&staged),
            None => tree.again(),
        }
    }

    /// A folder at `path` that is not there yet.
    pub(super) fn make_folder(&mut self, path: &RelPath, mode: u32) -> io::Result<()> {
        let at = self.spot(path)?;
        let (new, after) = self.stage_folder(path, mode)?;
        self.put(Put { only_empty: true, ..Put::comes(at, new, after) }).map_err(io::Error::other)
    }

    /// A file of the administrator's moves.
    pub(super) fn carry(&mut self, from: Spot, to: Spot, what: Standing) {
        self.taken.insert(to.clone());
        self.steps.push(Step::Carry { from, to, what });
    }

    /// Whether a step puts something at a spot.
    pub(super) fn is_taken(&self, spot: &Spot) -> bool {
        self.taken.contains(spot)
    }
}

/// Folders of the disk that are open at a time at most.
const MOST_OPEN: usize = 512;

/// What stands at a name.
pub(super) fn standing(folder: &Folder, name: &str) -> io::Result<Option<Standing>> {
    let Some(stat) = folder.stat(name)? else { return Ok(None) };
    let mut standing = Standing::of(&stat);
    if stat.kind == FileKind::Symlink {
        standing.content = folder.read_link(name)?.to_str().map(str::to_owned);
    }
    Ok(Some(standing))
}

/// What a view saw must still be there.
pub(super) fn is_as_seen(seen: Option<&Stat>, now: Option<&Standing>) -> bool {
    match (seen, now) {
        (None, None) => true,
        (Some(seen), Some(now)) => {
            let seen = Standing::of(seen);
            now.kind == seen.kind
                && (now.device, now.inode) == (seen.device, seen.inode)
                && (now.kind == Kind::Folder
                    || (now.size, now.modified, now.mode) == (seen.size, seen.modified, seen.mode))
        }
        _ => false,
    }
}

/// Another than the one that a view saw.
pub(super) fn changed(path: &RelPath) -> Error {
    Error::storage(format!("{} was changed by someone else meanwhile", path.absolute()))
        .hint("nothing was done; run the command again")
}

/// The failure of a look at a path.
pub(super) fn looking<T>(path: &RelPath, looked: io::Result<T>) -> Result<T> {
    looked.context(|| format!("cannot look at {}", path.absolute()))
}
