//! The package manager.

pub mod error;
pub mod report;
