//! Carries steps out, forward or back. Each is judged by looking at what stands there: one that
//! is done is passed over, one that is half done is completed, and what is neither old nor new
//! stops everything. So it comes to the same end however often it is cut off and begun again.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::sync::Arc;

use packets_hook_runtime::folder::{self, Folder, Rename, Stat};
use packets_plugin_api::relpath::RelPath;

use super::{Area, layers, sync};
use crate::error::{Context, Error, ErrorKind, Result};
use crate::journal::{FolderId, Kind, Put, Spot, Standing, Step, Stuck};
use crate::target::is_no_folder;

/// Folders that are open at a time at most.
const MOST_OPEN: usize = 512;

/// Staging is on the same mount: then only this is left, where what comes back lies in a lower layer by now.
const OF_A_LAYER: &str = "a folder of a lower layer of an overlay cannot be moved: mount it with redirect_dir=on";

/// See the module.
pub(super) struct Applier<'a> {
    root: &'a Folder,
    folders: &'a [FolderId],
    open: HashMap<usize, Arc<Folder>>,
    /// Folders in which names can change.
    free: BTreeSet<usize>,
    /// On the way back: the folders that stand where ones that cannot be moved stood.
    stand_ins: HashMap<RelPath, StandIn>,
}

/// Two folders, each by its file system and inode.
struct StandIn {
    /// The one that stood there, and is no more.
    stood: (u64, u64),
    /// The one that came back in its stead.
    stands: (u64, u64),
}

/// What stands at a folder's path.
enum Place {
    /// The folder.
    Here(Arc<Folder>),
    /// Another folder.
    Another,
    /// No folder.
    Nowhere,
}

/// What stands at a spot, and the folder that it is in.
type Seen = Option<(Arc<Folder>, Stat)>;

impl<'a> Applier<'a> {
    pub(super) fn new(root: &'a Folder, folders: &'a [FolderId]) -> Self {
        Self { root, folders, open: HashMap::new(), free: BTreeSet::new(), stand_ins: HashMap::new() }
    }

    /// Everything as it will be.
    pub(super) fn forward(&mut self, steps: &[Step]) -> Result<()> {
        steps.iter().try_for_each(|step| self.step(step))
    }

    /// Everything as it was.
    pub(super) fn back(&mut self, steps: &[Step]) -> Result<()> {
        self.stand_ins = stand_ins(self.folders, steps);
        steps.iter().rev().try_for_each(|step| self.step(&step.reversed()))
    }

    /// All that stands now is what the steps were decided on, and can be moved. Nothing is changed.
    pub(super) fn check(&mut self, steps: &[Step]) -> Result<()> {
        let checked = steps.iter().try_for_each(|step| self.check_step(step));
        checked.map_err(|error| match error.kind() {
            ErrorKind::Storage => error.hint("nothing was done; run the command again"),
            _ => error,
        })
    }

    /// Makes durable what was done.
    pub(super) fn sync(&mut self, steps: &[Step], area: &Area) -> Result<()> {
        self.sync_places(steps, &area.handles())
    }

    /// The same, with the staging folders at hand.
    pub(super) fn sync_places(&mut self, steps: &[Step], places: &[Arc<Folder>]) -> Result<()> {
        let touched: BTreeSet<usize> = steps.iter().flat_map(Step::folders).collect();
        let pours = steps.iter().filter_map(Step::as_put).any(|put| put.stuck.is_some());
        if pours || touched.len() > sync::ONE_BY_ONE {
            return sync::file_systems(places);
        }
        for at in touched {
            // One that has gone is named in a folder that has not.
            if let Place::Here(folder) = self.place(at)? {
                sync::names(&folder)?;
            }
        }
        Ok(())
    }

    fn check_step(&mut self, step: &Step) -> Result<()> {
        match step {
            Step::Put(put) if !self.folders[put.at.folder].comes => self.check_put(put),
            Step::Carry { from, what, .. } if !self.folders[from.folder].comes => match self.look(from)? {
                Some((_, stat)) if what.is_still(&stat) => Ok(()),
                _ => Err(self.changed(from)),
            },
            Step::Mode { folder, before, .. } if !self.folders[*folder].comes => {
                let open = self.folder(*folder)?;
                self.can_change(*folder, &open)?;
                match open.stat_self().context(|| self.cannot_look(*folder))?.mode {
                    mode if mode == *before => Ok(()),
                    _ => Err(self.changed_folder(*folder)),
                }
            }
            _ => Ok(()),
        }
    }

    fn check_put(&mut self, put: &Put) -> Result<()> {
        let folder = self.folder(put.at.folder)?;
        self.can_change(put.at.folder, &folder)?;
        let now = folder.stat(&put.at.name).context(|| self.cannot_look_at(&put.at))?;
        match (put.stands(), now) {
            (None, None) => Ok(()),
            (Some(before), Some(now)) if before.is(&now) => {
                let found = folder.obstacle(&put.at.name).context(|| self.cannot_look_at(&put.at))?;
                found.map_or(Ok(()), |obstacle| Err(in_the_way(&self.shown(&put.at), obstacle)))
            }
            // A folder that stays because something is in it.
            (None, Some(now)) if put.only_empty && put.after.as_ref().is_some_and(|after| after.is(&now)) => Ok(()),
            _ => Err(self.changed(&put.at)),
        }
    }

    fn can_change(&mut self, at: usize, folder: &Folder) -> Result<()> {
        if !self.free.insert(at) {
            return Ok(());
        }
        match folder.obstacle_inside().context(|| self.cannot_look(at))? {
            Some(obstacle) => Err(in_the_way(&self.folders[at].path.absolute(), obstacle)),
            None => Ok(()),
        }
    }

    fn step(&mut self, step: &Step) -> Result<()> {
        match step {
            Step::Put(put) => self.put(put),
            Step::Carry { from, to, what } => self.carry(from, to, what),
            Step::Mode { folder, before, after } => self.mode(*folder, *before, *after),
        }
    }

    fn put(&mut self, put: &Put) -> Result<()> {
        let now = self.look(&put.at)?;
        let is = |wanted: &Option<Standing>| match (wanted, &now) {
            (None, None) => true,
            (Some(wanted), Some((_, stat))) => wanted.is(stat),
            _ => false,
        };
        if is(&put.after) {
            return self.settle(put);
        }
        if let (Some(stuck), Some((_, stat))) = (&put.stuck, &now)
            && stuck.standing.is(stat)
        {
            return self.move_stuck(put, stuck);
        }
        let missing = now.is_none() && put.after.is_some();
        if !is(&put.before) && !missing {
            return Err(self.neither(&put.at));
        }
        match (&put.new, &put.old) {
            (None, Some(old)) => self.take_away(put, old),
            // Between two renames, or taken away by somebody: what was there is not lost by this.
            (Some(new), _) if missing => self.put_in_place(new, &put.at, put.after.as_ref()),
            (Some(new), Some(old)) => self.replace(put, new, old),
            _ => Ok(()),
        }
    }

    /// What stands there cannot be moved: all that is in it goes into the one that goes in its stead, or comes back
    /// out of that.
    fn move_stuck(&mut self, put: &Put, stuck: &Stuck) -> Result<()> {
        let named = format!("cannot move {}", self.shown(&put.at));
        let Some(home) = (if stuck.back { &put.new } else { &put.old }) else { return Err(self.neither(&put.at)) };
        let is_at_home = self.look(home)?.is_some();
        if stuck.back {
            // Where the other one has not come to its place, nothing has been moved.
            return match is_at_home {
                true => layers::pour(&self.open_at(home)?, &self.open_at(&put.at)?).context(|| named),
                false => Ok(()),
            };
        }
        if put.only_empty && !self.is_empty(&put.at)? {
            return Ok(());
        }
        if !is_at_home {
            self.rename(&stuck.waits, home, Rename::Keep)?;
        }
        self.holds(home, put.before.as_ref())?;
        layers::pour(&self.open_at(&put.at)?, &self.open_at(home)?).context(|| named.clone())?;
        layers::remove_empty(&*self.folder(put.at.folder)?, &put.at.name).context(|| named)?;
        match &put.new {
            Some(new) => self.put_in_place(new, &put.at, put.after.as_ref()),
            None => Ok(()),
        }
    }

    fn open_at(&mut self, spot: &Spot) -> Result<Folder> {
        let named = self.cannot_look_at(spot);
        self.folder(spot.folder)?.open(&spot.name).context(|| named)
    }

    /// What stands there is right; what stood there may not be in its place yet.
    fn settle(&mut self, put: &Put) -> Result<()> {
        let (Some(before), Some(new), Some(old)) = (&put.before, &put.new, &put.old) else { return Ok(()) };
        match self.look(new)? {
            Some((_, stat)) if before.is(&stat) => self.rename(new, old, Rename::Keep),
            _ => Ok(()),
        }
    }

    fn take_away(&mut self, put: &Put, old: &Spot) -> Result<()> {
        let is_folder = put.before.as_ref().is_some_and(|before| before.kind == Kind::Folder);
        if is_folder && put.only_empty && !self.is_empty(&put.at)? {
            return Ok(());
        }
        self.rename(&put.at, old, Rename::Keep)
    }

    fn is_empty(&mut self, at: &Spot) -> Result<bool> {
        let named = self.cannot_look_at(at);
        let parent = self.folder(at.folder)?;
        let found = parent.open(&at.name).and_then(|folder| folder.list_at_most(0));
        match found {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::QuotaExceeded => Ok(false),
            Err(error) => Err(error).context(|| named),
        }
    }

    /// Two renames where the file system cannot swap; in between nothing stands there.
    fn replace(&mut self, put: &Put, new: &Spot, old: &Spot) -> Result<()> {
        if self.look(new)?.is_none() && self.holds(old, put.after.as_ref()).is_ok() {
            // Going back from between an exchange and the rename behind it: what comes back waits where this goes.
            return self.try_rename(old, &put.at, Rename::Exchange)?.context(|| self.cannot_put(&put.at));
        }
        self.holds(new, put.after.as_ref())?;
        match self.try_rename(new, &put.at, Rename::Exchange)? {
            Ok(()) => self.rename(new, old, Rename::Keep),
            Err(error) if folder::is_unsupported(&error) => {
                self.rename(&put.at, old, Rename::Keep)?;
                self.put_in_place(new, &put.at, put.after.as_ref())
            }
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
                Err(Error::storage(format!("cannot move {}", self.shown(&put.at))).because(&error).hint(OF_A_LAYER))
            }
            Err(error) => Err(error).context(|| self.cannot_put(&put.at)),
        }
    }

    fn put_in_place(&mut self, new: &Spot, at: &Spot, after: Option<&Standing>) -> Result<()> {
        self.holds(new, after)?;
        self.rename(new, at, Rename::Keep)
    }

    /// What waits to be put in place must be what was decided on.
    fn holds(&mut self, new: &Spot, after: Option<&Standing>) -> Result<()> {
        match (self.look(new)?, after) {
            (Some((_, stat)), Some(after)) if after.is(&stat) => Ok(()),
            _ => Err(self.neither(new)),
        }
    }

    fn carry(&mut self, from: &Spot, to: &Spot, what: &Standing) -> Result<()> {
        // It may be a log that somebody writes on: the same file is enough. Its folders move with the trees.
        if self.look_for(to)?.is_some_and(|stat| what.is_still(&stat)) {
            return Ok(());
        }
        match self.look_for(from)? {
            Some(stat) if what.is_still(&stat) => self.rename(from, to, Rename::Keep),
            // It is the administrator's, who has taken it away.
            None => Ok(()),
            Some(_) => Err(self.neither(from)),
        }
    }

    /// What stands at a spot whose folder may be somewhere else by now: nothing then.
    fn look_for(&mut self, spot: &Spot) -> Result<Option<Stat>> {
        let Place::Here(folder) = self.place(spot.folder)? else { return Ok(None) };
        folder.stat(&spot.name).context(|| self.cannot_look_at(spot))
    }

    fn mode(&mut self, at: usize, before: u32, after: u32) -> Result<()> {
        let folder = self.folder(at)?;
        let now = folder.stat_self().context(|| self.cannot_look(at))?.mode;
        match now {
            _ if now == after => Ok(()),
            _ if now == before => folder
                .set_mode(after)
                .context(|| format!("cannot set the mode of {}", self.folders[at].path.absolute())),
            _ => Err(self.changed_folder(at)),
        }
    }

    fn rename(&mut self, from: &Spot, to: &Spot, how: Rename) -> Result<()> {
        match self.try_rename(from, to, how)? {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(self.neither(to)),
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
                Err(Error::storage(format!("cannot move {}", self.shown(from))).because(&error).hint(OF_A_LAYER))
            }
            renamed => renamed.context(|| self.cannot_put(to)),
        }
    }

    fn try_rename(&mut self, from: &Spot, to: &Spot, how: Rename) -> Result<io::Result<()>> {
        let (source, target) = (self.folder(from.folder)?, self.folder(to.folder)?);
        Ok(source.rename(&from.name, &target, &to.name, how))
    }

    /// What stands at a spot. Nothing, where no folder stands at its path, or one that comes is not there yet.
    fn look(&mut self, spot: &Spot) -> Result<Seen> {
        let Some(folder) = self.find(spot.folder)? else { return Ok(None) };
        let stat = folder.stat(&spot.name).context(|| self.cannot_look_at(spot))?;
        Ok(stat.map(|stat| (folder, stat)))
    }

    /// The folder, which must be in its place.
    fn folder(&mut self, at: usize) -> Result<Arc<Folder>> {
        self.find(at)?.ok_or_else(|| self.changed_folder(at))
    }

    /// The folder, if it is in its place. Another one there is an error, but in the place of one that comes.
    fn find(&mut self, at: usize) -> Result<Option<Arc<Folder>>> {
        match self.place(at)? {
            Place::Here(folder) => Ok(Some(folder)),
            // What stood there is somewhere else now: nobody can tell what became of what is in it.
            Place::Another if !self.folders[at].comes => Err(self.changed_folder(at)),
            Place::Another | Place::Nowhere => Ok(None),
        }
    }

    /// What stands at a folder's path: no link on the way, and the very one that was recorded, or not.
    fn place(&mut self, at: usize) -> Result<Place> {
        if let Some(open) = self.open.get(&at) {
            return Ok(Place::Here(open.clone()));
        }
        let id = &self.folders[at];
        let folder = match self.root.walk(&id.path) {
            Ok(folder) => folder,
            Err(error) if is_no_folder(&error) => return Ok(Place::Nowhere),
            Err(error) => return Err(error).context(|| self.cannot_look(at)),
        };
        let stat = folder.stat_self().context(|| self.cannot_look(at))?;
        let found = (stat.device, stat.inode);
        if found != (id.device, id.inode) && !self.is_stand_in(id, found) {
            return Ok(Place::Another);
        }
        if self.open.len() >= MOST_OPEN {
            self.open.clear();
        }
        let folder = Arc::new(folder);
        self.open.insert(at, folder.clone());
        Ok(Place::Here(folder))
    }

    /// Whether this folder came back in the stead of that one, which could not be moved.
    fn is_stand_in(&self, id: &FolderId, found: (u64, u64)) -> bool {
        self.stand_ins.get(&id.path).is_some_and(|it| it.stood == (id.device, id.inode) && it.stands == found)
    }

    fn shown(&self, spot: &Spot) -> String {
        format!("{}/{}", self.folders[spot.folder].path.absolute().trim_end_matches('/'), spot.name)
    }
    fn cannot_look(&self, at: usize) -> String {
        format!("cannot look at {}", self.folders[at].path.absolute())
    }
    fn cannot_look_at(&self, spot: &Spot) -> String {
        format!("cannot look at {}", self.shown(spot))
    }
    fn cannot_put(&self, spot: &Spot) -> String {
        format!("cannot put {} in place", self.shown(spot))
    }
    fn changed(&self, spot: &Spot) -> Error {
        changed(&self.shown(spot))
    }
    fn changed_folder(&self, at: usize) -> Error {
        changed(&self.folders[at].path.absolute())
    }
    fn neither(&self, spot: &Spot) -> Error {
        Error::storage(format!("{} was changed by someone else meanwhile", self.shown(spot)))
            .caused_by("what stands there is neither what was there before nor what belongs there")
    }
}

/// The folders that come back in the stead of others: steps that were carried out before those went are taken back
/// in them.
fn stand_ins(folders: &[FolderId], steps: &[Step]) -> HashMap<RelPath, StandIn> {
    let stand_in = |put: &Put| {
        let (stood, stands) = (&put.stuck.as_ref()?.standing, put.before.as_ref()?);
        let path = folders[put.at.folder].path.child(&put.at.name).ok()?;
        let number = |standing: &Standing| (standing.device, standing.inode);
        Some((path, StandIn { stood: number(stood), stands: number(stands) }))
    };
    steps.iter().filter_map(Step::as_put).filter_map(stand_in).collect()
}

fn changed(path: &str) -> Error {
    Error::storage(format!("{path} was changed by someone else meanwhile"))
}

fn in_the_way(path: &str, obstacle: folder::Obstacle) -> Error {
    let (why, hint) = match obstacle {
        folder::Obstacle::MountPoint => ("something is mounted there", format!("`umount {path}`, then try again")),
        folder::Obstacle::Immutable => ("it is immutable", format!("`chattr -i {path}` allows it")),
        folder::Obstacle::AppendOnly => ("it is append-only", format!("`chattr -a {path}` allows it")),
    };
    Error::request(format!("cannot change {path}")).caused_by(why).hint(hint)
}
