//! Which packages a request needs, and why a request is refused.
#![expect(clippy::unwrap_used, reason = "a test lays out its own folders")]

mod archive;
mod debian;
mod model;
mod refusals;
