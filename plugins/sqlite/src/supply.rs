//! Which packages answer which requirements, for v1's column `dependencies`.

use std::collections::HashMap;

use packets_plugin_api::ident::PackageName;
use packets_plugin_api::requirement::{Constraint, Requirement};
use packets_plugin_api::version::Version;

/// What one package answers to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Offer<'a> {
    pub(crate) name: &'a PackageName,
    pub(crate) alias: Option<&'a PackageName>,
    pub(crate) provides: &'a [PackageName],
    pub(crate) version: &'a Version,
}

/// What to do with a requirement that nothing answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unmet {
    /// It is left out.
    LeaveOut,
    /// The first name that it names stands for it.
    Name,
}

/// The offers of all packages, by what they answer to.
pub(crate) struct Supply<'a> {
    offers: &'a [Offer<'a>],
    by_name: HashMap<&'a str, usize>,
    by_alias: HashMap<&'a str, Vec<usize>>,
    by_provided: HashMap<&'a str, Vec<usize>>,
}

impl<'a> Supply<'a> {
    /// Of several that answer to a name, the later in `offers` is the better.
    pub(crate) fn new(offers: &'a [Offer<'a>]) -> Self {
        let mut supply =
            Self { offers, by_name: HashMap::new(), by_alias: HashMap::new(), by_provided: HashMap::new() };
        supply.by_name.reserve(offers.len());
        for (at, offer) in offers.iter().enumerate() {
            supply.by_name.insert(offer.name.as_str(), at);
            if let Some(alias) = offer.alias {
                supply.by_alias.entry(alias.as_str()).or_default().push(at);
            }
            for name in offer.provides {
                supply.by_provided.entry(name.as_str()).or_default().push(at);
            }
        }
        supply
    }

    /// The best answer: by name, else by alias, else by what packages provide
    /// (which has no version, so that it answers only where none is asked for).
    fn best(&self, constraint: &'a Constraint) -> Option<&'a PackageName> {
        let asked = constraint.name.as_str();
        let admitted = |at: &usize| constraint.admits(self.offers[*at].version);
        let last = |found: Option<&Vec<usize>>, versioned: bool| {
            found?.iter().rev().find(|at| !versioned || admitted(at)).copied()
        };
        let provided = || last(self.by_provided.get(asked), false).filter(|_| constraint.version.is_none());
        self.by_name
            .get(asked)
            .copied()
            .filter(admitted)
            .or_else(|| last(self.by_alias.get(asked), true))
            .or_else(provided)
            .map(|at| self.offers[at].name)
    }

    /// The names of the packages that answer the requirements of `own`, between
    /// spaces, each once; `own` itself is never among them.
    pub(crate) fn names(&self, own: &PackageName, requires: &'a [Requirement], unmet: Unmet) -> String {
        let mut names: Vec<&str> = Vec::new();
        for requirement in requires {
            let alternatives = requirement.alternatives();
            let answer = alternatives.iter().find_map(|constraint| self.best(constraint));
            let name = match (answer, unmet) {
                (Some(name), _) => Some(name),
                (None, Unmet::Name) => alternatives.first().map(|constraint| &constraint.name),
                (None, Unmet::LeaveOut) => None,
            };
            if let Some(name) = name.filter(|name| *name != own).map(PackageName::as_str)
                && !names.contains(&name)
            {
                names.push(name);
            }
        }
        names.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_candidate_answers() {
        let name = |text: &str| text.parse::<PackageName>().unwrap();
        let version = |text: &str| text.parse::<Version>().unwrap();
        let (old, new, exact, bus) = (name("go1.23"), name("go1.24"), name("zlib"), name("dbus-broker"));
        let (go, dbus) = (name("go"), [name("dbus")]);
        let (v23, v24, v1) = (version("1.23"), version("1.24"), version("1.3"));
        let offers = [
            Offer { name: &old, alias: Some(&go), provides: &[], version: &v23 },
            Offer { name: &new, alias: Some(&go), provides: &[], version: &v24 },
            Offer { name: &exact, alias: None, provides: &[], version: &v1 },
            Offer { name: &bus, alias: None, provides: &dbus, version: &v1 },
        ];
        let supply = Supply::new(&offers);
        let own = name("own");
        for (requirement, expected) in [
            ("go", "go1.24"),
            ("go<1.24", "go1.23"),
            ("go>2", ""),
            ("nothing | zlib", "zlib"),
            ("zlib>=2 | dbus", "dbus-broker"),
            ("dbus>=1", ""),
        ] {
            let requires = [requirement.parse().unwrap()];
            assert_eq!(supply.names(&own, &requires, Unmet::LeaveOut), expected, "{requirement}");
        }
        let requires = ["go", "zlib", "go>=1.24", "gone"].map(|text| text.parse().unwrap());
        assert_eq!(supply.names(&own, &requires, Unmet::Name), "go1.24 zlib gone");
        assert_eq!(supply.names(&exact, &requires, Unmet::LeaveOut), "go1.24");
    }
}
