//! The tables of somebody else's plugin as a fetch source. Nothing that comes back is trusted
//! further than memory allows: versions, sizes, texts and numbers are checked before they are used.
#![allow(unsafe_code, reason = "the side of the ABI that calls")]

use std::ffi::c_void;
use std::fmt::{self, Debug};
use std::io::{self, Read};
use std::ops::ControlFlow;
use std::ptr;
use std::slice;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use super::Settings;
use super::abi::Read as ReadOn;
use super::abi::{
    ArtifactTable, Call, CandidateTable, Claims, Create, End, Entry, FetchTable, Find, Found, Head, MAJOR,
    MAX_LOCATION, MAX_NAME, MAX_VERSION, MINOR, OK, Open, OpenedTable, Pair, PluginTable, SettingsTable, Text, UNKNOWN,
    kind_of,
};
use crate::fetch::{Artifact, Candidate, FetchError, FetchErrorKind, FetchSource, Opened};
use crate::ident::escape;

/// The longest explanation of a failure that is kept, in bytes.
const MAX_MESSAGE: usize = 4096;

/// Whether nobody waits any more for what a call gives.
pub type Cancelled = Arc<dyn Fn() -> bool + Send + Sync>;

/// Why a plugin is not used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused(String);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refused {}

/// A plugin whose tables are right.
#[derive(Debug, Clone)]
pub struct ForeignPlugin {
    name: String,
    version: String,
    functions: Functions,
}

#[derive(Debug, Clone, Copy)]
struct Functions {
    create: Create,
    destroy: End,
    claims: Claims,
    find: Find,
    open: Open,
    read: ReadOn,
    close: End,
}

impl ForeignPlugin {
    /// The plugin of this entry. Nothing else of it is called.
    ///
    /// # Safety
    /// The entry is that of a plugin which keeps the promises of the header, and its library is never unloaded.
    ///
    /// # Errors
    /// What is wrong with its tables.
    pub unsafe fn load(entry: Entry) -> Result<Self, Refused> {
        // SAFETY: the caller's promise: a pointer to a table, or null.
        let plugin = unsafe { entry() };
        // SAFETY: as above; the pointer is looked at before what it points to.
        let (name, version, fetch) = unsafe {
            check_table::<PluginTable>(plugin.cast(), "the plugin's table")?;
            ((*plugin).name, (*plugin).version, (*plugin).fetch)
        };
        // SAFETY: texts of the plugin's; they are bounded and copied.
        let (name, version) = unsafe { (copied(name, MAX_NAME), copied(version, 64)) };
        let name = name.map_err(|problem| Refused(format!("the plugin's name {problem}")))?;
        let version = version.map_err(|problem| Refused(format!("the plugin's version {problem}")))?;
        if !is_name(&name) {
            let shown = escape(&name, 64);
            return Err(Refused(format!("the plugin's name \"{shown}\" is not 1 to {MAX_NAME} of a-z, 0-9 and '-'")));
        }
        // SAFETY: as for the first table.
        let fetch = unsafe {
            check_table::<FetchTable>(fetch.cast(), "the table of the fetch source")?;
            &*fetch
        };
        let functions =
            Functions::of(fetch).ok_or_else(|| Refused("a function of its fetch source is NULL".to_owned()))?;
        Ok(Self { name, version, functions })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its version, escaped.
    pub fn version(&self) -> String {
        escape(&self.version, 64)
    }

    /// Makes a source.
    ///
    /// # Errors
    /// What the plugin says.
    pub fn create(&self, settings: &Settings) -> Result<ForeignSource, FetchError> {
        let pairs = |all: &[(String, String)]| -> Vec<Pair> {
            all.iter().map(|(key, value)| Pair { key: Text::of(key), value: Text::of(value) }).collect()
        };
        let (values, secrets) = (pairs(&settings.values), pairs(&settings.secrets));
        let table = SettingsTable {
            head: Head::of::<SettingsTable>(),
            user_agent: Text::of(&settings.user_agent),
            config: Text::of(&settings.config),
            values: values.as_ptr(),
            values_count: values.len() as u64,
            secrets: secrets.as_ptr(),
            secrets_count: secrets.len() as u64,
        };
        let mut source = ptr::null_mut();
        calling("make the source", &never(), |call| {
            // SAFETY: all tables live until the call returns.
            unsafe { (self.functions.create)(call, &raw const table, &raw mut source) }
        })?;
        if source.is_null() {
            return Err(FetchError::new(
                FetchErrorKind::Protocol,
                "the plugin says that it made a source and gives none",
            ));
        }
        let inner = Inner { name: self.name.clone(), functions: self.functions, source };
        Ok(ForeignSource(Arc::new(inner)))
    }
}

/// Whether a text can be a plugin's name.
pub fn is_name(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=MAX_NAME).contains(&text.len()) && text.bytes().all(plain)
}

/// Whether a plugin of this version of the ABI can be used; if not, why.
pub fn check_version(major: u32, minor: u32) -> Result<(), Refused> {
    if major == MAJOR && (0..=MINOR).contains(&minor) {
        return Ok(());
    }
    Err(Refused(format!(
        "it is built for version {major}.{minor} of the plugin ABI, and this program has {MAJOR}.{MINOR}"
    )))
}

/// # Safety
/// The pointer is null or points to a table that begins with a head.
unsafe fn check_table<Table>(table: *const Head, what: &str) -> Result<(), Refused> {
    if table.is_null() || !table.is_aligned() {
        return Err(Refused(format!("{what} is missing")));
    }
    // SAFETY: the caller's promise.
    let head = unsafe { *table };
    check_version(head.abi_major, head.abi_minor).map_err(|Refused(problem)| Refused(format!("{what}: {problem}")))?;
    let expected = size_of::<Table>() as u64;
    if head.struct_size != expected {
        let found = head.struct_size;
        return Err(Refused(format!("{what} has {found} bytes instead of the {expected} of its version")));
    }
    Ok(())
}

impl Functions {
    fn of(table: &FetchTable) -> Option<Self> {
        Some(Self {
            create: table.create?,
            destroy: table.destroy?,
            claims: table.claims?,
            find: table.find?,
            open: table.open?,
            read: table.read?,
            close: table.close?,
        })
    }
}

/// A copy of a plugin's text, which may be anything.
///
/// # Safety
/// Where the text has a pointer and no more than `most` bytes, they are there.
unsafe fn copied(text: Text, most: usize) -> Result<String, String> {
    if text.size == 0 {
        return Ok(String::new());
    }
    let size = usize::try_from(text.size).ok().filter(|size| *size <= most);
    let Some(size) = size else { return Err(format!("has {} bytes, and {most} are allowed", text.size)) };
    if text.data.is_null() {
        return Err("is NULL".to_owned());
    }
    // SAFETY: the caller's promise.
    let bytes = unsafe { slice::from_raw_parts(text.data, size) };
    let text = str::from_utf8(bytes).map_err(|_| "is not UTF-8".to_owned())?;
    if text.contains('\0') {
        return Err("has a NUL".to_owned());
    }
    Ok(text.to_owned())
}

struct Inner {
    name: String,
    functions: Functions,
    source: *mut c_void,
}

// SAFETY: the header demands that a source's functions may be called from any thread.
unsafe impl Send for Inner {}
// SAFETY: as above, and from several at once.
unsafe impl Sync for Inner {}

impl Drop for Inner {
    fn drop(&mut self) {
        // SAFETY: made by `create`; streams hold this, so that none is open any more.
        unsafe { (self.functions.destroy)(self.source) }
    }
}

/// A source of a plugin.
#[derive(Clone)]
pub struct ForeignSource(Arc<Inner>);

impl Debug for ForeignSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ForeignSource").field(&self.0.name).finish()
    }
}

/// What the callbacks of a call are given.
struct Listener<'a> {
    explained: Mutex<Option<(String, u64)>>,
    cancelled: &'a Cancelled,
}

unsafe extern "C" fn explain(host: *mut c_void, message: Text, retry_after_ms: u64) {
    // SAFETY: the pointer of the call that this came with, which has not returned.
    let listener = unsafe { &*host.cast::<Listener<'_>>() };
    // SAFETY: a text of the plugin's; it is bounded and copied.
    let text = unsafe { copied(message, MAX_MESSAGE) };
    let text = text.unwrap_or_else(|problem| format!("its explanation {problem}"));
    *listener.explained.lock().unwrap_or_else(PoisonError::into_inner) = Some((text, retry_after_ms));
}

unsafe extern "C" fn cancelled(host: *mut c_void) -> i32 {
    // SAFETY: as above.
    let listener = unsafe { &*host.cast::<Listener<'_>>() };
    i32::from((listener.cancelled)())
}

fn never() -> Cancelled {
    Arc::new(|| false)
}

/// Lets a function of the plugin do `what`; its failure is what it explained.
fn calling(what: &str, is_cancelled: &Cancelled, run: impl FnOnce(*const Call) -> i32) -> Result<(), FetchError> {
    let listener = Listener { explained: Mutex::new(None), cancelled: is_cancelled };
    let call = Call {
        head: Head::of::<Call>(),
        host: (&raw const listener).cast_mut().cast(),
        explain: Some(explain),
        cancelled: Some(cancelled),
    };
    let status = run(&raw const call);
    if status == OK {
        return Ok(());
    }
    let explained = listener.explained.lock().unwrap_or_else(PoisonError::into_inner).take();
    let (message, wait) = explained.unwrap_or_else(|| (format!("cannot {what}, and it does not say why"), 0));
    let mut error = FetchError::new(kind_of(status), message);
    error.retry_after = (wait > 0).then(|| Duration::from_millis(wait));
    Err(error)
}

/// What `find` passes its candidates to.
struct Taker<'a> {
    found: &'a mut dyn FnMut(Candidate) -> ControlFlow<()>,
    problem: Option<String>,
}

unsafe extern "C" fn take(host: *mut c_void, candidate: *const CandidateTable) -> i32 {
    // SAFETY: the pointer of the call that this came with, on the same thread: nobody else has it.
    let taker = unsafe { &mut *host.cast::<Taker<'_>>() };
    let taken = (|| {
        // SAFETY: a table of the plugin's or null; its head is looked at before the rest.
        let table = unsafe {
            check_table::<CandidateTable>(candidate.cast(), "a candidate's table")
                .map_err(|error| error.to_string())?;
            &*candidate
        };
        // SAFETY: a text of the plugin's; it is bounded and copied.
        let location = unsafe { copied(table.location, MAX_LOCATION) };
        let location = location.map_err(|problem| format!("the location of a candidate {problem}"))?;
        Ok(Candidate { size: (table.size != UNKNOWN).then_some(table.size), ..Candidate::at(location) })
    })();
    match taken {
        Ok(candidate) => i32::from((taker.found)(candidate).is_break()),
        Err(problem) => {
            taker.problem = Some(problem);
            1
        }
    }
}

impl ForeignSource {
    /// As [`FetchSource::open`], for somebody who may go away meanwhile.
    ///
    /// # Errors
    /// As there.
    pub fn open_until(&self, from: &Candidate, offset: u64, cancelled: Cancelled) -> Result<Opened, FetchError> {
        let version = from.version.as_deref().unwrap_or_default();
        let candidate = CandidateTable {
            head: Head::of::<CandidateTable>(),
            location: Text::of(&from.location),
            size: from.size.unwrap_or(UNKNOWN),
            version: Text::of(version),
        };
        let mut opened = OpenedTable {
            head: Head::of::<OpenedTable>(),
            stream: ptr::null_mut(),
            size: UNKNOWN,
            version: Text::none(),
        };
        let inner = &self.0;
        calling("open the place", &cancelled, |call| {
            // SAFETY: the source is alive; all tables live until the call returns.
            unsafe { (inner.functions.open)(inner.source, call, &raw const candidate, offset, &raw mut opened) }
        })?;
        let wrong = |problem: &str| FetchError::new(FetchErrorKind::Protocol, problem);
        if opened.stream.is_null() {
            return Err(wrong("the plugin says that it opened the place and gives no stream"));
        }
        let size = (opened.size != UNKNOWN).then_some(opened.size);
        let stream = Stream { inner: inner.clone(), stream: opened.stream, left: size, over: None, cancelled };
        // SAFETY: a text of the plugin's, valid as long as the stream; it is bounded and copied.
        let version = unsafe { copied(opened.version, MAX_VERSION) };
        let version = version.map_err(|problem| wrong(&format!("the version of the file {problem}")))?;
        Ok(Opened { reader: Box::new(stream), size, version: (!version.is_empty()).then_some(version), file: None })
    }

    /// As [`FetchSource::find`], for somebody who may go away meanwhile.
    ///
    /// # Errors
    /// As there.
    pub fn find_until(
        &self,
        want: &Artifact,
        found: &mut dyn FnMut(Candidate) -> ControlFlow<()>,
        cancelled: &Cancelled,
    ) -> Result<(), FetchError> {
        let mirrors: Vec<Text> = want.mirrors.iter().map(|mirror| Text::of(mirror)).collect();
        let artifact = ArtifactTable {
            head: Head::of::<ArtifactTable>(),
            package: Text::of(want.package.as_str()),
            sha256: *want.digest.as_bytes(),
            size: want.size.unwrap_or(UNKNOWN),
            mirrors: mirrors.as_ptr(),
            mirrors_count: mirrors.len() as u64,
        };
        let mut taker = Taker { found, problem: None };
        let table = Found { head: Head::of::<Found>(), host: (&raw mut taker).cast(), candidate: Some(take) };
        let inner = &self.0;
        let outcome = calling("find places", cancelled, |call| {
            // SAFETY: the source is alive; all tables live until the call returns.
            unsafe { (inner.functions.find)(inner.source, call, &raw const artifact, &raw const table) }
        });
        match taker.problem {
            Some(problem) => Err(FetchError::new(FetchErrorKind::Protocol, problem)),
            None => outcome,
        }
    }
}

impl FetchSource for ForeignSource {
    fn name(&self) -> &str {
        &self.0.name
    }

    fn claims(&self, location: &str) -> bool {
        // SAFETY: the source is alive; the text lives until the call returns.
        unsafe { (self.0.functions.claims)(self.0.source, Text::of(location)) != 0 }
    }

    fn find(&self, want: &Artifact, found: &mut dyn FnMut(Candidate) -> ControlFlow<()>) -> Result<(), FetchError> {
        self.find_until(want, found, &never())
    }

    fn open(&self, from: &Candidate, offset: u64) -> Result<Opened, FetchError> {
        self.open_until(from, offset, never())
    }
}

/// A transfer.
struct Stream {
    inner: Arc<Inner>,
    stream: *mut c_void,
    /// How many of the announced bytes are still to come.
    left: Option<u64>,
    /// It has ended: well, or with this.
    over: Option<Result<(), String>>,
    cancelled: Cancelled,
}

// SAFETY: the header demands that a stream may be used by one thread and then another.
unsafe impl Send for Stream {}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some(over) = &self.over {
            return over.clone().map(|()| 0).map_err(io::Error::other);
        }
        if buffer.is_empty() {
            return Ok(0);
        }
        let mut came = 0;
        let outcome = calling("read on", &self.cancelled, |call| {
            let (start, capacity) = (buffer.as_mut_ptr(), buffer.len() as u64);
            // SAFETY: the stream is open, and borrowed mutably; buffer and number live until the call returns.
            unsafe { (self.inner.functions.read)(self.stream, call, start, capacity, &raw mut came) }
        });
        let outcome = outcome.map_err(|error| error.to_string()).and_then(|()| self.count(came, buffer.len()));
        if outcome != Ok(0) && outcome.is_ok() {
            return outcome.map_err(io::Error::other);
        }
        self.over = Some(outcome.clone().map(|_| ()));
        outcome.map_err(io::Error::other)
    }
}

impl Stream {
    /// Whether so many bytes make sense.
    fn count(&mut self, came: u64, capacity: usize) -> Result<usize, String> {
        let count = usize::try_from(came).ok().filter(|count| *count <= capacity);
        let count = count.ok_or_else(|| format!("the plugin says that {came} bytes came, where {capacity} fit"))?;
        match self.left {
            Some(left) if count == 0 && left > 0 => {
                return Err(format!("the transfer ended {left} bytes before its announced size"));
            }
            Some(left) => self.left = Some(left.saturating_sub(came)),
            None => {}
        }
        Ok(count)
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // SAFETY: opened by this source, and closed once.
        unsafe { (self.inner.functions.close)(self.stream) }
    }
}
