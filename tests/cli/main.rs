//! The command line: what people and programs see.
#![expect(clippy::disallowed_methods, reason = "a test lays out its own folders")]

mod codes;
mod config;
mod help;
mod mistakes;
mod print;
