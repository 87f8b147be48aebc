//! From a path to what stands there: one name at a time, over open handles.

use std::io;
use std::sync::Arc;

use packets_plugin_api::relpath::RelPath;

use super::entry::{FileNumber, Node};
use super::links;
use super::stop::{Result, Stop, shown};
use super::{Base, Handle, Identity, Overlay};
use crate::folder::{Folder, Kind, Stat};
use crate::limits;

/// Handles of folders that are kept open for the next path.
const KEPT_HANDLES: usize = 96;

/// A folder in the overlay.
#[derive(Debug, Clone)]
pub(super) struct Spot {
    /// Canonical.
    pub(super) path: RelPath,
    /// The folder whose content shows through; none: all that is in it has entries.
    pub(super) base: Option<Handle>,
    pub(super) mode: u32,
    /// The file system that its content comes to.
    pub(super) device: u64,
}

impl Spot {
    /// A folder that is about to be made.
    pub(super) fn made(path: RelPath, mode: u32, parent: &Self) -> Self {
        Self { path, base: None, mode, device: parent.device }
    }

    /// The target's root.
    pub(super) fn root(root: &Handle) -> Self {
        Self::of(RelPath::root(), root.clone())
    }

    fn of(path: RelPath, base: Handle) -> Self {
        Self { path, mode: base.stat.mode, device: base.stat.device, base: Some(base) }
    }

    /// The folder on the disk, to be recorded as the parent of a change.
    pub(super) fn identity(&self) -> Option<Identity> {
        self.base.as_ref().map(|base| base.stat.into())
    }
}

/// What stands at a name, and what the disk holds there.
#[derive(Debug, Clone)]
pub(super) struct Thing {
    pub(super) found: Found,
    pub(super) old: Option<Stat>,
}

impl Thing {
    fn nothing() -> Self {
        Self { found: Found::Nothing, old: None }
    }
}

/// What stands at a name.
#[derive(Debug, Clone)]
pub(super) enum Found {
    Nothing,
    Folder(Spot),
    Symlink {
        asked: String,
        stored: String,
    },
    /// A file of the disk or a package's tree.
    File(Stat),
    Staged(FileNumber),
    /// A device, FIFO or socket.
    Special,
}

impl Found {
    pub(super) fn is_there(&self) -> bool {
        !matches!(self, Self::Nothing)
    }
}

/// Where a path leads.
#[derive(Debug)]
pub(super) struct Place {
    /// The last folder on the way that is there.
    pub(super) parent: Spot,
    /// What is in it: one name, or more where folders are missing; none for the root itself.
    pub(super) names: Vec<String>,
    /// Canonical.
    pub(super) path: RelPath,
    pub(super) thing: Thing,
    /// The path can only mean a folder (`x/`, `x/.`).
    pub(super) slash: bool,
    /// All folders that were entered on the way, also those that links and `..` led out of.
    pub(super) passed: Vec<Spot>,
}

impl Place {
    /// The last name, where all folders before it are there.
    pub(super) fn name(&self) -> Option<&str> {
        match self.names.as_slice() {
            [name] => Some(name),
            _ => None,
        }
    }
}

/// What a name most likely is: which system call is tried first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Guess {
    Folder,
    Any,
}

/// Decides who may go where on the way.
pub(super) trait Guard {
    /// Before `spot` is entered on the way to something in it.
    fn enter(&self, spot: &Spot) -> Result<()>;

    /// Before a `..` leads out of `spot`, where the text of a hook says so.
    fn leave(&self, _: &Spot) -> Result<()> {
        Ok(())
    }

    /// Whether a hook could have written the text of the link at `path`, which stands on the disk.
    fn doubts(&self, _path: &RelPath) -> bool {
        true
    }

    /// What is told of the way having failed at `path`.
    fn tell(&self, _path: &RelPath, stop: Stop) -> Stop {
        stop
    }

    /// Before the link at `path` is followed. `made`: a hook of this transaction made it.
    /// Where the answer is no, the way ends at the link; it must not be no before the last name.
    fn follow(&self, _path: &RelPath, _made: bool, _last: bool) -> Result<bool> {
        Ok(true)
    }
}

/// The host itself: it may go everywhere, and follows the same links.
pub(super) struct Host;

impl Guard for Host {
    fn enter(&self, _: &Spot) -> Result<()> {
        Ok(())
    }
}

/// The names still to go, the next one last, and whether a hook wrote them.
struct Ahead {
    names: Vec<(String, bool)>,
    links: usize,
    slash: bool,
}

impl Ahead {
    fn push(&mut self, text: &str, by_hook: bool) {
        let ends_open = text.ends_with('/') || text.ends_with("/.") || text == ".";
        // Only the text of the last component says that a folder is meant.
        self.slash |= self.names.is_empty() && ends_open;
        let parts = text.split('/').filter(|part| !part.is_empty() && *part != ".");
        self.names.extend(parts.rev().map(|part| (part.to_owned(), by_hook)));
    }

    fn link(&mut self, text: &str, by_hook: bool) -> Result<()> {
        self.links += 1;
        if self.links > limits::LINKS {
            return Err(Stop::invalid("too many links on the way"));
        }
        self.push(text, by_hook);
        Ok(())
    }
}

/// The folders from the root to where a path has led so far.
struct Way {
    /// All that were entered, also those that were left again. The first is the root.
    passed: Vec<Spot>,
    /// The way below the root, as places in `passed`.
    below: Vec<usize>,
}

impl Way {
    fn from(root: Spot) -> Self {
        Self { passed: vec![root], below: Vec::new() }
    }

    fn here(&self) -> &Spot {
        &self.passed[self.below.last().copied().unwrap_or(0)]
    }

    /// The root counts.
    fn depth(&self) -> usize {
        self.below.len() + 1
    }

    fn enter(&mut self, spot: Spot) {
        self.below.push(self.passed.len());
        self.passed.push(spot);
    }

    /// The folder that `..` leads out of; of the root it leads nowhere.
    fn leave(&mut self) -> Option<&Spot> {
        self.below.pop().map(|at| &self.passed[at])
    }

    fn back_to_root(&mut self) {
        self.below.clear();
    }

    fn ends(self, names: Vec<String>, path: RelPath, thing: Thing, slash: bool) -> Place {
        Place { parent: self.here().clone(), names, path, thing, slash, passed: self.passed }
    }

    fn ends_at(self, name: String, path: RelPath, thing: Thing, slash: bool) -> Place {
        self.ends(vec![name], path, thing, slash)
    }

    /// For a path whose last name was `..` or led back to a folder on the way.
    fn ends_in_folder(mut self) -> Place {
        let spot = self.here().clone();
        let old = spot.base.as_ref().map(|base| base.stat);
        let path = spot.path.clone();
        let names = path.file_name().map(str::to_owned).into_iter().collect();
        self.leave();
        self.ends(names, path, Thing { found: Found::Folder(spot), old }, true)
    }
}

impl Overlay {
    /// Follows `text`, which begins at the root whether it says so or not. The last
    /// name is followed, if it is a link, only with `follow`.
    pub(super) fn resolve(&mut self, guard: &dyn Guard, text: &str, follow: bool) -> Result<Place> {
        let mut ahead = Ahead { names: Vec::new(), links: 0, slash: false };
        ahead.push(text, true);
        let mut way = Way::from(self.root_spot());
        while let Some((name, by_hook)) = ahead.names.pop() {
            if name == ".." {
                if let Some(left) = way.leave()
                    && by_hook
                {
                    guard.leave(left)?;
                }
                continue;
            }
            let path = way.here().path.child(&name).map_err(|error| Stop::invalid(error.rule))?;
            let last = ahead.names.is_empty();
            let guess = if last { Guess::Any } else { Guess::Folder };
            let thing = self.lookup(way.here(), &name, &path, guess).map_err(|stop| guard.tell(&path, stop))?;
            match thing.found {
                Found::Symlink { ref stored, .. } if !last || follow => {
                    self.check_link(&path, &thing)?;
                    let made = self.entries.contains_key(&path);
                    if !guard.follow(&path, made, last)? {
                        return Ok(way.ends_at(name, path, thing, ahead.slash));
                    }
                    if stored.starts_with('/') {
                        way.back_to_root();
                    }
                    let by_hook = made || guard.doubts(&path);
                    ahead.link(stored, by_hook).map_err(|stop| guard.tell(&path, stop))?;
                }
                Found::Folder(spot) if !last => {
                    guard.enter(&spot)?;
                    if way.depth() > limits::DEPTH {
                        return Err(Stop::invalid("too many folders inside each other"));
                    }
                    way.enter(spot);
                }
                Found::Nothing if !last => return missing(way, name, ahead),
                _ if !last => {
                    return Err(guard.tell(&path, Stop::Invalid(format!("{} is not a folder", shown(&path)))));
                }
                _ => return Ok(way.ends_at(name, path, thing, ahead.slash)),
            }
        }
        Ok(way.ends_in_folder())
    }

    fn root_spot(&self) -> Spot {
        Spot::root(&self.root)
    }

    /// Links on the target are followed only where root or the caller made them (A32).
    fn check_link(&self, path: &RelPath, thing: &Thing) -> Result<()> {
        let owner = thing.old.filter(|_| !self.entries.contains_key(path)).map(|stat| stat.uid);
        match owner {
            Some(uid) if uid != 0 && uid != self.trusted_uid => {
                Err(Stop::Denied(format!("the link {} belongs to user {uid}", shown(path)), None))
            }
            _ => Ok(()),
        }
    }

    /// What stands at `name` in `parent`; `path` is its canonical path.
    pub(super) fn lookup(&mut self, parent: &Spot, name: &str, path: &RelPath, guess: Guess) -> Result<Thing> {
        let Some(entry) = self.entries.get(path) else { return self.lookup_base(parent, name, path, guess) };
        let old = entry.old;
        let found = match entry.node.clone() {
            Node::Absent | Node::Hidden => Found::Nothing,
            Node::File(number) => Found::Staged(number),
            Node::Symlink { asked, stored } => Found::Symlink { asked, stored },
            Node::Tree(base) => Found::Folder(Spot::of(path.clone(), base)),
            Node::Folder { mode, through: false } => Found::Folder(Spot::made(path.clone(), mode, parent)),
            Node::Folder { mode, through: true } => match self.lookup_base(parent, name, path, Guess::Folder)?.found {
                Found::Folder(spot) => Found::Folder(Spot { mode, ..spot }),
                _ => Found::Folder(Spot::made(path.clone(), mode, parent)),
            },
        };
        Ok(Thing { found, old })
    }

    fn lookup_base(&mut self, parent: &Spot, name: &str, path: &RelPath, guess: Guess) -> Result<Thing> {
        let Some(base) = &parent.base else { return Ok(Thing::nothing()) };
        let folder =
            |handle: Handle| Thing { old: Some(handle.stat), found: Found::Folder(Spot::of(path.clone(), handle)) };
        if let Some(kept) = self.handles.get(path) {
            return Ok(folder(kept.clone()));
        }
        if guess == Guess::Any
            && let Some(thing) = look(&base.folder, name, path)?
        {
            return Ok(thing);
        }
        match base.folder.open(name) {
            Ok(opened) => {
                let handle = Base::new(opened, base.in_tree).map_err(|error| Stop::io("look at", path, &error))?;
                Ok(folder(self.keep(path, handle)))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Thing::nothing()),
            Err(error) => look(&base.folder, name, path)?.ok_or_else(|| Stop::io("open", path, &error)),
        }
    }

    fn keep(&mut self, path: &RelPath, handle: Handle) -> Handle {
        if self.handles.len() >= KEPT_HANDLES {
            self.handles.clear();
        }
        self.handles.insert(path.clone(), handle.clone());
        handle
    }
}

impl Base {
    pub(super) fn new(folder: Folder, in_tree: bool) -> io::Result<Handle> {
        let stat = folder.stat_self()?;
        Ok(Arc::new(Self { folder, stat, in_tree }))
    }

    /// The target's root. An open folder can always be looked at; were it not so, what
    /// is recorded instead is no folder's identity, and nothing in it can be committed.
    pub(super) fn of_root(folder: Folder) -> Handle {
        const NO_FOLDER: Stat =
            Stat { kind: Kind::Special, device: 0, inode: 0, mode: 0, uid: u32::MAX, size: 0, links: 0, modified: 0 };
        let stat = folder.stat_self().unwrap_or(NO_FOLDER);
        Arc::new(Self { folder, stat, in_tree: false })
    }
}

/// What stands at a name; none where it is a folder, which has to be opened.
fn look(folder: &Folder, name: &str, path: &RelPath) -> Result<Option<Thing>> {
    let failed = |error: io::Error| Stop::io("look at", path, &error);
    let Some(stat) = folder.stat(name).map_err(failed)? else { return Ok(Some(Thing::nothing())) };
    let (found, stat) = match stat.kind {
        Kind::Folder => return Ok(None),
        Kind::File => (Found::File(stat), stat),
        Kind::Special => (Found::Special, stat),
        Kind::Symlink => {
            let (stat, text) = folder.link(name).map_err(failed)?;
            let text = text.into_string().map_err(|_| Stop::invalid("a link's target is not UTF-8"))?;
            (Found::Symlink { asked: text.clone(), stored: text }, stat)
        }
    };
    Ok(Some(Thing { found, old: Some(stat) }))
}

/// The place of a path of which a folder is missing.
fn missing(way: Way, name: String, ahead: Ahead) -> Result<Place> {
    let names: Vec<String> = std::iter::once(name).chain(ahead.names.into_iter().rev().map(|(name, _)| name)).collect();
    if names.len() + way.depth() > limits::DEPTH {
        return Err(Stop::invalid("too many folders inside each other"));
    }
    // What would come after `..` cannot be told: the path is judged as far as it goes.
    let mut path = way.here().path.clone();
    for name in names.iter().take_while(|name| *name != "..") {
        path = path.child(name).map_err(|error| Stop::invalid(error.rule))?;
    }
    Ok(way.ends(names, path, Thing::nothing(), ahead.slash))
}

/// What a new link in `parent` holds: `target` itself, or what leads there on a relocated target.
pub(super) fn stored_text(relocated: bool, target: &str, parent: &RelPath) -> Result<String> {
    let stored = if relocated { links::relocated(target, parent) } else { target.to_owned() };
    if stored.len() > RelPath::MAX_LEN {
        return Err(Stop::invalid("a link's target is at most 4095 bytes long"));
    }
    Ok(stored)
}
