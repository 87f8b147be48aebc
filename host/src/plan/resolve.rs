//! Which packages a request needs: the interface, and a resolver that goes by names.

use std::collections::BTreeMap;

use packets_plugin_api::ident::PackageName;
use packets_plugin_api::requirement::Requirement;
use packets_plugin_api::storage::{InstalledPackage, Reason};

use super::candidate::{Answers, Candidate, Catalogue};
use crate::error::{Error, Result};

/// A package that will be installed, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    /// The package.
    pub candidate: Candidate,
    /// Whether it was asked for.
    pub reason: Reason,
}

/// What is to be decided.
#[derive(Debug)]
pub struct Problem<'a> {
    /// What was asked for.
    pub goals: Vec<Candidate>,
    /// What stands there.
    pub installed: &'a [InstalledPackage],
    /// Installed packages that go away or are replaced, by the goal that replaces them.
    pub leaving: Vec<PackageName>,
}

impl Problem<'_> {
    fn staying(&self) -> impl Iterator<Item = &InstalledPackage> {
        self.installed.iter().filter(|package| !self.leaving.contains(&package.name))
    }
}

/// Finds what a request needs.
pub trait Resolver {
    /// The packages to install, each after what it needs where there is no cycle. The
    /// same problem always gives the same answer.
    ///
    /// # Errors
    /// Which requirement of which package cannot be met.
    fn resolve(&self, problem: &Problem<'_>, known: &dyn Catalogue) -> Result<Vec<Chosen>>;
}

/// Takes the first candidate that answers to a name, and never goes back.
#[derive(Debug, Clone, Copy)]
pub struct ByName;

struct Frame {
    candidate: Candidate,
    next: usize,
}

impl Resolver for ByName {
    fn resolve(&self, problem: &Problem<'_>, known: &dyn Catalogue) -> Result<Vec<Chosen>> {
        let mut reasons: BTreeMap<PackageName, (Reason, Candidate)> = BTreeMap::new();
        for goal in &problem.goals {
            reasons.insert(goal.name.clone(), (Reason::Asked, goal.clone()));
        }
        let mut chosen = Vec::new();
        let mut entered: std::collections::BTreeSet<PackageName> = std::collections::BTreeSet::new();
        for goal in &problem.goals {
            if !entered.insert(goal.name.clone()) {
                continue;
            }
            // A stack of its own: an index may hold chains that no thread's stack could.
            let mut stack = vec![Frame { candidate: goal.clone(), next: 0 }];
            while let Some(frame) = stack.last_mut() {
                let Some(requirement) = frame.candidate.requires.get(frame.next).cloned() else {
                    if let Some(frame) = stack.pop() {
                        let reason = reasons.get(&frame.candidate.name).map_or(Reason::Needed, |(reason, _)| *reason);
                        chosen.push(Chosen { candidate: frame.candidate, reason });
                    }
                    continue;
                };
                frame.next += 1;
                let wanted_by = frame.candidate.name.clone();
                let among = reasons.values().find(|(_, candidate)| candidate.satisfies(&requirement));
                let next = match among {
                    Some((_, candidate)) => candidate.clone(),
                    None if problem.staying().any(|package| package.satisfies(&requirement)) => continue,
                    None => {
                        self.pick(&requirement, known)?.ok_or_else(|| unmet(&wanted_by, &requirement, &stack, known))?
                    }
                };
                if entered.insert(next.name.clone()) {
                    reasons.entry(next.name.clone()).or_insert_with(|| (Reason::Needed, next.clone()));
                    stack.push(Frame { candidate: next, next: 0 });
                }
            }
        }
        check_outcome(problem, &chosen)?;
        Ok(chosen)
    }
}

impl ByName {
    fn pick(&self, requirement: &Requirement, known: &dyn Catalogue) -> Result<Option<Candidate>> {
        for constraint in requirement.alternatives() {
            let named = known.named(&constraint.name)?;
            let others = || -> Result<Vec<Candidate>> {
                let mut all = known.aliased(&constraint.name)?;
                all.extend(known.providing(&constraint.name)?);
                Ok(all)
            };
            let fits = |candidate: &Candidate| candidate.answers(constraint) && for_this_machine(candidate);
            if let Some(found) = named.filter(fits) {
                return Ok(Some(found));
            }
            if let Some(found) = others()?.into_iter().find(fits) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}

/// Whether a candidate's programs run here.
pub fn for_this_machine(candidate: &Candidate) -> bool {
    candidate.arch.as_deref().is_none_or(|arch| arch.is_empty() || arch == "any" || arch == std::env::consts::ARCH)
}

fn unmet(wanted_by: &PackageName, requirement: &Requirement, stack: &[Frame], known: &dyn Catalogue) -> Error {
    let mut error =
        Error::request(format!("cannot install {wanted_by}: it needs {requirement}, and no known package is that"));
    for pair in stack.windows(2).rev() {
        error = error.caused_by(format!("{} is needed by {}", pair[1].candidate.name, pair[0].candidate.name));
    }
    error.hint(known.advice())
}

/// Nothing that is chosen may conflict, and nothing that stays may lose what it needs.
fn check_outcome(problem: &Problem<'_>, chosen: &[Chosen]) -> Result<()> {
    let replaced = |name: &PackageName| chosen.iter().any(|one| one.candidate.name == *name);
    let staying: Vec<&InstalledPackage> = problem.staying().filter(|package| !replaced(&package.name)).collect();
    for one in chosen {
        let candidate = &one.candidate;
        for conflict in &candidate.conflicts {
            let with_chosen = chosen
                .iter()
                .map(|other| &other.candidate)
                .find(|other| other.name != candidate.name && other.satisfies(conflict));
            let with_installed = staying.iter().find(|other| other.satisfies(conflict));
            if let Some(other) = with_chosen.map(|other| &other.name).or(with_installed.map(|other| &other.name)) {
                return Err(conflicting(&candidate.name, other));
            }
        }
        if let Some(other) =
            staying.iter().find(|other| other.conflicts.iter().any(|conflict| candidate.satisfies(conflict)))
        {
            return Err(conflicting(&other.name, &candidate.name));
        }
    }
    for package in &staying {
        for requirement in &package.requires {
            let before = problem.installed.iter().any(|other| other.satisfies(requirement));
            let after = staying.iter().any(|other| other.satisfies(requirement))
                || chosen.iter().any(|other| other.candidate.satisfies(requirement));
            if before && !after {
                return Err(Error::request(format!(
                    "{} is needed: the installed {} needs {requirement}",
                    requirement, package.name
                ))
                .hint(format!("name {} on the same command line, or leave both as they are", package.name)));
            }
        }
    }
    Ok(())
}

fn conflicting(one: &PackageName, other: &PackageName) -> Error {
    Error::request(format!("{one} cannot stand beside {other}: its manifest says that they conflict"))
        .hint(format!("`packets remove {other}` makes room for it"))
}
