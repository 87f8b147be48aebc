//! Every bound of fetching, with the attack that it answers (numbers of the attack
//! catalogue in brackets).

use std::time::Duration;

/// The largest package, where the index knows no size: a place that never ends (M06, N11).
pub const MAX_PACKAGE_SIZE: u64 = 16 << 30;
/// The largest index (M06).
pub const MAX_INDEX_SIZE: u64 = 256 << 20;
/// Places of one source that are tried for one file: a source that finds for ever (N08).
pub const MAX_CANDIDATES: usize = 64;
/// How long a source may search before the others' failure is final: one that never ends (N12).
pub const SEARCH_TIME: Duration = Duration::from_secs(10);
/// How long another's answer waits for near sources that still search, where they do not end by themselves (N12).
pub const NEAR_SEARCH: Duration = Duration::from_millis(300);
/// And for the answer of a place that they found.
pub const NEAR_ANSWER: Duration = Duration::from_millis(50);
/// How long a place may let us wait for its answer before another one is asked beside it (N22).
pub const PATIENCE: Duration = Duration::from_secs(2);
/// A place that is slower than this gives way to the next one, as long as there is one (N22).
pub const UNHURRIED: Speed = Speed { least: 64 << 10, window: Duration::from_secs(10) };
/// A peer that gives a file alone gives way sooner: what is near and slow is of no use (N12).
pub const NEAR_UNHURRIED: Speed = Speed { least: NEAR_DECENT, window: PATIENCE_WITH_ONE };
/// What a peer must give in a second to be asked before places that are none (N12).
pub const NEAR_DECENT: u64 = 512 << 10;
/// How long a peer gives a small file alone before it is looked at how fast it is (N12).
pub const HEAD_START: Duration = Duration::from_millis(100);
/// It goes on alone where what is left would take no longer than this (N12).
pub const NEAR_REST: Duration = Duration::from_millis(400);
/// A place that is slower than this is given up (M07, N12).
pub const SLOWEST: Speed = Speed { least: 1 << 10, window: Duration::from_secs(30) };
/// Transfers of one command at a time.
pub const TRANSFERS: usize = 8;
/// Of these, from one host: what a small server can bear.
pub const TRANSFERS_PER_HOST: usize = 4;
/// A file of which more than this is missing comes from several places at once from its beginning, where peers have it.
pub const TOGETHER: u64 = 4 << 20;
/// Peers that give one file at once.
pub const NEAR_PARTNERS: usize = 7;
/// Places beside them that are none: nobody's mirrors are all loaded for one file.
pub const FAR_PARTNERS: usize = 1;
/// What a partner is asked for at a time: what it gives in a second, but at least this ...
pub const LEAST_PIECE: u64 = 1 << 20;
/// ... and at most this.
pub const LARGEST_PIECE: u64 = 4 << 20;
/// How far ahead of what has been written bytes may come: what a killed run loses, and what the disk holds twice.
pub const AHEAD: u64 = 32 << 20;
/// Fewer bytes of a task are not worth a request of their own.
pub const LEAST_SHARE: u64 = 128 << 10;
/// How long a partner may take for the rest of its task before another one does it, where that has nothing
/// else to do (N12).
pub const PATIENCE_WITH_ONE: Duration = Duration::from_millis(500);
/// Failures of a place after which it is not asked again (N12).
pub const TRIES: u32 = 5;
/// More bytes than there ever were, after which failures are counted anew: a network that
/// breaks off now and then, against a place that gives one byte each time (N12).
pub const PROGRESS: u64 = 1 << 20;
/// The longest pause after the first failure; it doubles with each further one.
pub const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// What it doubles up to.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A place that asks to be left alone for longer is not asked again: one that asks for years (N12).
pub const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(60);
/// How long after the last progress a place may be asked again (N12).
pub const RETRY_TIME: Duration = Duration::from_secs(120);
/// The longest mirror of an index, in bytes (N14).
pub const MAX_MIRROR: usize = 8192;

/// Bytes a second over some time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Speed {
    /// The least that must come in a second.
    pub least: u64,
    /// It is looked at each time that this has passed.
    pub window: Duration,
}

/// The bounds that a fetcher keeps to; the default is the constant of each name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// See [`MAX_PACKAGE_SIZE`].
    pub package: u64,
    /// See [`MAX_INDEX_SIZE`].
    pub index: u64,
    /// See [`SEARCH_TIME`].
    pub search_time: Duration,
    /// See [`NEAR_SEARCH`].
    pub near_search: Duration,
    /// See [`NEAR_ANSWER`].
    pub near_answer: Duration,
    /// See [`PATIENCE`].
    pub patience: Duration,
    /// See [`UNHURRIED`].
    pub unhurried: Speed,
    /// See [`NEAR_UNHURRIED`].
    pub near_unhurried: Speed,
    /// See [`SLOWEST`].
    pub slowest: Speed,
    /// See [`TRANSFERS_PER_HOST`].
    pub per_host: usize,
    /// See [`TRIES`].
    pub tries: u32,
    /// See [`PROGRESS`].
    pub progress: u64,
    /// See [`FIRST_PAUSE`].
    pub first_pause: Duration,
    /// See [`LONGEST_PAUSE`].
    pub longest_pause: Duration,
    /// See [`LONGEST_RETRY_AFTER`].
    pub retry_after: Duration,
    /// See [`RETRY_TIME`].
    pub retry_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            package: MAX_PACKAGE_SIZE,
            index: MAX_INDEX_SIZE,
            search_time: SEARCH_TIME,
            near_search: NEAR_SEARCH,
            near_answer: NEAR_ANSWER,
            patience: PATIENCE,
            unhurried: UNHURRIED,
            near_unhurried: NEAR_UNHURRIED,
            slowest: SLOWEST,
            per_host: TRANSFERS_PER_HOST,
            tries: TRIES,
            progress: PROGRESS,
            first_pause: FIRST_PAUSE,
            longest_pause: LONGEST_PAUSE,
            retry_after: LONGEST_RETRY_AFTER,
            retry_time: RETRY_TIME,
        }
    }
}
