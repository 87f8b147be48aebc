//! Places to fetch from.

use std::fmt::{self, Debug};
use std::fs::File;
use std::io::Read;
use std::ops::ControlFlow;
use std::time::Duration;

use crate::ident::{Digest, PackageName};

/// A file that the host wants: a package's archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    /// The package that the file holds; for messages only.
    pub package: PackageName,
    /// The file's SHA-256. The host checks it; a source may use it to find the file.
    pub digest: Digest,
    /// The file's size in bytes, where the index knows it.
    pub size: Option<u64>,
    /// The URLs of the index, in its order, absolute. The last segment of their path is
    /// the file's name on the LAN.
    pub mirrors: Vec<String>,
}

/// A place where a source believes an artifact to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Where, in the source's own words; given back to [`FetchSource::open`] and printed, escaped.
    pub location: String,
    /// The size in bytes that the place announces, if it does; a hint.
    pub size: Option<u64>,
    /// What an earlier [`Opened::version`] of this place said, where the bytes from an
    /// offset on must continue that one.
    pub version: Option<String>,
}

impl Candidate {
    /// A place of which nothing but the location is known.
    pub fn at(location: impl Into<String>) -> Self {
        Self { location: location.into(), size: None, version: None }
    }
}

/// The bytes of a place.
pub struct Opened {
    /// The raw bytes from the offset that was asked for.
    pub reader: Box<dyn Read + Send>,
    /// How many bytes the reader is going to give, where that is announced; a hint.
    pub size: Option<u64>,
    /// Which version of the file this is, in the source's own words, where the place tells
    /// versions apart byte for byte.
    pub version: Option<String>,
    /// A second handle of the regular file that the reader reads, where the bytes
    /// already lie in one of this machine; none from anywhere else. The host judges
    /// whether it can be used where it lies, and then copies nothing.
    pub file: Option<File>,
}

impl Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opened").field("size", &self.size).finish_non_exhaustive()
    }
}

/// A place that was asked: waits for its answer, which is that of [`FetchSource::open`]. Where it is dropped nobody waits.
pub type Begun = Box<dyn FnOnce() -> Result<Opened, FetchError> + Send>;

/// A place to fetch from.
///
/// A source moves bytes and decides nothing. The host bounds every reader by
/// the size it expects, hashes what comes, and is the only one to say whether
/// it is the right file. A source that lies costs its own transfer.
///
/// Methods may be called from several threads at once. Each call must come
/// back within bounded time, also when the place does not answer.
pub trait FetchSource: Debug + Send + Sync {
    /// The source's stable id: in the config's `sources`, in records and messages.
    fn name(&self) -> &str;

    /// Whether [`open`](Self::open) understands this location, which comes from a
    /// user or a config (`http://...`, `/srv/repo`) and not from [`find`](Self::find).
    /// Looks at the text only.
    fn claims(&self, location: &str) -> bool;

    /// Reports each place that may have `want`, best first, until `found` says
    /// [`ControlFlow::Break`]. To find nothing is no error. Nothing is fetched.
    ///
    /// # Errors
    /// Only when the source itself cannot work.
    fn find(&self, want: &Artifact, found: &mut dyn FnMut(Candidate) -> ControlFlow<()>) -> Result<(), FetchError>;

    /// The bytes of a place from `offset` on, as they are: never decoded, never
    /// from another offset. A source that cannot start there, or not in the version that
    /// `from` names, fails with [`FetchErrorKind::NoSuchRange`].
    ///
    /// # Errors
    /// [`FetchErrorKind::NotFound`] where the place does not have it, and the other
    /// kinds. An error while reading is an [`std::io::Error`] of the reader; a
    /// transfer that ends before its announced size must be such an error.
    fn open(&self, from: &Candidate, offset: u64) -> Result<Opened, FetchError>;

    /// Asks a place as [`open`](Self::open) does, and does not wait for its answer: whoever calls it has something else
    /// to do until then. None, and nothing was asked, where the source knows no such way.
    fn begin(&self, from: &Candidate, offset: u64) -> Option<Begun> {
        let _ = (from, offset);
        None
    }

    /// Told once, before the first of them is searched, which files a command is going to fetch: a
    /// source that asks others can ask once for all. Returns at once. Files may be searched
    /// all the same that were never named here.
    fn prepare(&self, wants: &[Artifact]) {
        let _ = wants;
    }

    /// Whether the source's places are so near that an answer of another one's waits while this
    /// one still searches. Such a search must end by itself within milliseconds where
    /// nothing is to be expected; the host bounds it in any case.
    fn is_near(&self) -> bool {
        false
    }

    /// Whether a search reads nothing but what it is given, such as the mirrors of an index, and so comes back at once:
    /// it is waited for, and costs no thread.
    fn finds_at_once(&self) -> bool {
        false
    }

    /// As [`open`](Self::open), where no more than `length` bytes are wanted: a source that can say so to its
    /// place spares both what would be sent in vain, and keeps the connection for the next part. What comes is that
    /// part, as far as the file goes, or goes on to the end of the file: the host reads no further.
    ///
    /// # Errors
    /// As for [`open`](Self::open).
    fn open_part(&self, from: &Candidate, offset: u64, length: u64) -> Result<Opened, FetchError> {
        let _ = length;
        self.open(from, offset)
    }

    /// As [`open`](Self::open) from the beginning, unless the place still has the version that `from`
    /// names: then none. A source that can ask its place so spares what would be sent in vain.
    ///
    /// # Errors
    /// As for [`open`](Self::open).
    fn open_unless(&self, from: &Candidate) -> Result<Option<Opened>, FetchError> {
        let opened = self.open(&Candidate { version: None, ..from.clone() }, 0)?;
        let is_known = opened.version.is_some() && opened.version == from.version;
        Ok((!is_known).then_some(opened))
    }

    /// Told that this place gave a file, or a part of one, that turned out to be right.
    fn confirmed(&self, place: &Candidate) {
        let _ = place;
    }

    /// Told that what this place gave was not the right file, and nobody else had a part in it.
    fn condemned(&self, place: &Candidate) {
        let _ = place;
    }
}

/// Why a source could not give what was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FetchErrorKind {
    /// The place answered that it does not have it.
    NotFound,
    /// The place refused.
    Denied,
    /// The place could not be reached, or broke off; another try may succeed.
    Unreachable,
    /// The place said something that makes no sense.
    Protocol,
    /// The place cannot start at the offset asked for, or has another version by now.
    NoSuchRange,
    /// The network answered in the stead of the place: it wants a login first.
    LoginFirst,
    /// The location is not one that this source understands.
    BadLocation,
}

/// What failed, on which place.
#[derive(Debug)]
pub struct FetchError {
    /// The kind, which decides what the host does next.
    pub kind: FetchErrorKind,
    /// One sentence without a full stop: what was attempted on which place.
    pub message: String,
    /// For how long the place asked to be left alone, if it did.
    pub retry_after: Option<Duration>,
    /// What stood behind it.
    pub cause: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl FetchError {
    /// An error without a cause.
    pub fn new(kind: FetchErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), retry_after: None, cause: None }
    }

    /// The same error with what stood behind it.
    #[must_use]
    pub fn because(mut self, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.cause = Some(cause.into());
        self
    }
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for FetchError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause.as_deref().map(|cause| cause as _)
    }
}
