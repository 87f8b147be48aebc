//! The local network as a mirror: asks peers for package files, and shares with them.
//!
//! `wire` is what is said in datagrams, `networks` who is near enough to be heard, `ask` the
//! fetch source, `serve` the other end of it. Peers are trusted for nothing: what they say
//! is a hint, and what they give is bytes that the host hashes. `README.md` beside this crate
//! describes the protocol and what a firewall has to let through.

mod ask;
pub mod limits;
pub mod networks;
mod serve;
pub mod wire;

use std::sync::Arc;

use packets_plugin_api::registry::{DuplicateName, Plugin, Registry};

pub use ask::LanSource;
pub use serve::LanSharer;

/// Registers the source `lan` and the way to share of the same name.
#[derive(Debug, Clone, Copy, Default)]
pub struct LanPlugin;

impl Plugin for LanPlugin {
    fn register(&self, registry: &mut Registry) -> Result<(), DuplicateName> {
        registry.add_fetch("lan", |settings| Arc::new(LanSource::new(settings)))?;
        registry.add_share("lan", || Arc::new(LanSharer))
    }
}
