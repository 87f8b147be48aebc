//! Versions, ordered as in deb-version(7).

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

use crate::ident::{ParseError, display_as_text, text_conversions};

/// A version: `[epoch:]upstream[-revision]`, ordered as in deb-version(7).
///
/// Guarantee: 1 to 128 bytes of visible ASCII without `/`, `|`, `,`, `<`, `>`
/// or `=`. The order is total over all of them; two spellings that compare
/// equal (`1.0`, `1.00`) are equal.
#[derive(Clone, Deserialize)]
#[serde(try_from = "String")]
pub struct Version(Box<str>);

impl Version {
    /// The version as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn parts(&self) -> (&str, &str, &str) {
        let (epoch, rest) = match self.0.split_once(':') {
            Some((epoch, rest)) if !epoch.is_empty() && epoch.bytes().all(|b| b.is_ascii_digit()) => (epoch, rest),
            _ => ("0", &*self.0),
        };
        let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, ""));
        (epoch, upstream, revision)
    }
}

impl FromStr for Version {
    type Err = ParseError;
    fn from_str(text: &str) -> Result<Self, ParseError> {
        let good = |b: u8| b.is_ascii_graphic() && !b"/|,<>=".contains(&b);
        if (1..=128).contains(&text.len()) && text.bytes().all(good) {
            Ok(Self(text.into()))
        } else {
            Err(ParseError::new("a version", text, "1 to 128 visible ASCII characters without / | , < > ="))
        }
    }
}

/// The weight of a character that is no digit: `~` before the end, the end
/// before letters, letters before all others.
fn weight(c: Option<u8>) -> u16 {
    match c {
        Some(b'~') => 0,
        None => 1,
        Some(b) if b.is_ascii_digit() => 1,
        Some(b) if b.is_ascii_alphabetic() => u16::from(b) + 1,
        Some(b) => u16::from(b) + 257,
    }
}

fn compare_part(left: &str, right: &str) -> Ordering {
    let (mut left, mut right) = (left.as_bytes(), right.as_bytes());
    while !left.is_empty() || !right.is_empty() {
        let is_text = |bytes: &[u8]| bytes.first().is_some_and(|b| !b.is_ascii_digit());
        while is_text(left) || is_text(right) {
            let order = weight(left.first().copied()).cmp(&weight(right.first().copied()));
            if order != Ordering::Equal {
                return order;
            }
            left = left.get(1..).unwrap_or_default();
            right = right.get(1..).unwrap_or_default();
        }
        let (number, other) = (digits(&mut left), digits(&mut right));
        let order = number.len().cmp(&other.len()).then_with(|| number.cmp(other));
        if order != Ordering::Equal {
            return order;
        }
    }
    Ordering::Equal
}

/// The digits at the front, without leading zeros; `bytes` moves behind them.
fn digits<'a>(bytes: &mut &'a [u8]) -> &'a [u8] {
    let end = bytes.iter().position(|b| !b.is_ascii_digit()).unwrap_or(bytes.len());
    let (number, rest) = bytes.split_at(end);
    *bytes = rest;
    let start = number.iter().position(|b| *b != b'0').unwrap_or(number.len());
    &number[start..]
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        let (left, right) = (self.parts(), other.parts());
        compare_part(left.0, right.0)
            .then_with(|| compare_part(left.1, right.1))
            .then_with(|| compare_part(left.2, right.2))
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Version {}

text_conversions!(Version);
display_as_text!(Version);

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> Version {
        text.parse().unwrap()
    }

    #[test]
    fn orders_as_deb_version() {
        let ascending = [
            "0~~",
            "0~~a",
            "0~",
            "0",
            "0a",
            "0+",
            "0.1",
            "1.0~rc1",
            "1.0",
            "1.0-1",
            "1.0-1.1",
            "1.0-2",
            "1.0+b1",
            "1.2",
            "1.10",
            "9999999999999999999999",
            "1:0",
            "2:0",
        ];
        for pair in ascending.windows(2) {
            assert!(version(pair[0]) < version(pair[1]), "{pair:?}");
            assert!(version(pair[1]) > version(pair[0]), "{pair:?}");
        }
        assert_eq!(version("1.00"), version("1.0"));
        assert_eq!(version("0:1"), version("1"));
    }

    /// Short ones of few letters, so that many are nearly alike.
    fn versions() -> impl proptest::strategy::Strategy<Value = Version> {
        use proptest::strategy::Strategy as _;
        "([0-9]{1,2}:)?[0-9][0-9a~+.]{0,5}(-[0-9a~+.]{1,3})?".prop_filter_map("it is none", |text| text.parse().ok())
    }

    proptest::proptest! {
        #[test]
        fn m30_versions_are_in_one_order(a in versions(), b in versions(), c in versions()) {
            proptest::prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
            proptest::prop_assert_eq!(a == b, a.cmp(&b) == Ordering::Equal);
            proptest::prop_assert_eq!(a.cmp(&a), Ordering::Equal);
            let mut all = [&a, &b, &c];
            all.sort();
            proptest::prop_assert!(all[0] <= all[1] && all[1] <= all[2] && all[0] <= all[2]);
            if a <= b && b <= c {
                proptest::prop_assert!(a <= c);
            }
            if a == b {
                proptest::prop_assert_eq!(a.cmp(&c), b.cmp(&c));
            }
        }

        #[test]
        fn m30_what_is_printed_is_what_was_read(a in versions()) {
            let again: Version = a.to_string().parse().unwrap();
            proptest::prop_assert_eq!(again.as_str(), a.as_str());
        }
    }

    #[test]
    fn hostile_versions_do_not_parse() {
        for bad in ["", "1/../../x", "1 2", "1\n", "1\u{1b}", "é", &"1".repeat(129)] {
            assert!(bad.parse::<Version>().is_err(), "M30 {bad:?}");
        }
    }
}
