//! The commands that only look: search, owns, why, verify, and how fast they answer.
#![expect(clippy::disallowed_methods, reason = "a test lays out its own folders")]

mod owns;
mod search;
mod verify;
mod why;
