//! The boundary around hooks.
//!
//! Three parts: the sandbox, in which a script computes and can reach nothing
//! (`engine`, `sandbox`); the staged view, through which alone it sees the
//! target ([`view`]); and the folder handles on which the view, and every other
//! part that touches a target, stands ([`folder`]). Every bound is a named
//! constant in [`limits`].

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests make and look at real trees"))]

mod configuration;
mod door;
pub mod engine;
pub mod folder;
pub mod limits;
mod pool;
mod precompiled;
pub mod sandbox;
pub mod view;
mod wasi;
