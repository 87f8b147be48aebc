//! What a removal takes with it, and what stands in its way.

use std::collections::{BTreeMap, BTreeSet, HashMap};

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
    let mut going: BTreeSet<PackageName> = BTreeSet::new();
    for name in names {
        going.insert(find_installed(name, installed)?.name.clone());
    }
    while let Some((needy, needed)) = broken(&going, installed) {
        if !cascade {
            return Err(Error::request(format!("cannot remove {needed}: the installed {needy} needs it"))
                .hint(format!("`packets remove {needed} {needy}` removes both; --cascade removes all that needs it")));
        }
        if installed.iter().any(|package| package.name == needy && package.held) {
            return Err(Error::request(format!("cannot remove {needed}: {needy} needs it and is held"))
                .hint(format!("`packets unhold {needy}` lets it go")));
        }
        going.insert(needy);
    }
    Ok(Plan {
        command: "remove",
        install: Vec::new(),
        remove: ordered(&going, installed),
        unchanged: Vec::new(),
        left: Vec::new(),
    })
}

/// The plan for the removal of what nobody needs.
pub fn removal_of_unneeded(installed: &[InstalledPackage]) -> Plan {
    let going = unneeded(installed).into_iter().cloned().collect();
    let remove = ordered(&going, installed);
    Plan { command: "autoremove", install: Vec::new(), remove, unchanged: Vec::new(), left: Vec::new() }
}

/// The packages that came along and that nothing needs which was asked for or is held, by name. Whatever could meet
/// a requirement counts as needed: of several, nobody can tell which one is used.
pub fn unneeded(installed: &[InstalledPackage]) -> BTreeSet<&PackageName> {
    let mut by_name: HashMap<&PackageName, Vec<&InstalledPackage>> = HashMap::new();
    for package in installed {
        for name in [&package.name].into_iter().chain(&package.alias).chain(&package.provides) {
            by_name.entry(name).or_default().push(package);
        }
    }
    let mut needed: BTreeSet<&PackageName> = BTreeSet::new();
    let mut queue: Vec<&InstalledPackage> =
        installed.iter().filter(|package| package.reason == Reason::Asked || package.held).collect();
    while let Some(package) = queue.pop() {
        if needed.insert(&package.name) {
            for constraint in package.requires.iter().flat_map(Requirement::alternatives) {
                let named = by_name.get(&constraint.name).into_iter().flatten();
                queue.extend(named.filter(|other| other.answers(constraint)));
            }
        }
    }
    installed.iter().map(|package| &package.name).filter(|name| !needed.contains(name)).collect()
}

/// A package that stays but loses what it needs, and what that is.
fn broken(going: &BTreeSet<PackageName>, installed: &[InstalledPackage]) -> Option<(PackageName, PackageName)> {
    let stays = |package: &&InstalledPackage| !going.contains(&package.name);
    installed.iter().filter(stays).find_map(|package| {
        package.requires.iter().find_map(|requirement| {
            let lost = installed.iter().find(|other| going.contains(&other.name) && other.satisfies(requirement))?;
            let kept = installed.iter().filter(stays).any(|other| other.satisfies(requirement));
            (!kept).then(|| (package.name.clone(), lost.name.clone()))
        })
    })
}

/// Each package before those that it needs; by name where nothing decides.
fn ordered(going: &BTreeSet<PackageName>, installed: &[InstalledPackage]) -> Vec<Removal> {
    let mut left: BTreeMap<&PackageName, &InstalledPackage> = installed
        .iter()
        .filter(|package| going.contains(&package.name))
        .map(|package| (&package.name, package))
        .collect();
    let mut order = Vec::new();
    while !left.is_empty() {
        let unneeded = |package: &InstalledPackage| {
            !left.values().any(|other| {
                other.name != package.name && other.requires.iter().any(|requirement| package.satisfies(requirement))
            })
        };
        // In a cycle nobody is unneeded: the first by name begins.
        let next = left
            .values()
            .find(|package| unneeded(package))
            .or_else(|| left.values().next())
            .map(|package| package.name.clone());
        let Some(package) = next.and_then(|name| left.remove(&name)) else { break };
        order.push(Removal { name: package.name.clone(), version: package.version.clone() });
    }
    order
}
