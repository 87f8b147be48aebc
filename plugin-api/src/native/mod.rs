//! Plugins from a file: the ABI of `include/packets_plugin.h`, and both of its sides.
//!
//! [`abi`] holds the header's tables. A plugin in Rust implements
//! [`FetchSource`](crate::fetch::FetchSource) and hands it out with
//! [`export_fetch_source!`](crate::export_fetch_source); [`export`] is what that macro stands on.
//! The host calls such tables through [`foreign`], which trusts nothing that comes back.

pub mod abi;
pub mod export;
pub mod foreign;
mod settings;
#[cfg(test)]
#[cfg(feature = "conformance")]
mod tests;

pub use settings::Settings;

/// The name of the one symbol of a plugin.
pub const ENTRY: &str = "packets_plugin_entry";
