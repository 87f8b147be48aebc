//! Suites that any implementation of a contract must pass, and fakes.

pub mod fetch;
pub mod hook;
pub mod storage;
pub mod view;
