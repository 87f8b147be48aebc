//! Connections: each is taken, gets a place if there is one for it, and is served until it ends.
//!
//! `guests` says who has a place and who makes room, `line` is one connection and for how long it may do nothing,
//! `pipe` how it is read and written, `queue` what the kernel still holds of it.

mod guests;
mod line;
mod pipe;
mod queue;

use std::convert::Infallible;
use std::future::{poll_fn, ready};
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustix::io::Errno;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};

use self::guests::{Guest, Guests};
use self::pipe::Pipe;
use super::{Listeners, Shared, count, replies};
use crate::limits::{MAX_HEAD, MAX_HEADERS, READER_WINDOW, READERS, REST};
use crate::networks::plain;

/// Between two looks whether it is over.
const LOOK: Duration = Duration::from_millis(200);
/// Bytes of a reply that wait beside the piece that is being sent.
const UNSENT: usize = 16 << 10;

pub(super) fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_io().enable_time().max_blocking_threads(READERS).build()
}

/// Until it is over; transfers that are not at their end then are cut off.
pub(super) fn run(runtime: &Runtime, shared: &Arc<Shared>, listeners: Listeners) {
    runtime.block_on(async {
        let guests = Arc::new(Guests::new(guests::places()));
        for listener in listeners {
            match TcpListener::from_std(listener) {
                Ok(listener) => drop(tokio::spawn(accept(shared.clone(), guests.clone(), listener))),
                Err(_) => count(&shared.counters.refused, 1),
            }
        }
        while !shared.is_over.load(Ordering::Relaxed) {
            tokio::time::sleep(LOOK).await;
        }
    });
}

async fn accept(shared: Arc<Shared>, guests: Arc<Guests>, listener: TcpListener) {
    loop {
        match listener.accept().await {
            Ok((stream, from)) => match welcome(&shared, &guests, stream, from) {
                Some(guest) => {
                    let number = guest.number();
                    let task = tokio::spawn(serve(shared.clone(), guest, READER_WINDOW));
                    guests.can_leave(number, task.abort_handle());
                }
                None => count(&shared.counters.refused, 1),
            },
            Err(error) if is_over_already(&error) => {}
            // Who is told to leave has not left before others had their turn.
            Err(error) if is_lack_of_room(&error) && guests.make_room() => tokio::task::yield_now().await,
            Err(_) => tokio::time::sleep(REST).await,
        }
    }
}

/// Whether the system has no handle, or no memory, for one more: nobody who is there has a part in any other error.
fn is_lack_of_room(error: &io::Error) -> bool {
    let known = error.raw_os_error().map(Errno::from_raw_os_error);
    known.is_some_and(|error| [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM].contains(&error))
}

fn is_over_already(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset)
}

/// A place for somebody of this address, who is on one of the networks or on this machine.
fn welcome(shared: &Shared, guests: &Arc<Guests>, stream: TcpStream, from: SocketAddr) -> Option<Guest> {
    let address = plain(from);
    let is_near = address.ip().is_loopback() || shared.networks().iter().any(|network| network.holds(&address));
    if is_near { Guests::enter(guests, address.ip(), stream) } else { None }
}

async fn serve(shared: Arc<Shared>, guest: Guest, window: Duration) {
    let line = guest.line();
    let service = service_fn(|request| {
        line.has_asked();
        ready(Ok::<_, Infallible>(replies::reply(&shared, line.outgoing(), &request)))
    });
    let mut builder = http1::Builder::new();
    builder
        // How long a head may take is for the line to say: here the time would begin before a slow reader has its reply.
        .header_read_timeout(None)
        .max_headers(MAX_HEADERS)
        .max_header_size(MAX_HEAD)
        .max_buf_size(MAX_HEAD.max(UNSENT))
        .auto_date_header(false)
        .half_close(false);
    let connection = builder.serve_connection(TokioIo::new(Pipe::new(line.clone())), service);
    let mut serving = pin!(async {
        let ended = connection.await;
        // Who breaks off is gone. Who talks nonsense is told so before the end.
        if ended.as_ref().err().is_none_or(hyper::Error::is_parse) {
            line.is_emptied().await;
        }
        ended.is_err()
    });
    let mut overstaying = pin!(line.overstays(window));
    let is_cut_off = poll_fn(|context| match serving.as_mut().poll(context) {
        Poll::Ready(is_err) => Poll::Ready(is_err),
        Poll::Pending => overstaying.as_mut().poll(context).map(|()| true),
    });
    if is_cut_off.await {
        count(&shared.counters.refused, 1);
        line.forget();
    }
}

#[cfg(test)]
mod client_tests;
