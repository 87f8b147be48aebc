//! The staged view against a small target, each test on two kernels: as it is, and
//! with openat2 missing.

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
