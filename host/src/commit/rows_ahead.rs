//! The rows of a transaction are written while it happens, and recorded when it has.
//!
//! To write them takes about as long as to write down the steps and the journal and to do them, so another thread does
//! it: nobody sees anything of them until all steps are done and durable.

use std::sync::mpsc;
use std::thread;

use packets_plugin_api::storage::{Rows, Storage, StorageError};

/// Does `work`, and records the rows where it says that all has happened. What it answers comes back, and whether the
/// rows are recorded; none where nobody has tried.
pub(super) fn recorded_when<T>(
    storage: &mut dyn Storage,
    rows: &Rows,
    happened: impl Fn(&T) -> bool,
    work: impl FnOnce() -> T,
) -> (T, Option<Result<bool, StorageError>>) {
    thread::scope(|scope| {
        let (tell, told) = mpsc::sync_channel(1);
        // Who hangs up has panicked.
        let write = move || storage.finish_when(rows, &mut || told.recv().unwrap_or(false));
        // Without a thread to spare the rows are left to write.
        let writer = thread::Builder::new().name("rows".to_owned()).spawn_scoped(scope, write).ok();
        let done = work();
        // A writer that has failed does not listen any more.
        let _ = tell.send(happened(&done));
        // After a panic they are recorded whole or not at all, and recording them again does no harm.
        (done, writer.and_then(|writer| writer.join().ok()))
    })
}
