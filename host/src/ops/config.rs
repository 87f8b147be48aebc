//! `config`: what is decided, whether it can be used, and changing it.

use serde::Serialize;
use toml_edit::{DocumentMut, Item, Value};

use super::context::{Context, Mode};
use super::install::mode;
use super::{Options, change_config};
use crate::config::Config;
use crate::error::{Context as _, Error, Result};
use crate::report::{Event, Events};

/// What a person may not set by hand.
const LAST_DATA_DIR: (&str, &str) = ("Config", "lastDataDir");

const DATA_DIR: (&str, &str) = ("Config", "dataDir");

/// The config in use.
#[derive(Debug, Serialize)]
pub struct Shown {
    /// The file that it stands in, or would.
    pub file: String,
    /// Whether that is there; else these are the defaults.
    pub exists: bool,
    /// Every value, or the one that was asked for.
    pub config: toml::Value,
}

/// What was set, or would be.
#[derive(Debug, Serialize)]
pub struct Set {
    /// The file.
    pub file: String,
    /// Which value: `Table.key`.
    pub key: String,
    /// What was in force before.
    pub before: toml::Value,
    /// What is now.
    pub now: toml::Value,
    /// Whether anything was changed.
    pub committed: bool,
}

/// The config in use, defaults filled in; with a key, `Table` or `Table.key`, that part of it.
///
/// # Errors
/// It cannot be used, or has no such key.
pub fn config_show(key: Option<&str>, options: &Options, events: &dyn Events) -> Result<Shown> {
    let context = Context::open(options, Mode::Read, "config show", events)?;
    let whole = as_value(&context.config)?;
    let config = match key {
        Some(key) => look_up(&whole, key)?.clone(),
        None => whole,
    };
    let exists = options.config.is_some() || context.has_config()?;
    Ok(Shown { file: context.config_name.clone(), exists, config })
}

/// Whether the config can be used: what every command asks, and the names of sources too.
///
/// # Errors
/// What is wrong in it, where, and what is allowed.
pub fn config_check(options: &Options, events: &dyn Events) -> Result<Shown> {
    let shown = config_show(None, options, events)?;
    let context = Context::open(options, Mode::Read, "config check", events)?;
    context.fetcher(Mode::Read, events)?;
    Ok(shown)
}

/// Sets one value; comments, order and everything else stay as they are. What could not be used afterwards is not
/// written.
///
/// # Errors
/// There is no such key, or the value is none that it can have; then nothing has changed.
pub fn config_set(key: &str, value: &str, options: &Options, events: &dyn Events) -> Result<Set> {
    if let Some(file) = &options.config {
        return Err(Error::request("cannot set a value in a config that --config names")
            .hint(format!("edit {}, then `packets --config {0} config check`", file.display())));
    }
    let context = Context::open(options, mode(options).making_root(), "config set", events)?;
    let file = context.config_name.clone();
    let before = look_up(&as_value(&context.config)?, key)?.clone();
    let Some((table, name)) = key.split_once('.') else {
        return Err(Error::request(format!("cannot set {key}: it is a table")).hint("a value is named Table.key"));
    };
    if (table, name) == LAST_DATA_DIR {
        return Err(Error::request(format!("cannot set {key}: it is kept by packets itself")));
    }
    let wanted = wanted(value, &before);
    let changed = change_config::changed(&context, options, |document| put(document, (table, name), wanted))
        .map_err(|error| error.within(format!("cannot set {key} to {value}")))?;
    let now = look_up(&as_value(&changed.config)?, key)?.clone();
    let committed = options.dry_run.is_none() && now != before;
    if committed {
        change_config::write(&context, options, &changed)?;
        // It is written: a record that cannot be read is for the next command to tell.
        let installed = || context.storage(Mode::Read).and_then(|storage| Ok(storage.installed()?)).unwrap_or_default();
        if (table, name) == DATA_DIR && !installed().is_empty() {
            events.event(&Event::Note("what is installed stays where it is; `packets relocate` moves it"));
        }
    }
    Ok(Set { file, key: key.to_owned(), before, now, committed })
}

fn as_value(config: &Config) -> Result<toml::Value> {
    toml::Value::try_from(config).context(|| "cannot write the config down".to_owned())
}

/// The value of a key, of which an error says what would have been right.
fn look_up<'a>(whole: &'a toml::Value, key: &str) -> Result<&'a toml::Value> {
    let mut at = whole;
    let mut above = String::new();
    for part in key.split('.') {
        let table = at.as_table();
        let Some(found) = table.and_then(|table| table.get(part)) else {
            let names: Vec<&str> = table.into_iter().flatten().map(|(name, _)| name.as_str()).collect();
            let error = Error::request(format!("the config has no key {key}"));
            let near = crate::suggest::nearest(part, names.iter().copied());
            return Err(match near {
                Some(near) => error.hint(format!("did you mean {above}{near}?")),
                None if names.is_empty() => error,
                None => error.hint(format!("there are {}", names.join(", "))),
            });
        };
        above.push_str(part);
        above.push('.');
        at = found;
    }
    Ok(at)
}

/// A value as it was typed: what parses as TOML is that, where it is of the kind that stands there; everything else is a
/// text, for which a shell needs no second quotes.
fn wanted(text: &str, before: &toml::Value) -> Value {
    match text.parse::<Value>() {
        Ok(value) if !before.is_str() || value.is_str() => value,
        _ => Value::from(text),
    }
}

fn put(document: &mut DocumentMut, (table, name): (&str, &str), value: Value) {
    let table = change_config::table(document, table);
    match table.get_mut(name).and_then(Item::as_value_mut) {
        // A comment behind the value stays.
        Some(old) => {
            let decor = old.decor().clone();
            *old = value;
            *old.decor_mut() = decor;
        }
        None => table[name] = toml_edit::value(value),
    }
}
