//! The package manager.

pub mod config;
pub mod error;
pub mod plan;
pub mod report;
pub mod target;
