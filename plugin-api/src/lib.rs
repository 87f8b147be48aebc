//! The contracts between the host of Packets and its plugins.
//!
//! Five kinds of plugin exist: a [`fetch::FetchSource`] gets bytes, a [`share::Sharer`] gives them, a
//! [`publish::Publisher`] puts them where others get them, a [`storage::Storage`] remembers what is
//! installed, a [`hook::HookRunner`] runs the scripts of packages. This crate holds their traits, the data that
//! crosses them, and nothing that acts: no I/O, no database, no network, no
//! printing.
//!
//! What comes from outside is parsed once, into the types of [`ident`],
//! [`requirement`] and [`relpath`]; behind that border there are no bare strings
//! for names, versions, digests or paths.

#[cfg(feature = "conformance")]
pub mod conformance;
pub mod fetch;
pub mod hook;
pub mod ident;
pub mod native;
pub mod publish;
pub mod registry;
pub mod relpath;
pub mod requirement;
pub mod share;
pub mod storage;
pub mod version;

pub use registry::API_VERSION;
