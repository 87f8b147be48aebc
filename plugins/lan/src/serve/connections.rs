//! Connections: how many, from whom, and for how long they may do nothing.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};

use super::{Listeners, Shared, count, replies};
use crate::limits::{
    HEAD_TIME, MAX_CONNECTIONS, MAX_CONNECTIONS_OF_ONE, MAX_HEAD, MAX_HEADERS, READER_WINDOW, READERS, REST,
    SLOWEST_READER,
};
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
        let guests = Arc::<Guests>::default();
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
            Ok((stream, from)) => match welcome(&shared, &guests, from) {
                Some(place) => drop(tokio::spawn(serve(shared.clone(), stream, place, READER_WINDOW))),
                None => count(&shared.counters.refused, 1),
            },
            // The system has no handle left, or the connection has gone again.
            Err(error) if is_over_already(&error) => {}
            Err(_) => tokio::time::sleep(REST).await,
        }
    }
}

fn is_over_already(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset)
}

/// A place for somebody of this address, who is on one of the networks or on this machine.
fn welcome(shared: &Shared, guests: &Arc<Guests>, from: SocketAddr) -> Option<Guest> {
    let address = plain(from);
    let is_near = address.ip().is_loopback() || shared.networks().iter().any(|network| network.holds(&address));
    if is_near { Guests::enter(guests, address.ip()) } else { None }
}

/// Who is connected.
#[derive(Default)]
struct Guests(Mutex<HashMap<IpAddr, usize>>);

/// One connection; its place is free when this is dropped.
struct Guest {
    guests: Arc<Guests>,
    address: IpAddr,
}

impl Guests {
    fn enter(guests: &Arc<Self>, address: IpAddr) -> Option<Guest> {
        let mut all = guests.0.lock().unwrap_or_else(PoisonError::into_inner);
        let own = all.get(&address).copied().unwrap_or(0);
        if own >= MAX_CONNECTIONS_OF_ONE || all.values().sum::<usize>() >= MAX_CONNECTIONS {
            return None;
        }
        all.insert(address, own + 1);
        Some(Guest { guests: guests.clone(), address })
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let mut all = self.guests.0.lock().unwrap_or_else(PoisonError::into_inner);
        match all.get_mut(&self.address) {
            Some(own) if *own > 1 => *own -= 1,
            _ => drop(all.remove(&self.address)),
        }
    }
}

async fn serve(shared: Arc<Shared>, stream: TcpStream, _place: Guest, window: Duration) {
    let _ = stream.set_nodelay(true);
    let (unsent, written) = (Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
    let service = service_fn(|request| {
        let reply = replies::reply(&shared, &unsent, &request);
        async move { Ok::<_, Infallible>(reply) }
    });
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_headers(MAX_HEADERS)
        .max_header_size(MAX_HEAD)
        .max_buf_size(MAX_HEAD.max(UNSENT))
        .auto_date_header(false)
        .half_close(false);
    let stream = TokioIo::new(Counted { stream, written: written.clone() });
    let mut connection = pin!(builder.serve_connection(stream, service));
    let mut too_slow = pin!(until_too_slow(window, &unsent, &written));
    let is_cut_off = poll_fn(|context| match connection.as_mut().poll(context) {
        // Whoever breaks off or talks nonsense is gone.
        Poll::Ready(ended) => Poll::Ready(ended.is_err()),
        Poll::Pending => too_slow.as_mut().poll(context).map(|()| true),
    });
    if is_cut_off.await {
        count(&shared.counters.refused, 1);
    }
}

/// Ends when a reader takes less of a reply than it should (N26).
async fn until_too_slow(window: Duration, unsent: &AtomicU64, written: &AtomicU64) {
    let mut before = 0;
    let mut was_sending = false;
    loop {
        tokio::time::sleep(window).await;
        let (now, is_sending) = (written.load(Ordering::Relaxed), unsent.load(Ordering::Relaxed) > 0);
        if was_sending && is_sending && now - before < SLOWEST_READER * window.as_secs() {
            return;
        }
        (before, was_sending) = (now, is_sending);
    }
}

/// A connection that counts what is written to it.
struct Counted {
    stream: TcpStream,
    written: Arc<AtomicU64>,
}

impl Counted {
    fn count(&self, outcome: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(length)) = &outcome {
            self.written.fetch_add(*length as u64, Ordering::Relaxed);
        }
        outcome
    }
}

impl AsyncRead for Counted {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, into)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.count(outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.count(outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod client_tests;

#[cfg(test)]
mod tests {
    use super::*;

    fn enter(guests: &Arc<Guests>, number: usize) -> Option<Guest> {
        Guests::enter(guests, IpAddr::from([10, 0, 0, u8::try_from(number).unwrap()]))
    }

    #[test]
    fn n25_n27_connections_up_to_a_bound_of_one_and_of_all() {
        let guests = Arc::<Guests>::default();
        let mut of_one: Vec<_> = (0..MAX_CONNECTIONS_OF_ONE).map(|_| enter(&guests, 1).unwrap()).collect();
        assert!(enter(&guests, 1).is_none(), "one address has its share");
        assert!(enter(&guests, 2).is_some(), "another one does not suffer");
        of_one.pop();
        of_one.push(enter(&guests, 1).unwrap());
        let others = 2..=MAX_CONNECTIONS / MAX_CONNECTIONS_OF_ONE;
        let mut all: Vec<_> = others
            .flat_map(|number| (0..MAX_CONNECTIONS_OF_ONE).map(move |_| number))
            .map(|number| enter(&guests, number).unwrap())
            .collect();
        assert_eq!(of_one.len() + all.len(), MAX_CONNECTIONS);
        assert!(enter(&guests, 100).is_none(), "all places are taken");
        all.pop();
        let last = enter(&guests, 100);
        assert!(last.is_some(), "a place is free again");
        assert!(enter(&guests, 100).is_none());
        drop((of_one, all, last));
        assert!(guests.0.lock().unwrap().is_empty(), "nobody is remembered");
    }
}
