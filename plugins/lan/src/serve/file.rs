//! A file, or a part of it, as the body of a reply: read piece by piece, the next one while the last one is sent.

use std::fs::File;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use rustix::buffer::spare_capacity;
use tokio::task::JoinHandle;

use super::{Shared, count};
use crate::limits::PIECE;

/// See the module.
pub(super) struct Part {
    file: Arc<File>,
    at: u64,
    left: u64,
    reading: Option<JoinHandle<io::Result<Bytes>>>,
    shared: Arc<Shared>,
    /// How many bodies of this connection are not at their end.
    unsent: Arc<AtomicU64>,
}

impl Part {
    pub(super) fn new(file: File, at: u64, left: u64, shared: Arc<Shared>, unsent: Arc<AtomicU64>) -> Self {
        unsent.fetch_add(1, Ordering::Relaxed);
        Self { file: Arc::new(file), at, left, reading: None, shared, unsent }
    }

    fn read_next(&mut self) {
        let length = usize::try_from(self.left).unwrap_or(usize::MAX).min(PIECE);
        if length > 0 {
            let (file, at) = (self.file.clone(), self.at);
            self.reading = Some(tokio::task::spawn_blocking(move || piece(&file, at, length)));
        }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.unsent.fetch_sub(1, Ordering::Relaxed);
    }
}

fn piece(file: &File, at: u64, length: usize) -> io::Result<Bytes> {
    let mut piece = Vec::with_capacity(length);
    while piece.len() < length {
        let from = at + piece.len() as u64;
        match rustix::io::pread(file, spare_capacity(&mut piece), from) {
            // It was cut off after it was opened.
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    piece.truncate(length);
    Ok(piece.into())
}

impl Body for Part {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        if self.reading.is_none() {
            self.read_next();
        }
        let Some(reading) = &mut self.reading else { return Poll::Ready(None) };
        let Poll::Ready(outcome) = Pin::new(reading).poll(context) else { return Poll::Pending };
        self.reading = None;
        let piece = outcome.unwrap_or_else(|_| Err(io::Error::other("a file could not be read")));
        if let Ok(piece) = &piece {
            self.at += piece.len() as u64;
            self.left -= piece.len() as u64;
            count(&self.shared.counters.bytes, piece.len() as u64);
            self.read_next();
        }
        Poll::Ready(Some(piece.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
