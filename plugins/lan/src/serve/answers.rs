//! What is answered to a datagram. Answers and announcements are never answered, so that two servers cannot
//! be made to talk to each other for ever (N05).

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::budget::Budget;
use super::{Shared, count, sockets};
use crate::limits::{LOWEST_PORT, MAX_DATAGRAM};
use crate::networks::{Network, plain};
use crate::wire::{self, Message, v1, v2};

/// Until it is over.
pub(super) fn run(shared: &Shared, socket: &UdpSocket) {
    let mut budget = Budget::new(Instant::now());
    let mut buffer = [0; MAX_DATAGRAM + 1];
    while !shared.is_over.load(Ordering::Relaxed) {
        match socket.recv_from(&mut buffer) {
            Ok((length, from)) => {
                let datagram = if length <= MAX_DATAGRAM { &buffer[..length] } else { &[] };
                match answer(shared, &mut budget, from, datagram, Instant::now()) {
                    Some(bytes) => {
                        count(&shared.counters.answers, 1);
                        sockets::send(socket, &bytes, from);
                    }
                    None => count(&shared.counters.ignored, 1),
                }
            }
            Err(error) if is_nothing(&error) => {}
            // A network that is down says so again and again.
            Err(_) => std::thread::sleep(crate::limits::REST),
        }
    }
}

/// Nothing came, or what was sent before was refused.
fn is_nothing(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionRefused, Interrupted, TimedOut, WouldBlock};
    matches!(error.kind(), WouldBlock | TimedOut | Interrupted | ConnectionRefused)
}

/// The answer to a datagram, if it gets one.
fn answer(shared: &Shared, budget: &mut Budget, from: SocketAddr, datagram: &[u8], now: Instant) -> Option<Vec<u8>> {
    // First what costs least: most of a flood ends here.
    let message = wire::decode(datagram)?;
    let address = plain(from);
    // Who is far takes nothing from what those who are near may have.
    if !is_near(&shared.networks.read().unwrap_or_else(PoisonError::into_inner), &address)
        || !budget.allows(address.ip(), now)
    {
        return None;
    }
    let (port, machine) = (shared.ports.files, shared.machine);
    let peers = || shared.peers.lock().unwrap_or_else(PoisonError::into_inner);
    match message {
        Message::One(v1::Message::Question { name }) => {
            count(&shared.counters.questions, 1);
            let digest = shared.offers.named(&name).filter(|digest| shared.offers.has(digest));
            digest.map(|_| v1::have(&name, port))
        }
        Message::Two(v2::Message::Question { nonce, wanted }) => {
            count(&shared.counters.questions, 1);
            let have = v2::bits(wanted.iter().map(|digest| shared.offers.has(digest)));
            Some(v2::encode(&v2::Message::Answer { nonce, machine, port, have }))
        }
        Message::Two(v2::Message::Hello(other, port)) if other != machine && port >= LOWEST_PORT => {
            peers().hello(other, address.ip(), port, now);
            None
        }
        Message::Two(v2::Message::Goodbye(other, _)) => {
            peers().goodbye(other, address.ip());
            None
        }
        _ => None,
    }
}

fn is_near(networks: &[Network], address: &SocketAddr) -> bool {
    networks.iter().any(|network| network.holds(address))
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::net::Ipv4Addr;

    use packets_plugin_api::ident::Digest;
    use packets_plugin_api::share::Offers;

    use super::*;
    use crate::limits::{ALL_ANSWERS_A_SECOND, BURST};
    use crate::networks::Range;

    /// Has everything, as far as it is only asked.
    #[derive(Debug)]
    struct Everything;

    impl Offers for Everything {
        fn named(&self, _: &str) -> Option<Digest> {
            None
        }

        fn has(&self, _: &Digest) -> bool {
            true
        }

        fn open(&self, _: &Digest) -> Option<(File, u64)> {
            None
        }
    }

    fn shared() -> Shared {
        let network = Network { interface: "eth0".to_owned(), range: Range::V4(Ipv4Addr::new(10, 0, 0, 0), 24) };
        Shared::of(Everything, vec![network])
    }

    #[test]
    fn n03_n07_who_is_far_takes_nothing_from_who_is_near() {
        let (shared, now) = (shared(), Instant::now());
        let mut budget = Budget::new(now);
        let wanted = vec![Digest::from_bytes([7; 32])];
        let question = v2::encode(&v2::Message::Question { nonce: [1; 16], wanted });
        let mut ask = |bits: u32| {
            let from = SocketAddr::from((Ipv4Addr::from_bits(bits), 5000));
            answer(&shared, &mut budget, from, &question, now).is_some()
        };
        let far = 0x0b00_0000;
        assert!(!(0..4 * ALL_ANSWERS_A_SECOND).any(|number| ask(far + number)));
        let near = 0x0a00_0001;
        assert_eq!((0..1000).filter(|_| ask(near)).count(), BURST as usize);
    }
}
