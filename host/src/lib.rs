//! The package manager: the stages from a command line to a changed system.
//!
//! `ARCHITECTURE.md` beside this crate tells where everything lives and why.

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests make and look at real trees"))]

mod adopt;
pub mod archive;
pub mod audit;
pub mod builtin;
pub mod cache;
pub mod cli;
pub mod commit;
pub mod config;
mod cores;
mod digest;
mod durable;
pub mod error;
pub mod fetch;
mod given;
mod handles;
mod history;
pub mod hook;
mod interrupt;
mod journal;
mod lock;
pub mod manifest;
mod memory;
pub mod ops;
pub mod output;
pub mod pack;
pub mod plan;
pub mod plugin;
pub mod recover;
pub mod report;
mod seccomp;
mod share;
mod suggest;
pub mod target;
pub mod unpack;
pub mod verify;
