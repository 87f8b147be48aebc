//! Debian's whole archive as the index (see `debian`).

use std::collections::BTreeSet;
use std::path::Path;

use packets_tests::{TestEnvironment, skip};

use super::debian::{self, Archive};
use super::model::Model;

fn archive() -> Option<Archive> {
    let archive = debian::archive();
    if archive.is_none() {
        skip("apt has no lists of Debian's archive here");
    }
    archive
}

/// The names in the plan for these packages, and the plan itself.
fn plan(environment: &TestEnvironment, index: &Path, goals: &[String]) -> (Vec<String>, serde_json::Value) {
    let mut arguments = vec!["--repo", index.to_str().unwrap(), "install", "--dry-run=plan", "--json"];
    arguments.extend(goals.iter().map(String::as_str));
    let plan = environment.run(&arguments).ok().json()["plan"].take();
    let name = |one: &serde_json::Value| one["name"].as_str().unwrap().to_owned();
    (plan["install"].as_array().unwrap().iter().map(name).collect(), plan)
}

#[test]
fn m33_five_hundred_packages_of_debians_archive() {
    let Some(archive) = archive() else { return };
    let model = Model::new(&archive.entries);
    let goals = model.sample(500, 1);
    assert!(archive.entries.len() > 60_000 && goals.len() == 500, "{} of {}", goals.len(), archive.entries.len());
    let environment = TestEnvironment::new();
    let (names, whole) = plan(&environment, &archive.file, &goals);
    let chosen: BTreeSet<&str> = names.iter().map(String::as_str).collect();
    assert_eq!(chosen.len(), names.len(), "each once");
    assert!(names.len() > 3000, "{}", names.len());
    assert_eq!(goals.iter().find(|goal| !chosen.contains(goal.as_str())), None, "what was asked for");
    assert_eq!(model.faults(&chosen), Vec::<String>::new());
    assert!(!environment.exists("var/cache/packets"), "nothing is fetched");
    for _ in 0..3 {
        assert_eq!(plan(&environment, &archive.file, &goals).1, whole, "the same request, the same plan");
    }
}

#[test]
fn packages_of_debian_one_by_one() {
    let Some(archive) = archive() else { return };
    let model = Model::new(&archive.entries);
    let environment = TestEnvironment::new();
    for goal in model.sample(40, 2) {
        let (names, _) = plan(&environment, &archive.file, std::slice::from_ref(&goal));
        let chosen: BTreeSet<&str> = names.iter().map(String::as_str).collect();
        assert_eq!(model.faults(&chosen), Vec::<String>::new(), "{goal}");
        assert_eq!(model.unasked(&chosen), [goal.as_str()], "nothing comes along that nobody needs");
    }
}
