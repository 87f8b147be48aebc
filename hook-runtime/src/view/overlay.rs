//! The overlay of one transaction, as the host uses it.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::Arc;

use packets_plugin_api::hook::{Effect, EffectKind};
use packets_plugin_api::ident::{Digest, PackageName};
use packets_plugin_api::relpath::RelPath;

use super::entry::{Entry, FileNumber, Node, StagedFile};
use super::ownership::{Granting, Rules};
use super::resolve::{Found, Guess, Host, Place, Spot, Thing};
use super::settled::Settled;
use super::stop::{Result, Stop};
use super::{
    Base, Becomes, Change, Dropped, Handle, HookContext, OverlayError, Owners, Seen, Session, Staged, Staging, Target,
};
use crate::folder::{Folder, Kind, Rename, Stat};
use crate::sandbox::{DATA, Denied, InForce, Places, Right};

/// What the hooks of one transaction make of the target, all in staging.
pub struct Overlay {
    pub(super) root: Handle,
    pub(super) relocated: bool,
    pub(super) trusted_uid: u32,
    any_folder: bool,
    pub(super) staging: Box<dyn Staging>,
    pub(super) entries: BTreeMap<RelPath, Entry>,
    pub(super) files: BTreeMap<FileNumber, StagedFile>,
    pub(super) last_file: FileNumber,
    pub(super) last_session: u32,
    /// Open folders of the disk and of trees, by canonical path. Entries are asked first, so a
    /// handle that an entry hides is never used.
    pub(super) handles: HashMap<RelPath, Handle>,
    places: Places,
    denied: Option<Arc<Denied>>,
    pub(super) settled: Settled,
    /// The folder in which the last package was placed, where that is itself where it leads.
    packages: Option<RelPath>,
}

impl Overlay {
    /// An overlay in which nothing has changed.
    pub fn new(target: Target, places: Places, staging: Box<dyn Staging>) -> Self {
        let Target { root, relocated, trusted_uid, root_owner_is_caller } = target;
        Self {
            root: Base::of_root(root),
            relocated,
            trusted_uid,
            // Below a relocated root of one's own nobody else is protected by its modes.
            any_folder: relocated && root_owner_is_caller,
            staging,
            entries: BTreeMap::new(),
            files: BTreeMap::new(),
            last_file: 0,
            last_session: 0,
            handles: HashMap::new(),
            places,
            denied: None,
            settled: Settled::default(),
            packages: None,
        }
    }

    /// A new package's unpacked tree appears at `folder` and hides what stands there on
    /// the disk. Whatever hooks did there before is forgotten.
    ///
    /// # Errors
    /// The target or the tree cannot be looked at.
    pub fn place(&mut self, _package: &PackageName, folder: &RelPath, tree: Folder) -> Result<(), OverlayError> {
        let tree = Base::new(tree, true).map_err(|error| OverlayError::new("look at the new", folder, error))?;
        if self.is_beside_the_last(folder) {
            self.cover(folder, Node::Tree(tree));
            return Ok(());
        }
        let place = self.own_folder(folder, false)?;
        // Folders above it that are missing: the host makes them.
        let mut path = place.parent.path.clone();
        for name in place.names.iter().take(place.names.len().saturating_sub(1)) {
            path = path.child(name).map_err(|error| broken("place", folder, error.rule))?;
            self.settled.touch(&path);
            self.entries.insert(path.clone(), Entry::of_host(Node::Folder { mode: 0o755, through: false }));
        }
        self.cover(&place.path, Node::Tree(tree));
        self.packages = (place.path == *folder).then(|| folder.parent()).flatten();
        Ok(())
    }

    /// Whether `folder` is itself where it leads, since the one beside it was, and no hook has been at work above it.
    fn is_beside_the_last(&self, folder: &RelPath) -> bool {
        let parent = folder.parent();
        let mut above = std::iter::successors(parent.clone(), RelPath::parent);
        parent.is_some() && parent == self.packages && above.all(|path| !self.entries.contains_key(&path))
    }

    /// A package's folder is gone, with all that hooks did in it.
    ///
    /// # Errors
    /// The target cannot be looked at.
    pub fn hide(&mut self, folder: &RelPath) -> Result<(), OverlayError> {
        let place = self.own_folder(folder, false)?;
        self.cover(&place.path, Node::Hidden);
        Ok(())
    }

    fn own_folder(&mut self, folder: &RelPath, follow: bool) -> Result<Place, OverlayError> {
        self.resolve(&Host, &folder.absolute(), follow).map_err(|stop| OverlayError::stopped("find", folder, stop))
    }

    /// Where a package's folder is. That of a tree is known, as long as there are only folders above it.
    fn own_path(&mut self, folder: &RelPath, follow: bool) -> Result<RelPath, OverlayError> {
        let node = |path: &RelPath| self.entries.get(path).map(|entry| &entry.node);
        let mut above = std::iter::successors(folder.parent(), RelPath::parent);
        if matches!(node(folder), Some(Node::Tree(_)))
            && above.all(|path| matches!(node(&path), None | Some(Node::Folder { .. })))
        {
            return Ok(folder.clone());
        }
        Ok(self.own_folder(folder, follow)?.path)
    }

    fn cover(&mut self, folder: &RelPath, node: Node) {
        let below: Vec<RelPath> = self.below(folder).map(|(path, _)| path.clone()).collect();
        for path in below {
            if let Some(Entry { node: Node::File(number), .. }) = self.entries.remove(&path) {
                self.forget(number);
            }
        }
        self.settled.touch(folder);
        self.entries.insert(folder.clone(), Entry::of_host(node));
        self.handles.retain(|path, _| !path.starts_with(folder));
    }

    /// Deletes a staged file that no path leads to. What cannot be deleted goes with the staging folder.
    pub(super) fn forget(&mut self, number: FileNumber) {
        if let Some(staged) = self.files.remove(&number) {
            let _ = staged.place.folder.remove_file(&staged.name);
        }
    }

    /// Whether hooks of this package have put something at a canonical path in this transaction.
    pub fn has_made(&self, package: &PackageName, path: &RelPath) -> bool {
        self.entries.get(path).is_some_and(|entry| entry.by.contains(package))
    }

    /// Takes away a path that is on record for `package`: it is gone for later hooks, and
    /// among the changes. No link on the way is followed.
    ///
    /// # Errors
    /// The target cannot be looked at.
    pub fn drop_path(&mut self, package: &PackageName, path: &RelPath) -> Result<Dropped, OverlayError> {
        let failed = |stop| OverlayError::stopped("take away", path, stop);
        let Some((parent, thing)) = self.find(path).map_err(failed)? else { return Ok(Dropped::NothingThere) };
        let prior = self.entries.get_mut(path);
        if let Some(prior) = &prior
            && !prior.by.contains(package)
        {
            return Ok(Dropped::Kept);
        }
        if let Some(prior) = prior
            && prior.by.len() > 1
        {
            prior.by.retain(|maker| maker != package);
            return Ok(Dropped::Kept);
        }
        if let Found::Folder(spot) = &thing.found
            && !self.list(spot, u64::MAX).map_err(failed)?.is_empty()
        {
            return Ok(Dropped::NotEmpty);
        }
        let (old, by) = (thing.old, vec![package.clone()]);
        let entry = match self.entries.remove(path) {
            Some(prior) => {
                if let Node::File(number) = prior.node {
                    self.forget(number);
                }
                Entry { node: Node::Absent, ..prior }
            }
            None => Entry { node: Node::Absent, by, displaces: false, old, parent: parent.identity() },
        };
        if entry.old.is_some() {
            self.settled.touch(path);
            self.entries.insert(path.clone(), entry);
        }
        Ok(Dropped::Gone)
    }

    /// What stands at a canonical path; nothing, where a link is on the way.
    ///
    /// # Errors
    /// The target cannot be looked at.
    pub fn look(&mut self, path: &RelPath) -> Result<Option<Seen>, OverlayError> {
        let found = self.find(path).map_err(|stop| OverlayError::stopped("look at", path, stop))?;
        Ok(match found.map(|(_, thing)| thing.found) {
            None | Some(Found::Nothing) => None,
            Some(Found::Folder(spot)) => Some(Seen::Folder { mode: spot.mode }),
            Some(Found::Symlink { stored, .. }) => Some(Seen::Symlink { stored }),
            Some(Found::File(stat)) => Some(Seen::File { mode: stat.mode, size: stat.size, staged: false }),
            Some(Found::Staged(number)) => {
                self.files.get(&number).map(|file| Seen::File { mode: file.mode, size: file.size, staged: true })
            }
            Some(Found::Special) => Some(Seen::Special),
        })
    }

    /// What stands at a canonical path, and the folder that it is in.
    fn find(&mut self, path: &RelPath) -> Result<Option<(Spot, Thing)>> {
        let mut names: Vec<&str> = path.components().collect();
        let Some(last) = names.pop() else { return Err(Stop::invalid("the root has no name")) };
        let mut parent = Spot::root(&self.root);
        for name in names {
            let next = parent.path.child(name).map_err(|error| Stop::invalid(error.rule))?;
            match self.lookup(&parent, name, &next, Guess::Folder)?.found {
                Found::Folder(spot) => parent = spot,
                _ => return Ok(None),
            }
        }
        let thing = self.lookup(&parent, last, path, Guess::Any)?;
        Ok(thing.found.is_there().then_some((parent, thing)))
    }

    /// A hook begins. Its grant is resolved on the target as the hooks before it left it.
    ///
    /// # Errors
    /// The target cannot be looked at.
    pub fn begin<'a>(&'a mut self, context: HookContext<'a>) -> Result<Session<'a>, OverlayError> {
        let own = self.own_path(&context.folder, true)?;
        let data = own.child(DATA).map_err(|error| broken("find", &own, error.rule))?;
        let files = context.readable.iter().filter_map(|path| {
            let path = path.strip_prefix(&context.folder).unwrap_or_else(|| path.clone());
            own.join(&path).ok()
        });
        let files = files.collect();
        let denied = self.denied()?;
        self.settled.check(&self.entries);
        let mut grant = InForce::new(own, data, files, denied);
        let rights = [
            (Right::Read, &context.grant.read),
            (Right::Allow, &context.grant.allow),
            (Right::Write, &context.grant.write),
            (Right::Replace, &context.grant.replace),
        ];
        for (right, paths) in rights {
            for path in paths {
                self.put_in_force(&mut grant, right, path, context.owners)?;
            }
        }
        let HookContext { package, may_replace, owners, limits, .. } = context;
        Ok(Session::new(self, Rules { package, may_replace, owners, grant }, limits))
    }

    fn denied(&mut self) -> Result<Arc<Denied>, OverlayError> {
        if let Some(denied) = &self.denied {
            return Ok(denied.clone());
        }
        let written = Denied::new(&self.places);
        let denied = Arc::new(written.resolved(|path| self.leads_to(path))?);
        self.denied = Some(denied.clone());
        Ok(denied)
    }

    /// Where a closed path leads, as far as that can be seen.
    fn leads_to(&mut self, path: &RelPath) -> Result<RelPath, OverlayError> {
        if let Some(there) = self.canonical(path)? {
            return Ok(there);
        }
        // A folder that the caller may not open is still a name in the one above it.
        let above = path.parent().map(|parent| self.canonical(&parent)).transpose()?.flatten();
        let named = above.zip(path.file_name()).and_then(|(above, name)| above.child(name).ok());
        Ok(named.unwrap_or_else(|| path.clone()))
    }

    /// Where a path leads on the target; none where that is nowhere, or not to be seen.
    fn canonical(&mut self, path: &RelPath) -> Result<Option<RelPath>, OverlayError> {
        match self.resolve(&Host, &path.absolute(), true) {
            Ok(place) => Ok(Some(place.path)),
            Err(stop @ Stop::Disk(_)) => Err(OverlayError::stopped("find", path, stop)),
            Err(_) => Ok(None),
        }
    }

    fn put_in_force(
        &mut self,
        grant: &mut InForce,
        right: Right,
        path: &RelPath,
        owners: &dyn Owners,
    ) -> Result<(), OverlayError> {
        if self.settled.holds(right, path) {
            grant.give(right, path.clone());
            return Ok(());
        }
        // A path to displace is one name, the link itself where it is one.
        let place = match self.resolve(&Granting(owners), &path.absolute(), right != Right::Replace) {
            Ok(place) => place,
            Err(stop @ Stop::Disk(_)) => return Err(OverlayError::stopped("find", path, stop)),
            Err(Stop::Denied(reason, _) | Stop::Invalid(reason) | Stop::Io(reason)) => {
                grant.refuse(right, path, reason);
                return Ok(());
            }
            Err(Stop::NotFound | Stop::Limit(_)) => {
                grant.refuse(right, path, "it cannot be found");
                return Ok(());
            }
        };
        let mut above = Vec::new();
        if !self.any_folder {
            let itself = match &place.thing.found {
                Found::Folder(spot) => Some(spot),
                _ => None,
            };
            let spots = place.passed.iter().chain(itself);
            above.extend(spots.filter_map(|spot| Some((spot.path.clone(), spot.base.as_ref()?.stat))));
        }
        // In another package's folder it would be in force for one hook only.
        let for_all = place.path == *path && grant.denied().reason(path, None).is_none();
        if grant.add(right, path, place.path, &above, self.trusted_uid) && for_all {
            self.settled.note(right, path, &self.entries);
        }
        Ok(())
    }

    /// The net change of each path of the transaction, parents first, outside the
    /// folders of packages that come or go.
    ///
    /// # Errors
    /// Never, once every session has ended.
    pub fn changes(&self) -> Result<Vec<Change>, OverlayError> {
        let mut changes = Vec::new();
        let mut covered: Option<&RelPath> = None;
        for (path, entry) in &self.entries {
            if covered.is_some_and(|folder| path.starts_with(folder)) {
                continue;
            }
            if matches!(entry.node, Node::Tree(_) | Node::Hidden) {
                covered = Some(path);
                continue;
            }
            if entry.by.is_empty() {
                continue;
            }
            changes.push(Change {
                path: path.clone(),
                by: entry.by.clone(),
                becomes: self.becomes(path, &entry.node)?,
                displaces: entry.displaces,
                old: entry.old,
                parent: entry.parent,
            });
        }
        Ok(changes)
    }

    fn becomes(&self, path: &RelPath, node: &Node) -> Result<Becomes, OverlayError> {
        Ok(match node {
            Node::Absent | Node::Hidden | Node::Tree(_) => Becomes::Absent,
            Node::Symlink { asked, stored } => Becomes::Symlink { asked: asked.clone(), stored: stored.clone() },
            Node::Folder { mode, .. } => Becomes::Folder { mode: *mode },
            Node::File(number) => {
                let open = || broken("tell what becomes of", path, "its hook has not ended");
                let file = self.files.get(number).ok_or_else(open)?;
                Becomes::File {
                    staged: Staged { place: file.place.id, name: file.name.clone() },
                    mode: file.mode,
                    size: file.size,
                    sha256: file.sha256.ok_or_else(open)?,
                }
            }
        })
    }

    /// What stands at `path` as an effect. Files are those of hooks that ended.
    pub(super) fn effect(&self, path: &RelPath, entry: Option<&Entry>) -> Effect {
        let becomes = match entry.map(|entry| &entry.node) {
            Some(Node::File(number)) => self.files.get(number).map_or(EffectKind::Absent, |file| EffectKind::File {
                mode: file.mode,
                size: file.size,
                sha256: file.sha256.unwrap_or(Digest::from_bytes([0; 32])),
            }),
            Some(Node::Symlink { asked, stored }) => {
                EffectKind::Symlink { asked: asked.clone(), stored: stored.clone() }
            }
            Some(Node::Folder { mode, .. }) => EffectKind::Folder { mode: *mode },
            _ => EffectKind::Absent,
        };
        Effect { path: path.clone(), becomes, displaces: entry.is_some_and(|entry| entry.displaces) }
    }

    /// What hooks changed in the placed tree at `folder`, below the target's root, parents first.
    pub fn tree_effects(&mut self, folder: &RelPath) -> Result<Vec<Effect>, OverlayError> {
        let folder = self.own_path(folder, false)?;
        Ok(self.below(&folder).map(|(path, entry)| self.effect(path, Some(entry))).collect())
    }

    /// Makes what hooks changed in the placed tree at `folder` part of that tree, and
    /// tells it as [`tree_effects`](Self::tree_effects) did. Once, after the last hook.
    ///
    /// # Errors
    /// The tree cannot be changed; it is then of no use any more.
    pub fn fold_into_tree(&mut self, folder: &RelPath) -> Result<Vec<Effect>, OverlayError> {
        let effects = self.tree_effects(folder)?;
        let folder = self.own_path(folder, false)?;
        let Some(Node::Tree(tree)) = self.entries.get(&folder).map(|entry| entry.node.clone()) else {
            return Err(broken("fold into", &folder, "no tree is placed there"));
        };
        let changed: Vec<(RelPath, Entry)> =
            self.below(&folder).map(|(path, entry)| (path.clone(), entry.clone())).collect();
        let in_tree = |path: &RelPath| path.strip_prefix(&folder).unwrap_or_default();
        for (path, entry) in changed.iter().rev() {
            clear(&tree.folder, &in_tree(path), entry).map_err(|error| OverlayError::new("clear", path, error))?;
        }
        for (path, entry) in &changed {
            self.put(&tree.folder, &in_tree(path), entry).map_err(|error| OverlayError::new("make", path, error))?;
            self.entries.remove(path);
        }
        self.handles.retain(|path, _| !path.starts_with(&folder));
        Ok(effects)
    }

    fn put(&mut self, tree: &Folder, path: &RelPath, entry: &Entry) -> io::Result<()> {
        if !entry.node.is_there() {
            return Ok(());
        }
        let Some((parent, name)) = in_folder(tree, path)? else { return Ok(()) };
        match &entry.node {
            Node::File(number) => {
                let Some(file) = self.files.remove(number) else { return Ok(()) };
                move_file(&file, &parent, name)
            }
            Node::Symlink { stored, .. } => parent.symlink(stored, name),
            Node::Folder { mode, .. } => parent.open_or_make(name, 0o755)?.set_mode(*mode),
            Node::Absent | Node::Tree(_) | Node::Hidden => Ok(()),
        }
    }
}

impl std::fmt::Debug for Overlay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Overlay").field("changed", &self.entries.len()).finish_non_exhaustive()
    }
}

fn broken(what: &str, path: &RelPath, why: &str) -> OverlayError {
    OverlayError::stopped(what, path, Stop::invalid(why))
}

/// The open folder of a path in a tree, and its name there.
fn in_folder<'p>(tree: &Folder, path: &'p RelPath) -> io::Result<Option<(Folder, &'p str)>> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Ok(None) };
    Ok(Some((tree.walk(&parent)?, name)))
}

/// Takes what stood at `path` out of a tree, unless it is a folder that stays one.
fn clear(tree: &Folder, path: &RelPath, entry: &Entry) -> io::Result<()> {
    let Some(Stat { kind, .. }) = entry.old else { return Ok(()) };
    if kind == Kind::Folder && matches!(entry.node, Node::Folder { .. }) {
        return Ok(());
    }
    let Some((parent, name)) = in_folder(tree, path)? else { return Ok(()) };
    match kind {
        Kind::Folder => parent.remove_folder(name),
        _ => parent.remove_file(name),
    }
}

fn move_file(file: &StagedFile, parent: &Folder, name: &str) -> io::Result<()> {
    match file.place.folder.rename(&file.name, parent, name, Rename::Keep) {
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
            let mut from = file.place.folder.read(&file.name)?;
            let mut to = parent.create(name, 0o600)?;
            io::copy(&mut from, &mut to)?;
            crate::folder::set_mode(&to, file.mode)?;
            file.place.folder.remove_file(&file.name)
        }
        moved => moved,
    }
}
