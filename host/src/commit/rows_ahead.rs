//! The rows of a transaction are written while it happens, and recorded when it has.
//!
//! To write them takes about as long as writing down the steps and the journal, and doing them, so another thread does it:
//! nobody sees anything of them until all steps are done and durable.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{self, SyncSender};
use std::thread;

use packets_plugin_api::storage::{Rows, Storage, StorageError};

use super::kept_copy::KeptCopy;

/// With so many files their rows are written ahead: with fewer, a thread and a second handle of the record cost more.
const ROWS_AHEAD: u64 = 1000;

/// The record while a transaction is at work.
pub(super) struct Recording<'a> {
    before: &'a dyn Storage,
    /// Whoever writes the rows, where somebody does.
    writer: Option<SyncSender<Arc<Rows>>>,
    copy: &'a KeptCopy<'a>,
}

impl Recording<'_> {
    /// The record as it was before.
    pub(super) fn before(&self) -> &dyn Storage {
        self.before
    }

    /// These are to be recorded when all has happened.
    pub(super) fn begin(&self, rows: &Arc<Rows>) {
        // A writer that has failed does not listen any more.
        let _ = self.writer.as_ref().map(|writer| writer.send(Arc::clone(rows)));
    }

    /// Keeps the copy of the record as it was before. The answer is why none is kept, where that is so.
    pub(super) fn keep_copy(&self) -> Option<StorageError> {
        self.copy.keep(self.before)
    }
}

/// Does `work`, and records the rows that it [begins](Recording::begin) with where it says that all has happened; a `copy`
/// of the record is kept as it was before. There are so many `files` in the rows or that they replace, about. What `work`
/// answers comes back, and whether the rows are recorded; none where nobody has tried.
pub(super) fn recorded_when<T>(
    storage: &mut dyn Storage,
    copy: &Path,
    files: u64,
    happened: impl Fn(&T) -> bool,
    work: impl FnOnce(&Recording<'_>) -> T,
) -> (T, Option<Result<bool, StorageError>>) {
    let copy = KeptCopy::at(copy);
    let readers = if files < ROWS_AHEAD { None } else { storage.reader().ok().zip(storage.reader().ok()) };
    let Some((before, spare)) = readers else {
        return (work(&Recording { before: storage, writer: None, copy: &copy }), None);
    };
    thread::scope(|scope| {
        let (begin, begun) = mpsc::sync_channel::<Arc<Rows>>(1);
        let (tell, told) = mpsc::sync_channel(1);
        let ahead = &copy;
        let write = move || {
            let Ok(rows) = begun.recv() else { return Ok(false) };
            let mut happens = || {
                ahead.prepare(spare.as_ref());
                // Who hangs up has failed, or panicked.
                told.recv().unwrap_or(false)
            };
            storage.finish_when(&rows, &mut happens)
        };
        // Without a thread to spare the rows are left to write.
        let writer = thread::Builder::new().name("rows".to_owned()).spawn_scoped(scope, write).ok();
        let done = work(&Recording { before: before.as_ref(), writer: Some(begin), copy: &copy });
        let _ = tell.send(happened(&done));
        // After a panic they are recorded whole or not at all, and recording them again does no harm.
        (done, writer.and_then(|writer| writer.join().ok()))
    })
}
