//! What the crash tests stand on: runs that are stopped at any call, states that can be
//! told apart, and scenes to which both are applied.

mod calls;
mod disk;
mod expected;
mod scene;
mod state;
mod sweep;
pub mod tool;
pub(crate) mod tracer;

pub use calls::Kind;
pub use disk::{FileSystem, Mounted, copy_image, with_own_mounts};
pub use expected::{Reference, Verdict};
pub use scene::{Scene, Stage};
pub use state::{State, leftovers};
pub use sweep::{
    Points, Tally, assert_none, calls_of, calls_of_stage, is_writing, readers, recover, recovers_once, say, strike,
};
pub use tracer::{Act, Call, can_trace};
