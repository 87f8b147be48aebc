//! Sharing: package files of this machine, given to others.

use std::fmt::{self, Debug};
use std::fs::File;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use crate::ident::Digest;

/// What is offered: complete package files that the host has verified.
///
/// The host decides what that is. Methods may be called from several threads at once, for each
/// question of a stranger: they must not take long.
pub trait Offers: Debug + Send + Sync {
    /// The digest of the file that has this name on the LAN. The name is a stranger's text.
    fn named(&self, name: &str) -> Option<Digest>;
    /// Whether this file is offered.
    fn has(&self, digest: &Digest) -> bool;
    /// The file, open for reading, with its size; none where it is not offered, or not any more.
    fn open(&self, digest: &Digest) -> Option<(File, u64)>;
}

/// A way to share.
///
/// To open and to run are apart, so that a process can give up what it needed for the first
/// before it hears of anybody.
pub trait Sharer: Debug + Send + Sync {
    /// Takes what the system has to give: its ports. Nothing is answered yet.
    ///
    /// # Errors
    /// Why not, with the port where that is the reason.
    fn open(&self, ports: Ports) -> Result<Box<dyn Sharing>, ShareError>;
}

/// Where to listen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ports {
    /// UDP, for questions.
    pub questions: u16,
    /// TCP, for files.
    pub files: u16,
}

/// Something that is ready to share.
pub trait Sharing: Send {
    /// Shares until `control` says that it is enough. All work is done in this thread and in
    /// threads that it starts.
    ///
    /// # Errors
    /// What stopped it before.
    fn run(self: Box<Self>, offers: Arc<dyn Offers>, control: &dyn Control) -> io::Result<()>;
}

/// Who runs it.
pub trait Control: Sync {
    /// Whether to go on; told about once a second how it goes.
    fn goes_on(&self, figures: &Figures) -> bool;
}

/// How sharing goes, since it began.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Figures {
    /// Questions that were understood.
    pub questions: u64,
    /// Answers to them.
    pub answers: u64,
    /// Datagrams that were not answered: not understood, from elsewhere, or too many.
    pub ignored: u64,
    /// Files that were asked for and given, or parts of them.
    pub files: u64,
    /// Bytes of files given.
    pub bytes: u64,
    /// Connections that were turned away or cut off.
    pub refused: u64,
    /// Who else shares, as far as is known.
    pub peers: Vec<Peer>,
}

/// Another machine that shares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Where.
    pub address: IpAddr,
    /// The TCP port of its files.
    pub port: u16,
    /// Seconds since it was heard of last.
    pub quiet_for: u64,
}

/// Why sharing cannot begin.
#[derive(Debug)]
pub struct ShareError {
    /// What was attempted on which thing.
    pub message: String,
    /// The port that could not be had, if that was it.
    pub port: Option<TakenPort>,
    /// What stood behind it.
    pub cause: io::Error,
}

/// A port that somebody else has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TakenPort {
    /// Of UDP.
    Udp(u16),
    /// Of TCP.
    Tcp(u16),
}

impl fmt::Display for ShareError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ShareError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.cause)
    }
}
