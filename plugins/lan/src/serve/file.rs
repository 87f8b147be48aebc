//! A file, or a part of it, as the body of a reply. Its bytes do not pass through hyper, nor through this process where
//! the kernel has them in memory: what hyper queues only stands for them, and the connection sends them in its place.
//!
//! Nothing can be copied from what stands for them, so that no other bytes go out instead. Whoever tries it, counts bytes
//! as sent that were not, or leaves some out, makes the connection fail.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::AsFd;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Buf;
use http_body::{Body, Frame, SizeHint};
use rustix::buffer::spare_capacity;
use rustix::fs::{FsWord, fstatfs, sendfile};
use rustix::io::{Errno, ReadWriteFlags, preadv2};
use rustix::param::page_size;

use super::{Shared, count};
use crate::limits::PIECE;

/// What a file system calls itself whose files are in memory (`TMPFS_MAGIC`, statfs(2)).
const TMPFS: FsWord = 0x0102_1994;
/// Bytes that hyper is told of at a time at most: it counts in `usize`.
const FRAME: u64 = 1 << 30;

/// What a connection is to send of files, in this order.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    stretches: Mutex<VecDeque<Arc<Stretch>>>,
    /// How many bodies are not at their end.
    bodies: AtomicU64,
    /// Whether what hyper takes for sent is not what was sent.
    is_wrong: AtomicBool,
}

impl Outgoing {
    fn stretches(&self) -> MutexGuard<'_, VecDeque<Arc<Stretch>>> {
        self.stretches.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether all that was asked for has been sent.
    pub(super) fn is_empty(&self) -> bool {
        self.bodies.load(Ordering::Relaxed) == 0 && self.stretches().is_empty()
    }

    /// What comes next.
    ///
    /// # Errors
    /// It is not known any more what was sent: then nothing may follow.
    pub(super) fn next(&self) -> io::Result<Option<Arc<Stretch>>> {
        if self.is_wrong.load(Ordering::Relaxed) {
            return Err(io::Error::other("a part of a file was not sent as it was to be"));
        }
        Ok(self.stretches().front().cloned())
    }

    fn goes_wrong(&self) {
        self.is_wrong.store(true, Ordering::Relaxed);
    }
}

/// Bytes of a file that follow each other.
#[derive(Debug)]
pub(super) struct Stretch {
    file: Arc<File>,
    /// Whether no disk is ever waited for. Such a file system does not say so of a single read.
    is_in_memory: bool,
    /// Where those begin that have not been sent.
    at: AtomicU64,
    end: u64,
    /// The kernel had those before this one in memory just now.
    known: AtomicU64,
}

/// Bytes that were read from it, and where they stand.
#[derive(Debug)]
pub(super) struct Read {
    of: Arc<Stretch>,
    from: u64,
    bytes: Vec<u8>,
}

impl Read {
    /// What there is of this stretch from here on.
    pub(super) fn rest(&self, of: &Arc<Stretch>, at: u64) -> Option<&[u8]> {
        let begin = at.checked_sub(self.from).filter(|_| Arc::ptr_eq(of, &self.of))?;
        self.bytes.get(usize::try_from(begin).ok()?..).filter(|rest| !rest.is_empty())
    }
}

impl Stretch {
    /// Where the next bytes are, and how many there are, at most so many.
    pub(super) fn next(&self, most: usize) -> (u64, usize) {
        let at = self.at.load(Ordering::Relaxed);
        (at, usize::try_from(self.end - at).unwrap_or(usize::MAX).min(most))
    }

    pub(super) fn was_sent(&self, length: usize) {
        self.at.fetch_add(length as u64, Ordering::Relaxed);
    }

    /// Whether these can be had without waiting for a disk: a byte of each page is tried.
    pub(super) fn is_in_memory(&self, at: u64, length: usize) -> bool {
        let (from, end) = (at.max(self.known.load(Ordering::Relaxed)), at + length as u64);
        if self.is_in_memory || from >= end {
            return true;
        }
        let page = page_size() as u64;
        let is_there = |at| preadv2(&self.file, &mut [IoSliceMut::new(&mut [0])], at, ReadWriteFlags::NOWAIT) == Ok(1);
        let is_known = is_there(from) && (from / page + 1..end.div_ceil(page)).all(|number| is_there(number * page));
        if is_known {
            self.known.store(end, Ordering::Relaxed);
        }
        is_known
    }

    /// The connection waits: who knows what is in memory after that.
    pub(super) fn rests(&self) {
        self.known.store(0, Ordering::Relaxed);
    }

    /// Has the kernel send these bytes, as many as it has room for.
    ///
    /// # Errors
    /// `Unsupported` where it cannot do that with this file.
    pub(super) fn send(&self, to: impl AsFd, mut at: u64, length: usize) -> io::Result<usize> {
        match sendfile(to, &*self.file, Some(&mut at), length) {
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => Err(io::ErrorKind::Unsupported.into()),
            // It was cut off after it was opened.
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            outcome => Ok(outcome?),
        }
    }

    /// Reads these bytes, however long that takes.
    pub(super) fn read(self: Arc<Self>, from: u64, length: usize) -> io::Result<Read> {
        let mut bytes = Vec::with_capacity(length);
        while bytes.len() < length {
            let at = from + bytes.len() as u64;
            match rustix::io::pread(&*self.file, spare_capacity(&mut bytes), at) {
                // As above.
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        bytes.truncate(length);
        Ok(Read { of: self, from, bytes })
    }
}

/// See the module.
pub(super) struct Part {
    file: Arc<File>,
    is_in_memory: bool,
    at: u64,
    left: u64,
    shared: Arc<Shared>,
    outgoing: Arc<Outgoing>,
}

impl Part {
    /// To be sent by the connection that this belongs to.
    pub(super) fn new(file: File, at: u64, left: u64, shared: Arc<Shared>, outgoing: Arc<Outgoing>) -> Self {
        let is_in_memory = fstatfs(&file).is_ok_and(|found| found.f_type == TMPFS);
        outgoing.bodies.fetch_add(1, Ordering::Relaxed);
        Self { file: Arc::new(file), is_in_memory, at, left, shared, outgoing }
    }
}

impl Body for Part {
    type Data = Piece;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Piece>>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        // The last piece is for itself: with it hyper turns to the next request, which is to wait until then.
        let length = self.left.checked_sub(PIECE as u64).filter(|rest| *rest > 0).unwrap_or(self.left).min(FRAME);
        let (file, is_in_memory, at) = (self.file.clone(), self.is_in_memory, self.at);
        let known = AtomicU64::new(0);
        let stretch = Arc::new(Stretch { file, is_in_memory, at: at.into(), end: at + length, known });
        (self.at, self.left) = (at + length, self.left - length);
        self.outgoing.stretches().push_back(stretch.clone());
        let piece = Piece { stretch, at, shared: self.shared.clone(), outgoing: self.outgoing.clone() };
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.outgoing.bodies.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What stands for a stretch where hyper queues it: as long, and without a byte.
pub(super) struct Piece {
    stretch: Arc<Stretch>,
    /// Where those begin that hyper does not take for sent.
    at: u64,
    shared: Arc<Shared>,
    outgoing: Arc<Outgoing>,
}

impl Buf for Piece {
    fn remaining(&self) -> usize {
        usize::try_from(self.stretch.end - self.at).unwrap_or(usize::MAX)
    }

    /// Only who copies asks for this: what is written is asked for as below.
    fn chunk(&self) -> &[u8] {
        self.outgoing.goes_wrong();
        &[]
    }

    fn chunks_vectored<'a>(&'a self, into: &mut [IoSlice<'a>]) -> usize {
        into.first_mut().map_or(0, |first| {
            *first = IoSlice::new(&[]);
            1
        })
    }

    fn advance(&mut self, length: usize) {
        self.at += length as u64;
        if self.at > self.stretch.at.load(Ordering::Relaxed) {
            self.outgoing.goes_wrong();
        }
        count(&self.shared.counters.bytes, length as u64);
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        if self.at < self.stretch.end {
            self.outgoing.goes_wrong();
        }
        self.outgoing.stretches().retain(|stretch| !Arc::ptr_eq(stretch, &self.stretch));
    }
}
