//! What host and worker say to each other.
//!
//! Each call is a conversation of its own, on a socket of its own that the host makes and passes over
//! the control socket: a worker can disturb no call but the one that it answers, and whoever hangs
//! up ends it. A message is its length (32 bits, little-endian) and postcard.
//!
//! With [`Request::Open`] the host passes memory as well. After [`Reply::Opened`] come the lengths of chunks, whose bytes stand
//! there, one chunk in each of its slots in turn; the host gives a slot back with a byte when it has taken a copy. The length
//! 0 ends them, and a last reply says whether all is well. What a worker writes there later changes nothing
//! but what it gives: the host judges the copy.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use packets_plugin_api::fetch::{Artifact, Candidate, FetchError};
use packets_plugin_api::ident::{Digest, PackageName};
use packets_plugin_api::native::{Settings, abi};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Handles that go with one control message at most.
const HANDLES: usize = 2;

/// What the host asks.
#[derive(Serialize, Deserialize)]
pub(super) enum Request {
    /// Give up what can be given up, load the library and make its source.
    Load {
        user_agent: String,
        config: String,
        values: Vec<(String, String)>,
        secrets: Vec<(String, String)>,
        /// Files that it may read besides.
        readable: Vec<String>,
    },
    Claims(String),
    Find {
        package: String,
        digest: String,
        size: Option<u64>,
        mirrors: Vec<String>,
    },
    Open {
        location: String,
        size: Option<u64>,
        version: Option<String>,
        offset: u64,
    },
}

/// What the worker answers.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Reply {
    /// The source is made.
    Ready {
        name: String,
        version: String,
        /// What could not be given up.
        kept: Vec<String>,
    },
    /// It is not.
    Refused(String),
    Claims(bool),
    /// One of those found.
    Candidate {
        location: String,
        size: Option<u64>,
    },
    /// The end of what was found, or of the bytes.
    End,
    /// The bytes follow.
    Opened {
        size: Option<u64>,
        version: Option<String>,
    },
    Failed {
        kind: i32,
        message: String,
        retry_after_ms: u64,
    },
}

impl Request {
    pub(super) fn load(settings: &Settings, readable: Vec<String>) -> Self {
        let Settings { user_agent, config, values, secrets } = settings.clone();
        Self::Load { user_agent, config, values, secrets, readable }
    }

    pub(super) fn find(want: &Artifact) -> Self {
        Self::Find {
            package: want.package.to_string(),
            digest: want.digest.to_string(),
            size: want.size,
            mirrors: want.mirrors.clone(),
        }
    }

    pub(super) fn open(from: &Candidate, offset: u64) -> Self {
        let Candidate { location, size, version } = from.clone();
        Self::Open { location, size, version, offset }
    }
}

/// What is wanted, as the worker hears it.
pub(super) fn artifact(
    package: &str,
    digest: &str,
    size: Option<u64>,
    mirrors: Vec<String>,
) -> Result<Artifact, packets_plugin_api::ident::ParseError> {
    let (package, digest): (PackageName, Digest) = (package.parse()?, digest.parse()?);
    Ok(Artifact { package, digest, size, mirrors })
}

impl From<FetchError> for Reply {
    fn from(error: FetchError) -> Self {
        let mut message = error.message;
        message.truncate(message.floor_char_boundary(4096));
        let wait = error.retry_after.map_or(0, |wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
        Self::Failed { kind: abi::status_of(error.kind), message, retry_after_ms: wait }
    }
}

/// A message, whole.
pub(super) fn send(to: impl Write, message: &impl Serialize) -> io::Result<()> {
    send_at_most(to, message, usize::MAX)
}

/// A message, whole; nothing of one that the other side would not take.
pub(super) fn send_at_most(mut to: impl Write, message: &impl Serialize, most: usize) -> io::Result<()> {
    let body = postcard::to_allocvec(message).map_err(io::Error::other)?;
    if body.len() > most {
        let problem = format!("a message of {} bytes, where {most} are allowed", body.len());
        return Err(io::Error::new(io::ErrorKind::InvalidInput, problem));
    }
    let length = u32::try_from(body.len()).map_err(io::Error::other)?;
    let mut frame = length.to_le_bytes().to_vec();
    frame.extend(body);
    to.write_all(&frame)
}

/// The next message, which has at most so many bytes.
pub(super) fn receive<T: DeserializeOwned>(mut from: impl Read, most: usize) -> io::Result<T> {
    let length = receive_length(&mut from)?;
    if length > most {
        let problem = format!("a message of {length} bytes, where {most} are allowed");
        return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
    }
    let mut body = vec![0; length];
    from.read_exact(&mut body)?;
    postcard::from_bytes(&body).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "a message that makes no sense"))
}

/// The length of a message or a chunk.
pub(super) fn receive_length(mut from: impl Read) -> io::Result<usize> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    usize::try_from(u32::from_le_bytes(length)).map_err(io::Error::other)
}

/// Passes handles over the control socket.
pub(super) fn pass(control: impl AsFd, handles: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(HANDLES))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !ancillary.push(SendAncillaryMessage::ScmRights(handles)) {
        return Err(io::Error::other("too many handles"));
    }
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    rustix::net::sendmsg(control, &[IoSlice::new(&[0])], &mut ancillary, flags)?;
    Ok(())
}

/// The handles of the next control message; none when the other side has gone.
pub(super) fn take(control: impl AsFd) -> io::Result<Vec<OwnedFd>> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(HANDLES))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    loop {
        let flags = RecvFlags::CMSG_CLOEXEC;
        match rustix::net::recvmsg(&control, &mut [IoSliceMut::new(&mut byte)], &mut ancillary, flags) {
            Err(rustix::io::Errno::INTR) => {}
            received => {
                received?;
                break;
            }
        }
    }
    let rights = ancillary.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(handles) => Some(handles),
        _ => None,
    });
    Ok(rights.flatten().collect())
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;
    use crate::plugin::limits::{REPLY, REQUEST};

    #[test]
    fn p09_messages_are_bounded_and_make_sense() {
        let mut bytes = Vec::new();
        send(&mut bytes, &Reply::Claims(true)).unwrap();
        assert!(matches!(receive(&bytes[..], 64).unwrap(), Reply::Claims(true)));
        for bad in [&[][..], &[1], &[1, 0, 0, 0], &[0xff; 8], &[1, 0, 0, 0, 0x7f], &[0, 0, 0, 0], &bytes[..5]] {
            assert!(receive::<Reply>(bad, 64).is_err(), "{bad:?}");
        }
        let long = Reply::Refused("x".repeat(100));
        let mut bytes = Vec::new();
        send(&mut bytes, &long).unwrap();
        assert!(receive::<Reply>(&bytes[..], 64).is_err());
    }

    /// Sends a message of exactly so many bytes, where `message` makes one with a text of any length.
    fn passes<T: Serialize + DeserializeOwned>(message: impl Fn(String) -> T, size: usize, most: usize) -> bool {
        let mut text = "x".repeat(size);
        let mut bytes = Vec::new();
        send(&mut bytes, &message(text.clone())).unwrap();
        text.truncate(size - (bytes.len() - 4 - size));
        bytes.clear();
        send(&mut bytes, &message(text)).unwrap();
        assert_eq!(bytes.len() - 4, size);
        receive::<T>(&bytes[..], most).is_ok()
    }

    #[test]
    fn p09_messages_as_large_as_may_be() {
        assert!(passes(Reply::Refused, REPLY, REPLY));
        assert!(!passes(Reply::Refused, REPLY + 1, REPLY));
        let load = |config| Request::Load {
            user_agent: String::new(),
            config,
            values: vec![],
            secrets: vec![],
            readable: vec![],
        };
        assert!(passes(load, REQUEST, REQUEST));
        assert!(!passes(load, REQUEST + 1, REQUEST));
    }

    #[test]
    fn handles_cross_and_close_behind_them() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (mut one, other) = UnixStream::pair().unwrap();
        pass(&ours, &[other.as_fd()]).unwrap();
        drop(other);
        let taken = take(&theirs).unwrap();
        assert_eq!(taken.len(), 1);
        let mut far = UnixStream::from(taken.into_iter().next().unwrap());
        far.write_all(b"x").unwrap();
        drop(far);
        let mut text = String::new();
        one.read_to_string(&mut text).unwrap();
        assert_eq!(text, "x");
        drop(ours);
        assert!(take(&theirs).unwrap().is_empty());
    }
}
