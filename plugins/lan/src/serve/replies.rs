//! What is replied to a request: GET and HEAD of a file that is offered, by its digest or its name, whole or one range of it.
//! Everything else is an error without a text. A path is looked up and never opened.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use packets_plugin_api::ident::Digest;

use super::file::{Outgoing, Part, Piece};
use super::{Shared, count};
use crate::wire::is_name;

/// A part of a file, or nothing.
pub(super) enum Payload {
    /// Nothing, of this announced size: the reply to HEAD.
    Nothing(u64),
    /// Bytes.
    Part(Part),
}

impl Body for Payload {
    type Data = Piece;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Piece>>>> {
        match self.get_mut() {
            Self::Nothing(_) => Poll::Ready(None),
            Self::Part(part) => Pin::new(part).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Nothing(_) => true,
            Self::Part(part) => part.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Nothing(size) => SizeHint::with_exact(*size),
            Self::Part(part) => part.size_hint(),
        }
    }
}

/// The reply to a request. A body that came with it is not read (N30).
pub(super) fn reply(shared: &Arc<Shared>, outgoing: &Arc<Outgoing>, request: &Request<Incoming>) -> Response<Payload> {
    let is_head = request.method() == Method::HEAD;
    if !is_head && request.method() != Method::GET {
        let mut refused = error(StatusCode::METHOD_NOT_ALLOWED);
        refused.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        return close(refused);
    }
    if !request.body().is_end_stream() {
        return close(error(StatusCode::PAYLOAD_TOO_LARGE));
    }
    let uri = request.uri();
    // A proxy is asked for such URLs, and this is none (N23).
    if uri.scheme().is_some() || uri.query().is_some() {
        return close(error(StatusCode::BAD_REQUEST));
    }
    let Some(digest) = digest_of(shared, uri.path()) else { return error(StatusCode::NOT_FOUND) };
    let Some((file, size)) = shared.offers.open(&digest) else { return error(StatusCode::NOT_FOUND) };
    let tag = format!("\"{digest}\"");
    let range = match wanted_range(request.headers(), &tag) {
        Some(range) => match range.of(size) {
            Some(part) => Some(part),
            None => return unsatisfiable(size),
        },
        None => None,
    };
    let (first, length) = range.unwrap_or((0, size));
    let payload = if is_head {
        Payload::Nothing(length)
    } else {
        count(&shared.counters.files, 1);
        Payload::Part(Part::new(file, first, length, shared.clone(), outgoing.clone()))
    };
    let mut response = Response::new(payload);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    insert(headers, header::ETAG, &tag);
    if range.is_some() {
        insert(headers, header::CONTENT_RANGE, &format!("bytes {first}-{}/{size}", first + length - 1));
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    response
}

fn insert(headers: &mut HeaderMap, name: header::HeaderName, text: &str) {
    if let Ok(value) = HeaderValue::from_str(text) {
        headers.insert(name, value);
    }
}

/// What a path names: 64 hex digits, or the name of a file in the index.
fn digest_of(shared: &Shared, path: &str) -> Option<Digest> {
    let name = path.strip_prefix('/').filter(|name| is_name(name))?;
    name.parse().ok().or_else(|| shared.offers.named(name))
}

fn error(status: StatusCode) -> Response<Payload> {
    let mut response = Response::new(Payload::Nothing(0));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
    response
}

fn close(mut response: Response<Payload>) -> Response<Payload> {
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

fn unsatisfiable(size: u64) -> Response<Payload> {
    let mut response = error(StatusCode::RANGE_NOT_SATISFIABLE);
    insert(response.headers_mut(), header::CONTENT_RANGE, &format!("bytes */{size}"));
    response
}

/// One range, as it stands in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Range {
    From(u64),
    Between(u64, u64),
    Last(u64),
}

impl Range {
    /// The first byte and how many; none where the file has none of them.
    fn of(self, size: u64) -> Option<(u64, u64)> {
        let (first, last) = match self {
            Self::From(first) => (first, size.checked_sub(1)?),
            Self::Between(first, last) => (first, last.min(size.checked_sub(1)?)),
            Self::Last(count) => (size - count.min(size), size.checked_sub(1)?),
        };
        (first <= last).then(|| (first, last - first + 1))
    }
}

/// The range that is asked for. Several, or what is none, count as no range at all (N28).
fn wanted_range(headers: &HeaderMap, tag: &str) -> Option<Range> {
    let mut ranges = headers.get_all(header::RANGE).iter();
    let (Some(range), None) = (ranges.next(), ranges.next()) else { return None };
    if headers.get_all(header::IF_RANGE).iter().any(|wanted| wanted.as_bytes() != tag.as_bytes()) {
        return None;
    }
    parse_range(range.to_str().ok()?)
}

fn parse_range(text: &str) -> Option<Range> {
    let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    // More than there are numbers is behind every end.
    let number = |text: &str| is_number(text).then(|| text.parse().unwrap_or(u64::MAX));
    match (first, last) {
        ("", last) => number(last).map(Range::Last),
        (first, "") => number(first).map(Range::From),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            (first <= last).then_some(Range::Between(first, last))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n28_one_range_or_none() {
        let part = |text: &str| parse_range(text).map(|range| range.of(100));
        for (text, expected) in [
            ("bytes=0-9", (0, 10)),
            ("bytes=90-", (90, 10)),
            ("bytes=-10", (90, 10)),
            ("bytes=-1000", (0, 100)),
            ("bytes=5-18446744073709551616", (5, 95)),
            ("bytes=99-99", (99, 1)),
        ] {
            assert_eq!(part(text), Some(Some(expected)), "{text}");
        }
        for none_of_it in ["bytes=100-", "bytes=100000-", "bytes=-0", "bytes=18446744073709551616-"] {
            assert_eq!(part(none_of_it), Some(None), "{none_of_it}");
        }
        let overlaps = format!("bytes={}", vec!["0-9"; 1300].join(","));
        for no_range in [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=9-5",
            "bytes=-1-15",
            "alpha",
            "bytes=alpha",
            "bytes=1-2,3-4",
            "bytes=+1-2",
            "items=0-9",
            "bytes= 0-9",
            &overlaps,
        ] {
            assert_eq!(part(no_range), None, "{no_range}");
        }
        assert_eq!(Range::From(0).of(0), None);
    }
}
