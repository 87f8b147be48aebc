//! The command line: what people and programs see.
#![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test lays out its own folders")]

mod codes;
mod completions;
mod config;
mod help;
mod mistakes;
mod multiplexer;
mod print;
mod progress;
mod reference;
mod schema;
