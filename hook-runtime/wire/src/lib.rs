//! The messages between a hook's guest and the host.
