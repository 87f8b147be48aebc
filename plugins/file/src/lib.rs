//! Fetch source: files of this machine.
//!
//! A location is an absolute path, taken as it is, or a `file://` URL (RFC 8089)
//! without a host or with `localhost`, percent-decoded. Links are followed: the
//! folder is one that the user named. Only regular files are opened.

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests make and look at real trees"))]

mod limits;

use std::ffi::OsString;
use std::fmt::Debug;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use packets_plugin_api::fetch::{Artifact, Candidate, FetchError, FetchErrorKind, FetchSource, Opened};
use packets_plugin_api::ident::escape;
use packets_plugin_api::registry::{DuplicateName, Plugin, Registry};
use rustix::fs::OFlags;

use limits::MAX_LOCATION;

/// Registers the source `file`.
#[derive(Debug, Clone, Copy, Default)]
pub struct FilePlugin;

impl Plugin for FilePlugin {
    fn register(&self, registry: &mut Registry) -> Result<(), DuplicateName> {
        registry.add_fetch("file", |_| Arc::new(FileSource))
    }
}

/// The source itself; it keeps nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct FileSource;

impl FetchSource for FileSource {
    fn name(&self) -> &str {
        "file"
    }

    fn claims(&self, location: &str) -> bool {
        path_of(location).is_some()
    }

    fn find(&self, want: &Artifact, found: &mut dyn FnMut(Candidate) -> ControlFlow<()>) -> Result<(), FetchError> {
        for mirror in want.mirrors.iter().filter(|mirror| self.claims(mirror)) {
            if found(Candidate::at(mirror)).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn finds_at_once(&self) -> bool {
        true
    }

    fn open(&self, from: &Candidate, offset: u64) -> Result<Opened, FetchError> {
        let shown = escape(&from.location, 300);
        let Some(path) = path_of(&from.location) else {
            let message = format!("\"{shown}\" is neither an absolute path nor a file:// URL of this machine");
            return Err(FetchError::new(FetchErrorKind::BadLocation, message));
        };
        let failed = |error: io::Error| {
            let kind = match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => FetchErrorKind::NotFound,
                io::ErrorKind::PermissionDenied => FetchErrorKind::Denied,
                _ => FetchErrorKind::Unreachable,
            };
            FetchError::new(kind, format!("cannot open {shown}")).because(error)
        };
        let must_be_file = |what: &Metadata| match what.is_file() {
            true => Ok(()),
            false => Err(FetchError::new(FetchErrorKind::Denied, format!("{shown} is not a regular file"))),
        };
        // Opening a device has effects of its own, so the kind is asked first, and again of the handle.
        must_be_file(&metadata(&path).map_err(failed)?)?;
        let mut file = open_without_waiting(&path).map_err(failed)?;
        let what = file.metadata().map_err(failed)?;
        must_be_file(&what)?;
        let Some(left) = what.len().checked_sub(offset) else {
            let message = format!("{shown} has {} bytes and cannot be read from {offset} on", what.len());
            return Err(FetchError::new(FetchErrorKind::NoSuchRange, message));
        };
        let version = version_of(&what, SystemTime::now());
        if offset > 0 && from.version.is_some() && from.version != version {
            let message = format!("{shown} has been changed and cannot be read from {offset} on");
            return Err(FetchError::new(FetchErrorKind::NoSuchRange, message));
        }
        file.seek(SeekFrom::Start(offset)).map_err(failed)?;
        let again = file.try_clone().map_err(failed)?;
        Ok(Opened { reader: Box::new(Whole { file, left }), size: Some(left), version, file: Some(again) })
    }
}

/// A time within which a file system may give a second change the same time as the first.
const COARSE: Duration = Duration::from_secs(2);

/// What changes with a file's bytes: which file it is, its size, and when it was changed, which nobody can set. A file
/// that was changed just now could be changed again at the same time, and has no version.
fn version_of(what: &Metadata, now: SystemTime) -> Option<String> {
    let changed = Duration::new(u64::try_from(what.ctime()).ok()?, u32::try_from(what.ctime_nsec()).ok()?);
    let is_settled = now.duration_since(UNIX_EPOCH + changed).is_ok_and(|age| age >= COARSE);
    let version = || format!("{}-{}-{}-{}", what.dev(), what.ino(), what.len(), changed.as_nanos());
    is_settled.then(version)
}

/// What stands at a path of the user, links followed.
fn metadata(path: &Path) -> io::Result<Metadata> {
    path.metadata()
}

/// Opens for reading; a FIFO without a writer, or a terminal, does not hold us up.
fn open_without_waiting(path: &Path) -> io::Result<File> {
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    #[expect(clippy::disallowed_methods, reason = "the user's own path: no handle exists before it")]
    OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)
}

/// Exactly the bytes that the file had when it was opened: one that has shrunk
/// since is an error, what was added to it is not read.
struct Whole {
    file: File,
    left: u64,
}

impl Read for Whole {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let came = self.file.read(&mut buffer[..most])?;
        if came == 0 && most > 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file became shorter while it was read"));
        }
        self.left -= came as u64;
        Ok(came)
    }
}

/// The path that a location means; none where it is not of this source.
fn path_of(location: &str) -> Option<PathBuf> {
    if location.len() > MAX_LOCATION || location.chars().any(char::is_control) {
        return None;
    }
    let bytes = if location.starts_with('/') { location.as_bytes().to_vec() } else { url_path(location)? };
    Some(PathBuf::from(OsString::from_vec(bytes)))
}

/// The decoded path of a `file:` URL (RFC 8089, section 2).
fn url_path(location: &str) -> Option<Vec<u8>> {
    let (scheme, rest) = location.split_once("://")?;
    if !scheme.eq_ignore_ascii_case("file") {
        return None;
    }
    let (host, _) = rest.split_once('/')?;
    if !host.is_empty() && !host.eq_ignore_ascii_case("localhost") {
        return None;
    }
    let path = percent_decode(&rest[host.len()..])?;
    // What acts on a terminal or ends a string early is no name of a package file, escaped or not.
    path.iter().all(|b| !b.is_ascii_control()).then_some(path)
}

/// RFC 3986, section 2.1; a bad escape, a query or a fragment is none.
fn percent_decode(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'?' | b'#' => return None,
            b'%' => {
                let high = char::from(bytes.next()?).to_digit(16)?;
                let low = char::from(bytes.next()?).to_digit(16)?;
                out.push(u8::try_from(high << 4 | low).ok()?);
            }
            _ => out.push(byte),
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_just_changed_has_no_version() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let what = file.as_file().metadata().unwrap();
        let changed =
            UNIX_EPOCH + Duration::new(what.ctime().cast_unsigned(), u32::try_from(what.ctime_nsec()).unwrap());
        let at = |age| version_of(&what, changed + age);
        assert_eq!(at(COARSE - Duration::from_nanos(1)), None);
        assert_eq!(version_of(&what, changed - COARSE), None, "a clock that was wrong");
        let version = at(COARSE).unwrap();
        assert_eq!(at(COARSE * 1000), Some(version.clone()));
        std::fs::write(file.path(), "other bytes").unwrap();
        assert_ne!(version_of(&file.as_file().metadata().unwrap(), changed + COARSE * 2), Some(version));
    }

    #[test]
    fn claims_paths_and_local_urls_only() {
        let good = [
            ("/srv/repo/a%20b.tar.zst", "/srv/repo/a%20b.tar.zst"),
            ("file:///srv/a%20b%c3%a9", "/srv/a bé"),
            ("file://localhost/srv/x", "/srv/x"),
            ("FILE:///srv/x", "/srv/x"),
            ("file:///srv/100%25", "/srv/100%"),
        ];
        for (location, path) in good {
            assert_eq!(path_of(location), Some(PathBuf::from(path)), "{location}");
        }
        let bad = [
            "",
            "srv/x",
            "./x",
            "file:",
            "file:/x",
            "file://",
            "file://host/x",
            "file://127.0.0.1/x",
            "http:///x",
            "file:///a%",
            "file:///a%4",
            "file:///a%zz",
            "file:///a%00b",
            "file:///a?b",
            "file:///a#b",
            "/a\0b",
            "/a\nb",
        ];
        for location in bad {
            assert_eq!(path_of(location), None, "{location:?}");
        }
        assert!(path_of(&format!("/{}", "a".repeat(MAX_LOCATION - 1))).is_some());
        assert!(path_of(&format!("/{}", "a".repeat(MAX_LOCATION))).is_none());
    }

    #[test]
    fn n14_escaped_control_characters_are_refused() {
        for location in ["file:///a%0a201%20URI%20Done", "file:///a%0d", "file:///a%1b[2J", "file:///a%7f", "/a\r\nb"] {
            assert!(!FileSource.claims(location), "{location:?}");
        }
    }
}
