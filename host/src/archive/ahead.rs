//! A frame that a thread of its own decompresses, a bounded way ahead of the reader.

use std::io::Read;
use std::sync::mpsc::{self, Receiver, Sender, SyncSender};
use std::thread::{self, Scope};

use super::frame::{Buffer, Frame, Plain};
use super::limits;
use crate::error::{Context, Error, Result};

/// What comes from the thread, in order: buffers, then an error or, as the end, none.
type Next = Result<Option<Buffer>>;

/// The reader's side.
pub(super) struct Ahead {
    ready: Receiver<Next>,
    used: Sender<Buffer>,
    now: Option<Buffer>,
    ended: bool,
}

impl Ahead {
    /// The thread ends with the frame, with its first error, or when this is dropped.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub(super) fn of<'scope, R: Read + Send + 'scope>(
        frame: Frame<R>,
        scope: &'scope Scope<'scope, '_>,
    ) -> Result<Self> {
        let (send, ready) = mpsc::sync_channel(limits::AHEAD);
        let (used, again) = mpsc::channel();
        let work = move || decompress(frame, &send, &again);
        let begun = thread::Builder::new().spawn_scoped(scope, work);
        begun.context(|| "cannot begin a thread that decompresses".to_owned())?;
        Ok(Self { ready, used, now: None, ended: false })
    }

    fn next(&mut self) -> Result<()> {
        let came = self.ready.recv().map_err(|_| Error::storage("the decompression has ended early"))??;
        self.ended = came.is_none();
        if let Some(used) = std::mem::replace(&mut self.now, came) {
            // Nobody takes it back any more once the thread is at the end.
            let _ = self.used.send(used);
        }
        Ok(())
    }
}

impl Plain for Ahead {
    fn chunk(&mut self) -> Result<&[u8]> {
        while !self.ended && self.now.as_ref().is_none_or(|now| now.unused().is_empty()) {
            self.next()?;
        }
        Ok(self.now.as_ref().map_or(&[], Buffer::unused))
    }

    fn consume(&mut self, count: usize) {
        if let Some(now) = &mut self.now {
            now.consume(count);
        }
    }
}

fn decompress<R: Read>(mut frame: Frame<R>, ready: &SyncSender<Next>, again: &Receiver<Buffer>) {
    loop {
        let mut empty = again.try_recv().unwrap_or_else(|_| Buffer::new());
        empty.clear();
        let next = frame.take(empty);
        let is_last = !matches!(next, Ok(Some(_)));
        if ready.send(next).is_err() || is_last {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::{Duration, Instant};

    use super::*;
    use crate::archive::tests::builder::compress;

    /// Counts what is taken of it.
    struct Counting<'a>(&'a [u8], &'a AtomicUsize);

    impl Read for Counting<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let came = self.0.read(buffer)?;
            self.1.fetch_add(came, Ordering::SeqCst);
            Ok(came)
        }
    }

    /// Bytes that do not get smaller (Marsaglia's xorshift).
    fn noise(size: usize) -> Vec<u8> {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        };
        (0..size).map(|_| next()).collect()
    }

    #[test]
    fn a58_so_many_buffers_come_ahead_and_no_more() {
        let plain = noise(3 << 20);
        let packed = compress(&plain);
        let taken = AtomicUsize::new(0);
        thread::scope(|scope| {
            let mut ahead = Ahead::of(Frame::open(Counting(&packed, &taken)).unwrap(), scope).unwrap();
            let came = || taken.load(Ordering::SeqCst) / limits::CHUNK;
            let began = Instant::now();
            while came() < limits::AHEAD && began.elapsed() < Duration::from_secs(20) {
                thread::sleep(Duration::from_millis(1));
            }
            thread::sleep(Duration::from_millis(100));
            // One more waits for room, and one lies before the decoder.
            assert!((limits::AHEAD..=limits::AHEAD + 3).contains(&came()), "{}", came());
            let mut all = Vec::new();
            while !ahead.chunk().unwrap().is_empty() {
                all.extend_from_slice(ahead.chunk().unwrap());
                let count = ahead.chunk().unwrap().len();
                ahead.consume(count);
            }
            assert!(all == plain);
        });
    }

    #[test]
    fn an_error_comes_behind_the_bytes_before_it() {
        let plain = noise(1 << 20);
        let packed = compress(&plain);
        thread::scope(|scope| {
            let mut ahead = Ahead::of(Frame::open(&packed[..packed.len() / 2]).unwrap(), scope).unwrap();
            let mut came = 0;
            let error = loop {
                match ahead.chunk() {
                    Ok(chunk) => {
                        let count = chunk.len();
                        assert!(count > 0);
                        came += count;
                        ahead.consume(count);
                    }
                    Err(error) => break error,
                }
            };
            assert!(came > 0 && error.to_string().contains("ends in the middle"), "{came} {error}");
        });
        // Dropped early, its thread ends: the scope would wait for ever otherwise.
        thread::scope(|scope| drop(Ahead::of(Frame::open(&packed[..]).unwrap(), scope).unwrap()));
    }
}
