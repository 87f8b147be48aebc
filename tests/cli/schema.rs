//! What `--json` prints: one documented shape for each command, and nothing that its schema does not name.

use std::collections::BTreeSet;

use packets_tests::schema::Schemas;
use packets_tests::{Package, TestEnvironment};
use serde_json::Value;

use super::reference::{World, all, each, examples};

/// The commands that do something, each by its words.
fn commands() -> BTreeSet<String> {
    let all = all(&TestEnvironment::new());
    let does = |help: &str| !help.lines().any(|line| line == "Commands:");
    all.into_iter().filter(|(_, help)| does(help)).map(|(words, _)| words.join(" ")).collect()
}

#[test]
fn no_command_is_without_a_schema() {
    let schemas = Schemas::get();
    let named: Vec<&str> = schemas.commands().map(|(command, _)| command).collect();
    let once: BTreeSet<String> = named.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(named.len(), once.len(), "one shape each: {named:?}");
    assert_eq!(once, commands());
}

/// All that stands in a schema, by its place there.
fn walk(place: &str, value: &Value, visit: &mut dyn FnMut(&str, &Value)) {
    visit(place, value);
    let children: Vec<(String, &Value)> = match value {
        Value::Object(fields) => fields.iter().map(|(key, child)| (key.clone(), child)).collect(),
        Value::Array(items) => items.iter().enumerate().map(|(at, child)| (at.to_string(), child)).collect(),
        _ => Vec::new(),
    };
    children.into_iter().for_each(|(key, child)| walk(&format!("{place}/{key}"), child, visit));
}

#[test]
fn schemas_leave_nothing_open() {
    for (name, schema) in Schemas::get().texts() {
        let is_text = |key: &str| schema[key].as_str().is_some_and(|text| !text.is_empty());
        assert!(is_text("title") && is_text("description"), "{name}");
        assert!(jsonschema::meta::is_valid(schema), "{name}: it is no schema");
        walk(name, schema, &mut |place, value| {
            // An annotation, or a property of that name, is no schema.
            if !value["properties"].is_object() || value["type"] != "object" {
                return;
            }
            assert_eq!(value["additionalProperties"], false, "{place}: other keys");
            for (key, property) in value["properties"].as_object().unwrap() {
                let explained = ["description", "$ref", "const"].iter().any(|word| property[*word].is_string());
                assert!(explained, "{place}: {key} says nothing of itself");
            }
        });
    }
}

#[test]
fn a_schema_refuses_what_it_does_not_name() {
    let environment = TestEnvironment::new();
    environment.prime();
    environment.install(&Package::program("tool", "1")).ok();
    let output = environment.run(&["info", "tool", "--json"]).ok();
    let (line, good) = ("packets --root /r info tool --json", output.json());
    let fault = |change: &dyn Fn(&mut Value)| {
        let mut answer = good.clone();
        change(&mut answer);
        Schemas::get().fault(line, &answer)
    };
    assert_eq!(fault(&|_| {}), None);
    type Change<'a> = (&'a str, &'a dyn Fn(&mut Value));
    let changes: [Change<'_>; 5] = [
        ("another key", &|answer| answer["installed"]["new"] = Value::Null),
        ("a key less", &|answer| drop(answer["installed"].as_object_mut().unwrap().remove("version"))),
        ("another type", &|answer| answer["installed"]["serial"] = "1".into()),
        ("another word", &|answer| answer["installed"]["reason"] = "wished".into()),
        ("no name", &|answer| answer["installed"]["name"] = "../x".into()),
    ];
    for (case, change) in changes {
        assert!(fault(change).is_some(), "{case}");
    }
    assert!(Schemas::get().fault("packets list --json", &good).is_some(), "the answer of another command");
}

#[test]
fn every_command_answers_as_its_schema_says() {
    let examples = examples();
    let answered = std::sync::Mutex::new(BTreeSet::new());
    each(&examples, |example| {
        let line = example.split(" > ").next().unwrap();
        let json = if line.contains("--json") { String::new() } else { " --json".to_owned() };
        let world = World::new();
        // It is held against the schema.
        world.types(&format!("{line}{json}")).ok().json();
        let words: Vec<&str> = line.split_whitespace().filter(|word| !word.starts_with('-')).skip(1).collect();
        let mut answered = answered.lock().unwrap();
        answered.insert(words[0].to_owned());
        answered.insert(words.iter().take(2).copied().collect::<Vec<_>>().join(" "));
    });
    let answered = answered.into_inner().unwrap();
    let silent: Vec<String> = commands().into_iter().filter(|command| !answered.contains(command)).collect();
    // Who shares says hello to the machine's networks: the tests of `lan` ask these, in a network of their own; what
    // needs a registry is asked by those of `plugins`.
    let expected: &[&str] = match packets_tests::on_path("cc") {
        Some(_) => &["push", "serve init", "serve run", "serve stop"],
        None => &[
            "plugin add",
            "plugin check",
            "plugin info",
            "plugin list",
            "plugin new",
            "plugin remove",
            "push",
            "serve init",
            "serve run",
            "serve stop",
        ],
    };
    assert_eq!(silent, expected);
}

#[test]
fn errors_of_every_kind() {
    let environment = TestEnvironment::new();
    environment.prime();
    let denied = Package::program("denied", "1").install("io.open('/etc/passwd', 'w')").write(&environment.work());
    std::fs::write(environment.work().join("bad.pkt.tar.zst"), "nothing").unwrap();
    let cases: [(i32, &str, &[&str]); 5] = [
        (1, "request", &["install", "nothing"]),
        (2, "usage", &["instal", "x"]),
        (4, "network", &["sync", "http://127.0.0.1:1/index.db"]),
        (5, "integrity", &["install", "./bad.pkt.tar.zst"]),
        (6, "hook", &["install", denied.to_str().unwrap()]),
    ];
    for (code, kind, arguments) in cases {
        let output = environment.run(&[arguments, &["--json"]].concat()).fails(code);
        assert_eq!(output.json()["error"]["kind"], kind, "{output}");
    }
}

#[test]
fn the_manual_names_the_pages_that_it_wrote() {
    let environment = TestEnvironment::new();
    let folder = environment.work().join("man");
    std::fs::create_dir(&folder).unwrap();
    let answer = environment.run_plain(&["manual", folder.to_str().unwrap(), "--json"]).ok().json();
    let told: BTreeSet<String> =
        answer["pages"].as_array().unwrap().iter().map(|page| page.as_str().unwrap().to_owned()).collect();
    let written = std::fs::read_dir(&folder).unwrap();
    let written: BTreeSet<String> = written.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(told, written);
    let script = environment.run_plain(&["completions", "bash", "--json"]).ok().json()["script"].clone();
    assert_eq!(script, environment.run_plain(&["completions", "bash"]).ok().stdout);
}
