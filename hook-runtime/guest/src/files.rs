//! Open files: buffers over the host's reads and writes.
//!
//! A file's userdata holds only its number; the buffers stand in one list, so
//! that all of them can be written out when the script ends.

use std::cell::RefCell;
use std::collections::BTreeMap;

use crate::door::{self, Answer};
use crate::wire::{CHUNK, Call, From, Mode};

/// The longest numeral that `read("n")` takes (Lua's L_MAXLENNUM).
const NUMERAL: usize = 200;

/// When written bytes leave the buffer (`setvbuf`).
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Buffering {
    /// At once.
    None,
    /// After each line.
    Line,
    /// When the buffer is full.
    Full,
}

struct Stream {
    mode: Mode,
    buffering: Buffering,
    /// Bytes read ahead, and how many of them are consumed.
    ahead: Vec<u8>,
    consumed: usize,
    /// Bytes not yet written.
    behind: Vec<u8>,
}

thread_local! {
    static STREAMS: RefCell<BTreeMap<u32, Stream>> = const { RefCell::new(BTreeMap::new()) };
}

type Done<T> = Result<T, String>;

/// Opens a file; its number is the host's.
pub fn open(line: u32, path: &str, mode: Mode) -> Done<u32> {
    let Answer::File(file) = door::call(line, Call::Open { path, mode })? else {
        return Err(unexpected());
    };
    let stream = Stream { mode, buffering: Buffering::Full, ahead: Vec::new(), consumed: 0, behind: Vec::new() };
    STREAMS.with_borrow_mut(|streams| streams.insert(file, stream));
    Ok(file)
}

/// Whether the file is open.
pub fn is_open(file: u32) -> bool {
    STREAMS.with_borrow(|streams| streams.contains_key(&file))
}

/// Writes out what is buffered, and closes.
pub fn close(line: u32, file: u32) -> Done<()> {
    let flushed = with(file, |stream| stream.flush(line, file));
    STREAMS.with_borrow_mut(|streams| streams.remove(&file));
    let closed = door::call(line, Call::Close { file });
    flushed?;
    closed.map(|_| ())
}

/// Writes out and closes all files, at the end of a script.
pub fn close_all() -> Done<()> {
    let files: Vec<u32> = STREAMS.with_borrow(|streams| streams.keys().copied().collect());
    files.into_iter().map(|file| close(0, file)).fold(Ok(()), Result::and)
}

/// Writes out what is buffered.
pub fn flush(line: u32, file: u32) -> Done<()> {
    with(file, |stream| stream.flush(line, file))
}

/// Sets when written bytes leave the buffer.
pub fn set_buffering(line: u32, file: u32, buffering: Buffering) -> Done<()> {
    with(file, |stream| {
        stream.buffering = buffering;
        stream.flush(line, file)
    })
}

/// Writes.
pub fn write(line: u32, file: u32, bytes: &[u8]) -> Done<()> {
    with(file, |stream| stream.write(line, file, bytes))
}

/// Moves the current place.
pub fn seek(line: u32, file: u32, from: From, offset: i64) -> Done<u64> {
    with(file, |stream| {
        stream.flush(line, file)?;
        let unread = i64::try_from(stream.ahead.len() - stream.consumed).unwrap_or(0);
        let offset = match from {
            From::Current => offset.checked_sub(unread).ok_or_else(|| "Invalid argument".to_owned())?,
            From::Start | From::End => offset,
        };
        let Answer::Place(place) = door::call(line, Call::Seek { file, from, offset })? else {
            return Err(unexpected());
        };
        stream.forget();
        Ok(place)
    })
}

/// The next line; none at the end.
pub fn read_line(line: u32, file: u32, keep_end: bool) -> Done<Option<Vec<u8>>> {
    with(file, |stream| {
        let mut found = Vec::new();
        loop {
            let rest = stream.peek(line, file)?;
            if rest.is_empty() {
                return Ok((!found.is_empty()).then_some(found));
            }
            if let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                found.extend_from_slice(&rest[..end + usize::from(keep_end)]);
                stream.consumed += end + 1;
                return Ok(Some(found));
            }
            found.extend_from_slice(rest);
            stream.consumed = stream.ahead.len();
        }
    })
}

/// At most `most` bytes; none at the end. 0 asks whether this is the end.
pub fn read_bytes(line: u32, file: u32, most: usize) -> Done<Option<Vec<u8>>> {
    with(file, |stream| {
        let mut found = Vec::new();
        loop {
            let rest = stream.peek(line, file)?;
            if rest.is_empty() {
                return Ok((!found.is_empty()).then_some(found));
            }
            let take = rest.len().min(most - found.len());
            found.extend_from_slice(&rest[..take]);
            stream.consumed += take;
            if found.len() == most {
                return Ok(Some(found));
            }
        }
    })
}

/// The text of the numeral that stands next, read as liolib's `l_read_number`
/// reads it; what it cannot use stays unread. It may not be a number.
pub fn read_numeral(line: u32, file: u32) -> Done<Vec<u8>> {
    with(file, |stream| {
        let mut numeral = Numeral { stream, line, file, text: Vec::new(), full: false };
        while numeral.next()?.is_some_and(|byte| byte.is_ascii_whitespace() || byte == 0x0b) {
            numeral.stream.consumed += 1;
        }
        numeral.accept(b"-+")?;
        let mut digits = 0;
        let mut hexadecimal = false;
        if numeral.accept(b"0")? {
            if numeral.accept(b"xX")? {
                hexadecimal = true;
            } else {
                digits = 1;
            }
        }
        digits += numeral.digits(hexadecimal)?;
        if numeral.accept(b".")? {
            digits += numeral.digits(hexadecimal)?;
        }
        if digits > 0 && numeral.accept(if hexadecimal { b"pP" } else { b"eE" })? {
            numeral.accept(b"-+")?;
            numeral.digits(false)?;
        }
        Ok(if numeral.full { Vec::new() } else { numeral.text })
    })
}

struct Numeral<'a> {
    stream: &'a mut Stream,
    line: u32,
    file: u32,
    text: Vec<u8>,
    full: bool,
}

impl Numeral<'_> {
    fn next(&mut self) -> Done<Option<u8>> {
        Ok(self.stream.peek(self.line, self.file)?.first().copied())
    }

    fn take(&mut self, byte: u8) -> bool {
        if self.text.len() >= NUMERAL {
            self.full = true;
            return false;
        }
        self.text.push(byte);
        self.stream.consumed += 1;
        true
    }

    fn accept(&mut self, set: &[u8]) -> Done<bool> {
        Ok(match self.next()? {
            Some(byte) if set.contains(&byte) => self.take(byte),
            _ => false,
        })
    }

    fn digits(&mut self, hexadecimal: bool) -> Done<usize> {
        let mut count = 0;
        while let Some(byte) = self.next()? {
            let fits = if hexadecimal { byte.is_ascii_hexdigit() } else { byte.is_ascii_digit() };
            if !fits || !self.take(byte) {
                break;
            }
            count += 1;
        }
        Ok(count)
    }
}

impl Stream {
    /// What stands next, read from the host where nothing is left; empty at the end.
    fn peek(&mut self, line: u32, file: u32) -> Done<&[u8]> {
        if matches!(self.mode, Mode::Write | Mode::Append) {
            return Err(bad_descriptor());
        }
        self.flush(line, file)?;
        if self.consumed == self.ahead.len() {
            self.forget();
            let Answer::Data(bytes) = door::call(line, Call::Read { file, most: CHUNK as u32 })? else {
                return Err(unexpected());
            };
            self.ahead = bytes;
        }
        Ok(&self.ahead[self.consumed..])
    }

    fn forget(&mut self) {
        self.ahead.clear();
        self.consumed = 0;
    }

    fn write(&mut self, line: u32, file: u32, bytes: &[u8]) -> Done<()> {
        if self.mode == Mode::Read {
            return Err(bad_descriptor());
        }
        let unread = self.ahead.len() - self.consumed;
        if unread > 0 {
            let offset = -i64::try_from(unread).unwrap_or(0);
            door::call(line, Call::Seek { file, from: From::Current, offset })?;
        }
        self.forget();
        for part in bytes.chunks(CHUNK) {
            if self.behind.len() + part.len() > CHUNK {
                self.flush(line, file)?;
            }
            self.behind.extend_from_slice(part);
        }
        let now = match self.buffering {
            Buffering::None => true,
            Buffering::Line => bytes.contains(&b'\n'),
            Buffering::Full => false,
        };
        if now { self.flush(line, file) } else { Ok(()) }
    }

    fn flush(&mut self, line: u32, file: u32) -> Done<()> {
        if self.behind.is_empty() {
            return Ok(());
        }
        let bytes = std::mem::take(&mut self.behind);
        let done = door::call(line, Call::Write { file, bytes: crate::wire::Bytes(&bytes) });
        self.behind = bytes;
        self.behind.clear();
        done.map(|_| ())
    }
}

fn with<T>(file: u32, act: impl FnOnce(&mut Stream) -> Done<T>) -> Done<T> {
    STREAMS.with_borrow_mut(|streams| match streams.get_mut(&file) {
        Some(stream) => act(stream),
        None => Err(bad_descriptor()),
    })
}

fn bad_descriptor() -> String {
    "Bad file descriptor".to_owned()
}

fn unexpected() -> String {
    "the host gave an answer to another question".to_owned()
}
