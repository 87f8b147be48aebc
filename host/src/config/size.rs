//! Sizes and periods as people write them: `64MiB`, `5s`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A number of bytes: `64MiB`, `1GiB`, `512KiB`, `100B`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ByteSize(pub u64);

/// A time: `5s`, `500ms`, `2min`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Period(pub Duration);

const SIZES: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];
const PERIODS: [(&str, u64); 3] = [("min", 60_000), ("ms", 1), ("s", 1000)];

fn parse(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let (number, unit) = units.iter().find_map(|(name, unit)| Some((text.strip_suffix(name)?, unit)))?;
    let number = number.trim_end();
    if !number.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    number.parse::<u64>().ok()?.checked_mul(*unit).filter(|value| *value > 0)
}

fn write(value: u64, units: &[(&str, u64)]) -> String {
    let fitting = units.iter().filter(|(_, unit)| value.is_multiple_of(*unit)).max_by_key(|(_, unit)| *unit);
    fitting.map_or_else(|| value.to_string(), |(name, unit)| format!("{}{name}", value / unit))
}

impl TryFrom<String> for ByteSize {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let value = parse(&text, &SIZES)
            .ok_or_else(|| format!("\"{text}\" is no size; expected one like \"64MiB\" or \"512KiB\""))?;
        Ok(Self(value))
    }
}

impl From<ByteSize> for String {
    fn from(size: ByteSize) -> Self {
        write(size.0, &SIZES)
    }
}

impl TryFrom<String> for Period {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let value = parse(&text, &PERIODS)
            .ok_or_else(|| format!("\"{text}\" is no time; expected one like \"5s\" or \"500ms\""))?;
        Ok(Self(Duration::from_millis(value)))
    }
}

impl From<Period> for String {
    fn from(period: Period) -> Self {
        write(u64::try_from(period.0.as_millis()).unwrap_or(u64::MAX), &PERIODS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        for text in ["64MiB", "1GiB", "3KiB", "1500B"] {
            assert_eq!(String::from(ByteSize::try_from(text.to_owned()).unwrap()), text);
        }
        for text in ["5s", "1500ms", "2min"] {
            assert_eq!(String::from(Period::try_from(text.to_owned()).unwrap()), text);
        }
        for bad in ["", "5", "-5s", "MiB", "0s", "99999999999999999999B", "18446744073709551615GiB"] {
            assert!(ByteSize::try_from(bad.to_owned()).is_err() && Period::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }
}
