//! Every bound of plugins from files, with the attack that it answers (numbers of the attack
//! catalogue in brackets).

use std::time::Duration;

/// The largest library (P11: a sparse file of 4 GiB).
pub(crate) const LIBRARY: u64 = 64 << 20;
/// The largest `plugin.toml`.
pub(crate) const SIDECAR: u64 = 64 << 10;
/// The largest secret.
pub(super) const SECRET: u64 = 64 << 10;
/// The largest message of a worker (P09).
pub(super) const REPLY: usize = 64 << 10;
/// The largest message to one: the config's table and the secrets.
pub(super) const REQUEST: usize = 4 << 20;
/// Bytes of a transfer that are passed on at once.
pub(super) const CHUNK: usize = 256 << 10;
/// Chunks of a transfer that stand in memory which host and worker share, waiting to be taken.
pub(super) const SLOTS: usize = 4;
/// Calls of one worker at a time: calls that hang are never more.
pub(super) const CALLS: usize = 64;
/// How often a worker is started in a transaction (P08): one that crashes again and again.
pub(super) const STARTS: u32 = 4;
/// How long loading and making the source may take: constructors that hang (P08).
pub(super) const START: Duration = Duration::from_secs(10);
/// How long a plugin may look at a text.
pub(super) const CLAIM: Duration = Duration::from_secs(2);
/// How long it may search between two places that it finds.
pub(super) const FIND: Duration = Duration::from_secs(10);
/// How long it may take to open a place: as long as `http` may follow redirects.
pub(super) const OPEN: Duration = Duration::from_secs(60);
/// How long the next bytes may take to come: twice as long as `http` waits, so that a plugin can tell of it.
pub(super) const READ: Duration = Duration::from_secs(60);
/// Memory that a worker may write to.
pub(super) const MEMORY: u64 = 1 << 30;
/// Files and sockets of a worker.
pub(super) const HANDLES: u64 = 512;
