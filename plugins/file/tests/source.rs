//! The source against real files.
#![expect(clippy::unwrap_used, reason = "a test ends with a panic")]
#![expect(clippy::disallowed_methods, reason = "a test lays out its own folders")]

use std::fs;
use std::io::Read;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use packets_plugin_api::conformance::fetch::{Served, fetch_source_suite};
use packets_plugin_api::fetch::{Candidate, FetchErrorKind, FetchSource};
use packets_plugin_api::registry::Plugin;
use packets_plugin_api::registry::{FetchSettings, Registry};
use packets_plugin_file::{FilePlugin, FileSource};

fn at(location: impl Into<String>) -> Candidate {
    Candidate::at(location)
}

fn suite(prefix: &str) {
    let home = tempfile::tempdir().unwrap();
    let next = AtomicUsize::new(0);
    fetch_source_suite(&FileSource, &|served| {
        let path = home.path().join(format!("file-{}", next.fetch_add(1, Ordering::SeqCst)));
        match served {
            Served::Whole(bytes) => fs::write(&path, bytes).unwrap(),
            Served::Absent => {}
            Served::Truncated(..) | Served::Silent(..) => return None,
        }
        Some(format!("{prefix}{}", path.display()))
    });
}

#[test]
fn keeps_the_promises_for_paths() {
    suite("");
}

#[test]
fn keeps_the_promises_for_urls() {
    suite("file://");
}

#[test]
fn is_registered_once_under_its_name() {
    let mut registry = Registry::default();
    FilePlugin.register(&mut registry).unwrap();
    assert!(FilePlugin.register(&mut registry).is_err());
    let source = registry.fetch("file").unwrap()(&FetchSettings::default());
    assert_eq!(source.name(), "file");
}

#[test]
fn opens_regular_files_only_and_never_waits() {
    let home = tempfile::tempdir().unwrap();
    let pipe = home.path().join("pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, rustix::fs::Mode::from_raw_mode(0o644), 0)
        .unwrap();
    let started = Instant::now();
    for place in [pipe.to_str().unwrap(), home.path().to_str().unwrap(), "/dev/zero", "/dev/null"] {
        let error = FileSource.open(&at(place), 0).unwrap_err();
        assert_eq!(error.kind, FetchErrorKind::Denied, "{place}");
        assert!(error.message.contains(place), "{error}");
    }
    assert!(started.elapsed().as_secs() < 5);
}

#[test]
fn m14_a_file_that_shrinks_while_it_is_read_is_an_error() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("file");
    fs::write(&path, vec![1; 100_000]).unwrap();
    let mut opened = FileSource.open(&at(path.to_str().unwrap()), 0).unwrap();
    fs::File::options().write(true).open(&path).unwrap().set_len(50_000).unwrap();
    let mut bytes = Vec::new();
    assert!(opened.reader.read_to_end(&mut bytes).is_err());
    assert_eq!(bytes.len(), 50_000);
}

#[test]
fn m14_what_is_added_while_it_is_read_is_not_read() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("file");
    fs::write(&path, "old").unwrap();
    let mut opened = FileSource.open(&at(path.to_str().unwrap()), 0).unwrap();
    fs::write(&path, "old and new").unwrap();
    let mut text = String::new();
    opened.reader.read_to_string(&mut text).unwrap();
    assert_eq!(text, "old");
}

#[test]
fn n14_errors_escape_the_location() {
    let error = FileSource.open(&at("/nothing\u{202e}here"), 0).unwrap_err();
    assert_eq!(error.kind, FetchErrorKind::NotFound);
    assert!(error.message.contains("\\u{202e}"), "{error}");
}
