//! One of several places that give a file together: a thread that asks it for one part after another.
//!
//! It knows nothing of the others and writes nowhere; what comes goes as it is to whoever drives it, and stops
//! coming when that one has gone.

use std::io::{self, Read};
use std::mem;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender};

use packets_plugin_api::fetch::{Candidate, FetchErrorKind, FetchSource, Opened};

use super::buffers::{Buffers, MESSAGE};
use super::hosts::Lent;
use super::places::panicked;
use super::problem::Problem;

/// What a partner is to give.
pub(super) struct Task {
    pub(super) range: Range<u64>,
    /// Where it ends by now: nearer, where others help; farther, where the place gives more than it was asked for.
    pub(super) end: Arc<AtomicU64>,
    /// What the place gives already, from the beginning of the range on.
    pub(super) opened: Option<Opened>,
}

/// What becomes of it.
pub(super) enum News {
    /// Its bytes begin to come, and could go on to here.
    Opened(u64),
    /// So many came, at the front of this.
    Bytes(Vec<u8>, usize),
    /// All of it came.
    Done,
    /// It did not.
    Failed(Problem),
    /// The place gives no parts.
    NoParts,
}

/// News, and of whom.
pub(super) struct Message {
    pub(super) partner: usize,
    pub(super) news: News,
}

/// See the module.
pub(super) struct Partner {
    pub(super) number: usize,
    pub(super) source: Arc<dyn FetchSource>,
    pub(super) candidate: Candidate,
    /// The size of the whole file.
    pub(super) size: u64,
    pub(super) into: SyncSender<Message>,
    pub(super) buffers: Buffers,
    pub(super) slot: Lent,
}

impl Drop for Partner {
    fn drop(&mut self) {
        self.slot.give_back();
    }
}

/// Nobody is interested any more.
struct Gone;

impl Partner {
    /// Carries tasks out until there are no more, or one fails.
    pub(super) fn work(mut self, tasks: &Receiver<Task>) {
        while let Ok(task) = tasks.recv() {
            let news = match catch_unwind(AssertUnwindSafe(|| self.carry_out(task))) {
                Ok(Ok(news)) => news,
                Ok(Err(Gone)) => return,
                Err(_) => News::Failed(panicked().into()),
            };
            let goes_on = matches!(news, News::Done);
            if self.tell(news).is_err() || !goes_on {
                return;
            }
        }
    }

    fn tell(&self, news: News) -> Result<(), Gone> {
        self.into.send(Message { partner: self.number, news }).map_err(|_| Gone)
    }

    fn carry_out(&mut self, task: Task) -> Result<News, Gone> {
        let Task { range, end, opened } = task;
        let gives_all = opened.is_some();
        let mut opened = match opened {
            Some(opened) => opened,
            None => match self.source.open_part(&self.candidate, range.start, range.end - range.start) {
                Ok(opened) => opened,
                Err(error) if error.kind == FetchErrorKind::NoSuchRange => return Ok(News::NoParts),
                Err(error) => return Ok(News::Failed(error.into())),
            },
        };
        self.candidate.version = opened.version.take().or(self.candidate.version.take());
        let (wanted, rest) = (range.end - range.start, self.size - range.start);
        let given = opened.size.unwrap_or(if gives_all { rest } else { wanted });
        if given != wanted && given != rest {
            let text = format!("it announces {given} bytes where {wanted} were asked for, or all {rest} behind them");
            return Ok(News::Failed(Problem::Wrong(text)));
        }
        self.tell(News::Opened(range.start + given))?;
        let mut buffer = self.buffers.take();
        let news = self.pass_on(&mut opened.reader, range.start, &end, &mut buffer);
        self.buffers.give_back(buffer);
        news
    }

    /// Reads up to the end, which may move meanwhile.
    fn pass_on(&self, reader: &mut dyn Read, start: u64, end: &AtomicU64, buffer: &mut Vec<u8>) -> Result<News, Gone> {
        let mut at = start;
        loop {
            let left = end.load(Ordering::SeqCst).saturating_sub(at);
            let room = usize::try_from(left).unwrap_or(usize::MAX).min(MESSAGE);
            if room == 0 {
                return Ok(News::Done);
            }
            match reader.read(&mut buffer[..room]) {
                Ok(0) => return Ok(News::Failed(Problem::Failed("what it gave ended too early".to_owned()))),
                Ok(came) if came > room => {
                    return Ok(News::Failed(Problem::Refused("the source misreports sizes".to_owned())));
                }
                Ok(came) => {
                    at += came as u64;
                    // Much goes on as it is, little does not hold much memory.
                    let piece = if came < MESSAGE / 2 {
                        buffer[..came].to_vec()
                    } else {
                        mem::replace(buffer, self.buffers.take())
                    };
                    self.tell(News::Bytes(piece, came))?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Ok(News::Failed(Problem::Failed(super::one_line(&error)))),
            }
        }
    }
}
