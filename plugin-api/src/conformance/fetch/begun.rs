//! What holds for a place that is asked and not waited for: all that holds for one that is opened.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use super::{Served, at};
use crate::fetch::{Artifact, Candidate, FetchError, FetchSource, Opened};

/// To ask takes no longer, on a busy machine.
const ASKING: Duration = Duration::from_secs(5);

/// A source whose places are opened by what begins, where it knows that.
#[derive(Debug)]
pub(super) struct Begins<'a>(pub(super) &'a dyn FetchSource);

impl FetchSource for Begins<'_> {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn claims(&self, location: &str) -> bool {
        self.0.claims(location)
    }

    fn find(&self, want: &Artifact, found: &mut dyn FnMut(Candidate) -> ControlFlow<()>) -> Result<(), FetchError> {
        self.0.find(want, found)
    }

    fn open(&self, from: &Candidate, offset: u64) -> Result<Opened, FetchError> {
        match self.0.begin(from, offset) {
            Some(begun) => begun(),
            None => self.0.open(from, offset),
        }
    }

    fn open_part(&self, from: &Candidate, offset: u64, length: u64) -> Result<Opened, FetchError> {
        self.0.open_part(from, offset, length)
    }
}

/// Whoever asks goes on at once, also where nobody answers, and need not take the answer.
pub(super) fn waits_for_nobody(source: &dyn FetchSource, serve: &dyn Fn(Served<'_>) -> Option<String>) {
    for served in [Served::Silent(b"silent", 0), Served::Whole(b"whole"), Served::Absent] {
        let Some(location) = serve(served) else { continue };
        let started = Instant::now();
        let begun = source.begin(&at(&location), 0);
        let took = started.elapsed();
        assert!(took < ASKING, "to ask {location} took {took:?}");
        assert!(begun.is_some(), "a source that begins begins with every place of its own");
    }
}
