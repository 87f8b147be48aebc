//! Removing: everything that a package and its hooks made is gone, and nothing else.
#![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test lays out its own folders")]

mod admin;
mod clean;
mod odd;
mod refused;
mod unneeded;
