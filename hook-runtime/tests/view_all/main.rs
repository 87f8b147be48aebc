//! The staged view against a small target, each test on two kernels: as it is, and
//! with openat2 missing.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]
#![expect(clippy::disallowed_methods, reason = "tests make what the view meets")]

mod effects;
mod files;
mod limits;
mod model;
mod ownership;
mod paths;
mod race;
mod root;
mod transaction;
mod world;
