//! What work costs, counted and not timed: the same on every machine, however busy it is. How often a transaction
//! waits for the disk is held by `crash/syncs.rs`.
#![expect(clippy::unwrap_used, reason = "what does not run here has failed")]
#![expect(clippy::disallowed_methods, reason = "a test reads what strace wrote")]

mod calls;
