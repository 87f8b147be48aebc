//! The connection as hyper reads and writes it. What only stands for a part of a file is sent from that file.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rustix::net::{SendAncillaryBuffer, SendFlags, sendmsg};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::super::file::{Read, Stretch};
use super::line::Line;
use crate::limits::{AT_ONCE, PIECE};

/// See the module.
pub(super) struct Pipe {
    line: Arc<Line>,
    reading: Option<JoinHandle<io::Result<Read>>>,
    /// What was read since the kernel did not have it in memory.
    read: Option<Read>,
    /// Whether the kernel cannot send from the file itself.
    reads_all: bool,
}

impl Pipe {
    pub(super) fn new(line: Arc<Line>) -> Self {
        Self { line, reading: None, read: None, reads_all: false }
    }

    /// Bytes that hyper has; `more` follow at once.
    fn poll_bytes(&self, context: &mut Context<'_>, parts: &[IoSlice<'_>], more: bool) -> Poll<io::Result<usize>> {
        let length = parts.iter().map(|part| part.len()).sum();
        let flags = SendFlags::NOSIGNAL | if more { SendFlags::MORE } else { SendFlags::empty() };
        self.poll_by(context, length, |stream| Ok(sendmsg(stream, parts, &mut SendAncillaryBuffer::default(), flags)?))
    }

    /// Writes by this as soon as the connection has room.
    fn poll_by(
        &self,
        context: &mut Context<'_>,
        length: usize,
        write: impl Fn(&TcpStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let stream = self.line.stream();
        loop {
            ready!(self.poll_has_room(context))?;
            if let Some(written) = tried(stream.try_io(Interest::WRITABLE, || write(stream))) {
                return self.line.wrote(written, length);
            }
        }
    }

    fn poll_has_room(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = self.line.stream().poll_write_ready(context);
        if outcome.is_pending() {
            self.line.has_no_room();
        }
        outcome
    }

    /// The next bytes of a stretch: sent by the kernel from its memory, else read by another thread first. They are not
    /// read before there is room for them, so that somebody who does not take them costs one piece.
    fn poll_stretch(&mut self, context: &mut Context<'_>, stretch: &Arc<Stretch>) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.poll_has_room(context))?;
            let (at, length) = stretch.next(AT_ONCE);
            let written = if let Some(rest) = self.read.as_ref().and_then(|read| read.rest(stretch, at)) {
                ready!(self.poll_bytes(context, &[IoSlice::new(rest)], false))?
            } else if self.reading.is_none() && !self.reads_all && stretch.is_in_memory(at, length) {
                self.read = None;
                match ready!(self.poll_by(context, length, |stream| stretch.send(stream, at, length))) {
                    Err(error) if error.kind() == io::ErrorKind::Unsupported => {
                        self.reads_all = true;
                        continue;
                    }
                    outcome => outcome?,
                }
            } else {
                self.read = Some(ready!(self.poll_read_piece(context, stretch))?);
                continue;
            };
            stretch.was_sent(written);
            return Poll::Ready(Ok(written));
        }
    }

    fn poll_read_piece(&mut self, context: &mut Context<'_>, stretch: &Arc<Stretch>) -> Poll<io::Result<Read>> {
        let reading = self.reading.get_or_insert_with(|| {
            let ((at, length), stretch) = (stretch.next(PIECE), stretch.clone());
            tokio::task::spawn_blocking(move || stretch.read(at, length))
        });
        let outcome = ready!(Pin::new(reading).poll(context));
        self.reading = None;
        Poll::Ready(outcome.unwrap_or_else(|_| Err(io::Error::other("a file could not be read"))))
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        // What has not begun need not be read any more: it would hold the file open.
        if let Some(reading) = &self.reading {
            reading.abort();
        }
    }
}

/// A try that is not in vain, once the connection is ready.
fn tried(outcome: io::Result<usize>) -> Option<io::Result<usize>> {
    let is_in_vain = outcome.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock);
    (!is_in_vain).then_some(outcome)
}

impl AsyncRead for Pipe {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let stream = self.line.stream();
        loop {
            ready!(stream.poll_read_ready(context))?;
            if let Some(came) = tried(stream.try_read(into.initialize_unfilled())) {
                return Poll::Ready(came.map(|length| into.advance(length)));
            }
        }
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[IoSlice::new(bytes)])
    }

    /// An empty part stands for the next stretch; before it there may be a head, and behind it nothing.
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let next = self.line.outgoing().next()?;
        let bytes = parts.iter().position(|part| part.is_empty()).unwrap_or(parts.len());
        match next {
            Some(_) if bytes == parts.len() => Poll::Ready(Err(io::Error::other("a part of a file is missing"))),
            Some(stretch) if bytes == 0 => {
                let outcome = self.poll_stretch(context, &stretch);
                if outcome.is_pending() {
                    stretch.rests();
                }
                outcome
            }
            next => self.poll_bytes(context, &parts[..bytes], next.is_some()),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Nothing is held back here.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(SockRef::from(self.line.stream()).shutdown(std::net::Shutdown::Write))
    }
}

#[cfg(test)]
mod tests;
