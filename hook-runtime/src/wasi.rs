//! WASI preview 1 with nothing granted: what the guest's C and Rust libraries
//! import, and no more.
//!
//! No folder is open, so every file function answers that there is no such
//! descriptor. The environment is empty. The clock stands at the transaction's
//! time, and random numbers come from the transaction's id, so that a hook does
//! the same whenever it is run (H34). Output is kept, bounded, as the guest's
//! last words. Source: the witx files of WASI snapshot 01.

use wasmtime::{Caller, Linker, Result};

use crate::engine::{Guest, Stop, memory};
use crate::limits;

/// The module under which the guest imports these functions.
const WASI: &str = "wasi_snapshot_preview1";

const SUCCESS: i32 = 0;
const BAD_DESCRIPTOR: i32 = 8;
const INVALID: i32 = 28;
const NOT_CAPABLE: i32 = 76;

/// The generator behind `random_get`: SplitMix64 (Steele, Lea, Flood 2014). It
/// need not be unpredictable: its seed is known.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// Adds the functions to a linker.
pub(crate) fn add(linker: &mut Linker<Guest>) -> Result<()> {
    add_files(linker)?;
    linker.func_wrap(WASI, "environ_get", |_: i32, _: i32| SUCCESS)?;
    linker.func_wrap(WASI, "environ_sizes_get", |mut caller: Caller<'_, Guest>, count: u32, size: u32| {
        write(&mut caller, count, &[0; 4])?;
        write(&mut caller, size, &[0; 4])?;
        Result::Ok(SUCCESS)
    })?;
    linker.func_wrap(WASI, "clock_time_get", |mut caller: Caller<'_, Guest>, clock: i32, _: i64, at: u32| {
        if !(0..4).contains(&clock) {
            return Ok(INVALID);
        }
        let time = caller.data().time.saturating_mul(1_000_000_000);
        write(&mut caller, at, &time.to_le_bytes())?;
        Result::Ok(SUCCESS)
    })?;
    linker.func_wrap(WASI, "random_get", |mut caller: Caller<'_, Guest>, at: u32, length: u32| {
        let length = usize::try_from(length)?;
        if length > limits::CHUNK {
            return Ok(INVALID);
        }
        let mut bytes = Vec::with_capacity(length + 8);
        while bytes.len() < length {
            bytes.extend(caller.data_mut().random.next().to_le_bytes());
        }
        write(&mut caller, at, &bytes[..length])?;
        Result::Ok(SUCCESS)
    })?;
    linker.func_wrap(WASI, "sched_yield", || SUCCESS)?;
    linker.func_wrap(WASI, "proc_exit", |_: i32| Result::<()>::Err(Stop::gave_up().into()))?;
    Ok(())
}

fn add_files(linker: &mut Linker<Guest>) -> Result<()> {
    linker.func_wrap(WASI, "fd_close", |_: i32| BAD_DESCRIPTOR)?;
    linker.func_wrap(WASI, "fd_fdstat_get", |_: i32, _: i32| BAD_DESCRIPTOR)?;
    linker.func_wrap(WASI, "fd_fdstat_set_flags", |_: i32, _: i32| BAD_DESCRIPTOR)?;
    linker.func_wrap(WASI, "fd_prestat_get", |_: i32, _: i32| BAD_DESCRIPTOR)?;
    linker.func_wrap(WASI, "fd_prestat_dir_name", |_: i32, _: i32, _: i32| BAD_DESCRIPTOR)?;
    linker.func_wrap(WASI, "fd_read", |_: i32, _: i32, _: i32, _: i32| BAD_DESCRIPTOR)?;
    linker.func_wrap(WASI, "fd_renumber", |_: i32, _: i32| BAD_DESCRIPTOR)?;
    linker.func_wrap(WASI, "fd_seek", |_: i32, _: i64, _: i32, _: i32| BAD_DESCRIPTOR)?;
    linker.func_wrap(WASI, "fd_write", fd_write)?;
    linker.func_wrap(WASI, "path_open", |_: i32, _: i32, _: i32, _: i32, _: i32, _: i64, _: i64, _: i32, _: i32| {
        NOT_CAPABLE
    })?;
    linker.func_wrap(WASI, "path_remove_directory", |_: i32, _: i32, _: i32| NOT_CAPABLE)?;
    linker.func_wrap(WASI, "path_rename", |_: i32, _: i32, _: i32, _: i32, _: i32, _: i32| NOT_CAPABLE)?;
    linker.func_wrap(WASI, "path_unlink_file", |_: i32, _: i32, _: i32| NOT_CAPABLE)?;
    Ok(())
}

/// Keeps what goes to the standard output and error, up to a limit; the rest is
/// accepted and dropped.
fn fd_write(mut caller: Caller<'_, Guest>, descriptor: i32, parts: u32, count: u32, written: u32) -> Result<i32> {
    if descriptor != 1 && descriptor != 2 {
        return Ok(BAD_DESCRIPTOR);
    }
    if count > limits::PARTS {
        return Ok(INVALID);
    }
    let mut total = 0_u32;
    for part in 0..count {
        let place = read(&mut caller, parts.wrapping_add(part * 8), 8)?;
        let [a, b, c, d, e, f, g, h] = place[..] else { return Ok(INVALID) };
        let (at, length) = (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]));
        let room = room_for_words(caller.data().last_words.len());
        let kept = read(&mut caller, at, room.min(usize::try_from(length)?))?;
        caller.data_mut().last_words.extend(kept);
        total = total.saturating_add(length);
    }
    write(&mut caller, written, &total.to_le_bytes())?;
    Ok(SUCCESS)
}

/// How many more bytes are kept where so many are (H14).
fn room_for_words(kept: usize) -> usize {
    limits::LAST_WORDS.saturating_sub(kept)
}

fn read(caller: &mut Caller<'_, Guest>, at: u32, length: usize) -> Result<Vec<u8>> {
    let memory = memory(caller)?;
    let start = usize::try_from(at)?;
    let bytes = memory.data(&*caller).get(start..start.saturating_add(length));
    bytes.map(<[u8]>::to_vec).ok_or_else(|| Stop::bad_pointer().into())
}

fn write(caller: &mut Caller<'_, Guest>, at: u32, bytes: &[u8]) -> Result<()> {
    let memory = memory(caller)?;
    memory.write(caller, usize::try_from(at)?, bytes).map_err(|_| Stop::bad_pointer().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h14_last_words_up_to_a_bound() {
        assert_eq!(room_for_words(0), limits::LAST_WORDS);
        assert_eq!(room_for_words(limits::LAST_WORDS - 1), 1);
        assert_eq!([room_for_words(limits::LAST_WORDS), room_for_words(usize::MAX)], [0, 0]);
    }
}
