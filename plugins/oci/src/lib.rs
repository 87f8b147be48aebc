//! Fetch source: OCI registries (distribution specification 1.1), loaded from a file.
//!
//! A package's SHA-256 is the digest of its blob, so that the index says everything: a blob is
//! found in the configured repository by its hash alone, and anywhere else by
//! `oci://HOST/REPOSITORY@sha256:HEX`. `client` speaks to a registry and knows nothing of packages;
//! `source` is the plugin, `publish` is what puts packages there. Who gets the password is decided in `client::access`.

pub mod client;
pub mod limits;
pub mod place;
pub mod publish;
mod settings;
mod source;

pub use publish::OciPublish;
pub use source::OciSource;

packets_plugin_api::export_fetch_source!("oci", settings::make);
