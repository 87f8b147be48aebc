//! Clients that send heads too large or too slowly, and that read too slowly.

use std::fs::File;
use std::io::{Read, Write};
use std::net;
use std::thread;
use std::time::Instant;

use packets_plugin_api::ident::Digest;
use packets_plugin_api::share::Offers;

use super::*;
use crate::limits::HEAD_TIME;

/// One file, which is all zeros.
#[derive(Debug)]
struct OneFile(File);

impl Offers for OneFile {
    fn named(&self, _: &str) -> Option<Digest> {
        None
    }

    fn has(&self, _: &Digest) -> bool {
        true
    }

    fn open(&self, _: &Digest) -> Option<(File, u64)> {
        Some((self.0.try_clone().unwrap(), self.0.metadata().unwrap().len()))
    }
}

fn shared(size: u64) -> Arc<Shared> {
    let file = tempfile::tempfile().unwrap();
    file.set_len(size).unwrap();
    Arc::new(Shared::of(OneFile(file), Vec::new()))
}

/// Does something with the server of a small file, which is at this address.
fn with_server(act: impl FnOnce(SocketAddr)) {
    let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    listener.set_nonblocking(true).unwrap();
    let shared = shared(4);
    let server = shared.clone();
    let serving = thread::spawn(move || run(&runtime().unwrap(), &server, vec![listener]));
    act(address);
    shared.is_over.store(true, Ordering::SeqCst);
    serving.join().unwrap();
}

fn connect(address: SocketAddr) -> net::TcpStream {
    let stream = net::TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(HEAD_TIME * 3)).unwrap();
    stream
}

/// What comes until the server hangs up.
fn rest(mut stream: &net::TcpStream) -> String {
    let mut came = Vec::new();
    let _ = stream.read_to_end(&mut came);
    String::from_utf8(came).unwrap()
}

fn begin() -> String {
    format!("GET /{} HTTP/1.1\r\nHost: x\r\n", "0".repeat(64))
}

#[test]
fn n27_only_a_lack_of_room_costs_somebody_his_place() {
    let is_lack = |errno: Errno| is_lack_of_room(&io::Error::from_raw_os_error(errno.raw_os_error()));
    for lack in [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM] {
        assert!(is_lack(lack), "{lack}");
    }
    // What the network says of one that is not there yet, and what a firewall says.
    for other in [Errno::NETDOWN, Errno::PROTO, Errno::HOSTUNREACH, Errno::NETUNREACH, Errno::PERM, Errno::CONNABORTED]
    {
        assert!(!is_lack(other), "{other}");
    }
    assert!(!is_lack_of_room(&io::Error::other("no number")));
}

#[test]
fn n17_the_head_of_a_request_up_to_a_bound() {
    let head = |size: usize, headers: usize| {
        let mut head = format!("{}Connection: close\r\n{}X: ", begin(), "Y: z\r\n".repeat(headers - 3));
        head += &"x".repeat(size - head.len() - 4);
        head + "\r\n\r\n"
    };
    with_server(|address| {
        let ask = |head: String, at_once: bool| {
            let mut stream = connect(address);
            stream.set_nodelay(true).unwrap();
            let (first, last) = head.as_bytes().split_at(if at_once { 0 } else { head.len() - 1 });
            stream.write_all(first).unwrap();
            thread::sleep(Duration::from_millis(50));
            // Who refuses the head may have hung up.
            let _ = stream.write_all(last);
            rest(&stream)
        };
        for at_once in [true, false] {
            let given = ask(head(MAX_HEAD, 3), at_once);
            assert!(given.starts_with("HTTP/1.1 200 ") && given.ends_with("\0\0\0\0"), "{at_once}: {given}");
            let refused = ask(head(MAX_HEAD + 1, 3), at_once);
            assert!(refused.starts_with("HTTP/1.1 431 "), "{at_once}: {refused}");
            let given = ask(head(1000, MAX_HEADERS), at_once);
            assert!(given.starts_with("HTTP/1.1 200 "), "{at_once}: {given}");
            let refused = ask(head(1000, MAX_HEADERS + 1), at_once);
            assert!(refused.starts_with("HTTP/1.1 431 "), "{at_once}: {refused}");
        }
    });
}

/// Sends a request byte by byte, so that it is there after this time; what is answered, and when at last.
fn drip(mut stream: &net::TcpStream, time: Duration) -> (String, Duration) {
    let head = format!("{}Connection: close\r\n\r\n", begin());
    let started = Instant::now();
    for (number, byte) in head.bytes().enumerate() {
        let share = u32::try_from(number + 1).unwrap() * time / u32::try_from(head.len()).unwrap();
        thread::sleep(share.saturating_sub(started.elapsed()));
        if stream.write_all(&[byte]).is_err() {
            break;
        }
    }
    (rest(stream), started.elapsed())
}

#[test]
fn n25_n26_the_time_of_a_head_up_to_a_bound() {
    let second = Duration::from_secs(1);
    with_server(|address| {
        let whole = format!("{}\r\n", begin());
        let again = || {
            let mut stream = connect(address);
            stream.write_all(whole.as_bytes()).unwrap();
            let mut came = [0; 4096];
            let mut length = 0;
            while !came[..length].ends_with(&[0; 4]) {
                length += stream.read(&mut came[length..]).unwrap();
            }
            stream
        };
        let in_time = |(came, _): (String, Duration)| assert!(came.starts_with("HTTP/1.1 200 "), "{came}");
        let late = |(came, took): (String, Duration)| {
            assert!(came.is_empty() && took >= HEAD_TIME - second / 10, "{came} after {took:?}");
        };
        thread::scope(|scope| {
            scope.spawn(|| in_time(drip(&connect(address), HEAD_TIME - second)));
            scope.spawn(|| late(drip(&connect(address), HEAD_TIME + second)));
            scope.spawn(|| in_time(drip(&again(), HEAD_TIME - second)));
            scope.spawn(|| late(drip(&again(), HEAD_TIME + second)));
            // Who says nothing at all is not waited for any longer.
            for stream in [connect(address), again()] {
                scope.spawn(move || {
                    let started = Instant::now();
                    assert_eq!(rest(&stream), "");
                    let took = started.elapsed();
                    assert!(took > HEAD_TIME - second && took < HEAD_TIME + second, "{took:?}");
                });
            }
        });
    });
}

/// How many bytes of a large file come to somebody who rests once for so many windows.
fn bytes_after_a_rest(size: u64, window: Duration, windows: u32) -> u64 {
    let shared = shared(size);
    let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    listener.set_nonblocking(true).unwrap();
    let reading = thread::spawn(move || {
        let mut stream = connect(address);
        stream.write_all(format!("{}Connection: close\r\n\r\n", begin()).as_bytes()).unwrap();
        assert!(stream.read(&mut [0]).unwrap() > 0);
        thread::sleep(window * windows);
        let mut came = 1;
        let mut buffer = vec![0; 1 << 16];
        while let Ok(length @ 1..) = stream.read(&mut buffer) {
            came += length as u64;
        }
        came
    });
    runtime().unwrap().block_on(async {
        let (stream, from) = TcpListener::from_std(listener).unwrap().accept().await.unwrap();
        let guest = Guests::enter(&Arc::new(Guests::new(1)), from.ip(), stream).unwrap();
        serve(shared.clone(), guest, window).await;
    });
    let came = reading.join().unwrap();
    assert_eq!(shared.counters.refused.load(Ordering::Relaxed), u64::from(came < size), "{came} bytes came");
    came
}

#[test]
fn n26_a_reader_may_rest_for_a_time_and_no_longer() {
    let (size, window) = (64 << 20, Duration::from_secs(1));
    thread::scope(|scope| {
        scope.spawn(|| assert!(bytes_after_a_rest(size, window, 1) > size, "all came, and the head"));
        scope.spawn(|| assert!(bytes_after_a_rest(size, window, 4) < size, "it was cut off"));
    });
}

#[test]
fn n27_where_handles_are_missing_the_first_one_that_is_idle_makes_room() {
    let shared = shared(64 << 20);
    let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    listener.set_nonblocking(true).unwrap();
    let mut clients: Vec<_> = (0..3).map(|_| connect(address)).collect();
    clients[0].write_all(format!("{}\r\n", begin()).as_bytes()).unwrap();
    runtime().unwrap().block_on(async {
        let (listener, guests) = (TcpListener::from_std(listener).unwrap(), Arc::new(Guests::new(8)));
        for _ in 0..3 {
            let (stream, from) = listener.accept().await.unwrap();
            let guest = Guests::enter(&guests, from.ip(), stream).unwrap();
            let number = guest.number();
            let task = tokio::spawn(serve(shared.clone(), guest, READER_WINDOW));
            guests.can_leave(number, task.abort_handle());
        }
        // Until the first one is given its file, and stands still.
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!([(); 3].map(|()| guests.make_room()), [true, true, false], "who is given something stays");
        tokio::task::yield_now().await;
        for client in &mut clients[1..] {
            assert_eq!(client.read(&mut [0]).unwrap(), 0, "it is hung up on, and others may have its handle");
        }
    });
}
