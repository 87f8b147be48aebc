//! The source against registries of this machine.
#![expect(clippy::unwrap_used, reason = "a test ends with a panic")]

mod login;
mod promises;
mod publish;
mod redirects;
mod support;
