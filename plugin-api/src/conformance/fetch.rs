//! The suite for fetch sources, and a fake source that misbehaves to order.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::fetch::{Artifact, Candidate, FetchError, FetchErrorKind, FetchSource, Opened};
use crate::ident::{Digest, PackageName};

/// What [`fetch_source_suite`] asks to have put at a place.
#[derive(Debug, Clone, Copy)]
pub enum Served<'a> {
    /// These bytes, whole.
    Whole(&'a [u8]),
    /// The size of all these bytes is announced, but only so many of them come.
    Truncated(&'a [u8], usize),
    /// A place that could exist and has nothing.
    Absent,
}

/// Checks what every fetch source must show. `serve` puts something at a new
/// place of its own and gives back the location; `None` where such a thing
/// cannot be in that medium (then that part is left out; [`Served::Whole`] always can).
///
/// # Panics
/// With the promise that is not kept.
pub fn fetch_source_suite(source: &dyn FetchSource, serve: &dyn Fn(Served<'_>) -> Option<String>) {
    let bytes: Vec<u8> = (0..200_003_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let whole = place(serve, &bytes);
    names_and_claims(source, &whole);
    finds_only_its_own(source, &whole, &place(serve, b"another"));
    opens_whole(source, &whole, &bytes);
    opens_whole(source, &place(serve, b""), b"");
    opens_whole(source, &place(serve, b"x"), b"x");
    opens_at_offsets(source, &whole, &bytes);
    if let Some(location) = serve(Served::Absent) {
        let kind = source.open(&at(&location), 0).map(|_| ()).map_err(|error| error.kind);
        assert_eq!(kind, Err(FetchErrorKind::NotFound), "what is absent is not found");
    }
    for come in [0, 1, bytes.len() / 2, bytes.len() - 1] {
        if let Some(location) = serve(Served::Truncated(&bytes, come)) {
            breaks_off(source, &location, &bytes[..come]);
        }
    }
    opens_concurrently(source, serve);
}

fn place(serve: &dyn Fn(Served<'_>) -> Option<String>, bytes: &[u8]) -> String {
    serve(Served::Whole(bytes)).unwrap_or_else(|| panic!("the suite needs a place with {} bytes", bytes.len()))
}

fn at(location: &str) -> Candidate {
    Candidate { location: location.to_owned(), size: None }
}

/// An artifact with these mirrors; its digest is no real one.
///
/// # Panics
/// Never: the name is valid.
pub fn artifact(mirrors: &[&str]) -> Artifact {
    let package = "example".parse::<PackageName>().unwrap_or_else(|error| panic!("{error}"));
    let mirrors = mirrors.iter().map(|&mirror| mirror.to_owned()).collect();
    Artifact { package, digest: Digest::from_bytes([7; 32]), size: None, mirrors }
}

/// Locations that no source may claim.
const FOREIGN: [&str; 7] =
    ["", " ", "relative/path", "x-unknown-scheme://host/file", "C:\\file", "http:/\n/127.0.0.1/", "/a\0b"];

fn names_and_claims(source: &dyn FetchSource, location: &str) {
    let name = source.name();
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    assert!(!name.is_empty() && name.bytes().all(plain), "the name {name:?} is of a-z, 0-9 and '-'");
    assert!(source.claims(location), "{location} is claimed");
    for foreign in FOREIGN {
        assert!(!source.claims(foreign), "{foreign:?} is not claimed");
        let opened = source.open(&at(foreign), 0).map(|_| ()).map_err(|error| error.kind);
        assert_eq!(opened, Err(FetchErrorKind::BadLocation), "{foreign:?} is a bad location");
    }
}

fn found(source: &dyn FetchSource, want: &Artifact, most: usize) -> Vec<Candidate> {
    let mut all = Vec::new();
    let outcome = source.find(want, &mut |candidate| {
        all.push(candidate);
        if all.len() == most { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert!(outcome.is_ok(), "to find something or nothing is no error: {outcome:?}");
    all
}

fn finds_only_its_own(source: &dyn FetchSource, first: &str, second: &str) {
    assert_eq!(found(source, &artifact(&[]), 100), [], "no mirrors, no candidates");
    assert_eq!(found(source, &artifact(&FOREIGN), 100), [], "foreign mirrors are no candidates");
    let mixed = artifact(&[FOREIGN[3], first, FOREIGN[2], second]);
    let locations: Vec<_> = found(source, &mixed, 100).into_iter().map(|candidate| candidate.location).collect();
    assert_eq!(locations, [first, second], "the mirrors in their order");
    assert_eq!(found(source, &mixed, 1).len(), 1, "Break ends the search");
}

fn read(source: &dyn FetchSource, location: &str, offset: u64) -> Result<Vec<u8>, FetchError> {
    let mut opened = source.open(&at(location), offset)?;
    let mut bytes = Vec::new();
    if let Err(error) = opened.reader.read_to_end(&mut bytes) {
        panic!("reading {location} from {offset}: {error}");
    }
    if let Some(size) = opened.size {
        assert_eq!(size, bytes.len() as u64, "the announced size of {location} from {offset}");
    }
    Ok(bytes)
}

fn opens_whole(source: &dyn FetchSource, location: &str, bytes: &[u8]) {
    for round in 0..2 {
        let came = read(source, location, 0).unwrap_or_else(|error| panic!("opening {location}: {error}"));
        assert!(came == bytes, "{} bytes came instead of {} in round {round}", came.len(), bytes.len());
    }
}

fn opens_at_offsets(source: &dyn FetchSource, location: &str, bytes: &[u8]) {
    let size = bytes.len() as u64;
    for offset in [1, size / 2, size - 1, size, size + 1, u64::MAX] {
        match read(source, location, offset) {
            Ok(came) => {
                let rest = usize::try_from(offset).ok().and_then(|offset| bytes.get(offset..)).unwrap_or_default();
                assert!(came == rest, "from {offset} on: {} bytes instead of {}", came.len(), rest.len());
                assert!(offset <= size, "behind the end nothing can be opened");
            }
            Err(error) => assert_eq!(error.kind, FetchErrorKind::NoSuchRange, "from {offset} on: {error}"),
        }
    }
}

fn breaks_off(source: &dyn FetchSource, location: &str, come: &[u8]) {
    // A place may notice it before the first byte; what it must not do is to end as if all had come.
    let Ok(mut opened) = source.open(&at(location), 0) else { return };
    let mut bytes = Vec::new();
    let outcome = opened.reader.read_to_end(&mut bytes);
    assert!(outcome.is_err(), "a transfer that ends after {} bytes is an error", come.len());
    assert!(come.starts_with(&bytes), "what came before the break is right");
}

fn opens_concurrently(source: &dyn FetchSource, serve: &dyn Fn(Served<'_>) -> Option<String>) {
    let places: Vec<_> = (0..8_u8)
        .map(|n| {
            let bytes = vec![n; 50_000 + usize::from(n)];
            (place(serve, &bytes), bytes)
        })
        .collect();
    std::thread::scope(|scope| {
        for (location, bytes) in &places {
            scope.spawn(move || opens_whole(source, location, bytes));
        }
    });
}

/// How a place of a [`FakeSource`] behaves.
#[derive(Debug, Clone)]
pub enum Behaviour {
    /// Gives these bytes, and announces their number.
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
    /// Cannot be opened.
    Failing(FetchErrorKind),
    /// Reports itself for ever as a candidate, and cannot be opened.
    FoundForEver,
}

/// A source in memory whose places do what they are told. It claims what
/// begins with `fake:`, and finds exactly such mirrors.
#[derive(Debug, Default)]
pub struct FakeSource {
    places: Mutex<BTreeMap<String, Behaviour>>,
    opened: AtomicUsize,
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
        self.opened.load(Ordering::SeqCst)
    }

    fn behaviour(&self, location: &str) -> Option<Behaviour> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner).get(location).cloned()
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
        self.opened.fetch_add(1, Ordering::SeqCst);
        let fail = |kind| Err(FetchError::new(kind, format!("cannot open {location}")));
        let (bytes, size, rest) = match self.behaviour(location) {
            None => return fail(FetchErrorKind::NotFound),
            Some(Behaviour::FoundForEver) => return fail(FetchErrorKind::Unreachable),
            Some(Behaviour::Failing(kind)) => return fail(kind),
            Some(Behaviour::Whole(bytes)) => (bytes, Announce::Right, Rest::End),
            Some(Behaviour::Unannounced(bytes)) => (bytes, Announce::Nothing, Rest::End),
            Some(Behaviour::Announcing(bytes, size)) => (bytes, Announce::Number(size), Rest::End),
            Some(Behaviour::Breaking(bytes)) => (bytes, Announce::Nothing, Rest::Break),
            Some(Behaviour::Endless(byte)) => (Vec::new(), Announce::Nothing, Rest::Byte(byte)),
            Some(Behaviour::Slow(bytes, piece, pause)) => (bytes, Announce::Nothing, Rest::Slow(piece, pause)),
        };
        let Some(bytes) = usize::try_from(offset).ok().and_then(|offset| bytes.get(offset..)).map(<[u8]>::to_vec)
        else {
            return fail(FetchErrorKind::NoSuchRange);
        };
        let size = match size {
            Announce::Right => Some(bytes.len() as u64),
            Announce::Nothing => None,
            Announce::Number(size) => Some(size),
        };
        Ok(Opened { reader: Box::new(FakeReader { bytes: io::Cursor::new(bytes), rest }), size, file: None })
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fake_keeps_the_promises() {
        let fake = FakeSource::default();
        let next = AtomicUsize::new(0);
        fetch_source_suite(&fake, &|served| {
            let location = format!("fake:{}", next.fetch_add(1, Ordering::SeqCst));
            match served {
                Served::Whole(bytes) => fake.set(&location, Behaviour::Whole(bytes.to_vec())),
                Served::Truncated(bytes, come) => fake.set(&location, Behaviour::Breaking(bytes[..come].to_vec())),
                Served::Absent => {}
            }
            Some(location)
        });
        assert!(fake.opened() > 0);
    }

    #[test]
    #[should_panic(expected = "is an error")]
    fn the_suite_notices_a_transfer_that_ends_early() {
        let fake = FakeSource::default();
        fetch_source_suite(&fake, &|served| {
            let location = format!("fake:{}", fake.places.lock().unwrap().len());
            match served {
                Served::Whole(bytes) => fake.set(&location, Behaviour::Whole(bytes.to_vec())),
                Served::Truncated(bytes, come) => fake.set(&location, Behaviour::Unannounced(bytes[..come].to_vec())),
                Served::Absent => return None,
            }
            Some(location)
        });
    }
}
