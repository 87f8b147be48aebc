//! What a removal takes with it, and what stands in its way.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use packets_plugin_api::ident::PackageName;
use packets_plugin_api::requirement::Requirement;
use packets_plugin_api::storage::{InstalledPackage, Reason};

use super::{Answers, Plan, Removal, find_installed};
use crate::error::{Error, Result};

/// The plan for a removal; `cascade` takes what needs the packages along.
///
/// # Errors
/// A package that is not installed, or that others need.
pub fn removal(names: &[PackageName], installed: &[InstalledPackage], cascade: bool) -> Result<Plan> {
    let by_name: HashMap<&PackageName, &InstalledPackage> = installed.iter().map(|one| (&one.name, one)).collect();
    let answering = Answering::of(installed);
    let mut going: HashSet<&PackageName> = HashSet::new();
    for name in names {
        let package = by_name.get(name).map_or_else(|| find_installed(name, installed), |package| Ok(*package))?;
        going.insert(&package.name);
    }
    loop {
        let mut broken = broken(&going, installed, &answering).peekable();
        let Some((needy, needed)) = broken.peek() else { break };
        if !cascade {
            let (needy, needed) = (&needy.name, &needed.name);
            return Err(Error::request(format!("cannot remove {needed}: the installed {needy} needs it"))
                .hint(format!("`packets remove {needed} {needy}` removes both; --cascade removes all that needs it")));
        }
        let broken: Vec<_> = broken.collect();
        if let Some((held, needed)) = broken.iter().find(|(needy, _)| needy.held) {
            let (held, needed) = (&held.name, &needed.name);
            return Err(Error::request(format!("cannot remove {needed}: {held} needs it and is held"))
                .hint(format!("`packets unhold {held}` lets it go")));
        }
        going.extend(broken.iter().map(|(needy, _)| &needy.name));
    }
    Ok(Plan {
        command: "remove",
        install: Vec::new(),
        remove: ordered(&going, installed, &answering),
        unchanged: Vec::new(),
        left: Vec::new(),
    })
}

/// The plan for the removal of what nobody needs.
pub fn removal_of_unneeded(installed: &[InstalledPackage]) -> Plan {
    let going = unneeded(installed).into_iter().collect();
    let remove = ordered(&going, installed, &Answering::of(installed));
    Plan { command: "autoremove", install: Vec::new(), remove, unchanged: Vec::new(), left: Vec::new() }
}

/// The packages that came along and that nothing needs which was asked for or is held, by name. Whatever could meet
/// a requirement counts as needed: of several, nobody can tell which one is used.
pub fn unneeded(installed: &[InstalledPackage]) -> BTreeSet<&PackageName> {
    let answering = Answering::of(installed);
    let mut needed: BTreeSet<&PackageName> = BTreeSet::new();
    let mut queue: Vec<&InstalledPackage> =
        installed.iter().filter(|package| package.reason == Reason::Asked || package.held).collect();
    while let Some(package) = queue.pop() {
        if needed.insert(&package.name) {
            queue.extend(package.requires.iter().flat_map(|requirement| answering.satisfying(requirement)));
        }
    }
    installed.iter().map(|package| &package.name).filter(|name| !needed.contains(name)).collect()
}

/// Installed packages, by all names that they answer to.
struct Answering<'a>(HashMap<&'a PackageName, Vec<&'a InstalledPackage>>);

impl<'a> Answering<'a> {
    fn of(installed: &'a [InstalledPackage]) -> Self {
        let mut all: HashMap<&PackageName, Vec<&InstalledPackage>> = HashMap::new();
        for package in installed {
            for name in [&package.name].into_iter().chain(&package.alias).chain(&package.provides) {
                all.entry(name).or_default().push(package);
            }
        }
        Self(all)
    }

    /// Those that satisfy any alternative of this requirement; some more than once.
    fn satisfying(&self, requirement: &Requirement) -> impl Iterator<Item = &'a InstalledPackage> {
        requirement.alternatives().iter().flat_map(|constraint| {
            let named = self.0.get(&constraint.name).into_iter().flatten().copied();
            named.filter(|package| package.answers(constraint))
        })
    }
}

/// The packages that stay but lose what they need, and what that is.
fn broken<'a>(
    going: &HashSet<&PackageName>,
    installed: &'a [InstalledPackage],
    answering: &Answering<'a>,
) -> impl Iterator<Item = (&'a InstalledPackage, &'a InstalledPackage)> {
    let goes = |package: &&InstalledPackage| going.contains(&package.name);
    let lost = move |requirement| {
        let (lost, kept): (Vec<_>, Vec<_>) = answering.satisfying(requirement).partition(goes);
        lost.into_iter().next().filter(|_| kept.is_empty())
    };
    installed.iter().filter(move |package| !goes(package)).filter_map(move |package| {
        let lost = package.requires.iter().find_map(lost)?;
        Some((package, lost))
    })
}

/// Each package before those that it needs; by name where nothing decides.
fn ordered(going: &HashSet<&PackageName>, installed: &[InstalledPackage], answering: &Answering<'_>) -> Vec<Removal> {
    let mut left: BTreeMap<&PackageName, &InstalledPackage> = installed
        .iter()
        .filter(|package| going.contains(&package.name))
        .map(|package| (&package.name, package))
        .collect();
    let needs = |package: &InstalledPackage| -> HashSet<&PackageName> {
        let needed = package.requires.iter().flat_map(|requirement| answering.satisfying(requirement));
        needed.map(|needed| &needed.name).filter(|name| **name != package.name && going.contains(name)).collect()
    };
    // How many packages need each that have not gone.
    let mut needed: HashMap<&PackageName, usize> = HashMap::new();
    for name in left.values().flat_map(|package| needs(package)) {
        *needed.entry(name).or_default() += 1;
    }
    let mut unneeded: BTreeSet<&PackageName> = left.keys().copied().filter(|name| !needed.contains_key(name)).collect();
    let mut order = Vec::new();
    // In a cycle nobody is unneeded: the first by name begins.
    while let Some(name) = unneeded.pop_first().or_else(|| left.keys().next().copied()) {
        let Some(package) = left.remove(name) else { continue };
        order.push(Removal { name: package.name.clone(), version: package.version.clone() });
        for name in needs(package) {
            let count = needed.entry(name).or_default();
            *count = count.saturating_sub(1);
            if *count == 0 && left.contains_key(name) {
                unneeded.insert(name);
            }
        }
    }
    order
}
