//! A Rust source as the tables of the ABI: what [`export_fetch_source!`](crate::export_fetch_source) stands on.
//!
//! Every function that the host calls catches panics: none crosses the border.
#![allow(unsafe_code, reason = "the side of the ABI that is called")]

use std::ffi::c_void;
use std::io::{self, Read};
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::slice;

use super::Settings;
use super::abi::{
    ArtifactTable, Call, CandidateTable, Create, FetchTable, Found, Head, MAX_TEXT, OK, OpenedTable, Pair, PluginTable,
    SettingsTable, Text, UNKNOWN, status_of,
};
use crate::fetch::{Artifact, Candidate, FetchError, FetchErrorKind, FetchSource};
use crate::ident::Digest;

/// Hands out a fetch source: `export_fetch_source!("name", make)`, once a library.
///
/// The name is that of `plugin.toml`; `make` is a `fn(&native::Settings) -> Result<S, String>`
/// for an `S` that is a [`FetchSource`]. An error says what is wrong with the config.
#[macro_export]
macro_rules! export_fetch_source {
    ($name:literal, $make:path) => {
        #[allow(unsafe_code, reason = "the border to the host; the source behind it needs none")]
        const _: () = {
            use $crate::native::{abi, export};

            unsafe extern "C" fn create(
                call: *const abi::Call,
                settings: *const abi::SettingsTable,
                source: *mut *mut ::std::ffi::c_void,
            ) -> i32 {
                // SAFETY: the caller keeps the promises of the header, which are those of this function.
                unsafe { export::create(call, settings, source, $make) }
            }

            static FETCH: abi::FetchTable = export::fetch_table(create);
            static PLUGIN: abi::PluginTable = export::plugin_table($name, ::std::env!("CARGO_PKG_VERSION"), &FETCH);

            #[unsafe(no_mangle)]
            extern "C" fn packets_plugin_entry() -> *const abi::PluginTable {
                &PLUGIN
            }
        };
    };
}

/// The table of a plugin.
pub const fn plugin_table(name: &'static str, version: &'static str, fetch: &'static FetchTable) -> PluginTable {
    PluginTable { head: Head::of::<PluginTable>(), name: Text::of(name), version: Text::of(version), fetch }
}

/// The table of a source that `create` makes.
pub const fn fetch_table(create: Create) -> FetchTable {
    FetchTable {
        head: Head::of::<FetchTable>(),
        create: Some(create),
        destroy: Some(destroy),
        claims: Some(claims),
        find: Some(find),
        open: Some(open),
        read: Some(read),
        close: Some(close),
    }
}

struct Exported(Box<dyn FetchSource>);

struct Stream {
    reader: Box<dyn Read + Send>,
    version: String,
}

/// Makes a source with `make`.
///
/// # Safety
/// The pointers are those that the header describes for `create`.
pub unsafe fn create<S: FetchSource + 'static>(
    call: *const Call,
    settings: *const SettingsTable,
    source: *mut *mut c_void,
    make: impl FnOnce(&Settings) -> Result<S, String>,
) -> i32 {
    guarded(call, || {
        // SAFETY: the host's table, borrowed for this call.
        let settings = unsafe { &*settings };
        // SAFETY: its texts and pairs are borrowed for this call too.
        let settings = unsafe {
            Settings {
                user_agent: text(settings.user_agent)?,
                config: text(settings.config)?,
                values: pairs(settings.values, settings.values_count)?,
                secrets: pairs(settings.secrets, settings.secrets_count)?,
            }
        };
        let made = make(&settings).map_err(|problem| FetchError::new(FetchErrorKind::BadLocation, problem))?;
        let made: Box<Exported> = Box::new(Exported(Box::new(made)));
        // SAFETY: the host's pointer, to be written once. The box is freed by `destroy`.
        unsafe { *source = Box::into_raw(made).cast() };
        Ok(())
    })
}

unsafe extern "C" fn destroy(source: *mut c_void) {
    // SAFETY: made by `create`, and destroyed once, last.
    let source = unsafe { Box::from_raw(source.cast::<Exported>()) };
    let _ = catch_unwind(AssertUnwindSafe(|| drop(source)));
}

/// The source behind a pointer of `create`.
unsafe fn exported<'a>(source: *mut c_void) -> &'a dyn FetchSource {
    // SAFETY: the host passes what `create` gave, and destroys it after all calls.
    unsafe { (*source.cast::<Exported>()).0.as_ref() }
}

unsafe extern "C" fn claims(source: *mut c_void, location: Text) -> i32 {
    // SAFETY: the host's promise for both; a text that is none is not claimed.
    let claimed = || unsafe { text(location).is_ok_and(|location| exported(source).claims(&location)) };
    i32::from(catch_unwind(AssertUnwindSafe(claimed)).unwrap_or(false))
}

unsafe extern "C" fn find(
    source: *mut c_void,
    call: *const Call,
    want: *const ArtifactTable,
    found: *const Found,
) -> i32 {
    guarded(call, || {
        // SAFETY: the host's pointers, borrowed for this call.
        let (source, want, found) = unsafe { (exported(source), artifact(&*want)?, &*found) };
        source.find(&want, &mut |candidate| {
            let table = CandidateTable {
                head: Head::of::<CandidateTable>(),
                location: Text::of(&candidate.location),
                size: candidate.size.unwrap_or(UNKNOWN),
                version: Text::none(),
            };
            let Some(take) = found.candidate else { return ControlFlow::Break(()) };
            // SAFETY: the host's callback with its own pointer; the table lives until it returns.
            match unsafe { take(found.host, &raw const table) } {
                0 => ControlFlow::Continue(()),
                _ => ControlFlow::Break(()),
            }
        })
    })
}

unsafe extern "C" fn open(
    source: *mut c_void,
    call: *const Call,
    from: *const CandidateTable,
    offset: u64,
    opened: *mut OpenedTable,
) -> i32 {
    guarded(call, || {
        // SAFETY: the host's pointers, borrowed for this call.
        let (source, from) = unsafe { (exported(source), candidate(&*from)?) };
        let given = source.open(&from, offset)?;
        let stream = Box::new(Stream { reader: given.reader, version: given.version.unwrap_or_default() });
        // SAFETY: the host's table, which it made for this call.
        let opened = unsafe { &mut *opened };
        opened.size = given.size.unwrap_or(UNKNOWN);
        // The text lies in the stream, which stays where it is until `close`.
        opened.version = Text::of(&stream.version);
        opened.stream = Box::into_raw(stream).cast();
        Ok(())
    })
}

unsafe extern "C" fn read(
    stream: *mut c_void,
    call: *const Call,
    buffer: *mut u8,
    capacity: u64,
    came: *mut u64,
) -> i32 {
    guarded(call, || {
        let capacity = usize::try_from(capacity).unwrap_or(usize::MAX);
        // SAFETY: made by `open`, used by one thread at a time; the buffer is the host's, initialised, of that capacity.
        let (stream, buffer) = unsafe { (&mut *stream.cast::<Stream>(), slice::from_raw_parts_mut(buffer, capacity)) };
        let count = loop {
            match stream.reader.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                outcome => break outcome,
            }
        };
        let count = count
            .map_err(|error| FetchError::new(FetchErrorKind::Unreachable, "the transfer broke off").because(error))?;
        // SAFETY: the host's pointer.
        unsafe { *came = count as u64 };
        Ok(())
    })
}

unsafe extern "C" fn close(stream: *mut c_void) {
    // SAFETY: made by `open`, and closed once.
    let stream = unsafe { Box::from_raw(stream.cast::<Stream>()) };
    let _ = catch_unwind(AssertUnwindSafe(|| drop(stream)));
}

/// Runs it; a failure is explained, and a panic is one.
fn guarded(call: *const Call, run: impl FnOnce() -> Result<(), FetchError>) -> i32 {
    let outcome = catch_unwind(AssertUnwindSafe(run));
    let outcome = outcome.unwrap_or_else(|_| Err(FetchError::new(FetchErrorKind::Protocol, "the source panicked")));
    let Err(error) = outcome else { return OK };
    let explained = || {
        let mut message = error.to_string();
        let mut next = std::error::Error::source(&error);
        while let Some(cause) = next {
            message.push_str(": ");
            message.push_str(&cause.to_string());
            next = cause.source();
        }
        message.truncate(message.floor_char_boundary(4096));
        let wait = error.retry_after.map_or(0, |wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
        // SAFETY: the host's table and callback, borrowed for this call; the text lives until it returns.
        unsafe {
            if let Some(call) = call.as_ref()
                && let Some(explain) = call.explain
            {
                explain(call.host, Text::of(&message), wait);
            }
        }
    };
    // An error's own Display may panic.
    let _ = catch_unwind(AssertUnwindSafe(explained));
    status_of(error.kind)
}

/// A copy of a text.
///
/// # Safety
/// Its bytes are there, as many as it says.
unsafe fn text(text: Text) -> Result<String, FetchError> {
    let wrong = |problem| FetchError::new(FetchErrorKind::Protocol, problem);
    match text.size {
        0 => Ok(String::new()),
        _ if text.data.is_null() || text.size > MAX_TEXT => Err(wrong("the host passed a text that is none")),
        size => {
            // SAFETY: the caller's promise.
            let bytes = unsafe { slice::from_raw_parts(text.data, usize::try_from(size).unwrap_or(0)) };
            let text = str::from_utf8(bytes).map_err(|_| wrong("the host passed a text that is not UTF-8"))?;
            Ok(text.to_owned())
        }
    }
}

/// # Safety
/// The pairs are there, as many as are said, with their texts.
unsafe fn pairs(first: *const Pair, count: u64) -> Result<Vec<(String, String)>, FetchError> {
    if count == 0 {
        return Ok(Vec::new());
    }
    // SAFETY: the caller's promise.
    let pairs = unsafe { slice::from_raw_parts(first, usize::try_from(count).unwrap_or(0)) };
    // SAFETY: as above.
    pairs.iter().map(|pair| unsafe { Ok((text(pair.key)?, text(pair.value)?)) }).collect()
}

/// # Safety
/// The table's texts are there.
unsafe fn artifact(table: &ArtifactTable) -> Result<Artifact, FetchError> {
    let wrong = |error: crate::ident::ParseError| FetchError::new(FetchErrorKind::Protocol, error.to_string());
    let mirrors = match table.mirrors_count {
        0 => &[],
        // SAFETY: the caller's promise.
        count => unsafe { slice::from_raw_parts(table.mirrors, usize::try_from(count).unwrap_or(0)) },
    };
    Ok(Artifact {
        // SAFETY: the caller's promise.
        package: unsafe { text(table.package)? }.parse().map_err(wrong)?,
        digest: Digest::from_bytes(table.sha256),
        size: (table.size != UNKNOWN).then_some(table.size),
        // SAFETY: as above.
        mirrors: mirrors.iter().map(|mirror| unsafe { text(*mirror) }).collect::<Result<_, _>>()?,
    })
}

/// # Safety
/// The table's texts are there.
unsafe fn candidate(table: &CandidateTable) -> Result<Candidate, FetchError> {
    // SAFETY: the caller's promise.
    let (location, version) = unsafe { (text(table.location)?, text(table.version)?) };
    let size = (table.size != UNKNOWN).then_some(table.size);
    Ok(Candidate { location, size, version: (!version.is_empty()).then_some(version) })
}
