//! Fetching an index: bytes into a temporary file beside the one that they may replace.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::time::Instant;

use packets_hook_runtime::folder::{self, Folder, Rename};
use packets_plugin_api::fetch::{Candidate, FetchSource, Opened};

use super::problem::{LOGIN_HINT, Problem};
use super::transfer::{self, Written};
use super::{Fetcher, left_out, shown};
use crate::archive;
use crate::cache::remove_stale;
use crate::durable::random_name;
use crate::error::{Context, Error, ErrorKind, Result};
use crate::report::Event;

/// What everything begins with that zstd has compressed.
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// Whether zstd has compressed this.
pub(crate) fn is_compressed(mut file: impl Read) -> io::Result<bool> {
    let mut front = Vec::with_capacity(ZSTD.len());
    file.by_ref().take(ZSTD.len() as u64).read_to_end(&mut front)?;
    Ok(front == ZSTD)
}

/// What the names of indexes begin with that are not verified yet.
const UNVERIFIED: &str = ".index-";

/// An index that has been fetched and not looked at. It is gone with this value,
/// unless it is [published](Self::publish).
#[derive(Debug)]
pub struct FetchedIndex {
    folder: Folder,
    name: Option<String>,
    file: File,
    size: u64,
    version: Option<String>,
}

impl FetchedIndex {
    /// Its name for now, in the folder that was given.
    pub fn name(&self) -> &str {
        self.name.as_deref().unwrap_or_default()
    }
    /// The open file, at its beginning.
    pub fn file(&self) -> &File {
        &self.file
    }
    /// Which version the place says it is, where it tells versions apart.
    pub fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }
    /// In bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Gives it its name, in one step and durably; what stood there is replaced. Until
    /// then that stays as it was (M22). Anyone may read it.
    ///
    /// # Errors
    /// Storage; then nothing has changed.
    pub fn publish(mut self, as_name: &str) -> Result<()> {
        let named = || format!("cannot put the new index in place as {as_name}");
        folder::set_mode(&self.file, 0o644).context(named)?;
        self.file.sync_all().context(named)?;
        self.folder.rename(self.name(), &self.folder, as_name, Rename::Replace).context(named)?;
        self.name = None;
        self.folder.sync().context(named)
    }
}

impl Drop for FetchedIndex {
    fn drop(&mut self) {
        if let Some(name) = &self.name {
            let _ = self.folder.remove_file(name);
        }
    }
}

impl Fetcher<'_> {
    /// All bytes of the index at `location`, a URL or an absolute path, in a temporary
    /// file of `into`; decompressed where zstd has compressed them. Nothing is known of them but that they are not too many.
    ///
    /// # Errors
    /// Request, where no source understands the location; network, where nothing or a web
    /// page came; integrity, where too much came; storage, where it cannot be written.
    pub fn fetch_index(&self, location: &str, into: &Folder) -> Result<FetchedIndex> {
        self.try_index(location, |source| self.index_from(source.open(&Candidate::at(location), 0)?, into))
    }

    /// The same; none where the place still has this version.
    ///
    /// # Errors
    /// As for [`fetch_index`](Self::fetch_index).
    pub fn fetch_index_unless(&self, version: &str, location: &str, into: &Folder) -> Result<Option<FetchedIndex>> {
        let known = Candidate { version: Some(version.to_owned()), ..Candidate::at(location) };
        self.try_index(location, |source| {
            source.open_unless(&known)?.map(|opened| self.index_from(opened, into)).transpose()
        })
    }

    fn try_index<T>(&self, location: &str, attempt: impl Fn(&dyn FetchSource) -> Result<T, Problem>) -> Result<T> {
        let named = || format!("cannot fetch the index {}", shown(location));
        let Some(source) = self.sources.iter().find(|source| source.claims(location)) else {
            let names: Vec<_> = self.sources.iter().map(|source| source.name()).collect();
            let problem = match names.is_empty() {
                true => "no source is in use".to_owned(),
                false => format!("no source that is in use ({}) understands this place", names.join(", ")),
            };
            let error = Error::request(named()).caused_by(problem);
            return Err(match left_out::hint([location].into_iter()) {
                Some(hint) => error.hint(hint),
                None => error,
            });
        };
        let started = Instant::now();
        let mut failures = 0;
        loop {
            let problem = match attempt(source.as_ref()) {
                Ok(came) => return Ok(came),
                Err(problem) => problem,
            };
            failures += 1;
            match problem.pause(failures, &self.limits) {
                Some(pause) if started.elapsed() + pause < self.limits.retry_time => {
                    let what = format!("the index: {problem}");
                    self.events.event(&Event::FetchWaits { what: &what, pause });
                    std::thread::sleep(pause);
                }
                _ => return Err(error_of(problem, location).within(named())),
            }
        }
    }

    fn index_from(&self, opened: Opened, into: &Folder) -> Result<FetchedIndex, Problem> {
        let Opened { mut reader, size, version, .. } = opened;
        if let Some(size) = size.filter(|size| *size > self.limits.index) {
            let most = self.limits.index;
            return Err(Problem::Wrong(format!("it announces {size} bytes, and an index has at most {most}")));
        }
        let mut index = new_file(into).map_err(Problem::Disk)?;
        let mut written = Written::default();
        let limits = &self.limits;
        let mut progress = |bytes| self.events.event(&Event::IndexProgress { bytes, size });
        transfer::copy(
            &mut reader,
            &mut index.file,
            &mut written,
            limits.index,
            &mut || limits.slowest,
            &mut progress,
        )?;
        if transfer::is_web_page(written.front()) {
            return Err(Problem::WebPage);
        }
        index.size = written.size();
        index.version = version;
        index.file.seek(SeekFrom::Start(0)).map_err(Problem::disk)?;
        if written.front().starts_with(&ZSTD) { self.decompressed(&index, into) } else { Ok(index) }
    }

    /// What a compressed index holds: not more than an index may have, however little came of it (M06, M28).
    fn decompressed(&self, index: &FetchedIndex, into: &Folder) -> Result<FetchedIndex, Problem> {
        let damaged = |error: io::Error| Problem::Wrong(format!("it is compressed with zstd and damaged: {error}"));
        let most = self.limits.index;
        let mut decoder = zstd::stream::read::Decoder::new(&index.file).map_err(damaged)?;
        decoder.window_log_max(archive::WINDOW_LOG).map_err(damaged)?;
        let mut bounded = decoder.take(most + 1);
        let mut plain = new_file(into).map_err(Problem::Disk)?;
        plain.version.clone_from(&index.version);
        let mut buffer = vec![0; 256 << 10];
        loop {
            match bounded.read(&mut buffer).map_err(damaged)? {
                0 => break,
                came => plain.file.write_all(&buffer[..came]).map_err(Problem::disk)?,
            }
            plain.size = most + 1 - bounded.limit();
            if plain.size > most {
                return Err(Problem::Wrong(format!("it holds more than {most} bytes, which no index has")));
            }
        }
        plain.file.seek(SeekFrom::Start(0)).map_err(Problem::disk)?;
        Ok(plain)
    }
}

fn error_of(problem: Problem, location: &str) -> Error {
    match problem {
        Problem::Disk(error) => error,
        Problem::WebPage if location.ends_with(".db") => {
            Error::new(ErrorKind::Network, "the place answered with a web page").hint(LOGIN_HINT)
        }
        Problem::WebPage => {
            let folder = location.trim_end_matches('/');
            Error::new(ErrorKind::Network, "the place answered with a web page")
                .hint(format!("the address of an index names its file: {}/index.db", shown(folder)))
        }
        problem => Error::new(problem.kind(), problem.to_string()),
    }
}

fn new_file(into: &Folder) -> Result<FetchedIndex> {
    let named = || "cannot make a temporary file for the index".to_owned();
    remove_stale(into, UNVERIFIED);
    let folder = into.again().context(named)?;
    let name = format!("{UNVERIFIED}{}", random_name().context(named)?);
    let file = folder.create(&name, 0o600).context(named)?;
    Ok(FetchedIndex { folder, name: Some(name), file, size: 0, version: None })
}
