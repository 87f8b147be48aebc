//! What every fetch source promises, and what a registry answers.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use packets_plugin_api::conformance::fetch::{Served, artifact, fetch_source_suite};
use packets_plugin_api::fetch::{Candidate, FetchErrorKind, FetchSource};
use packets_plugin_oci::OciSource;
use packets_plugin_oci::client::{Client, Options};

use crate::support::{NAME, Request, Server, get, ok, options, refusal, reply, source};

#[derive(Clone)]
struct Place {
    bytes: Vec<u8>,
    come: usize,
    /// What is instead of the end of one that does not come whole.
    is_silent: bool,
}

type Places = Arc<Mutex<BTreeMap<String, Place>>>;

/// A registry as they usually are: sizes and ranges.
fn usual(places: &Places, request: &Request, stream: &mut TcpStream) -> bool {
    let Some(place) = places.lock().unwrap().get(&request.target).cloned() else {
        let body = r#"{"errors":[{"code":"BLOB_UNKNOWN","message":"blob unknown to registry"}]}"#;
        return stream.write_all(reply("404 Not Found", "", body).as_bytes()).is_ok();
    };
    let size = place.bytes.len();
    let range = request.header("range").map(|range| range.strip_prefix("bytes=").unwrap().strip_suffix('-').unwrap());
    let (head, body) = match range.map(|first| first.parse().unwrap_or(usize::MAX)) {
        None => (format!("200 OK\r\nContent-Length: {size}"), &place.bytes[..place.come]),
        Some(first) if first < size => {
            let head = format!("206 Part\r\nContent-Range: bytes {first}-{}/{size}\r\nContent-Length: ", size - 1);
            (format!("{head}{}", size - first), &place.bytes[first..])
        }
        Some(_) => ("416 No\r\nContent-Length: 0".to_owned(), &[][..]),
    };
    let sent = stream.write_all(format!("HTTP/1.1 {head}\r\n\r\n").as_bytes()).and_then(|()| stream.write_all(body));
    if place.is_silent {
        let _ = stream.read(&mut [0]);
    }
    sent.is_ok() && place.come == size
}

#[test]
fn keeps_the_promises_of_a_source() {
    let places = Places::default();
    let served = places.clone();
    let server = Server::start(move |request, stream| usual(&served, request, stream));
    let patient = Options { idle_timeout: Duration::from_secs(1), ..options() };
    let source = OciSource::new(Client::new(patient, None), None);
    fetch_source_suite(&source, &|served| {
        let mut places = places.lock().unwrap();
        // The suite's bytes are not what a digest says: to compare it is the host's part.
        let digest = format!("{:064x}", places.len());
        let (bytes, come, is_silent) = match served {
            Served::Whole(bytes) => (bytes, bytes.len(), false),
            Served::Truncated(bytes, come) => (bytes, come, false),
            Served::Silent(bytes, come) => (bytes, come, true),
            Served::Absent => return Some(format!("{}@sha256:{}", server.repository(), "f".repeat(64))),
        };
        let place = Place { bytes: bytes.to_vec(), come, is_silent };
        places.insert(format!("/v2/{NAME}/blobs/sha256:{digest}"), place);
        Some(format!("{}@sha256:{digest}", server.repository()))
    });
}

#[test]
fn finds_every_package_in_its_own_repository_first() {
    let server = Server::saying(|_| ok(""));
    let source = OciSource::new(Client::new(options(), None), Some(server.repository()));
    let found = |mirrors: &[&str]| {
        let mut all = Vec::new();
        let mut found = |candidate: Candidate| {
            all.push(candidate.location);
            ControlFlow::Continue(())
        };
        source.find(&artifact(mirrors), &mut found).unwrap();
        all
    };
    let own = format!("{}@sha256:{}", server.repository(), "07".repeat(32));
    let other = server.blob();
    assert_eq!(found(&[]), [own.as_str()]);
    assert_eq!(found(&["https://a.example/x", &other, &own]), [own.as_str(), other.as_str()]);
    assert_eq!(server.requests().len(), 0, "nothing is asked yet");
}

#[test]
fn refusals_by_kind() {
    use FetchErrorKind::{Denied, LoginFirst, NotFound, Protocol, Unreachable};
    for (status, kind) in [
        ("404 Not Found", NotFound),
        ("410 Gone", NotFound),
        ("401 Unauthorized", Denied),
        ("403 Forbidden", Denied),
        ("400 Bad", Protocol),
        ("204 Nothing", Protocol),
        ("206 Part", Protocol),
        ("429 Too Many", Unreachable),
        ("500 Broken", Unreachable),
        ("501 Unknown", Protocol),
        ("503 Later", Unreachable),
        ("511 Login", LoginFirst),
    ] {
        let server = Server::saying(move |_| reply(status, "Retry-After: 7\r\n", ""));
        let error = refusal(&source(), &server.blob());
        assert_eq!(error.kind, kind, "{status}: {error}");
        let wait = (kind == Unreachable).then_some(Duration::from_secs(7));
        assert_eq!(error.retry_after, wait, "{status}");
    }
}

#[test]
fn n16_what_is_encoded_was_not_asked_for() {
    for header in ["Content-Encoding: gzip\r\n", "Content-Encoding: identity, gzip\r\n"] {
        let server = Server::saying(move |_| reply("200 OK", header, "bytes"));
        assert_eq!(refusal(&source(), &server.blob()).kind, FetchErrorKind::Protocol, "{header}");
        assert_eq!(server.requests()[0].header("accept-encoding"), Some("identity"));
    }
}

#[test]
fn n18_a_part_is_the_rest_from_the_offset_on() {
    for (header, good) in [
        ("Content-Range: bytes 2-4/5\r\n", true),
        ("Content-Range: bytes 2-4/*\r\n", true),
        ("Content-Range: bytes 1-3/5\r\n", false),
        ("Content-Range: bytes 2-4/9\r\n", false),
        ("Content-Range: bytes 2-9/10\r\n", false),
        ("", false),
    ] {
        let server = Server::saying(move |_| reply("206 Part", header, "cde"));
        let came = get(&source(), &server.blob(), 2).map_err(|error| error.kind);
        assert_eq!(came, if good { Ok("cde".to_owned()) } else { Err(FetchErrorKind::Protocol) }, "{header}");
    }
    let server = Server::saying(|_| ok("abcde"));
    let came = get(&source(), &server.blob(), 2).map_err(|error| error.kind);
    assert_eq!(came, Err(FetchErrorKind::NoSuchRange), "the whole is no part");
}

#[test]
fn n12_a_registry_that_does_not_answer_is_given_up() {
    let impatient = Options { idle_timeout: Duration::from_millis(300), ..options() };
    let source = OciSource::new(Client::new(impatient, None), None);
    let server = Server::start(|_, stream| {
        let _ = stream.read(&mut [0]);
        false
    });
    let started = Instant::now();
    assert_eq!(refusal(&source, &server.blob()).kind, FetchErrorKind::Unreachable);
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    // Slow is not silent: each piece comes within the time, all of them do not.
    let server = Server::start(|_, stream| {
        let mut sent = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n").is_ok();
        for _ in 0..8 {
            std::thread::sleep(Duration::from_millis(100));
            sent = sent && stream.write_all(b"x").is_ok();
        }
        sent
    });
    assert_eq!(get(&source, &server.blob(), 0).unwrap(), "xxxxxxxx");
}

#[test]
fn n12_a_connection_to_a_registry_that_never_stands() {
    // Nobody accepts, and the queue is full: the kernel answers no more.
    let full = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = full.local_addr().unwrap();
    let mut waiting = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
        waiting.push(stream);
        assert!(waiting.len() < 10_000, "the queue has no end");
    }
    let with = |connect_timeout| OciSource::new(Client::new(Options { connect_timeout, ..options() }, None), None);
    let location = format!("oci+http://{address}/a@sha256:{}", "0".repeat(64));
    let started = Instant::now();
    assert_eq!(refusal(&with(Duration::from_millis(300)), &location).kind, FetchErrorKind::Unreachable);
    let took = started.elapsed();
    assert!(took >= Duration::from_millis(300) && took < Duration::from_secs(4), "{took:?}");

    // One who is patient gets through when there is room again.
    let freed = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(500));
        drop(waiting);
        for mut stream in full.incoming().flatten() {
            let _ = stream.set_read_timeout(Some(Duration::from_millis(100)));
            if stream.read(&mut [0; 1000]).is_ok_and(|came| came > 0) {
                stream.write_all(ok("late").as_bytes()).unwrap();
                return;
            }
        }
    });
    assert_eq!(get(&with(Duration::from_secs(20)), &location, 0).unwrap(), "late");
    freed.join().unwrap();
}

#[test]
fn nobody_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let location = format!("oci+http://{address}/a@sha256:{}", "0".repeat(64));
    let error = refusal(&source(), &location);
    assert_eq!(error.kind, FetchErrorKind::Unreachable);
    assert!(error.to_string().contains(&address.to_string()), "{error}");
}
