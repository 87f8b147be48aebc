//! Why a place did not give the right bytes, and when it may be asked again.

use std::time::Duration;

use packets_plugin_api::fetch::{FetchError, FetchErrorKind};

use super::limits::Limits;
use super::transfer::Stopped;
use crate::durable::random_bytes;
use crate::error::{Error, ErrorKind};

/// What to do about a network that answers for others.
pub(super) const LOGIN_HINT: &str =
    "this network may ask for a login first: open any page in a browser, then try again";

/// See the module.
#[derive(Debug)]
pub(super) enum Problem {
    /// Our own disk failed; another place will not help.
    Disk(Error),
    /// It gave something else.
    Wrong(String),
    /// Its bytes and those that others gave before are together not the right ones.
    Mixed,
    /// It gave a web page, as a network does that wants a login first (N20).
    WebPage,
    /// It gave fewer bytes than it should in this time; so many came in a second.
    TooSlow(u64),
    /// It gave nothing, or not all; another try may be better.
    Failed(String),
    /// The same, and it asks to be left alone for so long.
    Busy(String, Duration),
    /// It will not give it.
    Refused(String),
}

impl Problem {
    pub(super) fn disk(error: std::io::Error) -> Self {
        Self::Disk(Error::storage("cannot write a temporary file for the download").because(&error))
    }

    /// What kind of error it is when nothing else helped.
    pub(super) fn kind(&self) -> ErrorKind {
        match self {
            Self::Disk(_) => ErrorKind::Storage,
            Self::Wrong(_) => ErrorKind::Integrity,
            _ => ErrorKind::Network,
        }
    }

    /// The pause before the place may be asked again after its so many failures in a row.
    pub(super) fn pause(&self, failures: u32, limits: &Limits) -> Option<Duration> {
        if failures >= limits.tries {
            return None;
        }
        match self {
            Self::Disk(_) | Self::Wrong(_) | Self::WebPage | Self::Refused(_) => None,
            Self::Mixed => Some(Duration::ZERO),
            Self::TooSlow(_) | Self::Failed(_) => Some(jittered(failures, limits)),
            Self::Busy(_, wanted) if *wanted > limits.retry_after => None,
            Self::Busy(_, wanted) => Some(jittered(failures, limits).max(*wanted)),
        }
    }
}

/// Exponential backoff with full jitter: those who were cut off together do not come back together.
fn jittered(failures: u32, limits: &Limits) -> Duration {
    let doubled = limits.first_pause.saturating_mul(1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX));
    let most = doubled.min(limits.longest_pause);
    // Without random numbers the pause is the longest.
    let part = random_bytes().map_or(u64::MAX, u64::from_ne_bytes) as f64 / u64::MAX as f64;
    most.mul_f64(part)
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Disk(error) => write!(f, "{error}"),
            Self::Wrong(text) | Self::Failed(text) | Self::Refused(text) => f.write_str(text),
            Self::Mixed => f.write_str("what it gave does not go with what came before, and all is fetched anew"),
            Self::WebPage => f.write_str("it answered with a web page"),
            Self::TooSlow(speed) => write!(f, "it is too slow: {speed} bytes a second"),
            Self::Busy(text, wanted) => write!(f, "{text} and asks to come back in {} s", wanted.as_secs()),
        }
    }
}

impl From<FetchError> for Problem {
    fn from(error: FetchError) -> Self {
        let text = one_line(&error);
        match (error.kind, error.retry_after) {
            (FetchErrorKind::LoginFirst, _) => Self::WebPage,
            (FetchErrorKind::Unreachable, Some(wanted)) => Self::Busy(text, wanted),
            (FetchErrorKind::Unreachable, None) => Self::Failed(text),
            _ => Self::Refused(text),
        }
    }
}

impl From<Stopped> for Problem {
    fn from(stopped: Stopped) -> Self {
        match stopped {
            Stopped::Disk(error) => Self::disk(error),
            Stopped::TooLarge(most) => Self::Wrong(format!("more than {most} bytes came")),
            Stopped::Source(error) => Self::Failed(one_line(&error)),
            Stopped::TooSlow(speed) => Self::TooSlow(speed),
        }
    }
}

/// An error and all that stands behind it.
pub(crate) fn one_line(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        // Some errors print their cause themselves.
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> Limits {
        let (first_pause, longest_pause) = (Duration::from_secs(1), Duration::from_secs(10));
        Limits { tries: 20, first_pause, longest_pause, retry_after: Duration::from_secs(60), ..Limits::default() }
    }

    #[test]
    fn n12_pauses_grow_and_differ_up_to_a_bound() {
        for (failures, most) in [(1, 1), (2, 2), (3, 4), (4, 8), (5, 10), (19, 10)] {
            let pauses: Vec<_> = (0..200).map(|_| jittered(failures, &limits())).collect();
            let most = Duration::from_secs(most);
            assert!(pauses.iter().all(|pause| *pause <= most), "{failures}");
            let mean = pauses.iter().sum::<Duration>() / 200;
            assert!(mean > most.mul_f64(0.35) && mean < most.mul_f64(0.65), "{failures}: full jitter, {mean:?}");
        }
        assert!(jittered(u32::MAX, &limits()) <= limits().longest_pause);
    }

    #[test]
    fn n12_tries_are_numbered() {
        let failed = Problem::Failed("x".to_owned());
        assert!(failed.pause(19, &limits()).is_some() && failed.pause(20, &limits()).is_none());
        for never in [Problem::Wrong(String::new()), Problem::WebPage, Problem::Refused(String::new())] {
            assert_eq!(never.pause(1, &limits()), None, "{never:?}");
        }
    }

    #[test]
    fn n12_a_time_to_wait_is_kept_within_a_bound() {
        let busy = |seconds| Problem::Busy("x".to_owned(), Duration::from_secs(seconds)).pause(1, &limits());
        assert_eq!(busy(60), Some(Duration::from_secs(60)));
        assert_eq!([busy(61), busy(u64::MAX)], [None, None]);
        assert!(busy(0).unwrap() <= limits().first_pause);
    }
}
