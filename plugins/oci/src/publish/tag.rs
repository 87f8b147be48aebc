//! Under which tag something is.

use packets_plugin_api::publish::{Publication, PublicationKind};

use super::manifest::digest;
use crate::limits::MAX_TAG;

/// How much of a hash stands for what a tag cannot hold.
const HASH: usize = 12;

/// The tag: `NAME-VERSION` as it is, where a tag can hold that, else with a hash of it behind; `index` for an index.
///
/// Two packages with one tag remain possible (`a-1` in version 2, `a` in version 1-2): the manifest has the names
/// apart, and nothing takes the place of another package.
pub(super) fn of(what: &Publication<'_>) -> String {
    if what.kind == PublicationKind::Index {
        return what.name.to_owned();
    }
    let full = format!("{}-{}", what.name, what.version.unwrap_or_default());
    let fits = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let begins = full.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
    if begins && full.chars().all(fits) && full.len() <= MAX_TAG {
        return full;
    }
    let plain: String = full.chars().map(|c| if fits(c) { c } else { '_' }).take(MAX_TAG - HASH - 1).collect();
    let plain = if begins { plain } else { plain.replacen(['.', '-'], "_", 1) };
    format!("{plain}-{}", &digest(full.as_bytes()).to_string()[..HASH])
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use packets_plugin_api::ident::Digest;

    use super::*;

    fn tag(name: &str, version: &str) -> String {
        let file = tempfile::tempfile().unwrap();
        of(&Publication {
            kind: PublicationKind::Package,
            name,
            version: Some(version),
            file_name: "",
            digest: Digest::from_bytes([0; 32]),
            size: 0,
            file: &file,
        })
    }

    #[test]
    fn tags_are_what_registries_take() {
        assert_eq!(tag("jq", "1.7.1-3"), "jq-1.7.1-3");
        assert_eq!(tag("g++", "4:14.2~rc1"), format!("g__-4_14.2_rc1-{}", &tag("g++", "4:14.2~rc1")[15..]));
        let long = "x".repeat(MAX_TAG - 2);
        assert_eq!(tag(&long, "1").len(), MAX_TAG);
        assert_eq!(tag(&long, "1"), format!("{long}-1"));
        let odd = [("a+b", "1"), ("a@b", "1"), ("a", "1~b"), ("a", "1:b"), (&long, "12"), (&long, "13"), ("ab", "")];
        let all: BTreeSet<String> = odd.iter().map(|(name, version)| tag(name, version)).collect();
        assert_eq!(all.len(), odd.len(), "{all:?}");
        for tag in all.into_iter().chain([tag("@a", "1"), tag("+", "1")]) {
            let fits = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
            assert!(tag.len() <= MAX_TAG && tag.chars().all(fits) && !tag.starts_with(['.', '-']), "{tag}");
        }
    }
}
