//! Every limit of what is asked and answered, with the attack that it answers (numbers
//! of the attack catalogue in brackets).

use std::time::Duration;

/// Redirects followed for one file (N13).
pub const MAX_REDIRECTS: usize = 5;
/// After this time no further redirect is followed: five servers that each answer late (N12, N13).
pub const REDIRECT_TIME: Duration = Duration::from_secs(60);
/// How long a connection may take to stand, TLS included (N12).
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a reply's head, and each next piece of its body, may take to come (N12).
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// Headers of one reply (N17).
pub const MAX_HEADERS: usize = 100;
/// Bytes of one reply's head (N17). Not set here: the HTTP library holds 8 KiB, 4 KiB for
/// each of the headers that it takes by default, and what its last read brought.
pub const MAX_HEAD: usize = (8 << 10) + 100 * (4 << 10);
/// The longest URL, in bytes (N14); servers take no longer ones either (RFC 9110, section 4.1, asks for 8000).
pub const MAX_URL: usize = 8192;
/// Layers of percent escapes that are looked through for control characters (N14: `%250a`).
pub const MAX_ESCAPES: usize = 4;
/// The longest version of a file that is kept to be asked for again (N18).
pub const MAX_VERSION: usize = 256;
/// Connections to one server that are kept for the next file.
pub const IDLE_CONNECTIONS: usize = 4;
