//! Who may change, read and enter what.

use packets_plugin_api::hook::PolicyLine;
use packets_plugin_api::ident::PackageName;
use packets_plugin_api::relpath::RelPath;

use super::Owners;
use super::entry::{Entry, Node};
use super::resolve::{Found, Guard, Spot, Thing};
use super::stop::{Result, Stop, shown};
use crate::folder::Stat;
use crate::sandbox::{Area, InForce, Right, policy};

/// The rights of one hook.
pub(super) struct Rules<'a> {
    pub(super) package: PackageName,
    pub(super) may_replace: Vec<PackageName>,
    pub(super) owners: &'a dyn Owners,
    pub(super) grant: InForce,
}

/// What is about to happen at a path; it decides which folder a hint names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Aim {
    /// A file or link comes or goes.
    Name,
    /// A folder comes.
    Folder,
}

fn denied<T>(reason: impl Into<String>, would_allow: Option<PolicyLine>) -> Result<T> {
    Err(Stop::Denied(reason.into(), would_allow))
}

impl Rules<'_> {
    fn is_mine(&self, package: &PackageName) -> bool {
        *package == self.package || self.may_replace.contains(package)
    }

    /// Who has the path on record.
    pub(super) fn recorded(&self, path: &RelPath) -> Result<Vec<PackageName>> {
        let failed = |error| Stop::Disk(format!("cannot tell who owns {}: {error}", shown(path)));
        self.owners.owners(path).map_err(failed)
    }

    /// Whether this package, or one in whose place it comes, has the path on record.
    pub(super) fn owns(&self, path: &RelPath) -> Result<bool> {
        Ok(self.recorded(path)?.iter().any(|owner| self.is_mine(owner)))
    }

    /// Whether the hook may let something else stand at `path`, where `thing` stands now
    /// and `entry` is what the overlay knows of it. Tells whether that displaces others.
    pub(super) fn change(&self, path: &RelPath, thing: &Thing, entry: Option<&Entry>, aim: Aim) -> Result<bool> {
        // What stands there comes back with `replace`, and would be lost with `write`.
        let wanted = if thing.found.is_there() && aim != Aim::Folder { Right::Replace } else { Right::Write };
        let listed = self.grant.may_displace(path);
        let area = self.grant.area(path);
        let (right, top) = match area {
            Area::Closed(reason) => return denied(reason, None),
            Area::OwnFile => return denied("the manifest and the hook files are read only", None),
            Area::OwnData { top: true } if thing.found.is_there() => {
                return denied("the package's data folder itself stays", None);
            }
            Area::OwnData { .. } => return Ok(false),
            Area::Outside | Area::Granted { right: Right::Read, .. } if listed => (Right::Allow, false),
            Area::Outside => {
                let (reason, line) = self.grant.outside(path, wanted);
                return denied(reason, line);
            }
            Area::Granted { right: Right::Read, .. } => {
                return denied("it is granted for reading only", Some(policy(wanted, path)));
            }
            Area::Granted { right, top } => (right, top),
        };
        if !thing.found.is_there() {
            return match entry {
                Some(entry) if entry.displaces && !entry.by.iter().all(|maker| self.is_mine(maker)) => {
                    denied(format!("{} displaces it in this transaction", names(&entry.by)), None)
                }
                _ => Ok(false),
            };
        }
        if self.grant.denied().is_below(path) {
            return denied("something that no hook reaches lies in it", None);
        }
        self.change_standing(path, thing, entry, right, top, listed)
    }

    fn change_standing(
        &self,
        path: &RelPath,
        thing: &Thing,
        entry: Option<&Entry>,
        right: Right,
        top: bool,
        listed: bool,
    ) -> Result<bool> {
        let is_folder = matches!(thing.found, Found::Folder(_));
        // A folder belongs to all that asked for it; a file to whoever made it last.
        let all_mine = |holders: &[PackageName]| match is_folder {
            true => holders.iter().all(|holder| self.is_mine(holder)),
            false => holders.iter().any(|holder| self.is_mine(holder)),
        };
        let mut holders = Vec::new();
        if let Some(entry) = entry {
            if entry.by.is_empty() {
                return denied("the transaction itself makes it", None);
            }
            if !all_mine(&entry.by) {
                return denied(format!("{} makes it in this transaction", names(&entry.by)), None);
            }
            if !matches!(entry.node, Node::Folder { through: true, .. }) {
                return Ok(false);
            }
            holders.clone_from(&entry.by);
        }
        let recorded = self.recorded(path)?;
        if !recorded.is_empty() {
            holders.extend(recorded);
            return match all_mine(&holders) {
                true => Ok(false),
                false if listed => Ok(true),
                false => denied(format!("it belongs to {}", names(&holders)), Some(policy(Right::Replace, path))),
            };
        }
        if !holders.is_empty() {
            return Ok(false);
        }
        match right {
            _ if listed => Ok(true),
            Right::Write if is_folder && top => denied("a granted folder itself stays", None),
            Right::Write => Ok(false),
            _ => denied("no package owns it", Some(policy(Right::Replace, path))),
        }
    }

    /// Whether `path` is a granted folder or above one: as a folder it may be there, and be made.
    pub(super) fn leads_to_grant(&self, path: &RelPath) -> bool {
        self.grant.closed_way(path).is_none() && self.grant.on_the_way(path)
    }

    /// Whether asking for the folder `path`, which is there, is recorded.
    pub(super) fn may_ask_for(&self, path: &RelPath) -> bool {
        matches!(self.grant.area(path), Area::Granted { right, .. } if right != Right::Read)
    }

    /// Whether `path` lies where the hook may make missing folders: in a granted folder, or above one.
    pub(super) fn make_parent(&self, path: &RelPath, target: &RelPath) -> Result<()> {
        if self.leads_to_grant(path) {
            return Ok(());
        }
        let nothing = Thing { found: Found::Nothing, old: None };
        match self.change(path, &nothing, None, Aim::Folder) {
            Err(Stop::Denied(reason, Some(_))) => denied(reason, Some(policy(Right::Write, target))),
            judged => judged.map(drop),
        }
    }

    /// Whether the hook may read in general at `path`.
    pub(super) fn read(&self, path: &RelPath) -> Result<()> {
        match self.grant.area(path) {
            Area::Closed(reason) => denied(reason, None),
            Area::OwnData { .. } | Area::OwnFile | Area::Granted { .. } => Ok(()),
            Area::Outside if self.grant.may_displace(path) => Ok(()),
            Area::Outside => {
                let (reason, line) = self.grant.outside(path, Right::Read);
                denied(reason, line)
            }
        }
    }

    /// Whether the hook may read what the file or folder at `path` holds: everyone may,
    /// or the package owns it, or it lies in the package's own folder.
    pub(super) fn read_content(&self, path: &RelPath, mode: u32, entry: Option<&Entry>) -> Result<()> {
        let made = entry.is_some_and(|entry| entry.by.iter().any(|maker| self.is_mine(maker)));
        let own = matches!(self.grant.area(path), Area::OwnData { .. } | Area::OwnFile);
        if mode & 0o004 != 0 || made || own || self.owns(path)? {
            return Ok(());
        }
        denied(format!("not everyone may read it (mode {mode:04o})"), None)
    }

    /// Whether the folder at `path` may be listed and its content read.
    pub(super) fn read_folder(&self, spot: &Spot, entry: Option<&Entry>) -> Result<()> {
        self.enter(spot)?;
        self.read_content(&spot.path, spot.mode, entry)
    }

    /// Reading an open file of the disk: judged by the handle, not by the name.
    pub(super) fn read_open(&self, path: &RelPath, stat: &Stat) -> Result<()> {
        self.read_content(path, stat.mode, None)
    }
}

impl Guard for Rules<'_> {
    /// A hook goes only where everyone may, so that a path tells nothing about closed
    /// folders; and besides where its grants lead, and in what its package made.
    fn enter(&self, spot: &Spot) -> Result<()> {
        if let Some(reason) = self.grant.closed_way(&spot.path) {
            return denied(reason, None);
        }
        let on_disk = spot.base.as_ref().is_some_and(|base| !base.in_tree);
        if !on_disk || spot.mode & 0o001 != 0 || self.grant.on_the_way(&spot.path) || self.owns(&spot.path)? {
            return Ok(());
        }
        if matches!(self.grant.area(&spot.path), Area::OwnData { .. }) {
            return Ok(());
        }
        denied(format!("not everyone may enter {} (mode {:04o})", shown(&spot.path), spot.mode), None)
    }

    /// `/srv/somebody/../..` would tell whether somebody is there.
    fn leave(&self, spot: &Spot) -> Result<()> {
        match self.grant.area(&spot.path) {
            Area::Outside if !self.grant.on_the_way(&spot.path) => self.read(&spot.path),
            _ => Ok(()),
        }
    }

    fn doubts(&self, path: &RelPath) -> bool {
        self.grant.area(path) != Area::Outside
    }

    /// Where a hook may not read it is told the same whatever stands there.
    fn tell(&self, path: &RelPath, stop: Stop) -> Stop {
        match self.read(path) {
            Err(denied) => denied,
            Ok(()) => stop,
        }
    }
}

/// Resolves what is granted. A link that a package's hook made, now or earlier, must not
/// carry a grant elsewhere: such a link is granted as the name that it is.
pub(super) struct Granting<'a>(pub(super) &'a dyn Owners);

impl Guard for Granting<'_> {
    fn enter(&self, _: &Spot) -> Result<()> {
        Ok(())
    }

    fn follow(&self, path: &RelPath, made: bool, last: bool) -> Result<bool> {
        let made = made || {
            let failed = |error| Stop::Disk(format!("cannot tell who owns {}: {error}", shown(path)));
            !self.0.owners(path).map_err(failed)?.is_empty()
        };
        match made && !last {
            true => denied(format!("the link {} on the way to it was made by a hook", shown(path)), None),
            false => Ok(!made),
        }
    }
}

fn names(packages: &[PackageName]) -> String {
    packages.iter().map(PackageName::as_str).collect::<Vec<_>>().join(", ")
}
