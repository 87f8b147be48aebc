//! What hooks changed outside the packages' folders, and what goes by record.

use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};
use std::io;

use packets_hook_runtime::folder::Kind as FileKind;
use packets_hook_runtime::view::{Becomes, Change};
use packets_plugin_api::relpath::RelPath;
use packets_plugin_api::storage::FileRecord;

use super::draft::{Draft, changed, is_as_seen, looking};
use crate::error::{Context, Error, ErrorKind, Result};
use crate::hook::{Hooked, Leaving};
use crate::journal::{Put, Spot, Standing, Step};
use crate::target::{Place, is_no_folder};

/// The folder, below the packages' folder, of what `replace` displaced.
const DISPLACED: &str = ".packets-displaced";

/// What a `replace` moved, each from where to where.
#[derive(Debug, Default)]
pub(super) struct Moved {
    /// What others had at a path, to where it is kept.
    pub(super) away: HashMap<RelPath, RelPath>,
    /// What was kept, to where it belongs.
    pub(super) back: HashMap<RelPath, RelPath>,
}

/// Adds the steps for all changes: first what comes, parents first, then what goes, parents last.
pub(super) fn draft(draft: &mut Draft<'_>, hooked: &Hooked, data: &Place) -> Result<Moved> {
    let mut work = Changes {
        draft,
        data,
        moved: Moved::default(),
        displaced_before: displaced_before(hooked.leaving()),
        leaving: hooked.leaving(),
        goes: OnceCell::new(),
        displaced_folders: HashSet::new(),
        covered: HashSet::new(),
    };
    let goes = |change: &Change| matches!(change.becomes, Becomes::Absent);
    let gone: HashSet<&RelPath> =
        hooked.changes().iter().filter(|change| goes(change)).map(|change| &change.path).collect();
    for change in hooked.changes() {
        work.check(change)?;
        work.note_covered(change, &gone)?;
    }
    for change in hooked.changes().iter().filter(|change| !goes(change)) {
        work.make(change)?;
    }
    for change in hooked.changes().iter().filter(|change| goes(change)).rev() {
        work.take_away(change)?;
    }
    work.drop_displaced_folders()?;
    Ok(work.moved)
}

/// Whether a `replace` may move something, or something may come back: else [`Moved`] is empty.
pub(super) fn may_move(hooked: &Hooked) -> bool {
    hooked.changes().iter().any(|change| change.displaces) || !displaced_before(hooked.leaving()).is_empty()
}

struct Changes<'a, 'b> {
    draft: &'a mut Draft<'b>,
    data: &'a Place,
    moved: Moved,
    /// What replaced paths of packages that go had displaced, by path.
    displaced_before: HashMap<&'a RelPath, &'a RelPath>,
    leaving: &'a [Leaving],
    /// The paths of packages that go, once somebody asks for one.
    goes: OnceCell<HashSet<&'a RelPath>>,
    /// Folders from which something displaced has come back, or gone.
    displaced_folders: HashSet<RelPath>,
    /// Folders that go as a whole, something else in their place.
    covered: HashSet<RelPath>,
}

impl Changes<'_, '_> {
    /// What the view saw must still stand there.
    fn check(&mut self, change: &Change) -> Result<()> {
        let Some(parent) = &change.parent else { return Ok(()) };
        let parent_path = change.path.parent().unwrap_or_default();
        let seen = looking(&parent_path, self.draft.on_disk(&parent_path).and_then(|folder| folder.stat_self()))?;
        let now = looking(&change.path, self.draft.stands(&change.path))?;
        match (seen.device, seen.inode) == (parent.device, parent.inode)
            && is_as_seen(change.old.as_ref(), now.as_ref())
        {
            true => Ok(()),
            false => Err(changed(&change.path)),
        }
    }

    /// A folder in whose place something else comes goes with all that is in it: that must be what the hooks took away.
    fn note_covered(&mut self, change: &Change, gone: &HashSet<&RelPath>) -> Result<()> {
        let was_folder = change.old.is_some_and(|old| old.kind == FileKind::Folder);
        if !was_folder || matches!(change.becomes, Becomes::Absent | Becomes::Folder { .. }) {
            return Ok(());
        }
        let folder = looking(&change.path, self.draft.on_disk(&change.path))?;
        for name in looking(&change.path, folder.list())? {
            let path = name.to_str().and_then(|name| change.path.child(name).ok());
            if !path.is_some_and(|path| gone.contains(&path)) {
                return Err(Error::request(format!(
                    "cannot put something else in the place of {}",
                    change.path.absolute()
                ))
                .caused_by("it is a folder with something in it")
                .hint("move what is in it away, then try again"));
            }
        }
        self.covered.insert(change.path.clone());
        Ok(())
    }

    fn make(&mut self, change: &Change) -> Result<()> {
        let named = || format!("cannot put {} in place", change.path.absolute());
        let path = &change.path;
        let before = match change.parent {
            Some(_) => looking(path, self.draft.stands(path))?,
            // Its folder is made in this transaction.
            None => None,
        };
        let was_folder = change.old.is_some_and(|old| old.kind == FileKind::Folder);
        let at = self.draft.spot(path).context(named)?;
        let (new, after) = match &change.becomes {
            Becomes::Folder { mode } if was_folder => return self.set_mode(change, *mode).context(named),
            Becomes::Folder { mode } => self.draft.stage_folder(path, *mode),
            Becomes::File { staged, sha256, .. } => self
                .draft
                .staged(staged.place, &staged.name)
                .map(|(spot, standing)| (spot, Standing { content: Some(sha256.to_string()), ..standing })),
            Becomes::Symlink { stored, .. } => self.draft.stage_link(path, stored),
            Becomes::Absent => return Err(Error::new(ErrorKind::Bug, named())),
        }
        .context(named)?;
        let only_empty = matches!(change.becomes, Becomes::Folder { .. });
        let put = match before {
            None => Put { only_empty, ..Put::comes(at, new, after) },
            Some(before) => {
                let old = if change.displaces { self.displaced_spot(path) } else { self.draft.old_spot(path) };
                Put { only_empty, ..Put::swap(at, (before, old.context(named)?), (after, new)) }
            }
        };
        self.draft.put(put)
    }

    fn set_mode(&mut self, change: &Change, after: u32) -> io::Result<()> {
        let folder = self.draft.on_disk(&change.path)?;
        let before = folder.stat_self()?.mode;
        if before != after {
            // Its file system is told by a staging folder.
            self.draft.area.place_for(&change.path)?;
            let folder = self.draft.standing_folder(&folder, change.path.clone())?;
            self.draft.steps.push(Step::Mode { folder, before, after });
        }
        Ok(())
    }

    /// Where a displaced path waits until its displacer goes: on its own mount.
    fn displaced_spot(&mut self, path: &RelPath) -> io::Result<Spot> {
        let parent = path.parent().unwrap_or_default();
        let same_mount = self.draft.on_disk(&parent)?.mount()? == self.data.folder.mount()?;
        let above = if same_mount { self.data.path.clone() } else { parent };
        let folder = above.child(DISPLACED).map_err(io::Error::other)?;
        let is_made = self.draft.spot(&folder).map(|spot| self.draft.is_taken(&spot))?;
        if !is_made && self.draft.on_disk(&above)?.stat(DISPLACED)?.is_none() {
            self.draft.make_folder(&folder, 0o700)?;
        }
        let name = crate::durable::random_name()?;
        let kept = folder.child(&name).map_err(io::Error::other)?;
        let spot = self.draft.spot(&kept)?;
        self.moved.away.insert(path.clone(), kept);
        Ok(spot)
    }

    fn take_away(&mut self, change: &Change) -> Result<()> {
        let named = || format!("cannot remove {}", change.path.absolute());
        let path = &change.path;
        let is_covered = |path: &RelPath| {
            std::iter::successors(path.parent(), RelPath::parent).any(|above| self.covered.contains(&above))
        };
        if change.old.is_none() || is_covered(path) {
            return Ok(());
        }
        let before = match self.draft.stands(path) {
            // Its folder has gone as a whole.
            Err(error) if is_no_folder(&error) => return Ok(()),
            found => looking(path, found)?,
        };
        let Some(before) = before else { return Ok(()) };
        let is_folder = change.old.is_some_and(|old| old.kind == FileKind::Folder);
        self.displaced_folders.extend(path.parent().filter(|folder| folder.file_name() == Some(DISPLACED)));
        let at = self.draft.spot(path).context(named)?;
        let old = self.draft.old_spot(path).context(named)?;
        let put = match self.what_comes_back(path).context(named)? {
            Some((spot, standing)) => Put { returns: true, ..Put::swap(at, (before, old), (standing, spot)) },
            None => Put { only_empty: is_folder, ..Put::goes(at, before, old) },
        };
        self.draft.put(put)
    }

    /// What was displaced at a path and is still kept.
    fn what_comes_back(&mut self, path: &RelPath) -> io::Result<Option<(Spot, Standing)>> {
        let Some(kept) = self.displaced_before.get(path).map(|kept| (*kept).clone()) else { return Ok(None) };
        let all = || self.leaving.iter().flat_map(|leaving| &leaving.files).map(|file| &file.path).collect();
        if self.goes.get_or_init(all).contains(&kept) {
            // Its owner goes too.
            return Ok(None);
        }
        let standing = match self.draft.stands(&kept) {
            Err(error) if is_no_folder(&error) => return Ok(None),
            found => found?,
        };
        let Some(standing) = standing else { return Ok(None) };
        let spot = self.draft.spot(&kept)?;
        self.displaced_folders.extend(kept.parent());
        self.moved.back.insert(kept, path.clone());
        Ok(Some((spot, standing)))
    }

    /// The last one that comes back leaves no empty folder.
    fn drop_displaced_folders(&mut self) -> Result<()> {
        let mut folders: Vec<RelPath> = self.displaced_folders.drain().collect();
        folders.sort();
        for path in folders {
            let named = || format!("cannot remove {}", path.absolute());
            let Some(before) = looking(&path, self.draft.stands(&path))? else { continue };
            let (at, old) = (self.draft.spot(&path).context(named)?, self.draft.old_spot(&path).context(named)?);
            self.draft.put(Put { only_empty: true, ..Put::goes(at, before, old) })?;
        }
        Ok(())
    }
}

fn displaced_before(leaving: &[Leaving]) -> HashMap<&RelPath, &RelPath> {
    let files = leaving.iter().flat_map(|leaving| &leaving.files);
    files.filter_map(|file: &FileRecord| Some((&file.path, file.displaced.as_ref()?))).collect()
}
