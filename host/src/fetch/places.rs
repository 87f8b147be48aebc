//! All places that may have a file: who is asked next, and who again.
//!
//! Every source searches at once, and the best place of each is asked at once; the first that
//! answers is taken. A place that lets us wait gets the next one beside it. One that
//! fails is asked again after a pause, when all others have had their turn; one that
//! is slow comes last. So one bad place costs little, whatever it does (N22).

mod asking;
mod partners;

use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::Instant;

use packets_plugin_api::fetch::{Begun, Candidate, FetchError, FetchSource, Opened};

pub(super) use asking::panicked;
use asking::{find, in_thread};
pub(super) use partners::Invited;

use super::download::Download;
use super::hosts::{Hosts, Slot, host_of};
use super::limits::{Limits, MAX_CANDIDATES, Speed};
use super::problem::{LOGIN_HINT, Problem, one_line};
use super::{Wanted, left_out, shown};
use crate::error::{Error, ErrorKind};
use crate::report::{Event, Events};

/// A place that answered.
pub(super) struct Answer {
    pub(super) place: usize,
    pub(super) opened: Opened,
    /// Where it starts: where it was asked to, or at the beginning.
    pub(super) offset: u64,
    /// Held while bytes come.
    pub(super) slot: Slot,
}

/// What a place gave, from which offset on.
type Given = (Opened, u64, Slot);

/// What a thread tells that searches or asks.
enum Message {
    Found(usize, Candidate),
    Searched(usize, Result<(), FetchError>),
    Answered { race: u64, place: usize, outcome: Result<Given, FetchError> },
}

struct Place {
    source: usize,
    candidate: Candidate,
    host: String,
    state: State,
    failures: u32,
    problem: Option<Problem>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// It may be asked.
    Ready,
    /// It failed, and may be asked again then.
    Later(Instant),
    /// It gave so many bytes a second, and there were others.
    Slow(u64),
    /// It is not asked any more.
    Out,
}

/// See the module.
pub(super) struct Places<'a> {
    sources: &'a [Arc<dyn FetchSource>],
    want: &'a Wanted,
    limits: &'a Limits,
    hosts: &'a Arc<Hosts>,
    events: &'a dyn Events,
    places: Vec<Place>,
    /// The place that was asked before those that are near.
    begun: Option<(usize, Begun, Slot)>,
    /// Sources that could not search.
    failed_searches: Vec<String>,
    /// Of each source, whether its search is over.
    searched: Vec<bool>,
    search_ends: Instant,
    /// Until when an answer waits for near sources that have not found or answered yet.
    near_ends: Instant,
    sender: Sender<Message>,
    receiver: Receiver<Message>,
    /// The number of the race that is on, so that answers to an earlier one are known.
    race: u64,
    most_so_far: u64,
    last_progress: Instant,
    /// Whether somebody has lied, and nobody knows who: then who is not near comes first.
    in_doubt: bool,
}

impl<'a> Places<'a> {
    pub(super) fn new(
        sources: &'a [Arc<dyn FetchSource>],
        want: &'a Wanted,
        limits: &'a Limits,
        hosts: &'a Arc<Hosts>,
        events: &'a dyn Events,
    ) -> Self {
        let (sender, receiver) = mpsc::channel();
        let now = Instant::now();
        Self {
            sources,
            want,
            limits,
            hosts,
            events,
            places: Vec::new(),
            begun: None,
            failed_searches: Vec::new(),
            searched: vec![false; sources.len()],
            search_ends: now + limits.search_time,
            near_ends: now + limits.near_search,
            sender,
            receiver,
            race: 0,
            most_so_far: 0,
            last_progress: now,
            in_doubt: false,
        }
    }

    /// Lets every source search. Where a place is known that is not near it is asked before those that are near, which
    /// then have until its answer for what they do: where nobody is near they cost no time.
    pub(super) fn search(&mut self, download: &Download<'_>, tell_near: impl FnOnce()) {
        let (near, far): (Vec<usize>, Vec<usize>) =
            (0..self.sources.len()).partition(|source| self.sources[*source].is_near());
        far.into_iter().for_each(|source| self.search_in(source));
        if !near.is_empty() {
            self.begin(download);
            tell_near();
            self.near_ends = Instant::now() + self.limits.near_search;
        }
        near.into_iter().for_each(|source| self.search_in(source));
        // What is found already: where nobody else can have anything, the one place is asked without a thread.
        self.hear_all();
    }

    fn search_in(&self, number: usize) {
        let (source, want, into) = (self.sources[number].clone(), self.want.clone(), self.sender.clone());
        let at_once = self.sources.len() == 1 || source.finds_at_once();
        let search = move || {
            let outcome = find(source.as_ref(), &want, &mut |place| into.send(Message::Found(number, place)).is_ok());
            // Where nobody listens any more nothing is lost.
            let _ = into.send(Message::Searched(number, outcome));
        };
        if at_once { search() } else { in_thread(search) }
    }

    /// Asks the best place that is known by now, where its source can do so without waiting.
    fn begin(&mut self, download: &Download<'_>) {
        self.hear_all();
        let Some(number) = self.best_of_idle_source(&[]) else { return };
        let (place, candidate) = (&self.places[number], self.candidate_for(number, download));
        let Some(slot) = self.hosts.try_enter(&place.host, self.limits.per_host) else { return };
        let begun = asking::begin(self.sources[place.source].as_ref(), &candidate, download.offset_for(number));
        self.begun = begun.map(|begun| (number, begun, slot));
    }

    /// The place, with its version only where the download has it from there.
    fn candidate_for(&self, number: usize, download: &Download<'_>) -> Candidate {
        let candidate = self.places[number].candidate.clone();
        if download.is_from(number) { candidate } else { Candidate { version: None, ..candidate } }
    }

    /// The next place that answers; none when no place is left. Waits where it must.
    pub(super) fn next(&mut self, download: &Download<'_>) -> Option<Answer> {
        self.in_doubt = download.is_apart();
        loop {
            if let Some(answer) = self.race(download) {
                return Some(answer);
            }
            if !self.wait_for_failed() && !self.take_the_fastest() {
                return None;
            }
        }
    }

    /// Asks the places that are ready, some of them side by side, until one answers.
    fn race(&mut self, download: &Download<'_>) -> Option<Answer> {
        self.race += 1;
        let unwanted = Arc::new(AtomicBool::new(false));
        let mut asked: Vec<usize> = Vec::new();
        let mut last_asked = Instant::now();
        // From the first near place on it is known how long an answer waits for all of them (N12).
        let mut has_asked_near = false;
        // The first answer of a place that is not near.
        let mut held: Option<(usize, Given)> = None;
        let answer = loop {
            // Who is held has answered, and is not asked once more.
            while let Some(place) = self.best_of_idle_source(&with(&asked, held.as_ref().map(|(place, _)| *place))) {
                self.ask(place, &asked, download, &unwanted);
                asked.push(place);
                last_asked = Instant::now();
                if self.is_near(place) && !mem::replace(&mut has_asked_near, true) {
                    self.near_ends = last_asked + self.limits.near_answer;
                }
            }
            if let Some((place, given)) = held.take_if(|_| !self.waits_for_near(&asked)) {
                break Some(self.answer(place, given));
            }
            let more = self.best(&asked, |_| true);
            let until = match (asked.last(), more) {
                _ if held.is_some() => Some(self.near_ends),
                (None, _) if self.all_searched() => break None,
                (None, _) => Some(self.search_ends),
                (Some(_), Some(_)) => Some(last_asked + self.limits.patience),
                (Some(_), None) => None,
            };
            match self.hear(until) {
                Some(Message::Answered { race, place, outcome }) if race == self.race => {
                    asked.retain(|asked| *asked != place);
                    match outcome {
                        Ok(given) if self.is_near(place) || !self.waits_for_near(&asked) => {
                            break Some(self.answer(place, given));
                        }
                        Ok(given) => held = held.or(Some((place, given))),
                        Err(error) => self.failed(place, error.into()),
                    }
                }
                Some(message) => self.note(message),
                None if held.is_some() => {}
                None => match (asked.last(), more) {
                    (Some(last), Some(more)) => {
                        self.hosts.blame(&self.places[*last].host);
                        self.ask(more, &asked, download, &unwanted);
                        asked.push(more);
                        last_asked = Instant::now();
                    }
                    // A source that never ends its search finds nothing.
                    _ => self.searched.fill(true),
                },
            }
        };
        unwanted.store(true, Ordering::SeqCst);
        self.hosts.wake();
        // Others who have answered too: their connections are not held.
        while let Ok(message) = self.receiver.try_recv() {
            self.note(message);
        }
        answer
    }

    /// Whether the place is of a source that comes first.
    pub(super) fn is_near(&self, place: usize) -> bool {
        self.sources[self.places[place].source].is_near()
    }

    /// Whether a near source may find something yet, or one of its places that are asked may answer.
    fn waits_for_near(&self, asked: &[usize]) -> bool {
        let searches = self.sources.iter().zip(&self.searched).any(|(source, is_over)| source.is_near() && !is_over);
        let may_come = searches || asked.iter().any(|place| self.is_near(*place));
        may_come && !self.in_doubt && Instant::now() < self.near_ends
    }

    fn all_searched(&self) -> bool {
        self.searched.iter().all(|is_over| *is_over)
    }

    /// The best place, of those that may be asked, of a source that nobody has been asked of. One
    /// that has failed before waits until all are found that may be better.
    fn best_of_idle_source(&self, asked: &[usize]) -> Option<usize> {
        let busy: Vec<usize> = asked.iter().map(|place| self.places[*place].source).collect();
        let comes_last = |place: &Place| self.is_near_and_slow(place) && self.may_be_far();
        self.best(asked, |place| {
            let is_good = self.searched[place.source] || self.hosts.faults(&place.host) == 0;
            !busy.contains(&place.source) && is_good && !comes_last(place)
        })
    }

    /// Whether it comes first no more (N12).
    fn is_near_and_slow(&self, place: &Place) -> bool {
        self.sources[place.source].is_near() && self.hosts.is_slow(&place.host)
    }

    /// Whether a place that is not near may be asked, is asked, or may be found yet.
    fn may_be_far(&self) -> bool {
        let is_far = |source: usize| !self.sources[source].is_near();
        let searches = self.searched.iter().enumerate().any(|(source, is_over)| !is_over && is_far(source));
        // One that has failed already may never answer.
        let is_good = |place: &Place| is_far(place.source) && self.hosts.faults(&place.host) == 0;
        searches || self.places.iter().any(|place| place.state == State::Ready && is_good(place))
    }

    /// The place to ask next: of the host with the fewest faults, as the index orders them.
    fn best(&self, asked: &[usize], fits: impl Fn(&Place) -> bool) -> Option<usize> {
        let is_far = |place: &Place| !self.sources[place.source].is_near();
        let far_only = self.in_doubt && self.places.iter().any(|place| place.state == State::Ready && is_far(place));
        let ready = self.places.iter().enumerate().filter(|(_, place)| place.state == State::Ready && fits(place));
        ready
            .filter(|(number, place)| !asked.contains(number) && (!far_only || is_far(place)))
            .min_by_key(|(number, place)| (self.is_near_and_slow(place), self.hosts.faults(&place.host), *number))
            .map(|(number, _)| number)
    }

    fn ask(&mut self, number: usize, asked: &[usize], download: &Download<'_>, unwanted: &Arc<AtomicBool>) {
        let (source, candidate) = (self.source_of(number).clone(), self.candidate_for(number, download));
        let (offset, most, host) =
            (download.offset_for(number), self.limits.per_host, self.places[number].host.clone());
        let (hosts, unwanted, into, race) = (self.hosts.clone(), unwanted.clone(), self.sender.clone(), self.race);
        let begun = self.begun.take_if(|(place, ..)| *place == number).map(|(_, begun, slot)| (begun, slot));
        let asking = move || {
            let (begun, slot) = begun.unzip();
            let Some(slot) = slot.or_else(|| hosts.enter(&host, most, &unwanted)) else { return };
            let outcome = asking::open(source.as_ref(), &candidate, offset, begun);
            if !unwanted.load(Ordering::SeqCst) {
                let outcome = outcome.map(|(opened, offset)| (opened, offset, slot));
                let _ = into.send(Message::Answered { race, place: number, outcome });
            }
        };
        let is_alone = self.all_searched() && asked.is_empty() && self.others(number).all(|other| other == State::Out);
        if is_alone { asking() } else { in_thread(asking) }
    }

    fn answer(&mut self, place: usize, (opened, offset, slot): (Opened, u64, Slot)) -> Answer {
        self.places[place].candidate.version.clone_from(&opened.version);
        Answer { place, opened, offset, slot }
    }

    fn others(&self, place: usize) -> impl Iterator<Item = State> {
        self.places.iter().enumerate().filter(move |(number, _)| *number != place).map(|(_, other)| other.state)
    }

    /// The speed below which another place is the better choice; the last one may be slower.
    pub(super) fn slowest_for(&self, place: usize) -> Speed {
        let Limits { unhurried, slowest, .. } = *self.limits;
        if self.others(place).any(|other| other == State::Ready) {
            return unhurried;
        }
        let speed = |state| if let State::Slow(speed) = state { Some(speed) } else { None };
        match self.others(place).filter_map(speed).max() {
            // Half of what another one gave: two that are alike do not take turns for ever.
            Some(other) => Speed { least: (other / 2).clamp(slowest.least, unhurried.least), ..unhurried },
            None => slowest,
        }
    }

    /// The same for one that gives all alone. Others may be found while it does (N12).
    pub(super) fn slowest_alone(&mut self, place: usize) -> Speed {
        self.hear_all();
        match self.slowest_for(place) {
            unhurried if unhurried == self.limits.unhurried && self.is_near(place) => self.limits.near_unhurried,
            other => other,
        }
    }

    /// Makes those ready that failed some time ago, waiting for the first of them.
    fn wait_for_failed(&mut self) -> bool {
        let time = |place: &Place| if let State::Later(time) = place.state { Some(time) } else { None };
        let Some(first) = self.places.iter().filter_map(time).min() else { return false };
        if first > self.last_progress + self.limits.retry_time {
            return false;
        }
        let pause = first.saturating_duration_since(Instant::now());
        if !pause.is_zero() {
            self.events.event(&Event::FetchWaits { what: self.want.package.as_str(), pause });
            thread::sleep(pause);
        }
        self.wake();
        true
    }

    /// Makes those ready whose pause is over.
    fn wake(&mut self) {
        let now = Instant::now();
        for place in &mut self.places {
            if matches!(place.state, State::Later(time) if time <= now) {
                place.state = State::Ready;
            }
        }
    }

    /// Makes the fastest of the slow ones ready.
    fn take_the_fastest(&mut self) -> bool {
        let speed = |place: &Place| if let State::Slow(speed) = place.state { Some(speed) } else { None };
        let fastest = self.places.iter_mut().filter(|place| speed(place).is_some()).max_by_key(|place| speed(place));
        let is_one = fastest.is_some();
        if let Some(place) = fastest {
            place.state = State::Ready;
        }
        is_one
    }

    /// The place has failed.
    pub(super) fn failed(&mut self, number: usize, problem: Problem) {
        let is_wrong = matches!(problem, Problem::Wrong(_) | Problem::WebPage);
        if is_wrong {
            self.source_of(number).condemned(&self.places[number].candidate);
        }
        let is_told = is_wrong || !self.is_near(number);
        let place = &mut self.places[number];
        self.hosts.blame(&place.host);
        if matches!(problem, Problem::TooSlow(_)) {
            self.hosts.is_slow_from_now(&place.host);
        }
        place.state = match problem {
            Problem::TooSlow(speed) if speed >= self.limits.slowest.least => State::Slow(speed),
            _ => {
                place.failures += 1;
                problem
                    .pause(place.failures, self.limits)
                    .map_or(State::Out, |pause| State::Later(Instant::now() + pause))
            }
        };
        place.problem = Some(problem);
        // That a peer has not got a file after all, or has gone, is no news.
        if is_told {
            let text = self.told(number);
            self.events.event(&Event::FetchRetry { package: &self.want.package, problem: &text });
        }
    }

    /// How much there is now; failures count anew after some progress.
    pub(super) fn progressed(&mut self, size: u64) {
        if size >= self.most_so_far.saturating_add(self.limits.progress) {
            self.most_so_far = size;
            self.last_progress = Instant::now();
            for place in &mut self.places {
                place.failures = 0;
            }
        }
    }

    /// The source that a place is of.
    pub(super) fn source_of(&self, place: usize) -> &'a Arc<dyn FetchSource> {
        &self.sources[self.places[place].source]
    }

    fn hear(&self, until: Option<Instant>) -> Option<Message> {
        match until {
            Some(until) => self.receiver.recv_timeout(until.saturating_duration_since(Instant::now())).ok(),
            None => self.receiver.recv().ok(),
        }
    }

    fn note(&mut self, message: Message) {
        match message {
            Message::Found(source, candidate) => {
                let host = host_of(self.sources[source].name(), &candidate.location);
                self.places.push(Place { source, candidate, host, state: State::Ready, failures: 0, problem: None });
            }
            Message::Searched(source, outcome) => {
                self.searched[source] = true;
                if let Err(error) = outcome {
                    self.failed_searches.push(format!("{}: {}", self.sources[source].name(), one_line(&error)));
                }
            }
            // To an earlier race; what it holds is given back.
            Message::Answered { .. } => {}
        }
    }

    fn told(&self, number: usize) -> String {
        let place = &self.places[number];
        let problem = place.problem.as_ref().map(ToString::to_string).unwrap_or_default();
        let (source, location) = (self.sources[place.source].name(), shown(&place.candidate.location));
        match problem.contains(&location) {
            true => format!("{source}: {problem}"),
            false => format!("{source}: {location}: {problem}"),
        }
    }

    /// What has failed on every place.
    pub(super) fn into_error(self, message: String) -> Error {
        let failed = (0..self.places.len()).filter(|number| self.places[*number].problem.is_some());
        let causes: Vec<String> =
            self.failed_searches.iter().cloned().chain(failed.map(|number| self.told(number))).collect();
        if causes.is_empty() {
            let mirrors: Vec<_> = self.want.mirrors.iter().take(MAX_CANDIDATES).map(|mirror| shown(mirror)).collect();
            let error = Error::request(message).caused_by(match mirrors.is_empty() {
                true => "the index names no place for it".to_owned(),
                false => format!("no source that is in use understands its mirrors: {}", mirrors.join(" ")),
            });
            return match left_out::hint(self.want.mirrors.iter().map(String::as_str)) {
                Some(hint) => error.hint(hint),
                None => error,
            };
        }
        let problems = || self.places.iter().filter_map(|place| place.problem.as_ref());
        let is_wrong = problems().any(|problem| problem.kind() == ErrorKind::Integrity);
        let kind = if is_wrong { ErrorKind::Integrity } else { ErrorKind::Network };
        let error = causes.into_iter().fold(Error::new(kind, message), Error::caused_by);
        match problems().any(|problem| matches!(problem, Problem::WebPage)) {
            true => error.hint(LOGIN_HINT),
            false => error,
        }
    }
}

fn with(asked: &[usize], held: Option<usize>) -> Vec<usize> {
    asked.iter().copied().chain(held).collect()
}
