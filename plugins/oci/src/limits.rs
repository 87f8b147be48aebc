//! Every limit of what is asked and answered, with the attack that it answers (numbers
//! of the attack catalogue in brackets).

use std::time::Duration;

/// Redirects followed for one file (N13).
pub const MAX_REDIRECTS: usize = 5;
/// After this time no further redirect is followed (N12, N13).
pub const REDIRECT_TIME: Duration = Duration::from_secs(40);
/// How long a connection may take to stand, TLS included (N12).
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a reply's head, and each next piece of its body, may take to come (N12).
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// The longest address of a repository or a blob, in bytes.
pub const MAX_LOCATION: usize = 1024;
/// The longest name of a repository, in bytes: what clients of registries have agreed upon.
pub const MAX_NAME: usize = 255;
/// The largest answer of a token server, in bytes (N16).
pub const MAX_ANSWER: u64 = 64 << 10;
/// How slow an upload may be on the whole, in bytes a second, beside [`IDLE_TIMEOUT`] (N12).
pub const SLOWEST_UPLOAD: u64 = 16 << 10;
/// The longest tag (distribution specification, "Pulling manifests").
pub const MAX_TAG: usize = 128;
/// Repositories whose tokens are kept.
pub const MAX_TOKENS: usize = 64;
