//! Parts of a file, of the version that was begun (N18), and servers that ask for patience.

use std::time::Duration;

use crate::support::{Server, get, ok, refusal, source};
use packets_plugin_api::fetch::{Candidate, FetchErrorKind, FetchSource};

use FetchErrorKind::{NoSuchRange, Protocol, Unreachable};

#[test]
fn n18_only_the_part_that_was_asked_for_is_taken() {
    let part = |range: &str, length: usize| {
        let range = if range.is_empty() { String::new() } else { format!("Content-Range: {range}\r\n") };
        let body = "x".repeat(length);
        format!("HTTP/1.1 206 Part\r\n{range}Content-Length: {length}\r\n\r\n{body}")
    };
    let good = Server::saying(part("bytes 4-8/9", 5));
    assert_eq!(get(&source(), &good.url("/"), 4).unwrap().unwrap(), b"xxxxx");
    let unknown_total = Server::saying(part("bytes 4-8/*", 5));
    assert_eq!(get(&source(), &unknown_total.url("/"), 4).unwrap().unwrap(), b"xxxxx");
    for (range, length) in [
        ("", 5),
        ("bytes 0-8/9", 9),
        ("bytes 3-8/9", 6),
        ("bytes 5-8/9", 4),
        ("bytes 4-7/9", 4),
        ("bytes 4-8/9", 4),
        ("bytes 4-8/9", 6),
        ("bytes 4-8/8", 5),
        ("bytes 8-4/9", 5),
        ("items 4-8/9", 5),
        ("nonsense", 5),
        ("bytes 4-8/9\r\nContent-Range: bytes 4-8/9", 5),
    ] {
        let server = Server::saying(part(range, length));
        assert_eq!(refusal(&source(), &server.url("/"), 4), Protocol, "{range:?} {length}");
        assert_eq!(refusal(&source(), &server.url("/"), 0), Protocol, "a part that nobody asked for");
    }
    let whole = Server::saying(ok(b"whole file"));
    assert_eq!(refusal(&source(), &whole.url("/"), 4), NoSuchRange);
    let beyond = Server::saying("HTTP/1.1 416 No\r\nContent-Range: bytes */3\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(refusal(&source(), &beyond.url("/"), 4), NoSuchRange);
}

/// The rest of ten bytes, with a version.
fn rest_from(first: usize, tag: &str) -> String {
    let body = &"0123456789"[first..];
    let range = format!("Content-Range: bytes {first}-9/10\r\nContent-Length: {}", body.len());
    format!("HTTP/1.1 206 Part\r\nETag: {tag}\r\n{range}\r\n\r\n{body}")
}

fn continued(location: &str, version: Option<&str>) -> Result<Vec<u8>, FetchErrorKind> {
    let from = Candidate { version: version.map(str::to_owned), ..Candidate::at(location) };
    let mut opened = source().open(&from, 4).map_err(|error| error.kind)?;
    let mut bytes = Vec::new();
    opened.reader.read_to_end(&mut bytes).unwrap();
    Ok(bytes)
}

#[test]
fn n18_the_version_goes_with_the_range() {
    let server = Server::saying(rest_from(4, "\"one\""));
    assert_eq!(continued(&server.url("/"), Some("\"one\"")), Ok(b"456789".to_vec()));
    let asked = &server.requests()[0];
    assert_eq!((asked.header("range"), asked.header("if-range")), (Some("bytes=4-"), Some("\"one\"")));

    // From the beginning there is nothing to continue.
    let server = Server::saying(ok(b"whole"));
    let from = Candidate { version: Some("\"one\"".to_owned()), ..Candidate::at(server.url("/")) };
    assert_eq!(source().open(&from, 0).unwrap().version, None);
    assert_eq!(server.requests()[0].header("if-range"), None);
}

#[test]
fn n18_another_version_is_not_continued() {
    let server = Server::saying(rest_from(4, "\"two\""));
    assert_eq!(continued(&server.url("/"), Some("\"one\"")), Err(NoSuchRange), "it ignores If-Range");
    assert_eq!(continued(&server.url("/"), None), Ok(b"456789".to_vec()), "the hash decides");
    let unnamed = Server::saying(rest_from(4, "W/\"two\""));
    assert_eq!(continued(&unnamed.url("/"), Some("\"one\"")), Ok(b"456789".to_vec()), "it does not say which");
}

#[test]
fn n14_n18_what_is_no_version_is_not_sent() {
    for bad in ["W/\"x\"", "x", "\"x\"\r\nX: y", "\"\u{1b}\"", &format!("\"{}\"", "x".repeat(10_000))] {
        let server = Server::saying(rest_from(4, "\"one\""));
        assert_eq!(continued(&server.url("/"), Some(bad)), Ok(b"456789".to_vec()), "{bad:?}");
        assert_eq!(server.requests()[0].header("if-range"), None, "{bad:?}");
        assert_eq!(server.requests()[0].header("x"), None, "{bad:?}");
    }
    for (tag, version) in [("\"one\"", Some("\"one\"")), ("W/\"one\"", None), ("one", None), ("\"\u{e9}\"", None)] {
        let server = Server::saying(format!("HTTP/1.1 200 OK\r\nETag: {tag}\r\nContent-Length: 1\r\n\r\nx"));
        let opened = source().open(&Candidate::at(server.url("/")), 0).unwrap();
        assert_eq!(opened.version.as_deref(), version, "{tag}");
    }
}

#[test]
fn the_time_to_wait_is_passed_on() {
    for (status, header, wait) in [
        (503, "Retry-After: 7\r\n", Some(7)),
        (429, "Retry-After: 3600\r\n", Some(3600)),
        (503, "Retry-After: Sun, 06 Nov 1994 08:49:37 GMT\r\n", Some(0)),
        (503, "Retry-After: soon\r\n", None),
        (503, "", None),
        (404, "Retry-After: 7\r\n", None),
    ] {
        let server = Server::saying(format!("HTTP/1.1 {status} X\r\n{header}Content-Length: 0\r\n\r\n"));
        let error = source().open(&Candidate::at(server.url("/")), 0).unwrap_err();
        assert_eq!(error.retry_after, wait.map(Duration::from_secs), "{status} {header}");
        assert_eq!(error.kind == Unreachable, status != 404);
    }
}
