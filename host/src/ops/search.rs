//! `search`.

use std::cmp::Reverse;
use std::collections::HashMap;

use packets_plugin_api::ident::PackageName;
use packets_plugin_api::storage::Found;
use packets_plugin_api::version::Version;
use serde::Serialize;

use super::Options;
use super::context::{Context, Mode};
use super::gather::Loose;
use crate::error::{Error, Result};
use crate::plan::Catalogue;
use crate::report::{Event, Events};

/// A package that was found.
#[derive(Debug, Serialize)]
pub struct Hit {
    /// The package.
    #[serde(flatten)]
    pub found: Found,
    /// The version of it that is installed.
    pub installed: Option<Version>,
}

/// The packages in whose name or description all words stand, the likeliest first.
///
/// # Errors
/// There is none.
pub fn search(words: &[String], options: &Options, events: &dyn Events) -> Result<Vec<Hit>> {
    let context = Context::open(options, Mode::Read, "search", events)?;
    let wanted: Vec<String> = words.iter().map(|word| word.to_ascii_lowercase()).collect();
    let mut loose = Loose::default();
    let (known, _) = super::install::known(&context, options, &mut loose, events)?;
    let mut installed: HashMap<PackageName, Found> = HashMap::new();
    for package in context.storage(Mode::Read)?.installed()? {
        let found = Found {
            name: package.name.clone(),
            alias: package.alias,
            version: package.version,
            description: package.description,
        };
        installed.insert(package.name, found);
    }
    if known.index.is_none() && options.repo.is_none() {
        events.event(&Event::Warning(
            "no index has been synced yet: only what is installed is looked through; `packets sync URL` fetches one",
        ));
    }
    let mut hits: Vec<Hit> = Vec::new();
    for found in known.search(&wanted)? {
        let installed = installed.remove(&found.name).map(|installed| installed.version);
        hits.push(Hit { found, installed });
    }
    for found in installed.into_values().filter(|found| found.has_all(&wanted)) {
        hits.push(Hit { installed: Some(found.version.clone()), found });
    }
    if hits.is_empty() {
        let what = format!("no package has {} in its name or description", words.join(" and "));
        return Err(Error::request(what).hint(known.advice()));
    }
    hits.sort_by_cached_key(|hit| (rank(&hit.found, &wanted), hit.found.name.as_str().len(), hit.found.name.clone()));
    Ok(hits)
}

/// How far a package is from what is looked for: the words' sum; the name's length and the name decide between equals.
fn rank(found: &Found, words: &[String]) -> u32 {
    let names: Vec<String> = [Some(&found.name), found.alias.as_ref()]
        .into_iter()
        .flatten()
        .map(|name| name.as_str().to_ascii_lowercase())
        .collect();
    let description = found.description.to_ascii_lowercase();
    words
        .iter()
        .map(|word| names.iter().map(|name| in_name(name, word)).min().unwrap_or(FAR).min(in_text(&description, word)))
        .sum()
}

const FAR: u32 = 20;

fn in_name(name: &str, word: &str) -> u32 {
    match name.find(word) {
        None => FAR,
        Some(0) if name.len() == word.len() => 0,
        Some(0) if is_boundary(name, word.len()) => 2,
        Some(0) => 3,
        Some(_) if occurrences(name, word).any(|at| is_boundary(name, at) && is_boundary(name, at + word.len())) => 4,
        Some(_) => 5,
    }
}

fn in_text(text: &str, word: &str) -> u32 {
    match occurrences(text, word)
        .map(|at| (is_boundary(text, at), is_boundary(text, at + word.len())))
        .min_by_key(|ends| Reverse(*ends))
    {
        Some((true, true)) => 8,
        Some((true, false)) => 10,
        Some(_) => 12,
        None => FAR,
    }
}

fn occurrences<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    text.match_indices(word).map(|(at, _)| at)
}

/// Whether a word of letters and digits begins or ends here.
fn is_boundary(text: &str, at: usize) -> bool {
    let is_part = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || !byte.is_ascii());
    let bytes = text.as_bytes();
    !(is_part(at.checked_sub(1).and_then(|before| bytes.get(before))) && is_part(bytes.get(at)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(name: &str, alias: Option<&str>, description: &str) -> Found {
        let parse = |text: &str| text.parse().unwrap();
        Found {
            name: parse(name),
            alias: alias.map(parse),
            version: "1".parse().unwrap(),
            description: description.to_owned(),
        }
    }

    #[test]
    fn names_come_before_descriptions_and_whole_words_before_parts() {
        let order = [
            found("json", None, ""),
            found("json-c", None, ""),
            found("json5", None, ""),
            found("lib-json", None, ""),
            found("libjsonnet", None, ""),
            found("jq", None, "works on JSON, quickly"),
            found("tool", None, "for jsonnet files"),
            found("other", None, "of geojson"),
        ];
        let ranks: Vec<u32> = order.iter().map(|found| rank(found, &["json".to_owned()])).collect();
        assert!(ranks.is_sorted() && ranks.windows(2).all(|pair| pair[0] != pair[1]), "{ranks:?}");
        assert_eq!(rank(&found("go1.25", Some("go"), ""), &["go".to_owned()]), 0, "an alias is a name");
        let (both, one) = (found("x-one", None, "two"), found("x", None, "one two"));
        let words = ["one".to_owned(), "two".to_owned()];
        assert!(rank(&both, &words) < rank(&one, &words));
    }
}
