//! What a command is going to do: decided first, without touching anything.

mod answering;
mod candidate;
mod goals;
mod limits;
mod outcome;
mod removal;
mod resolve;
mod solver;
#[cfg(test)]
mod tests;
mod why;

use std::collections::HashMap;
use std::fmt;

use packets_plugin_api::ident::{Digest, PackageName};
use packets_plugin_api::storage::{InstalledPackage, Reason};
use packets_plugin_api::version::Version;
use serde::Serialize;

pub use candidate::{Answers, Candidate, Catalogue, Known, Source};
pub use goals::{Release, Wanted, find_goal, find_installed, is_same_release, newest_release, no_release};
pub use outcome::stays_whole;
pub use removal::{removal, removal_of_unneeded, unneeded};
pub use resolve::{Chosen, Problem, Resolution, Resolver, for_this_machine};
pub use solver::Solver;
pub use why::{Link, ways};

use crate::error::{Error, Result};

/// What a command is going to do. Only this module makes one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Plan {
    command: &'static str,
    install: Vec<Installation>,
    remove: Vec<Removal>,
    unchanged: Vec<PackageName>,
    left: Vec<Left>,
}

/// One package that will be installed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Installation {
    name: PackageName,
    version: Version,
    action: Action,
    reason: Reason,
    replaces: Vec<Replaced>,
    size: Option<u64>,
    installed_size: Option<u64>,
    sha256: Digest,
    #[serde(skip)]
    candidate: Candidate,
}

/// An installed package that another one takes the place of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Replaced {
    /// Its name.
    pub name: PackageName,
    /// Its version.
    pub version: Version,
}

/// One package that will go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Removal {
    /// Its name.
    pub name: PackageName,
    /// Its version.
    pub version: Version,
}

/// An installed package that was looked at and stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Left {
    /// Its name.
    pub name: PackageName,
    /// Why it stays.
    pub why: Why,
}

/// Why a package stays as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Why {
    /// The index has no release of it.
    Unlisted,
    /// The index has only older ones.
    Newer,
    /// Somebody holds it.
    Held,
}

/// What is done with a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Nothing of it is there yet.
    Install,
    /// It takes the place of another release.
    Upgrade,
    /// It takes the place of the same release with other bytes.
    Reinstall,
}

impl Installation {
    /// The package's name.
    pub fn name(&self) -> &PackageName {
        &self.name
    }
    /// What it takes the place of.
    pub fn replaces(&self) -> &[Replaced] {
        &self.replaces
    }
    /// What is done.
    pub fn action(&self) -> Action {
        self.action
    }
    /// Whether it was asked for.
    pub fn reason(&self) -> Reason {
        self.reason
    }
    /// The file's digest.
    pub fn digest(&self) -> Digest {
        self.sha256
    }
    /// All that is known of it.
    pub fn candidate(&self) -> &Candidate {
        &self.candidate
    }
}

/// A selection whose files are all known: what [`Plan::install`] is made from.
#[derive(Debug, Default)]
pub struct Selection {
    /// What will be installed, in order.
    pub chosen: Vec<Chosen>,
    /// For each replaced package, who replaces it.
    pub replaced: Vec<(PackageName, PackageName)>,
    /// What was asked for and stands there already.
    pub unchanged: Vec<PackageName>,
    /// What was looked at and stays as it is.
    pub left: Vec<Left>,
}

impl Plan {
    /// The plan for an install or upgrade.
    ///
    /// # Errors
    /// A candidate whose file has no digest yet.
    pub fn install(command: &'static str, selection: Selection, installed: &[InstalledPackage]) -> Result<Self> {
        let mut install = Vec::with_capacity(selection.chosen.len());
        let mut old_of: HashMap<&PackageName, Vec<&InstalledPackage>> = HashMap::new();
        for old in installed {
            let replacing = selection.replaced.iter().filter(|(gone, _)| *gone == old.name).map(|(_, by)| by);
            for by in replacing.chain([&old.name]) {
                old_of.entry(by).or_default().push(old);
            }
        }
        for Chosen { candidate, reason } in selection.chosen {
            let sha256 = candidate.digest.ok_or_else(|| {
                Error::new(crate::error::ErrorKind::Bug, format!("{} was planned before it was packed", candidate.name))
            })?;
            let old = old_of.remove(&candidate.name).unwrap_or_default();
            let same_release = |old: &&InstalledPackage| old.name == candidate.name && old.version == candidate.version;
            let action = match old.as_slice() {
                [] => Action::Install,
                all if all.iter().all(same_release) => Action::Reinstall,
                _ => Action::Upgrade,
            };
            // What was asked for once stays asked for.
            let asked_before = old.iter().any(|package| package.reason == Reason::Asked);
            let replaces =
                old.iter().map(|old| Replaced { name: old.name.clone(), version: old.version.clone() }).collect();
            install.push(Installation {
                name: candidate.name.clone(),
                version: candidate.version.clone(),
                action,
                reason: if asked_before { Reason::Asked } else { reason },
                replaces,
                size: candidate.size,
                installed_size: candidate.installed_size,
                sha256,
                candidate,
            });
        }
        Ok(Self { command, install, remove: Vec::new(), unchanged: selection.unchanged, left: selection.left })
    }

    /// The command that it is for.
    pub fn command(&self) -> &'static str {
        self.command
    }
    /// What will be installed, each after what it needs.
    pub fn installations(&self) -> &[Installation] {
        &self.install
    }
    /// What will be removed, each before what it needs.
    pub fn removals(&self) -> &[Removal] {
        &self.remove
    }
    /// What was asked for and stands there already.
    pub fn unchanged(&self) -> &[PackageName] {
        &self.unchanged
    }
    /// What was looked at and stays as it is.
    pub fn left(&self) -> &[Left] {
        &self.left
    }
    /// Whether nothing is to be done.
    pub fn is_empty(&self) -> bool {
        self.install.is_empty() && self.remove.is_empty()
    }
    /// Whether it does more than what was named.
    pub fn goes_further(&self) -> bool {
        self.install.iter().any(|one| one.reason == Reason::Needed)
    }
}

/// Name and version, and what it takes the place of.
impl fmt::Display for Installation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.version)?;
        for old in self.replaces.iter().filter(|_| self.action == Action::Upgrade) {
            match old.name == self.name {
                true => write!(f, " (from {})", old.version)?,
                false => write!(f, " (from {} {})", old.name, old.version)?,
            }
        }
        Ok(())
    }
}

/// One line a package, as `--dry-run` prints it.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.command == "upgrade" && self.is_empty() && self.unchanged.is_empty() {
            writeln!(f, "everything is up to date")?;
        }
        if self.command == "autoremove" && self.is_empty() {
            writeln!(f, "nothing is there that nobody needs")?;
        }
        for name in &self.unchanged {
            let stands = if self.command == "upgrade" { "up to date" } else { "installed already" };
            writeln!(f, "{name} is {stands}")?;
        }
        self.steps().try_for_each(|step| writeln!(f, "{step}"))
    }
}

impl Plan {
    /// What is done, one line a package.
    pub fn steps(&self) -> impl Iterator<Item = String> {
        let removed = self.remove.iter().map(|one| format!("remove {} {}", one.name, one.version));
        removed.chain(self.install.iter().map(|one| {
            let verb = match one.action {
                Action::Install => "install",
                Action::Upgrade => "upgrade",
                Action::Reinstall => "reinstall",
            };
            let why = if one.reason == Reason::Needed { " (needed)" } else { "" };
            format!("{verb} {one}{why}")
        }))
    }
}

/// Why it stays, in one sentence.
impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.why {
            Why::Unlisted => write!(f, "{} stays as it is: no index has it", self.name),
            Why::Held => write!(f, "{} stays as it is: it is held", self.name),
            Why::Newer => write!(f, "{} stays as it is: it is newer than what the index has", self.name),
        }
    }
}
