//! What a reply must be like before its bytes are passed on (RFC 9110).

use std::fmt;
use std::io::{self, Read};
use std::time::{Duration, SystemTime};

use packets_plugin_api::fetch::{FetchError, FetchErrorKind};
use packets_plugin_api::ident::escape;
use reqwest::blocking::Response;
use reqwest::header::{self, HeaderName};

/// Whether a reply of status 200 came.
pub(super) fn check(response: &Response, place: &str) -> Result<(), FetchError> {
    match response.status().as_u16() {
        200 => Ok(()),
        _ => Err(refused(response, place)),
    }
}

/// The bytes of a reply that is no redirect, when they are what was asked for.
pub(super) fn open(
    response: Response,
    place: &str,
    offset: u64,
) -> Result<(Box<dyn Read + Send>, Option<u64>), FetchError> {
    match response.status().as_u16() {
        200 if offset == 0 => {}
        206 if offset > 0 => {}
        200 | 416 if offset > 0 => {
            let message = format!("{place} cannot go on from byte {offset}");
            return Err(FetchError::new(FetchErrorKind::NoSuchRange, message));
        }
        _ => return Err(refused(&response, place)),
    }
    only(&response, header::CONTENT_ENCODING, "identity", place)?;
    only(&response, header::TRANSFER_ENCODING, "chunked", place)?;
    let mut size = response.content_length();
    if offset > 0 {
        size = Some(check_range(&response, place, offset, size)?);
    }
    Ok((Box::new(Body { response, left: size, place: place.to_owned() }), size))
}

/// What a status says that is not the one that was hoped for.
pub(super) fn refused(response: &Response, place: &str) -> FetchError {
    let status = response.status();
    let kind = match status.as_u16() {
        404 | 410 => FetchErrorKind::NotFound,
        401 | 403 => FetchErrorKind::Denied,
        // Not implemented, and not this version of HTTP: it will not be so later on either.
        501 | 505 => FetchErrorKind::Protocol,
        511 => FetchErrorKind::LoginFirst,
        408 | 425 | 429 | 500..=599 => FetchErrorKind::Unreachable,
        _ => FetchErrorKind::Protocol,
    };
    let mut error = FetchError::new(kind, format!("{place} answered {status}"));
    if kind == FetchErrorKind::Unreachable {
        error.retry_after = response.headers().get(header::RETRY_AFTER).and_then(|value| wait_of(value.to_str().ok()?));
    }
    error
}

/// `Retry-After`: seconds, or a date (RFC 9110, section 10.2.3).
fn wait_of(text: &str) -> Option<Duration> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More seconds than there are numbers are many.
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(SystemTime::now()).unwrap_or_default())
}

fn protocol(place: &str, problem: &str) -> FetchError {
    FetchError::new(FetchErrorKind::Protocol, format!("{place} {problem}"))
}

/// All values of a header must be this word, or the header absent: what is
/// encoded is not decoded here, and its size would say nothing (N16).
fn only(response: &Response, name: HeaderName, word: &str, place: &str) -> Result<(), FetchError> {
    for value in response.headers().get_all(&name) {
        let text = String::from_utf8_lossy(value.as_bytes());
        if !text.trim().eq_ignore_ascii_case(word) {
            let problem = format!("answered with {name} \"{}\", which was not asked for", escape(&text, 80));
            return Err(protocol(place, &problem));
        }
    }
    Ok(())
}

/// The size of a part that begins exactly at `offset` and is the rest of the file (N18).
fn check_range(response: &Response, place: &str, offset: u64, length: Option<u64>) -> Result<u64, FetchError> {
    let mut values = response.headers().get_all(header::CONTENT_RANGE).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(protocol(place, "answered with a part and does not say which"));
    };
    let size = value.to_str().ok().and_then(|text| rest_from(text, offset));
    match size {
        Some(size) if length.is_none_or(|length| length == size) => Ok(size),
        _ => {
            let text = escape(&String::from_utf8_lossy(value.as_bytes()), 80);
            let problem = format!("answered with the part \"{text}\" and was asked for the rest from {offset} on");
            Err(protocol(place, &problem))
        }
    }
}

/// The size of the part `bytes first-last/total`, total `*` where unknown, when it is the rest from `offset` on.
fn rest_from(text: &str, offset: u64) -> Option<u64> {
    let number = |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse::<u64>().ok()).flatten();
    let (unit, rest) = text.trim().split_once(' ')?;
    let (bounds, total) = rest.split_once('/')?;
    let (first, last) = bounds.split_once('-')?;
    let (first, last) = (number(first)?, number(last)?);
    let is_rest = total == "*" || number(total)?.checked_sub(1) == Some(last);
    let is_sound = unit.eq_ignore_ascii_case("bytes") && first == offset && first <= last && last < u64::MAX;
    (is_sound && is_rest).then(|| last - first + 1)
}

/// The body, which must not end before its announced size.
struct Body {
    response: Response,
    left: Option<u64>,
    place: String,
}

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = self.left.map_or(buffer.len(), |left| usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len()));
        let came = self.response.read(&mut buffer[..most]).map_err(|cause| self.broken(cause))?;
        if came == 0 && most > 0 && self.left.is_some() {
            return Err(self.broken(io::Error::new(io::ErrorKind::UnexpectedEof, "the reply ended before its size")));
        }
        self.left = self.left.map(|left| left - came as u64);
        Ok(came)
    }
}

impl Body {
    fn broken(&self, cause: io::Error) -> io::Error {
        io::Error::new(cause.kind(), Broken { place: self.place.clone(), cause })
    }
}

#[derive(Debug)]
struct Broken {
    place: String,
    cause: io::Error,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the transfer from {} broke off", self.place)
    }
}

impl std::error::Error for Broken {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.cause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_to_wait_are_seconds_or_dates() {
        let seconds = |text: &str| wait_of(text).map(|wait| wait.as_secs());
        assert_eq!([seconds("0"), seconds(" 120 ")], [Some(0), Some(120)]);
        assert_eq!(seconds("99999999999999999999999"), Some(u64::MAX));
        assert_eq!(seconds("Sun, 06 Nov 1994 08:49:37 GMT"), Some(0), "a date that has passed");
        for bad in ["", "-1", "1.5", "soon", "+3"] {
            assert_eq!(seconds(bad), None, "{bad}");
        }
    }

    #[test]
    fn n18_parts_are_read_strictly() {
        assert_eq!(rest_from("bytes 5-9/10", 5), Some(5));
        assert_eq!(rest_from("bytes 5-9/*", 5), Some(5));
        for (bad, offset) in [
            ("", 5),
            ("bytes */10", 5),
            ("bytes 5-9/10", 4),
            ("bytes 5-8/10", 5),
            ("bytes 9-5/6", 9),
            ("bytes 5-9/0", 5),
            ("bytes 5-/10", 5),
            ("items 5-9/10", 5),
            ("bytes +5-9/10", 5),
            ("bytes 5-18446744073709551615/*", 5),
            ("bytes 5-9/18446744073709551616", 5),
            ("bytes 5-9,10-11/12", 5),
        ] {
            assert_eq!(rest_from(bad, offset), None, "{bad}");
        }
    }
}
