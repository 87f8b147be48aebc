//! The copy of the record as it was before a transaction.
//!
//! It is made beside its place by whoever has time for it first, and takes that place when all has happened.

use std::mem;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use packets_plugin_api::storage::{PreparedCopy, Storage, StorageError, StorageErrorKind};

/// See the module.
pub(super) struct KeptCopy<'a> {
    file: &'a Path,
    state: Mutex<State>,
}

enum State {
    NotYet,
    Prepared(Result<Box<dyn PreparedCopy>, StorageError>),
    Taken,
}

impl<'a> KeptCopy<'a> {
    /// One that will be kept there, and is not made yet.
    pub(super) fn at(file: &'a Path) -> Self {
        Self { file, state: Mutex::new(State::NotYet) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes it of this record, where nobody has; meanwhile [`keep`](Self::keep) waits.
    pub(super) fn prepare(&self, before: &dyn Storage) {
        let mut state = self.state();
        if matches!(*state, State::NotYet) {
            *state = State::Prepared(before.prepare_copy(self.file));
        }
    }

    /// It takes its place; it is made of this record, where nobody has made it. The answer is why none is kept, where that
    /// is so.
    pub(super) fn keep(&self, before: &dyn Storage) -> Option<StorageError> {
        let prepared = match mem::replace(&mut *self.state(), State::Taken) {
            State::Prepared(prepared) => prepared,
            State::NotYet | State::Taken => before.prepare_copy(self.file),
        };
        let kept = prepared.and_then(PreparedCopy::keep);
        kept.err().filter(|error| error.kind != StorageErrorKind::NotFound)
    }
}
