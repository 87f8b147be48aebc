//! Package files that lie: each is refused as a whole, and nothing is left of it.
#![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test lays out its own folders")]

mod calls;
mod corpus;
mod differential;
mod frames;
mod limits;
mod names;
mod types;
