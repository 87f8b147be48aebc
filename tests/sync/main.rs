//! The index: made, fetched, and refused when it is bad.
#![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test lays out its own folders")]

mod bad;
mod index;
mod places;
mod unchanged;
