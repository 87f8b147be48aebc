//! The one door: what a guest asks, put before the view and the log.
//!
//! Whatever comes from the guest is hostile: it is decoded from a bounded
//! message, its texts are bounded again here, and what it means is the view's to judge.

use packets_plugin_api::hook::{
    FileId, HookError, HookErrorKind, HookLog, OpenMode, StagedView, ViewError, ViewErrorKind, Whence,
};
use packets_plugin_api::ident::acts_on_terminal;
use packets_wire::{self as wire, Bytes, Call, Failure, From, Mode, Request, Response};

use crate::limits;

const _: () = assert!(wire::CHUNK == limits::CHUNK && wire::PATH == limits::PATH);
const _: () = assert!(limits::ERROR_TEXT + 64 <= wire::RESPONSE);
const _: () = assert!(wire::RESPONSE + wire::CHUNK <= limits::MESSAGE);

/// What stands on the host's side of the door during one hook.
pub(crate) struct Door<'a> {
    view: &'a mut dyn StagedView,
    log: &'a mut dyn HookLog,
    /// Bytes printed so far.
    printed: usize,
    /// The last line that called, for errors.
    line: u32,
    /// For reads; as large as the largest one so far.
    chunk: Vec<u8>,
}

impl<'a> Door<'a> {
    pub(crate) fn new(view: &'a mut dyn StagedView, log: &'a mut dyn HookLog) -> Self {
        Self { view, log, printed: 0, line: 0, chunk: Vec::new() }
    }

    /// The script's line that called last; 0 where unknown.
    pub(crate) fn line(&self) -> u32 {
        self.line
    }

    /// Answers one request with at most [`wire::RESPONSE`] bytes, and [`wire::CHUNK`] more for a read.
    ///
    /// # Errors
    /// A limit is used up, or the message is none: the hook ends.
    pub(crate) fn answer(&mut self, request: &[u8]) -> Result<Vec<u8>, HookError> {
        let Some(Request { line, call }) = wire::decode::<Request<'_>>(request) else {
            return Err(broken("the guest sent a message that cannot be read"));
        };
        self.line = line;
        self.view.at_line(line);
        let response = match self.perform(&call) {
            Ok(response) => response,
            Err(ViewError { kind, message }) => {
                let kind = match kind {
                    ViewErrorKind::Limit => return Err(HookError::new(HookErrorKind::Limit, message)),
                    ViewErrorKind::Denied => Failure::Denied,
                    ViewErrorKind::NotFound => Failure::NotFound,
                    ViewErrorKind::Invalid => Failure::Invalid,
                    ViewErrorKind::Io => Failure::Io,
                };
                let message = &message[..message.floor_char_boundary(limits::ERROR_TEXT)];
                return encode(&Response::Failed { kind, message });
            }
        };
        encode(&response)
    }

    fn perform(&mut self, call: &Call<'_>) -> Result<Response<'_>, ViewError> {
        match *call {
            Call::Open { path, mode } => {
                self.view.open(bounded(path)?, open_mode(mode)).map(|file| Response::File(file.0))
            }
            Call::Read { file, most } => self.read(FileId(file), most),
            Call::Write { file, bytes } if bytes.0.len() <= limits::CHUNK => {
                self.view.write(FileId(file), bytes.0).map(|()| Response::Done)
            }
            Call::Write { .. } => Err(ViewError::new(ViewErrorKind::Invalid, "too much for one write")),
            Call::Seek { file, from, offset } => {
                self.view.seek(FileId(file), whence(from), offset).map(Response::Place)
            }
            Call::Close { file } => self.view.close(FileId(file)).map(|()| Response::Done),
            Call::Remove { path } => self.view.remove(bounded(path)?).map(|()| Response::Done),
            Call::Rename { old, new } => self.view.rename(bounded(old)?, bounded(new)?).map(|()| Response::Done),
            Call::Copy { source, target } => {
                self.view.copy(bounded(source)?, bounded(target)?).map(|()| Response::Done)
            }
            Call::Symlink { target, link } => {
                self.view.symlink(bounded(target)?, bounded(link)?).map(|()| Response::Done)
            }
            Call::Mkdir { path, mode } => self.view.mkdir(bounded(path)?, mode).map(|()| Response::Done),
            Call::Log { text } => self.print(text).map(|()| Response::Done),
        }
    }

    fn read(&mut self, file: FileId, most: u32) -> Result<Response<'_>, ViewError> {
        let most = usize::try_from(most).map_or(limits::CHUNK, |most| most.min(limits::CHUNK));
        if self.chunk.len() < most {
            self.chunk.resize(most, 0);
        }
        let read = self.view.read(file, &mut self.chunk[..most])?.min(most);
        Ok(Response::Data(Bytes(&self.chunk[..read])))
    }

    /// One line for the log.
    fn print(&mut self, text: &str) -> Result<(), ViewError> {
        let line = printable(text, limits::LOG_LINE);
        self.printed += text.len().max(line.len()) + 1;
        if self.printed > limits::LOG {
            let message = format!("it printed more than {} KiB", limits::LOG >> 10);
            return Err(ViewError::new(ViewErrorKind::Limit, message));
        }
        self.log.line(&line);
        Ok(())
    }
}

/// `text` with all that acts on a terminal escaped, except tabs, in at most about `most` bytes.
pub(crate) fn printable(text: &str, most: usize) -> String {
    let mut line = String::new();
    for character in text.chars() {
        if line.len() >= most {
            line.push('…');
            break;
        }
        if acts_on_terminal(character) && character != '\t' {
            line.extend(character.escape_default());
        } else {
            line.push(character);
        }
    }
    line
}

fn bounded(path: &str) -> Result<&str, ViewError> {
    if path.len() <= limits::PATH {
        return Ok(path);
    }
    let message = format!("a path of {} bytes is longer than {}", path.len(), limits::PATH);
    Err(ViewError::new(ViewErrorKind::Invalid, message))
}

fn encode(response: &Response<'_>) -> Result<Vec<u8>, HookError> {
    wire::encode(response, Vec::with_capacity(64)).ok_or_else(|| broken("an answer could not be encoded"))
}

fn broken(message: &str) -> HookError {
    HookError::new(HookErrorKind::Sandbox, message)
}

fn open_mode(mode: Mode) -> OpenMode {
    match mode {
        Mode::Read => OpenMode::Read,
        Mode::Write => OpenMode::Write,
        Mode::Append => OpenMode::Append,
        Mode::ReadUpdate => OpenMode::ReadUpdate,
        Mode::WriteUpdate => OpenMode::WriteUpdate,
        Mode::AppendUpdate => OpenMode::AppendUpdate,
    }
}

fn whence(from: From) -> Whence {
    match from {
        From::Start => Whence::Start,
        From::Current => Whence::Current,
        From::End => Whence::End,
    }
}
