//! The resolver of all commands: a search over what is installed and what is known.
//!
//! First everything that is installed stays as it is. Only where that cannot be, a newer
//! release of the same name or family may take an installed one's place.

mod explain;
mod outcome;
mod provider;
#[cfg(test)]
mod tests;
mod world;

use resolvo::{Solver as Search, UnsolvableOrCancelled};

use super::candidate::Catalogue;
use super::resolve::{Problem, Resolution, Resolver};
use crate::error::{Error, Result};
use world::{Limits, World};

/// Searches with resolvo (CDCL, as in SAT solvers): where there is an answer it finds one.
#[derive(Debug, Clone, Copy, Default)]
pub struct Solver {
    limits: Limits,
}

impl Resolver for Solver {
    fn resolve(&self, problem: &Problem<'_>, known: &dyn Catalogue) -> Result<Resolution> {
        if problem.goals.is_empty() && problem.leaving.is_empty() {
            return Ok(Resolution::default());
        }
        match self.search(problem, known, Freedom::None)? {
            Ok(found) => return Ok(found),
            Err(refusal) if nothing_stays(problem) => return Err(refusal),
            Err(_) => {}
        }
        self.search(problem, known, Freedom::NewerReleases)?
    }
}

/// What may happen to the installed packages that stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Freedom {
    /// Nothing.
    None,
    /// A newer release may take the place of one.
    NewerReleases,
}

impl Solver {
    /// An answer, or the refusal that explains why there is none with this freedom.
    fn search(&self, problem: &Problem<'_>, known: &dyn Catalogue, freedom: Freedom) -> Result<Result<Resolution>> {
        let world = World::new(problem, known, freedom, self.limits)?;
        let request = resolvo::Problem::new().requirements(world.request()?);
        let mut search = Search::new(world);
        match search.solve(request) {
            Ok(members) => outcome::resolution(search.provider(), &members).map(Ok),
            Err(UnsolvableOrCancelled::Unsolvable(conflict)) => {
                let refusal = explain::refusal(search.provider(), &conflict.graph(&search));
                search.provider().failure().map_or(Ok(Err(refusal)), Err)
            }
            Err(UnsolvableOrCancelled::Cancelled(_)) => Err(search.provider().failure().unwrap_or_else(|| {
                Error::new(crate::error::ErrorKind::Bug, "the search for packages ended without a reason")
            })),
        }
    }
}

/// Then there is nothing that could give way.
fn nothing_stays(problem: &Problem<'_>) -> bool {
    problem.installed.iter().all(|package| problem.leaving.contains(&package.name))
}
