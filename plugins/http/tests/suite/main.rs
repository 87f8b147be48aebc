//! The source against servers of this machine.
#![expect(clippy::unwrap_used, reason = "a test ends with a panic")]
#![expect(clippy::disallowed_methods, reason = "a test lays out its own folders")]

mod resume;
mod source;
mod support;
mod tls;
