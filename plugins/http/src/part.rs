//! A part of a file: how it is asked for, and what may come for it (RFC 9110, section 14).

use std::fmt;

/// The bytes from an offset on, to the end or so many of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) offset: u64,
    /// Not 0.
    pub(crate) length: Option<u64>,
}

impl Part {
    /// Whether it is less than the whole.
    pub(crate) fn is_part(self) -> bool {
        self.offset > 0 || self.length.is_some()
    }

    /// The last byte of it, where it has an end of its own.
    fn last(self) -> Option<u64> {
        self.length.map(|length| self.offset.saturating_add(length - 1))
    }

    /// The value of `Range`; none for the whole.
    pub(crate) fn header(self) -> Option<String> {
        let last = self.last().map(|last| last.to_string()).unwrap_or_default();
        self.is_part().then(|| format!("bytes={}-{last}", self.offset))
    }

    /// How many bytes come with this `Content-Range`, where it means this part, or the rest of the file from its
    /// beginning on: whoever gives more does no harm.
    pub(crate) fn size_of(self, content_range: &str) -> Option<u64> {
        let Range { first, last, total } = parse(content_range)?;
        let is_rest = total.is_none_or(|total| total - 1 == last);
        let fits = self.last().map_or(is_rest, |wanted| {
            last == wanted || last > wanted && is_rest || {
                last < wanted && total.is_some_and(|total| total - 1 == last)
            }
        });
        (first == self.offset && fits).then(|| last - first + 1)
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.length {
            Some(length) => write!(f, "{length} bytes from {} on", self.offset),
            None => write!(f, "the rest from {} on", self.offset),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Range {
    first: u64,
    last: u64,
    total: Option<u64>,
}

/// `bytes first-last/total`, total `*` where unknown (RFC 9110, section 14.4).
fn parse(text: &str) -> Option<Range> {
    let number = |text: &str| match text.bytes().all(|b| b.is_ascii_digit()) {
        true => text.parse::<u64>().ok(),
        false => None,
    };
    let (unit, rest) = text.trim().split_once(' ')?;
    let (bounds, total) = rest.split_once('/')?;
    let (first, last) = bounds.split_once('-')?;
    let (first, last) = (number(first)?, number(last)?);
    let total = if total == "*" { None } else { Some(number(total)?) };
    let sound = first <= last && last < u64::MAX && total.is_none_or(|total| last < total);
    (unit.eq_ignore_ascii_case("bytes") && sound).then_some(Range { first, last, total })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_asked_for_by_their_first_and_last_byte() {
        let header = |offset, length| Part { offset, length }.header();
        assert_eq!(header(0, None), None);
        assert_eq!(header(5, None).as_deref(), Some("bytes=5-"));
        assert_eq!(header(0, Some(1)).as_deref(), Some("bytes=0-0"));
        assert_eq!(header(5, Some(10)).as_deref(), Some("bytes=5-14"));
        assert_eq!(header(u64::MAX, Some(2)), Some(format!("bytes={0}-{0}", u64::MAX)));
    }

    #[test]
    fn n18_only_what_was_asked_for_or_more_is_taken() {
        let rest = |offset, text| Part { offset, length: None }.size_of(text);
        assert_eq!([rest(5, "bytes 5-9/10"), rest(4, "bytes 5-9/10"), rest(6, "bytes 5-9/10")], [Some(5), None, None]);
        assert_eq!([rest(5, "bytes 5-8/10"), rest(5, "bytes 5-9/*")], [None, Some(5)]);
        let part = |text| Part { offset: 5, length: Some(3) }.size_of(text);
        for (text, size) in [
            ("bytes 5-7/10", Some(3)),
            ("bytes 5-7/*", Some(3)),
            ("bytes 5-9/10", Some(5)),
            ("bytes 5-6/7", Some(2)),
            ("bytes 5-6/10", None),
            ("bytes 5-6/*", None),
            ("bytes 5-8/10", None),
            ("bytes 4-7/10", None),
            ("bytes 6-8/10", None),
        ] {
            assert_eq!(part(text), size, "{text}");
        }
    }

    #[test]
    fn n18_parts_are_read_strictly() {
        assert_eq!(parse("bytes 5-9/10"), Some(Range { first: 5, last: 9, total: Some(10) }));
        for bad in [
            "",
            "bytes",
            "bytes */10",
            "bytes 9-5/10",
            "bytes 5-10/10",
            "bytes 5-9/9",
            "bytes -9/10",
            "bytes 5-/10",
            "items 5-9/10",
            "bytes +5-9/10",
            "bytes 5-9/",
            "bytes 5-18446744073709551615/*",
            "bytes 5-18446744073709551616/*",
            "bytes 5-9/18446744073709551616",
            "bytes=5-9/10",
            "bytes 5-9,10-11/12",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
