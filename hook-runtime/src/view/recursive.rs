//! Removing, copying and moving: all is checked and staged first, then recorded.

use packets_plugin_api::relpath::RelPath;

use super::Session;
use super::entry::{Node, Step};
use super::files::{FOLDER_MODE, KEPT_MODE, no_folder_meant, special, step};
use super::ownership::Aim;
use super::resolve::{Found, Guess, Place, Spot, Thing, stored_text};
use super::stop::{Result, Stop, shown};
use crate::limits;

/// Where a copy goes.
struct Goal<'s> {
    parent: &'s Spot,
    path: RelPath,
}

/// What stands at a name.
struct Origin<'s> {
    parent: &'s Spot,
    name: &'s str,
    path: RelPath,
    thing: Thing,
}

/// Whether the source stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    Copy,
    Move,
}

fn too_deep() -> Stop {
    Stop::invalid("too many folders inside each other")
}

impl Session<'_> {
    pub(super) fn remove_path(&mut self, text: &str) -> Result<()> {
        let place = self.resolve(text, false)?;
        let displaces = self.may_change(&place.path, &place.thing, Aim::Name)?;
        if !place.thing.found.is_there() {
            return Ok(());
        }
        no_folder_meant(&place)?;
        let mut steps = vec![step(&place.path, &place.parent, &place.thing, Node::Absent, displaces)];
        self.remove_content(&place.thing.found, 0, &mut steps)?;
        self.apply(steps);
        Ok(())
    }

    /// Adds the removal of all that is in a folder.
    fn remove_content(&mut self, found: &Found, depth: usize, steps: &mut Vec<Step>) -> Result<()> {
        let Found::Folder(spot) = found else { return Ok(()) };
        if depth >= limits::DEPTH {
            return Err(too_deep());
        }
        for name in self.list(spot)? {
            self.tick()?;
            let path = child(&spot.path, &name)?;
            let thing = self.overlay.lookup(spot, &name, &path, Guess::Any)?;
            let displaces = self.may_change(&path, &thing, Aim::Name).map_err(|stop| inside(stop, &path))?;
            steps.push(step(&path, spot, &thing, Node::Absent, displaces));
            self.remove_content(&thing.found, depth + 1, steps)?;
        }
        Ok(())
    }

    fn list(&self, spot: &Spot) -> Result<Vec<String>> {
        self.overlay.list(spot, self.limits.operations.saturating_sub(self.operations))
    }

    pub(super) fn copy_path(&mut self, source: &str, target: &str) -> Result<()> {
        self.blames_second = false;
        let from = self.resolve(source, true)?;
        self.rules.read(&from.path)?;
        let name = from.name().ok_or(Stop::NotFound)?;
        if !from.thing.found.is_there() {
            return Err(Stop::NotFound);
        }
        no_folder_meant(&from)?;
        self.blames_second = true;
        if let Ok(followed) = self.resolve(target, true)
            && followed.path == from.path
        {
            return Err(Stop::invalid("source and target are the same"));
        }
        let to = self.resolve(target, false)?;
        self.change_target(&to, &from.thing)?;
        if to.path.starts_with(&from.path) {
            return Err(Stop::invalid("a folder is not copied into itself"));
        }
        let (parent, mut steps) = self.parents(&to, true)?;
        self.blames_second = false;
        let from = Origin { parent: &from.parent, name, path: from.path.clone(), thing: from.thing.clone() };
        self.bring(&from, &Goal { parent: &parent, path: to.path }, Manner::Copy, 0, &mut steps)?;
        self.apply(steps);
        Ok(())
    }

    /// Judges a target before anything is staged for it.
    fn change_target(&mut self, to: &Place, thing: &Thing) -> Result<()> {
        let is_folder = matches!(thing.found, Found::Folder(_));
        // A folder that stays is not changed; what comes into it is judged by itself.
        if !(is_folder && matches!(to.thing.found, Found::Folder(_))) {
            self.may_change(&to.path, &to.thing, if is_folder { Aim::Folder } else { Aim::Name })?;
        }
        if to.slash && !is_folder {
            return Err(Stop::invalid("the target is no folder"));
        }
        Ok(())
    }

    pub(super) fn rename_path(&mut self, old: &str, new: &str) -> Result<()> {
        self.blames_second = false;
        let from = self.resolve(old, false)?;
        let displaced = self.may_change(&from.path, &from.thing, Aim::Name)?;
        let name = from.name().ok_or(Stop::NotFound)?;
        if !from.thing.found.is_there() {
            return Err(Stop::NotFound);
        }
        no_folder_meant(&from)?;
        self.blames_second = true;
        let to = self.resolve(new, false)?;
        if to.path == from.path {
            return Ok(());
        }
        self.change_target(&to, &from.thing)?;
        if to.path.starts_with(&from.path) {
            return Err(Stop::invalid("a folder is not moved into itself"));
        }
        if let Found::Folder(spot) = &to.thing.found
            && !self.list(spot)?.is_empty()
        {
            return Err(Stop::invalid("the target is a folder with something in it"));
        }
        let (parent, makes) = self.parents(&to, false)?;
        self.blames_second = false;
        let mut steps = vec![step(&from.path, &from.parent, &from.thing, Node::Absent, displaced)];
        self.remove_content(&from.thing.found, 0, &mut steps)?;
        steps.extend(makes);
        let from = Origin { parent: &from.parent, name, path: from.path.clone(), thing: from.thing.clone() };
        self.bring(&from, &Goal { parent: &parent, path: to.path }, Manner::Move, 0, &mut steps)?;
        self.apply(steps);
        Ok(())
    }

    /// Adds what makes `to` as `from` is, with all that is in it.
    fn bring(
        &mut self,
        from: &Origin<'_>,
        to: &Goal<'_>,
        manner: Manner,
        depth: usize,
        steps: &mut Vec<Step>,
    ) -> Result<()> {
        let name = to.path.file_name().unwrap_or_default();
        let standing = self.overlay.lookup(to.parent, name, &to.path, Guess::Any)?;
        let node = match &from.thing.found {
            Found::Folder(spot) => return self.bring_folder(spot, to, &standing, manner, depth, steps),
            _ if matches!(standing.found, Found::Folder(_)) => {
                return Err(Stop::Invalid(format!("{} is a folder", shown(&to.path))));
            }
            Found::Symlink { asked, .. } => {
                let stored = stored_text(self.overlay.relocated, asked, &to.parent.path)?;
                Node::Symlink { asked: asked.clone(), stored }
            }
            Found::Special => return Err(special()),
            found => self.bring_file(from, found, to, manner)?,
        };
        let displaces = self.may_change(&to.path, &standing, Aim::Name).map_err(|stop| inside(stop, &to.path))?;
        steps.push(step(&to.path, to.parent, &standing, node, displaces));
        Ok(())
    }

    fn bring_file(&mut self, from: &Origin<'_>, found: &Found, to: &Goal<'_>, manner: Manner) -> Result<Node> {
        let source = self.source(from.parent, from.name, &from.path, found).map_err(|stop| inside(stop, &from.path))?;
        if let (Manner::Move, Found::Staged(number)) = (manner, found) {
            let overlay = &mut *self.overlay;
            let place = overlay.staging.folder_for(to.parent.device, &to.path);
            let place = place.map_err(|error| Stop::Disk(format!("cannot reach the staging folder: {error}")))?;
            if overlay.files.get(number).is_some_and(|staged| staged.place.id == place.id) {
                return Ok(Node::File(*number));
            }
        }
        self.stage_copy(source, to.parent, &to.path).map(Node::File)
    }

    fn bring_folder(
        &mut self,
        spot: &Spot,
        to: &Goal<'_>,
        standing: &Thing,
        manner: Manner,
        depth: usize,
        steps: &mut Vec<Step>,
    ) -> Result<()> {
        if depth >= limits::DEPTH {
            return Err(too_deep());
        }
        self.rules.read_folder(spot, self.overlay.entries.get(&spot.path)).map_err(|stop| inside(stop, &spot.path))?;
        let target = match &standing.found {
            Found::Folder(target) => {
                steps.extend(self.ask_for(target, to.parent, standing)?);
                target.clone()
            }
            Found::Nothing => {
                self.may_change(&to.path, standing, Aim::Folder).map_err(|stop| inside(stop, &to.path))?;
                let mode = spot.mode & KEPT_MODE | FOLDER_MODE;
                steps.push(step(&to.path, to.parent, standing, Node::Folder { mode, through: false }, false));
                Spot::made(to.path.clone(), mode, to.parent)
            }
            _ => return Err(Stop::Invalid(format!("{} is not a folder", shown(&to.path)))),
        };
        for name in self.list(spot)? {
            self.tick()?;
            let path = child(&spot.path, &name)?;
            let thing = self.overlay.lookup(spot, &name, &path, Guess::Any)?;
            // What is closed to the hook is closed in a copy, too.
            self.rules.read(&path).map_err(|stop| inside(stop, &path))?;
            let from = Origin { parent: spot, name: &name, path, thing };
            let to = Goal { parent: &target, path: child(&target.path, &name)? };
            self.bring(&from, &to, manner, depth + 1, steps)?;
        }
        Ok(())
    }

    pub(super) fn symlink_path(&mut self, target: &str, link: &str) -> Result<()> {
        super::links::check(target).map_err(Stop::invalid)?;
        let place = self.resolve(link, false)?;
        let displaces = self.may_change(&place.path, &place.thing, Aim::Name)?;
        if place.slash {
            return Err(Stop::invalid("a link's name does not end with '/'"));
        }
        let (parent, mut steps) = self.parents(&place, false)?;
        let stored = stored_text(self.overlay.relocated, target, &parent.path)?;
        self.remove_content(&place.thing.found, 0, &mut steps)?;
        let node = Node::Symlink { asked: target.to_owned(), stored };
        steps.push(step(&place.path, &parent, &place.thing, node, displaces));
        self.apply(steps);
        Ok(())
    }

    pub(super) fn mkdir_path(&mut self, text: &str, mode: u32) -> Result<()> {
        let place = self.resolve(text, true)?;
        match &place.thing.found {
            Found::Folder(spot) => {
                if !self.rules.leads_to_grant(&place.path) {
                    self.rules.read(&place.path)?;
                }
                let steps = self.ask_for(spot, &place.parent, &place.thing)?;
                self.apply(steps.into_iter().collect());
                Ok(())
            }
            Found::Nothing => {
                if !self.rules.leads_to_grant(&place.path) {
                    self.may_change(&place.path, &place.thing, Aim::Folder)?;
                }
                let (parent, mut steps) = self.parents(&place, true)?;
                let node = Node::Folder { mode: mode & KEPT_MODE | FOLDER_MODE, through: false };
                steps.push(step(&place.path, &parent, &place.thing, node, false));
                self.apply(steps);
                Ok(())
            }
            _ => {
                self.rules.read(&place.path)?;
                Err(Stop::invalid("something else than a folder stands there"))
            }
        }
    }

    /// A folder that a hook made, and that this hook asks for too: it is recorded with both.
    fn ask_for(&mut self, spot: &Spot, parent: &Spot, thing: &Thing) -> Result<Option<Step>> {
        let entry = self.overlay.entries.get(&spot.path);
        if !self.rules.may_ask_for(&spot.path) {
            return Ok(None);
        }
        let node = match entry.map(|entry| (&entry.node, &entry.by)) {
            Some((_, by)) if by.is_empty() || by.contains(&self.rules.package) => return Ok(None),
            Some((node @ Node::Folder { .. }, _)) => node.clone(),
            Some(_) => return Ok(None),
            None if self.rules.recorded(&spot.path)?.is_empty() => return Ok(None),
            None => Node::Folder { mode: spot.mode, through: true },
        };
        Ok(Some(step(&spot.path, parent, thing, node, false)))
    }

    /// The folder that the last name of `place` comes into, and what makes it. Without
    /// `all`, only a granted folder that is missing, and those above it, are made.
    pub(super) fn parents(&mut self, place: &Place, all: bool) -> Result<(Spot, Vec<Step>)> {
        let mut parent = place.parent.clone();
        let mut steps = Vec::new();
        let above = place.names.split_last().map_or(&[][..], |(_, above)| above);
        if place.names.iter().any(|name| name == "..") {
            return Err(Stop::NotFound);
        }
        for name in above {
            let path = child(&parent.path, name)?;
            if !all && !self.rules.grant.on_the_way(&path) {
                return Err(Stop::NotFound);
            }
            self.rules.make_parent(&path, &place.path)?;
            self.tick()?;
            let thing = self.overlay.lookup(&parent, name, &path, Guess::Folder)?;
            steps.push(step(&path, &parent, &thing, Node::Folder { mode: 0o755, through: false }, false));
            parent = Spot::made(path, 0o755, &parent);
        }
        Ok((parent, steps))
    }
}

fn child(folder: &RelPath, name: &str) -> Result<RelPath> {
    folder.child(name).map_err(|error| Stop::invalid(error.rule))
}

/// The same, saying which path in the folder that was named is meant.
fn inside(stop: Stop, path: &RelPath) -> Stop {
    match stop {
        Stop::Denied(reason, line) => Stop::Denied(format!("{}: {reason}", shown(path)), line),
        other => other,
    }
}
