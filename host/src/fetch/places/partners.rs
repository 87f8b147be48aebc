//! Who gives a file together with others: peers that have it, and beside them one place that is none.

use std::sync::Arc;
use std::time::Instant;

use packets_plugin_api::fetch::{Candidate, FetchSource};

use super::{Place, Places, State};
use crate::fetch::hosts::Slot;
use crate::fetch::limits::{FAR_PARTNERS, NEAR_PARTNERS};
use crate::fetch::problem::Problem;

/// A place that may help.
pub(in crate::fetch) struct Invited {
    pub(in crate::fetch) place: usize,
    pub(in crate::fetch) source: Arc<dyn FetchSource>,
    pub(in crate::fetch) candidate: Candidate,
    /// Held while it helps.
    pub(in crate::fetch) slot: Slot,
}

impl Places<'_> {
    /// Whether somebody can give a file together with this place, or may be found yet: a peer has a part in it.
    pub(in crate::fetch) fn can_be_joined(&mut self, first: usize) -> bool {
        self.hear_all();
        let is_near = self.is_near(first);
        let host = &self.places[first].host;
        let others = self.places.iter().filter(|place| place.state == State::Ready && place.host != *host);
        let searching = (0..self.sources.len()).filter(|source| !self.searched[*source]);
        others.map(|place| place.source).chain(searching).any(|source| is_near || self.sources[source].is_near())
    }

    pub(super) fn hear_all(&mut self) {
        while let Ok(message) = self.receiver.try_recv() {
            self.note(message);
        }
    }

    /// The next one that can help those that take part, and whose host is not busy.
    pub(in crate::fetch) fn next_partner(&mut self, taking_part: &[usize], dismissed: &[usize]) -> Option<Invited> {
        self.hear_all();
        self.wake();
        let hosts: Vec<&str> = taking_part.iter().map(|place| self.places[*place].host.as_str()).collect();
        let near = taking_part.iter().filter(|place| self.is_near(**place)).count();
        let has_room = |is_near: bool| match is_near {
            true => near < NEAR_PARTNERS,
            false => taking_part.len() - near < FAR_PARTNERS,
        };
        let fits = |number: usize, place: &Place| {
            place.state == State::Ready
                && !dismissed.contains(&number)
                && !hosts.contains(&place.host.as_str())
                && has_room(self.is_near(number))
        };
        let mut fitting: Vec<usize> =
            (0..self.places.len()).filter(|place| fits(*place, &self.places[*place])).collect();
        fitting.sort_by_key(|place| self.hosts.faults(&self.places[*place].host));
        fitting.into_iter().find_map(|number| {
            let place = &self.places[number];
            let slot = self.hosts.try_enter(&place.host, self.limits.per_host)?;
            let candidate = Candidate { version: None, ..place.candidate.clone() };
            Some(Invited { place: number, source: self.source_of(number).clone(), candidate, slot })
        })
    }

    /// What the place answered when it was asked last.
    pub(in crate::fetch) fn candidate(&self, place: usize) -> Candidate {
        self.places[place].candidate.clone()
    }

    /// It has given so many bytes since it joined: after some progress of its own its failures count anew. That of
    /// others does not help one that fails again and again.
    pub(in crate::fetch) fn gave(&mut self, place: usize, bytes: u64) {
        if bytes >= self.limits.progress {
            self.places[place].failures = 0;
        }
    }

    /// More bytes have come.
    pub(in crate::fetch) fn went_on(&mut self) {
        self.last_progress = Instant::now();
    }

    /// Others had to help it.
    pub(in crate::fetch) fn was_slow(&self, place: usize) {
        self.hosts.is_slow_from_now(&self.places[place].host);
    }

    /// It said nothing while others worked: from now on they are asked before it.
    pub(in crate::fetch) fn was_silent(&self, place: usize) {
        self.hosts.blame(&self.places[place].host);
    }

    /// It gave other bytes than the right ones.
    pub(in crate::fetch) fn lied(&mut self, place: usize) {
        self.failed(place, Problem::Wrong("what it gave is not what stands in the file".to_owned()));
    }
}
