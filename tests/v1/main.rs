//! A machine that version 1 managed.
#![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test lays out its own folders")]

mod adopt;
mod index;
