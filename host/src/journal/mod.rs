//! The journal of a transaction: the host's own append-only file, which says how far it came.
//!
//! One file a transaction, `journal/<id>` in the state folder; a finished one whose displaced
//! files are kept moves to `history/<id>`. Each record is durable before the state that it
//! names begins. A journal that does not verify is never acted on.

mod limits;
mod record;
mod step;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use packets_hook_runtime::folder::{self, Folder, Kind as FileKind, Rename};
use packets_plugin_api::ident::TransactionId;
use rustix::fs::FallocateFlags;

pub(crate) use record::{End, Record};
pub(crate) use step::{Decision, FolderId, Inverse, Kind, Put, Spot, Standing, Step, Stuck};

use crate::error::{Context, Error, Result};
use crate::target::Place;
use limits::{MAX_SIZE, SPARE};
use record::{BadLine, Chain};

/// Journals of transactions that have not ended, in the state folder.
pub(crate) const PENDING: &str = "journal";
/// Journals of those that have, as long as they can be undone.
pub(crate) const HISTORY: &str = "history";
/// Journals of finished ones whose files are being deleted.
pub(crate) const FREEING: &str = "freeing";
/// Journals that do not verify.
pub(crate) const QUARANTINE: &str = "quarantine";

/// A journal that is being written.
#[derive(Debug)]
pub(crate) struct Journal {
    id: TransactionId,
    /// The folder that it stands in.
    folder: Folder,
    file: File,
    length: u64,
    chain: Chain,
    /// What was read.
    records: Vec<Record>,
}

/// What a file in the journals' folder turned out to be.
#[derive(Debug)]
pub(crate) enum Found {
    /// Whole, or with an end that was cut off while it was written.
    Journal(Journal, Tail),
    /// Another user's, in a root of that user's own.
    Of(u32),
    /// Something that nobody acts on, and why.
    Unsound(String),
}

/// How a journal ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tail {
    /// With a whole record.
    Whole,
    /// With a record that was not written to its end.
    Torn,
}

impl Journal {
    /// Begins the journal of a transaction in `pending`, durable with its first record.
    pub(crate) fn begin(pending: Folder, id: &TransactionId, first: Record) -> Result<Self> {
        let named = || format!("cannot write the journal of transaction {id}");
        let file = pending.create(id.as_str(), 0o600).context(named)?;
        let chain = Chain::new(id);
        let mut journal = Self { id: id.clone(), folder: pending, file, length: 0, chain, records: Vec::new() };
        let begun = journal.append(&first).and_then(|()| journal.folder.sync().context(named));
        if let Err(error) = begun {
            // Nothing has been made yet: a file that stays is an empty transaction.
            let _ = journal.folder.remove_file(id.as_str());
            return Err(error);
        }
        Ok(journal)
    }

    /// Reads a journal for more to be written to it.
    ///
    /// # Errors
    /// The disk fails; what the file holds is no error.
    pub(crate) fn open(folder: &Folder, name: &str) -> Result<Found> {
        Self::of_file(folder, name, folder.update(name))
    }

    /// Reads a journal that has ended.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub(crate) fn read(folder: &Folder, name: &str) -> Result<Found> {
        Self::of_file(folder, name, folder.read(name))
    }

    fn of_file(folder: &Folder, name: &str, opened: io::Result<File>) -> Result<Found> {
        let named = || format!("cannot read the journal {name}");
        let id: TransactionId = match name.parse() {
            Ok(id) => id,
            Err(_) => return Ok(Found::Unsound("its name is no transaction's id".to_owned())),
        };
        let file = match opened {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                return Ok(Found::Unsound("it is no regular file".to_owned()));
            }
            Err(error) => return Err(error).context(named),
        };
        let stat = folder::stat(&file).context(named)?;
        let owner = folder.stat_self().context(named)?.uid;
        match foreign(&stat) {
            Some(_) if stat.uid == owner && is_anothers(&stat) && is_whole_by_mode(&stat) => {
                return Ok(Found::Of(owner));
            }
            Some(why) => return Ok(Found::Unsound(why)),
            None => {}
        }
        let mut bytes = vec![0; usize::try_from(stat.size).context(named)?];
        file.read_exact_at(&mut bytes, 0).context(named)?;
        let mut journal = Self {
            chain: Chain::new(&id),
            id,
            folder: folder.again().context(named)?,
            file,
            length: 0,
            records: Vec::new(),
        };
        Ok(match journal.take(&bytes) {
            Ok(tail) => Found::Journal(journal, tail),
            Err(why) => Found::Unsound(why),
        })
    }

    /// Takes in the lines of a file.
    fn take(&mut self, bytes: &[u8]) -> Result<Tail, String> {
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let record = match self.chain.record(&rest[..end]) {
                Ok(record) => record,
                // Blocks of a write come to the disk in any order: of a last line the end may be there and the
                // middle not. Whether anything was done behind it, the staging folder tells.
                Err(BadLine::Damaged) if end + 1 == rest.len() && self.is_undecided() => break,
                Err(BadLine::Damaged) => return Err("a line does not have its checksum".to_owned()),
                Err(BadLine::Wrong(why)) => return Err(why),
            };
            if !follows(self.records.last(), &record) {
                return Err("its records are not in order".to_owned());
            }
            self.records.push(record);
            rest = &rest[end + 1..];
        }
        self.length = (bytes.len() - rest.len()) as u64;
        Ok(if rest.is_empty() { Tail::Whole } else { Tail::Torn })
    }

    fn is_undecided(&self) -> bool {
        matches!(self.records.last(), None | Some(Record::Staging { .. }))
    }

    /// The transaction.
    pub(crate) fn id(&self) -> &TransactionId {
        &self.id
    }

    /// What it said when it was read.
    pub(crate) fn records(&self) -> &[Record] {
        &self.records
    }

    /// What was decided, once it was.
    pub(crate) fn decision(&self) -> Option<&Decision> {
        self.records.iter().find_map(|record| match record {
            Record::Decided(decision) => Some(decision.as_ref()),
            _ => None,
        })
    }

    /// The command, for people.
    pub(crate) fn command(&self) -> &str {
        match self.records.first() {
            Some(Record::Staging { command, .. }) => command,
            _ => "a command",
        }
    }

    /// Adds a record; it is durable when this returns.
    ///
    /// # Errors
    /// The disk fails: then what of it is in the file nobody can tell, until it is [`cut`](Self::cut) off.
    pub(crate) fn append(&mut self, record: &Record) -> Result<()> {
        let named = || format!("cannot write the journal of transaction {}", self.id);
        let mut chain = self.chain.clone();
        let line = chain.line(record).context(named)?;
        let end = self.length + line.len() as u64;
        if end + SPARE > MAX_SIZE {
            return Err(Error::request(named())
                .caused_by(format!("it would be larger than {MAX_SIZE} bytes"))
                .hint("do it with fewer packages at a time"));
        }
        if matches!(record, Record::Decided(_)) {
            set_aside(&self.file, self.length, line.len() as u64 + SPARE).context(named)?;
        }
        self.file.write_all_at(&line, self.length).and_then(|()| self.file.sync_data()).context(named)?;
        self.length = end;
        self.chain = chain;
        Ok(())
    }

    /// Cuts off what does not belong to a whole record: an end that was torn, or what a failed
    /// [`append`](Self::append) may have left.
    pub(crate) fn cut(&mut self) -> Result<()> {
        let named = || format!("cannot repair the journal of transaction {}", self.id);
        self.file.set_len(self.length).and_then(|()| self.file.sync_data()).context(named)
    }

    /// The journal is needed no more.
    pub(crate) fn remove(self) -> Result<()> {
        let named = || format!("cannot remove the journal of transaction {}", self.id);
        self.folder.remove_file(self.id.as_str()).context(named)
    }

    /// It moves to the history.
    pub(crate) fn keep(self, state: &Place) -> Result<()> {
        let named = || format!("cannot move the journal of transaction {} to the history", self.id);
        let history = state.folder.open_or_make(HISTORY, 0o755).context(named)?;
        self.folder.rename(self.id.as_str(), &history, self.id.as_str(), Rename::Replace).context(named)
    }
}

/// Whether somebody else could have written it.
fn foreign(stat: &folder::Stat) -> Option<String> {
    Some(match () {
        () if stat.kind != FileKind::File => "it is no regular file".to_owned(),
        () if is_anothers(stat) => format!("it belongs to the user {}", stat.uid),
        () if stat.mode & 0o022 != 0 => format!("others may write to it (mode {:04o})", stat.mode),
        () if stat.links != 1 => "it has a second name".to_owned(),
        () if stat.size > MAX_SIZE => format!("it is larger than {MAX_SIZE} bytes"),
        () => return None,
    })
}

/// Whether it belongs neither to the caller nor to root.
fn is_anothers(stat: &folder::Stat) -> bool {
    stat.uid != rustix::process::geteuid().as_raw() && stat.uid != 0
}

/// Whether nobody but its owner could have written it.
fn is_whole_by_mode(stat: &folder::Stat) -> bool {
    stat.kind == FileKind::File && stat.mode & 0o022 == 0 && stat.links == 1
}

/// Whether a record can come behind another.
fn follows(last: Option<&Record>, next: &Record) -> bool {
    matches!(
        (last, next),
        (None | Some(Record::Staging { .. }), Record::Staging { .. })
            | (Some(Record::Staging { .. }), Record::Decided(_))
            | (Some(Record::Decided(_)), Record::Undoing | Record::Done { end: End::Committed })
            | (Some(Record::Undoing), Record::Done { end: End::Reverted })
    )
}

/// Makes sure that so many bytes can be written behind `offset`; what a file system cannot promise it need not.
pub(crate) fn set_aside(file: &File, offset: u64, length: u64) -> io::Result<()> {
    match rustix::fs::fallocate(file, FallocateFlags::KEEP_SIZE, offset, length) {
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => Ok(()),
        done => Ok(done?),
    }
}
