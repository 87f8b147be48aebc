//! Room for open files, made while the process has one thread.
//!
//! A command holds a folder or two of every package. Linux doubles the table of a process's open files when it is
//! full, and where that has several threads it waits until all processors have passed a quiet state
//! (`synchronize_rcu` in `expand_fdtable`, fs/file.c): 5 ms each time, at 64, 128, 256 and 512 files.

use rustix::event::{EventfdFlags, eventfd};
use rustix::io::fcntl_dupfd_cloexec;

/// Open files for which there is room at once; for more the table grows as ever.
const ROOM: i32 = 2048;

/// Makes the room. Where the process may not have so many, there is less.
pub(crate) fn make_room() {
    let Ok(handle) = eventfd(0, EventfdFlags::CLOEXEC) else { return };
    // The highest number that is allowed takes the whole table with it.
    let _ = [ROOM, ROOM / 2].into_iter().find(|room| fcntl_dupfd_cloexec(&handle, room - 1).is_ok());
}
