//! What a removal takes with it, and what stands in its way.

use std::cell::LazyCell;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use packets_plugin_api::ident::PackageName;
use packets_plugin_api::requirement::Requirement;
use packets_plugin_api::storage::{InstalledPackage, Reason};

use super::answering::Answering;
use super::{Plan, Removal, find_installed};
use crate::error::{Error, Result};

/// The plan for a removal; `cascade` takes what needs the packages along.
///
/// # Errors
/// A package that is not installed, or that others need.
pub fn removal(names: &[PackageName], installed: &[InstalledPackage], cascade: bool) -> Result<Plan> {
    let by_name: HashMap<&PackageName, &InstalledPackage> = installed.iter().map(|one| (&one.name, one)).collect();
    let mut going: HashSet<&PackageName> = HashSet::new();
    for name in names {
        let package = by_name.get(name).map_or_else(|| find_installed(name, installed), |package| Ok(*package))?;
        going.insert(&package.name);
    }
    // Mostly nobody needs what goes, and nobody asks who else has it.
    let all = LazyCell::new(|| Answering::of(installed.iter()));
    loop {
        let stays = |package: &InstalledPackage| !going.contains(&package.name);
        let is_kept = |requirement: &Requirement| all.satisfying(requirement).any(stays);
        let broken = broken(&going, installed, is_kept);
        let Some((needy, needed)) = broken.first() else { break };
        if !cascade {
            let (needy, needed) = (&needy.name, &needed.name);
            return Err(Error::request(format!("cannot remove {needed}: the installed {needy} needs it"))
                .hint(format!("`packets remove {needed} {needy}` removes both; --cascade removes all that needs it")));
        }
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
        remove: ordered(&going, installed),
        unchanged: Vec::new(),
        left: Vec::new(),
    })
}

/// The plan for the removal of what nobody needs.
pub fn removal_of_unneeded(installed: &[InstalledPackage]) -> Plan {
    let going = unneeded(installed.iter()).into_iter().collect();
    let remove = ordered(&going, installed);
    Plan { command: "autoremove", install: Vec::new(), remove, unchanged: Vec::new(), left: Vec::new() }
}

/// The packages that came along and that nothing needs which was asked for or is held, by name. Whatever could meet
/// a requirement counts as needed: of several, nobody can tell which one is used.
pub fn unneeded<'a>(installed: impl Iterator<Item = &'a InstalledPackage> + Clone) -> BTreeSet<&'a PackageName> {
    let answering = Answering::of(installed.clone());
    let is_wanted = |package: &&InstalledPackage| package.reason == Reason::Asked || package.held;
    let mut queue: Vec<&InstalledPackage> = installed.clone().filter(is_wanted).collect();
    let mut needed: HashSet<&PackageName> = queue.iter().map(|package| &package.name).collect();
    while let Some(package) = queue.pop() {
        for other in package.requires.iter().flat_map(|requirement| answering.satisfying(requirement)) {
            if needed.insert(&other.name) {
                queue.push(other);
            }
        }
    }
    installed.map(|package| &package.name).filter(|name| !needed.contains(name)).collect()
}

/// The packages that stay but lose what they need and nobody has who stays, and who has it.
fn broken<'a>(
    going: &HashSet<&PackageName>,
    installed: &'a [InstalledPackage],
    is_kept: impl Fn(&Requirement) -> bool,
) -> Vec<(&'a InstalledPackage, &'a InstalledPackage)> {
    let goes = |package: &&InstalledPackage| going.contains(&package.name);
    let leaving = Answering::of(installed.iter().filter(goes));
    let lost = |requirement| leaving.satisfying(requirement).next().filter(|_| !is_kept(requirement));
    let stays = installed.iter().filter(|package| !goes(package));
    stays.filter_map(|package| Some((package, package.requires.iter().find_map(lost)?))).collect()
}

/// Each package before those that it needs; by name where nothing decides.
fn ordered(going: &HashSet<&PackageName>, installed: &[InstalledPackage]) -> Vec<Removal> {
    let leaving = || installed.iter().filter(|package| going.contains(&package.name));
    let answering = Answering::of(leaving());
    let mut left: BTreeMap<&PackageName, &InstalledPackage> =
        leaving().map(|package| (&package.name, package)).collect();
    let needs = |package: &InstalledPackage| -> HashSet<&PackageName> {
        let needed = package.requires.iter().flat_map(|requirement| answering.satisfying(requirement));
        needed.map(|needed| &needed.name).filter(|name| **name != package.name).collect()
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
