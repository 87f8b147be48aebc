//! A source in memory that does what it is told.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::ops::ControlFlow;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::at;
use crate::fetch::{Artifact, Candidate, FetchError, FetchErrorKind, FetchSource, Opened};

/// How a place of a [`FakeSource`] behaves.
#[derive(Debug, Clone)]
pub enum Behaviour {
    /// Gives these bytes, and announces their number and version.
    Whole(Vec<u8>),
    /// Gives these bytes, and announces nothing.
    Unannounced(Vec<u8>),
    /// Gives these bytes, and announces another number.
    Announcing(Vec<u8>, u64),
    /// Gives these bytes, then fails.
    Breaking(Vec<u8>),
    /// Gives this byte for ever.
    Endless(u8),
    /// Gives these bytes in pieces of this size with a pause before each.
    Slow(Vec<u8>, usize, Duration),
    /// Gives these bytes, but only from the first on.
    NoRange(Vec<u8>),
    /// Cannot be opened.
    Failing(FetchErrorKind),
    /// Cannot be opened, and asks to be left alone for so long.
    Busy(Duration),
    /// Says nothing for so long, and then that it cannot be reached.
    Hanging(Duration),
    /// Behaves so when it is opened first, and as the second says from then on.
    Then(Box<Self>, Box<Self>),
    /// Reports itself for ever as a candidate, and cannot be opened.
    FoundForEver,
}

/// A source in memory whose places do what they are told. It claims what
/// begins with `fake:`, and finds exactly such mirrors.
#[derive(Debug, Default)]
pub struct FakeSource {
    places: Mutex<BTreeMap<String, Behaviour>>,
    openings: Mutex<Vec<(String, u64)>>,
}

impl FakeSource {
    /// The same source with one more place.
    #[must_use]
    pub fn with(self, location: &str, behaviour: Behaviour) -> Self {
        self.set(location, behaviour);
        self
    }

    /// Changes what a place does from now on.
    pub fn set(&self, location: &str, behaviour: Behaviour) {
        self.places.lock().unwrap_or_else(PoisonError::into_inner).insert(location.to_owned(), behaviour);
    }

    /// How many places have been opened so far.
    pub fn opened(&self) -> usize {
        self.openings().len()
    }

    /// The places that have been opened so far, each with the offset.
    pub fn openings(&self) -> Vec<(String, u64)> {
        self.openings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn behaviour(&self, location: &str) -> Option<Behaviour> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner).get(location).cloned()
    }

    /// What the place does now that it is opened.
    fn next_behaviour(&self, location: &str) -> Option<Behaviour> {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let place = places.get_mut(location)?;
        match place.clone() {
            Behaviour::Then(now, later) => {
                *place = *later;
                Some(*now)
            }
            now => Some(now),
        }
    }
}

impl FetchSource for FakeSource {
    fn name(&self) -> &str {
        "fake"
    }

    fn claims(&self, location: &str) -> bool {
        location.starts_with("fake:")
    }

    fn find(&self, want: &Artifact, found: &mut dyn FnMut(Candidate) -> ControlFlow<()>) -> Result<(), FetchError> {
        for mirror in want.mirrors.iter().filter(|mirror| self.claims(mirror)) {
            let for_ever = matches!(self.behaviour(mirror), Some(Behaviour::FoundForEver));
            loop {
                if found(at(mirror)).is_break() {
                    return Ok(());
                }
                if !for_ever {
                    break;
                }
            }
        }
        Ok(())
    }

    fn open(&self, from: &Candidate, offset: u64) -> Result<Opened, FetchError> {
        let location = &from.location;
        if !self.claims(location) {
            return Err(FetchError::new(FetchErrorKind::BadLocation, format!("{location:?} is no fake place")));
        }
        self.openings.lock().unwrap_or_else(PoisonError::into_inner).push((location.clone(), offset));
        let error = |kind| FetchError::new(kind, format!("cannot open {location}"));
        let (bytes, size, rest) = match self.next_behaviour(location) {
            None => return Err(error(FetchErrorKind::NotFound)),
            Some(Behaviour::FoundForEver) => return Err(error(FetchErrorKind::Unreachable)),
            Some(Behaviour::Failing(kind)) => return Err(error(kind)),
            Some(Behaviour::Then(..)) => return Err(error(FetchErrorKind::Protocol)),
            Some(Behaviour::Busy(time)) => {
                return Err(FetchError { retry_after: Some(time), ..error(FetchErrorKind::Unreachable) });
            }
            Some(Behaviour::Hanging(time)) => {
                std::thread::sleep(time);
                return Err(error(FetchErrorKind::Unreachable));
            }
            Some(Behaviour::NoRange(_)) if offset > 0 => return Err(error(FetchErrorKind::NoSuchRange)),
            Some(Behaviour::Whole(bytes)) => (bytes, Announce::Right, Rest::End),
            Some(Behaviour::Unannounced(bytes) | Behaviour::NoRange(bytes)) => (bytes, Announce::Nothing, Rest::End),
            Some(Behaviour::Announcing(bytes, size)) => (bytes, Announce::Number(size), Rest::End),
            Some(Behaviour::Breaking(bytes)) => (bytes, Announce::Nothing, Rest::Break),
            Some(Behaviour::Endless(byte)) => (Vec::new(), Announce::Nothing, Rest::Byte(byte)),
            Some(Behaviour::Slow(bytes, piece, pause)) => (bytes, Announce::Nothing, Rest::Slow(piece, pause)),
        };
        let version = matches!(size, Announce::Right).then(|| version_of(&bytes));
        if offset > 0 && from.version.is_some() && from.version != version {
            return Err(error(FetchErrorKind::NoSuchRange));
        }
        let endless = matches!(rest, Rest::Byte(_));
        let left = usize::try_from(offset).ok().and_then(|offset| bytes.get(offset..)).map(<[u8]>::to_vec);
        let Some(bytes) = left.or(endless.then(Vec::new)) else {
            return Err(error(FetchErrorKind::NoSuchRange));
        };
        let size = match size {
            Announce::Right => Some(bytes.len() as u64),
            Announce::Nothing => None,
            Announce::Number(size) => Some(size),
        };
        Ok(Opened { reader: Box::new(FakeReader { bytes: io::Cursor::new(bytes), rest }), size, version, file: None })
    }
}

/// A number that other bytes hardly have (FNV-1a).
fn version_of(bytes: &[u8]) -> String {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    format!("{:016x}", bytes.iter().fold(0xcbf2_9ce4_8422_2325, step))
}

enum Announce {
    Right,
    Nothing,
    Number(u64),
}

enum Rest {
    End,
    Break,
    Byte(u8),
    Slow(usize, Duration),
}

struct FakeReader {
    bytes: io::Cursor<Vec<u8>>,
    rest: Rest,
}

impl Read for FakeReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut most = buffer.len();
        if let Rest::Slow(piece, pause) = self.rest {
            std::thread::sleep(pause);
            most = most.min(piece);
        }
        let came = self.bytes.read(&mut buffer[..most])?;
        match self.rest {
            Rest::Break if came == 0 => Err(io::Error::new(io::ErrorKind::ConnectionReset, "the fake place broke off")),
            Rest::Byte(byte) => {
                buffer.fill(byte);
                Ok(buffer.len())
            }
            _ => Ok(came),
        }
    }
}
