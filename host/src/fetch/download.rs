//! A package file that grows: by what an earlier run has left, by one place and then another.
//!
//! Nothing counts before the whole has been hashed. Where the whole is wrong and
//! several had a part in it, none of them is known to be the liar; from then on each
//! place continues only what it gave itself (N10).

use std::fs::File;
use std::io::{self, Seek, SeekFrom};

use packets_plugin_api::fetch::Opened;

use super::Wanted;
use super::limits::Speed;
use super::problem::Problem;
use super::transfer::{self, Written};
use crate::cache::{Cache, Unfinished};

/// Who gave bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Giver {
    /// A run before this one.
    EarlierRun,
    /// The place of this number.
    Place(usize),
}

/// See the module.
pub(super) struct Download<'a> {
    want: &'a Wanted,
    cache: Option<&'a Cache>,
    /// The most that it may have.
    most: u64,
    file: Option<Unfinished<'a>>,
    written: Written,
    givers: Vec<Giver>,
    /// Whether places continue only what they gave themselves.
    apart: bool,
}

impl<'a> Download<'a> {
    /// With what an earlier run has left in the cache, hashed (N18).
    pub(super) fn begin(want: &'a Wanted, cache: Option<&'a Cache>, most: u64) -> io::Result<Self> {
        let mut begun =
            Self { want, cache, most, file: None, written: Written::default(), givers: Vec::new(), apart: false };
        if cache.is_some_and(|cache| cache.has_part(&want.digest)) {
            let file = begun.file()?.try_clone()?;
            if file.metadata()?.len() > most {
                begun.clear()?;
            } else {
                begun.written = Written::of(&file, most)?;
            }
            if begun.written.size() > 0 {
                begun.givers = vec![Giver::EarlierRun];
            }
        }
        Ok(begun)
    }

    fn file(&mut self) -> io::Result<&mut File> {
        if self.file.is_none() {
            self.file = Some(Unfinished::new(self.cache, &self.want.digest)?);
        }
        self.file.as_mut().map(Unfinished::file).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// In bytes, so far.
    pub(super) fn size(&self) -> u64 {
        self.written.size()
    }

    /// Where this place is to start.
    pub(super) fn offset_for(&self, place: usize) -> u64 {
        let own = self.givers.iter().all(|giver| *giver == Giver::Place(place));
        if own || !self.apart { self.written.size() } else { 0 }
    }

    /// Whether this place has had a part in it, and so in one version of it.
    pub(super) fn is_from(&self, place: usize) -> bool {
        self.givers.contains(&Giver::Place(place))
    }

    /// Whether all of it is there, and right.
    pub(super) fn is_right(&self) -> bool {
        let size = self.written.size();
        self.want.size.is_none_or(|wanted| wanted == size) && size > 0 && self.written.digest() == self.want.digest
    }

    /// Takes what a place gives from an offset on, to its end.
    ///
    /// # Errors
    /// Whatever is wrong with it; what came before it went wrong is kept as far as it may be right.
    pub(super) fn take(
        &mut self,
        opened: Opened,
        offset: u64,
        place: usize,
        slowest: Speed,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(), Problem> {
        let Opened { mut reader, size, .. } = opened;
        if offset != self.written.size() {
            self.clear().map_err(Problem::disk)?;
            progress(0);
        }
        let left = self.most.saturating_sub(offset);
        let is_known = self.want.size.is_some();
        if let Some(size) = size.filter(|size| *size > left || is_known && *size != left) {
            let mut front = [0; 256];
            let came = if offset == 0 { reader.read(&mut front).unwrap_or(0) } else { 0 };
            return Err(wrong_size(size.saturating_add(offset), self.most, self.want, &front[..came.min(256)]));
        }
        if !self.is_from(place) {
            self.givers.push(Giver::Place(place));
        }
        let end = self.written.size();
        let most = self.most;
        self.file().and_then(|file| file.seek(SeekFrom::Start(end))).map_err(Problem::disk)?;
        let Some(file) = self.file.as_mut().map(Unfinished::file) else { return Ok(()) };
        match transfer::copy(&mut reader, file, &mut self.written, most, slowest, progress) {
            Ok(()) if self.is_right() => Ok(()),
            Ok(()) => Err(self.condemn(None)),
            Err(stopped @ transfer::Stopped::TooLarge(_)) => Err(self.condemn(Some(stopped.into()))),
            // Whatever came instead of its end: nothing is missing.
            Err(_) if self.is_right() => Ok(()),
            Err(stopped) => Err(stopped.into()),
        }
    }

    /// The whole is wrong: nothing of it is kept.
    fn condemn(&mut self, known: Option<Problem>) -> Problem {
        let problem = match self.givers.as_slice() {
            [_] => known.unwrap_or_else(|| self.wrong()),
            _ => {
                self.apart = true;
                Problem::Mixed
            }
        };
        match self.clear() {
            Ok(()) => problem,
            Err(error) => Problem::disk(error),
        }
    }

    fn wrong(&self) -> Problem {
        wrong_bytes(self.written.size(), self.written.front(), self.want, || self.written.digest().to_string())
    }

    fn clear(&mut self) -> io::Result<()> {
        (self.written, self.givers) = (Written::default(), Vec::new());
        match &mut self.file {
            Some(file) => file.file().set_len(0).and_then(|()| file.file().rewind()),
            None => Ok(()),
        }
    }

    /// The file, at its beginning, in the cache where there is one. The second value is why it could not be kept.
    pub(super) fn finish(mut self) -> io::Result<(File, io::Result<()>)> {
        self.file()?;
        let Some(file) = self.file.take() else { return Err(io::ErrorKind::NotFound.into()) };
        let (mut file, kept) = file.keep(&self.want.digest)?;
        file.rewind()?;
        Ok((file, kept))
    }
}

/// What is wrong with a whole file.
pub(super) fn wrong_bytes(size: u64, front: &[u8], want: &Wanted, digest: impl FnOnce() -> String) -> Problem {
    if transfer::is_web_page(front) {
        return Problem::WebPage;
    }
    Problem::Wrong(match want.size.filter(|wanted| *wanted != size) {
        Some(wanted) => format!("it has {size} bytes instead of {wanted}"),
        None => format!("its SHA-256 is {} instead of {}", digest(), want.digest),
    })
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
