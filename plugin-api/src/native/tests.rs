//! Both sides of the ABI against each other, and tables that are wrong.
#![allow(unsafe_code, reason = "tests make tables of their own")]

use std::ffi::c_void;
use std::io::Read;
use std::ops::ControlFlow;
use std::ptr;

use super::Settings;
use super::abi::{self, Call, CandidateTable, FetchTable, Head, PluginTable, SettingsTable, Text};
use super::export;
use super::foreign::{ForeignPlugin, ForeignSource, check_version};
use crate::conformance::fetch::{Behaviour, FakeSource, Served, artifact, fetch_source_suite};
use crate::fetch::{Artifact, Candidate, FetchError, FetchErrorKind, FetchSource, Opened};

static FAKE: std::sync::LazyLock<FakeSource> = std::sync::LazyLock::new(FakeSource::default);

/// The fake, and places at which it panics.
#[derive(Debug)]
struct Shared;

impl FetchSource for Shared {
    fn name(&self) -> &str {
        "fake"
    }
    fn claims(&self, location: &str) -> bool {
        assert_ne!(location, "panic", "as it is told");
        FAKE.claims(location)
    }
    fn find(&self, want: &Artifact, found: &mut dyn FnMut(Candidate) -> ControlFlow<()>) -> Result<(), FetchError> {
        assert_ne!(want.mirrors, ["panic"], "as it is told");
        FAKE.find(want, found)
    }
    fn open(&self, from: &Candidate, offset: u64) -> Result<Opened, FetchError> {
        assert_ne!(from.location, "panic", "as it is told");
        FAKE.open(from, offset)
    }
}

fn make(settings: &Settings) -> Result<Shared, String> {
    match settings.value("fail") {
        Some(problem) => Err(problem.to_owned()),
        None => Ok(Shared),
    }
}

unsafe extern "C" fn create(call: *const Call, settings: *const SettingsTable, source: *mut *mut c_void) -> i32 {
    // SAFETY: passed on as it is.
    unsafe { export::create(call, settings, source, make) }
}

static FETCH: FetchTable = export::fetch_table(create);
static PLUGIN: PluginTable = export::plugin_table("fake", "1.2.3", &FETCH);

extern "C" fn entry() -> *const PluginTable {
    &PLUGIN
}

fn load(entry: abi::Entry) -> Result<ForeignPlugin, String> {
    // SAFETY: the tables of these tests live as long as the program.
    unsafe { ForeignPlugin::load(entry) }.map_err(|refused| refused.to_string())
}

fn source() -> ForeignSource {
    load(entry).unwrap().create(&Settings::default()).unwrap()
}

#[test]
fn a_source_keeps_its_promises_through_the_tables() {
    let next = std::sync::atomic::AtomicUsize::new(0);
    fetch_source_suite(&source(), &|served| {
        let location = format!("fake:{}", next.fetch_add(1, std::sync::atomic::Ordering::SeqCst));
        match served {
            Served::Whole(bytes) => FAKE.set(&location, Behaviour::Whole(bytes.to_vec())),
            Served::Truncated(bytes, come) => FAKE.set(&location, Behaviour::Breaking(bytes[..come].to_vec())),
            Served::Silent(..) => return None,
            Served::Absent => {}
        }
        Some(location)
    });
}

#[test]
fn failures_cross_with_kind_words_and_time() {
    for kind in [
        FetchErrorKind::NotFound,
        FetchErrorKind::Denied,
        FetchErrorKind::Unreachable,
        FetchErrorKind::Protocol,
        FetchErrorKind::NoSuchRange,
        FetchErrorKind::LoginFirst,
        FetchErrorKind::BadLocation,
    ] {
        assert_eq!(abi::kind_of(abi::status_of(kind)), kind);
    }
    FAKE.set("fake:busy", Behaviour::Busy(std::time::Duration::from_secs(7)));
    let error = source().open(&Candidate::at("fake:busy"), 0).unwrap_err();
    assert_eq!(error.kind, FetchErrorKind::Unreachable);
    assert_eq!(error.retry_after, Some(std::time::Duration::from_secs(7)));
    assert!(error.to_string().contains("fake:busy"), "{error}");
    let settings = Settings { values: vec![("fail".to_owned(), "no such server".to_owned())], ..Settings::default() };
    let error = load(entry).unwrap().create(&settings).unwrap_err();
    assert_eq!(error.to_string(), "no such server");
}

#[test]
fn p07_a_panic_does_not_cross() {
    let source = source();
    assert!(!source.claims("panic"));
    let opened = source.open(&Candidate::at("panic"), 0).map(|_| ()).unwrap_err();
    assert_eq!((opened.kind, opened.to_string().as_str()), (FetchErrorKind::Protocol, "the source panicked"));
    assert!(source.find(&artifact(&["panic"]), &mut |_| ControlFlow::Continue(())).is_err());
    assert!(source.claims("fake:1"), "and it goes on");
}

/// A plugin with one thing changed.
macro_rules! changed {
    (|$plugin:ident, $fetch:ident| $change:expr) => {{
        extern "C" fn entry() -> *const PluginTable {
            let mut $fetch = Box::new(export::fetch_table(create));
            let mut $plugin = Box::new(export::plugin_table("fake", "1.2.3", &FETCH));
            let _ = (&mut $plugin, &mut $fetch);
            $change;
            if ptr::eq($plugin.fetch, &raw const FETCH) {
                $plugin.fetch = Box::leak($fetch);
            }
            Box::leak($plugin)
        }
        load(entry).unwrap_err()
    }};
}

extern "C" fn no_entry() -> *const PluginTable {
    ptr::null()
}

#[test]
fn p04_p05_tables_that_are_wrong_are_refused_before_the_first_call() {
    for (error, part) in [
        (load(no_entry).unwrap_err(), "is missing"),
        (changed!(|plugin, fetch| plugin.fetch = ptr::null()), "is missing"),
        (
            changed!(|plugin, fetch| plugin.head.abi_major += 1),
            "version 2.0 of the plugin ABI, and this program has 1.0",
        ),
        (changed!(|plugin, fetch| plugin.head.abi_major -= 1), "version 0.0"),
        (changed!(|plugin, fetch| plugin.head.abi_minor += 1), "version 1.1"),
        (changed!(|plugin, fetch| plugin.head.struct_size += 8), "bytes instead of the"),
        (changed!(|plugin, fetch| plugin.head.struct_size -= 8), "bytes instead of the"),
        (changed!(|plugin, fetch| plugin.head.struct_size = u64::MAX), "bytes instead of the"),
        (changed!(|plugin, fetch| fetch.head.abi_major = 0x0100_0000), "version 16777216.0"),
        (changed!(|plugin, fetch| fetch.head.struct_size += 8), "bytes instead of the"),
        (changed!(|plugin, fetch| fetch.read = None), "NULL"),
        (changed!(|plugin, fetch| fetch.create = None), "NULL"),
    ] {
        assert!(error.contains(part), "{part}: {error}");
    }
    assert!(check_version(abi::MAJOR, abi::MINOR).is_ok());
}

#[test]
fn p09_texts_of_all_kinds() {
    const BAD: [u8; 4] = [b'a', 0xff, 0xfe, b'b'];
    for (error, part) in [
        (changed!(|plugin, fetch| plugin.name = Text::none()), "is not 1 to"),
        (changed!(|plugin, fetch| plugin.name = Text::of("Fake")), "is not 1 to"),
        (changed!(|plugin, fetch| plugin.name = Text::of("../x")), "is not 1 to"),
        (changed!(|plugin, fetch| plugin.name.size = 1 << 63), "and 32 are allowed"),
        (changed!(|plugin, fetch| plugin.name.size = u64::MAX), "and 32 are allowed"),
        (changed!(|plugin, fetch| plugin.name.data = ptr::null()), "is NULL"),
        (changed!(|plugin, fetch| plugin.name = Text { data: BAD.as_ptr(), size: 4 }), "is not UTF-8"),
        (changed!(|plugin, fetch| plugin.version = Text { data: BAD.as_ptr(), size: 4 }), "is not UTF-8"),
        (changed!(|plugin, fetch| plugin.version = Text::of("a\0b")), "has a NUL"),
    ] {
        assert!(error.contains(part), "{part}: {error}");
    }
}

/// What a plugin that makes no sense gives.
mod nonsense {
    use super::*;

    pub(super) unsafe extern "C" fn find(
        _: *mut c_void,
        _: *const Call,
        _: *const abi::ArtifactTable,
        found: *const abi::Found,
    ) -> i32 {
        let table = CandidateTable {
            head: Head::of::<CandidateTable>(),
            location: Text { data: ptr::null(), size: 1 << 63 },
            size: 0,
            version: Text::none(),
        };
        // SAFETY: the host's callback; what it is passed is what is tried.
        unsafe { ((*found).candidate.unwrap())((*found).host, &raw const table) };
        abi::OK
    }

    pub(super) unsafe extern "C" fn open(
        _: *mut c_void,
        _: *const Call,
        from: *const CandidateTable,
        _: u64,
        opened: *mut abi::OpenedTable,
    ) -> i32 {
        // SAFETY: the host's tables.
        unsafe {
            let location = std::slice::from_raw_parts((*from).location.data, (*from).location.size as usize);
            if location != b"nothing" {
                (*opened).stream = ptr::dangling_mut();
                (*opened).size = 5;
            }
            if location == b"version" {
                (*opened).version = Text { data: ptr::null(), size: 5 };
            }
        }
        abi::OK
    }

    pub(super) unsafe extern "C" fn read(
        _: *mut c_void,
        _: *const Call,
        _: *mut u8,
        capacity: u64,
        came: *mut u64,
    ) -> i32 {
        // SAFETY: the host's number.
        unsafe { *came = capacity + 1 };
        abi::OK
    }

    pub(super) unsafe extern "C" fn close(_: *mut c_void) {}
}

#[test]
fn p09_nonsense_is_an_error_of_its_own_transfer() {
    extern "C" fn entry() -> *const PluginTable {
        let fetch = FetchTable {
            find: Some(nonsense::find),
            open: Some(nonsense::open),
            read: Some(nonsense::read),
            close: Some(nonsense::close),
            ..export::fetch_table(create)
        };
        Box::leak(Box::new(export::plugin_table("fake", "1", Box::leak(Box::new(fetch)))))
    }
    let source = load(entry).unwrap().create(&Settings::default()).unwrap();
    let error = source.find(&artifact(&["x"]), &mut |_| ControlFlow::Continue(())).unwrap_err();
    assert_eq!(error.to_string(), "the location of a candidate has 9223372036854775808 bytes, and 8192 are allowed");
    for (location, part) in [("nothing", "gives no stream"), ("version", "is NULL")] {
        let error = source.open(&Candidate::at(location), 0).unwrap_err();
        assert!(error.to_string().contains(part), "{error}");
    }
    let mut opened = source.open(&Candidate::at("x"), 0).unwrap();
    let error = opened.reader.read(&mut [0; 64]).unwrap_err();
    assert_eq!(error.to_string(), "the plugin says that 65 bytes came, where 64 fit");
    assert!(opened.reader.read(&mut [0; 64]).is_err(), "it stays so");
}
