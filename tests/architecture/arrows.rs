//! Who may depend on whom.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use packets_tests::{skip, workspace};

use super::{sources, text_of};

/// The crates of the workspace on which each of them depends; build and development apart.
fn dependencies(section: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut all = BTreeMap::new();
    let workspace: toml::Table = text_of("Cargo.toml".as_ref()).parse().unwrap();
    for member in workspace["workspace"]["members"].as_array().unwrap() {
        let manifest: toml::Table =
            text_of(format!("{}/Cargo.toml", member.as_str().unwrap()).as_ref()).parse().unwrap();
        let ours = |name: &&String| name.starts_with("packets-");
        let names = manifest
            .get(section)
            .and_then(|table| table.as_table())
            .map(|table| table.keys().filter(ours).cloned().collect());
        all.insert(manifest["package"]["name"].as_str().unwrap().to_owned(), names.unwrap_or_default());
    }
    all
}

fn names(list: &[&str]) -> BTreeSet<String> {
    list.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn arrows_point_one_way() {
    let all = dependencies("dependencies");
    for (name, needs) in &all {
        let allowed = match name.as_str() {
            "packets-plugin-api" | "packets-wire" => names(&[]),
            "packets-hook-runtime" => names(&["packets-plugin-api", "packets-wire"]),
            "packets-plugin-lua" => names(&["packets-plugin-api", "packets-hook-runtime"]),
            plugin if plugin.starts_with("packets-plugin-") => names(&["packets-plugin-api"]),
            "packets-host" => {
                let plugins = all.keys().filter(|name| name.starts_with("packets-plugin-")).cloned();
                plugins.chain(["packets-hook-runtime".to_owned()]).collect()
            }
            // The fuzzed readers are looked at where they are.
            "packets-tests" => names(&[
                "packets-host",
                "packets-plugin-api",
                "packets-plugin-lan",
                "packets-plugin-sqlite",
                "packets-wire",
            ]),
            other => panic!("{other} has no place in the architecture yet"),
        };
        let wrong: Vec<&String> = needs.difference(&allowed).collect();
        assert!(wrong.is_empty(), "{name} depends on {wrong:?}");
    }
    for (name, needs) in dependencies("build-dependencies") {
        assert!(needs.is_empty(), "{name} builds with {needs:?}");
    }
    for (name, needs) in dependencies("dev-dependencies") {
        let upward = |need: &&String| ["packets-host", "packets-tests"].contains(&need.as_str());
        assert_eq!(needs.iter().find(upward), None, "{name} is tested with what stands above it");
    }
}

#[test]
fn versions_stand_once_in_the_workspace() {
    let workspace: toml::Table = text_of("Cargo.toml".as_ref()).parse().unwrap();
    for member in workspace["workspace"]["members"].as_array().unwrap() {
        let path = format!("{}/Cargo.toml", member.as_str().unwrap());
        let manifest: toml::Table = text_of(path.as_ref()).parse().unwrap();
        for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
            for (name, value) in manifest.get(section).and_then(|table| table.as_table()).into_iter().flatten() {
                let inherited = value.get("workspace").and_then(toml::Value::as_bool) == Some(true);
                assert!(inherited, "{path}: {name} has a version of its own");
            }
        }
    }
}

/// Everything that the program is built of, a line each; nothing, and said so, where cargo is not there.
fn parts_of_the_program() -> Option<String> {
    if std::env::var_os("PACKETS_WORKSPACE").is_some() {
        skip("a copy of the workspace has no cargo");
        return None;
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["tree", "--offline", "-p", "packets-host", "-e", "normal", "--prefix", "none"]);
    let output = command.current_dir(workspace()).output().unwrap();
    let tree = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for name in ["wasmtime v", "packets-plugin-lua v"] {
        assert!(tree.contains(name), "the tree is read right: {tree}");
    }
    Some(tree)
}

/// Neither the server nor what fetches can be asked for HTTP/2 or 3.
#[test]
fn n31_no_http_but_1_in_the_program() {
    let Some(tree) = parts_of_the_program() else { return };
    assert!(tree.contains("hyper v"), "{tree}");
    for line in tree.lines() {
        assert!(!["h2 v", "h3 v", "quinn"].iter().any(|name| line.starts_with(name)), "{line} is in the program");
    }
}

#[test]
fn h29_no_compiler_in_the_program() {
    let Some(tree) = parts_of_the_program() else { return };
    // These hold sets and indices, and compile nothing; wasmtime's runtime needs them.
    let data = ["cranelift-bforest ", "cranelift-bitset ", "cranelift-entity "];
    let compilers = ["cranelift", "winch", "wasmtime-wizer"];
    for line in tree.lines().filter(|line| !data.iter().any(|name| line.starts_with(name))) {
        assert!(!compilers.iter().any(|name| line.contains(name)), "{line} is in the program");
    }
}

#[test]
fn one_file_names_the_plugins() {
    for (path, text) in sources(&["host", "hook-runtime", "plugin-api", "plugins"]) {
        let is_test = path.ends_with("tests.rs") || path.components().any(|part| part.as_os_str() == "tests");
        let own = is_test || path.starts_with("plugins") || path.starts_with("host/src/builtin.rs");
        // The contracts, and the symbol that a native plugin is entered by, are no plugins.
        let text = text.replace("packets_plugin_api", "").replace("packets_plugin_entry", "");
        let names_one = text.contains("packets_plugin_");
        assert!(own || !names_one, "{} names a plugin crate", path.display());
    }
}

#[test]
fn the_program_is_one_call_and_the_tests_run_the_same() {
    let code = |path: &str| -> Vec<String> {
        let text = text_of(path.as_ref());
        text.lines().filter(|line| !line.starts_with("//!") && !line.is_empty()).map(str::to_owned).collect()
    };
    let program = code("host/src/main.rs");
    assert_eq!(program, ["fn main() -> std::process::ExitCode {", "    packets_host::cli::main()", "}"]);
    assert_eq!(code("tests/src/main.rs"), program);
}
