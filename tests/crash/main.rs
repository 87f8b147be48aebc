//! The promise: whatever happens during a command, after a recovery everything is exactly as
//! before or exactly as after.
//!
//! A sweep strikes a command at one of its system calls, lets the program recover, and
//! compares the whole root with the states before and after: trees, links, modes, times of
//! files, rows, approvals, history, and that nothing is left over. It prints how many points
//! it has tried, and how many ended old, new or torn.
//!
//! Without a word each sweep tries a sample: the first and the last points, one of each
//! system call, and others evenly. The whole of it, every point of every sweep:
//!
//! ```sh
//! PACKETS_SWEEP=all cargo test --release -p packets-tests --test crash
//! ```
//!
//! `PACKETS_SWEEP=7` tries every seventh point. Power cuts and full disks need root, for
//! mounts; they are in a mount name space of the test's own. The programs are stopped with
//! ptrace(2), on x86-64 machines; elsewhere these tests say that they are skipped.
#![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test lays out its own folders")]

mod again;
mod fault;
mod features;
mod kill;
mod large;
mod layers;
mod meanwhile;
mod model;
mod oracle;
mod power;
mod several;
mod signals;
mod space;
mod syncs;
