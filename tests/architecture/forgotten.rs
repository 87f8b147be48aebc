//! Nothing can be forgotten.

use std::collections::BTreeSet;
use std::path::Path;

use super::{own_files, text_of};

/// The folders of tests, as tests/Cargo.toml lists them.
fn themes() -> BTreeSet<String> {
    let manifest: toml::Table = text_of("tests/Cargo.toml".as_ref()).parse().unwrap();
    let path = |test: &toml::Value| Path::new(test["path"].as_str().unwrap()).parent().unwrap().display().to_string();
    manifest["test"].as_array().unwrap().iter().map(path).collect()
}

#[test]
fn every_folder_of_tests_is_listed() {
    let others = ["src", "bench", "benches", "fixtures", "fuzz", "real-input"];
    let mut folders = BTreeSet::new();
    for path in own_files().iter().filter_map(|path| path.strip_prefix("tests").ok()) {
        let mut parts = path.components().map(|part| part.as_os_str().to_str().unwrap());
        if let (Some(folder), Some(_)) = (parts.next(), parts.next())
            && !others.contains(&folder)
        {
            folders.insert(folder.to_owned());
        }
    }
    assert_eq!(folders, themes());
}

#[test]
fn every_test_file_is_a_module() {
    for path in own_files() {
        let Ok(inside) = path.strip_prefix("tests") else { continue };
        let theme = inside.components().next().unwrap().as_os_str().to_str().unwrap();
        let is_source = path.extension().is_some_and(|ending| ending == "rs");
        let name = path.file_stem().unwrap().to_str().unwrap();
        if !themes().contains(theme) || !is_source || name == "main" {
            continue;
        }
        let main = text_of(&Path::new("tests").join(theme).join("main.rs"));
        assert!(
            main.lines().any(|line| line == format!("mod {name};")),
            "{} is not listed in {theme}/main.rs",
            path.display()
        );
        assert!(text_of(&path).contains("#[test]"), "{} has no tests", path.display());
    }
}

#[test]
fn no_test_is_switched_off() {
    for (path, text) in super::sources(&["tests", "host", "hook-runtime", "plugins", "plugin-api"]) {
        for word in [concat!("#[ig", "nore"), concat!("to", "do!("), concat!("unimple", "mented!(")] {
            assert!(!text.contains(word), "{} has {word}", path.display());
        }
    }
}

#[test]
fn every_bench_is_listed() {
    let manifest: toml::Table = text_of("tests/Cargo.toml".as_ref()).parse().unwrap();
    let listed: BTreeSet<String> = manifest["bench"]
        .as_array()
        .unwrap()
        .iter()
        .map(|bench| format!("tests/{}", bench["path"].as_str().unwrap()))
        .collect();
    let there: BTreeSet<String> = own_files()
        .iter()
        .filter(|path| path.starts_with("tests/benches"))
        .map(|path| path.display().to_string())
        .collect();
    assert_eq!(listed, there);
}

/// What is not listed there is compiled without coverage, and libFuzzer would be blind in it.
#[test]
fn the_fuzzer_sees_into_all_that_is_ours() {
    let manifest: toml::Table = text_of("tests/fuzz/Cargo.toml".as_ref()).parse().unwrap();
    let seen = manifest["profile"]["release"]["package"].as_table().unwrap();
    let workspace: toml::Table = text_of("Cargo.toml".as_ref()).parse().unwrap();
    let members = workspace["workspace"]["members"].as_array().unwrap();
    for member in members.iter().map(|member| member.as_str().unwrap()) {
        let manifest: toml::Table = text_of(&Path::new(member).join("Cargo.toml")).parse().unwrap();
        let name = manifest["package"]["name"].as_str().unwrap();
        assert!(
            seen.get(name).is_some_and(|its| its.get("debug-assertions").is_some()),
            "the fuzzer is blind in {name}"
        );
    }
    // `instrument` goes by this. What has another profile has the workspace's, or it would be compiled once more.
    let its = |name: &String| workspace["profile"]["release"]["package"].get(name);
    for (name, profile) in seen {
        assert!(
            profile.get("debug-assertions").and_then(toml::Value::as_bool) == Some(true) || its(name) == Some(profile),
            "{name}: {profile}"
        );
    }
}
