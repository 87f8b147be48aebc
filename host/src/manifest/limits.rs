//! Every bound of a manifest, with the attack that it answers (numbers of the attack
//! catalogue in brackets).

/// Size of a manifest in bytes: one that fills the memory (M32, A56).
pub const MAX_SIZE: usize = 256 << 10;
/// Entries of one list in it: a solver or a question that never ends (M28).
pub(super) const MAX_LIST: usize = 1000;
/// Paths in one list of `[Permissions]`: a question that nobody reads to its end (H28).
pub(super) const MAX_PERMISSIONS: usize = 256;
/// Unknown keys that are told of: a flood of warnings (M32).
pub(super) const MAX_WARNINGS: usize = 20;
