//! The texts of symbolic links, when folders of packages are somewhere else than before.

use packets_plugin_api::relpath::RelPath;

/// A folder that has moved, by one of the paths that lead to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Moved {
    /// Where it was.
    pub(crate) from: RelPath,
    /// Where it is.
    pub(crate) to: RelPath,
}

/// What the text of a link must become so that it leads to the same thing; none where it still does. The link stands in
/// the folder `above`, and stood in `was_above`. `..` goes by the letter.
pub(super) fn repointed(text: &str, was_above: &RelPath, above: &RelPath, moved: &[Moved]) -> Option<String> {
    let meant = resolve(text, was_above);
    let wanted = moved.iter().find_map(|moved| follow(&meant, moved)).unwrap_or_else(|| meant.clone());
    if resolve(text, above) == wanted {
        return None;
    }
    let wanted = wanted.join("/");
    Some(match text.starts_with('/') {
        true => format!("/{wanted}"),
        false => "../".repeat(above.components().count()) + &wanted,
    })
}

/// The parts of the path that a text in a folder means.
fn resolve<'a>(text: &'a str, above: &'a RelPath) -> Vec<&'a str> {
    let mut parts: Vec<&str> = if text.starts_with('/') { Vec::new() } else { above.components().collect() };
    for part in text.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            name => parts.push(name),
        }
    }
    parts
}

fn follow<'a>(path: &[&'a str], moved: &'a Moved) -> Option<Vec<&'a str>> {
    let from: Vec<&str> = moved.from.components().collect();
    let rest = path.strip_prefix(from.as_slice())?;
    Some(moved.to.components().chain(rest.iter().copied()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> RelPath {
        text.parse().unwrap()
    }

    fn moved() -> Vec<Moved> {
        vec![Moved { from: path("opt/packets/hello"), to: path("srv/deep/packets/hello") }]
    }

    #[test]
    fn a_link_from_elsewhere_leads_to_the_new_place() {
        let bin = path("usr/bin");
        for (text, wanted) in [
            ("/opt/packets/hello/data/hello", Some("/srv/deep/packets/hello/data/hello")),
            ("//opt/./packets/x/../hello", Some("/srv/deep/packets/hello")),
            ("../../opt/packets/hello/data/hello", Some("../../srv/deep/packets/hello/data/hello")),
            ("../../../../opt/packets/hello", Some("../../srv/deep/packets/hello")),
            ("/opt/packets/hello2/data", None),
            ("/opt/packets", None),
            ("opt/packets/hello", None),
            ("../lib/x", None),
            ("/", None),
        ] {
            assert_eq!(repointed(text, &bin, &bin, &moved()).as_deref(), wanted, "{text}");
        }
    }

    #[test]
    fn a_link_that_moves_along_is_right_as_long_as_it_stays_inside() {
        let (was, is) = (path("opt/packets/hello/data"), path("srv/deep/packets/hello/data"));
        for (text, wanted) in [
            ("x", None),
            ("../manifest.toml", None),
            ("/etc/hello", None),
            ("../../../../etc/hello", Some("../../../../../etc/hello")),
            ("../../hello/data/x", None),
            ("/opt/packets/hello/data/x", Some("/srv/deep/packets/hello/data/x")),
            ("../../../../opt/packets/hello/data/x", Some("../../../../../srv/deep/packets/hello/data/x")),
        ] {
            assert_eq!(repointed(text, &was, &is, &moved()).as_deref(), wanted, "{text}");
        }
    }
}
