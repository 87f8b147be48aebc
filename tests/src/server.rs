//! A small HTTP server on 127.0.0.1, for good and bad mirrors.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use crate::bytes::hash;

/// What it answers.
#[derive(Debug, Clone)]
pub enum Reply {
    /// 200 with these bytes and their version; a range of them where one is asked for.
    Bytes(Vec<u8>),
    /// This status with no body.
    Status(u16),
    /// 302 to this location.
    Redirect(String),
    /// 200 with this length, of which only so many bytes come.
    Cut(Vec<u8>, usize),
    /// 200 without a length, and zeros without an end.
    Endless,
    /// Exactly this.
    Raw(Vec<u8>),
    /// Exactly this, and then nothing more, until the client goes.
    Silent(Vec<u8>),
    /// Exactly this, again and again.
    RawForEver(Vec<u8>),
    /// 200 with these bytes in pieces of this size, with a pause before each.
    Drip(Vec<u8>, usize, Duration),
    /// 200 with these bytes, once the gate is open.
    Held(Vec<u8>, Gate),
    /// One after the other; the last one stays.
    Each(Vec<Reply>),
}

/// Where replies wait, of one server or several.
#[derive(Debug, Clone, Default)]
pub struct Gate(Arc<(Mutex<Waiting>, Condvar)>);

#[derive(Debug, Default)]
struct Waiting {
    count: usize,
    is_open: bool,
}

impl Gate {
    /// How many replies have come here.
    pub fn count(&self) -> usize {
        self.0.0.lock().unwrap().count
    }

    /// Lets them go, and all that come later.
    pub fn open(&self) {
        self.0.0.lock().unwrap().is_open = true;
        self.0.1.notify_all();
    }

    fn pass(&self) {
        let mut waiting = self.0.0.lock().unwrap();
        waiting.count += 1;
        while !waiting.is_open {
            waiting = self.0.1.wait(waiting).unwrap();
        }
    }
}

/// A request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The path.
    pub path: String,
    /// The header `Range`.
    pub range: Option<String>,
    /// The header `If-Range`.
    pub if_range: Option<String>,
    /// The header `If-None-Match`.
    pub if_none_match: Option<String>,
}

/// Serves until the test's process ends.
#[derive(Debug, Clone)]
pub struct Server {
    address: SocketAddr,
    replies: Arc<Mutex<HashMap<String, Reply>>>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Default for Server {
    fn default() -> Self {
        Self::start()
    }
}

impl Server {
    /// On a free port.
    pub fn start() -> Self {
        Self::start_at(Ipv4Addr::LOCALHOST)
    }

    /// On a free port of this address.
    pub fn start_at(address: Ipv4Addr) -> Self {
        let listener = TcpListener::bind((address, 0)).unwrap();
        let server = Self { address: listener.local_addr().unwrap(), replies: Arc::default(), asked: Arc::default() };
        let shared = server.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = shared.clone();
                std::thread::spawn(move || shared.answer(stream));
            }
        });
        server
    }

    /// The URL of a path that begins with `/`.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// What it answers for a path from now on.
    pub fn set(&self, path: &str, reply: Reply) {
        self.replies.lock().unwrap().insert(path.to_owned(), reply);
    }

    /// Serves the files of a folder as they are now.
    pub fn serve(&self, folder: &Path) {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            if entry.file_type().unwrap().is_file() {
                self.set(&format!("/{}", entry.file_name().display()), Reply::Bytes(fs::read(entry.path()).unwrap()));
            }
        }
    }

    /// The paths that were asked for, in order.
    pub fn asked(&self) -> Vec<String> {
        self.requests().into_iter().map(|asked| asked.path).collect()
    }

    /// The requests, in order.
    pub fn requests(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    fn answer(&self, stream: TcpStream) -> Option<()> {
        let asked = read_request(&stream)?;
        self.asked.lock().unwrap().push(asked.clone());
        let reply = self.next_reply(&asked.path).unwrap_or(Reply::Status(404));
        send(stream, reply, &asked).ok()
    }

    fn next_reply(&self, path: &str) -> Option<Reply> {
        let mut replies = self.replies.lock().unwrap();
        match replies.get_mut(path)? {
            Reply::Each(each) if each.len() > 1 => Some(each.remove(0)),
            Reply::Each(each) => each.first().cloned(),
            reply => Some(reply.clone()),
        }
    }
}

fn read_request(stream: &TcpStream) -> Option<Asked> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut first = String::new();
    reader.read_line(&mut first).ok()?;
    let mut asked =
        Asked { path: first.split(' ').nth(1)?.to_owned(), range: None, if_range: None, if_none_match: None };
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim().split_once(": ") else { return Some(asked) };
        match name.to_ascii_lowercase().as_str() {
            "range" => asked.range = Some(value.to_owned()),
            "if-none-match" => asked.if_none_match = Some(value.to_owned()),
            "if-range" => asked.if_range = Some(value.to_owned()),
            _ => {}
        }
    }
}

/// The bytes of this version that are asked for: the first, and the one behind the last; none for all.
fn part_of(asked: &Asked, version: &str, all: usize) -> Option<(usize, usize)> {
    if asked.if_range.as_ref().is_some_and(|wanted| wanted != version) {
        return None;
    }
    let (start, last) = asked.range.as_deref()?.strip_prefix("bytes=")?.split_once('-')?;
    let end = if last.is_empty() { all } else { last.parse::<usize>().ok()?.checked_add(1)?.min(all) };
    Some((start.parse().ok()?, end))
}

fn send(mut stream: TcpStream, reply: Reply, asked: &Asked) -> std::io::Result<()> {
    match reply {
        Reply::Bytes(bytes) => {
            let (all, version) = (bytes.len(), format!("\"{}\"", hash(&bytes)));
            if asked.if_none_match.as_ref() == Some(&version) {
                return write!(stream, "HTTP/1.1 304 Not Modified\r\nETag: {version}\r\nConnection: close\r\n\r\n");
            }
            let (start, end) = match part_of(asked, &version, all) {
                None => {
                    write!(stream, "HTTP/1.1 200 OK\r\n")?;
                    (0, all)
                }
                Some((start, end)) if start < end => {
                    let last = end - 1;
                    write!(stream, "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {start}-{last}/{all}\r\n")?;
                    (start, end)
                }
                Some(_) => {
                    return write!(stream, "HTTP/1.1 416 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
                }
            };
            let length = end - start;
            write!(stream, "ETag: {version}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n")?;
            stream.write_all(&bytes[start..end])
        }
        Reply::Status(status) => {
            write!(stream, "HTTP/1.1 {status} No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        }
        Reply::Redirect(to) => {
            write!(stream, "HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        }
        Reply::Cut(bytes, sent) => {
            let (all, version) = (bytes.len(), hash(&bytes));
            write!(stream, "HTTP/1.1 200 OK\r\nETag: \"{version}\"\r\nContent-Length: {all}\r\n\r\n")?;
            stream.write_all(&bytes[..sent])
        }
        Reply::Endless => {
            write!(stream, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")?;
            write_for_ever(&mut stream, &[0; 64 << 10])
        }
        Reply::Raw(bytes) => stream.write_all(&bytes),
        Reply::RawForEver(bytes) => write_for_ever(&mut stream, &bytes),
        Reply::Silent(bytes) => {
            stream.write_all(&bytes)?;
            stream.read(&mut [0]).map(|_| ())
        }
        Reply::Drip(bytes, piece, pause) => {
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", bytes.len())?;
            for piece in bytes.chunks(piece) {
                std::thread::sleep(pause);
                stream.write_all(piece)?;
            }
            Ok(())
        }
        Reply::Held(bytes, gate) => {
            gate.pass();
            send(stream, Reply::Bytes(bytes), asked)
        }
        Reply::Each(_) => Ok(()),
    }
}

fn write_for_ever(stream: &mut TcpStream, bytes: &[u8]) -> std::io::Result<()> {
    loop {
        stream.write_all(bytes)?;
    }
}
