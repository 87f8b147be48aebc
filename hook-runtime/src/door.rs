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

#[cfg(test)]
mod tests {
    use packets_plugin_api::conformance::view::{LogLines, MemoryView};

    use super::*;

    /// What the door answers; an end of the hook is its error.
    fn answers(calls: &[Call<'_>]) -> (Vec<Result<Vec<u8>, HookError>>, LogLines) {
        let mut view = MemoryView::new().allow("/usr/bin").with_file("/usr/bin/f", &[b'x'; 200 << 10], 0o644);
        let mut log = LogLines::default();
        let mut door = Door::new(&mut view, &mut log);
        let ask = |call: &Call<'_>| {
            let request = Request { line: 1, call: call.clone() };
            door.answer(&wire::encode(&request, Vec::new()).unwrap())
        };
        (calls.iter().map(ask).collect(), log)
    }

    /// The last of several answers.
    fn last(calls: &[Call<'_>]) -> Vec<u8> {
        answers(calls).0.pop().unwrap().unwrap()
    }

    fn message_of(answer: &[u8]) -> Option<String> {
        match wire::decode::<Response<'_>>(answer).unwrap() {
            Response::Failed { kind: Failure::Invalid, message } => Some(message.to_owned()),
            _ => None,
        }
    }

    #[test]
    fn h32_writes_and_reads_up_to_a_bound() {
        let open = |mode| Call::Open { path: "/usr/bin/f", mode };
        let bytes = vec![7; limits::CHUNK + 1];
        let write =
            |length: usize| last(&[open(Mode::WriteUpdate), Call::Write { file: 1, bytes: Bytes(&bytes[..length]) }]);
        assert_eq!(wire::decode(&write(limits::CHUNK)), Some(Response::Done));
        assert_eq!(message_of(&write(limits::CHUNK + 1)).as_deref(), Some("too much for one write"));
        for most in [limits::CHUNK as u32, limits::CHUNK as u32 + 1, u32::MAX] {
            let answer = last(&[open(Mode::Read), Call::Read { file: 1, most }]);
            let Some(Response::Data(Bytes(came))) = wire::decode(&answer) else { panic!("{answer:?}") };
            assert_eq!(came.len(), limits::CHUNK, "{most}");
        }
    }

    #[test]
    fn h23_paths_up_to_a_bound() {
        let path = |length: usize| format!("/usr/bin/{}", "x/".repeat(length))[..length].to_owned();
        let (fits, longer) = (path(limits::PATH), path(limits::PATH + 1));
        let all = |long: &str| {
            let calls = [
                Call::Open { path: long, mode: Mode::Read },
                Call::Remove { path: long },
                Call::Rename { old: long, new: "/usr/bin/b" },
                Call::Rename { old: "/usr/bin/b", new: long },
                Call::Copy { source: long, target: "/usr/bin/b" },
                Call::Copy { source: "/usr/bin/b", target: long },
                Call::Symlink { target: long, link: "/usr/bin/b" },
                Call::Symlink { target: "b", link: long },
                Call::Mkdir { path: long, mode: 0o755 },
            ];
            answers(&calls).0.into_iter().map(|answer| message_of(&answer.unwrap())).collect::<Vec<_>>()
        };
        let refusal = "a path of 4097 bytes is longer than 4096";
        assert!(all(&longer).iter().all(|message| message.as_deref() == Some(refusal)), "{:?}", all(&longer));
        assert!(all(&fits).iter().all(|message| message.as_deref() != Some(refusal)));
        assert!(all(&fits).iter().flatten().all(|message| !message.contains("longer than")), "{:?}", all(&fits));
    }

    #[test]
    fn h14_lines_and_logs_up_to_a_bound() {
        let line = "x".repeat(limits::LOG_LINE);
        let longer = format!("{line}y");
        let (_, log) = answers(&[Call::Log { text: &line }, Call::Log { text: &longer }]);
        assert_eq!(log.0, [line.clone(), format!("{line}…")]);

        // With the end of each line a full log.
        let line = "x".repeat(1023);
        let mut calls = vec![Call::Log { text: &line }; limits::LOG / 1024];
        let (all, log) = answers(&calls);
        assert!(all.iter().all(Result::is_ok) && log.0.len() == calls.len());
        calls.push(Call::Log { text: "" });
        let (mut all, log) = answers(&calls);
        let error = all.pop().unwrap().unwrap_err();
        assert_eq!((error.kind, &*error.message), (HookErrorKind::Limit, "it printed more than 1024 KiB"));
        assert_eq!(log.0.len(), calls.len() - 1);
    }

    #[test]
    fn h13_messages_up_to_a_bound() {
        struct Wordy(usize);
        impl StagedView for Wordy {
            fn at_line(&mut self, _: u32) {}
            fn open(&mut self, _: &str, _: OpenMode) -> Result<FileId, ViewError> {
                Err(ViewError::new(ViewErrorKind::Io, "x".repeat(self.0)))
            }
            fn read(&mut self, _: FileId, _: &mut [u8]) -> Result<usize, ViewError> {
                Ok(0)
            }
            fn write(&mut self, _: FileId, _: &[u8]) -> Result<(), ViewError> {
                Ok(())
            }
            fn seek(&mut self, _: FileId, _: Whence, _: i64) -> Result<u64, ViewError> {
                Ok(0)
            }
            fn close(&mut self, _: FileId) -> Result<(), ViewError> {
                Ok(())
            }
            fn remove(&mut self, _: &str) -> Result<(), ViewError> {
                Ok(())
            }
            fn rename(&mut self, _: &str, _: &str) -> Result<(), ViewError> {
                Ok(())
            }
            fn copy(&mut self, _: &str, _: &str) -> Result<(), ViewError> {
                Ok(())
            }
            fn symlink(&mut self, _: &str, _: &str) -> Result<(), ViewError> {
                Ok(())
            }
            fn mkdir(&mut self, _: &str, _: u32) -> Result<(), ViewError> {
                Ok(())
            }
        }
        for (length, told) in [(limits::ERROR_TEXT, limits::ERROR_TEXT), (limits::ERROR_TEXT + 1, limits::ERROR_TEXT)] {
            let (mut view, mut log) = (Wordy(length), LogLines::default());
            let request = Request { line: 1, call: Call::Open { path: "/x", mode: Mode::Read } };
            let answer = Door::new(&mut view, &mut log).answer(&wire::encode(&request, Vec::new()).unwrap()).unwrap();
            let Some(Response::Failed { message, .. }) = wire::decode(&answer) else { panic!("{answer:?}") };
            assert_eq!(message.len(), told);
        }
    }
}
