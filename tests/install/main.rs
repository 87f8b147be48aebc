//! Installing: what comes from where, in which order, and all of it or nothing.
#![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test lays out its own folders")]

mod approvals;
mod atomic;
mod conflicts;
mod dry_run;
mod fixtures;
mod grants;
mod hooks;
mod many;
mod needs;
mod relocate;
mod roots;
mod sources;
