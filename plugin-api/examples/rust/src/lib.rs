//! Fetches `plain-rust://HOST:PORT/PATH` by HTTP/1.0: a whole fetch source of Packets in Rust.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::ops::ControlFlow;
use std::time::Duration;

use packets_plugin_api::export_fetch_source;
use packets_plugin_api::fetch::{Artifact, Candidate, FetchError, FetchErrorKind, FetchSource, Opened};
use packets_plugin_api::native::Settings;

export_fetch_source!("plain-rust", make);

const SCHEME: &str = "plain-rust://";
const CONNECT: Duration = Duration::from_secs(10);
const IDLE: Duration = Duration::from_secs(20);
const HEAD: u64 = 8192;

fn make(settings: &Settings) -> Result<Plain, String> {
    Ok(Plain { user_agent: settings.user_agent.clone() })
}

#[derive(Debug)]
struct Plain {
    user_agent: String,
}

/// `HOST:PORT` and `/PATH`.
fn parse(location: &str) -> Option<(&str, &str)> {
    let rest = location.strip_prefix(SCHEME)?;
    let (address, path) = rest.split_at(rest.find('/')?);
    let (host, port) = address.rsplit_once(':')?;
    let is_plain = location.bytes().all(|byte| byte.is_ascii_graphic());
    (is_plain && !host.is_empty() && port.parse::<u16>().is_ok()).then_some((address, path))
}

fn error(kind: FetchErrorKind, problem: impl ToString) -> FetchError {
    FetchError::new(kind, problem.to_string())
}

fn unreachable(cause: io::Error) -> FetchError {
    error(FetchErrorKind::Unreachable, "cannot reach the server").because(cause)
}

impl FetchSource for Plain {
    fn name(&self) -> &str {
        "plain-rust"
    }

    fn claims(&self, location: &str) -> bool {
        parse(location).is_some()
    }

    fn find(&self, want: &Artifact, found: &mut dyn FnMut(Candidate) -> ControlFlow<()>) -> Result<(), FetchError> {
        for mirror in want.mirrors.iter().filter(|mirror| self.claims(mirror)) {
            if found(Candidate::at(mirror)).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn open(&self, from: &Candidate, offset: u64) -> Result<Opened, FetchError> {
        let (address, path) = parse(&from.location)
            .ok_or_else(|| error(FetchErrorKind::BadLocation, "it is no plain-rust://HOST:PORT/PATH"))?;
        let mut server = connect(address).map_err(unreachable)?;
        let range = if offset > 0 { format!("Range: bytes={offset}-\r\n") } else { String::new() };
        let agent = &self.user_agent;
        write!(server, "GET {path} HTTP/1.0\r\nHost: {address}\r\nUser-Agent: {agent}\r\n{range}\r\n")
            .map_err(unreachable)?;
        let mut reader = BufReader::new(server);
        let (status, size) = read_head(&mut reader)?;
        check(status, offset)?;
        let size = size.ok_or_else(|| error(FetchErrorKind::Protocol, "the server announces no size"))?;
        Ok(Opened { reader: Box::new(Body { reader, left: size }), size: Some(size), version: None, file: None })
    }
}

fn connect(address: &str) -> io::Result<TcpStream> {
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for address in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, CONNECT) {
            Ok(server) => {
                server.set_read_timeout(Some(IDLE))?;
                server.set_write_timeout(Some(IDLE))?;
                return Ok(server);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// The status of a reply and its size.
fn read_head(reader: &mut impl BufRead) -> Result<(u16, Option<u64>), FetchError> {
    let mut head = reader.take(HEAD);
    let mut line = String::new();
    head.read_line(&mut line).map_err(unreachable)?;
    let status = line.strip_prefix("HTTP/1.").and_then(|rest| rest.split(' ').nth(1)?.parse().ok());
    let status = status.ok_or_else(|| error(FetchErrorKind::Unreachable, "the server answers nothing that is HTTP"))?;
    let mut size = None;
    loop {
        line.clear();
        head.read_line(&mut line).map_err(unreachable)?;
        match line.trim_end() {
            "" if line.is_empty() => return Err(error(FetchErrorKind::Unreachable, "the reply breaks off")),
            "" => return Ok((status, size)),
            header => {
                if let Some((name, value)) = header.split_once(':')
                    && name.eq_ignore_ascii_case("content-length")
                {
                    size = value.trim().parse().ok();
                }
            }
        }
    }
}

fn check(status: u16, offset: u64) -> Result<(), FetchError> {
    let kind = match status {
        200 if offset == 0 => return Ok(()),
        206 if offset > 0 => return Ok(()),
        200 | 416 => FetchErrorKind::NoSuchRange,
        404 | 410 => FetchErrorKind::NotFound,
        401 | 403 => FetchErrorKind::Denied,
        500.. => FetchErrorKind::Unreachable,
        _ => FetchErrorKind::Protocol,
    };
    Err(error(kind, format!("the server answers {status}")))
}

struct Body {
    reader: BufReader<TcpStream>,
    left: u64,
}

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let came = self.reader.read(&mut buffer[..most])?;
        if came == 0 && most > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.left -= came as u64;
        Ok(came)
    }
}
