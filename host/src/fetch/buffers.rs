//! Buffers that go round between the threads of a transfer: filled by one, written and hashed by others, filled again.
//!
//! A new one is zeroed, and its pages are new to the processor: for each message that is a part of what a fast network
//! takes.

use std::sync::{Arc, Mutex, PoisonError};

/// Bytes of a buffer, and so that are told of at once.
pub(super) const MESSAGE: usize = 128 << 10;
/// So many wait to be filled at most.
const SPARE: usize = 16;

/// See the module. All clones are the same.
#[derive(Debug, Clone, Default)]
pub(super) struct Buffers(Arc<Mutex<Vec<Vec<u8>>>>);

impl Buffers {
    /// One of [`MESSAGE`] bytes, of whatever content.
    pub(super) fn take(&self) -> Vec<u8> {
        let spare = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        spare.unwrap_or_else(|| vec![0; MESSAGE])
    }

    /// Nobody reads it any more. One of another size is of no use.
    pub(super) fn give_back(&self, buffer: Vec<u8>) {
        let mut spare = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if buffer.len() == MESSAGE && spare.len() < SPARE {
            spare.push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back_and_no_more_than_are_needed_wait() {
        let buffers = Buffers::default();
        let mut first = buffers.take();
        first[0] = 7;
        buffers.clone().give_back(first);
        assert_eq!(buffers.take()[0], 7);
        buffers.give_back(vec![7; MESSAGE - 1]);
        assert_eq!(buffers.take(), vec![0; MESSAGE]);
        for _ in 0..2 * SPARE {
            buffers.give_back(vec![0; MESSAGE]);
        }
        assert_eq!(buffers.0.lock().unwrap().len(), SPARE);
    }
}
