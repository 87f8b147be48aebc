//! The source against servers that keep to the rules, and ones that do not.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::support::{Request, Server, Stream, at, get, impatient, ok, options, refusal, source, text};
use packets_plugin_api::conformance::fetch::{Served, fetch_source_suite};
use packets_plugin_api::fetch::{FetchErrorKind, FetchSource};
use packets_plugin_api::registry::{FetchSettings, Plugin, Registry};
use packets_plugin_http::limits::{IDLE_CONNECTIONS, MAX_HEAD, MAX_HEADERS, MAX_REDIRECTS};
use packets_plugin_http::{HttpPlugin, HttpSource, Options};

use FetchErrorKind::{BadLocation, Denied, LoginFirst, NotFound, Protocol, Unreachable};

#[derive(Clone)]
struct Place {
    bytes: Vec<u8>,
    come: usize,
    /// What is instead of the end of one that does not come whole.
    is_silent: bool,
}

type Places = Arc<Mutex<BTreeMap<String, Place>>>;

/// The first byte and the last one that a range names, of a file of this size.
fn bounds_of(range: &str, size: usize) -> (usize, usize) {
    let bounds = range.strip_prefix("bytes=").and_then(|rest| rest.split_once('-'));
    let (first, last) = bounds.unwrap_or_default();
    (first.parse().unwrap_or(usize::MAX), last.parse().unwrap_or(usize::MAX).min(size.saturating_sub(1)))
}

/// After the bytes that come, if they are not all: until the client goes.
fn end(place: &Place, stream: &mut dyn Stream) -> bool {
    if place.is_silent {
        let _ = stream.flush();
        let _ = stream.read(&mut [0]);
    }
    place.come == place.bytes.len()
}

#[test]
fn a_place_is_asked_before_anybody_waits_for_its_answer() {
    let server = Server::start(|request, stream| match request.target.as_str() {
        "/file" => stream.write_all(b"HTTP/1.1 302 Found\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n").is_ok(),
        _ => stream.write_all(&ok(b"bytes")).is_ok(),
    });
    let source = source();
    let begun = source.begin(&at(server.url("/file")), 0).unwrap();
    let started = Instant::now();
    while server.requests().is_empty() {
        assert!(started.elapsed() < Duration::from_secs(10), "it was not asked");
        std::thread::sleep(Duration::from_millis(5));
    }
    let mut bytes = Vec::new();
    begun().unwrap().reader.read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes, b"bytes");
    let asked: Vec<String> = server.requests().into_iter().map(|request| request.target).collect();
    assert_eq!(asked, ["/file", "/other"]);
    assert!(source.begin(&at("ftp://mirror.example/file"), 0).is_none());
}

/// A server as they usually are: sizes, ranges, versions, connections that are kept.
fn usual(places: &Places, request: &Request, stream: &mut dyn Stream) -> bool {
    let Some(place) = places.lock().unwrap().get(&request.target).cloned() else {
        return stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnone").is_ok();
    };
    let bytes = &place.bytes;
    let (size, tag) = (bytes.len(), format!("\"{}-{:?}\"", bytes.len(), bytes.first()));
    if request.header("if-none-match") == Some(&*tag) {
        return stream.write_all(format!("HTTP/1.1 304 Same\r\nETag: {tag}\r\n\r\n").as_bytes()).is_ok();
    }
    let is_same = request.header("if-range").is_none_or(|version| version == tag);
    let (head, body) = match request.header("range").filter(|_| is_same).map(|range| bounds_of(range, size)) {
        None => (format!("200 OK\r\nETag: {tag}\r\nContent-Length: {size}"), &bytes[..place.come]),
        Some((first, last)) if first < size => {
            let left = last - first + 1;
            let range = format!("Content-Range: bytes {first}-{last}/{size}");
            (format!("206 Part\r\nETag: {tag}\r\nContent-Length: {left}\r\n{range}"), &bytes[first..=last])
        }
        Some(_) => ("416 No\r\nContent-Length: 0".to_owned(), &[][..]),
    };
    stream.write_all(format!("HTTP/1.1 {head}\r\n\r\n").as_bytes()).is_ok()
        && stream.write_all(body).is_ok()
        && end(&place, stream)
}

fn suite(answer: impl Fn(&Places, &Request, &mut dyn Stream) -> bool + Send + Sync + 'static) {
    let places = Places::default();
    let served = places.clone();
    let server = Server::start(move |request, stream| answer(&served, request, stream));
    let patient = HttpSource::with_options(Options { idle_timeout: Duration::from_secs(1), ..options() });
    fetch_source_suite(&patient, &|served| {
        let mut places = places.lock().unwrap();
        let path = format!("/file-{}", places.len());
        let (bytes, come, is_silent) = match served {
            Served::Whole(bytes) => (bytes, bytes.len(), false),
            Served::Truncated(bytes, come) => (bytes, come, false),
            Served::Silent(bytes, come) => (bytes, come, true),
            Served::Absent => return Some(server.url("/absent")),
        };
        places.insert(path.clone(), Place { bytes: bytes.to_vec(), come, is_silent });
        Some(server.url(&path))
    });
}

#[test]
fn keeps_the_promises_with_a_usual_server() {
    suite(usual);
}

#[test]
fn keeps_the_promises_with_a_server_without_ranges_and_sizes() {
    suite(|places, request, stream| {
        let Some(place) = places.lock().unwrap().get(&request.target).cloned() else {
            let _ = stream.write_all(b"HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n");
            return false;
        };
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        for chunk in place.bytes[..place.come].chunks(10_000) {
            let _ = stream.write_all(format!("{:x}\r\n", chunk.len()).as_bytes());
            let _ = stream.write_all(chunk);
            let _ = stream.write_all(b"\r\n");
        }
        if !end(&place, stream) {
            return false;
        }
        stream.write_all(b"0\r\n\r\n").is_ok()
    });
}

#[test]
fn is_registered_once_and_costs_nothing_until_it_is_used() {
    let mut registry = Registry::default();
    HttpPlugin.register(&mut registry).unwrap();
    assert!(HttpPlugin.register(&mut registry).is_err());
    let made = registry.fetch("http").unwrap()(&FetchSettings::default());
    assert!(made.claims("https://a.example/x") && !made.claims("file:///x"));
    assert!(format!("{made:?}").contains("<uninit>"), "no client yet: {made:?}");
}

#[test]
fn asks_for_plain_bytes_and_for_a_range_only_where_needed() {
    let server = Server::saying(ok(b"bytes"));
    get(&source(), &server.url("/a?b=c#fragment"), 0).unwrap().unwrap();
    let _ = get(&source(), &server.url("/a"), 3);
    let requests = server.requests();
    assert_eq!(requests[0].target, "/a?b=c");
    for request in &requests {
        assert_eq!(request.header("accept-encoding"), Some("identity"), "N16");
        assert_eq!(request.header("user-agent"), Some("packets-test/1"));
        assert_eq!(request.header("referer"), None);
    }
    assert_eq!((requests[0].header("range"), requests[1].header("range")), (None, Some("bytes=3-")));
}

#[test]
fn statuses_have_their_kinds() {
    for (status, kind) in [
        (404, NotFound),
        (410, NotFound),
        (401, Denied),
        (403, Denied),
        (429, Unreachable),
        (500, Unreachable),
        (502, Unreachable),
        (503, Unreachable),
        (504, Unreachable),
        (408, Unreachable),
        (425, Unreachable),
        (501, Protocol),
        (505, Protocol),
        (511, LoginFirst),
        (201, Protocol),
        (204, Protocol),
        (206, Protocol),
        (300, Protocol),
        (304, Protocol),
        (305, Protocol),
        (400, Protocol),
        (407, Protocol),
        (416, Protocol),
        (451, Protocol),
        (999, Protocol),
    ] {
        let server = Server::saying(format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n"));
        let error = source().open(&at(server.url("/x")), 0).unwrap_err();
        assert_eq!(error.kind, kind, "{status}");
        assert!(error.message.contains(&server.url("/x")) && error.message.contains(&status.to_string()), "{error}");
    }
}

fn redirecting(location: impl Fn(&Request) -> Option<String> + Send + Sync + 'static, status: u16) -> Server {
    Server::start(move |request, stream| {
        let reply = match location(request) {
            Some(to) => format!("HTTP/1.1 {status} X\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n").into_bytes(),
            None => ok(b"there"),
        };
        stream.write_all(&reply).is_ok()
    })
}

#[test]
fn n13_redirects_are_followed_a_few_times() {
    let count = |request: &Request| request.target.trim_start_matches('/').parse::<usize>().unwrap();
    for status in [301, 302, 303, 307, 308] {
        let server =
            redirecting(move |request| (count(request) > 0).then(|| format!("/{}", count(request) - 1)), status);
        let came = get(&source(), &server.url(&format!("/{MAX_REDIRECTS}")), 0).unwrap().unwrap();
        assert_eq!(came, b"there", "{status}");
        assert_eq!(refusal(&source(), &server.url(&format!("/{}", MAX_REDIRECTS + 1)), 0), Protocol);
        assert_eq!(server.requests().len(), 2 * (MAX_REDIRECTS + 1));
    }
    let circle = redirecting(|request| Some(request.target.clone()), 302);
    assert_eq!(refusal(&source(), &circle.url("/a"), 0), Protocol);
    assert_eq!(circle.requests().len(), MAX_REDIRECTS + 1);
}

#[test]
fn n12_n13_redirects_that_come_late_are_not_followed_for_ever() {
    let late = redirecting(
        |request| {
            std::thread::sleep(Duration::from_millis(150));
            (request.target != "/3").then(|| format!("/{}", request.target[1..].parse::<usize>().unwrap() + 1))
        },
        302,
    );
    let with_time = |redirect_time| HttpSource::with_options(Options { redirect_time, ..options() });
    assert_eq!(get(&with_time(Duration::from_secs(20)), &late.url("/0"), 0).unwrap().unwrap(), b"there");
    assert_eq!(late.requests().len(), 4);
    assert_eq!(refusal(&with_time(Duration::from_millis(200)), &late.url("/0"), 0), Unreachable);
    assert_eq!(late.requests().len(), 6, "the second one came too late");
}

#[test]
fn n13_n14_bad_redirects_are_not_followed() {
    for bad in [
        "file:///etc/passwd",
        "ftp://127.0.0.1/",
        "data:,x",
        "gopher://a/",
        "http://",
        "//",
        "https:",
        "http://a:0/",
        "/%0a201%20URI%20Done",
        "/%0d%0aHost:%20b",
        "/%250a",
        "/%25250d",
        "/a\tb",
        "/%00",
        "/\u{1b}[2J",
    ] {
        let server = redirecting(move |_| Some(bad.to_owned()), 302);
        let kind = refusal(&source(), &server.url("/"), 0);
        // What HTTP itself forbids in a header, the library refuses before we see it.
        assert!(matches!(kind, Protocol | Unreachable), "{bad:?} {kind:?}");
        assert_eq!(server.requests().len(), 1, "{bad:?}");
    }
    for head in ["", "Location: /a\r\nLocation: /b\r\n", "Location: /a\r\nLocation: /a\r\n"] {
        let server = Server::saying(format!("HTTP/1.1 302 X\r\n{head}Content-Length: 0\r\n\r\n"));
        assert_eq!(refusal(&source(), &server.url("/"), 0), Protocol, "{head:?}");
    }
}

#[test]
fn n14_urls_with_control_characters_never_reach_the_server() {
    let server = Server::saying(ok(b"x"));
    for bad in ["/\r\nX: y", "/\n", "/%0a201%20URI%20Done", "/%250a", "/\t", "/%0D%0AHost:%20b"] {
        assert_eq!(refusal(&source(), &server.url(bad), 0), BadLocation, "{bad:?}");
    }
    assert_eq!(server.requests().len(), 0);
}

#[test]
fn n15_what_a_server_calls_the_file_is_not_looked_at() {
    let head = "HTTP/1.1 200 OK\r\nContent-Disposition: attachment; filename=\"../../root/.ssh/authorized_keys\"\r\n";
    let server = Server::saying(format!("{head}Content-Length: 1\r\n\r\nx"));
    assert_eq!(get(&source(), &server.url("/a"), 0).unwrap().unwrap(), b"x");
}

#[test]
fn n16_encoded_bodies_are_refused() {
    for bad in ["gzip", "zstd", "br", "deflate", "identity, gzip", "GZIP", "x\u{e9}"] {
        let server =
            Server::saying(format!("HTTP/1.1 200 OK\r\nContent-Encoding: {bad}\r\nContent-Length: 1\r\n\r\nx"));
        assert_eq!(refusal(&source(), &server.url("/"), 0), Protocol, "{bad}");
    }
    let twice = "HTTP/1.1 200 OK\r\nContent-Encoding: identity\r\nContent-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx";
    assert_eq!(refusal(&source(), &Server::saying(twice).url("/"), 0), Protocol);
    let coded = "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n";
    assert_eq!(refusal(&source(), &Server::saying(coded).url("/"), 0), Protocol);
    let identity = Server::saying("HTTP/1.1 200 OK\r\nContent-Encoding: identity\r\nContent-Length: 1\r\n\r\nx");
    assert_eq!(get(&source(), &identity.url("/"), 0).unwrap().unwrap(), b"x");
}

#[test]
fn n11_bodies_of_a_wrong_size_are_errors() {
    for bad in [
        "Content-Length: 5\r\n\r\nfour",
        "Content-Length: 99999999999\r\n\r\nfour",
        "Content-Length: 18446744073709551616\r\n\r\nfour",
        "Content-Length: -1\r\n\r\nfour",
        "Content-Length: +4\r\n\r\nfour",
        "Content-Length: 4\r\nContent-Length: 5\r\n\r\nfours",
        "Content-Length: x\r\n\r\nfour",
        "Transfer-Encoding: chunked\r\n\r\n4\r\nfour\r\n",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nfour",
        "Transfer-Encoding: chunked\r\n\r\n10000000000000000\r\nfour",
        "Transfer-Encoding: chunked\r\n\r\n-4\r\nfour\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\nfour",
        "Transfer-Encoding: xchunked\r\n\r\n4\r\nfour\r\n0\r\n\r\n",
    ] {
        let server = Server::saying(format!("HTTP/1.1 200 OK\r\n{bad}"));
        let outcome = get(&source(), &server.url("/"), 0);
        assert!(!matches!(outcome, Ok(Ok(_))), "{bad:?} {outcome:?}");
    }
    let longer = Server::saying("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfour and more");
    assert_eq!(get(&source(), &longer.url("/"), 0).unwrap().unwrap(), b"four");
    let error = get(&source(), &Server::saying("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx").url("/y"), 0);
    let error = error.unwrap().unwrap_err().to_string();
    assert!(error.contains("broke off") && error.contains("/y"), "{error}");
}

#[test]
fn n12_who_does_not_answer_is_given_up() {
    let silent = Server::start(|_, _| {
        std::thread::sleep(Duration::from_secs(5));
        false
    });
    let stalling = Server::start(|_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nfour");
        let _ = stream.flush();
        std::thread::sleep(Duration::from_secs(5));
        false
    });
    // Accepts, and never says anything; nobody even reads.
    let deaf = TcpListener::bind("127.0.0.1:0").unwrap();
    let deaf_url = format!("http://{}/", deaf.local_addr().unwrap());
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let started = Instant::now();
    assert_eq!(refusal(&impatient(), &silent.url("/"), 0), Unreachable);
    assert_eq!(refusal(&impatient(), &deaf_url, 0), Unreachable);
    assert_eq!(refusal(&impatient(), &format!("http://{nobody}/"), 0), Unreachable);
    assert!(get(&impatient(), &stalling.url("/"), 0).unwrap().is_err());
    assert!(started.elapsed() < Duration::from_secs(4));
}

#[test]
fn n12_a_connection_that_never_stands_is_given_up() {
    // Nobody accepts, and the queue is full: the kernel answers no more.
    let full = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = full.local_addr().unwrap();
    let mut waiting = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
        waiting.push(stream);
        assert!(waiting.len() < 10_000, "the queue has no end");
    }
    let with_timeout = |connect_timeout| HttpSource::with_options(Options { connect_timeout, ..options() });
    let started = Instant::now();
    let url = format!("http://{address}/");
    assert_eq!(refusal(&with_timeout(Duration::from_millis(300)), &url, 0), Unreachable);
    let took = started.elapsed();
    assert!(took >= Duration::from_millis(300) && took < Duration::from_secs(4), "{took:?}");

    // One who is patient gets through when there is room again.
    let freed = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(500));
        drop(waiting);
        for mut stream in full.incoming().flatten() {
            let _ = stream.set_read_timeout(Some(Duration::from_millis(100)));
            if stream.read(&mut [0; 1000]).is_ok_and(|came| came > 0) {
                stream.write_all(&ok(b"late")).unwrap();
                return;
            }
        }
    });
    assert_eq!(get(&with_timeout(Duration::from_secs(20)), &url, 0).unwrap().unwrap(), b"late");
    freed.join().unwrap();
}

#[test]
fn n12_a_slow_but_steady_body_is_no_silence() {
    let steady = Server::start(|_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n");
        for _ in 0..8 {
            std::thread::sleep(Duration::from_millis(100));
            let _ = stream.write_all(b"x");
            let _ = stream.flush();
        }
        false
    });
    assert_eq!(get(&impatient(), &steady.url("/"), 0).unwrap().unwrap(), b"xxxxxxxx");
}

#[test]
fn n17_as_many_and_as_large_headers_as_fit_are_no_error() {
    let headers = |count: usize| -> String { (0..count).map(|n| format!("X-{n}: y\r\n")).collect() };
    let with = |headers: &str| Server::saying(format!("HTTP/1.1 200 OK\r\n{headers}Content-Length: 1\r\n\r\nx"));
    let fits = with(&headers(MAX_HEADERS - 1));
    assert_eq!(get(&source(), &fits.url("/"), 0).unwrap().unwrap(), b"x");
    assert_eq!(refusal(&source(), &with(&headers(MAX_HEADERS)).url("/"), 0), Protocol, "and it will be so again");

    let line = |length: usize| format!("X: {}\r\n", "y".repeat(length));
    let fits = with(&line(MAX_HEAD - 1000));
    assert_eq!(get(&source(), &fits.url("/"), 0).unwrap().unwrap(), b"x");
    assert_eq!(refusal(&source(), &with(&line(2 * MAX_HEAD)).url("/"), 0), Protocol);
}

#[test]
fn n17_bombs_of_headers_are_errors() {
    let many: String = (0..10_000).map(|n| format!("X-{n}: y\r\n")).collect();
    let long = format!("X: {}\r\n", "y".repeat(1 << 20));
    for bad in [
        format!("HTTP/1.1 200 OK\r\n{many}Content-Length: 1\r\n\r\nx"),
        format!("HTTP/1.1 200 OK\r\n{long}Content-Length: 1\r\n\r\nx"),
        format!("HTTP/1.1 200 {}\r\n\r\n", "y".repeat(1 << 20)),
    ] {
        let server = Server::saying(bad.clone());
        let error = source().open(&at(server.url("/x")), 0).unwrap_err();
        assert_eq!(error.kind, Protocol, "{}", text(&error));
        assert!(text(&error).contains(&server.url("/x")) && text(&error).contains("too large"), "{}", text(&error));
    }
    for bad in [
        "x".to_owned(),
        "<html>HTTP/0.9</html>\r\n\r\n".to_owned(),
        "HTTP/2.0 200 OK\r\n\r\n".to_owned(),
        "HTTP/1.1 20 OK\r\n\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\nbad header\r\n\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n".to_owned(),
        String::new(),
    ] {
        let server = Server::saying(bad.clone());
        assert_eq!(refusal(&source(), &server.url("/"), 0), Unreachable, "{}", &bad[..bad.len().min(60)]);
    }
    let endless = Server::start(|_, stream| {
        let end = Instant::now() + Duration::from_secs(5);
        while Instant::now() < end && stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").is_ok() {}
        false
    });
    let started = Instant::now();
    assert_eq!(refusal(&impatient(), &endless.url("/"), 0), Unreachable);
    assert!(started.elapsed() < Duration::from_secs(4));
}

#[test]
fn n19_what_follows_a_reply_is_no_reply_to_the_next_request() {
    let server = Server::start(|request, stream| {
        let mut reply = ok(request.target.as_bytes());
        reply.extend_from_slice(&ok(b"smuggled"));
        stream.write_all(&reply).is_ok()
    });
    let source = source();
    assert_eq!(get(&source, &server.url("/first"), 0).unwrap().unwrap(), b"/first");
    for path in ["/second", "/third"] {
        // A connection with bytes too many may be given up; what comes must belong to the request.
        if let Ok(Ok(came)) = get(&source, &server.url(path), 0) {
            assert_eq!(came, path.as_bytes());
        }
    }
}

#[test]
fn connections_are_kept_for_the_next_file_up_to_a_bound() {
    const AT_ONCE: usize = IDLE_CONNECTIONS + 2;
    let (opened, all_there) = (Arc::new(Mutex::new(0)), std::sync::Barrier::new(AT_ONCE));
    let counted = opened.clone();
    let server = Server::start_with(
        move |_, stream| {
            all_there.wait();
            stream.write_all(&ok(b"x")).is_ok()
        },
        move |stream| {
            *counted.lock().unwrap() += 1;
            Some(Box::new(stream))
        },
    );
    let source = source();
    let mut rounds = Vec::new();
    for _ in 0..2 {
        std::thread::scope(|scope| {
            for _ in 0..AT_ONCE {
                scope.spawn(|| assert_eq!(get(&source, &server.url("/x"), 0).unwrap().unwrap(), b"x"));
            }
        });
        rounds.push(*opened.lock().unwrap());
        // Until the client's thread has put them aside.
        std::thread::sleep(Duration::from_millis(300));
    }
    assert_eq!(rounds, [AT_ONCE, AT_ONCE + 2], "all but so many were closed");
}

#[test]
fn passwords_go_to_their_server_only_and_into_no_message() {
    let other = Server::saying("HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n");
    let target = other.url("/b");
    let server = redirecting(move |_| Some(target.clone()), 302);
    let location = server.url("/a").replace("http://", "http://user:secret@");
    let error = source().open(&at(&location), 0).unwrap_err();
    assert_eq!(error.kind, Denied);
    assert!(!text(&error).contains("secret"), "{}", text(&error));
    assert!(server.requests()[0].header("authorization").is_some_and(|value| value.starts_with("Basic ")));
    assert_eq!(other.requests()[0].header("authorization"), None);

    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for location in [format!("http://user:secret@{nobody}/"), "http://user:secret@/\n".to_owned()] {
        let error = source().open(&at(&location), 0).unwrap_err();
        assert!(!text(&error).contains("secret"), "{}", text(&error));
    }
}

#[test]
fn errors_say_what_stood_behind_them() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = source().open(&at(format!("http://{nobody}/x")), 0).unwrap_err();
    assert!(error.message.contains(&format!("http://{nobody}/x")), "{error}");
    assert!(text(&error).contains("Connection refused"), "{}", text(&error));
}
