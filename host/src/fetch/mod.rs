//! The stage that gets bytes: from the cache, else from the first source that has the right ones.
//!
//! No source is trusted. Each reader is bounded by the size that the index knows, hashed
//! while it is written to a file that nobody else can open, given up where it is too slow,
//! and left for the next place where it gives anything but the right bytes (M07, M14, M23).

mod index;
mod location;
mod transfer;

use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use packets_hook_runtime::folder::{self, Kind};
use packets_plugin_api::fetch::{Candidate, FetchError, FetchSource, Opened};
use packets_plugin_api::ident::Digest;

use crate::cache::{Cache, Entry, Unfinished, only_ours};
use crate::digest;
use crate::error::{Context, Error, ErrorKind, Result};
use crate::report::{Event, Events};

pub use index::FetchedIndex;
pub use location::{resolve_mirror, shown};
/// A package file that is wanted; its mirrors are absolute ([`resolve_mirror`]).
pub use packets_plugin_api::fetch::Artifact as Wanted;
use transfer::{Came, Stopped};

/// The largest package, where the index knows no size: a place that never ends (M06).
pub const MAX_PACKAGE_SIZE: u64 = 16 << 30;
/// The largest index (M06).
pub const MAX_INDEX_SIZE: u64 = 256 << 20;
/// Bytes a second below which a place is given up (M07).
pub const SLOWEST: u64 = 1 << 10;
/// How long a place may be slower than that.
pub const SLOW_WINDOW: Duration = Duration::from_secs(30);
/// Places of one source that are tried for one file: a source that finds for ever (N08).
pub const MAX_CANDIDATES: usize = 64;

/// The bounds of a transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// See [`MAX_PACKAGE_SIZE`].
    pub package: u64,
    /// See [`MAX_INDEX_SIZE`].
    pub index: u64,
    /// See [`SLOWEST`].
    pub slowest: u64,
    /// See [`SLOW_WINDOW`].
    pub slow_window: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { package: MAX_PACKAGE_SIZE, index: MAX_INDEX_SIZE, slowest: SLOWEST, slow_window: SLOW_WINDOW }
    }
}

/// An open package file that nobody else can change, not yet compared with what was expected.
#[derive(Debug)]
pub struct Fetched {
    file: File,
    size: u64,
    hashed: Option<Digest>,
    source: String,
}

impl Fetched {
    /// The open file, which is read from its beginning.
    pub fn file(&self) -> &File {
        &self.file
    }
    /// In bytes.
    pub fn size(&self) -> u64 {
        self.size
    }
    /// Where it came from: a source's name, `cache`, or the name that the user gave.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Its SHA-256, taken on this handle, once.
    ///
    /// # Errors
    /// Storage, where the file cannot be read.
    pub fn digest(&mut self) -> Result<Digest> {
        if let Some(digest) = self.hashed {
            return Ok(digest);
        }
        let named = || format!("cannot read the package file from {}", self.source);
        let (size, digest) = digest::of_file(&self.file).context(named)?;
        (self.size, self.hashed) = (size, Some(digest));
        Ok(digest)
    }

    /// The parts, hashed, the file at its beginning: for the stage `verify` alone.
    pub(crate) fn into_hashed_parts(mut self) -> Result<(File, u64, Digest, String)> {
        let digest = self.digest()?;
        let named = || format!("cannot read the package file from {}", self.source);
        self.file.seek(SeekFrom::Start(0)).context(named)?;
        Ok((self.file, self.size, digest, self.source))
    }
}

/// A package file that the user named, or that was packed in memory. One that another
/// user could change is copied first (M20).
///
/// # Errors
/// Storage, where it cannot be read; request, where it is no regular file or too large.
pub fn local(mut file: File, name: impl Into<String>) -> Result<Fetched> {
    let source = name.into();
    let named = || format!("cannot read the package file {source}");
    let stat = folder::stat(&file).context(named)?;
    if stat.kind != Kind::File {
        return Err(Error::request(named()).caused_by("it is not a regular file"));
    }
    if stat.size > MAX_PACKAGE_SIZE {
        return Err(Error::request(named()).caused_by(format!("it is larger than {MAX_PACKAGE_SIZE} bytes")));
    }
    file.seek(SeekFrom::Start(0)).context(named)?;
    if only_ours(&stat) {
        return Ok(Fetched { file, size: stat.size, hashed: None, source });
    }
    let mut copy = Unfinished::private().context(named)?;
    let limits = Limits::default();
    let came = transfer::copy(&mut file, copy.file(), limits.package, &limits, &mut |_| {});
    let came = came.map_err(|stopped| Error::storage(named()).caused_by(stopped.to_string()))?;
    let mut file = copy.into_file().context(named)?;
    file.seek(SeekFrom::Start(0)).context(named)?;
    Ok(Fetched { file, size: came.size, hashed: Some(came.digest), source })
}

/// Fetches from an ordered list of sources. Can be used from several threads at once.
pub struct Fetcher<'a> {
    sources: Vec<Arc<dyn FetchSource>>,
    cache: Option<Cache>,
    events: &'a dyn Events,
    limits: Limits,
}

impl<'a> Fetcher<'a> {
    /// One that asks these sources in this order. Without a cache, or where it cannot
    /// be written to, files are kept until they are used and no longer.
    pub fn new(sources: Vec<Arc<dyn FetchSource>>, cache: Option<Cache>, events: &'a dyn Events) -> Self {
        Self { sources, cache, events, limits: Limits::default() }
    }

    /// The cache that is looked into first.
    pub(crate) fn cache(&self) -> Option<&Cache> {
        self.cache.as_ref()
    }

    /// The same one with other bounds.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// The package file, from the cache or the first place that gives the right bytes.
    ///
    /// After an [`Event::FetchRetry`] the bytes reported so far count no more.
    ///
    /// # Errors
    /// Network or integrity with every place that was tried as a cause: integrity where a
    /// place answered with wrong bytes. Storage where the bytes cannot be written.
    pub fn fetch(&self, want: &Wanted) -> Result<Fetched> {
        let package = &want.package;
        let named = || format!("cannot fetch the package {package}");
        if let Some(size) = want.size.filter(|size| *size > self.limits.package) {
            let problem = format!("its index says that it has {size} bytes, more than {}", self.limits.package);
            return Err(Error::integrity(named()).caused_by(problem));
        }
        self.events.event(&Event::FetchStarted { package, size: want.size });
        if let Some(fetched) = self.cached(want) {
            self.events.event(&Event::FetchDone { package, source: &fetched.source });
            return Ok(fetched);
        }
        let mut tried = Tried::default();
        for source in &self.sources {
            for candidate in candidates(source.as_ref(), want, &mut tried) {
                match self.attempt(source.as_ref(), &candidate, want) {
                    Ok(fetched) => {
                        self.events.event(&Event::FetchDone { package, source: &fetched.source });
                        return Ok(fetched);
                    }
                    Err(Problem::Disk(error)) => return Err(error.within(named())),
                    Err(problem) => {
                        let text = tried.note(source.as_ref(), &candidate.location, problem);
                        self.events.event(&Event::FetchRetry { package, problem: &text });
                    }
                }
            }
        }
        Err(tried.into_error(named(), want))
    }

    /// The file from the cache, hashed on the handle that is given out. What is wrong there is taken away.
    fn cached(&self, want: &Wanted) -> Option<Fetched> {
        let cache = self.cache.as_ref()?;
        let problem = match cache.entry(&want.digest) {
            Entry::Absent => return None,
            Entry::Unusable(problem) => problem,
            Entry::Found(file) => match digest::of_file(&file) {
                Ok((size, digest)) if digest == want.digest && want.size.is_none_or(|wanted| wanted == size) => {
                    return Some(Fetched { file, size, hashed: Some(digest), source: "cache".to_owned() });
                }
                Ok(_) => "its bytes are not the right ones".to_owned(),
                Err(error) => error.to_string(),
            },
        };
        let text = format!("the cached file of {} is not used and is fetched again: {problem}", want.package);
        self.events.event(&Event::Warning(&text));
        cache.discard(&want.digest);
        None
    }

    /// All bytes of one place, if they are the right ones.
    fn attempt(&self, source: &dyn FetchSource, from: &Candidate, want: &Wanted) -> Result<Fetched, Problem> {
        let Opened { mut reader, size, file, .. } = source.open(from, 0).map_err(Problem::from)?;
        let most = want.size.unwrap_or(self.limits.package);
        if let Some(size) = size.filter(|size| *size > most || want.size.is_some_and(|wanted| wanted != *size)) {
            let mut front = [0; 256];
            let came = reader.read(&mut front).unwrap_or(0);
            return Err(wrong_size(size, most, want, front.get(..came).unwrap_or_default()));
        }
        let is_local = file.is_some();
        if let Some(file) = file.filter(|file| folder::stat(file).is_ok_and(|stat| only_ours(&stat))) {
            drop(reader);
            return in_place(file, source, want);
        }
        let cache = self.cache.as_ref().filter(|_| !is_local);
        let mut unfinished = Unfinished::new(cache).map_err(disk)?;
        let package = &want.package;
        let mut progress = |bytes| self.events.event(&Event::FetchProgress { package, bytes });
        let came = transfer::copy(&mut reader, unfinished.file(), most, &self.limits, &mut progress)?;
        judge(&came, want)?;
        let (mut file, kept) = unfinished.keep(&came.digest).map_err(disk)?;
        if let Err(error) = kept {
            self.events.event(&Event::Warning(&format!("{package} could not be kept in the cache: {error}")));
        }
        file.seek(SeekFrom::Start(0)).map_err(disk)?;
        Ok(Fetched { file, size: came.size, hashed: Some(came.digest), source: source.name().to_owned() })
    }
}

/// The places of a source, at most [`MAX_CANDIDATES`].
fn candidates(source: &dyn FetchSource, want: &Wanted, tried: &mut Tried) -> Vec<Candidate> {
    let mut all = Vec::new();
    let searched = source.find(want, &mut |candidate| {
        all.push(candidate);
        if all.len() < MAX_CANDIDATES { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    // Nor does a source that ignores the Break get more; what it found before an error is still tried.
    all.truncate(MAX_CANDIDATES);
    if let Err(error) = searched {
        tried.causes.push(format!("{}: {}", source.name(), one_line(&error)));
    }
    all
}

/// A file of this machine that nobody else can change is used where it lies.
fn in_place(mut file: File, source: &dyn FetchSource, want: &Wanted) -> Result<Fetched, Problem> {
    let (size, digest) = digest::of_file(&file).map_err(|error| Problem::Place(error.to_string()))?;
    judge(&Came { size, digest, front: Vec::new() }, want)?;
    file.seek(SeekFrom::Start(0)).map_err(disk)?;
    Ok(Fetched { file, size, hashed: Some(digest), source: source.name().to_owned() })
}

fn judge(came: &Came, want: &Wanted) -> Result<(), Problem> {
    let (size, digest) = (came.size, &came.digest);
    if *digest == want.digest && want.size.is_none_or(|wanted| wanted == size) {
        return Ok(());
    }
    if transfer::is_web_page(&came.front) {
        return Err(Problem::WebPage);
    }
    Err(Problem::Wrong(match want.size.filter(|wanted| *wanted != size) {
        Some(wanted) => format!("it has {size} bytes instead of {wanted}"),
        None => format!("its SHA-256 is {digest} instead of {}", want.digest),
    }))
}

fn wrong_size(size: u64, most: u64, want: &Wanted, front: &[u8]) -> Problem {
    if transfer::is_web_page(front) {
        return Problem::WebPage;
    }
    Problem::Wrong(match want.size {
        Some(wanted) => format!("it announces {size} bytes instead of {wanted}"),
        None => format!("it announces {size} bytes, more than {most}"),
    })
}

/// Why a place did not give the right bytes.
enum Problem {
    /// Our own disk failed; another place will not help.
    Disk(Error),
    /// It gave something else.
    Wrong(String),
    /// It gave a web page, as a network does that wants a login first (N20).
    WebPage,
    /// It gave nothing, or not all.
    Place(String),
}

fn disk(error: std::io::Error) -> Problem {
    Problem::Disk(Error::storage("cannot write a temporary file for the download").because(&error))
}

impl From<FetchError> for Problem {
    fn from(error: FetchError) -> Self {
        Self::Place(one_line(&error))
    }
}

impl From<Stopped> for Problem {
    fn from(stopped: Stopped) -> Self {
        match stopped {
            Stopped::Disk(error) => disk(error),
            Stopped::TooLarge(_) => Self::Wrong(stopped.to_string()),
            Stopped::Source(_) | Stopped::TooSlow => Self::Place(stopped.to_string()),
        }
    }
}

impl std::fmt::Display for Stopped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Source(error) => f.write_str(&one_line(error)),
            Self::TooLarge(most) => write!(f, "more than {most} bytes came"),
            Self::TooSlow => f.write_str("it is too slow"),
            Self::Disk(error) => write!(f, "the copy could not be written: {error}"),
        }
    }
}

/// An error and all that stands behind it.
fn one_line(error: &(dyn std::error::Error + 'static)) -> String {
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

/// Every place that was tried for one file.
#[derive(Default)]
struct Tried {
    causes: Vec<String>,
    wrong: bool,
    web_page: bool,
}

impl Tried {
    fn note(&mut self, source: &dyn FetchSource, location: &str, problem: Problem) -> String {
        let problem = match problem {
            Problem::Disk(error) => error.to_string(),
            Problem::Place(text) => text,
            Problem::Wrong(text) => {
                self.wrong = true;
                text
            }
            Problem::WebPage => {
                self.web_page = true;
                "it answered with a web page".to_owned()
            }
        };
        let place = shown(location);
        let text = match problem.contains(&place) {
            true => format!("{}: {problem}", source.name()),
            false => format!("{}: {place}: {problem}", source.name()),
        };
        self.causes.push(text.clone());
        text
    }

    fn into_error(self, message: String, want: &Wanted) -> Error {
        if self.causes.is_empty() {
            let mirrors: Vec<_> = want.mirrors.iter().take(MAX_CANDIDATES).map(|mirror| shown(mirror)).collect();
            return Error::request(message).caused_by(match mirrors.is_empty() {
                true => "the index names no place for it".to_owned(),
                false => format!("no source that is in use understands its mirrors: {}", mirrors.join(" ")),
            });
        }
        let kind = if self.wrong { ErrorKind::Integrity } else { ErrorKind::Network };
        let mut error = Error::new(kind, message);
        for cause in self.causes {
            error = error.caused_by(cause);
        }
        if self.web_page { error.hint(LOGIN_HINT) } else { error }
    }
}

/// What to do about a network that answers for others.
const LOGIN_HINT: &str = "this network may ask for a login first: open any page in a browser, then try again";

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test lays out its own folders")]
mod tests;
