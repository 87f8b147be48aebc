//! The messages between a hook's guest and the host.
//!
//! The guest asks, the host answers; both in [postcard's format][format], one
//! message a call. Neither side believes the other's lengths: a message is
//! decoded from a bounded slice, and what does not decode ends the hook.
//!
//! [format]: https://postcard.jamesmunns.com/wire-format

use serde::{Deserialize, Serialize};

/// The module under which the guest imports its one function.
pub const IMPORT_MODULE: &str = "packets";
/// The one function: `call(request, request length, response, response capacity) -> response length`.
pub const IMPORT_NAME: &str = "call";
/// The most bytes that one [`Call::Read`] or [`Call::Write`] moves.
pub const CHUNK: usize = 64 << 10;
/// The longest path in bytes; the guest sends none that is longer.
pub const PATH: usize = 4096;
/// The largest response to anything but a [`Call::Read`]; that one may have [`CHUNK`] bytes more.
pub const RESPONSE: usize = 8 << 10;
/// What the message of a refusal begins with, for hooks written for the first version.
pub const DENIED_PREFIX: &str = "[packets] unsafe filepath: ";

/// Bytes that are not copied to be encoded or decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Bytes<'a>(#[serde(borrow)] pub &'a [u8]);

impl Serialize for Bytes<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

/// What the guest is given to run, or only to parse.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start<'a> {
    /// The script's name, for messages and as the global `script`.
    pub script: &'a str,
    /// The script.
    #[serde(borrow)]
    pub text: Bytes<'a>,
    /// The global `packets_package_dir`.
    pub packages_dir: &'a str,
    /// The global `packets_bin_dir`.
    pub bin_dir: &'a str,
    /// The global `data_dir`.
    pub data_dir: &'a str,
    /// The seed of `math.random`.
    pub seed: [i64; 2],
}

/// How a script ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome<'a> {
    /// At its end.
    Done,
    /// It does not parse.
    Syntax(&'a str),
    /// With an error that it did not catch.
    Failed(&'a str),
}

/// One call through the door.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request<'a> {
    /// The script's line that calls; 0 where unknown.
    pub line: u32,
    /// What it asks for.
    #[serde(borrow)]
    pub call: Call<'a>,
}

/// What a script can ask for. Paths are as the script wrote them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Call<'a> {
    /// Opens a file; answered by [`Response::File`].
    Open {
        /// The file.
        path: &'a str,
        /// For what.
        mode: Mode,
    },
    /// Reads; answered by [`Response::Data`], empty at the end.
    Read {
        /// An open file.
        file: u32,
        /// How many bytes at most.
        most: u32,
    },
    /// Writes all of it; answered by [`Response::Done`].
    Write {
        /// An open file.
        file: u32,
        /// At most [`CHUNK`].
        #[serde(borrow)]
        bytes: Bytes<'a>,
    },
    /// Moves the current place; answered by [`Response::Place`].
    Seek {
        /// An open file.
        file: u32,
        /// What the offset counts from.
        from: From,
        /// In bytes.
        offset: i64,
    },
    /// Closes; answered by [`Response::Done`].
    Close {
        /// An open file.
        file: u32,
    },
    /// Removes a file, a link or a folder with its content.
    Remove {
        /// What to remove.
        path: &'a str,
    },
    /// Gives something another name.
    Rename {
        /// Its name.
        old: &'a str,
        /// The name to be.
        new: &'a str,
    },
    /// Copies a file or a folder.
    Copy {
        /// What.
        source: &'a str,
        /// To where.
        target: &'a str,
    },
    /// Makes a symbolic link.
    Symlink {
        /// The text of the link.
        target: &'a str,
        /// Where it will stand.
        link: &'a str,
    },
    /// Makes a folder with its parents.
    Mkdir {
        /// Where.
        path: &'a str,
        /// Its permission bits.
        mode: u32,
    },
    /// Prints a line.
    Log {
        /// The line, without its end.
        text: &'a str,
    },
}

/// How a file is opened, as by Lua's `io.open`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mode {
    /// `r`
    Read,
    /// `w`
    Write,
    /// `a`
    Append,
    /// `r+`
    ReadUpdate,
    /// `w+`
    WriteUpdate,
    /// `a+`
    AppendUpdate,
}

/// What a seek counts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum From {
    /// `set`
    Start,
    /// `cur`
    Current,
    /// `end`
    End,
}

/// The host's answer. A limit that is used up has none: the guest ends in the call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Response<'a> {
    /// It is done.
    Done,
    /// It is open under this number.
    File(u32),
    /// What was read.
    Data(#[serde(borrow)] Bytes<'a>),
    /// The place in the file, counted from its start.
    Place(u64),
    /// It is not done.
    Failed {
        /// Why, as a kind.
        kind: Failure,
        /// Why, for the script.
        message: &'a str,
    },
}

/// Kinds of [`Response::Failed`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Failure {
    /// Not granted.
    Denied,
    /// Nothing is there.
    NotFound,
    /// It does not fit what is there.
    Invalid,
    /// The target or the staging folder failed.
    Io,
}

/// Encodes a message behind what `buffer` holds; none when memory is exhausted.
pub fn encode<M: Serialize>(message: &M, buffer: Vec<u8>) -> Option<Vec<u8>> {
    postcard::to_extend(message, buffer).ok()
}

/// Decodes a message that fills `bytes` exactly; none where it does not.
pub fn decode<'a, M: Deserialize<'a>>(bytes: &'a [u8]) -> Option<M> {
    match postcard::take_from_bytes(bytes) {
        Ok((message, [])) => Some(message),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_back_as_they_went() {
        let request = Request { line: 7, call: Call::Seek { file: 3, from: From::End, offset: i64::MIN } };
        let bytes = encode(&request, Vec::new()).unwrap();
        assert_eq!(decode::<Request<'_>>(&bytes), Some(request));
        let response = Response::Data(Bytes(b"\0\xff"));
        let bytes = encode(&response, Vec::new()).unwrap();
        assert_eq!(decode::<Response<'_>>(&bytes), Some(response));
    }

    #[test]
    fn h32_cut_or_lengthened_messages_do_not_decode() {
        let request = Request { line: 1, call: Call::Write { file: 1, bytes: Bytes(&[9; 300]) } };
        let mut bytes = encode(&request, Vec::new()).unwrap();
        for length in 0..bytes.len() {
            assert_eq!(decode::<Request<'_>>(&bytes[..length]), None, "{length}");
        }
        bytes.push(0);
        assert_eq!(decode::<Request<'_>>(&bytes), None);
        assert_eq!(decode::<Request<'_>>(&[1, 200, 0]), None);
        assert_eq!(decode::<Request<'_>>(&[1, 2, 1, 0xff, 0xff, 0xff, 0xff, 0x0f]), None);
    }
}
