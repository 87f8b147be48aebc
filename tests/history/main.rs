//! What was done, taken back and brought to its end.
#![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test lays out its own folders")]

mod faults;
mod journal;
mod kept;
mod list;
mod obstacles;
mod refused;
mod undo;
mod yours;
