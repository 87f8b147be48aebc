//! The bytes of a file at a peer: one request, one reply, one connection.
//!
//! No HTTP library is used but its parser: a URL cannot name an address of a link (`fe80::1%eth0`),
//! proxies and redirects have no place here, and the body goes straight from the socket into the host's buffer.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use packets_plugin_api::fetch::{FetchError, FetchErrorKind, Opened};

use super::place::Place;
use crate::limits::{CONNECT_TIMEOUT, IDLE_TIMEOUT, MAX_HEADERS, MAX_REPLY_HEAD, REPLY_TIME};

/// The file from `offset` on, or `length` bytes of it.
pub(super) fn open(
    place: &Place,
    user_agent: &str,
    offset: u64,
    length: Option<u64>,
    version: Option<&str>,
) -> Result<Opened, FetchError> {
    let unreachable = |cause: io::Error| {
        FetchError::new(FetchErrorKind::Unreachable, format!("cannot reach the peer {place}")).because(cause)
    };
    let mut stream = connect(place, CONNECT_TIMEOUT).map_err(unreachable)?;
    let asked = Asked { offset, length: length.filter(|length| *length > 0) };
    let request = asked.request(place, user_agent, version);
    let prepared = stream.set_nodelay(true).and_then(|()| stream.set_write_timeout(Some(REPLY_TIME)));
    prepared.and_then(|()| stream.write_all(request.as_bytes())).map_err(unreachable)?;
    let (head, begun) = read_head(&mut stream, place)?;
    let size = asked.check(&head, place)?;
    stream.set_read_timeout(Some(IDLE_TIMEOUT)).map_err(unreachable)?;
    let body = Body { stream, begun, read: 0, left: size, place: place.clone() };
    Ok(Opened { reader: Box::new(body), size: Some(size), version: head.tag, file: None })
}

fn connect(place: &Place, time: Duration) -> io::Result<TcpStream> {
    TcpStream::connect_timeout(&place.address(), time)
}

/// What is asked for.
#[derive(Debug, Clone, Copy)]
struct Asked {
    offset: u64,
    length: Option<u64>,
}

/// What counts of a reply's head.
#[derive(Debug, Default, PartialEq, Eq)]
struct Head {
    status: u16,
    length: Option<u64>,
    range: Option<String>,
    tag: Option<String>,
}

impl Asked {
    fn request(self, place: &Place, user_agent: &str, version: Option<&str>) -> String {
        let last = self.length.map(|length| (self.offset.saturating_add(length) - 1).to_string()).unwrap_or_default();
        let range = match (self.offset, self.length) {
            (0, None) => String::new(),
            _ => format!("Range: bytes={}-{last}\r\n", self.offset),
        };
        let is_tag = |tag: &&str| tag.bytes().all(|byte| byte.is_ascii_graphic());
        let condition = match version.filter(is_tag) {
            Some(tag) if self.offset > 0 => format!("If-Range: {tag}\r\n"),
            _ => String::new(),
        };
        format!(
            "GET /{} HTTP/1.1\r\nHost: {}\r\nUser-Agent: {user_agent}\r\nAccept-Encoding: identity\r\n{range}{condition}Connection: close\r\n\r\n",
            place.name(),
            place.host(),
        )
    }

    /// How many bytes follow, when they are what was asked for (N11, N18).
    fn check(self, head: &Head, place: &Place) -> Result<u64, FetchError> {
        let failed = |kind, what: String| Err(FetchError::new(kind, format!("the peer {place} {what}")));
        let (offset, is_part) = (self.offset, self.offset > 0 || self.length.is_some());
        match head.status {
            200 if offset == 0 => {}
            206 if is_part => {}
            200 | 416 if offset > 0 => {
                return failed(FetchErrorKind::NoSuchRange, format!("cannot go on from byte {offset}"));
            }
            404 | 410 => return failed(FetchErrorKind::NotFound, "does not have it".to_owned()),
            429 | 500..=599 => return failed(FetchErrorKind::Unreachable, format!("answered {}", head.status)),
            _ => return failed(FetchErrorKind::Protocol, format!("answered {}", head.status)),
        }
        let Some(length) = head.length else {
            return failed(FetchErrorKind::Protocol, "does not say how many bytes it gives".to_owned());
        };
        if head.status == 200 {
            return Ok(self.length.map_or(length, |most| length.min(most)));
        }
        let range = head.range.as_deref().and_then(parse_range);
        let fits = range.is_some_and(|(first, last, total)| {
            let most = self.length.and_then(|length| offset.checked_add(length - 1)).unwrap_or(u64::MAX);
            first == offset && last == most.min(total - 1) && last - first + 1 == length
        });
        match fits {
            true => Ok(length),
            false => failed(FetchErrorKind::Protocol, "answered with another part than it was asked for".to_owned()),
        }
    }
}

/// `bytes first-last/total`.
fn parse_range(text: &str) -> Option<(u64, u64, u64)> {
    let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u64>().ok())?;
    let (bounds, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = bounds.split_once('-')?;
    let (first, last, total) = (number(first)?, number(last)?, number(total)?);
    (first <= last && last < total).then_some((first, last, total))
}

/// The head of the reply, and what of its body came with it.
fn read_head(stream: &mut TcpStream, place: &Place) -> Result<(Head, Vec<u8>), FetchError> {
    let broken = |cause: io::Error| {
        FetchError::new(FetchErrorKind::Unreachable, format!("the peer {place} did not answer")).because(cause)
    };
    let until = Instant::now() + REPLY_TIME;
    let mut came = Vec::with_capacity(MAX_REPLY_HEAD);
    let mut buffer = [0; 2048];
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(broken(io::ErrorKind::TimedOut.into()));
        }
        stream.set_read_timeout(Some(left)).map_err(broken)?;
        match stream.read(&mut buffer) {
            Ok(0) => return Err(broken(io::ErrorKind::UnexpectedEof.into())),
            Ok(length) => came.extend_from_slice(&buffer[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(broken(error)),
        }
        match parse_head(&came) {
            // What comes at once may end beyond the bound.
            Ok(Some((_, end))) if end > MAX_REPLY_HEAD => return Err(nonsense(place, "a head that is too large")),
            Ok(Some((head, end))) => return Ok((head, came.split_off(end))),
            Ok(None) if came.len() < MAX_REPLY_HEAD => {}
            Ok(None) => return Err(nonsense(place, "a head without an end")),
            Err(what) => return Err(nonsense(place, what)),
        }
    }
}

fn nonsense(place: &Place, what: &str) -> FetchError {
    FetchError::new(FetchErrorKind::Protocol, format!("the peer {place} answered with {what}"))
}

/// The head and where it ends; none where its end has not come yet.
fn parse_head(came: &[u8]) -> Result<Option<(Head, usize)>, &'static str> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut reply = httparse::Response::new(&mut headers);
    let end = match reply.parse(came) {
        Ok(httparse::Status::Complete(end)) => end,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(_) => return Err("something that is not HTTP"),
    };
    let mut head = Head { status: reply.code.unwrap_or_default(), ..Head::default() };
    for header in reply.headers.iter() {
        let text = std::str::from_utf8(header.value).map(str::trim);
        let is = |name: &str| header.name.eq_ignore_ascii_case(name);
        if is("content-length") {
            let digits = text.ok().filter(|text| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()));
            let length = digits.and_then(|text| text.parse().ok()).ok_or("a length that is none")?;
            if head.length.replace(length).is_some() {
                return Err("two lengths");
            }
        } else if is("transfer-encoding") {
            return Err("a body in chunks");
        } else if is("content-encoding") && text != Ok("identity") {
            return Err("an encoding that was not asked for");
        } else if is("content-range") {
            head.range = text.ok().map(str::to_owned);
        } else if is("etag") {
            head.tag = text.ok().filter(|tag| tag.len() < 100 && tag.starts_with('"')).map(str::to_owned);
        }
    }
    Ok(Some((head, end)))
}

/// The body, which has exactly its announced size.
struct Body {
    stream: TcpStream,
    /// What came with the head, and how much of it has been read.
    begun: Vec<u8>,
    read: usize,
    left: u64,
    place: Place,
}

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        if most == 0 {
            return Ok(0);
        }
        let rest = &self.begun[self.read..];
        let came = if rest.is_empty() {
            self.stream.read(&mut buffer[..most]).map_err(|cause| self.broken(cause))?
        } else {
            let length = rest.len().min(most);
            buffer[..length].copy_from_slice(&rest[..length]);
            self.read += length;
            length
        };
        if came == 0 {
            return Err(self.broken(io::ErrorKind::UnexpectedEof.into()));
        }
        self.left -= came as u64;
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
    place: Place,
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

    fn place() -> Place {
        Place::parse("lan://10.0.0.5:9123/abc").unwrap()
    }

    #[test]
    fn a_request_asks_for_bytes_as_they_are() {
        let request = |offset, length, version| Asked { offset, length }.request(&place(), "packets/2", version);
        assert_eq!(
            request(0, None, Some("\"x\"")),
            "GET /abc HTTP/1.1\r\nHost: 10.0.0.5:9123\r\nUser-Agent: packets/2\r\nAccept-Encoding: identity\r\nConnection: close\r\n\r\n"
        );
        assert!(request(5, None, Some("\"x\"")).contains("Range: bytes=5-\r\nIf-Range: \"x\"\r\n"));
        assert!(request(0, Some(10), None).contains("Range: bytes=0-9\r\n"));
        assert!(!request(5, None, Some("a\r\nb: c")).contains("b: c"), "N14");
    }

    fn head(text: &str) -> Result<Head, &'static str> {
        parse_head(text.as_bytes()).map(|head| head.unwrap().0)
    }

    #[test]
    fn n11_n16_n17_heads_are_read_strictly() {
        let good = head("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag: \"t\"\r\n\r\n").unwrap();
        assert_eq!(good, Head { status: 200, length: Some(5), range: None, tag: Some("\"t\"".to_owned()) });
        for bad in [
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Encoding: gzip\r\n\r\n",
            "SSH-2.0-OpenSSH\r\n\r\n",
            "<html>\r\n\r\n",
        ] {
            assert!(head(bad).is_err(), "{bad}");
        }
        let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: y\r\n".repeat(MAX_HEADERS + 1));
        assert!(head(&many).is_err());
        assert_eq!(parse_head(b"HTTP/1.1 200 OK\r\nContent-Le").unwrap(), None);
    }

    #[test]
    fn n17_a_reply_s_head_up_to_a_bound() {
        let answer = |size: usize, end: &str| {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let place =
                Place::parse(&format!("lan://127.0.0.1:{}/abc", listener.local_addr().unwrap().port())).unwrap();
            let begin = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nX: ";
            let reply = format!("{begin}{}{end}", "x".repeat(size - begin.len() - end.len()));
            let peer = std::thread::spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                let mut question = [0; 1024];
                assert!(stream.read(&mut question).unwrap() > 0);
                // In pieces that do not add up to the bound. Who refuses the head hangs up before it has all come.
                let (first, rest) = reply.as_bytes().split_at(20);
                stream.write_all(first).unwrap();
                std::thread::sleep(Duration::from_millis(50));
                let _ = stream.write_all(rest).and_then(|()| stream.write_all(b"body"));
            });
            let outcome = open(&place, "packets/2", 0, None, None).map(|mut opened| {
                let mut body = String::new();
                opened.reader.read_to_string(&mut body).unwrap();
                body
            });
            peer.join().unwrap();
            outcome.map_err(|error| error.kind)
        };
        assert_eq!(answer(MAX_REPLY_HEAD, "\r\n\r\n").unwrap(), "body");
        assert_eq!(answer(MAX_REPLY_HEAD + 1, "\r\n\r\n"), Err(FetchErrorKind::Protocol));
        assert_eq!(answer(MAX_REPLY_HEAD, "x"), Err(FetchErrorKind::Protocol), "a head without an end");
    }

    #[test]
    fn n12_a_connection_that_stands_too_late() {
        // Nobody accepts, and the queue is full: the system answers when it is asked again, a second later.
        let full = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = full.local_addr().unwrap();
        let place = Place::parse(&format!("lan://127.0.0.1:{}/abc", address.port())).unwrap();
        let mut waiting = Vec::new();
        while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
            waiting.push(stream);
            assert!(waiting.len() < 10_000, "the queue has no end");
        }
        let started = Instant::now();
        let late = open(&place, "packets/2", 0, None, None).map(|_| ()).unwrap_err();
        let took = started.elapsed();
        assert_eq!(late.kind, FetchErrorKind::Unreachable);
        assert!(took >= CONNECT_TIMEOUT && took < 2 * CONNECT_TIMEOUT, "{took:?}");

        let accepting = std::thread::spawn(move || {
            std::thread::sleep(CONNECT_TIMEOUT / 2);
            waiting.iter().for_each(|_| drop(full.accept()));
            full
        });
        let patient = connect(&place, 4 * CONNECT_TIMEOUT);
        let full = accepting.join().unwrap();
        assert!(patient.is_ok() && started.elapsed() - took >= CONNECT_TIMEOUT, "{patient:?}");
        assert!(connect(&place, CONNECT_TIMEOUT).is_ok(), "{full:?} has room again");
    }

    /// The body from a peer that rests for so long in its middle.
    fn body_with_a_rest(rest: Duration) -> io::Result<String> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let place = Place::parse(&format!("lan://127.0.0.1:{}/abc", listener.local_addr().unwrap().port())).unwrap();
        let peer = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut question = [0; 1024];
            assert!(stream.read(&mut question).unwrap() > 0);
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbo").unwrap();
            std::thread::sleep(rest);
            let _ = stream.write_all(b"dy");
        });
        let mut opened = open(&place, "packets/2", 0, None, None).unwrap();
        let mut body = String::new();
        let outcome = opened.reader.read_to_string(&mut body);
        peer.join().unwrap();
        outcome.map(|_| body)
    }

    #[test]
    fn n12_a_body_may_rest_for_a_time_and_no_longer() {
        let beyond = std::thread::spawn(|| body_with_a_rest(IDLE_TIMEOUT + Duration::from_secs(2)));
        assert_eq!(body_with_a_rest(IDLE_TIMEOUT - Duration::from_secs(2)).unwrap(), "body");
        let error = beyond.join().unwrap().unwrap_err();
        assert!(matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut), "{error}");
    }

    #[test]
    fn n13_n18_replies_are_what_was_asked_for() {
        let check = |offset, length, text: &str| {
            Asked { offset, length }.check(&head(text).unwrap(), &place()).map_err(|error| error.kind)
        };
        let whole = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n";
        let part = |range: &str, length: u64| {
            format!("HTTP/1.1 206 Partial Content\r\nContent-Length: {length}\r\nContent-Range: {range}\r\n\r\n")
        };
        assert_eq!(check(0, None, whole), Ok(10));
        assert_eq!(check(0, Some(4), whole), Ok(4), "who knows no ranges gives more than is read");
        assert_eq!(check(5, None, whole), Err(FetchErrorKind::NoSuchRange));
        assert_eq!(check(5, None, &part("bytes 5-9/10", 5)), Ok(5));
        assert_eq!(check(5, Some(2), &part("bytes 5-6/10", 2)), Ok(2));
        assert_eq!(check(8, Some(5), &part("bytes 8-9/10", 2)), Ok(2));
        for (range, length) in [
            ("bytes 4-9/10", 6),
            ("bytes 5-8/10", 4),
            ("bytes 5-9/*", 5),
            ("bytes 5-9/10", 4),
            ("bytes 9-5/10", 5),
            ("items 5-9/10", 5),
        ] {
            assert_eq!(check(5, None, &part(range, length)), Err(FetchErrorKind::Protocol), "{range}");
        }
        assert_eq!(check(0, None, &part("bytes 0-9/10", 10)), Err(FetchErrorKind::Protocol), "not asked for a part");
        for (status, kind) in [
            ("404 Not Found", FetchErrorKind::NotFound),
            ("302 Found", FetchErrorKind::Protocol),
            ("100 Continue", FetchErrorKind::Protocol),
            ("503 Busy", FetchErrorKind::Unreachable),
        ] {
            assert_eq!(
                check(0, None, &format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n")),
                Err(kind),
                "{status}"
            );
        }
        assert_eq!(check(0, None, "HTTP/1.1 200 OK\r\n\r\n"), Err(FetchErrorKind::Protocol), "no length");
    }
}
