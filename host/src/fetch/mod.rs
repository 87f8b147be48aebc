//! The stage that gets bytes: from the cache, else from the first place that has the right ones.
//!
//! No source is trusted. Each reader is bounded by the size that the index knows, hashed
//! while it is written to a file that nobody else can open, given up where it is too slow,
//! and left for the next place where it gives anything but the right bytes (M07, M14, M23).
//! `places` decides whom to ask, `download` what becomes of the bytes, `limits` bounds both. A large file
//! that peers have comes from several places at once: `swarm`.

mod ahead;
mod buffers;
mod download;
mod hashing;
mod hosts;
mod index;
mod left_out;
pub mod limits;
mod location;
mod pace;
mod partner;
mod pieces;
mod places;
mod problem;
mod swarm;
mod transfer;

use std::collections::HashMap;
use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};

use packets_hook_runtime::folder::{self, Kind};
use packets_plugin_api::fetch::FetchSource;
use packets_plugin_api::ident::{Digest, PackageName};

use crate::cache::{Cache, Entry, Unfinished, only_ours};
use crate::digest;
use crate::error::{Context, Error, Result};
use crate::report::{Event, Events};

use download::{Download, wrong_bytes};
use hosts::Hosts;
pub use index::FetchedIndex;
pub(crate) use index::is_compressed;
pub use limits::Limits;
use limits::{MAX_PACKAGE_SIZE, TOGETHER};
pub use location::{resolve_mirror, shown};
/// A package file that is wanted; its mirrors are absolute ([`resolve_mirror`]).
pub use packets_plugin_api::fetch::Artifact as Wanted;
use places::{Answer, Invited, Places};
use problem::Problem;
pub(crate) use problem::one_line;
use swarm::{End, Swarm};
use transfer::Written;

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
    let mut written = Written::default();
    transfer::copy(&mut file, copy.file(), &mut written, MAX_PACKAGE_SIZE, &mut || limits::SLOWEST, &mut |_| {})
        .map_err(|stopped| Error::storage(named()).caused_by(Problem::from(stopped).to_string()))?;
    let mut file = copy.into_file().context(named)?;
    file.seek(SeekFrom::Start(0)).context(named)?;
    Ok(Fetched { file, size: written.size(), hashed: Some(written.digest()), source })
}

/// What came of asking.
enum Came {
    /// A file of this machine.
    InFile(Fetched),
    /// The rest of the download, most of all from this place.
    Downloaded(usize),
    /// Not all of it, or something wrong; whose fault it was is noted already.
    NotAll,
}

/// Fetches from all its sources. Can be used from several threads at once.
pub struct Fetcher<'a> {
    sources: Vec<Arc<dyn FetchSource>>,
    cache: Option<Cache>,
    events: &'a dyn Events,
    limits: Limits,
    hosts: Arc<Hosts>,
    givers: Mutex<HashMap<PackageName, String>>,
    /// What the near sources are going to be told.
    untold: Mutex<Vec<Wanted>>,
}

impl<'a> Fetcher<'a> {
    /// One that asks these sources. Without a cache, or where it cannot be written to,
    /// files are kept until they are used and no longer.
    pub fn new(sources: Vec<Arc<dyn FetchSource>>, cache: Option<Cache>, events: &'a dyn Events) -> Self {
        Self {
            sources,
            cache,
            events,
            limits: Limits::default(),
            hosts: Arc::default(),
            givers: Mutex::default(),
            untold: Mutex::default(),
        }
    }

    /// The cache that is looked into first.
    pub(crate) fn cache(&self) -> Option<&Cache> {
        self.cache.as_ref()
    }

    /// The place that gave each package, or most of it, as far as it was not in the cache.
    pub(crate) fn givers(&self) -> HashMap<PackageName, String> {
        self.givers.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn gave(&self, want: &Wanted, location: String) {
        self.givers.lock().unwrap_or_else(PoisonError::into_inner).insert(want.package.clone(), location);
    }

    /// The same one with other bounds.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Tells the sources what is going to be fetched, as far as the cache has not got it; nothing, where it has all. The
    /// near ones hear it when the first file has been asked for elsewhere.
    pub fn prepare(&self, wants: &[Wanted]) {
        let is_missing = |want: &&Wanted| self.cache.as_ref().is_none_or(|cache| !cache.has(&want.digest));
        let missing: Vec<Wanted> = wants.iter().filter(is_missing).cloned().collect();
        if missing.is_empty() {
            return;
        }
        self.sources.iter().filter(|source| !source.is_near()).for_each(|source| source.prepare(&missing));
        *self.untold.lock().unwrap_or_else(PoisonError::into_inner) = missing;
    }

    /// Tells the near sources, once. Whoever comes while they are told waits: they are not searched before.
    fn tell_near(&self) {
        let mut untold = self.untold.lock().unwrap_or_else(PoisonError::into_inner);
        let missing = mem::take(&mut *untold);
        if !missing.is_empty() {
            self.sources.iter().filter(|source| source.is_near()).for_each(|source| source.prepare(&missing));
        }
    }

    /// The package file, from the cache or the first place that gives the right bytes.
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
        let fetched = match self.cached(want) {
            Some(fetched) => fetched,
            None => self.download(want, named)?,
        };
        self.events.event(&Event::FetchDone { package, source: &fetched.source });
        Ok(fetched)
    }

    /// From one place after another, until all of it is there.
    fn download(&self, want: &Wanted, named: impl Fn() -> String) -> Result<Fetched> {
        let most = want.size.unwrap_or(self.limits.package);
        let mut download = Download::begin(want, self.cache.as_ref(), most).context(&named)?;
        if download.is_right() {
            return self.finish(download, want, "cache").context(named);
        }
        let mut places = Places::new(&self.sources, want, &self.limits, &self.hosts, self.events);
        places.search(&download, || self.tell_near());
        while let Some(answer) = places.next(&download) {
            let place = answer.place;
            let outcome = match self.comes_together(&answer, &download, &mut places) {
                true => self.receive_together(answer, &mut download, &mut places, want),
                false => self.receive(answer, &mut download, &mut places, want),
            };
            places.progressed(download.size());
            match outcome {
                Ok(Came::InFile(fetched)) => {
                    self.gave(want, places.candidate(place).location);
                    return Ok(fetched);
                }
                Ok(Came::Downloaded(from)) => {
                    for liar in download.liars().context(&named)? {
                        places.lied(liar);
                    }
                    for place in download.all_givers() {
                        places.source_of(place).confirmed(&places.candidate(place));
                    }
                    let giver = download.main_giver().unwrap_or(from);
                    self.gave(want, places.candidate(giver).location);
                    return self.finish(download, want, places.source_of(from).name()).context(named);
                }
                Ok(Came::NotAll) => {}
                Err(Problem::Disk(error)) => return Err(error.within(named())),
                Err(problem) => places.failed(place, problem),
            }
        }
        Err(places.into_error(named()))
    }

    /// Whether it is large, or comes from a peer that may turn out to be slow, and somebody can help.
    fn comes_together(&self, answer: &Answer, download: &Download<'_>, places: &mut Places<'_>) -> bool {
        let goes_on = answer.opened.file.is_none() && answer.offset == download.size() && !download.is_alone();
        let missing = download.missing().map_or(0, |missing| missing.end.saturating_sub(missing.start));
        let may_need_help = missing > TOGETHER || missing > 0 && places.is_near(answer.place);
        goes_on && may_need_help && places.can_be_joined(answer.place)
    }

    /// What several places give, the one that answered among them.
    fn receive_together(
        &self,
        answer: Answer,
        download: &mut Download<'_>,
        places: &mut Places<'_>,
        want: &Wanted,
    ) -> Result<Came, Problem> {
        let Answer { place, mut opened, offset, slot, .. } = answer;
        let mut progress = |bytes| self.events.event(&Event::FetchProgress { package: &want.package, bytes });
        download.begin_at(&mut opened, offset, &mut progress)?;
        let missing = download.missing().unwrap_or_default();
        let first =
            Invited { place, source: places.source_of(place).clone(), candidate: places.candidate(place), slot };
        let swarm = Swarm::new(download, places, missing, &mut progress);
        if swarm.run(first, opened)? == End::Alone {
            return Ok(Came::NotAll);
        }
        match (download.main_giver(), download.judge()) {
            (from, Ok(())) => Ok(Came::Downloaded(from.unwrap_or(place))),
            (_, Err((_, Problem::Disk(error)))) => Err(Problem::Disk(error)),
            (_, Err((Some(alone), problem))) => {
                places.failed(alone, problem);
                Ok(Came::NotAll)
            }
            (_, Err((None, _))) => {
                let problem = "what several places gave is not the right file, and all is fetched anew from one";
                self.events.event(&Event::FetchRetry { package: &want.package, problem });
                Ok(Came::NotAll)
            }
        }
    }

    /// What a place gives: a file that is used where it lies, or bytes that complete the download.
    fn receive(
        &self,
        answer: Answer,
        download: &mut Download<'_>,
        places: &mut Places<'_>,
        want: &Wanted,
    ) -> Result<Came, Problem> {
        let Answer { place, mut opened, offset, slot: _held } = answer;
        if let Some(file) = opened.file.take() {
            return self.local_file(file, places.source_of(place).as_ref(), want).map(Came::InFile);
        }
        let mut progress = |bytes| self.events.event(&Event::FetchProgress { package: &want.package, bytes });
        download.take(opened, offset, place, &mut || places.slowest_alone(place), &mut progress)?;
        Ok(Came::Downloaded(place))
    }

    fn finish(&self, download: Download<'_>, want: &Wanted, source: &str) -> std::io::Result<Fetched> {
        let size = download.size();
        let (file, kept) = download.finish()?;
        if let Err(error) = kept {
            let text = format!("{} could not be kept in the cache: {error}", want.package);
            self.events.event(&Event::Warning(&text));
        }
        Ok(Fetched { file, size, hashed: Some(want.digest), source: source.to_owned() })
    }

    /// A file of this machine is used where it lies, when nobody else can change it; else a copy of it.
    fn local_file(&self, mut file: File, source: &dyn FetchSource, want: &Wanted) -> Result<Fetched, Problem> {
        let read = |error: std::io::Error| Problem::Refused(error.to_string());
        file.seek(SeekFrom::Start(0)).map_err(read)?;
        let stat = folder::stat(&file).map_err(read)?;
        let most = want.size.unwrap_or(self.limits.package);
        if stat.size > most {
            return Err(Problem::Wrong(format!("it has {} bytes, more than {most}", stat.size)));
        }
        let (size, digest) = if only_ours(&stat) {
            digest::of_file(&file).map_err(read)?
        } else {
            let (mut copy, mut written) = (Unfinished::private().map_err(Problem::disk)?, Written::default());
            transfer::copy(&mut file, copy.file(), &mut written, most, &mut || self.limits.slowest, &mut |_| {})?;
            file = copy.into_file().map_err(Problem::disk)?;
            (written.size(), written.digest())
        };
        if digest != want.digest || want.size.is_some_and(|wanted| wanted != size) {
            return Err(wrong_bytes(size, &[], want, || digest.to_string()));
        }
        file.seek(SeekFrom::Start(0)).map_err(Problem::disk)?;
        Ok(Fetched { file, size, hashed: Some(digest), source: source.name().to_owned() })
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
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test lays out its own folders")]
mod tests;
