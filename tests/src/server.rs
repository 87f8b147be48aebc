//! A small HTTP server on 127.0.0.1, for good and bad mirrors.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

/// What it answers.
#[derive(Debug, Clone)]
pub enum Reply {
    /// 200 with these bytes.
    Bytes(Vec<u8>),
    /// This status with no body.
    Status(u16),
    /// 302 to this location.
    Redirect(String),
    /// 200 with this length, of which only so many bytes come.
    Cut(Vec<u8>, usize),
    /// 200 without a length, and zeros without an end.
    Endless,
}

/// Serves until the test's process ends.
#[derive(Debug, Clone)]
pub struct Server {
    address: SocketAddr,
    replies: Arc<Mutex<HashMap<String, Reply>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Default for Server {
    fn default() -> Self {
        Self::start()
    }
}

impl Server {
    /// On a free port.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
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
        self.asked.lock().unwrap().clone()
    }

    fn answer(&self, stream: TcpStream) -> Option<()> {
        let mut reader = BufReader::new(stream.try_clone().ok()?);
        let mut first = String::new();
        reader.read_line(&mut first).ok()?;
        let mut start = 0;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok()?;
            if let Some(range) = line.to_ascii_lowercase().strip_prefix("range: bytes=") {
                start = range.trim().trim_end_matches('-').parse().unwrap_or(0);
            }
            if line.trim().is_empty() {
                break;
            }
        }
        let path = first.split(' ').nth(1)?.to_owned();
        self.asked.lock().unwrap().push(path.clone());
        let reply = self.replies.lock().unwrap().get(&path).cloned();
        send(stream, reply.unwrap_or(Reply::Status(404)), start).ok()
    }
}

fn send(mut stream: TcpStream, reply: Reply, start: usize) -> std::io::Result<()> {
    match reply {
        Reply::Bytes(bytes) if start > 0 && start < bytes.len() => {
            let (last, all) = (bytes.len() - 1, bytes.len());
            write!(stream, "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {start}-{last}/{all}\r\n")?;
            write!(stream, "Content-Length: {}\r\nConnection: close\r\n\r\n", all - start)?;
            stream.write_all(&bytes[start..])
        }
        Reply::Bytes(bytes) => {
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", bytes.len())?;
            stream.write_all(&bytes)
        }
        Reply::Status(status) => {
            write!(stream, "HTTP/1.1 {status} No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        }
        Reply::Redirect(to) => {
            write!(stream, "HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        }
        Reply::Cut(bytes, sent) => {
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", bytes.len())?;
            stream.write_all(&bytes[..sent])
        }
        Reply::Endless => {
            write!(stream, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")?;
            let zeros = vec![0; 64 << 10];
            loop {
                stream.write_all(&zeros)?;
            }
        }
    }
}
