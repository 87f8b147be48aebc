//! Why something did not happen.

use std::fmt;
use std::io;

use packets_plugin_api::hook::PolicyLine;
use packets_plugin_api::ident::escape;
use packets_plugin_api::relpath::RelPath;

/// Why an operation of a hook ended early.
#[derive(Debug)]
pub(super) enum Stop {
    /// It is not allowed: the reason, and the line of policy that would allow it.
    Denied(String, Option<PolicyLine>),
    /// Nothing is there.
    NotFound,
    /// It does not fit what is there.
    Invalid(String),
    /// A limit is used up.
    Limit(&'static str),
    /// The target refused.
    Io(String),
    /// The disk, the record or the machine failed: whatever the hook makes of it, nobody knows what it would have
    /// done otherwise.
    Disk(String),
}

impl Stop {
    pub(super) fn invalid(why: impl Into<String>) -> Self {
        Self::Invalid(why.into())
    }

    /// A failure of the target at `path`.
    pub(super) fn io(what: &str, path: &RelPath, error: &io::Error) -> Self {
        // The text of an error that this program made of the cause's words only.
        let text = format!("cannot {what} {}: {error}", shown(path));
        if is_failure(error) { Self::Disk(text) } else { Self::Io(text) }
    }
}

/// Whether something failed that is there and may be used: another try could see something else.
fn is_failure(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let failures = [Errno::IO, Errno::NOMEM, Errno::MFILE, Errno::NFILE, Errno::STALE, Errno::UCLEAN, Errno::TIMEDOUT];
    failures.iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

pub(super) type Result<T, E = Stop> = std::result::Result<T, E>;

/// A path as it is shown in messages.
pub(super) fn shown(path: &RelPath) -> String {
    escape(&path.absolute(), 300)
}

/// The overlay itself failed, not what a hook asked of it.
#[derive(Debug)]
pub struct OverlayError {
    /// What was attempted on which path, without a full stop.
    pub message: String,
    /// What stood behind it.
    pub cause: Option<io::Error>,
}

impl OverlayError {
    pub(super) fn new(what: &str, path: &RelPath, cause: io::Error) -> Self {
        Self { message: format!("cannot {what} {}", shown(path)), cause: Some(cause) }
    }

    /// The same for a way through the overlay that was stopped.
    pub(super) fn stopped(what: &str, path: &RelPath, stop: Stop) -> Self {
        let why = match stop {
            Stop::Denied(reason, _) => reason,
            Stop::NotFound => "nothing is there".to_owned(),
            Stop::Limit(limit) => format!("over the limit of {limit}"),
            Stop::Invalid(why) | Stop::Io(why) | Stop::Disk(why) => why,
        };
        Self { message: format!("cannot {what} {}: {why}", shown(path)), cause: None }
    }
}

impl fmt::Display for OverlayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for OverlayError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause.as_ref().map(|cause| cause as _)
    }
}
