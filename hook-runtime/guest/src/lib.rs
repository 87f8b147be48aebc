//! Lua for hooks, inside the sandbox.
//!
//! A module with four exports: `prepare` is called once, at build time, and its
//! result is snapshotted; `buffer` gives room for a [`wire::Start`]; `run` and
//! `check` take it and return where a [`wire::Outcome`] lies (address in the
//! upper half, length in the lower). All that a script can reach beyond its own
//! memory goes through [`door`].
//!
//! Nothing here is trusted by the host: what a script could do by breaking the
//! interpreter is what it may do anyway.

mod api;
mod door;
mod exports;
mod files;
mod paths;

#[path = "../../wire/src/lib.rs"]
#[allow(dead_code, reason = "the host's half of the messages")]
mod wire;
