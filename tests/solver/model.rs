//! What an answer of the solver must be, said once more and without a solver: who answers to
//! what, whether a set of packages is whole, and which packages can be asked for together.

use std::collections::{BTreeSet, HashMap};

use packets_plugin_api::requirement::{Constraint, Requirement};
use packets_plugin_api::storage::IndexEntry;
use packets_tests::Random;

/// The packages of an index by all names that they answer to.
pub(crate) struct Model<'a> {
    pub(crate) entries: &'a [IndexEntry],
    by_name: HashMap<&'a str, usize>,
    by_answer: HashMap<&'a str, Vec<usize>>,
}

impl<'a> Model<'a> {
    pub(crate) fn new(entries: &'a [IndexEntry]) -> Self {
        let mut model = Self { entries, by_name: HashMap::new(), by_answer: HashMap::new() };
        for (at, entry) in entries.iter().enumerate() {
            model.by_name.insert(entry.name.as_str(), at);
            let names: BTreeSet<&str> = [&entry.name]
                .into_iter()
                .chain(&entry.alias)
                .chain(&entry.provides)
                .map(|name| name.as_str())
                .collect();
            for name in names {
                model.by_answer.entry(name).or_default().push(at);
            }
        }
        model
    }

    fn answers(entry: &IndexEntry, constraint: &Constraint) -> bool {
        let own = entry.name == constraint.name || entry.alias.as_ref() == Some(&constraint.name);
        own && constraint.admits(&entry.version)
            || constraint.version.is_none() && entry.provides.contains(&constraint.name)
    }

    /// The packages that satisfy a requirement.
    fn options(&self, requirement: &Requirement) -> BTreeSet<usize> {
        let of = |constraint: &Constraint| {
            let all = self.by_answer.get(constraint.name.as_str()).into_iter().flatten().copied();
            all.filter(|at| Self::answers(&self.entries[*at], constraint)).collect::<Vec<_>>()
        };
        requirement.alternatives().iter().flat_map(of).collect()
    }

    /// What is wrong with a set of packages: a need that is not met, or two that conflict.
    pub(crate) fn faults(&self, names: &BTreeSet<&str>) -> Vec<String> {
        let chosen: BTreeSet<usize> = names.iter().map(|name| self.by_name[name]).collect();
        let mut faults = Vec::new();
        for &at in &chosen {
            let entry = &self.entries[at];
            for requirement in &entry.requires {
                if self.options(requirement).is_disjoint(&chosen) {
                    faults.push(format!("{} lacks {requirement}", entry.name));
                }
            }
            for conflict in &entry.conflicts {
                for other in self.options(conflict).intersection(&chosen).filter(|other| **other != at) {
                    faults.push(format!("{} conflicts with {}", entry.name, self.entries[*other].name));
                }
            }
        }
        faults
    }

    /// The packages of a set that meet no need of another one.
    pub(crate) fn unasked(&self, names: &BTreeSet<&str>) -> Vec<&'a str> {
        let chosen: BTreeSet<usize> = names.iter().map(|name| self.by_name[name]).collect();
        let needed = |of: &usize| {
            self.entries[*of]
                .requires
                .iter()
                .flat_map(|wanted| self.options(wanted))
                .filter(|at| at != of)
                .collect::<Vec<_>>()
        };
        let needed: BTreeSet<usize> = chosen.iter().flat_map(needed).collect();
        chosen.difference(&needed).map(|at| self.entries[*at].name.as_str()).collect()
    }

    /// What comes with a package in any case: what it needs and only one package can be, and so
    /// on. None where something of it is nowhere.
    fn certain(&self, first: usize) -> Option<BTreeSet<usize>> {
        let mut certain = BTreeSet::from([first]);
        let mut next = vec![first];
        while let Some(at) = next.pop() {
            for requirement in &self.entries[at].requires {
                let options = self.options(requirement);
                let only = options.first().filter(|_| options.len() < 2);
                if let Some(&only) = only {
                    if certain.insert(only) {
                        next.push(only);
                    }
                } else if options.is_empty() {
                    return None;
                }
            }
        }
        Some(certain)
    }

    fn conflict_within(&self, new: &BTreeSet<usize>, all: &BTreeSet<usize>) -> bool {
        let conflicts = |one: usize, others: &BTreeSet<usize>| {
            let of = |conflict| self.options(conflict).intersection(others).any(|other| *other != one);
            self.entries[one].conflicts.iter().any(of)
        };
        new.iter().any(|one| conflicts(*one, all)) || all.iter().any(|one| conflicts(*one, new))
    }

    /// `count` names, drawn by a generator that begins at `seed`, that can be asked for together. One is dropped where what comes with it in any case conflicts with itself or
    /// with what comes with those drawn before it.
    pub(crate) fn sample(&self, count: usize, seed: u64) -> Vec<String> {
        let (mut drawn, mut certain): (Vec<String>, BTreeSet<usize>) = (Vec::new(), BTreeSet::new());
        let mut random = Random(seed);
        // So that it ends where there are not as many.
        for _ in 0..count * 10 {
            if drawn.len() == count {
                break;
            }
            let at = random.below(self.entries.len());
            let Some(mut new) = self.certain(at) else { continue };
            new.retain(|at| !certain.contains(at));
            let all: BTreeSet<usize> = certain.union(&new).copied().collect();
            let name = self.entries[at].name.as_str().to_owned();
            if !drawn.contains(&name) && !self.conflict_within(&new, &all) {
                certain = all;
                drawn.push(name);
            }
        }
        drawn
    }
}

#[test]
fn the_model_finds_what_is_wrong() {
    let list = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<Requirement>>();
    let entry = |name: &str, requires: &[&str], conflicts: &[&str]| IndexEntry {
        name: name.parse().unwrap(),
        alias: None,
        version: "1".parse().unwrap(),
        digest: packets_plugin_api::ident::Digest::from_bytes([1; 32]),
        description: String::new(),
        requires: list(requires),
        conflicts: list(conflicts),
        provides: Vec::new(),
        mirrors: Vec::new(),
        family: packets_plugin_api::ident::Family::none(),
        serial: 1,
        size: None,
        installed_size: None,
        arch: None,
    };
    let entries =
        [entry("a", &["b | c", "d"], &[]), entry("b", &[], &["d"]), entry("c", &[], &[]), entry("d", &[], &[])];
    let model = Model::new(&entries);
    let faults = |names: &[&str]| model.faults(&names.iter().copied().collect());
    assert_eq!(faults(&["a", "c", "d"]), Vec::<String>::new());
    assert_eq!(faults(&["a", "c"]), ["a lacks d"]);
    assert_eq!(faults(&["a", "b", "d"]), ["b conflicts with d"]);
    assert_eq!(model.unasked(&["a", "c", "d"].into()), ["a"]);
    assert_eq!(model.sample(9, 1), model.sample(9, 1));
    assert!(!(model.sample(99, 1).contains(&"a".to_owned()) && model.sample(99, 1).contains(&"b".to_owned())));
}
