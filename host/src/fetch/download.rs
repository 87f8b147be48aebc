//! A package file that grows: by what an earlier run has left, by one place and then another.
//!
//! Nothing counts before the whole has been hashed. Where the whole is wrong and
//! several had a part in it, none of them is known to be the liar yet; from then on each
//! place continues only what it gave itself (N10). The wrong one is kept beside it, and compared with
//! the right one when that has come: whoever gave other bytes lied.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::os::unix::fs::FileExt;

use packets_plugin_api::fetch::Opened;

use super::Wanted;
use super::limits::Speed;
use super::problem::Problem;
use super::transfer::{self, BUFFER, Written};
use crate::cache::{self, Cache, Unfinished};

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
    givers: Givers,
    /// Whether places continue only what they gave themselves.
    apart: bool,
    /// Whether one place at a time gives it.
    alone: bool,
    /// What several have given that was wrong, and who gave what of it.
    wrong: Option<(File, Givers)>,
}

/// Where the bytes of each end, in order.
type Givers = Vec<(u64, Giver)>;

impl<'a> Download<'a> {
    /// With what an earlier run has left in the cache, hashed (N18).
    pub(super) fn begin(want: &'a Wanted, cache: Option<&'a Cache>, most: u64) -> io::Result<Self> {
        let (file, written, givers) = (None, Written::default(), Vec::new());
        let mut begun = Self { want, cache, most, file, written, givers, apart: false, alone: false, wrong: None };
        if cache.is_some_and(|cache| cache.has_part(&want.digest)) {
            let file = begun.file()?.try_clone()?;
            if file.metadata()?.len() > most {
                begun.clear()?;
            } else {
                begun.written = Written::of(&file, most)?;
            }
            if begun.written.size() > 0 {
                begun.givers = vec![(begun.written.size(), Giver::EarlierRun)];
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
        if self.is_only_from(place) || !self.apart { self.written.size() } else { 0 }
    }

    /// Whether nobody else had a part in it.
    fn is_only_from(&self, place: usize) -> bool {
        self.givers.iter().all(|(_, giver)| *giver == Giver::Place(place))
    }

    /// Whether each place gives only all of it.
    pub(super) fn is_apart(&self) -> bool {
        self.apart
    }

    /// From now on one place at a time gives it.
    pub(super) fn stay_alone(&mut self) {
        self.alone = true;
    }

    /// Whether one place at a time gives it.
    pub(super) fn is_alone(&self) -> bool {
        self.alone || self.apart
    }

    /// A file for bytes that come before their turn, where this one lies too.
    pub(super) fn scratch(&self) -> io::Result<File> {
        cache::scratch(self.cache)
    }

    /// The bytes that are missing, where it is known how many it has.
    pub(super) fn missing(&self) -> Option<Range<u64>> {
        self.want.size.map(|size| self.written.size()..size)
    }

    /// Whether this place has had a part in it, and so in one version of it.
    pub(super) fn is_from(&self, place: usize) -> bool {
        self.givers.iter().any(|(_, giver)| *giver == Giver::Place(place))
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
        mut opened: Opened,
        offset: u64,
        place: usize,
        slowest: &mut dyn FnMut() -> Speed,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(), Problem> {
        self.begin_at(&mut opened, offset, progress)?;
        let (end, most) = (self.written.size(), self.most);
        self.file().and_then(|file| file.seek(SeekFrom::Start(end))).map_err(Problem::disk)?;
        let Some(file) = self.file.as_mut().map(Unfinished::file) else { return Ok(()) };
        let copied = transfer::copy(&mut opened.reader, file, &mut self.written, most, slowest, progress);
        self.note(place);
        match copied {
            Ok(()) if self.is_right() => Ok(()),
            Ok(()) => Err(self.condemn(place, None)),
            Err(stopped @ transfer::Stopped::TooLarge(_)) => Err(self.condemn(place, Some(stopped.into()))),
            // Whatever came instead of its end: nothing is missing.
            Err(_) if self.is_right() => Ok(()),
            Err(transfer::Stopped::Disk(error)) => Err(self.full(error)),
            Err(stopped) => Err(stopped.into()),
        }
    }

    /// Before bytes of a place are taken: those that stand where they belong go, and it must not announce others.
    pub(super) fn begin_at(
        &mut self,
        opened: &mut Opened,
        offset: u64,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(), Problem> {
        if offset != self.written.size() {
            self.clear().map_err(Problem::disk)?;
            progress(0);
        }
        let left = self.most.saturating_sub(offset);
        let is_known = self.want.size.is_some();
        if let Some(size) = opened.size.filter(|size| *size > left || is_known && *size != left) {
            let mut front = [0; 256];
            let came = if offset == 0 { opened.reader.read(&mut front).unwrap_or(0) } else { 0 };
            return Err(wrong_size(size.saturating_add(offset), self.most, self.want, &front[..came.min(256)]));
        }
        Ok(())
    }

    /// Takes the first so many bytes of this piece, which a place gave, at its end: of those that are
    /// [missing](Self::missing). What is given back, this one or an earlier one, can be filled again.
    pub(super) fn append(&mut self, piece: Vec<u8>, length: usize, place: usize) -> io::Result<Option<Vec<u8>>> {
        let end = self.written.size();
        self.file()?.write_all_at(&piece[..length], end)?;
        let used = self.written.add(piece, length);
        self.note(place);
        Ok(used)
    }

    /// What was written last is this place's.
    fn note(&mut self, place: usize) {
        let (end, giver) = (self.written.size(), Giver::Place(place));
        match self.givers.last_mut() {
            Some((until, _)) if *until == end => {}
            Some((until, last)) if *last == giver => *until = end,
            _ if end == 0 => {}
            _ => self.givers.push((end, giver)),
        }
    }

    /// The disk took no more: what was only kept to find liars goes first.
    fn full(&mut self, error: io::Error) -> Problem {
        match self.wrong.take() {
            Some(_) => Problem::Failed(format!("the disk was full for a moment: {error}")),
            None => Problem::disk(error),
        }
    }

    /// Who gave most of it.
    pub(super) fn main_giver(&self) -> Option<usize> {
        self.sums().into_iter().max_by_key(|(_, sum)| *sum).map(|(place, _)| place)
    }

    /// Everybody who gave a part of it.
    pub(super) fn all_givers(&self) -> impl Iterator<Item = usize> + use<> {
        self.sums().into_iter().map(|(place, _)| place)
    }

    /// How much each place gave.
    fn sums(&self) -> Vec<(usize, u64)> {
        let mut sums: Vec<(usize, u64)> = Vec::new();
        for (range, giver) in parts(&self.givers) {
            let Giver::Place(place) = giver else { continue };
            match sums.iter_mut().find(|(of, _)| *of == place) {
                Some((_, sum)) => *sum += range.end - range.start,
                None => sums.push((place, range.end - range.start)),
            }
        }
        sums
    }

    /// What several have given together is judged: who is to blame for what is wrong, where one alone gave it.
    pub(super) fn judge(&mut self) -> Result<(), (Option<usize>, Problem)> {
        if self.is_right() {
            return Ok(());
        }
        let alone = self.main_giver().filter(|place| self.is_only_from(*place));
        Err((alone, self.condemn(alone.unwrap_or(usize::MAX), None)))
    }

    /// Now that it is right: the places whose bytes were others when it was wrong.
    pub(super) fn liars(&mut self) -> io::Result<Vec<usize>> {
        let Some((wrong, givers)) = self.wrong.take() else { return Ok(Vec::new()) };
        let right = self.file()?;
        let mut liars = Vec::new();
        for (range, giver) in parts(&givers) {
            let Giver::Place(place) = giver else { continue };
            if !liars.contains(&place) && !is_same(&wrong, right, range)? {
                liars.push(place);
            }
        }
        Ok(liars)
    }

    /// The whole is wrong: nothing of it counts, the last bytes of it are of this place.
    fn condemn(&mut self, place: usize, known: Option<Problem>) -> Problem {
        let problem = if self.is_only_from(place) {
            known.unwrap_or_else(|| self.wrong())
        } else {
            self.apart = true;
            // Without it nobody can be blamed, and nothing else is lost.
            let wrong = self.file.take().and_then(|file| file.into_file().ok());
            self.wrong = wrong.map(|file| (file, std::mem::take(&mut self.givers)));
            Problem::Mixed
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

/// The bytes of each giver.
fn parts(givers: &[(u64, Giver)]) -> impl Iterator<Item = (Range<u64>, Giver)> {
    let starts = std::iter::once(0).chain(givers.iter().map(|(end, _)| *end));
    starts.zip(givers).map(|(start, (end, giver))| (start..*end, *giver))
}

/// Whether these bytes of both are the same; where one ends, they are not.
fn is_same(one: &File, other: &File, range: Range<u64>) -> io::Result<bool> {
    let mut buffers = [vec![0; BUFFER], vec![0; BUFFER]];
    let mut at = range.start;
    while at < range.end {
        let length = usize::try_from(range.end - at).unwrap_or(usize::MAX).min(BUFFER);
        for (file, buffer) in [one, other].into_iter().zip(&mut buffers) {
            match file.read_exact_at(&mut buffer[..length], at) {
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
                read => read?,
            }
        }
        if buffers[0][..length] != buffers[1][..length] {
            return Ok(false);
        }
        at += length as u64;
    }
    Ok(true)
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
