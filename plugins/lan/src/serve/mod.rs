//! The other end: answers questions, and gives files to who is on one of the machine's networks.
//!
//! Datagrams are answered by one thread for each family of addresses (`answers`), files are given by
//! one thread with as many connections as the limits allow (`connections`, `replies`). What
//! may be given is for the host to say.

mod answers;
mod budget;
mod connections;
mod file;
mod peers;
mod replies;
mod sockets;

use std::io;
use std::net::{TcpListener, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread;
use std::time::{Duration, Instant};

use packets_plugin_api::share::{Control, Figures, Offers, Ports, ShareError, Sharer, Sharing};

use crate::limits::HELLO_PAUSE;
use crate::networks::{Network, Tables};
use crate::wire::v2::{self, Machine};
use peers::Peers;
use sockets::Sockets;

/// How often the networks are looked at, and the host is asked whether to go on.
const LOOK: Duration = Duration::from_millis(500);

/// Shares on the local network.
#[derive(Debug, Clone, Copy, Default)]
pub struct LanSharer;

impl Sharer for LanSharer {
    fn open(&self, ports: Ports) -> Result<Box<dyn Sharing>, ShareError> {
        let sockets = Sockets::open(ports)?;
        let mut machine = Machine::default();
        let filled = rustix::rand::getrandom(&mut machine, rustix::rand::GetRandomFlags::empty());
        filled.map_err(|error| ShareError {
            message: "cannot get random bytes".to_owned(),
            port: None,
            cause: error.into(),
        })?;
        Ok(Box::new(Server { sockets, ports, machine, tables: Tables::open() }))
    }
}

/// Everything that has to be opened before the process gives up what it may.
struct Server {
    sockets: Sockets,
    ports: Ports,
    machine: Machine,
    tables: Tables,
}

/// What all threads know.
struct Shared {
    ports: Ports,
    machine: Machine,
    offers: Arc<dyn Offers>,
    networks: RwLock<Vec<Network>>,
    peers: Mutex<Peers>,
    counters: Counters,
    is_over: AtomicBool,
}

#[derive(Default)]
struct Counters {
    questions: AtomicU64,
    answers: AtomicU64,
    ignored: AtomicU64,
    files: AtomicU64,
    bytes: AtomicU64,
    refused: AtomicU64,
}

fn count(counter: &AtomicU64, more: u64) {
    counter.fetch_add(more, Ordering::Relaxed);
}

#[cfg(test)]
impl Shared {
    /// Of a server that offers this, for tests of its parts.
    fn of(offers: impl Offers + 'static, networks: Vec<Network>) -> Self {
        Self {
            ports: Ports { questions: 1333, files: 9123 },
            machine: Machine::default(),
            offers: Arc::new(offers),
            networks: RwLock::new(networks),
            peers: Mutex::default(),
            counters: Counters::default(),
            is_over: false.into(),
        }
    }
}

impl Shared {
    fn networks(&self) -> Vec<Network> {
        self.networks.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn figures(&self) -> Figures {
        let value = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let Counters { questions, answers, ignored, files, bytes, refused } = &self.counters;
        Figures {
            questions: value(questions),
            answers: value(answers),
            ignored: value(ignored),
            files: value(files),
            bytes: value(bytes),
            refused: value(refused),
            peers: self.peers.lock().unwrap_or_else(PoisonError::into_inner).list(Instant::now()),
        }
    }
}

impl Sharing for Server {
    fn run(mut self: Box<Self>, offers: Arc<dyn Offers>, control: &dyn Control) -> io::Result<()> {
        let shared = Arc::new(Shared {
            ports: self.ports,
            machine: self.machine,
            offers,
            networks: RwLock::new(self.tables.networks()),
            peers: Mutex::default(),
            counters: Counters::default(),
            is_over: AtomicBool::new(false),
        });
        let Sockets { questions, files } = self.sockets;
        let mut threads = Vec::new();
        for socket in &questions {
            let (shared, socket) = (shared.clone(), socket.try_clone()?);
            threads.push(thread::Builder::new().spawn(move || answers::run(&shared, &socket))?);
        }
        let giver = shared.clone();
        let runtime = connections::runtime()?;
        threads.push(thread::Builder::new().spawn(move || connections::run(&runtime, &giver, files))?);
        watch(&shared, &mut self.tables, &questions, control);
        shared.is_over.store(true, Ordering::SeqCst);
        announce(&shared, &questions, v2::Message::Goodbye(shared.machine, shared.ports.files));
        for thread in threads {
            // One that panicked has ended too.
            let _ = thread.join();
        }
        Ok(())
    }
}

/// Follows the machine from network to network, and says hello on each.
fn watch(shared: &Shared, tables: &mut Tables, sockets: &[UdpSocket], control: &dyn Control) {
    let mut said: Option<Instant> = None;
    let mut before = Vec::new();
    while control.goes_on(&shared.figures()) {
        let networks = tables.networks();
        let is_time = said.is_none_or(|said| said.elapsed() >= HELLO_PAUSE);
        if is_time || networks != before {
            sockets::join_groups(sockets, &networks);
            shared.networks.write().unwrap_or_else(PoisonError::into_inner).clone_from(&networks);
            before = networks;
            announce(shared, sockets, v2::Message::Hello(shared.machine, shared.ports.files));
            said = Some(Instant::now());
        }
        thread::sleep(LOOK);
    }
}

/// To everybody. What is lost is said again.
fn announce(shared: &Shared, sockets: &[UdpSocket], message: v2::Message) {
    let bytes = v2::encode(&message);
    for network in shared.networks() {
        let to = network.everybody(shared.ports.questions);
        for socket in sockets.iter().filter(|socket| is_of_family(socket, to.is_ipv4())) {
            sockets::send(socket, &bytes, to);
        }
    }
}

fn is_of_family(socket: &UdpSocket, v4: bool) -> bool {
    socket.local_addr().is_ok_and(|address| address.is_ipv4() == v4)
}

/// A listener with both families where the machine has both, or one for each.
type Listeners = Vec<TcpListener>;
