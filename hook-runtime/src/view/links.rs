//! The texts of symbolic links: which are taken, and what is stored of them.

use packets_plugin_api::relpath::RelPath;

/// Checks the target that a hook asks for (A28): the rule that it breaks.
pub(super) fn check(target: &str) -> Result<(), &'static str> {
    if target.is_empty() {
        return Err("a link's target is not empty");
    }
    if target.len() > RelPath::MAX_LEN {
        return Err("a link's target is at most 4095 bytes long");
    }
    if target.chars().any(char::is_control) {
        return Err("a link's target holds no control character");
    }
    Ok(())
}

/// What a link in `parent` (canonical) stores on a relocated target.
///
/// An absolute target becomes relative to `parent`, so that it leads to the same
/// place from outside the root and after a chroot. A relative one is kept, unless
/// its `..` climb above the root: outside a chroot they would leave it, so the text
/// becomes the one that means the same inside. A text that is rewritten is cleaned,
/// `a/..` going by the letter.
pub(super) fn relocated(target: &str, parent: &RelPath) -> String {
    let depth = parent.components().count();
    let clean = if target.starts_with('/') {
        clean(Vec::new(), target)
    } else if climbs_over(target, depth) {
        clean(parent.components().collect(), target)
    } else {
        return target.to_owned();
    };
    let mut parts = vec![".."; depth];
    parts.extend(clean);
    if parts.is_empty() { ".".to_owned() } else { parts.join("/") }
}

fn climbs_over(target: &str, depth: usize) -> bool {
    let mut left = depth;
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." if left == 0 => return true,
            ".." => left -= 1,
            _ => left += 1,
        }
    }
    false
}

fn clean<'a>(mut from: Vec<&'a str>, target: &'a str) -> Vec<&'a str> {
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(from.pop()),
            name => from.push(name),
        }
    }
    from
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a28_texts_that_are_no_target() {
        for bad in ["", "a\0b", "a\nb", "\u{1b}[2J", "\u{7f}", &"x".repeat(4096)] {
            assert!(check(bad).is_err(), "A28 {bad:?}");
        }
        assert!(check("../x y").is_ok());
    }

    #[test]
    fn relocated_links_stay_below_the_root() {
        let bin: RelPath = "usr/bin".parse().unwrap();
        for (asked, stored) in [
            ("/opt/packets/hello/data/hello", "../../opt/packets/hello/data/hello"),
            ("/../../etc/x", "../../etc/x"),
            ("/opt/a/../b", "../../opt/b"),
            ("/", "../.."),
            ("other", "other"),
            ("../lib/x", "../lib/x"),
            ("../../etc/x", "../../etc/x"),
            ("../../../../etc/x", "../../etc/x"),
            ("a/../../../../etc", "../../etc"),
        ] {
            assert_eq!(relocated(asked, &bin), stored, "{asked}");
        }
        assert_eq!(relocated("/", &RelPath::root()), ".");
        assert_eq!(relocated("..", &RelPath::root()), ".");
    }
}
