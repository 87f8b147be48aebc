//! What `--json` prints, held against the schemas in `host/schema`.

use std::collections::BTreeMap;
use std::fs;
use std::sync::OnceLock;

use jsonschema::{Registry, Validator};
use serde_json::Value;

use crate::program::workspace;

/// Where files of that folder are, to each other.
const BASE: &str = "json-schema:///";
/// The answer that every command may give.
const ERROR: &str = "error";
/// Options whose value is a word of its own.
const WITH_VALUE: [&str; 10] =
    ["--root", "--repo", "--config", "--grant", "--replace", "--output", "-o", "--url", "--location", "--sdk"];

/// All schemas.
#[derive(Debug)]
pub struct Schemas {
    texts: BTreeMap<String, Value>,
    validators: BTreeMap<String, Validator>,
}

impl Schemas {
    /// Those of `host/schema`, read once.
    pub fn get() -> &'static Self {
        static ALL: OnceLock<Schemas> = OnceLock::new();
        ALL.get_or_init(Self::read)
    }

    fn read() -> Self {
        let mut texts = BTreeMap::new();
        for entry in fs::read_dir(workspace().join("host/schema")).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let text = fs::read_to_string(&path).unwrap();
            let schema: Value =
                serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            texts.insert(name, schema);
        }
        let address = |name: &str| format!("{BASE}{name}.json");
        let registry = texts
            .iter()
            .fold(Registry::new(), |registry, (name, schema)| registry.add(address(name), schema.clone()).unwrap());
        let registry = registry.prepare().unwrap();
        let validator = |(name, schema): (&String, &Value)| {
            let options = jsonschema::options().with_registry(&registry).with_base_uri(address(name));
            let validator = options.build(schema).unwrap_or_else(|error| panic!("{name}.json: {error}"));
            (name.clone(), validator)
        };
        let validators = texts.iter().map(validator).collect();
        Self { texts, validators }
    }

    /// The text of each, by its name.
    pub fn texts(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.texts.iter().map(|(name, schema)| (name.as_str(), schema))
    }

    /// The schema of each command, by its words: `cache list`.
    pub fn commands(&self) -> impl Iterator<Item = (&str, &str)> {
        self.texts.iter().flat_map(|(name, schema)| {
            let commands = schema["commands"].as_array().into_iter().flatten();
            commands.map(|command| (command.as_str().unwrap(), name.as_str()))
        })
    }

    /// The command of a line that is typed.
    fn command_of(&self, line: &str) -> Option<(&str, &str)> {
        let mut words = line.split_whitespace().skip_while(|word| *word != "packets").skip(1);
        let mut named = Vec::new();
        while let Some(word) = words.next() {
            if WITH_VALUE.contains(&word) {
                words.next();
            } else if !word.starts_with('-') {
                named.push(word);
            }
        }
        let longest = named.iter().take(2).copied().collect::<Vec<_>>().join(" ");
        let is = |wanted: &str| self.commands().find(|(command, _)| *command == wanted);
        is(&longest).or_else(|| is(named.first()?))
    }

    /// What is wrong with the answer to this line, if anything is.
    pub fn fault(&self, line: &str, answer: &Value) -> Option<String> {
        let is_error = answer.as_object().is_some_and(|fields| fields.keys().eq([ERROR]));
        let name = if is_error { ERROR } else { self.command_of(line).map_or(ERROR, |(_, name)| name) };
        let faults = self.validators[name].iter_errors(answer);
        let told: Vec<String> = faults.map(|fault| format!("{}: {fault}", fault.instance_path())).collect();
        (!told.is_empty()).then(|| format!("this is not what host/schema/{name}.json says: {}", told.join("; ")))
    }
}
