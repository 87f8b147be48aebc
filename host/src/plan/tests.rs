use packets_plugin_api::ident::{Digest, Family, PackageName};
use packets_plugin_api::relpath::RelPath;
use packets_plugin_api::storage::{InstalledPackage, Reason};
use proptest::prelude::*;

use super::*;

pub(super) fn name(text: &str) -> PackageName {
    text.parse().unwrap()
}

pub(super) fn candidate(text: &str, requires: &[&str]) -> Candidate {
    let (base, version) = text.split_once('=').unwrap_or((text, "1"));
    Candidate {
        name: name(base),
        alias: None,
        version: version.parse().unwrap(),
        requires: requires.iter().map(|text| text.parse().unwrap()).collect(),
        conflicts: Vec::new(),
        provides: Vec::new(),
        family: Family::none(),
        serial: 1,
        arch: None,
        digest: Some(Digest::from_bytes([1; 32])),
        size: None,
        installed_size: None,
        description: String::new(),
        from: Source::Index(Vec::new()),
    }
}

pub(super) fn installed(text: &str, requires: &[&str]) -> InstalledPackage {
    let like = candidate(text, requires);
    InstalledPackage {
        name: like.name,
        alias: None,
        version: like.version,
        description: String::new(),
        requires: like.requires,
        conflicts: Vec::new(),
        provides: Vec::new(),
        family: Family::none(),
        serial: 1,
        digest: Some(Digest::from_bytes([1; 32])),
        reason: Reason::Asked,
        folder: RelPath::root(),
        installed_at: 0,
        installed_size: 0,
        held: false,
    }
}

#[test]
fn one_name_of_several_packages() {
    let mut old = candidate("go1.23", &[]);
    let mut new = candidate("go1.24", &[]);
    (old.alias, new.alias, new.serial) = (Some(name("go")), Some(name("go")), 2);
    let known = Known { loose: vec![old, new], ..Known::default() };
    let error = find_goal(&name("go"), &known, &Wanted::Refuse).unwrap_err();
    assert!(error.hints()[0].contains("go1.24, go1.23"), "{error}");
    assert_eq!(find_goal(&name("go"), &known, &Wanted::Highest).unwrap().name, name("go1.24"));
    let unknown = find_goal(&name("go1.25"), &known, &Wanted::Refuse).unwrap_err();
    assert_eq!(unknown.hints(), ["did you mean go1.23 or go1.24?"]);
}

#[test]
fn upgrades_go_by_family_and_serial_then_by_name() {
    let family: Family = "fam".parse().unwrap();
    let mut old = installed("go1.23", &[]);
    old.family = family.clone();
    let mut newer = candidate("go1.24", &[]);
    (newer.family, newer.serial) = (family, 7);
    let mut other = candidate("plain=2", &[]);
    other.digest = Some(Digest::from_bytes([2; 32]));
    let known = Known { loose: vec![newer.clone(), other], ..Known::default() };
    let newest = |installed: &InstalledPackage| newest_release(installed, &known).unwrap();
    assert!(matches!(newest(&old), Release::Other(found) if found.name == name("go1.24")));
    assert!(matches!(newest(&installed("plain", &[])), Release::Other(found) if found.version.as_str() == "2"));
    assert!(matches!(newest(&installed("plain=3", &[])), Release::Older(found) if found.version.as_str() == "2"));
    let mut current = installed("go1.24", &[]);
    current.family = newer.family;
    assert_eq!(newest(&current), Release::Same);
    assert_eq!(newest(&installed("gone", &[])), Release::Unlisted);
}

#[test]
fn removal_asks_whether_others_need_it() {
    let all = [installed("lib", &[]), installed("tool", &["lib"]), installed("top", &["tool"])];
    let error = removal(&[name("lib")], &all, false).unwrap_err();
    assert_eq!(error.message(), "cannot remove lib: the installed tool needs it");
    let order = |plan: Plan| plan.removals().iter().map(|one| one.name.to_string()).collect::<Vec<_>>();
    assert_eq!(order(removal(&[name("lib")], &all, true).unwrap()), ["top", "tool", "lib"]);
    assert_eq!(order(removal(&[name("lib"), name("tool"), name("top")], &all, false).unwrap()), ["top", "tool", "lib"]);
    assert!(removal(&[name("absent")], &all, false).is_err());
}

/// Packages of which each needs those of these numbers, itself and cycles included.
fn a_system() -> impl Strategy<Value = Vec<InstalledPackage>> {
    let needs = proptest::collection::vec(0..12_usize, 0..4);
    proptest::collection::vec((needs, any::<bool>()), 1..12).prop_map(|all| {
        let names = |needs: Vec<usize>| needs.into_iter().map(|number| format!("p{number}")).collect::<Vec<_>>();
        let package = |(number, (needs, provides)): (usize, (Vec<usize>, bool))| {
            let needs = names(needs);
            let mut package = installed(&format!("p{number}"), &needs.iter().map(String::as_str).collect::<Vec<_>>());
            package.provides.extend(provides.then(|| name(&format!("p{}", number / 2))));
            package
        };
        all.into_iter().enumerate().map(package).collect()
    })
}

/// Which of these goes first: the first by name that none of the others needs, or of a cycle the first by name.
fn first_of_all(left: &[&InstalledPackage]) -> PackageName {
    let needs = |one: &InstalledPackage, other: &InstalledPackage| {
        one.name != other.name && one.requires.iter().any(|requirement| other.satisfies(requirement))
    };
    let unneeded = left.iter().filter(|one| !left.iter().any(|other| needs(other, one))).map(|one| &one.name).min();
    unneeded.or_else(|| left.iter().map(|one| &one.name).min()).unwrap().clone()
}

proptest! {
    #[test]
    fn removal_takes_all_that_breaks_and_each_before_what_it_needs(all in a_system(), first in 0..12_usize) {
        let first = &all[first % all.len()].name;
        let plan = removal(std::slice::from_ref(first), &all, true).unwrap();
        let order: Vec<&PackageName> = plan.removals().iter().map(|one| &one.name).collect();
        let stays: Vec<_> = all.iter().filter(|package| !order.contains(&&package.name)).collect();
        for package in &stays {
            for requirement in &package.requires {
                let lost = all.iter().any(|other| other.satisfies(requirement));
                let kept = stays.iter().any(|other| other.satisfies(requirement));
                prop_assert!(kept || !lost, "{} loses {requirement}", package.name);
            }
        }
        let mut left: Vec<_> = all.iter().filter(|package| order.contains(&&package.name)).collect();
        for name in &order {
            prop_assert_eq!(*name, &first_of_all(&left));
            left.retain(|package| package.name != **name);
        }
        prop_assert!(left.is_empty());
        // Nothing went for which nothing broke.
        for name in order.iter().filter(|name| **name != first) {
            let without: Vec<PackageName> = order.iter().filter(|other| *other != name).map(|name| (*name).clone()).collect();
            prop_assert!(removal(&without, &all, false).is_err(), "{name} could stay");
        }
    }
}

#[test]
fn removals_of_many_among_many_take_no_time() {
    let count = 5000;
    let packages: Vec<InstalledPackage> = (0..count)
        .map(|number| {
            let needs = [number / 2, number * 2 / 3].map(|needed| format!("p{needed}"));
            installed(
                &format!("p{number}"),
                if number == 0 { vec![] } else { vec![needs[0].as_str(), needs[1].as_str()] }.as_slice(),
            )
        })
        .collect();
    let begun = std::time::Instant::now();
    assert_eq!(removal(&[name("p4999")], &packages, false).unwrap().removals().len(), 1);
    assert_eq!(removal(&[name("p0")], &packages, true).unwrap().removals().len(), count);
    let names: Vec<PackageName> = packages.iter().map(|package| package.name.clone()).collect();
    assert_eq!(removal(&names, &packages, false).unwrap().removals().len(), count);
    assert!(begun.elapsed() < std::time::Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[test]
fn a_plan_prints_and_serialises() {
    let mut newer = candidate("go1.24=2", &[]);
    newer.size = Some(10);
    let chosen = vec![
        Chosen { candidate: candidate("dep", &[]), reason: Reason::Needed },
        Chosen { candidate: newer, reason: Reason::Asked },
    ];
    let selection = Selection {
        chosen,
        replaced: vec![(name("go1.23"), name("go1.24"))],
        unchanged: vec![name("jq")],
        left: Vec::new(),
    };
    let plan = Plan::install("upgrade", selection, &[installed("go1.23", &[])]).unwrap();
    assert_eq!(plan.to_string(), "jq is up to date\ninstall dep 1 (needed)\nupgrade go1.24 2 (from go1.23 1)\n");
    let json = serde_json::to_value(&plan).unwrap();
    assert_eq!(json["install"][1]["action"], "upgrade");
    assert_eq!(json["install"][1]["replaces"][0]["name"], "go1.23");
    assert_eq!(json["install"][0]["reason"], "needed");
}
