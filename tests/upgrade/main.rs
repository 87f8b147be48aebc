//! Upgrading: to the newest release of a family, and back if it fails.
#![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test lays out its own folders")]

mod admin;
mod all;
mod displace;
mod hold;
mod kinds;
mod releases;
mod replace;
