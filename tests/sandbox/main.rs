//! Hooks that try to get out, end to end. Each denial names the hook's line, the path,
//! and the line of policy that would allow it, where there is one.
#![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test lays out its own folders")]

mod archives_and_hooks;
mod escapes;
mod language;
mod limits;
mod oracles;
