//! What comes of files is what stands in them, or nothing.

use std::convert::Infallible;
use std::fs::File;
use std::future::ready;
use std::io::{Read as _, Seek, Write};
use std::net;
use std::os::unix::fs::FileExt;
use std::task::Waker;
use std::thread;
use std::time::Duration;

use bytes::Buf;
use http_body::Body;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use packets_plugin_api::ident::Digest;
use packets_plugin_api::share::Offers;
use rustix::fs::{Advice, fadvise};
use tokio::net::TcpListener;

use super::super::super::file::{Outgoing, Part};
use super::super::super::{Shared, replies};
use super::super::runtime;
use super::*;

/// Files and the sizes that are said of them, by the first byte of the digest.
#[derive(Debug)]
struct Files(Vec<(File, u64)>);

impl Offers for Files {
    fn named(&self, _: &str) -> Option<Digest> {
        None
    }

    fn has(&self, _: &Digest) -> bool {
        true
    }

    fn open(&self, digest: &Digest) -> Option<(File, u64)> {
        let (file, size) = self.0.get(usize::from(digest.as_bytes()[0]))?;
        Some((file.try_clone().unwrap(), *size))
    }
}

fn shared(files: Vec<File>) -> Arc<Shared> {
    let sized = |file: File| {
        let size = file.metadata().unwrap().len();
        (file, size)
    };
    Arc::new(Shared::of(Files(files.into_iter().map(sized).collect()), Vec::new()))
}

fn bytes(number: u32, size: u32) -> Vec<u8> {
    (0..size).map(|at| (at.wrapping_mul(2_654_435_761 + 2 * number) >> 23) as u8).collect()
}

/// Not in memory, as far as the kernel and the disk let go of it.
fn file_on_disk(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    is_forgotten(&file);
    file
}

fn is_forgotten(file: &File) {
    file.sync_all().unwrap();
    fadvise(file, 0, None, Advice::DontNeed).unwrap();
}

/// Says these requests at once to a server with this end of the connection, which comes slowly out of it; what came, and
/// whether the server ended well.
fn served<I>(shared: &Arc<Shared>, requests: &str, end: impl FnOnce(Pipe) -> I) -> (Vec<u8>, bool)
where
    I: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut client = net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    client.write_all(requests.as_bytes()).unwrap();
    let reading = thread::spawn(move || {
        let (mut came, mut buffer) = (Vec::new(), vec![0; 300_000]);
        client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        while let Ok(length @ 1..) = client.read(&mut buffer) {
            came.extend_from_slice(&buffer[..length]);
        }
        came
    });
    listener.set_nonblocking(true).unwrap();
    let is_well = runtime().unwrap().block_on(async {
        let (stream, _) = TcpListener::from_std(listener).unwrap().accept().await.unwrap();
        let line = Arc::new(Line::new(stream));
        let service =
            service_fn(|request| ready(Ok::<_, Infallible>(replies::reply(shared, line.outgoing(), &request))));
        let io = TokioIo::new(end(Pipe::new(line.clone())));
        let ended = http1::Builder::new().half_close(false).max_buf_size(16 << 10).serve_connection(io, service).await;
        assert!(ended.is_err() || line.outgoing().is_empty());
        ended.is_ok()
    });
    (reading.join().unwrap(), is_well)
}

fn request(number: u8, headers: &str) -> String {
    format!("GET /{} HTTP/1.1\r\nHost: x\r\n{headers}\r\n", format!("{number:02x}").repeat(32))
}

/// The bodies of replies that announce how long they are.
fn bodies(mut came: &[u8]) -> Vec<Vec<u8>> {
    let mut bodies = Vec::new();
    while !came.is_empty() {
        let end = came.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
        let head = String::from_utf8(came[..end].to_vec()).unwrap();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        let (body, rest) = came[end..].split_at(length.parse().unwrap());
        bodies.push(body.to_vec());
        came = rest;
    }
    bodies
}

#[test]
fn what_comes_is_what_stands_in_the_files() {
    let contents = [bytes(0, 3_000_001), bytes(1, 70_000), bytes(2, 1), bytes(3, 0)];
    let files: Vec<File> = contents.iter().map(|content| file_on_disk(content)).collect();
    let shared = shared(files.iter().map(|file| file.try_clone().unwrap()).collect());
    let asked = [
        request(0, ""),
        request(1, "Range: bytes=65000-66000\r\n"),
        request(3, ""),
        request(2, ""),
        request(0, "Range: bytes=1000000-2500000\r\n"),
        request(1, "Connection: close\r\n"),
    ];
    let wanted = [
        &contents[0][..],
        &contents[1][65_000..=66_000],
        &[],
        &contents[2],
        &contents[0][1_000_000..=2_500_000],
        &contents[1],
    ];
    let is_right = |what: &str, (came, is_well): (Vec<u8>, bool)| {
        let bodies = bodies(&came);
        assert!(is_well && bodies.len() == wanted.len(), "{what}: {} bodies", bodies.len());
        assert!(bodies.iter().zip(wanted).all(|(body, wanted)| body == wanted), "{what}");
    };
    is_right("from the disk", served(&shared, &asked.concat(), |pipe| pipe));
    is_right("from memory", served(&shared, &asked.concat(), |pipe| pipe));
    is_forgotten(&files[0]);
    let mut some = [0; 10_000];
    files[0].read_exact_at(&mut some, 1_300_000).unwrap();
    is_right("from both", served(&shared, &asked.concat(), |pipe| pipe));
    let cannot_send = |mut pipe: Pipe| {
        pipe.reads_all = true;
        pipe
    };
    is_right("from a file system that cannot send", served(&shared, &asked.concat(), cannot_send));
}

#[test]
fn a_file_that_became_shorter_is_an_error() {
    let file = file_on_disk(&bytes(0, 1_000_000));
    let shared = shared(vec![file.try_clone().unwrap()]);
    for is_read in [false, true] {
        file.set_len(1_000_000).unwrap();
        let cut = |mut pipe: Pipe| {
            pipe.reads_all = is_read;
            let cut = file.try_clone().unwrap();
            thread::spawn(move || cut.set_len(500_000).unwrap()).join().unwrap();
            pipe
        };
        let (came, is_well) = served(&shared, &request(0, "Connection: close\r\n"), cut);
        assert!(!is_well && came.len() < 600_000, "{} bytes", came.len());
    }
}

/// As if parts could not be written without being copied together.
struct OnePart(Pipe);

impl AsyncRead for OnePart {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, into)
    }
}

impl AsyncWrite for OnePart {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

#[test]
fn where_hyper_copies_nothing_comes() {
    let shared = shared(vec![file_on_disk(&bytes(0, 1_000_000))]);
    for headers in ["Connection: close\r\n", "Range: bytes=0-9\r\nConnection: close\r\n"] {
        let (came, is_well) = served(&shared, &request(0, headers), OnePart);
        assert!(came.is_empty() && !is_well, "{}", String::from_utf8_lossy(&came));
    }
}

/// What hyper gets of a body, and what the connection knows of it.
fn piece() -> (<Part as Body>::Data, Arc<Outgoing>) {
    let outgoing = Arc::<Outgoing>::default();
    let mut part = Part::new(file_on_disk(&bytes(0, 1000)), 1, 900, shared(Vec::new()), outgoing.clone());
    let mut context = Context::from_waker(Waker::noop());
    let Poll::Ready(Some(Ok(frame))) = Pin::new(&mut part).poll_frame(&mut context) else { panic!("it waits") };
    assert!(part.is_end_stream());
    (frame.into_data().ok().unwrap(), outgoing)
}

#[test]
fn what_stands_for_bytes_has_none_and_is_counted() {
    let (mut whole, outgoing) = piece();
    let stretch = outgoing.next().unwrap().unwrap();
    assert_eq!((whole.remaining(), stretch.next(2000), outgoing.is_empty()), (900, (1, 900), false));
    let mut parts = [IoSlice::new(b"x"); 3];
    assert_eq!((whole.chunks_vectored(&mut parts), parts[0].len(), whole.chunks_vectored(&mut [])), (1, 0, 0));
    stretch.was_sent(900);
    whole.advance(900);
    drop(whole);
    assert!(outgoing.next().unwrap().is_none() && outgoing.is_empty());

    let (copied, outgoing) = piece();
    assert!(copied.chunk().is_empty() && outgoing.next().is_err(), "somebody looks for bytes");
    let (mut counted, outgoing) = piece();
    outgoing.next().unwrap().unwrap().was_sent(10);
    counted.advance(11);
    assert!(outgoing.next().is_err(), "one more than were sent");
    let (mut left, outgoing) = piece();
    outgoing.next().unwrap().unwrap().was_sent(10);
    left.advance(10);
    drop(left);
    assert!(outgoing.next().is_err() && outgoing.is_empty(), "the rest was left out");
}

#[test]
fn a_file_in_memory_needs_no_other_thread() {
    let Ok(mut file) = tempfile::tempfile_in("/dev/shm") else { return };
    file.write_all(b"bytes").unwrap();
    file.rewind().unwrap();
    let outgoing = Arc::<Outgoing>::default();
    let mut part = Part::new(file, 1, 3, shared(Vec::new()), outgoing.clone());
    let _frame = Pin::new(&mut part).poll_frame(&mut Context::from_waker(Waker::noop()));
    let stretch = outgoing.next().unwrap().unwrap();
    assert!(stretch.is_in_memory(1, 3));
    let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
    let to = net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    assert_eq!(stretch.send(&to, 1, 3).unwrap(), 3);
    drop(to);
    let mut came = String::new();
    listener.accept().unwrap().0.read_to_string(&mut came).unwrap();
    assert_eq!(came, "yte");
}

#[test]
fn a_page_that_is_missing_is_seen() {
    const PAGES: usize = 64;
    let page = rustix::param::page_size();
    let file = file_on_disk(&vec![7; PAGES * page]);
    let outgoing = Arc::<Outgoing>::default();
    let all = (PAGES * page) as u64;
    let mut part = Part::new(file.try_clone().unwrap(), 0, all, shared(Vec::new()), outgoing.clone());
    let _frame = Pin::new(&mut part).poll_frame(&mut Context::from_waker(Waker::noop()));
    let stretch = outgoing.next().unwrap().unwrap();
    if stretch.is_in_memory(0, 1) {
        // A file system that is in memory, or that does not let go.
        return;
    }
    is_forgotten(&file);
    // Both ends and no more, as no reading ahead brings it. Whoever looks for a page that is missing has it fetched.
    fadvise(&file, 0, None, Advice::Random).unwrap();
    let (first, last) = (20 * page, 44 * page);
    file.read_exact_at(&mut vec![0; first], 0).unwrap();
    file.read_exact_at(&mut vec![0; PAGES * page - last], last as u64).unwrap();
    assert!(stretch.is_in_memory(0, first) && stretch.is_in_memory(last as u64, PAGES * page - last));
    stretch.rests();
    assert!(!stretch.is_in_memory(1, PAGES * page - 1), "the middle is missing");
    file.read_exact_at(&mut vec![0; PAGES * page], 0).unwrap();
    stretch.rests();
    assert!(stretch.is_in_memory(0, PAGES * page));
}
