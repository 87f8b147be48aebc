//! The memory in which a transfer's chunks stand until the host has taken them.
#![allow(unsafe_code, reason = "memory that two processes share is mapped")]

use std::ffi::c_void;
use std::io;
use std::os::fd::AsFd;
use std::ptr;
use std::slice;

use rustix::mm::{MapFlags, ProtFlags};

use crate::plugin::limits::{CHUNK, SLOTS};

/// Bytes of it.
const SIZE: usize = SLOTS * CHUNK;

/// See the module.
pub(super) struct Slots(*mut c_void);

impl Slots {
    /// Those in the memory that the host has passed.
    ///
    /// # Errors
    /// It is no memory, or has another size.
    pub(super) fn of(memory: impl AsFd) -> io::Result<Self> {
        let size = rustix::fs::fstat(&memory)?.st_size;
        if u64::try_from(size).ok() != Some(SIZE as u64) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("it has {size} bytes")));
        }
        // SAFETY: a new mapping wherever the kernel likes, of as many bytes as the file has; the host has sealed it, so that it
        // never has fewer.
        let at = unsafe {
            let protection = ProtFlags::READ | ProtFlags::WRITE;
            rustix::mm::mmap(ptr::null_mut(), SIZE, protection, MapFlags::SHARED, memory, 0)?
        };
        Ok(Self(at))
    }

    /// That of the chunk with this number.
    pub(super) fn slot(&mut self, number: usize) -> &mut [u8] {
        // SAFETY: it lies within the mapping, which lives as long as this and is handed out once at a time. The host only
        // reads it, through its handle, and a plugin's code in this process has no business there.
        unsafe { slice::from_raw_parts_mut(self.0.cast::<u8>().add(number % SLOTS * CHUNK), CHUNK) }
    }
}

impl Drop for Slots {
    fn drop(&mut self) {
        // SAFETY: it is this mapping, and nobody has a slot of it any more.
        let _ = unsafe { rustix::mm::munmap(self.0, SIZE) };
    }
}
