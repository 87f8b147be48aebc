//! A file, or a part of it, as the body of a reply: read piece by piece, from memory where the kernel has it there,
//! else by another thread.

use std::fs::File;
use std::io::{self, IoSliceMut};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use rustix::buffer::spare_capacity;
use rustix::fs::{FsWord, fstatfs};
use rustix::io::{ReadWriteFlags, preadv2};
use tokio::task::JoinHandle;

use super::{Shared, count};
use crate::limits::PIECE;

/// What a file system calls itself whose files are in memory (`TMPFS_MAGIC`, statfs(2)).
const TMPFS: FsWord = 0x0102_1994;

/// See the module.
pub(super) struct Part {
    file: Arc<File>,
    /// Whether no disk is ever waited for. Such a file system does not say so of a single read.
    is_in_memory: bool,
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
        let is_in_memory = fstatfs(&file).is_ok_and(|found| found.f_type == TMPFS);
        Self { file: Arc::new(file), is_in_memory, at, left, reading: None, shared, unsent }
    }

    /// The next piece. It is not read ahead, so that somebody who does not take it costs one, and what was begun before.
    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        let length = usize::try_from(self.left).unwrap_or(usize::MAX).min(PIECE);
        if self.is_in_memory {
            return Poll::Ready(piece(&self.file, self.at, length));
        }
        if self.reading.is_none()
            && let Some(piece) = piece_in_memory(&self.file, self.at, length)
        {
            return Poll::Ready(Ok(piece));
        }
        let (file, at) = (&self.file, self.at);
        let reading = self.reading.get_or_insert_with(|| {
            let file = file.clone();
            tokio::task::spawn_blocking(move || piece(&file, at, length))
        });
        let outcome = ready!(Pin::new(reading).poll(context));
        self.reading = None;
        Poll::Ready(outcome.unwrap_or_else(|_| Err(io::Error::other("a file could not be read"))))
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // What has not begun need not be read any more: it would hold the file open.
        if let Some(reading) = &self.reading {
            reading.abort();
        }
        self.unsent.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A whole piece, if it can be had without waiting for a disk.
fn piece_in_memory(file: &File, at: u64, length: usize) -> Option<Bytes> {
    let mut piece = vec![0; length];
    let came = preadv2(file, &mut [IoSliceMut::new(&mut piece)], at, ReadWriteFlags::NOWAIT).ok()?;
    (came == length).then(|| piece.into())
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
        let piece = ready!(self.poll_piece(context));
        if let Ok(piece) = &piece {
            self.at += piece.len() as u64;
            self.left -= piece.len() as u64;
            count(&self.shared.counters.bytes, piece.len() as u64);
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
