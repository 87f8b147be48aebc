//! The fetch source: one question for all files of a command, and whoever answers in time is a place.
//!
//! A thread asks and listens; nothing waits for it but [`find`](FetchSource::find), and that only as long
//! as `round` expects somebody. Where that is nobody there is no thread: the question is sent, and what came is
//! looked at when the next file is searched, and at the end. What a command learns of its networks it remembers for
//! the next one.

mod memory;
mod peer;
mod place;
mod round;
mod sockets;
#[cfg(test)]
mod tests;

use std::fmt::{self, Debug};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use packets_plugin_api::fetch::{Artifact, Candidate, FetchError, FetchErrorKind, FetchSource, Opened};
use packets_plugin_api::registry::{FetchSettings, Memory};

use crate::networks::{Network, Tables};
use crate::wire::v2::Nonce;
use memory::{Observed, Remembered};
use place::Place;
use round::Round;
use sockets::Sockets;

/// Between two looks whether the source is still in use.
const PAUSE: Duration = Duration::from_millis(50);
/// What the thread may take to ask at all, with the machine under load.
const START: Duration = Duration::from_millis(100);

/// The source `lan`. It costs nothing until something is asked.
pub struct LanSource {
    shared: Arc<Shared>,
}

struct Shared {
    port: u16,
    user_agent: String,
    memory: Option<Arc<dyn Memory>>,
    /// One thread at a time writes what is remembered, each what is known by then.
    kept: Mutex<Kept>,
    state: Mutex<State>,
    news: Condvar,
    is_over: AtomicBool,
}

#[derive(Default)]
struct State {
    phase: Phase,
    round: Round,
    sockets: Option<Arc<Sockets>>,
    /// As it was when the command began.
    before: Remembered,
    /// Whether something was heard that is not remembered yet.
    is_news: bool,
    /// Whether no thread listens.
    listens_in_passing: bool,
}

/// What this command has kept so far.
#[derive(Default)]
struct Kept {
    /// What was there, and what it became with all that the command had observed.
    last: Option<(Remembered, Remembered)>,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Phase {
    #[default]
    Idle,
    Starting,
    Asked,
}

impl Debug for LanSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LanSource").field("port", &self.shared.port).finish_non_exhaustive()
    }
}

impl LanSource {
    /// A source with the settings that every source gets.
    pub fn new(settings: &FetchSettings) -> Self {
        let shared = Shared {
            port: settings.lan_port,
            user_agent: settings.user_agent.clone(),
            memory: settings.memory.clone(),
            kept: Mutex::default(),
            state: Mutex::default(),
            news: Condvar::new(),
            is_over: AtomicBool::new(false),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Asks for what has not been asked for yet.
    fn ask(&self, wants: Vec<Artifact>) {
        let mut state = self.shared.state();
        match state.phase {
            Phase::Idle => {
                self.shared.begin(&mut state);
                if state.round.expects_nobody() {
                    let asks_anybody = state.round.asks_anybody(now());
                    state.phase = Phase::Asked;
                    if asks_anybody {
                        self.shared.ask_in_passing(state, &wants);
                    }
                    return;
                }
                let shared = self.shared.clone();
                let begun = thread::Builder::new().name("lan".to_owned()).spawn(move || shared.ask_and_listen(&wants));
                if begun.is_err() {
                    // Then there is no LAN.
                    state.phase = Phase::Asked;
                }
            }
            Phase::Starting => {
                let (state, _) = self.shared.until_asked(state);
                drop(state);
                if self.shared.state().phase == Phase::Asked {
                    self.ask(wants);
                }
            }
            Phase::Asked => self.shared.ask_more(state, &wants),
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the thread has asked; whether it has.
    fn until_asked<'a>(&'a self, state: MutexGuard<'a, State>) -> (MutexGuard<'a, State>, bool) {
        let waiting = self.news.wait_timeout_while(state, START, |state| state.phase != Phase::Asked);
        let (state, outcome) = waiting.unwrap_or_else(PoisonError::into_inner);
        (state, !outcome.timed_out())
    }

    /// What is known of the networks is known at once: whether anybody is worth waiting for.
    fn begin(&self, state: &mut State) {
        let before = Remembered::parse(&self.memory.as_ref().and_then(|memory| memory.load()).unwrap_or_default());
        let known = |network: Network| {
            let known = before.of(&network.key());
            (network, known)
        };
        let networks = Tables::open().networks().into_iter().map(known).collect();
        (state.round, state.before, state.phase) = (Round::new(networks, Instant::now()), before, Phase::Starting);
    }

    /// Asks those whom nobody waits for.
    fn ask_in_passing(&self, mut state: MutexGuard<'_, State>, wants: &[Artifact]) {
        let networks: Vec<Network> = state.round.networks().cloned().collect();
        state.sockets = Some(Arc::new(Sockets::open(networks.iter())));
        state.listens_in_passing = true;
        self.ask_more(state, wants);
        // At once: the command may be over before anything else happens.
        self.remember(self.state());
    }

    /// Hears who has answered, where no thread does.
    fn listen_in_passing(&self) {
        let state = self.state();
        let sockets = state.sockets.clone().filter(|_| state.listens_in_passing);
        drop(state);
        if let Some(sockets) = sockets {
            self.hear(&sockets, Duration::ZERO);
        }
    }

    fn hear(&self, sockets: &Sockets, wait: Duration) {
        sockets.receive(wait, &mut |network, from, bytes| {
            let mut state = self.state();
            if state.round.hear(network, from, bytes, Instant::now()) {
                state.is_news = true;
                self.news.notify_all();
            }
        });
    }

    fn ask_and_listen(&self, wants: &[Artifact]) {
        let networks: Vec<Network> = self.state().round.networks().cloned().collect();
        let sockets = Arc::new(Sockets::open(networks.iter()));
        let mut state = self.state();
        (state.sockets, state.phase) = (Some(sockets.clone()), Phase::Asked);
        self.ask_more(state, wants);
        self.listen(&sockets);
    }

    fn ask_more(&self, mut state: MutexGuard<'_, State>, wants: &[Artifact]) {
        let Some(sockets) = state.sockets.clone() else { return };
        let letters = state.round.ask(wants, self.port, now(), Instant::now(), random);
        state.is_news = true;
        self.news.notify_all();
        // Nobody is kept waiting while it is sent.
        drop(state);
        sockets.send(&letters);
    }

    /// Until the source is dropped: who answers late is remembered for the next time.
    fn listen(&self, sockets: &Sockets) {
        let mut reminded = false;
        while !self.is_over.load(Ordering::Relaxed) {
            let now = Instant::now();
            let state = self.state();
            let (expects, reminds) = (state.round.expects_until(now), state.round.reminds_at(now));
            drop(state);
            let next = reminds.filter(|_| !reminded).or(expects);
            self.hear(sockets, next.map_or(PAUSE, |next| next.saturating_duration_since(now)));
            let state = self.state();
            if !reminded && reminds.is_some_and(|at| at <= Instant::now()) {
                reminded = true;
                let letters = state.round.remind();
                drop(state);
                sockets.send(&letters);
            } else {
                if state.round.expects_until(Instant::now()).is_none() {
                    self.news.notify_all();
                }
                // At once: the command may be over before anything else happens.
                self.remember(state);
            }
        }
    }

    /// Keeps what has been observed, where that is news.
    fn remember(&self, state: MutexGuard<'_, State>) {
        let is_news = state.is_news;
        drop(state);
        let Some(memory) = self.memory.as_ref().filter(|_| is_news) else { return };
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let mut state = self.state();
        state.is_news = false;
        let observed: Vec<_> = state.round.observed().collect();
        let is_new = with(state.before.clone(), &observed) != state.before;
        drop(state);
        if !is_new {
            return;
        }
        memory.update(&mut |there| {
            let there = Remembered::parse(&there.unwrap_or_default());
            // What has been kept already is not learnt twice; another command's news stay.
            let before = match kept.last.take() {
                Some((before, after)) if after == there => before,
                _ => there.clone(),
            };
            let after = with(before.clone(), &observed);
            let text = (after != there).then(|| after.text());
            kept.last = Some((before, after));
            text
        });
    }
}

/// What is known with what has been observed.
fn with(mut known: Remembered, observed: &[(String, Observed)]) -> Remembered {
    for (key, observed) in observed {
        known.learn(key, observed, now());
    }
    known
}

impl Drop for LanSource {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
        self.shared.listen_in_passing();
        let state = self.shared.state();
        if state.phase == Phase::Asked {
            self.shared.remember(state);
        }
    }
}

impl FetchSource for LanSource {
    fn name(&self) -> &str {
        "lan"
    }

    /// Nobody names a peer; peers are found.
    fn claims(&self, _: &str) -> bool {
        false
    }

    fn prepare(&self, wants: &[Artifact]) {
        if !wants.is_empty() {
            self.ask(wants.to_vec());
        }
    }

    fn is_near(&self) -> bool {
        true
    }

    /// Where nobody has answered for long: then it is asked, and nobody waits for an answer.
    fn finds_at_once(&self) -> bool {
        let state = self.shared.state();
        state.phase != Phase::Idle && state.round.expects_nobody()
    }

    fn find(&self, want: &Artifact, found: &mut dyn FnMut(Candidate) -> ControlFlow<()>) -> Result<(), FetchError> {
        let state = self.shared.state();
        let has_asked = state.phase == Phase::Starting || state.round.has_asked(&want.digest);
        drop(state);
        if !has_asked {
            self.ask(vec![want.clone()]);
        }
        if self.finds_at_once() {
            // Whoever has answered all the same.
            self.shared.listen_in_passing();
            let places = self.shared.state().round.places(&want.digest);
            let _ = places.iter().try_for_each(|place| found(Candidate::at(place.to_string())));
            return Ok(());
        }
        let (mut state, has_asked) = self.shared.until_asked(self.shared.state());
        if !has_asked {
            return Ok(());
        }
        if !state.round.has_asked(&want.digest) {
            drop(state);
            self.ask(vec![want.clone()]);
            state = self.shared.state();
        }
        let mut told = Vec::new();
        loop {
            for place in state.round.places(&want.digest) {
                if !told.contains(&place) {
                    told.push(place.clone());
                    drop(state);
                    if found(Candidate::at(place.to_string())).is_break() {
                        return Ok(());
                    }
                    state = self.shared.state();
                }
            }
            let now = Instant::now();
            let has_more = state.round.places(&want.digest).iter().any(|place| !told.contains(place));
            let Some(until) = state.round.expects_until(now) else { return Ok(()) };
            if !has_more {
                let waiting = self.shared.news.wait_timeout(state, until.saturating_duration_since(now));
                state = waiting.unwrap_or_else(PoisonError::into_inner).0;
            }
        }
    }

    fn open(&self, from: &Candidate, offset: u64) -> Result<Opened, FetchError> {
        self.open_at(from, offset, None)
    }

    fn open_part(&self, from: &Candidate, offset: u64, length: u64) -> Result<Opened, FetchError> {
        self.open_at(from, offset, Some(length))
    }

    fn confirmed(&self, place: &Candidate) {
        if let Some(place) = Place::parse(&place.location) {
            let mut state = self.shared.state();
            state.round.confirm(place.address());
            state.is_news = true;
        }
    }

    fn condemned(&self, place: &Candidate) {
        if let Some(place) = Place::parse(&place.location) {
            let mut state = self.shared.state();
            state.round.condemn(place.address());
            state.is_news = true;
        }
    }
}

impl LanSource {
    fn open_at(&self, from: &Candidate, offset: u64, length: Option<u64>) -> Result<Opened, FetchError> {
        let Some(place) = Place::parse(&from.location) else {
            let message = format!("{} is no place on the LAN", packets_plugin_api::ident::escape(&from.location, 300));
            return Err(FetchError::new(FetchErrorKind::BadLocation, message));
        };
        peer::open(&place, &self.shared.user_agent, offset, length, from.version.as_deref())
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// From the kernel's generator; where that says nothing, a number that nobody sees before the question.
fn random() -> Nonce {
    let mut nonce = [0; 16];
    let filled = rustix::rand::getrandom(&mut nonce, rustix::rand::GetRandomFlags::empty());
    if filled != Ok(nonce.len()) {
        let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        nonce = time.to_ne_bytes();
    }
    nonce
}
