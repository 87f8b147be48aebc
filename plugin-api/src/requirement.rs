//! What a package needs of others.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

use crate::ident::{PackageName, ParseError, text_conversions};
use crate::version::Version;

/// How a version is compared with the one in a requirement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// `=`
    Equal,
    /// `>=`
    AtLeast,
    /// `<=`
    AtMost,
    /// `>`
    Above,
    /// `<`
    Below,
}

impl Comparison {
    const ALL: [(&'static str, Self); 5] =
        [(">=", Self::AtLeast), ("<=", Self::AtMost), ("=", Self::Equal), (">", Self::Above), ("<", Self::Below)];

    fn holds(self, found: &Version, wanted: &Version) -> bool {
        match self {
            Self::Equal => found == wanted,
            Self::AtLeast => found >= wanted,
            Self::AtMost => found <= wanted,
            Self::Above => found > wanted,
            Self::Below => found < wanted,
        }
    }
}

/// One name, and the versions of it that will do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Constraint {
    /// A package's name, alias or something that packages provide.
    pub name: PackageName,
    /// The comparison and the version; without it any will do.
    pub version: Option<(Comparison, Version)>,
}

impl Constraint {
    /// Whether `version` of the named package will do.
    pub fn admits(&self, version: &Version) -> bool {
        self.version.as_ref().is_none_or(|(comparison, wanted)| comparison.holds(version, wanted))
    }
}

/// `a`, `zlib>=1.3`, or `a | b`: any one of its alternatives satisfies it.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Requirement {
    /// At least one, in order of preference.
    alternatives: Vec<Constraint>,
}

impl Requirement {
    /// The most alternatives in one requirement.
    pub const MAX_ALTERNATIVES: usize = 64;

    /// A requirement of any version of `name`.
    pub fn of(name: PackageName) -> Self {
        Self { alternatives: vec![Constraint { name, version: None }] }
    }

    /// At least one constraint, in order of preference.
    pub fn alternatives(&self) -> &[Constraint] {
        &self.alternatives
    }
}

impl FromStr for Constraint {
    type Err = ParseError;
    fn from_str(text: &str) -> Result<Self, ParseError> {
        let Some(at) = text.bytes().position(|byte| matches!(byte, b'<' | b'>' | b'=')) else {
            return Ok(Self { name: text.trim().parse()?, version: None });
        };
        let (name, rest) = text.split_at(at);
        let found = Comparison::ALL.iter().find_map(|(sign, comparison)| Some((*comparison, rest.strip_prefix(sign)?)));
        let (comparison, version) = found.ok_or_else(|| {
            ParseError::new("a requirement", text, "a name, or a name with =, >=, <=, > or < and a version")
        })?;
        Ok(Self { name: name.trim().parse()?, version: Some((comparison, version.trim().parse()?)) })
    }
}

impl FromStr for Requirement {
    type Err = ParseError;
    fn from_str(text: &str) -> Result<Self, ParseError> {
        if !text.contains('|') {
            return Ok(Self { alternatives: vec![text.parse()?] });
        }
        let alternatives = text.split('|').map(str::parse).collect::<Result<Vec<Constraint>, _>>()?;
        if alternatives.len() > Self::MAX_ALTERNATIVES {
            return Err(ParseError::new("a requirement", text, "at most 64 alternatives"));
        }
        Ok(Self { alternatives })
    }
}

impl fmt::Display for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name)?;
        if let Some((comparison, version)) = &self.version {
            let sign = Comparison::ALL.iter().find(|(_, known)| known == comparison).map_or("", |(sign, _)| sign);
            write!(f, "{sign}{version}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, constraint) in self.alternatives.iter().enumerate() {
            write!(f, "{}{constraint}", if at == 0 { "" } else { " | " })?;
        }
        Ok(())
    }
}

text_conversions!(Requirement);

impl serde::Serialize for Requirement {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_and_prints_itself() {
        for text in ["a", "zlib>=1.3", "a<2 | b=1:2-3 | c"] {
            assert_eq!(text.parse::<Requirement>().unwrap().to_string(), text);
        }
        assert_eq!(" zlib >= 1.3 ".parse::<Requirement>().unwrap().to_string(), "zlib>=1.3");
        for bad in ["", "a |", "a>", ">=1", "a=>1", "a=1=2", "a b"] {
            assert!(bad.parse::<Requirement>().is_err(), "{bad}");
        }
    }

    #[test]
    fn admits_by_version() {
        let constraint: Constraint = "zlib>=1.3".parse().unwrap();
        assert!(constraint.admits(&"1.10".parse().unwrap()));
        assert!(!constraint.admits(&"1.3~rc1".parse().unwrap()));
    }
}
