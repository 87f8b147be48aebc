//! Every limit of what is asked for, with the attack that it answers (numbers of the attack
//! catalogue in brackets).

/// The longest location, in bytes: the longest path of Linux with every byte escaped (N14).
pub(crate) const MAX_LOCATION: usize = 3 * 4096;
