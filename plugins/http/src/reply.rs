//! What a reply must be like before its bytes are passed on (RFC 9110).

use std::error::Error as StdError;
use std::fmt;
use std::io::{self, Read};

use packets_plugin_api::fetch::{FetchError, FetchErrorKind, Opened};
use packets_plugin_api::ident::escape;
use reqwest::blocking::Response;
use reqwest::header::{self, HeaderName};
use reqwest::{StatusCode, Url};

use crate::location;

fn protocol(url: &Url, problem: &str) -> FetchError {
    FetchError::new(FetchErrorKind::Protocol, format!("{} {problem}", location::shown(url)))
}

/// Where the reply sends us, if it is a redirect.
pub(crate) fn redirect(response: &Response, url: &Url) -> Result<Option<Url>, FetchError> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let mut targets = response.headers().get_all(header::LOCATION).iter();
    let (Some(target), None) = (targets.next(), targets.next()) else {
        return Err(protocol(url, "answered with a redirect that names not exactly one place"));
    };
    let next = location::redirected(url, target.as_bytes())
        .map_err(|problem| protocol(url, "answered with a redirect that is not followed").because(problem))?;
    Ok(Some(next))
}

/// The bytes of a reply that is no redirect, when they are what was asked for.
pub(crate) fn open(response: Response, url: &Url, offset: u64) -> Result<Opened, FetchError> {
    check_status(response.status(), url, offset)?;
    only(&response, header::CONTENT_ENCODING, "identity", url)?;
    only(&response, header::TRANSFER_ENCODING, "chunked", url)?;
    let mut size = response.content_length();
    if offset > 0 {
        size = Some(check_range(&response, url, offset, size)?);
    }
    Ok(Opened { reader: Box::new(Body { response, left: size, place: location::shown(url) }), size, file: None })
}

fn check_status(status: StatusCode, url: &Url, offset: u64) -> Result<(), FetchError> {
    let kind = match status.as_u16() {
        200 if offset == 0 => return Ok(()),
        206 if offset > 0 => return Ok(()),
        200 | 416 if offset > 0 => {
            let message = format!("{} cannot start at byte {offset}", location::shown(url));
            return Err(FetchError::new(FetchErrorKind::NoSuchRange, message));
        }
        404 | 410 => FetchErrorKind::NotFound,
        401 | 403 => FetchErrorKind::Denied,
        429 | 500..=599 => FetchErrorKind::Unreachable,
        _ => FetchErrorKind::Protocol,
    };
    Err(FetchError::new(kind, format!("{} answered {status}", location::shown(url))))
}

/// All values of a header must be this word, or the header absent: what is
/// encoded is not decoded here, and its size would say nothing (N16).
fn only(response: &Response, name: HeaderName, word: &str, url: &Url) -> Result<(), FetchError> {
    for value in response.headers().get_all(&name) {
        let text = String::from_utf8_lossy(value.as_bytes());
        if !text.trim().eq_ignore_ascii_case(word) {
            let problem = format!("answered with {name} \"{}\", which was not asked for", escape(&text, 80));
            return Err(protocol(url, &problem));
        }
    }
    Ok(())
}

/// The size of a part that begins exactly at `offset` and is the rest of the file (N18).
fn check_range(response: &Response, url: &Url, offset: u64, length: Option<u64>) -> Result<u64, FetchError> {
    let mut values = response.headers().get_all(header::CONTENT_RANGE).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(protocol(url, "answered with a part and does not say which"));
    };
    let range = value.to_str().ok().and_then(parse_range);
    let size = range.filter(|range| range.is_rest_from(offset)).map(|range| range.last - range.first + 1);
    match size {
        Some(size) if length.is_none_or(|length| length == size) => Ok(size),
        _ => {
            let text = escape(&String::from_utf8_lossy(value.as_bytes()), 80);
            Err(protocol(
                url,
                &format!("answered with the part \"{text}\" and was asked for the rest from {offset} on"),
            ))
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Range {
    first: u64,
    last: u64,
    total: Option<u64>,
}

impl Range {
    fn is_rest_from(&self, offset: u64) -> bool {
        self.first == offset && self.total.is_none_or(|total| total - 1 == self.last)
    }
}

/// `bytes first-last/total`, total `*` where unknown (RFC 9110, section 14.4).
fn parse_range(text: &str) -> Option<Range> {
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

impl StdError for Broken {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&self.cause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n18_parts_are_read_strictly() {
        let range = parse_range("bytes 5-9/10").unwrap();
        assert_eq!(range, Range { first: 5, last: 9, total: Some(10) });
        assert!(range.is_rest_from(5) && !range.is_rest_from(4) && !range.is_rest_from(6));
        assert!(!parse_range("bytes 5-8/10").unwrap().is_rest_from(5));
        assert!(parse_range("bytes 5-9/*").unwrap().is_rest_from(5));
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
            assert_eq!(parse_range(bad), None, "{bad}");
        }
    }
}
