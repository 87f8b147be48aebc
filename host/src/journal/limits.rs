//! Every bound of a journal, with the attack that it answers (numbers of the attack catalogue
//! in brackets).

/// The largest journal that is written or read: a bound for what a damaged length could cost (C25).
/// A hundred thousand paths take some 60 MB.
pub(super) const MAX_SIZE: u64 = 1 << 30;
/// Bytes that are set aside for the records after `decided`, so that a full disk cannot stop them (C09).
pub(super) const SPARE: u64 = 4096;
