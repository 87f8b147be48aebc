//! Every limit of the solver, with the threat that it answers (M33): an index may hold a
//! problem that nobody can solve. 500 packages of Debian's archive need less than a twentieth of each.

use std::time::Duration;

/// Rounds of propagation: a search without end. Each may leave a clause behind, so this bounds
/// memory too; pigeons without holes meet it.
pub(super) const STEPS: u64 = 500_000;
/// Time for all of it, where single steps are slow.
pub(super) const TIME: Duration = Duration::from_secs(20);
/// Packages that are looked at: a closure that is the whole of a huge index.
pub(super) const PACKAGES: usize = 200_000;
/// Pairs of a requirement or conflict and a package that answers it: thousands that each
/// conflict with thousands.
pub(super) const LINKS: usize = 4_000_000;
/// Sentences of an explanation: more than anybody reads.
pub(super) const SENTENCES: usize = 16;
