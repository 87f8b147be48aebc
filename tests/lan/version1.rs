//! Version 1 as a peer, both ways: a stand-in that speaks its datagrams and its HTTP, with its faults.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};

use packets_tests::Lan;

use super::*;

/// Answers every question with H, also for files that it lacks, and says nothing else.
fn stand_in(lan: &Lan, number: u8, file: Option<(String, Vec<u8>)>) {
    let (questions, files) =
        lan.on(number, || (UdpSocket::bind("0.0.0.0:1333").unwrap(), TcpListener::bind("0.0.0.0:9123").unwrap()));
    std::thread::spawn(move || {
        let mut buffer = [0; 2048];
        while let Ok((length, from)) = questions.recv_from(&mut buffer) {
            if let Some(name) = buffer[..length].strip_prefix(b"Q:") {
                let answer = [b"H:", name, b":9123"].concat();
                let _ = questions.send_to(&answer, from);
            }
        }
    });
    std::thread::spawn(move || {
        for mut stream in files.incoming().flatten() {
            let mut request = vec![0; 4096];
            let length = stream.read(&mut request).unwrap_or(0);
            let text = String::from_utf8_lossy(&request[..length]).into_owned();
            let has = file.as_ref().filter(|(name, _)| text.starts_with(&format!("GET /{name} HTTP/1.1\r\n")));
            let _ = match has {
                Some((_, bytes)) => {
                    let head = format!(
                        "HTTP/1.1 200 OK\r\nAccept-Ranges: bytes\r\nContent-Length: {}\r\nContent-Type: application/zstd\r\nLast-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n",
                        bytes.len()
                    );
                    stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(bytes))
                }
                None => stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 19\r\n\r\n404 page not found\n"),
            };
        }
    });
}

#[test]
fn ours_takes_from_version_1() {
    let Some(lan) = Lan::of(3) else { return };
    let published = Published::new(300_000, NOWHERE);
    let asker = host(&lan, 1, &published.index());
    stand_in(&lan, 2, Some((published.name.clone(), published.bytes.clone())));
    // It answers for a file that it lacks: a hint that costs nothing.
    stand_in(&lan, 3, None);
    let output = asker.run(&["--verbose", "install", "thing"]).ok();
    assert!(output.stderr.contains("thing: fetched from lan"), "{output}");
    assert!(!output.stderr.contains("10.77.0.3"), "{output}");
}

#[test]
fn version_1_takes_from_ours() {
    let Some(lan) = Lan::of(2) else { return };
    let published = Published::new(5000, NOWHERE);
    let giver = host(&lan, 2, &published.index());
    published.cache_on(&giver);
    let _serving = Serving::begin(&giver, 1);
    let (name, bytes) = (published.name.clone(), published.bytes.clone());
    lan.on(1, move || {
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        socket.set_broadcast(true).unwrap();
        socket.set_read_timeout(Some(SOON)).unwrap();
        socket.send_to(format!("Q:{name}").as_bytes(), "10.77.0.255:1333").unwrap();
        let mut buffer = [0; 2048];
        let (length, from) = socket.recv_from(&mut buffer).unwrap();
        assert_eq!(buffer[..length], *format!("H:{name}:9123").as_bytes());
        let mut stream = TcpStream::connect((from.ip(), 9123)).unwrap();
        stream.write_all(format!("GET /{name} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes()).unwrap();
        let mut reply = Vec::new();
        stream.read_to_end(&mut reply).unwrap();
        assert!(reply.starts_with(b"HTTP/1.1 200 OK\r\n") && reply.ends_with(&bytes));
        // For what it lacks it says nothing.
        socket.send_to(b"Q:other-1.pkt.tar.zst", "10.77.0.255:1333").unwrap();
        assert_eq!(heard(&socket, std::time::Duration::from_millis(300)), None);
    });
}
