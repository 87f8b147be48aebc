//! What `packets plugin check` tries on a plugin that stands behind its worker.

use std::fs::File;
use std::io::Read;
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt;

use packets_plugin_api::fetch::{Artifact, Candidate, FetchErrorKind, FetchSource};
use packets_plugin_api::ident::Digest;

use crate::digest;
use crate::fetch::one_line;

/// Locations that no source may claim.
const FOREIGN: [&str; 5] = ["", " ", "relative/path", "x-unknown-scheme://host/file", "http:/\n/127.0.0.1/"];

/// What can be tried without a place: texts that are nobody's.
pub(crate) fn of_texts(source: &dyn FetchSource) -> Result<Vec<String>, String> {
    for location in FOREIGN {
        if source.claims(location) {
            return Err(format!("it claims the location {location:?}"));
        }
        match source.open(&Candidate::at(location), 0) {
            Err(error) if error.kind == FetchErrorKind::BadLocation => {}
            Err(error) => return Err(format!("opening {location:?} is no bad location but: {}", one_line(&error))),
            Ok(_) => return Err(format!("it opens the location {location:?}")),
        }
    }
    let package = "example".parse().map_err(|error| format!("{error}"))?;
    let mirrors = FOREIGN.map(str::to_owned).into();
    let want = Artifact { package, digest: Digest::from_bytes([7; 32]), size: None, mirrors };
    let mut found = 0_usize;
    let mut count = |_| {
        found += 1;
        if found > 64 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    source.find(&want, &mut count).map_err(|error| format!("to find nothing is an error: {}", one_line(&error)))?;
    if found > 64 {
        return Err("it finds places for ever".to_owned());
    }
    Ok(vec!["claims no foreign location, opens none, and ends its search".to_owned()])
}

/// What can be tried where a file is known: its bytes, from any offset, in the version that was begun.
pub(crate) fn of_bytes(source: &dyn FetchSource, location: &str, file: &File) -> Result<Vec<String>, String> {
    if !source.claims(location) {
        return Err(format!("it does not claim {location}"));
    }
    let (size, expected) = digest::of_file(file).map_err(|error| format!("the file cannot be read: {error}"))?;
    let opened = source
        .open(&Candidate::at(location), 0)
        .map_err(|error| format!("it cannot open {location}: {}", one_line(&error)))?;
    let (announced, version) = (opened.size, opened.version);
    let came = digest::of(opened.reader).map_err(|error| format!("the transfer broke off: {error}"))?;
    if came != expected || announced.is_some_and(|announced| announced != size) {
        return Err(format!("other bytes came than the file's, which has {size}"));
    }
    let mut ranges = false;
    for offset in [1, size / 2, size.saturating_sub(1), size, size.saturating_add(1), u64::MAX] {
        let from = Candidate { version: version.clone(), ..Candidate::at(location) };
        match source.open(&from, offset) {
            Err(error) if error.kind == FetchErrorKind::NoSuchRange => {}
            Err(error) => return Err(format!("opening from {offset} on: {}", one_line(&error))),
            Ok(opened) => {
                same_from(opened.reader, file, offset, size)?;
                ranges |= offset < size;
            }
        }
    }
    let how = if ranges { "from any offset" } else { "from its beginning, and from no other offset" };
    Ok(vec![format!("gives the right {size} bytes, {how}")])
}

fn same_from(mut reader: impl Read, file: &File, offset: u64, size: u64) -> Result<(), String> {
    let wrong = || format!("other bytes came from {offset} on than the file has there");
    let (mut came, mut expected) = (vec![0; 64 << 10], vec![0; 64 << 10]);
    let mut at = offset;
    loop {
        let count =
            reader.read(&mut came).map_err(|error| format!("the transfer from {offset} on broke off: {error}"))?;
        if count == 0 {
            return if at == size { Ok(()) } else { Err(wrong()) };
        }
        file.read_exact_at(&mut expected[..count], at).map_err(|_| wrong())?;
        if came[..count] != expected[..count] {
            return Err(wrong());
        }
        at += count as u64;
    }
}
