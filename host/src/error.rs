//! What failed on which thing; the cause and the hint apart; the kind decides the exit code.

use std::error::Error as StdError;
use std::{fmt, io};

use packets_plugin_api::fetch::{FetchError, FetchErrorKind};
use packets_plugin_api::hook::HookError;
use packets_plugin_api::ident::{ParseError, acts_on_terminal};
use packets_plugin_api::storage::{StorageError, StorageErrorKind};

/// What helps on a full disk.
const MAKE_ROOM: &str = "`packets cache clean` frees what is kept: fetched packages, and what `undo` needs";

/// The kinds of failure, each with an exit code of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The request cannot be met: not found, not allowed, a bad config.
    Request,
    /// The command line is wrong.
    Usage,
    /// No source could be reached.
    Network,
    /// Something is not what it should be: a hash, an archive, a manifest.
    Integrity,
    /// A hook failed or was denied.
    Hook,
    /// The disk or a database failed.
    Storage,
    /// A mistake in this program.
    Bug,
    /// This signal ended the command before anything was decided.
    Signal(i32),
}

impl ErrorKind {
    /// The exit code of the process.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Request => 1,
            Self::Usage => 2,
            Self::Network => 4,
            Self::Integrity => 5,
            Self::Hook => 6,
            Self::Storage => 7,
            Self::Bug => 70,
            // As a shell tells of a process that a signal has ended.
            Self::Signal(signal) => u8::try_from(128 + signal).unwrap_or(u8::MAX),
        }
    }

    /// The kind as JSON has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Usage => "usage",
            Self::Network => "network",
            Self::Integrity => "integrity",
            Self::Hook => "hook",
            Self::Storage => "storage",
            Self::Bug => "bug",
            Self::Signal(_) => "signal",
        }
    }
}

/// The one error type of the host.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    causes: Vec<String>,
    hints: Vec<String>,
}

/// What the host's functions return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of this kind: one sentence without a full stop, which says what was
    /// attempted on which thing.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), causes: Vec::new(), hints: Vec::new() }
    }

    /// Shorthands for [`Self::new`].
    pub fn request(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Request, message)
    }
    /// See [`Self::request`].
    pub fn integrity(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Integrity, message)
    }
    /// See [`Self::request`].
    pub fn storage(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Storage, message)
    }

    /// The same error with what stood behind it, and all that stood behind that.
    #[must_use]
    pub fn because(mut self, cause: &(dyn StdError + 'static)) -> Self {
        let mut next = Some(cause);
        while let Some(cause) = next {
            let text = cause.to_string();
            // Some libraries say the same thing again one layer deeper.
            if !self.causes.last().is_some_and(|last| text.ends_with(last.as_str())) {
                self.causes.push(text);
            }
            let io = cause.downcast_ref::<io::Error>();
            if io.is_some_and(|error| error.kind() == io::ErrorKind::StorageFull) {
                self.hints.push(MAKE_ROOM.to_owned());
            }
            next = cause.source();
        }
        self
    }

    /// The same error with a cause that is only a text.
    #[must_use]
    pub fn caused_by(mut self, cause: impl Into<String>) -> Self {
        self.causes.push(cause.into());
        self
    }

    /// The same error with one thing that the user could do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into().trim_end().to_owned());
        self
    }

    /// The same error, said of something larger; the old message becomes its cause.
    #[must_use]
    pub fn within(mut self, message: impl Into<String>) -> Self {
        let inner = std::mem::replace(&mut self.message, message.into());
        self.causes.insert(0, inner);
        self
    }

    /// The same failure seen as another kind.
    #[must_use]
    pub fn of_kind(mut self, kind: ErrorKind) -> Self {
        self.kind = kind;
        self
    }

    /// The kind.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
    /// What was attempted on which thing.
    pub fn message(&self) -> &str {
        &self.message
    }
    /// What stood behind it, outermost first.
    pub fn causes(&self) -> &[String] {
        &self.causes
    }
    /// What the user could do.
    pub fn hints(&self) -> &[String] {
        &self.hints
    }
}

/// Turns the failure of a system call into an error about a thing.
pub trait Context<T> {
    /// The value, or a storage error with this message and the failure as its cause.
    fn context(self, message: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: StdError + 'static> Context<T> for std::result::Result<T, E> {
    fn context(self, message: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|cause| Error::storage(message()).because(&cause))
    }
}

impl From<FetchError> for Error {
    fn from(error: FetchError) -> Self {
        let kind = match error.kind {
            FetchErrorKind::BadLocation => ErrorKind::Request,
            _ => ErrorKind::Network,
        };
        let mut outer = Self::new(kind, error.message.clone());
        if let Some(cause) = StdError::source(&error) {
            outer = outer.because(cause);
        }
        outer
    }
}

impl From<StorageError> for Error {
    fn from(error: StorageError) -> Self {
        let kind = match error.kind {
            StorageErrorKind::Corrupt | StorageErrorKind::Limit => ErrorKind::Integrity,
            StorageErrorKind::Unknown | StorageErrorKind::Io => ErrorKind::Storage,
            StorageErrorKind::NotFound => ErrorKind::Request,
        };
        let mut outer = Self::new(kind, error.message.clone());
        if let Some(cause) = StdError::source(&error) {
            outer = outer.because(cause);
        }
        if let Some(hint) = error.hint {
            outer = outer.hint(hint);
        }
        outer
    }
}

impl From<HookError> for Error {
    fn from(error: HookError) -> Self {
        Self::new(ErrorKind::Hook, error.message)
    }
}

impl From<ParseError> for Error {
    fn from(error: ParseError) -> Self {
        Self::request(error.to_string())
    }
}

/// As on a terminal: the message, `caused by:` and `hint:` lines. Nothing in it can act on the terminal.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", clean(&self.message))?;
        for cause in &self.causes {
            write!(f, "\n  caused by: {}", clean(cause))?;
        }
        for hint in &self.hints {
            write!(f, "\n  hint: {}", clean(hint))?;
        }
        Ok(())
    }
}

impl StdError for Error {}

/// Escapes everything that acts on a terminal but the line feed, which hints with lines of config need.
pub(crate) fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c != '\n' && acts_on_terminal(c) { out.extend(c.escape_default()) } else { out.push(c) }
    }
    out
}
