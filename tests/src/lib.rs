//! What the end-to-end tests stand on: a hermetic place to run the program in, packages
//! good and bad, and snapshots of trees that show every difference.
//!
//! Everything here panics when it cannot do its work: it is only ever called by tests.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot be set up has failed")]
#![expect(clippy::disallowed_methods, reason = "a test lays out its own folders")]

mod bytes;
mod cost;
pub mod crash;
mod environment;
pub mod fuzz;
#[cfg(target_arch = "x86_64")]
pub mod inside;
mod lan;
mod output;
mod package;
pub mod peer;
mod program;
mod random;
mod real_server;
mod registry;
pub mod schema;
mod server;
mod skip;
mod snapshot;
pub mod terminal;
pub mod v1;

pub use bytes::{Entry, hash, noise, tar_of, zstd_of};
pub use cost::Cost;
pub use environment::TestEnvironment;
pub use lan::Lan;
pub use output::Output;
pub use package::Package;
pub use program::{fixtures, program, workspace};
pub use random::Random;
pub use real_server::RealServer;
pub use registry::Registry;
pub use server::{Asked, Gate, Reply, Server};
pub use skip::{as_somebody, is_root, on_path, openat2_can_be_refused, skip};
pub use snapshot::{Snapshot, Standing};
