//! The guest's machine code, embedded by the build script and run where it lies:
//! nothing of it is copied, and only what is used is ever read.
#![allow(unsafe_code, reason = "machine code is trusted here, and only here")]

use std::ptr::NonNull;
use std::sync::Arc;

use rustix::mm::{MprotectFlags, mprotect};
use rustix::param::page_size;
use wasmtime::{Config, CustomCodeMemory, Engine, Module, Result};

/// As large as any page of Linux, so that the code begins with a page of its own.
#[repr(C, align(65536))]
struct Paged<Bytes: ?Sized>(Bytes);

static GUEST: &Paged<[u8]> = &Paged(*include_bytes!(concat!(env!("OUT_DIR"), "/guest.cwasm")));

/// Lets the engine run code that lies in the program's own read-only data.
pub(crate) fn run_in_place(config: &mut Config) {
    config.with_custom_code_memory(Some(Arc::new(InPlace)));
}

/// The guest, ready to run on an engine that was made with [`run_in_place`].
///
/// # Errors
/// Where the engine's settings or the processor do not fit the code.
pub(crate) fn guest(engine: &Engine) -> Result<Module> {
    // SAFETY: the bytes were made by this crate's build script with the same
    // version of wasmtime, and are part of the program: whoever can change them
    // can change the program (H29). They live as long as it, and nothing writes
    // to them: they are constant, and never mapped writable.
    unsafe { Module::deserialize_raw(engine, NonNull::from(&GUEST.0)) }
}

struct InPlace;

impl CustomCodeMemory for InPlace {
    fn required_alignment(&self) -> usize {
        page_size()
    }

    fn publish_executable(&self, start: *const u8, length: usize) -> Result<()> {
        protect(start, length, MprotectFlags::READ | MprotectFlags::EXEC)
    }

    fn unpublish_executable(&self, start: *const u8, length: usize) -> Result<()> {
        protect(start, length, MprotectFlags::READ)
    }
}

fn protect(start: *const u8, length: usize, flags: MprotectFlags) -> Result<()> {
    let code = GUEST.0.as_ptr_range();
    let end = start.wrapping_add(length);
    if start < code.start || end > code.end {
        return Err(wasmtime::Error::msg("code outside the program"));
    }
    // SAFETY: the range is whole pages (`required_alignment`) inside `GUEST`,
    // which is constant. They stay readable and never become writable, so no
    // reference to them is disturbed; being executable besides harms none.
    Ok(unsafe { mprotect(start.cast_mut().cast(), length, flags) }?)
}
