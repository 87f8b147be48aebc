//! `run/packets/serve.json`: by it a server is found, ended and looked at. It is locked as long as the server runs, so
//! that what a killed one has left is known to be that.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;

use packets_hook_runtime::folder::Folder;
use rustix::fs::{FlockOperation, Mode, OFlags, flock, openat};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::error::{Context, Error, Result};

const NAME: &str = "serve.json";
/// A server writes far less.
const MOST: u64 = 1 << 20;

/// What a server says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Status {
    /// Its process.
    pub process: u32,
    /// When it began, in seconds since 1970.
    pub since: u64,
    /// Whether it answers by now.
    pub ready: bool,
    /// The UDP port of questions.
    pub questions_port: u16,
    /// The TCP port of files.
    pub files_port: u16,
    /// As which user.
    pub user: u32,
    /// What keeps it from doing anything else.
    pub confined: Vec<String>,
    /// Files that are offered.
    pub offered: usize,
    /// Questions that were understood.
    pub questions: u64,
    /// Answers to them.
    pub answers: u64,
    /// Datagrams that were not answered.
    pub ignored: u64,
    /// Files that were given, or parts of them.
    pub given: u64,
    /// Bytes given.
    pub bytes: u64,
    /// Connections that were turned away or cut off.
    pub refused: u64,
    /// Who else shares.
    pub peers: Vec<PeerStatus>,
}

/// Another machine that shares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerStatus {
    /// Where.
    pub address: String,
    /// Seconds since it was heard of last.
    pub quiet_for: u64,
}

/// The file of the server that is running here.
#[derive(Debug)]
pub(crate) struct StateFile(File);

impl StateFile {
    /// Takes it for this process.
    ///
    /// # Errors
    /// Request, where another server has it.
    pub(crate) fn take(folder: &Folder) -> Result<Self> {
        let named = || "cannot write run/packets/serve.json".to_owned();
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file: File = openat(folder, NAME, flags, Mode::from_raw_mode(0o644)).context(named)?.into();
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self(file)),
            Err(Errno::WOULDBLOCK) => {
                let status = read(&file).unwrap_or_default();
                Err(Error::request(format!("sharing has begun already, by process {}", status.process))
                    .hint("`packets serve status` tells about it, `packets serve stop` ends it"))
            }
            Err(error) => Err(error).context(named),
        }
    }

    /// What cannot be written is not shown.
    pub(crate) fn write(&self, status: &Status) {
        let Ok(text) = serde_json::to_vec(status) else { return };
        let written = self.0.write_all_at(&text, 0);
        let _ = written.and_then(|()| self.0.set_len(text.len() as u64));
    }
}

/// What the server of this folder says of itself; none where none runs.
pub(crate) fn running(folder: &Folder) -> io::Result<Option<Status>> {
    let file = match folder.read(NAME) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    match flock(&file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => Ok(None),
        Err(Errno::WOULDBLOCK) => {
            // It may be written to just now.
            let read = (0..20).find_map(|_| {
                read(&file).or_else(|| {
                    std::thread::sleep(std::time::Duration::from_millis(5));
                    None
                })
            });
            Ok(Some(read.unwrap_or_default()))
        }
        Err(error) => Err(error.into()),
    }
}

fn read(file: &File) -> Option<Status> {
    struct From<'a>(&'a File, u64);
    impl Read for From<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let came = self.0.read_at(buffer, self.1)?;
            self.1 += came as u64;
            Ok(came)
        }
    }
    let mut text = Vec::new();
    From(file, 0).take(MOST).read_to_end(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_known_by_its_lock_and_not_by_its_file() {
        let home = tempfile::tempdir().unwrap();
        let folder = Folder::open_ambient(home.path()).unwrap();
        assert_eq!(running(&folder).unwrap(), None);
        let state = StateFile::take(&folder).unwrap();
        let status = Status { process: 7, bytes: 1_000_000, ..Status::default() };
        state.write(&status);
        state.write(&Status { process: 7, ..Status::default() });
        assert_eq!(running(&folder).unwrap(), Some(Status { process: 7, ..Status::default() }));
        let error = StateFile::take(&folder).unwrap_err();
        assert!(error.message().contains("process 7"), "{error}");
        drop(state);
        assert_eq!(running(&folder).unwrap(), None, "C21");
        StateFile::take(&folder).unwrap();
    }
}
