//! A record's file and what SQLite keeps beside it, looked at without SQLite.

use std::ffi::OsString;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use packets_plugin_api::storage::StorageError;
use rustix::fs::{Mode, OFlags};

use crate::failure::Subject;
use crate::open;

/// The bytes of a database file's header.
const HEADER: usize = 100;
/// What a database file begins with.
const FILE_MAGIC: &[u8] = b"SQLite format 3\0";
/// What a journal begins with, and ends with where it names a journal above it.
const JOURNAL_MAGIC: &[u8] = &[0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7];

/// The path of what stands beside `place` under its name and `suffix`.
pub(crate) fn beside(place: &Path, suffix: &str) -> PathBuf {
    let mut path = OsString::from(place);
    path.push(suffix);
    path.into()
}

/// The rollback journal of the file at `place`.
pub(crate) fn journal(place: &Path) -> PathBuf {
    beside(place, "-journal")
}

/// Refuses what SQLite would take for a part of the record and is none; the answer
/// is whether a journal is there.
pub(crate) fn check(subject: &Subject, place: &Path) -> Result<bool, StorageError> {
    let is_there = |suffix: &str| match beside(place, suffix).symlink_metadata() {
        Ok(data) if data.is_file() => Ok(true),
        Ok(_) => Err(stranger(subject, suffix, "is not a regular file")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(subject.failed_at("open", error)),
    };
    // SQLite reads a log also beside a file that says that it has none.
    if is_there("-wal")? && !has_log(subject, place)? {
        return Err(stranger(subject, "-wal", "is not a part of it"));
    }
    is_there("-journal")
}

/// Whether something stands beside a file that SQLite would take for a part of it.
pub(crate) fn is_unfinished(place: &Path) -> bool {
    ["-journal", "-wal"].iter().any(|suffix| beside(place, suffix).symlink_metadata().is_ok())
}

/// The error about a file beside the record that is not its own.
pub(crate) fn stranger(subject: &Subject, suffix: &str, why: &str) -> StorageError {
    subject
        .corrupt(format!("the file beside it whose name ends with {suffix} {why}"))
        .with_hint("move that file elsewhere; where the record is damaged then, put a good copy in its place")
}

/// Whether the file says that it is written through a log (`journal_mode=WAL`).
fn has_log(subject: &Subject, place: &Path) -> Result<bool, StorageError> {
    let _alone = open::alone(place).map_err(|error| subject.failed_at("open", error))?;
    let header = Header::read(place).map_err(|error| subject.failed_at("open", error))?;
    Ok(header.is_some_and(|header| header.0[18..20] == [2, 2]))
}

/// Opens a regular file for reading; nothing is followed, nothing waited for.
pub(crate) fn open_file(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::ErrorKind::InvalidInput.into()) }
}

/// Makes a file that must not be there yet.
fn create(path: &Path, mode: u32) -> io::Result<File> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::from_raw_mode(mode))?.into())
}

/// Makes an empty file in the place of whatever stands there.
pub(crate) fn anew(new: &Path, mode: u32) -> io::Result<File> {
    remove(new).and_then(|()| create(new, mode))
}

/// Takes a file away, if it is there.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match rustix::fs::unlink(path) {
        Err(rustix::io::Errno::NOENT) => Ok(()),
        result => Ok(result?),
    }
}

/// Opens a file of a private folder for writing, made where it is not there.
fn open_private(path: &Path) -> io::Result<File> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR)?.into())
}

/// What tells whether a file's content has changed. Not the time of its attributes: when
/// root reads, SQLite gives a journal the owner of its file, and each reader would
/// disturb the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    file: (u64, u64),
    size: u64,
    modified: (i64, i64),
}

impl Stamp {
    fn of(data: &Metadata) -> Self {
        Self { file: (data.dev(), data.ino()), size: data.size(), modified: (data.mtime(), data.mtime_nsec()) }
    }
}

/// The state of a record's file and its journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamps {
    record: Stamp,
    journal: Option<Stamp>,
}

impl Stamps {
    /// The state now; none where there is no record.
    pub(crate) fn of(place: &Path) -> Option<Self> {
        let stamp = |path: &Path| path.symlink_metadata().ok().filter(Metadata::is_file).map(|data| Stamp::of(&data));
        Some(Self { record: stamp(place)?, journal: stamp(&journal(place)) })
    }

    /// The bytes of both.
    pub(crate) fn size(&self) -> u64 {
        self.record.size.saturating_add(self.journal.map_or(0, |journal| journal.size))
    }
}

/// Copies the file at `place`, and after it its journal where there is one, to the empty file `copy` and beside it.
/// The answer is their state; none where they changed meanwhile.
pub(crate) fn copy_pair(place: &Path, copy: &Path) -> io::Result<Option<Stamps>> {
    let _alone = open::alone(place)?;
    let Some(stamps) = Stamps::of(place) else { return Ok(None) };
    // The record first: the journal of a write is complete before the write begins.
    let pair = [(place, copy, Some(stamps.record)), (&*journal(place), &*journal(copy), stamps.journal)];
    for (from, to, stamp) in pair {
        let Some(stamp) = stamp else { continue };
        let from = match open_file(from) {
            Ok(from) => from,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        io::copy(&mut from.take(stamp.size), &mut open_private(to)?)?;
    }
    // Times are coarse: a whole write may have happened in one moment, but then it counted itself.
    let counted = Header::read(copy)?;
    let is_same = Stamps::of(place) == Some(stamps) && Header::read(place).is_ok_and(|now| now == counted);
    Ok(is_same.then_some(stamps))
}

/// The first bytes of a database file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header([u8; HEADER]);

impl Header {
    /// The header of the file at `path`; none where it has none, or another program's.
    pub(crate) fn read(path: &Path) -> io::Result<Option<Self>> {
        let mut header = [0; HEADER];
        Ok(match open_file(path)?.read_exact(&mut header) {
            Ok(()) => Some(Self(header)).filter(|header| header.0.starts_with(FILE_MAGIC)),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => None,
            Err(error) => return Err(error),
        })
    }

    /// How often the file has been changed.
    pub(crate) fn changes(&self) -> u32 {
        self.number(24)
    }

    /// Its pages; none where an old SQLite has not kept count.
    pub(crate) fn pages(&self) -> Option<u32> {
        (self.number(92) == self.changes()).then(|| self.number(28))
    }

    fn number(&self, at: usize) -> u32 {
        self.0[at..at + 4].iter().fold(0, |number, byte| number << 8 | u32::from(*byte))
    }
}

/// What a journal says of itself.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Journal {
    /// Nothing that SQLite would act on.
    Void,
    /// It belongs to a file that had so many pages.
    Of {
        /// The pages.
        pages: u32,
    },
    /// It is one of several, below a journal elsewhere.
    OneOfSeveral,
}

impl Journal {
    /// The journal at `path`, void where there is none.
    pub(crate) fn read(path: &Path) -> io::Result<Self> {
        let file = match open_file(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::Void),
            opened => opened?,
        };
        let mut start = [0; 20];
        let size = file.metadata()?.len();
        if size < start.len() as u64 {
            return Ok(Self::Void);
        }
        let mut end = [0; JOURNAL_MAGIC.len()];
        file.read_exact_at(&mut start, 0)?;
        file.read_exact_at(&mut end, size - JOURNAL_MAGIC.len() as u64)?;
        // SQLite looks for that name before anything else, and removes what it names.
        if end == JOURNAL_MAGIC {
            return Ok(Self::OneOfSeveral);
        }
        if !start.starts_with(JOURNAL_MAGIC) {
            return Ok(Self::Void);
        }
        Ok(Self::Of { pages: u32::from_be_bytes([start[16], start[17], start[18], start[19]]) })
    }
}
