//! The suite for fetch sources, and a fake source that misbehaves to order.

mod begun;
mod fake;

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use crate::fetch::{Artifact, Candidate, FetchError, FetchErrorKind, FetchSource};
use crate::ident::{Digest, PackageName};

pub use fake::{Behaviour, FakeSource};

/// What [`fetch_source_suite`] asks to have put at a place.
#[derive(Debug, Clone, Copy)]
pub enum Served<'a> {
    /// These bytes, whole.
    Whole(&'a [u8]),
    /// The size of all these bytes is announced, but only so many of them come.
    Truncated(&'a [u8], usize),
    /// The same, but instead of an end there is silence.
    Silent(&'a [u8], usize),
    /// A place that could exist and has nothing.
    Absent,
}

/// How long a source may wait for a place that says nothing any more.
pub const SILENCE: Duration = Duration::from_secs(60);

/// Checks what every fetch source must show. `serve` puts something at a new
/// place of its own and gives back the location; `None` where such a thing
/// cannot be in that medium (then that part is left out; [`Served::Whole`] always can).
///
/// # Panics
/// With the promise that is not kept.
pub fn fetch_source_suite(source: &dyn FetchSource, serve: &dyn Fn(Served<'_>) -> Option<String>) {
    opens_as_promised(source, serve);
    if source.begin(&at(&place(serve, b"begun")), 0).is_some() {
        begun::waits_for_nobody(source, serve);
        opens_as_promised(&begun::Begins(source), serve);
    }
}

fn opens_as_promised(source: &dyn FetchSource, serve: &dyn Fn(Served<'_>) -> Option<String>) {
    let bytes: Vec<u8> = (0..200_003_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let whole = place(serve, &bytes);
    names_and_claims(source, &whole);
    finds_only_its_own(source, &whole, &place(serve, b"another"));
    opens_whole(source, &whole, &bytes);
    opens_whole(source, &place(serve, b""), b"");
    opens_whole(source, &place(serve, b"x"), b"x");
    opens_at_offsets(source, &whole, &bytes);
    opens_parts(source, &whole, &bytes);
    if let Some(location) = serve(Served::Absent) {
        let kind = source.open(&at(&location), 0).map(|_| ()).map_err(|error| error.kind);
        assert_eq!(kind, Err(FetchErrorKind::NotFound), "what is absent is not found");
    }
    for come in [0, 1, bytes.len() / 2, bytes.len() - 1] {
        if let Some(location) = serve(Served::Truncated(&bytes, come)) {
            breaks_off(source, &location, &bytes[..come]);
        }
        if let Some(location) = serve(Served::Silent(&bytes, come)) {
            let started = Instant::now();
            breaks_off(source, &location, &bytes[..come]);
            let took = started.elapsed();
            assert!(took < SILENCE, "a place that says nothing after {come} bytes is given up, not after {took:?}");
        }
    }
    continues_only_its_version(source, &whole, &bytes, serve);
    gives_only_another_version(source, &whole, &bytes, serve);
    opens_concurrently(source, serve);
}

fn place(serve: &dyn Fn(Served<'_>) -> Option<String>, bytes: &[u8]) -> String {
    serve(Served::Whole(bytes)).unwrap_or_else(|| panic!("the suite needs a place with {} bytes", bytes.len()))
}

fn at(location: &str) -> Candidate {
    Candidate::at(location)
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
    read_from(source, &at(location), offset)
}

fn read_from(source: &dyn FetchSource, from: &Candidate, offset: u64) -> Result<Vec<u8>, FetchError> {
    let mut opened = source.open(from, offset)?;
    let location = &from.location;
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

/// A part begins with what was asked for; whatever more comes goes on from there.
fn opens_parts(source: &dyn FetchSource, location: &str, bytes: &[u8]) {
    let size = bytes.len();
    for (offset, length) in [(0, 1), (0, size), (1, 70_000), (size / 2, 10), (size - 1, 1), (size - 5, 100)] {
        match source.open_part(&at(location), offset as u64, length as u64) {
            Ok(mut opened) => {
                let mut came = Vec::new();
                let outcome = opened.reader.read_to_end(&mut came);
                assert!(outcome.is_ok(), "{length} bytes from {offset} on: {outcome:?}");
                assert!(came.len() >= length.min(size - offset), "{length} bytes from {offset} on: {}", came.len());
                assert!(bytes[offset..].starts_with(&came), "{length} bytes from {offset} on are others");
                let announced = opened.size.unwrap_or(came.len() as u64);
                assert_eq!(announced, came.len() as u64, "the announced size of {length} bytes from {offset} on");
            }
            Err(error) => assert_eq!(error.kind, FetchErrorKind::NoSuchRange, "{length} from {offset} on: {error}"),
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

/// With the version that a place gave it goes on, or says that it cannot; with another's it says so.
fn continues_only_its_version(
    source: &dyn FetchSource,
    location: &str,
    bytes: &[u8],
    serve: &dyn Fn(Served<'_>) -> Option<String>,
) {
    let version = |location: &str| source.open(&at(location), 0).ok().and_then(|opened| opened.version);
    let other = version(&place(serve, &bytes[1..]));
    let (Some(own), offset) = (version(location), bytes.len() / 2) else { return };
    let refused = |from: &Candidate| match read_from(source, from, offset as u64) {
        Ok(came) => {
            assert!(came == bytes[offset..], "{} bytes from {offset} on", came.len());
            false
        }
        Err(error) => {
            assert_eq!(error.kind, FetchErrorKind::NoSuchRange, "from {offset} on: {error}");
            true
        }
    };
    refused(&Candidate { version: Some(own.clone()), ..at(location) });
    if let Some(other) = other.filter(|other| *other != own) {
        assert!(refused(&Candidate { version: Some(other), ..at(location) }), "another version is not continued");
    }
}

/// With the version that a place gave it gives nothing more, with another's or none everything.
fn gives_only_another_version(
    source: &dyn FetchSource,
    location: &str,
    bytes: &[u8],
    serve: &dyn Fn(Served<'_>) -> Option<String>,
) {
    let version = |location: &str| source.open(&at(location), 0).ok().and_then(|opened| opened.version);
    let (own, other) = (version(location), version(&place(serve, &bytes[1..])));
    let given = |version: Option<String>| {
        let from = Candidate { version, ..at(location) };
        let opened = source.open_unless(&from).unwrap_or_else(|error| panic!("{location}: {error}"));
        opened.map(|mut opened| {
            let mut came = Vec::new();
            opened.reader.read_to_end(&mut came).unwrap_or_else(|error| panic!("{location}: {error}"));
            came
        })
    };
    assert!(given(None).is_some_and(|came| came == bytes), "whoever knows no version gets everything");
    if let Some(other) = other.filter(|other| own.as_ref() != Some(other)) {
        assert!(given(Some(other)).is_some_and(|came| came == bytes), "who knows another version gets everything");
    }
    if own.is_some() {
        assert!(given(own).is_none(), "a version that is known is not given again");
    }
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::fetch::{Begun, Opened};

    #[test]
    fn the_fake_keeps_the_promises() {
        let fake = FakeSource::default();
        let next = AtomicUsize::new(0);
        fetch_source_suite(&fake, &|served| {
            let location = format!("fake:{}", next.fetch_add(1, Ordering::SeqCst));
            match served {
                Served::Whole(bytes) => fake.set(&location, Behaviour::Whole(bytes.to_vec())),
                Served::Truncated(bytes, come) => fake.set(&location, Behaviour::Breaking(bytes[..come].to_vec())),
                Served::Silent(..) => return None,
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
        let next = AtomicUsize::new(0);
        fetch_source_suite(&fake, &|served| {
            let location = format!("fake:{}", next.fetch_add(1, Ordering::SeqCst));
            match served {
                Served::Whole(bytes) => fake.set(&location, Behaviour::Whole(bytes.to_vec())),
                Served::Truncated(bytes, come) => fake.set(&location, Behaviour::Unannounced(bytes[..come].to_vec())),
                Served::Silent(..) | Served::Absent => return None,
            }
            Some(location)
        });
    }

    /// Which promise about versions is broken.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum Fault {
        /// Reads on where its place has another version by now.
        Careless,
        /// Has the same version for ever.
        Frozen,
        /// As careless, where it begins and is not waited for.
        CarelessToBegin,
    }

    /// A fake with a fault.
    #[derive(Debug)]
    struct Broken(Arc<FakeSource>, Fault);

    impl FetchSource for Broken {
        fn name(&self) -> &str {
            self.0.name()
        }
        fn claims(&self, location: &str) -> bool {
            self.0.claims(location)
        }
        fn find(&self, want: &Artifact, found: &mut dyn FnMut(Candidate) -> ControlFlow<()>) -> Result<(), FetchError> {
            self.0.find(want, found)
        }
        fn open(&self, from: &Candidate, offset: u64) -> Result<Opened, FetchError> {
            match self.1 {
                Fault::Careless => self.0.open(&at(&from.location), offset),
                Fault::Frozen | Fault::CarelessToBegin => self.0.open(from, offset),
            }
        }
        fn begin(&self, from: &Candidate, offset: u64) -> Option<Begun> {
            let (fake, location) = (self.0.clone(), from.location.clone());
            (self.1 == Fault::CarelessToBegin).then(|| -> Begun { Box::new(move || fake.open(&at(&location), offset)) })
        }
        fn open_unless(&self, from: &Candidate) -> Result<Option<Opened>, FetchError> {
            match self.1 {
                Fault::Frozen if from.version.is_some() => Ok(None),
                _ => self.0.open_unless(from),
            }
        }
    }

    fn try_broken(fault: Fault) {
        let broken = Broken(Arc::default(), fault);
        let next = AtomicUsize::new(0);
        fetch_source_suite(&broken, &|served| {
            let location = format!("fake:{}", next.fetch_add(1, Ordering::SeqCst));
            let Served::Whole(bytes) = served else { return None };
            broken.0.set(&location, Behaviour::Whole(bytes.to_vec()));
            Some(location)
        });
    }

    #[test]
    #[should_panic(expected = "who knows another version gets everything")]
    fn the_suite_notices_a_place_that_never_changes() {
        try_broken(Fault::Frozen);
    }

    #[test]
    #[should_panic(expected = "another version is not continued")]
    fn the_suite_notices_a_place_that_continues_another_version() {
        try_broken(Fault::Careless);
    }

    #[test]
    #[should_panic(expected = "another version is not continued")]
    fn the_suite_looks_at_what_begins_too() {
        try_broken(Fault::CarelessToBegin);
    }
}
