//! Every limit of the sandbox, with the threat that it answers (numbers of the
//! attack catalogue in brackets).

use std::time::Duration;

/// Memory of a hook: a script that fills tables (H10). Raised by `[Sandbox] memory`.
pub const MEMORY: u64 = 64 << 20;
/// The guest's stack inside the sandbox: recursion without end (H11).
pub const WASM_STACK: usize = 512 << 10;
/// Time that a hook may compute: loops that nothing inside can catch (H09). `[Sandbox] cpu`.
pub const CPU: Duration = Duration::from_secs(5);
/// Time from start to end, with the host's share: slow operations (H27). `[Sandbox] wall`.
pub const WALL: Duration = Duration::from_secs(30);
/// Messages, and entries of recursive ones: filling the disk with names (H21). Per package by `[[Sandbox.grant]]`.
pub const OPERATIONS: u64 = 100_000;
/// Bytes that a hook may write (H21).
pub const WRITTEN: u64 = 512 << 20;
/// Bytes that a hook may print (H14).
pub const LOG: usize = 1 << 20;
/// One printed line; what is longer is cut (H14).
pub const LOG_LINE: usize = 8 << 10;
/// Size of a script (H15).
pub const SCRIPT: u64 = 1 << 20;
/// One message through the door, either way (H32).
pub const MESSAGE: usize = 256 << 10;
/// Bytes moved by one read or write (H32).
pub const CHUNK: usize = 64 << 10;
/// A path as a hook writes it (H23).
pub const PATH: usize = 4096;
/// Links followed on the way to one path, as in Linux (H23, A29).
pub const LINKS: usize = 40;
/// Files open at once (H21).
pub const OPEN_FILES: usize = 64;
/// Folders inside folders in one recursive operation (A14).
pub const DEPTH: usize = 128;
/// Folders inside folders that are taken away with all that is in them; each costs a handle (A14).
pub const TREE_DEPTH: usize = 512;
/// Denials that are kept; more change nothing (H13).
pub const DENIALS: usize = 100;
/// An error's message (H13).
pub const ERROR_TEXT: usize = 4 << 10;
/// Instructions of the guest after which its time is looked at: about a millisecond (H09).
pub const SLICE: u64 = 2_000_000;
/// Entries of a table of functions in the sandbox; the guest's has some hundreds and never grows (H10).
pub const TABLE: usize = 10_000;
/// What the guest itself may say about why it gave up (H14).
pub const LAST_WORDS: usize = 2 << 10;
/// Parts of one write of the guest's own that are looked at (H21).
pub const PARTS: u32 = 1024;
