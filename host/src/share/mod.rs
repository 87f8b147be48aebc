//! Sharing: what of this machine is given to others, by a process that can do nothing else.
//!
//! `shelf` says which files, `confine` gives up what the process does not need, `state` is the
//! file by which it is found, and `holder` tells who has a port that it cannot have.

pub(crate) mod confine;
pub(crate) mod holder;
pub(crate) mod shelf;
pub(crate) mod state;
