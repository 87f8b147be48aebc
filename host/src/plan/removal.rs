//! What a removal takes with it, and what stands in its way.

use std::collections::{BTreeMap, BTreeSet};

use packets_plugin_api::ident::PackageName;
use packets_plugin_api::storage::InstalledPackage;

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
