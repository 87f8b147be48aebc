//! Why a package is installed: the ways from what was asked for to it.

use std::collections::{HashMap, VecDeque};

use packets_plugin_api::ident::PackageName;
use packets_plugin_api::requirement::Requirement;
use packets_plugin_api::storage::{InstalledPackage, Reason};
use packets_plugin_api::version::Version;
use serde::Serialize;

use super::answering::Requiring;

/// One package of a way, and what it needs of the next one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Link {
    /// Its name.
    pub package: PackageName,
    /// Its version.
    pub version: Version,
    /// The requirement that the next one meets; none for the last.
    pub needs: Option<Requirement>,
}

/// The shortest way from each package that was asked for to `package`, the shortest first.
pub fn ways(package: &InstalledPackage, installed: &[InstalledPackage]) -> Vec<Vec<Link>> {
    // From the package up to what needs it: one walk finds the shortest ways from everywhere.
    let mut towards: HashMap<&PackageName, (&InstalledPackage, &Requirement)> = HashMap::new();
    let requiring = Requiring::of(installed);
    let mut queue = VecDeque::from([package]);
    let mut asked = Vec::new();
    while let Some(needed) = queue.pop_front() {
        for (user, wanted) in requiring.satisfied_by(needed) {
            if user.name == package.name || towards.contains_key(&user.name) {
                continue;
            }
            towards.insert(&user.name, (needed, wanted));
            queue.push_back(user);
            if user.reason == Reason::Asked {
                asked.push(user);
            }
        }
    }
    asked.into_iter().map(|start| way(start, &towards)).collect()
}

fn way(start: &InstalledPackage, towards: &HashMap<&PackageName, (&InstalledPackage, &Requirement)>) -> Vec<Link> {
    let mut way = Vec::new();
    let mut at = start;
    loop {
        let next = towards.get(&at.name);
        way.push(Link {
            package: at.name.clone(),
            version: at.version.clone(),
            needs: next.map(|(_, wanted)| (*wanted).clone()),
        });
        match next {
            Some((needed, _)) => at = needed,
            None => return way,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{installed, name};
    use super::*;

    fn needed(text: &str, requires: &[&str]) -> InstalledPackage {
        InstalledPackage { reason: Reason::Needed, ..installed(text, requires) }
    }

    fn shown(package: &str, all: &[InstalledPackage]) -> Vec<String> {
        let package = all.iter().find(|one| one.name == name(package)).unwrap();
        let names = |way: Vec<Link>| way.iter().map(|link| link.package.to_string()).collect::<Vec<_>>().join(" ");
        ways(package, all).into_iter().map(names).collect()
    }

    #[test]
    fn the_shortest_way_from_each_that_was_asked_for() {
        let all = [
            installed("app", &["lib | other", "base"]),
            needed("base", &[]),
            needed("lib", &["base"]),
            installed("tool", &["lib"]),
            installed("alone", &[]),
        ];
        assert_eq!(shown("base", &all), ["app base", "tool lib base"]);
        assert_eq!(shown("lib", &all), ["app lib", "tool lib"]);
        assert_eq!(shown("alone", &all), Vec::<String>::new());
    }

    #[test]
    fn cycles_end() {
        let all = [needed("a", &["b"]), needed("b", &["a"]), installed("app", &["a"])];
        assert_eq!(shown("b", &all), ["app a b"]);
        assert_eq!(shown("a", &all), ["app a"]);
        let nobody = [needed("a", &["b"]), needed("b", &["a"])];
        assert_eq!(shown("a", &nobody), Vec::<String>::new());
    }
}
