//! What was asked, what was answered, and whether more is to be expected: everything but the sockets.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use packets_plugin_api::fetch::Artifact;
use packets_plugin_api::ident::Digest;

use super::memory::{Known, Observed};
use super::place::Place;
use crate::limits::{LOWEST_PORT, MAX_NAMES, MAX_PEERS, MAX_PLACES, MAX_WANTED};
use crate::networks::Network;
use crate::wire::v2::{self, Machine, Nonce, read_bits};
use crate::wire::{self, Message, v1};

/// Everything that one command asks.
#[derive(Debug, Default)]
pub(super) struct Round {
    networks: Vec<Asked>,
    files: HashMap<Digest, Vec<Found>>,
    names: HashMap<String, Digest>,
    questions: HashMap<Nonce, Question>,
    /// Who spoke version 2, by address.
    machines: HashMap<SocketAddr, Machine>,
    /// Machines that gave wrong bytes, whatever ports they name.
    bad: BTreeSet<IpAddr>,
}

/// One network, and what has been heard on it.
#[derive(Debug)]
struct Asked {
    network: Network,
    known: Known,
    /// Until when answers are waited for.
    until: Instant,
    /// Who is known and has not answered yet.
    awaited: HashSet<(SocketAddr, Nonce)>,
    /// Whether that is all that is waited for.
    ends_early: bool,
    observed: Observed,
}

#[derive(Debug)]
struct Question {
    wanted: Vec<Digest>,
    asked: Instant,
}

/// A place that said it has a file.
#[derive(Debug, Clone)]
struct Found {
    place: Place,
    /// None where only version 1 was spoken.
    machine: Option<Machine>,
}

/// A datagram that is to be sent to an address of a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Letter {
    /// The network's number.
    pub(super) network: usize,
    pub(super) to: SocketAddr,
    pub(super) bytes: Vec<u8>,
}

impl Round {
    /// On these networks, of which this is known.
    pub(super) fn new(networks: Vec<(Network, Known)>, now: Instant) -> Self {
        let asked = |(network, known)| Asked {
            network,
            known,
            until: now,
            awaited: HashSet::new(),
            ends_early: false,
            observed: Observed::default(),
        };
        Self { networks: networks.into_iter().map(asked).collect(), ..Self::default() }
    }

    pub(super) fn networks(&self) -> impl Iterator<Item = &Network> {
        self.networks.iter().map(|asked| &asked.network)
    }

    /// Whether this file has been asked for.
    pub(super) fn has_asked(&self, digest: &Digest) -> bool {
        self.files.contains_key(digest)
    }

    /// The questions for these files, to whom it may concern on each network.
    pub(super) fn ask(
        &mut self,
        wants: &[Artifact],
        port: u16,
        time: u64,
        now: Instant,
        mut nonce: impl FnMut() -> Nonce,
    ) -> Vec<Letter> {
        let wants: Vec<_> = wants.iter().filter(|want| !self.files.contains_key(&want.digest)).collect();
        let mut nonces = Vec::new();
        for part in wants.chunks(MAX_WANTED) {
            let (nonce, wanted) = (nonce(), part.iter().map(|want| want.digest).collect());
            self.questions.insert(nonce, Question { wanted, asked: now });
            nonces.push(nonce);
        }
        let mut names = Vec::new();
        for want in wants {
            self.files.entry(want.digest).or_default();
            for name in names_of(want) {
                if self.names.len() < MAX_NAMES && !self.names.contains_key(&name) {
                    self.names.insert(name.clone(), want.digest);
                    names.push(name);
                }
            }
        }
        let mut letters = Vec::new();
        for number in 0..self.networks.len() {
            self.write(number, &nonces, &names, port, time, now, &mut letters);
        }
        letters
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of a question; nobody else asks")]
    fn write(
        &mut self,
        number: usize,
        nonces: &[Nonce],
        names: &[String],
        port: u16,
        time: u64,
        now: Instant,
        letters: &mut Vec<Letter>,
    ) {
        let asked = &mut self.networks[number];
        let peers: Vec<SocketAddr> =
            asked.known.peers().iter().filter(|peer| peer.version == 2).map(|peer| peer.address).collect();
        let (everybody, looks_around) = (asked.network.everybody(port), asked.known.looks_around(time));
        asked.until = asked.until.max(now + asked.known.wait());
        asked.ends_early = !peers.is_empty() && !asked.known.has_version_1();
        asked.observed.looked |= looks_around;
        let mut send = |to, bytes| letters.push(Letter { network: number, to, bytes });
        for nonce in nonces {
            let Some(bytes) = self.questions.get(nonce).map(|question| question.datagram(*nonce)) else { continue };
            for peer in &peers {
                asked.awaited.insert((*peer, *nonce));
                send(*peer, bytes.clone());
            }
            if looks_around {
                send(everybody, bytes);
            }
        }
        if everybody.is_ipv4() && (looks_around || asked.known.has_version_1()) {
            names.iter().for_each(|name| send(everybody, v1::question(name)));
        }
    }

    /// The questions once more to those who are known and have not answered: the network may have lost them.
    pub(super) fn remind(&self) -> Vec<Letter> {
        let mut letters = Vec::new();
        for (network, asked) in self.networks.iter().enumerate() {
            for (to, nonce) in &asked.awaited {
                if let Some(question) = self.questions.get(nonce) {
                    letters.push(Letter { network, to: *to, bytes: question.datagram(*nonce) });
                }
            }
        }
        letters
    }

    /// Takes a datagram that came in on a network; true when it says anything new.
    pub(super) fn hear(&mut self, network: usize, from: SocketAddr, bytes: &[u8], now: Instant) -> bool {
        let is_near = self.networks.get(network).is_some_and(|asked| asked.network.holds(&from));
        let Some(message) = wire::decode(bytes).filter(|_| is_near && !self.bad.contains(&from.ip())) else {
            return false;
        };
        match message {
            Message::One(v1::Message::Have { name, port }) => self.hear_name(network, from, &name, port),
            Message::Two(v2::Message::Answer { nonce, machine, port, have }) => {
                port >= LOWEST_PORT && self.hear_answer(network, from, nonce, (machine, port), &have, now)
            }
            _ => false,
        }
    }

    fn hear_name(&mut self, network: usize, from: SocketAddr, name: &str, port: u16) -> bool {
        let Some(digest) = self.names.get(name).copied() else { return false };
        let Some(observed) = self.let_in(network, from) else { return false };
        observed.answered.entry(from).or_insert(1);
        let place = Place::new(from, port, name);
        let machine = self.machines.get(&from).copied();
        self.found(digest, Found { place, machine })
    }

    fn hear_answer(
        &mut self,
        network: usize,
        from: SocketAddr,
        nonce: Nonce,
        (machine, port): (Machine, u16),
        have: &[u8],
        now: Instant,
    ) -> bool {
        let Some(question) = self.questions.get(&nonce) else { return false };
        let Some(have) = read_bits(have, question.wanted.len()) else { return false };
        let took = now.saturating_duration_since(question.asked);
        let there: Vec<Digest> =
            question.wanted.iter().zip(&have).filter(|(_, is_there)| **is_there).map(|(digest, _)| *digest).collect();
        let Some(observed) = self.let_in(network, from) else { return false };
        observed.answered.insert(from, 2);
        observed.slowest = observed.slowest.max(took);
        let was_awaited = self.networks[network].awaited.remove(&(from, nonce));
        let is_new_machine = !self.machines.values().any(|known| *known == machine);
        self.machines.insert(from, machine);
        let mut news = was_awaited || is_new_machine;
        for digest in there {
            let place = Place::new(from, port, &digest.to_string());
            news |= self.found(digest, Found { place, machine: Some(machine) });
        }
        news
    }

    /// What has been observed on the network, where this peer is among those who are heard (N08).
    fn let_in(&mut self, network: usize, from: SocketAddr) -> Option<&mut Observed> {
        let heard: usize = self.networks.iter().map(|asked| asked.observed.answered.len()).sum();
        let observed = &mut self.networks.get_mut(network)?.observed;
        (heard < MAX_PEERS || observed.answered.contains_key(&from)).then_some(observed)
    }

    fn found(&mut self, digest: Digest, new: Found) -> bool {
        let Some(all) = self.files.get_mut(&digest) else { return false };
        let has_address = |old: &Found| old.place.address() == new.place.address();
        let is_known = all.iter().any(|old| match old.machine {
            Some(machine) => Some(machine) == new.machine || has_address(old),
            None => new.machine.is_none() && has_address(old),
        });
        // Who speaks version 2 has answered in words of version 1 too, which name no machine: what several addresses of
        // one are is seen by its later answer.
        let its_words = all.iter().position(|old| old.machine.is_none() && has_address(old));
        match its_words.filter(|_| new.machine.is_some()) {
            Some(number) if is_known => {
                all.remove(number);
                return false;
            }
            Some(number) => all[number] = new,
            None if !is_known && all.len() < MAX_PLACES => all.push(new),
            None => return false,
        }
        true
    }

    /// Where the file is said to be, without those who gave wrong bytes.
    pub(super) fn places(&self, digest: &Digest) -> Vec<Place> {
        let all = self.files.get(digest).into_iter().flatten();
        all.map(|found| found.place.clone()).filter(|place| !self.bad.contains(&place.address().ip())).collect()
    }

    /// Whether no network has anybody who is waited for, whatever is asked.
    pub(super) fn expects_nobody(&self) -> bool {
        self.networks.iter().all(|asked| asked.known.wait().is_zero())
    }

    /// Whether there is anybody to ask.
    pub(super) fn asks_anybody(&self, time: u64) -> bool {
        self.networks.iter().any(|asked| !asked.known.peers().is_empty() || asked.known.looks_around(time))
    }

    /// Until when answers are to be expected; none when that time is over, or all have answered.
    pub(super) fn expects_until(&self, now: Instant) -> Option<Instant> {
        let open = self.networks.iter().filter(|asked| !(asked.ends_early && asked.awaited.is_empty()));
        open.map(|asked| asked.until).filter(|until| *until > now).max()
    }

    /// When those are reminded who are known and have not answered.
    pub(super) fn reminds_at(&self, now: Instant) -> Option<Instant> {
        let until = self.expects_until(now)?;
        let wait = self.networks.iter().filter(|asked| !asked.awaited.is_empty()).map(|asked| asked.known.wait()).max();
        Some(until.checked_sub(wait? / 2)?.max(now + Duration::from_micros(500)))
    }

    /// The place gave wrong bytes: nothing is heard of it any more (N09).
    pub(super) fn condemn(&mut self, address: SocketAddr) {
        self.bad.insert(address.ip());
        for asked in &mut self.networks {
            asked.observed.bad.insert(address);
        }
    }

    /// The place gave bytes that were right.
    pub(super) fn confirm(&mut self, address: SocketAddr) {
        for asked in &mut self.networks {
            asked.observed.good.insert(address.ip());
        }
    }

    /// What was seen of each network that was asked, by its key.
    pub(super) fn observed(&self) -> impl Iterator<Item = (String, Observed)> {
        self.networks.iter().map(|asked| (asked.network.key(), asked.observed.clone()))
    }
}

impl Question {
    fn datagram(&self, nonce: Nonce) -> Vec<u8> {
        v2::encode(&v2::Message::Question { nonce, wanted: self.wanted.clone() })
    }
}

/// What a file is called on the LAN: the last segment of each mirror's path.
fn names_of(want: &Artifact) -> Vec<String> {
    let mut names = Vec::new();
    for mirror in &want.mirrors {
        let path = mirror.split(['?', '#']).next().unwrap_or_default();
        let name = path.rsplit('/').next().unwrap_or_default().to_owned();
        if wire::is_name(&name) && !names.contains(&name) {
            names.push(name);
        }
    }
    names
}
