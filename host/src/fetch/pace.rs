//! How fast a partner is.

use std::time::{Duration, Instant};

use super::limits::PATIENCE_WITH_ONE;

/// What is known of it.
#[derive(Debug)]
pub(super) struct Pace {
    /// Bytes a second, of the tasks before this one.
    before: Option<f64>,
    began: Instant,
    came: u64,
    /// When bytes came last, or the task began.
    heard: Instant,
}

impl Pace {
    /// Of one that has given nothing yet.
    pub(super) fn new(now: Instant) -> Self {
        Self { before: None, began: now, came: 0, heard: now }
    }

    /// A task begins, or is over.
    pub(super) fn begin(&mut self, now: Instant) {
        self.before = match (self.came, self.took(now)) {
            (0, _) => self.before,
            // The middle of both: one task says little.
            (came, took) => {
                let last = came as f64 / took.as_secs_f64().max(1e-6);
                Some(self.before.map_or(last, |before| f64::midpoint(before, last)))
            }
        };
        (self.began, self.came, self.heard) = (now, 0, now);
    }

    /// Bytes came.
    pub(super) fn came(&mut self, bytes: u64, now: Instant) {
        self.came += bytes;
        self.heard = now;
    }

    /// How long it has given nothing.
    pub(super) fn silent_for(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.heard)
    }

    /// Whether none came of this task.
    pub(super) fn is_silent(&self) -> bool {
        self.came == 0
    }

    /// Of the tasks before this one, in bytes a second.
    pub(super) fn usual(&self) -> Option<f64> {
        self.before
    }

    /// In bytes a second, as far as it is known: for a while it is what it was. One that stands still has none.
    pub(super) fn speed(&self, now: Instant) -> Option<f64> {
        if self.silent_for(now) >= PATIENCE_WITH_ONE {
            return Some(0.0);
        }
        let took = self.took(now);
        if took >= PATIENCE_WITH_ONE { Some(self.came as f64 / took.as_secs_f64()) } else { self.before }
    }

    fn took(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.began)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pace_is_known_after_a_task_or_a_while() {
        let begun = Instant::now();
        let after = |milliseconds| begun + Duration::from_millis(milliseconds);
        let mut pace = Pace::new(begun);
        assert_eq!((pace.speed(after(499)), pace.speed(after(500))), (None, Some(0.0)));
        pace.came(1000, after(900));
        assert_eq!((pace.is_silent(), pace.speed(after(1000))), (false, Some(1000.0)));
        assert_eq!(
            (pace.speed(after(1399)).is_some_and(|speed| speed > 0.0), pace.speed(after(1400))),
            (true, Some(0.0))
        );
        pace.begin(after(1000));
        assert_eq!((pace.is_silent(), pace.speed(after(1100))), (true, Some(1000.0)));
        pace.came(300, after(1050));
        pace.begin(after(1100));
        assert_eq!(pace.speed(after(1200)), Some(2000.0));
        assert_eq!(pace.speed(after(3100)), Some(0.0));
    }
}
