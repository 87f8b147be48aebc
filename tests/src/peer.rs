//! A peer that has everything, as far as it says, and gives parts of one file as a test wants it.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use crate::Lan;

/// Answers every question of version 2 with yes, from this host.
pub fn says_yes(lan: &Lan, number: u8) {
    let questions = lan.on(number, || UdpSocket::bind("0.0.0.0:1333").unwrap());
    thread::spawn(move || {
        let mut buffer = [0; 2048];
        while let Ok((length, from)) = questions.recv_from(&mut buffer) {
            if buffer.starts_with(b"P2?") && length > 20 {
                let mut answer = b"P2!".to_vec();
                answer.extend(&buffer[3..19]);
                answer.extend([number; 8]);
                answer.extend(9123_u16.to_be_bytes());
                answer.extend(vec![0x80; usize::from(buffer[19]).div_ceil(8)]);
                let _ = questions.send_to(&answer, from);
            }
        }
    });
}

/// What a peer does with a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// Gives it, so many KiB every ten milliseconds.
    Gives(usize),
    /// The same, but after so many bytes in all it is gone.
    Vanishes(usize, u64),
    /// Answers with the head, and says nothing more.
    Stops,
    /// Gives a few bytes a second.
    Trickles,
    /// Says that it gives the whole.
    IgnoresRanges,
}

/// A peer, until the test's process ends.
#[derive(Debug)]
pub struct Peer {
    given: Arc<AtomicU64>,
}

impl Peer {
    /// With this file.
    pub fn start(lan: &Lan, number: u8, bytes: Vec<u8>, manner: Manner) -> Self {
        says_yes(lan, number);
        let files = lan.on(number, || TcpListener::bind("0.0.0.0:9123").unwrap());
        let (given, bytes) = (Arc::new(AtomicU64::new(0)), Arc::new(bytes));
        let peer = Self { given: given.clone() };
        thread::spawn(move || {
            for stream in files.incoming().flatten() {
                if matches!(manner, Manner::Vanishes(_, after) if given.load(Ordering::SeqCst) >= after) {
                    return;
                }
                let (given, bytes) = (given.clone(), bytes.clone());
                thread::spawn(move || give(stream, &bytes, manner, &given));
            }
        });
        peer
    }

    /// How many bytes it has given so far.
    pub fn given(&self) -> u64 {
        self.given.load(Ordering::SeqCst)
    }
}

fn give(mut stream: TcpStream, bytes: &[u8], manner: Manner, given: &AtomicU64) -> io::Result<()> {
    let mut request = vec![0; 4096];
    let length = stream.read(&mut request)?;
    let text = String::from_utf8_lossy(&request[..length]).into_owned();
    let range = text.lines().find_map(|line| line.strip_prefix("Range: bytes=")?.split_once('-'));
    let all = bytes.len();
    let (first, last) = match range.filter(|_| manner != Manner::IgnoresRanges) {
        Some((first, last)) => (first.parse().unwrap(), last.parse().unwrap_or(all - 1)),
        None => (0, all - 1),
    };
    let part = &bytes[first..=last];
    let status = match range.filter(|_| manner != Manner::IgnoresRanges) {
        Some(_) => format!("206 Partial Content\r\nContent-Range: bytes {first}-{last}/{all}"),
        None => "200 OK".to_owned(),
    };
    write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n", part.len())?;
    let rate = match manner {
        Manner::Gives(rate) | Manner::Vanishes(rate, _) => rate,
        Manner::Trickles => {
            return part.chunks(100).try_for_each(|piece| {
                thread::sleep(Duration::from_millis(100));
                stream.write_all(piece)
            });
        }
        Manner::Stops => return stream.read(&mut [0]).map(|_| ()),
        Manner::IgnoresRanges => 64,
    };
    for piece in part.chunks(rate << 10) {
        if matches!(manner, Manner::Vanishes(_, after) if given.load(Ordering::SeqCst) >= after) {
            return Ok(());
        }
        stream.write_all(piece)?;
        given.fetch_add(piece.len() as u64, Ordering::SeqCst);
        thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}
