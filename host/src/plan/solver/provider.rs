//! The world as resolvo sees it: every member is a package of its own with one version, so
//! that names, aliases and what is provided are all the same to it: lists of members.

use std::any::Any;
use std::fmt::Display;
use std::rc::Rc;

use resolvo::{
    Candidates, Condition, ConditionId, ConditionalRequirement, DenseIndex as _, Dependencies, DependencyProvider,
    Interner, KnownDependencies, NameId, SolvableId, SolverCache, StringId, VersionSetId, VersionSetUnionId,
};

use super::super::candidate::Answers as _;
use super::Freedom;
use super::world::{Member, MemberId, NeedId, Want, World};
use crate::error::Result;

/// The reason of every exclusion: an installed package is newer.
const OLDER: StringId = StringId(0);

/// What a set of versions means: a member that is wanted or not wanted, or the only option of
/// a need, told apart by the two lowest bits.
#[derive(Debug, Clone, Copy)]
enum Set {
    Wanted(MemberId),
    Unwanted(MemberId),
    Only(u32),
}

impl From<Set> for VersionSetId {
    fn from(set: Set) -> Self {
        Self(match set {
            Set::Wanted(member) => member << 2,
            Set::Unwanted(member) => member << 2 | 1,
            Set::Only(need) => need << 2 | 2,
        })
    }
}

impl From<VersionSetId> for Set {
    fn from(VersionSetId(id): VersionSetId) -> Self {
        match id & 3 {
            0 => Self::Wanted(id >> 2),
            1 => Self::Unwanted(id >> 2),
            _ => Self::Only(id >> 2),
        }
    }
}

impl World<'_> {
    /// What the search must reach: the goals, and that what stays stays.
    pub(super) fn request(&self) -> Result<Vec<ConditionalRequirement>> {
        let mut request = Vec::new();
        for goal in &self.problem.goals {
            let id = self.candidate_of(&goal.name).into_iter().collect::<Vec<_>>();
            request.push(self.as_requirement(self.add_need(Want::Goal, id.into())));
        }
        for id in self.staying() {
            let mut options = vec![id];
            if let (Freedom::NewerReleases, Member::Installed(package)) = (self.freedom, self.member(id)) {
                options.extend(self.successors(package)?);
            }
            request.push(self.as_requirement(self.add_need(Want::Stay, options.into())));
        }
        Ok(request)
    }

    fn dependencies_of(&self, id: MemberId) -> Result<Dependencies> {
        let member = self.member(id);
        let mut needs = Vec::new();
        for wanted in member.requires() {
            let is_settled = match (&member, self.freedom) {
                // What it has not had so far it need not have now.
                (Member::Installed(_), _) if !self.was_met(wanted) => true,
                (_, Freedom::None) => !self.standing_for(wanted).is_empty(),
                (_, Freedom::NewerReleases) => false,
            };
            if !is_settled && !member.satisfies(wanted) {
                needs.push(self.requirement(wanted)?);
            }
        }
        self.set_needs_of(id, &needs);
        let requirements = needs.into_iter().map(|need| self.as_requirement(need)).collect();
        let mut constrains = Vec::new();
        if let Member::Candidate(candidate) = &member {
            if self.is_older(id) {
                return Ok(Dependencies::Unknown(OLDER));
            }
            constrains = self.opponents(id, candidate)?.into_iter().map(|other| Set::Unwanted(other).into()).collect();
        }
        Ok(Dependencies::Known(KnownDependencies { requirements, constrains }))
    }

    /// Whether a candidate that nobody asked for would take an installed package back.
    pub(super) fn is_older(&self, id: MemberId) -> bool {
        let member = self.member(id);
        let installed = if member.is_installed() { None } else { self.installed_as(member.name()) };
        installed.is_some_and(|installed| *member.version() < installed.version)
    }

    fn as_requirement(&self, need: NeedId) -> ConditionalRequirement {
        // Most needs have one option: less work for resolvo than a union of one.
        match self.need(need).options.len() {
            1 => resolvo::Requirement::Single(Set::Only(need).into()).into(),
            _ => resolvo::Requirement::Union(VersionSetUnionId(need)).into(),
        }
    }
}

/// The need that a requirement of resolvo's stands for.
pub(super) fn need_of(requirement: resolvo::Requirement) -> NeedId {
    match requirement {
        resolvo::Requirement::Union(VersionSetUnionId(need)) => need,
        resolvo::Requirement::Single(set) => set.0 >> 2,
    }
}

impl Interner for World<'_> {
    type NameId = NameId;
    type SolvableId = SolvableId;

    fn display_solvable(&self, member: SolvableId) -> impl Display + '_ {
        format!("{} {}", self.member(number(member)).name(), self.member(number(member)).version())
    }

    fn display_name(&self, name: NameId) -> impl Display + '_ {
        name.to_index()
    }

    fn display_version_set(&self, set: VersionSetId) -> impl Display + '_ {
        set.0
    }

    fn display_string(&self, string: StringId) -> impl Display + '_ {
        string.0
    }

    fn version_set_name(&self, set: VersionSetId) -> NameId {
        NameId::from_index(match set.into() {
            Set::Wanted(member) | Set::Unwanted(member) => member as usize,
            Set::Only(need) => self.need(need).options.first().copied().unwrap_or_default() as usize,
        })
    }

    fn solvable_name(&self, member: SolvableId) -> NameId {
        NameId::from_index(member.to_index())
    }

    fn version_sets_in_union(&self, need: VersionSetUnionId) -> impl Iterator<Item = VersionSetId> {
        let options = Rc::clone(&self.need(need.0).options);
        (0..options.len()).map(move |at| Set::Wanted(options[at]).into())
    }

    fn resolve_condition(&self, _: ConditionId) -> Condition {
        unreachable!("no requirement has a condition")
    }
}

/// The number that a member has here.
pub(super) fn number(member: SolvableId) -> MemberId {
    u32::try_from(member.to_index()).unwrap_or(u32::MAX)
}

impl DependencyProvider for World<'_> {
    async fn filter_candidates(&self, members: &[SolvableId], set: VersionSetId, inverse: bool) -> Vec<SolvableId> {
        let is_wanted = !matches!(set.into(), Set::Unwanted(_));
        if is_wanted == inverse { Vec::new() } else { members.to_vec() }
    }

    async fn get_candidates(&self, name: NameId) -> Option<Candidates> {
        let candidates = vec![SolvableId::from_index(name.to_index())];
        Some(Candidates { candidates, allow_multiple: true, ..Candidates::default() })
    }

    async fn sort_candidates(&self, _: &SolverCache<Self>, _: &mut [SolvableId]) {}

    async fn get_dependencies(&self, member: SolvableId) -> Dependencies {
        self.dependencies_of(number(member)).unwrap_or_else(|error| {
            self.fail(error);
            Dependencies::Known(KnownDependencies::default())
        })
    }

    fn should_cancel_with_value(&self) -> Option<Box<dyn Any>> {
        self.must_end().then(|| Box::new(()) as Box<dyn Any>)
    }
}
