//! Which packages a request needs: what is asked, what is answered, and by whom.

use packets_plugin_api::ident::PackageName;
use packets_plugin_api::storage::{InstalledPackage, Reason};

use super::candidate::{Candidate, Catalogue};
use crate::error::Result;

/// A package that will be installed, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    /// The package.
    pub candidate: Candidate,
    /// Whether it was asked for.
    pub reason: Reason,
}

/// What is to be decided.
#[derive(Debug)]
pub struct Problem<'a> {
    /// What is asked for, for refusals: `install` or `upgrade`.
    pub command: &'static str,
    /// What was asked for.
    pub goals: Vec<Candidate>,
    /// What stands there.
    pub installed: &'a [InstalledPackage],
    /// Installed packages that go away or are replaced, by the goal that replaces them.
    pub leaving: Vec<PackageName>,
    /// Installed packages that were asked for as they are, or are held: no other release takes their place.
    pub kept: Vec<PackageName>,
}

/// What a request needs.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Resolution {
    /// The packages to install, each after what it needs where there is no cycle.
    pub chosen: Vec<Chosen>,
    /// Installed packages that give way to a newer release of another name, and to which. One of
    /// the same name is replaced without being listed.
    pub replaced: Vec<(PackageName, PackageName)>,
}

/// Finds what a request needs.
pub trait Resolver {
    /// What to install. The same problem always gives the same answer.
    ///
    /// Guarantee: with what stays installed, everything that is chosen has what it needs and
    /// nothing conflicts; what stays loses nothing that it has now; and no installed package
    /// goes unless a release of the same name or family takes its place.
    ///
    /// # Errors
    /// Which requirement of which package cannot be met, and what could be done.
    fn resolve(&self, problem: &Problem<'_>, known: &dyn Catalogue) -> Result<Resolution>;
}

/// Whether a candidate's programs run here.
pub fn for_this_machine(candidate: &Candidate) -> bool {
    candidate.arch.as_deref().is_none_or(|arch| arch.is_empty() || arch == "any" || arch == std::env::consts::ARCH)
}
