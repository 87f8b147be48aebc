//! Installed packages, looked up by what they answer to.

use std::collections::HashMap;

use packets_plugin_api::ident::PackageName;
use packets_plugin_api::requirement::Requirement;
use packets_plugin_api::storage::InstalledPackage;

use super::Answers;

/// All names that a package answers to.
pub(super) fn names(package: &InstalledPackage) -> impl Iterator<Item = &PackageName> {
    [&package.name].into_iter().chain(&package.alias).chain(&package.provides)
}

/// Packages by all names that they answer to.
pub(super) struct Answering<'a>(HashMap<&'a PackageName, Vec<&'a InstalledPackage>>);

impl<'a> Answering<'a> {
    pub(super) fn of(packages: impl Iterator<Item = &'a InstalledPackage>) -> Self {
        let mut all: HashMap<&PackageName, Vec<&InstalledPackage>> = HashMap::with_capacity(packages.size_hint().0);
        for package in packages {
            names(package).for_each(|name| all.entry(name).or_default().push(package));
        }
        Self(all)
    }

    /// Those that satisfy any alternative of this requirement; some more than once.
    pub(super) fn satisfying(&self, requirement: &Requirement) -> impl Iterator<Item = &'a InstalledPackage> {
        requirement.alternatives().iter().flat_map(|constraint| {
            let named = self.0.get(&constraint.name).into_iter().flatten().copied();
            named.filter(|package| package.answers(constraint))
        })
    }
}

/// What installed packages require, by each name that is asked for.
pub(super) struct Requiring<'a> {
    installed: &'a [InstalledPackage],
    /// The number of a package, and that of its requirement.
    by_name: HashMap<&'a PackageName, Vec<(usize, usize)>>,
}

impl<'a> Requiring<'a> {
    pub(super) fn of(installed: &'a [InstalledPackage]) -> Self {
        let mut by_name: HashMap<&PackageName, Vec<(usize, usize)>> = HashMap::new();
        for (number, package) in installed.iter().enumerate() {
            for (which, requirement) in package.requires.iter().enumerate() {
                for constraint in requirement.alternatives() {
                    by_name.entry(&constraint.name).or_default().push((number, which));
                }
            }
        }
        Self { installed, by_name }
    }

    /// The requirements that this package satisfies, and whose they are, in the order of the packages.
    pub(super) fn satisfied_by(&self, package: &InstalledPackage) -> Vec<(&'a InstalledPackage, &'a Requirement)> {
        let mut places: Vec<(usize, usize)> =
            names(package).filter_map(|name| self.by_name.get(name)).flatten().copied().collect();
        places.sort_unstable();
        places.dedup();
        let at = |(number, which): (usize, usize)| {
            let user = &self.installed[number];
            (user, &user.requires[which])
        };
        places.into_iter().map(at).filter(|(_, requirement)| package.satisfies(requirement)).collect()
    }
}
