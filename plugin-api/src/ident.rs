//! Names, digests and families: parsed once, valid from then on.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

/// A text that is not what it was taken for.
///
/// The text itself is kept escaped, so that the error can be printed on a
/// terminal whatever it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError {
    /// What was expected, e.g. "a package name".
    pub expected: &'static str,
    /// The text, escaped, cut after 80 characters.
    pub found: String,
    /// The rule that it breaks.
    pub rule: &'static str,
}

impl ParseError {
    /// An error about `found`, which should have been `expected`.
    pub fn new(expected: &'static str, found: &str, rule: &'static str) -> Self {
        Self { expected, found: escape(found, 80), rule }
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\" is not {}: {}", self.found, self.expected, self.rule)
    }
}

impl std::error::Error for ParseError {}

/// `text` with every character that could act on a terminal replaced by an
/// escape (`\n`, `\u{1b}`, `\u{202e}`), cut after `most` characters.
pub fn escape(text: &str, most: usize) -> String {
    let mut out = String::with_capacity(text.len().min(most));
    for (count, c) in text.chars().enumerate() {
        if count == most {
            out.push('…');
            break;
        }
        if acts_on_terminal(c) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

/// Control characters and the marks that reorder or hide text.
pub fn acts_on_terminal(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{00ad}' | '\u{061c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Whether a text holds anything that [acts on a terminal](acts_on_terminal).
pub fn text_acts_on_terminal(text: &str) -> bool {
    // Most are ASCII, of which many bytes are judged at once.
    if text.is_ascii() { text.bytes().any(|byte| byte.is_ascii_control()) } else { text.chars().any(acts_on_terminal) }
}

/// The unique name of a package (v1's realname), e.g. `go1.24.4`.
///
/// Guarantee: 1 to 128 bytes, the first an ASCII letter or digit, the others
/// ASCII letters, digits or one of `@ + . _ -`. It is therefore a safe file
/// name and never `.` or `..`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct PackageName(Box<str>);

impl PackageName {
    /// The longest name in bytes.
    pub const MAX_LEN: usize = 128;

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Which bytes a package's name may have: an index holds hundreds of thousands of names.
const IN_A_NAME: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte: u8 = 0;
    while byte < 128 {
        table[byte as usize] = byte.is_ascii_alphanumeric() || matches!(byte, b'@' | b'+' | b'.' | b'_' | b'-');
        byte += 1;
    }
    table
};

impl FromStr for PackageName {
    type Err = ParseError;
    fn from_str(text: &str) -> Result<Self, ParseError> {
        let bytes = text.as_bytes();
        let good_first = bytes.first().is_some_and(u8::is_ascii_alphanumeric);
        let good_rest = bytes.iter().all(|b| IN_A_NAME[usize::from(*b)]);
        if bytes.len() <= Self::MAX_LEN && good_first && good_rest {
            Ok(Self(text.into()))
        } else {
            Err(ParseError::new(
                "a package name",
                text,
                "1 to 128 letters, digits, '@', '+', '.', '_' or '-', beginning with a letter or digit",
            ))
        }
    }
}

/// The SHA-256 of a file.
///
/// Its text is exactly 64 lower-case hex digits; nothing else parses, and there
/// is no value that means "unknown".
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest with these bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl FromStr for Digest {
    type Err = ParseError;
    fn from_str(text: &str) -> Result<Self, ParseError> {
        let wrong = || ParseError::new("a SHA-256", text, "64 lower-case hex digits");
        let value = |b: u8| match b {
            b'0'..=b'9' => Ok(b - b'0'),
            b'a'..=b'f' => Ok(b - b'a' + 10),
            _ => Err(wrong()),
        };
        if text.len() != 64 {
            return Err(wrong());
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            *byte = value(pair[0])? << 4 | value(pair[1])?;
        }
        Ok(Self(bytes))
    }
}

impl Digest {
    /// What `with` makes of its 64 hex digits.
    fn digits<T>(&self, with: impl FnOnce(&str) -> T) -> T {
        let mut text = [0; 64];
        for (pair, byte) in text.chunks_exact_mut(2).zip(self.0) {
            pair[0] = b"0123456789abcdef"[usize::from(byte >> 4)];
            pair[1] = b"0123456789abcdef"[usize::from(byte & 15)];
        }
        with(std::str::from_utf8(&text).unwrap_or_default())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.digits(|text| f.write_str(text))
    }
}

impl serde::Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.digits(|text| serializer.serialize_str(text))
    }
}

/// What all releases of one software share; empty: of no family.
///
/// It is only a text that anyone can copy, and alone gives no right. At most
/// 128 bytes, all printable ASCII.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Deserialize)]
#[serde(try_from = "String")]
pub struct Family(Box<str>);

impl Family {
    /// Of no family; matches nothing.
    pub fn none() -> Self {
        Self::default()
    }

    /// Whether this is no family at all.
    pub fn is_none(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether both are of the same family; of no family matches nothing.
    pub fn matches(&self, other: &Self) -> bool {
        !self.is_none() && self == other
    }

    /// The family as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Family {
    type Err = ParseError;
    fn from_str(text: &str) -> Result<Self, ParseError> {
        if text.len() <= 128 && text.bytes().all(|b| (0x20..0x7f).contains(&b)) {
            Ok(Self(text.into()))
        } else {
            Err(ParseError::new("a family", text, "at most 128 bytes of printable ASCII"))
        }
    }
}

/// The id of one transaction: 16 lower-case hex digits.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct TransactionId(Box<str>);

impl TransactionId {
    /// The id with these eight bytes.
    pub fn from_bytes(bytes: [u8; 8]) -> Self {
        Self(format!("{:016x}", u64::from_be_bytes(bytes)).into())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TransactionId {
    type Err = ParseError;
    fn from_str(text: &str) -> Result<Self, ParseError> {
        if text.len() == 16 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            Ok(Self(text.into()))
        } else {
            Err(ParseError::new("a transaction's id", text, "16 lower-case hex digits"))
        }
    }
}

macro_rules! text_conversions {
    ($($type:ty),*) => {$(
        impl TryFrom<String> for $type {
            type Error = ParseError;
            fn try_from(text: String) -> Result<Self, ParseError> { text.parse() }
        }
        impl From<$type> for String {
            fn from(value: $type) -> Self { value.to_string() }
        }
        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { write!(f, "{self}") }
        }
    )*};
}
pub(crate) use text_conversions;
text_conversions!(PackageName, Digest, Family, TransactionId);

macro_rules! display_as_text {
    ($($type:ty),*) => {$(
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(self.as_str()) }
        }
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }
    )*};
}
pub(crate) use display_as_text;
display_as_text!(PackageName, Family, TransactionId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_file_names() {
        for good in ["go1.24.4", "a", "libstdc++", "Foo_bar", "x@2", "0ad", &"n".repeat(128)] {
            assert!(good.parse::<PackageName>().is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "-rf", "a/b", "a b", "a\0", "ä", "$(id)", ".packets", &"n".repeat(129)] {
            assert!(bad.parse::<PackageName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_text_acts_on_a_terminal_where_one_of_its_characters_does() {
        let characters = || ('\0'..='\u{ff}').chain(['\u{200b}', '\u{202e}', '\u{feff}', 'ł', '𝄞', '\u{e0041}']);
        for (before, c) in ["", "a", "ä"].into_iter().flat_map(|before| characters().map(move |c| (before, c))) {
            assert_eq!(text_acts_on_terminal(&format!("{before}{c}b")), acts_on_terminal(c), "{before:?} {c:?}");
        }
        assert!(!text_acts_on_terminal(""));
    }

    #[test]
    fn digests_have_one_spelling() {
        let good = "0123456789abcdef".repeat(4);
        assert_eq!(good.parse::<Digest>().unwrap().to_string(), good);
        for bad in [
            "",
            " ",
            &good[1..],
            &format!("{good}0"),
            &format!(" {}", &good[1..]),
            &good.to_uppercase(),
            &format!("{}\n", &good[1..]),
            &format!("0x{}", &good[2..]),
            &format!("\0{}", &good[1..]),
        ] {
            assert!(bad.parse::<Digest>().is_err(), "M12 {bad:?}");
        }
    }

    #[test]
    fn of_no_family_matches_nothing() {
        assert!(!Family::none().matches(&Family::none()));
        let one: Family = "one".parse().unwrap();
        assert!(one.matches(&one.clone()));
    }

    #[test]
    fn escapes_what_acts_on_a_terminal() {
        assert_eq!(escape("a\u{1b}[2J\n\u{202e}b", 80), "a\\u{1b}[2J\\n\\u{202e}b");
        assert_eq!(escape("abc", 2), "ab…");
    }
}
