//! The only path that crosses a contract.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

use crate::ident::{ParseError, display_as_text, text_conversions};

/// A path below some root: components joined by single slashes.
///
/// Guarantee: UTF-8; no leading or trailing slash; no component is empty, `.`
/// or `..`, holds a NUL, or is longer than 255 bytes; the whole is at most 4095
/// bytes. The root itself is the empty path. Equality and
/// [`starts_with`](Self::starts_with) go by components.
#[derive(Clone, PartialEq, Eq, Hash, Default, Deserialize)]
#[serde(try_from = "String")]
pub struct RelPath(Box<str>);

impl RelPath {
    /// The longest path in bytes (Linux: PATH_MAX with its NUL is 4096).
    pub const MAX_LEN: usize = 4095;
    /// The longest component in bytes (Linux: NAME_MAX).
    pub const MAX_COMPONENT: usize = 255;

    /// The root: the empty path.
    pub fn root() -> Self {
        Self::default()
    }

    /// An absolute path (`/usr/bin`) as a path below the root. `.` and
    /// doubled or trailing slashes are dropped; `..` is refused.
    pub fn from_absolute(text: &str) -> Result<Self, ParseError> {
        if !text.starts_with('/') {
            return Err(ParseError::new("an absolute path", text, "it begins with '/'"));
        }
        let parts: Vec<&str> = text.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
        parts.join("/").parse()
    }

    /// Whether this is the root.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The path as text, without a leading slash.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path as text with a leading slash, as it is on the target system.
    pub fn absolute(&self) -> String {
        format!("/{}", self.0)
    }

    /// The components, first to last; none for the root.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/').filter(|part| !part.is_empty())
    }

    /// The last component; none for the root.
    pub fn file_name(&self) -> Option<&str> {
        self.components().next_back()
    }

    /// The path without its last component; none for the root.
    pub fn parent(&self) -> Option<Self> {
        if self.is_root() {
            return None;
        }
        Some(Self(self.0.rsplit_once('/').map_or("", |(parent, _)| parent).into()))
    }

    /// This path with one more component.
    pub fn child(&self, name: &str) -> Result<Self, ParseError> {
        if name.contains('/') {
            return Err(ParseError::new("a file name", name, "no '/'"));
        }
        check_component(name)?;
        if self.is_root() { Ok(Self(name.into())) } else { self.followed_by(name) }
    }

    /// This path, a slash, and `rest`, whose components have been checked.
    fn followed_by(&self, rest: &str) -> Result<Self, ParseError> {
        let length = self.0.len() + 1 + rest.len();
        let mut text = String::with_capacity(length);
        text.push_str(&self.0);
        text.push('/');
        text.push_str(rest);
        match length <= Self::MAX_LEN {
            true => Ok(Self(text.into_boxed_str())),
            false => Err(too_long(&text)),
        }
    }

    /// This path followed by `rest`.
    pub fn join(&self, rest: &Self) -> Result<Self, ParseError> {
        if rest.is_root() {
            return Ok(self.clone());
        }
        if self.is_root() {
            return Ok(rest.clone());
        }
        self.followed_by(&rest.0)
    }

    /// Whether this is `base` or lies below it, by components.
    pub fn starts_with(&self, base: &Self) -> bool {
        self.below(base).is_some()
    }

    /// This path as seen from `base`; none if it does not lie there.
    pub fn strip_prefix(&self, base: &Self) -> Option<Self> {
        self.below(base).map(|rest| Self(rest.into()))
    }

    /// The text of [`Self::strip_prefix`], where no path of its own is needed; empty for `base` itself.
    pub fn below(&self, base: &Self) -> Option<&str> {
        if base.is_root() {
            return Some(&self.0);
        }
        let rest = self.0.strip_prefix(&*base.0)?;
        if rest.is_empty() { Some(rest) } else { rest.strip_prefix('/') }
    }
}

fn too_long(text: &str) -> ParseError {
    ParseError::new("a relative path", text, "at most 4095 bytes")
}

fn check_component(part: &str) -> Result<(), ParseError> {
    let rule = match part {
        "" => "no component is empty",
        "." | ".." => "no component is '.' or '..'",
        _ if part.contains('\0') => "no NUL",
        _ if part.len() > RelPath::MAX_COMPONENT => "no component is longer than 255 bytes",
        _ => return Ok(()),
    };
    Err(ParseError::new("a relative path", part, rule))
}

impl FromStr for RelPath {
    type Err = ParseError;
    fn from_str(text: &str) -> Result<Self, ParseError> {
        if text.is_empty() {
            return Ok(Self::root());
        }
        if text.len() > Self::MAX_LEN {
            return Err(too_long(text));
        }
        text.split('/').try_for_each(check_component)?;
        Ok(Self(text.into()))
    }
}

/// Parents come directly before what is in them (`a`, `a/b`, `a.c`).
impl Ord for RelPath {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let (one, other) = (self.0.as_bytes(), other.0.as_bytes());
        // A slash ends a component, and so comes before every byte that continues one. No path holds a NUL.
        let rank = |byte: u8| if byte == b'/' { 0 } else { byte };
        // Sorted lists have neighbours that begin alike: what is equal is passed by in large steps.
        const STEP: usize = 16;
        let same = one.chunks_exact(STEP).zip(other.chunks_exact(STEP)).take_while(|(a, b)| a == b).count() * STEP;
        match one[same..].iter().zip(&other[same..]).find(|(a, b)| a != b) {
            Some((a, b)) => rank(*a).cmp(&rank(*b)),
            None => one.len().cmp(&other.len()),
        }
    }
}

impl PartialOrd for RelPath {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

text_conversions!(RelPath);
display_as_text!(RelPath);

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> RelPath {
        text.parse().unwrap()
    }

    #[test]
    fn the_order_is_that_of_components() {
        let texts =
            ["", "a", "a/b", "a/b/c", "a b", "a.c", "a!", "a-b/c", "aa", "ab/c", "b", "\u{1}", "é/a", "é", "a/é"];
        for (one, other) in texts.iter().flat_map(|one| texts.iter().map(move |other| (path(one), path(other)))) {
            assert_eq!(one.cmp(&other), one.components().cmp(other.components()), "{one:?} {other:?}");
        }
    }

    #[test]
    fn only_plain_relative_paths_parse() {
        for good in ["", "a", "a/b", "...", "a/..b", "a\\..\\b", "c:..", &"x".repeat(255)] {
            assert!(good.parse::<RelPath>().is_ok(), "{good}");
        }
        let long = format!("{}b", "a/".repeat(2100));
        for bad in ["/a", "a/", "a//b", ".", "..", "a/../b", "a/./b", "a\0b", &"x".repeat(256), &long] {
            assert!(bad.parse::<RelPath>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_order_does_not_depend_on_where_paths_differ() {
        let texts: Vec<String> = (0..40).flat_map(|at| ["/b", "-b", "b"].map(|end| "x".repeat(at + 1) + end)).collect();
        for (one, other) in texts.iter().flat_map(|one| texts.iter().map(move |other| (path(one), path(other)))) {
            assert_eq!(one.cmp(&other), one.components().cmp(other.components()), "{one:?} {other:?}");
        }
    }

    #[test]
    fn what_is_put_together_is_as_long_as_a_path_may_be() {
        let long = path(&"a/".repeat(2047)[..4093]);
        assert_eq!(long.child("b").unwrap().as_str().len(), 4095);
        assert_eq!(long.join(&path("b")).unwrap(), long.child("b").unwrap());
        for joined in [long.child("bc"), long.join(&path("bc")), long.join(&path("b/c"))] {
            assert!(joined.unwrap_err().to_string().contains("at most 4095 bytes"));
        }
        for bad in ["", ".", "..", "a/b", "a\0"] {
            assert!(path("a").child(bad).is_err() && RelPath::root().child(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn prefixes_go_by_components() {
        assert!(path("usr/bin/x").starts_with(&path("usr/bin")));
        assert!(!path("usr/binary").starts_with(&path("usr/bin")));
        assert_eq!(path("usr/bin/x").strip_prefix(&path("usr/bin")), Some(path("x")));
        assert_eq!(path("usr").parent(), Some(RelPath::root()));
        assert_eq!(RelPath::from_absolute("//usr/./bin/").unwrap(), path("usr/bin"));
        assert!(RelPath::from_absolute("/usr/../bin").is_err());
        assert!(RelPath::root().child("..").is_err());
    }

    #[test]
    fn parents_sort_before_children() {
        let mut paths = [path("a.c"), path("a/b"), path("a")];
        paths.sort();
        assert_eq!(paths, [path("a"), path("a/b"), path("a.c")]);
    }
}
