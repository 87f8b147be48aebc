use packets_plugin_api::ident::{Digest, Family, PackageName};
use packets_plugin_api::relpath::RelPath;
use packets_plugin_api::storage::{InstalledPackage, Reason};

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
