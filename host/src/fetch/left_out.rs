//! What this program would need for a place and is built without.

use crate::builtin::{SOURCES, Shipped};

/// Which source would understand one of these locations, were it not left out; a sentence.
pub(super) fn hint<'a>(locations: impl Iterator<Item = &'a str>) -> Option<String> {
    hint_of(&SOURCES, locations)
}

fn hint_of<'a>(sources: &[Shipped], mut locations: impl Iterator<Item = &'a str>) -> Option<String> {
    let understands = |source: &Shipped, location: &str| {
        let is_its = |begin: &&str| location.get(..begin.len()).is_some_and(|text| text.eq_ignore_ascii_case(begin));
        !source.is_here && source.begins.iter().any(is_its)
    };
    let missing = locations.find_map(|location| sources.iter().find(|source| understands(source, location)))?;
    let name = missing.name;
    Some(format!("this program is built without the source {name}: cargo builds it with --features {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named_where_a_place_needs_it() {
        let without = |name: &str| SOURCES.map(|source| Shipped { is_here: source.name != name, ..source });
        let hint = |name: &str, location: &str| hint_of(&without(name), [location].into_iter());
        for (name, location) in [
            ("http", "http://a.example/index.db"),
            ("http", "HTTPS://a.example/index.db"),
            ("file", "/srv/repo/index.db"),
            ("file", "file:///srv/repo/index.db"),
        ] {
            assert!(hint(name, location).unwrap().contains(&format!("without the source {name}:")), "{location}");
            assert_eq!(hint("lan", location), None, "{location}");
        }
        for location in ["ftp://a.example/x", "http:x", "", "h", "ä"] {
            assert_eq!(hint("http", location), None, "{location}");
        }
        assert_eq!(hint("http", "/srv/x"), None, "it needs another one");
        let both = ["ftp://a.example/", "http://a.example/"].into_iter();
        assert!(hint_of(&without("http"), both).is_some());
    }
}
