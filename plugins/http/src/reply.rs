//! What a reply must be like before its bytes are passed on (RFC 9110).

use std::error::Error as StdError;
use std::fmt;
use std::io::{self, Read};
use std::time::{Duration, SystemTime};

use packets_plugin_api::fetch::{FetchError, FetchErrorKind, Opened};
use packets_plugin_api::ident::escape;
use reqwest::header::{self, HeaderName};
use reqwest::{StatusCode, Url};

use crate::limits::MAX_VERSION;
use crate::location;
use crate::part::Part;
use crate::worker::Reply;

fn protocol(url: &Url, problem: &str) -> FetchError {
    FetchError::new(FetchErrorKind::Protocol, format!("{} {problem}", location::shown(url)))
}

/// Where the reply sends us, if it is a redirect.
pub(crate) fn redirect(response: &Reply, url: &Url) -> Result<Option<Url>, FetchError> {
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
pub(crate) fn open(response: Reply, url: &Url, part: Part, version: Option<&str>) -> Result<Opened, FetchError> {
    check_status(&response, url, part)?;
    only(&response, header::CONTENT_ENCODING, "identity", url)?;
    only(&response, header::TRANSFER_ENCODING, "chunked", url)?;
    let mut size = response.content_length();
    let now = version_of(&response);
    if response.status() == StatusCode::PARTIAL_CONTENT {
        size = Some(check_range(&response, url, part, size)?);
    }
    if part.is_part() && version.is_some() && now.is_some() && version != now.as_deref() {
        return Err(no_such_range(url, part.offset));
    }
    let reader = Box::new(Body { response, left: size, place: location::shown(url) });
    Ok(Opened { reader, size, version: now, file: None })
}

/// Whether the place still has the version that it was asked about (RFC 9110, section 15.4.5).
pub(crate) fn is_unchanged(response: &Reply) -> bool {
    response.status().as_u16() == 304
}

/// Servers make their tags of a file's size and the second in which it was changed: one that was changed just now may
/// change again under the same tag (RFC 9110, section 8.8.2.2).
const COARSE: Duration = Duration::from_secs(2);

/// Whether the reply was made when its file had not been changed for a while, as far as it says so.
fn is_settled(response: &Reply) -> bool {
    let time = |name: HeaderName| httpdate::parse_http_date(response.headers().get(name)?.to_str().ok()?).ok();
    match (time(header::DATE), time(header::LAST_MODIFIED)) {
        (Some(made), Some(changed)) => made.duration_since(changed).is_ok_and(|age| age >= COARSE),
        (None, Some(_)) => false,
        (_, None) => true,
    }
}

/// The entity tag, where it stands for the very bytes: a weak one does not (RFC 9110, section 8.8.1).
fn version_of(response: &Reply) -> Option<String> {
    if !is_settled(response) {
        return None;
    }
    let tag = response.headers().get(header::ETAG)?;
    is_version(tag.as_bytes()).then(|| tag.to_str().ok().map(str::to_owned)).flatten()
}

/// Whether a text is a strong entity tag, and none that fills memory.
pub(crate) fn is_version(text: &[u8]) -> bool {
    let inner = text.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
    let plain = |byte: &u8| byte.is_ascii_graphic() && *byte != b'"';
    text.len() <= MAX_VERSION && inner.is_some_and(|inner| inner.iter().all(plain))
}

fn no_such_range(url: &Url, offset: u64) -> FetchError {
    FetchError::new(FetchErrorKind::NoSuchRange, format!("{} cannot go on from byte {offset}", location::shown(url)))
}

fn check_status(response: &Reply, url: &Url, part: Part) -> Result<(), FetchError> {
    let (status, offset) = (response.status(), part.offset);
    let kind = match status.as_u16() {
        200 if offset == 0 => return Ok(()),
        206 if part.is_part() => return Ok(()),
        200 | 416 if part.is_part() => return Err(no_such_range(url, offset)),
        404 | 410 => FetchErrorKind::NotFound,
        401 | 403 => FetchErrorKind::Denied,
        // Not implemented, and not this version of HTTP: it will not be so later on either.
        501 | 505 => FetchErrorKind::Protocol,
        511 => FetchErrorKind::LoginFirst,
        408 | 425 | 429 | 500..=599 => FetchErrorKind::Unreachable,
        _ => FetchErrorKind::Protocol,
    };
    let mut error = FetchError::new(kind, format!("{} answered {status}", location::shown(url)));
    if kind == FetchErrorKind::Unreachable {
        error.retry_after = response.headers().get(header::RETRY_AFTER).and_then(|value| wait_of(value.to_str().ok()?));
    }
    Err(error)
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

/// All values of a header must be this word, or the header absent: what is
/// encoded is not decoded here, and its size would say nothing (N16).
fn only(response: &Reply, name: HeaderName, word: &str, url: &Url) -> Result<(), FetchError> {
    for value in response.headers().get_all(&name) {
        let text = String::from_utf8_lossy(value.as_bytes());
        if !text.trim().eq_ignore_ascii_case(word) {
            let problem = format!("answered with {name} \"{}\", which was not asked for", escape(&text, 80));
            return Err(protocol(url, &problem));
        }
    }
    Ok(())
}

/// The size of a part that is the one that was asked for, or goes on to the end of the file (N18).
fn check_range(response: &Reply, url: &Url, part: Part, length: Option<u64>) -> Result<u64, FetchError> {
    let mut values = response.headers().get_all(header::CONTENT_RANGE).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(protocol(url, "answered with a part and does not say which"));
    };
    let size = value.to_str().ok().and_then(|text| part.size_of(text));
    match size {
        Some(size) if length.is_none_or(|length| length == size) => Ok(size),
        _ => {
            let text = escape(&String::from_utf8_lossy(value.as_bytes()), 80);
            Err(protocol(url, &format!("answered with the part \"{text}\" and was asked for {part}")))
        }
    }
}

/// The body, which must not end before its announced size.
struct Body {
    response: Reply,
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
    fn n18_versions_are_strong_tags_of_bounded_size() {
        for good in ["\"\"", "\"5f-3\"", "\"a,b/c\""] {
            assert!(is_version(good.as_bytes()), "{good}");
        }
        for bad in ["", "\"", "W/\"5f\"", "5f", "\"a\"b\"", "\"a b\"", "\"a\r\nX: y\"", "\"\u{e9}\"", "*"] {
            assert!(!is_version(bad.as_bytes()), "{bad:?}");
        }
        let long = |inner: usize| format!("\"{}\"", "x".repeat(inner));
        assert!(is_version(long(MAX_VERSION - 2).as_bytes()) && !is_version(long(MAX_VERSION - 1).as_bytes()));
    }

    #[test]
    fn times_to_wait_are_seconds_or_dates() {
        let seconds = |text: &str| wait_of(text).map(|wait| wait.as_secs());
        assert_eq!([seconds("0"), seconds(" 120 "), seconds("00007")], [Some(0), Some(120), Some(7)]);
        assert_eq!(seconds("99999999999999999999999"), Some(u64::MAX));
        assert_eq!(seconds("Sun, 06 Nov 1994 08:49:37 GMT"), Some(0), "a date that has passed");
        let soon = SystemTime::now() + Duration::from_secs(100);
        let wait = seconds(&httpdate::fmt_http_date(soon)).unwrap();
        assert!((98..=100).contains(&wait), "{wait}");
        for bad in ["", "-1", "1.5", "soon", "+3", "6 Nov"] {
            assert_eq!(seconds(bad), None, "{bad}");
        }
    }
}
