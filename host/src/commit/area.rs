//! The staging folders of a transaction: one on each mount that it touches, since a rename never leaves one.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use packets_hook_runtime::folder::Folder;
use packets_hook_runtime::view::{Staging, StagingPlace};
use packets_plugin_api::ident::TransactionId;
use packets_plugin_api::relpath::RelPath;

use super::staged::{NEW, STAGING, Staged};
use crate::error::{Context, Error, Result};
use crate::journal::{Decision, FREEING, FolderId, HISTORY, Journal, PENDING, Record};
use crate::target::{Place, Target, is_no_folder};

/// Where staging folders stand in the state folder.
const IN_STATE: &str = "staging";
/// Stands for any name in the record's folder.
const RECORD: &str = "record";
/// Bytes that are set aside on each mount for names of a recovery on a full disk.
const RESERVE: u64 = 64 << 10;

/// Which transaction stages.
#[derive(Debug, Clone)]
pub struct About {
    /// Its id.
    pub id: TransactionId,
    /// The command, for people.
    pub command: &'static str,
    /// Seconds since 1970.
    pub time: u64,
}

/// All staging folders of one transaction, and its journal. Dropping it before the decision
/// removes them with all that is in them; after the decision it leaves everything as it is.
#[derive(Debug, Clone)]
pub struct Area(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    about: About,
    root: Folder,
    state: Place,
    /// None once it has ended.
    journal: Option<Journal>,
    folders: Vec<Staged>,
    by_mount: HashMap<u64, usize>,
    /// Which one serves the names in a folder.
    by_parent: HashMap<RelPath, usize>,
    next: u64,
    decided: bool,
}

impl Area {
    /// Begins the journal in the state folder, then makes the first staging folder, beside the packages.
    pub fn make(target: &Target, state: &Place, data: &Place, about: About) -> Result<Self> {
        let named = || format!("cannot make a staging folder in {}", data.path.absolute());
        let again = |folder: &Folder| folder.again().context(named);
        let parent = make_once(&data.folder, STAGING, 0o700).context(named)?;
        let path = data.path.child(STAGING)?;
        let name = about.id.as_str().to_owned();
        let pending = make_once(&state.folder, PENDING, 0o755).context(named)?;
        // There before it is needed: a disk may be full by then.
        make_once(&state.folder, HISTORY, 0o755).context(named)?;
        make_once(&state.folder, FREEING, 0o700).context(named)?;
        let first = Record::Staging {
            command: about.command.to_owned(),
            time: about.time,
            parent: FolderId::of(&parent, path.clone()).context(named)?,
            name: name.clone(),
        };
        let journal = Journal::begin(pending, &about.id, first)?;
        let mut inner = Inner {
            about,
            root: again(target.root())?,
            state: Place { folder: again(&state.folder)?, path: state.path.clone() },
            journal: Some(journal),
            folders: Vec::new(),
            by_mount: HashMap::new(),
            by_parent: HashMap::new(),
            next: 0,
            decided: false,
        };
        let staged = inner.make_staged(parent, &path, &name)?;
        // Known before anything else can fail, so that it is cleared.
        inner.folders.push(staged);
        let mount = inner.folders[0].folder.mount().context(named)?;
        inner.by_mount.insert(mount, 0);
        let area = Arc::new(Mutex::new(inner));
        let weak = Arc::downgrade(&area);
        crate::interrupt::clear_with(move || {
            let Some(area) = weak.upgrade() else { return true };
            let Ok(mut inner) = area.try_lock() else { return false };
            inner.decided || inner.clear().is_ok()
        });
        Ok(Self(area))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The transaction.
    pub fn about(&self) -> About {
        self.inner().about.clone()
    }

    /// The folder in which new package trees are unpacked.
    pub fn new_trees(&self) -> io::Result<Folder> {
        self.inner().folders[0].folder.open(NEW)
    }

    /// Where it is once it is in place: below the target's root.
    pub(super) fn new_trees_path(&self) -> Result<RelPath> {
        Ok(self.inner().folders[0].path.child(NEW)?)
    }

    /// A folder for staged files that come to `near`.
    pub fn place_for(&self, near: &RelPath) -> io::Result<StagingPlace> {
        let mut inner = self.inner();
        let at = inner.place_for(near)?;
        Ok(StagingPlace { id: u32::try_from(at).map_err(io::Error::other)?, folder: inner.folders[at].folder.clone() })
    }

    /// The staging folder with this id, and where it is.
    pub(super) fn place(&self, id: u32) -> io::Result<(Arc<Folder>, RelPath)> {
        let inner = self.inner();
        let staged = inner.folders.get(id as usize).ok_or_else(|| io::Error::other("no such staging folder"))?;
        Ok((staged.folder.clone(), staged.path.clone()))
    }

    /// Whether the folder `name` in `parent`, which stands at `near`, can be moved.
    pub(super) fn can_move(&self, parent: &Folder, name: &str, near: &RelPath) -> io::Result<bool> {
        let mut inner = self.inner();
        let at = inner.place_for(near)?;
        inner.folders[at].can_move(parent, name)
    }

    /// The `old/` for what stands at `near`, and where it is.
    pub(super) fn old_for(&self, near: &RelPath) -> io::Result<(Arc<Folder>, RelPath)> {
        let mut inner = self.inner();
        let at = inner.place_for(near)?;
        let staged = &inner.folders[at];
        Ok((staged.old()?.clone(), staged.old_path()?))
    }

    /// A name that nothing in a staging folder or in `old/` has yet. No package's name begins so: their trees
    /// stand there too.
    pub(super) fn new_name(&self) -> String {
        let mut inner = self.inner();
        inner.next += 1;
        format!("-{}", inner.next)
    }

    /// The identities of all staging folders, one on the mount of the record's folder among them. From here on none
    /// is added: the decision names them.
    pub(super) fn places(&self, record_folder: &RelPath) -> Result<Vec<FolderId>> {
        let named = || "cannot look at the staging folders".to_owned();
        let mut inner = self.inner();
        inner.place_for(&record_folder.child(RECORD)?).context(named)?;
        let id = |staged: &Staged| FolderId::of(&staged.folder, staged.path.clone());
        inner.folders.iter().map(id).collect::<io::Result<_>>().context(named)
    }

    /// The staging folders.
    pub(super) fn handles(&self) -> Vec<Arc<Folder>> {
        self.inner().folders.iter().map(|staged| staged.folder.clone()).collect()
    }

    /// What was staged since each folder was made, durable: all of it when this returns.
    pub(super) fn sync(&self, entries: usize) -> Result<()> {
        let inner = self.inner();
        super::sync::staged(&inner.folders, entries)
    }

    /// Room for what a recovery may have to write on a full disk: names on each mount, and `record`
    /// bytes where the record is.
    pub(super) fn reserve(&self, record_folder: &RelPath, record: u64) -> Result<()> {
        let mut inner = self.inner();
        let named = || "cannot set room aside".to_owned();
        let near = record_folder.child(RECORD)?;
        let of_record = inner.place_for(&near).context(named)?;
        for (at, staged) in inner.folders.iter().enumerate() {
            let bytes = if at == of_record { RESERVE + record } else { RESERVE };
            staged
                .reserve(bytes)
                .context(|| format!("cannot set {bytes} bytes aside in {}", staged.path.absolute()))?;
        }
        Ok(())
    }

    /// The room may be used.
    pub(super) fn release(&self) {
        self.inner().folders.iter().for_each(Staged::release);
    }

    /// From here on it happens, whatever comes. On an error it does not, unless
    /// [`is_decided`](Self::is_decided) says that nobody can tell.
    pub(super) fn decide(&self, decision: &Arc<Decision>) -> Result<()> {
        let mut inner = self.inner();
        inner.decided = true;
        let Some(journal) = &mut inner.journal else { return Err(ended()) };
        if let Err(error) = journal.append(&Record::Decided(Arc::clone(decision))) {
            if journal.cut().is_ok() {
                inner.decided = false;
            }
            return Err(error);
        }
        Ok(())
    }

    /// Marks that the target changes from here on.
    pub(super) fn begin(&self) -> Result<()> {
        self.inner().folders[0].begin().context(|| "cannot mark the staging folder".to_owned())
    }

    /// Whether it was decided, or may have been.
    pub(super) fn is_decided(&self) -> bool {
        self.inner().decided
    }

    /// Adds a record behind the decision.
    pub(super) fn record(&self, record: &Record) -> Result<()> {
        self.inner().journal.as_mut().ok_or_else(ended)?.append(record)
    }

    /// Everything has happened: what was displaced stays for `undo`, the rest of the staging goes.
    pub(super) fn keep(&self) -> Result<()> {
        let mut inner = self.inner();
        for staged in &inner.folders {
            staged.leave_old()?;
        }
        let journal = inner.journal.take().ok_or_else(ended)?;
        journal.keep(&inner.state)
    }

    /// Everything is as it was: the staging goes, and the journal. True when something of the
    /// administrator's is left, who put it into a folder that was there for a moment.
    pub(super) fn revert(&self, decision: &Decision) -> Result<bool> {
        let mut inner = self.inner();
        let is_left = super::staged::remove_reverted(&inner.folders, decision)?;
        inner.journal.take().map_or(Ok(()), Journal::remove)?;
        Ok(is_left)
    }

    /// Removes the staging folders and the journal: nothing of the transaction has happened.
    pub fn clear(&self) -> Result<()> {
        self.inner().clear()
    }
}

/// The folder `name`, durable where it is made: a journal must not name what a power cut takes away, nor go with it.
fn make_once(parent: &Folder, name: &str, mode: u32) -> io::Result<Folder> {
    if parent.stat(name)?.is_none() {
        parent.make(name, mode)?;
        parent.sync_file_system()?;
    }
    parent.open(name)
}

fn ended() -> Error {
    Error::new(crate::error::ErrorKind::Bug, "the journal has ended")
}

impl Inner {
    fn place_for(&mut self, near: &RelPath) -> io::Result<usize> {
        let parent = near.parent().unwrap_or_default();
        if let Some(at) = self.by_parent.get(&parent) {
            return Ok(*at);
        }
        let (folder, path) = self.nearest(&parent)?;
        let mount = folder.mount()?;
        let at = match self.by_mount.get(&mount) {
            Some(at) => *at,
            None => {
                let staged = self.add(mount, folder, path).map_err(io::Error::other)?;
                self.folders.push(staged);
                self.by_mount.insert(mount, self.folders.len() - 1);
                self.folders.len() - 1
            }
        };
        self.by_parent.insert(parent, at);
        Ok(at)
    }

    /// The folder at `path`, or the nearest one above it that is there already.
    fn nearest(&self, path: &RelPath) -> io::Result<(Folder, RelPath)> {
        let mut above = path.clone();
        loop {
            match self.root.walk(&above) {
                Ok(folder) => return Ok((folder, above)),
                Err(error) if is_no_folder(&error) => above = above.parent().ok_or(error)?,
                Err(error) => return Err(error),
            }
        }
    }

    /// A staging folder on another mount: in the state folder where that lies on it, else in the
    /// topmost folder on it that the caller may write to.
    fn add(&mut self, mount: u64, folder: Folder, path: RelPath) -> Result<Staged> {
        let named = || format!("cannot make a staging folder on the file system of {}", path.absolute());
        if self.state.folder.mount().context(named)? == mount {
            let parent = self.state.folder.open_or_make(IN_STATE, 0o700).context(named)?;
            let path = self.state.path.child(IN_STATE)?;
            let name = self.about.id.as_str().to_owned();
            return self.stage_in(parent, &path, name);
        }
        let mut candidates = vec![(folder, path.clone())];
        while let Some(above) = candidates.last().and_then(|(_, path)| path.parent()) {
            let Ok(folder) = self.root.walk(&above) else { break };
            if folder.mount().context(named)? != mount {
                break;
            }
            candidates.push((folder, above));
        }
        let mut last = None;
        while let Some((folder, path)) = candidates.pop() {
            match self.stage_in(folder, &path, format!("{STAGING}-{}", self.about.id)) {
                Ok(staged) => return Ok(staged),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| Error::storage(named())))
    }

    fn stage_in(&mut self, parent: Folder, path: &RelPath, name: String) -> Result<Staged> {
        let named = || format!("cannot make a staging folder in {}", path.absolute());
        let record = Record::Staging {
            command: self.about.command.to_owned(),
            time: self.about.time,
            parent: FolderId::of(&parent, path.clone()).context(named)?,
            name: name.clone(),
        };
        self.journal.as_mut().ok_or_else(ended)?.append(&record)?;
        self.make_staged(parent, path, &name)
    }

    /// Makes a staging folder that the journal names already. Where it cannot even be removed again the journal
    /// stays, for the next run.
    fn make_staged(&mut self, parent: Folder, path: &RelPath, name: &str) -> Result<Staged> {
        let named = || format!("cannot make a staging folder in {}", path.absolute());
        let look = parent.again().context(named)?;
        Staged::make(parent, path, name).context(named).inspect_err(|_| {
            if !look.stat(name).is_ok_and(|standing| standing.is_none()) {
                self.journal = None;
            }
        })
    }

    fn clear(&mut self) -> Result<()> {
        for staged in &self.folders {
            staged.remove()?;
        }
        self.folders.clear();
        self.journal.take().map_or(Ok(()), Journal::remove)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if !self.decided {
            // What cannot be removed now is named in the journal: the next run clears it.
            let _ = self.clear();
        }
    }
}

impl Staging for Area {
    fn folder_for(&mut self, _: u64, near: &RelPath) -> io::Result<StagingPlace> {
        self.place_for(near)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_private_and_leaves_nothing() {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(home.path().join("opt/packets")).unwrap();
        std::fs::create_dir_all(home.path().join("var/lib/packets")).unwrap();
        let target = Target::open(Some(home.path()), false).unwrap();
        let place = |path: &str| target.enter(&path.parse().unwrap()).unwrap().unwrap();
        let (data, state) = (place("opt/packets"), place("var/lib/packets"));
        let about = About { id: TransactionId::from_bytes([7; 8]), command: "install", time: 1 };
        let area = Area::make(&target, &state, &data, about.clone()).unwrap();
        let staged = home.path().join("opt/packets/.packets").join(about.id.as_str());
        let journal = home.path().join("var/lib/packets/journal").join(about.id.as_str());
        assert_eq!(std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(&staged).unwrap()) & 0o777, 0o700);
        assert!(journal.exists());
        area.new_trees().unwrap().create("x", 0o644).unwrap();
        let (old, path) = area.old_for(&"usr/bin/x".parse().unwrap()).unwrap();
        old.create(area.new_name(), 0o600).unwrap();
        assert!(home.path().join(path.as_str()).is_dir());
        drop(area);
        assert!(!staged.exists() && !journal.exists());
    }
}
