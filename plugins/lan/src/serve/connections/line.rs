//! One connection: what it is doing, and for how long it may do nothing.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::super::file::Outgoing;
use super::queue;
use crate::limits::{DECENT_PACE, GOOD_PACE, HEAD_TIME, PACE_TIME, SEND_BUFFER, SLOWEST_READER};

/// Between two looks at what it is doing.
const LOOK: Duration = Duration::from_millis(250);
/// And between the first ones when nothing but its end is waited for.
const FIRST_LOOK: Duration = Duration::from_millis(2);

/// See the module.
#[derive(Debug)]
pub(super) struct Line {
    stream: TcpStream,
    /// What it is to be given.
    outgoing: Arc<Outgoing>,
    /// Bytes that the kernel took.
    written: AtomicU64,
    /// Whether it has no room for more.
    is_full: AtomicBool,
    requests: AtomicU64,
    /// Bytes a second that the reader took of late; as many as can be where that is not known yet.
    pace: AtomicU64,
    began: Instant,
    /// When it last did something, in milliseconds after it began.
    active: AtomicU64,
}

/// How well a connection can be done without: the least first, of equal ones that which is so for longest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rest {
    /// Nothing was asked for that it has not got.
    Idle(Instant),
    /// It is given something, and takes little of it.
    Slow(Instant),
    /// It takes so many bytes a second, which is not much either.
    Paced(u64),
    /// It is given something.
    Busy,
}

/// What can be seen of a connection at a time.
#[derive(Debug, Clone, Copy)]
struct Sight {
    is_sending: bool,
    /// Bytes that have arrived.
    taken: u64,
    requests: u64,
}

impl Line {
    pub(super) fn new(stream: TcpStream) -> Self {
        let _ = stream.set_nodelay(true);
        Self {
            stream,
            outgoing: Arc::default(),
            written: AtomicU64::new(0),
            is_full: AtomicBool::new(false),
            requests: AtomicU64::new(0),
            pace: AtomicU64::new(u64::MAX),
            began: Instant::now(),
            active: AtomicU64::new(0),
        }
    }

    pub(super) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    pub(super) fn outgoing(&self) -> &Arc<Outgoing> {
        &self.outgoing
    }

    /// A whole head came.
    pub(super) fn has_asked(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.is_active();
    }

    fn is_active(&self) {
        let passed = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.active.store(passed, Ordering::Relaxed);
    }

    /// Whether something was asked for that has not arrived.
    fn is_sending(&self) -> bool {
        let is_here = !self.outgoing.is_empty() || self.is_full.load(Ordering::Relaxed);
        is_here || queue::length(&self.stream) > 0
    }

    pub(super) fn rest(&self) -> Rest {
        let since = self.began + Duration::from_millis(self.active.load(Ordering::Relaxed));
        match (self.is_sending(), self.pace.load(Ordering::Relaxed)) {
            (false, _) => Rest::Idle(since),
            (true, ..DECENT_PACE) => Rest::Slow(self.began),
            (true, pace @ ..GOOD_PACE) => Rest::Paced(pace),
            (true, _) => Rest::Busy,
        }
    }

    /// From now on the kernel holds so much for it and no more.
    pub(super) fn is_narrow(&self) {
        let _ = SockRef::from(&self.stream).set_send_buffer_size(SEND_BUFFER);
    }

    /// Bytes that the kernel holds for it at most, as things are.
    #[cfg(test)]
    pub(super) fn room(&self) -> usize {
        SockRef::from(&self.stream).send_buffer_size().unwrap_or(0)
    }

    /// What the kernel holds for it is not worth keeping.
    pub(super) fn forget(&self) {
        if self.is_sending() {
            let _ = SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
        }
    }

    /// Ends when everything has arrived, or nothing can any more. Until then its place is not free: who
    /// does not take what it asked for would leave it with the kernel, again and again.
    pub(super) async fn is_emptied(&self) {
        let holds = || queue::length(&self.stream) > 0 && matches!(self.stream.take_error(), Ok(None));
        let mut pause = FIRST_LOOK;
        if holds() {
            // Most hang up as soon as they have all.
            let _ = tokio::time::timeout(pause, self.stream.readable()).await;
        }
        while holds() {
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LOOK);
        }
    }

    /// Ends when it has done nothing for too long, or takes less of a reply than it should in this time (N25, N26).
    pub(super) async fn overstays(&self, window: Duration) {
        let mut watch = Watch::new(window, Instant::now());
        loop {
            tokio::time::sleep(LOOK).await;
            let held = queue::length(&self.stream);
            let sight = Sight {
                is_sending: self.is_sending(),
                taken: self.written.load(Ordering::Relaxed).saturating_sub(held),
                requests: self.requests.load(Ordering::Relaxed),
            };
            if watch.is_over(Instant::now(), sight) {
                return;
            }
            if sight.is_sending {
                self.is_active();
            }
            self.pace.store(watch.pace, Ordering::Relaxed);
        }
    }

    /// The kernel has no room for more.
    pub(super) fn has_no_room(&self) {
        self.is_full.store(true, Ordering::Relaxed);
    }

    pub(super) fn wrote(&self, outcome: io::Result<usize>, length: usize) -> Poll<io::Result<usize>> {
        if let Ok(written) = &outcome {
            self.written.fetch_add(*written as u64, Ordering::Relaxed);
            self.is_full.store(*written < length, Ordering::Relaxed);
        }
        Poll::Ready(outcome)
    }
}

/// Judges by what is seen from time to time.
#[derive(Debug)]
struct Watch {
    window: Duration,
    /// Since when nothing was sent and nothing was asked for.
    idle: Instant,
    requests: u64,
    /// Since when it is measured, and what had arrived then: against what is too slow, and what is decent.
    sending: Option<(Instant, u64)>,
    paced: (Instant, u64),
    pace: u64,
}

impl Watch {
    fn new(window: Duration, now: Instant) -> Self {
        Self { window, idle: now, requests: 0, sending: None, paced: (now, 0), pace: u64::MAX }
    }

    fn is_over(&mut self, now: Instant, sight: Sight) -> bool {
        if !sight.is_sending {
            if sight.requests != self.requests || self.sending.is_some() {
                self.idle = now;
            }
            (self.requests, self.sending, self.pace) = (sight.requests, None, u64::MAX);
            return now.duration_since(self.idle) >= HEAD_TIME;
        }
        let Some((since, before)) = self.sending else {
            (self.sending, self.paced) = (Some((now, sight.taken)), (now, sight.taken));
            return false;
        };
        if now.duration_since(self.paced.0) >= PACE_TIME {
            self.pace = pace(self.paced, now, sight.taken);
            self.paced = (now, sight.taken);
        }
        let is_time = now.duration_since(since) >= self.window;
        if is_time {
            self.sending = Some((now, sight.taken));
        }
        is_time && pace((since, before), now, sight.taken) < SLOWEST_READER
    }
}

/// Bytes a second.
fn pace((since, before): (Instant, u64), now: Instant, taken: u64) -> u64 {
    let passed = now.duration_since(since).as_millis().max(1);
    let bytes = u128::from(taken.saturating_sub(before));
    u64::try_from(bytes * 1000 / passed).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(20);

    fn sending(taken: u64) -> Sight {
        Sight { is_sending: true, taken, requests: 1 }
    }

    /// Whether it is cut off within an hour when it takes so many bytes in each second.
    fn is_cut_off(a_second: u64) -> bool {
        let begun = Instant::now();
        let mut watch = Watch::new(WINDOW, begun);
        (0..3600).any(|second| watch.is_over(begun + Duration::from_secs(second), sending(second * a_second)))
    }

    #[test]
    fn n26_the_slowest_reader_and_one_that_is_slower() {
        assert!(!is_cut_off(SLOWEST_READER), "who is just fast enough");
        assert!(is_cut_off(SLOWEST_READER - 1), "who takes a byte less");
    }

    #[test]
    fn n26_who_stands_still_is_cut_off_after_a_window_or_two() {
        let begun = Instant::now();
        let mut watch = Watch::new(WINDOW, begun);
        let after = |seconds| begun + Duration::from_secs(seconds);
        assert!(!watch.is_over(after(0), sending(0)));
        assert!(!watch.is_over(after(20), sending(1 << 20)), "it took much");
        assert!(!watch.is_over(after(39), sending(1 << 20)));
        assert!(watch.is_over(after(40), sending(1 << 20)), "and then nothing");
    }

    #[test]
    fn n25_n26_the_time_of_a_head_begins_when_the_last_reply_has_arrived() {
        let begun = Instant::now();
        let mut watch = Watch::new(WINDOW, begun);
        let idle = |requests| Sight { is_sending: false, taken: 7, requests };
        let (step, just) = (HEAD_TIME, Duration::from_millis(1));
        assert!(!watch.is_over(begun + step - just, idle(0)));
        assert!(!watch.is_over(begun + step - just, idle(1)), "it asked");
        assert!(!watch.is_over(begun + step * 2 - just * 2, idle(1)));
        assert!(!watch.is_over(begun + step * 2 - just * 2, sending(7)));
        assert!(!watch.is_over(begun + step * 3, idle(1)), "it was given something until just now");
        assert!(!watch.is_over(begun + step * 4 - just, idle(1)));
        assert!(watch.is_over(begun + step * 4, idle(1)));
        let mut silent = Watch::new(WINDOW, begun);
        assert!(!silent.is_over(begun + step - just, idle(0)) && silent.is_over(begun + step, idle(0)));
    }

    #[test]
    fn n26_a_decent_pace_and_one_that_is_slower() {
        let begun = Instant::now();
        let seen = |a_second: u64, after: Duration| {
            let mut watch = Watch::new(WINDOW, begun);
            watch.is_over(begun, sending(0));
            watch.is_over(begun + after, sending(a_second * after.as_secs()));
            watch.pace
        };
        assert_eq!([seen(DECENT_PACE, PACE_TIME), seen(DECENT_PACE - 1, PACE_TIME)], [DECENT_PACE, DECENT_PACE - 1]);
        assert_eq!(seen(1, PACE_TIME - Duration::from_millis(1)), u64::MAX, "not known yet");
    }
}
