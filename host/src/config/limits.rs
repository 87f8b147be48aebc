//! Every bound of a config, with the attack that it answers (numbers of the attack catalogue
//! in brackets).

/// The largest config that is read; a real one has a few kB (M32).
pub const MAX_CONFIG_SIZE: u64 = 1 << 20;
