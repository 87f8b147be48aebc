//! Bytes that mean harm, for all that reads bytes from outside: what the fuzzer found once, and
//! inputs that are nearly right. `tests/fuzz/run` looks for more.
#![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test lays out its own folders")]

mod finds;
mod metadata;
mod terminal;
