//! Who else shares: told by their hellos, for `status`.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Instant;

use packets_plugin_api::share::Peer;

use crate::limits::{MAX_PEERS, PEER_EXPIRES};
use crate::wire::v2::Machine;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Peers(HashMap<Machine, Known>);

#[derive(Debug)]
struct Known {
    address: IpAddr,
    port: u16,
    heard: Instant,
}

impl Peers {
    pub(super) fn hello(&mut self, machine: Machine, address: IpAddr, port: u16, now: Instant) {
        self.0.retain(|_, known| now.saturating_duration_since(known.heard) < PEER_EXPIRES);
        // Machines that somebody made up do not drive out others (N08).
        if self.0.len() < MAX_PEERS || self.0.contains_key(&machine) {
            self.0.insert(machine, Known { address, port, heard: now });
        }
    }

    /// Only who said hello from there can say goodbye.
    pub(super) fn goodbye(&mut self, machine: Machine, address: IpAddr) {
        self.0.retain(|known_as, known| *known_as != machine || known.address != address);
    }

    pub(super) fn list(&self, now: Instant) -> Vec<Peer> {
        let quiet = |known: &Known| now.saturating_duration_since(known.heard);
        let is_there = |known: &&Known| quiet(known) < PEER_EXPIRES;
        let peer = |known: &Known| Peer { address: known.address, port: known.port, quiet_for: quiet(known).as_secs() };
        let mut all: Vec<Peer> = self.0.values().filter(is_there).map(peer).collect();
        all.sort_by_key(|peer| peer.address);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_come_go_and_expire() {
        let (mut peers, now) = (Peers::default(), Instant::now());
        let address = |number: u8| IpAddr::from([10, 0, 0, number]);
        for number in 1..=3 {
            peers.hello([number; 8], address(number), 9123, now);
        }
        peers.goodbye([1; 8], address(2));
        assert_eq!(peers.list(now).len(), 3, "said by somebody else");
        peers.goodbye([1; 8], address(1));
        let later = now + PEER_EXPIRES / 2;
        peers.hello([2; 8], address(2), 9124, later);
        let left: Vec<_> = peers.list(now + PEER_EXPIRES).iter().map(|peer| (peer.address, peer.port)).collect();
        assert_eq!(left, [(address(2), 9124)]);
    }

    #[test]
    fn n08_ten_thousand_that_somebody_made_up() {
        let (mut peers, now) = (Peers::default(), Instant::now());
        for number in 0..10_000_u64 {
            peers.hello(number.to_ne_bytes(), IpAddr::from([10, 0, 0, 1]), 9123, now);
        }
        assert_eq!(peers.list(now).len(), MAX_PEERS);
        peers.hello([0xff; 8], IpAddr::from([10, 0, 0, 2]), 9123, now + PEER_EXPIRES);
        assert_eq!(peers.list(now + PEER_EXPIRES).len(), 1);
    }
}
