//! The tables of `include/packets_plugin.h`, member by member; what they mean stands there.
#![allow(unsafe_code, reason = "tables of pointers, shared between threads")]

use std::ffi::c_void;
use std::ptr;

use crate::fetch::FetchErrorKind;

/// See `PACKETS_ABI_MAJOR`.
pub const MAJOR: u32 = 1;
/// See `PACKETS_ABI_MINOR`.
pub const MINOR: u32 = 0;
/// See `PACKETS_UNKNOWN`.
pub const UNKNOWN: u64 = u64::MAX;
/// See `PACKETS_MAX_TEXT`.
pub const MAX_TEXT: u64 = 65_536;
/// The longest location of a candidate, in bytes.
pub const MAX_LOCATION: usize = 8192;
/// The longest version of a file, in bytes.
pub const MAX_VERSION: usize = 256;
/// The longest name of a plugin.
pub const MAX_NAME: usize = 32;
/// See `PACKETS_OK`.
pub const OK: i32 = 0;

/// What a table begins with.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// See [`MAJOR`].
    pub abi_major: u32,
    /// See [`MINOR`].
    pub abi_minor: u32,
    /// The size of the whole table.
    pub struct_size: u64,
}

impl Head {
    /// The head of a table of this version.
    pub const fn of<Table>() -> Self {
        Self { abi_major: MAJOR, abi_minor: MINOR, struct_size: size_of::<Table>() as u64 }
    }
}

/// `packets_text`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Text {
    /// The first byte.
    pub data: *const u8,
    /// How many.
    pub size: u64,
}

impl Text {
    /// A text that lives as long as this one does.
    pub const fn of(text: &str) -> Self {
        Self { data: text.as_ptr(), size: text.len() as u64 }
    }

    /// The empty text.
    pub const fn none() -> Self {
        Self { data: ptr::null(), size: 0 }
    }
}

/// `packets_pair`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Pair {
    /// The key.
    pub key: Text,
    /// The value.
    pub value: Text,
}

/// `packets_call`.
#[repr(C)]
#[derive(Debug)]
pub struct Call {
    /// The head.
    pub head: Head,
    /// The host's.
    pub host: *mut c_void,
    /// Says why the call is going to fail.
    pub explain: Option<unsafe extern "C" fn(*mut c_void, Text, u64)>,
    /// Whether nobody waits any more.
    pub cancelled: Option<unsafe extern "C" fn(*mut c_void) -> i32>,
}

/// `packets_settings`.
#[repr(C)]
#[derive(Debug)]
pub struct SettingsTable {
    /// The head.
    pub head: Head,
    /// The name of the program.
    pub user_agent: Text,
    /// The plugin's table of the config.
    pub config: Text,
    /// Its values.
    pub values: *const Pair,
    /// How many.
    pub values_count: u64,
    /// Its secrets.
    pub secrets: *const Pair,
    /// How many.
    pub secrets_count: u64,
}

/// `packets_artifact`.
#[repr(C)]
#[derive(Debug)]
pub struct ArtifactTable {
    /// The head.
    pub head: Head,
    /// The package.
    pub package: Text,
    /// The file's SHA-256.
    pub sha256: [u8; 32],
    /// In bytes, or [`UNKNOWN`].
    pub size: u64,
    /// The URLs of the index.
    pub mirrors: *const Text,
    /// How many.
    pub mirrors_count: u64,
}

/// `packets_candidate`.
#[repr(C)]
#[derive(Debug)]
pub struct CandidateTable {
    /// The head.
    pub head: Head,
    /// Where.
    pub location: Text,
    /// In bytes, or [`UNKNOWN`].
    pub size: u64,
    /// Which version is to be continued.
    pub version: Text,
}

/// `packets_found`.
#[repr(C)]
#[derive(Debug)]
pub struct Found {
    /// The head.
    pub head: Head,
    /// The host's.
    pub host: *mut c_void,
    /// Takes a candidate; not 0: no more.
    pub candidate: Option<unsafe extern "C" fn(*mut c_void, *const CandidateTable) -> i32>,
}

/// `packets_opened`.
#[repr(C)]
#[derive(Debug)]
pub struct OpenedTable {
    /// The head.
    pub head: Head,
    /// The plugin's.
    pub stream: *mut c_void,
    /// In bytes, or [`UNKNOWN`].
    pub size: u64,
    /// Which version this is.
    pub version: Text,
}

/// `create` of [`FetchTable`].
pub type Create = unsafe extern "C" fn(*const Call, *const SettingsTable, *mut *mut c_void) -> i32;
/// `find` of [`FetchTable`].
pub type Find = unsafe extern "C" fn(*mut c_void, *const Call, *const ArtifactTable, *const Found) -> i32;
/// `open` of [`FetchTable`].
pub type Open = unsafe extern "C" fn(*mut c_void, *const Call, *const CandidateTable, u64, *mut OpenedTable) -> i32;
/// `read` of [`FetchTable`].
pub type Read = unsafe extern "C" fn(*mut c_void, *const Call, *mut u8, u64, *mut u64) -> i32;
/// `destroy` and `close` of [`FetchTable`].
pub type End = unsafe extern "C" fn(*mut c_void);
/// `claims` of [`FetchTable`].
pub type Claims = unsafe extern "C" fn(*mut c_void, Text) -> i32;
/// The one symbol of a plugin.
pub type Entry = unsafe extern "C" fn() -> *const PluginTable;

/// `packets_fetch`.
#[repr(C)]
#[derive(Debug)]
pub struct FetchTable {
    /// The head.
    pub head: Head,
    /// Makes a source.
    pub create: Option<Create>,
    /// Ends it.
    pub destroy: Option<End>,
    /// Whether it understands a location.
    pub claims: Option<Claims>,
    /// Finds places.
    pub find: Option<Find>,
    /// Opens one.
    pub open: Option<Open>,
    /// Reads on.
    pub read: Option<Read>,
    /// Ends a stream.
    pub close: Option<End>,
}

/// `packets_plugin`.
#[repr(C)]
#[derive(Debug)]
pub struct PluginTable {
    /// The head.
    pub head: Head,
    /// The plugin's name.
    pub name: Text,
    /// Its version.
    pub version: Text,
    /// What it does.
    pub fetch: *const FetchTable,
}

// SAFETY: a plugin's tables are constant as long as its library is loaded, which is for ever; what they point to is so too.
unsafe impl Sync for PluginTable {}
// SAFETY: as above. The functions may be called from any thread: the header demands it.
unsafe impl Sync for FetchTable {}

/// The number of a kind of failure.
pub const fn status_of(kind: FetchErrorKind) -> i32 {
    match kind {
        FetchErrorKind::NotFound => 1,
        FetchErrorKind::Denied => 2,
        FetchErrorKind::Unreachable => 3,
        FetchErrorKind::Protocol => 4,
        FetchErrorKind::NoSuchRange => 5,
        FetchErrorKind::LoginFirst => 6,
        FetchErrorKind::BadLocation => 7,
    }
}

/// The kind of a number that is not [`OK`].
pub const fn kind_of(status: i32) -> FetchErrorKind {
    match status {
        1 => FetchErrorKind::NotFound,
        2 => FetchErrorKind::Denied,
        3 => FetchErrorKind::Unreachable,
        5 => FetchErrorKind::NoSuchRange,
        6 => FetchErrorKind::LoginFirst,
        7 => FetchErrorKind::BadLocation,
        _ => FetchErrorKind::Protocol,
    }
}
