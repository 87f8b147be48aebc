//! A file system for SQLite that fails, or kills the process, at a chosen operation.
//!
//! It stands before the one that SQLite brings, is the default of this process, and
//! counts the operations of each thread.
#![allow(unsafe_code, reason = "SQLite's file systems are tables of C functions")]

use std::cell::RefCell;
use std::ffi::{c_char, c_int, c_void};
use std::sync::Once;

use rusqlite::ffi;

/// What SQLite asks of its file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Open,
    Access,
    Delete,
    /// A removal that happens, and whose folder cannot be synced then.
    SyncFolder,
    Read,
    Write,
    /// A write of which only the first half happens.
    Tear,
    Truncate,
    Sync,
    Size,
    Lock,
    Unlock,
}

/// What is to happen.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fault {
    /// At which operation; at any.
    pub(crate) operation: Option<Operation>,
    /// How many of them pass before.
    pub(crate) after: usize,
    /// What SQLite is told; none: the process is killed before the operation.
    pub(crate) code: Option<c_int>,
    /// Whether all that follow fail too.
    pub(crate) stays: bool,
}

#[derive(Debug)]
struct Armed {
    fault: Fault,
    passed: usize,
    struck: usize,
}

thread_local! {
    static ARMED: RefCell<Option<Armed>> = const { RefCell::new(None) };
}

/// From now on this thread's operations are counted; the fault strikes when its time comes.
pub(crate) fn arm(fault: Fault) {
    ARMED.set(Some(Armed { fault, passed: 0, struck: 0 }));
}

/// No more faults; the answer is how often one struck.
pub(crate) fn disarm() -> usize {
    ARMED.take().map_or(0, |armed| armed.struck)
}

/// The code that the operation is to fail with.
fn strike(operation: Operation) -> Option<c_int> {
    ARMED.with_borrow_mut(|armed| {
        let armed = armed.as_mut()?;
        let whole = |operation| match operation {
            Operation::SyncFolder => Operation::Delete,
            Operation::Tear => Operation::Write,
            other => other,
        };
        if armed.fault.operation.is_some_and(|wanted| whole(wanted) != operation) {
            return None;
        }
        armed.passed += 1;
        if armed.passed <= armed.fault.after || (armed.struck > 0 && !armed.fault.stays) {
            return None;
        }
        armed.struck += 1;
        Some(armed.fault.code.unwrap_or(KILL))
    })
}

fn is_wanted(operation: Operation) -> bool {
    ARMED.with_borrow(|armed| armed.as_ref().is_some_and(|armed| armed.fault.operation == Some(operation)))
}

/// In the place of a code: the process ends here.
const KILL: c_int = -1;

/// What SQLite is told; with [`KILL`] nobody is told anything.
fn fail(code: c_int) -> c_int {
    if code == KILL {
        let this = rustix::process::getpid();
        rustix::process::kill_process(this, rustix::process::Signal::KILL).unwrap();
    }
    code
}

/// An open file: SQLite's own lies directly behind it.
#[repr(C)]
struct Shim {
    base: ffi::sqlite3_file,
}

type File = *mut ffi::sqlite3_file;

/// The file behind the shim.
fn real(file: File) -> File {
    // SAFETY: `szOsFile` reserved room for both, and `Shim` has the alignment of a pointer.
    unsafe { file.cast::<Shim>().add(1).cast() }
}

macro_rules! forward {
    ($name:ident, $method:ident, $operation:expr, ($($argument:ident: $type:ty),*)) => {
        unsafe extern "C" fn $name(file: File $(, $argument: $type)*) -> c_int {
            if let Some(code) = $operation.and_then(strike) {
                return fail(code);
            }
            // SAFETY: SQLite calls this for a file that `open` opened, whose table is filled.
            unsafe { (*(*real(file)).pMethods).$method.unwrap()(real(file) $(, $argument)*) }
        }
    };
}

forward!(close, xClose, None::<Operation>, ());
forward!(read, xRead, Some(Operation::Read), (to: *mut c_void, size: c_int, at: ffi::sqlite3_int64));
forward!(truncate, xTruncate, Some(Operation::Truncate), (size: ffi::sqlite3_int64));
forward!(sync, xSync, Some(Operation::Sync), (flags: c_int));
forward!(file_size, xFileSize, Some(Operation::Size), (size: *mut ffi::sqlite3_int64));
forward!(lock, xLock, Some(Operation::Lock), (level: c_int));
forward!(unlock, xUnlock, Some(Operation::Unlock), (level: c_int));
forward!(check_lock, xCheckReservedLock, Some(Operation::Lock), (found: *mut c_int));
forward!(control, xFileControl, None::<Operation>, (what: c_int, with: *mut c_void));
forward!(sector, xSectorSize, None::<Operation>, ());
forward!(traits, xDeviceCharacteristics, None::<Operation>, ());

unsafe extern "C" fn write(file: File, from: *const c_void, size: c_int, at: ffi::sqlite3_int64) -> c_int {
    let code = strike(Operation::Write);
    let size = match code {
        Some(code) if !is_wanted(Operation::Tear) => return fail(code),
        Some(_) => size / 2,
        None => size,
    };
    // SAFETY: as above; no more than SQLite gave is written.
    let written = unsafe { (*(*real(file)).pMethods).xWrite.unwrap()(real(file), from, size, at) };
    code.map_or(written, fail)
}

static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    // Without shared memory: nothing of ours is written through a log.
    iVersion: 1,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_lock),
    xFileControl: Some(control),
    xSectorSize: Some(sector),
    xDeviceCharacteristics: Some(traits),
    xShmMap: None,
    xShmLock: None,
    xShmBarrier: None,
    xShmUnmap: None,
    xFetch: None,
    xUnfetch: None,
};

/// SQLite's own file system.
fn beneath() -> *mut ffi::sqlite3_vfs {
    // SAFETY: a look-up in a list that SQLite guards; what it finds is never freed.
    unsafe { ffi::sqlite3_vfs_find(c"unix".as_ptr()) }
}

unsafe extern "C" fn open(
    _: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    file: File,
    flags: c_int,
    opened: *mut c_int,
) -> c_int {
    // SAFETY: SQLite reserved room for both files; one without a table is not closed.
    unsafe {
        (*file).pMethods = std::ptr::null();
        if let Some(code) = strike(Operation::Open) {
            return fail(code);
        }
        let result = (*beneath()).xOpen.unwrap()(beneath(), name, real(file), flags, opened);
        if !(*real(file)).pMethods.is_null() {
            (*file).pMethods = &METHODS;
        }
        result
    }
}

unsafe extern "C" fn delete(_: *mut ffi::sqlite3_vfs, name: *const c_char, sync_folder: c_int) -> c_int {
    let code = strike(Operation::Delete);
    match code {
        Some(code) if !is_wanted(Operation::SyncFolder) => return fail(code),
        _ => {}
    }
    // SAFETY: `name` is SQLite's.
    let deleted = unsafe { (*beneath()).xDelete.unwrap()(beneath(), name, sync_folder) };
    code.map_or(deleted, fail)
}

unsafe extern "C" fn access(_: *mut ffi::sqlite3_vfs, name: *const c_char, what: c_int, is: *mut c_int) -> c_int {
    if let Some(code) = strike(Operation::Access) {
        return fail(code);
    }
    // SAFETY: `name` and `is` are SQLite's.
    unsafe { (*beneath()).xAccess.unwrap()(beneath(), name, what, is) }
}

/// Puts this file system before SQLite's own, for the whole process.
pub(crate) fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: the table is a copy of SQLite's own with three functions of ours, and lives for ever.
        unsafe {
            let mut vfs = *beneath();
            vfs.szOsFile += c_int::try_from(size_of::<Shim>()).unwrap();
            vfs.zName = c"faults".as_ptr();
            vfs.pNext = std::ptr::null_mut();
            vfs.xOpen = Some(open);
            vfs.xDelete = Some(delete);
            vfs.xAccess = Some(access);
            let result = ffi::sqlite3_vfs_register(Box::leak(Box::new(vfs)), 1);
            assert_eq!(result, ffi::SQLITE_OK);
        }
    });
}
