//! Fetch source: a folder of this machine.
