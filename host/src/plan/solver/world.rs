//! The packages of one search: what stays installed, what was asked for, and what is known
//! of the names that come up. Each is looked up once, when it comes up.

use std::cell::{Ref, RefCell};
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher as _, Hash, Hasher, RandomState};
use std::ops::Range;
use std::rc::Rc;
use std::time::{Duration, Instant};

use packets_plugin_api::ident::{Family, PackageName};
use packets_plugin_api::requirement::{Comparison, Constraint, Requirement};
use packets_plugin_api::storage::InstalledPackage;
use packets_plugin_api::version::Version;

use super::super::candidate::{Answers, Candidate, Catalogue};
use super::super::goals::is_same_release;
use super::super::limits;
use super::super::resolve::{Problem, for_this_machine};
use super::Freedom;
use crate::error::{Error, Result};

/// How much a search may cost.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) steps: u64,
    pub(super) time: Duration,
    pub(super) packages: usize,
    pub(super) links: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { steps: limits::STEPS, time: limits::TIME, packages: limits::PACKAGES, links: limits::LINKS }
    }
}

/// The number of a member.
pub(super) type MemberId = u32;

/// The number of a need.
pub(super) type NeedId = u32;

/// A package that can be part of the outcome.
#[derive(Debug, Clone)]
pub(super) enum Member<'a> {
    /// It is installed and would stay.
    Installed(&'a InstalledPackage),
    /// It would be installed.
    Candidate(Rc<Candidate>),
}

impl Member<'_> {
    pub(super) fn name(&self) -> &PackageName {
        match self {
            Self::Installed(package) => &package.name,
            Self::Candidate(candidate) => &candidate.name,
        }
    }
    pub(super) fn version(&self) -> &Version {
        match self {
            Self::Installed(package) => &package.version,
            Self::Candidate(candidate) => &candidate.version,
        }
    }
    pub(super) fn requires(&self) -> &[Requirement] {
        match self {
            Self::Installed(package) => &package.requires,
            Self::Candidate(candidate) => &candidate.requires,
        }
    }
    pub(super) fn conflicts(&self) -> &[Requirement] {
        match self {
            Self::Installed(package) => &package.conflicts,
            Self::Candidate(candidate) => &candidate.conflicts,
        }
    }
    pub(super) fn family(&self) -> &Family {
        match self {
            Self::Installed(package) => &package.family,
            Self::Candidate(candidate) => &candidate.family,
        }
    }
    pub(super) fn is_installed(&self) -> bool {
        matches!(self, Self::Installed(_))
    }
}

impl Answers for Member<'_> {
    fn answers(&self, constraint: &Constraint) -> bool {
        match self {
            Self::Installed(package) => package.answers(constraint),
            Self::Candidate(candidate) => candidate.answers(constraint),
        }
    }
}

/// What somebody needs.
#[derive(Debug, Clone)]
pub(super) enum Want {
    /// The request needs this very candidate.
    Goal,
    /// An installed package, or a newer release of it.
    Stay,
    /// A requirement of a package, as it was written.
    Requirement(Requirement),
}

/// A want, and the members that would meet it, the best first.
#[derive(Debug)]
pub(super) struct Need {
    pub(super) want: Want,
    pub(super) options: Rc<[MemberId]>,
}

/// See the module.
pub(super) struct World<'a> {
    pub(super) problem: &'a Problem<'a>,
    pub(super) known: &'a dyn Catalogue,
    pub(super) freedom: Freedom,
    limits: Limits,
    started: Instant,
    /// The staying packages by all names that they answer to.
    standing: HashMap<&'a PackageName, Vec<MemberId>>,
    /// The staying packages by the names that they conflict with.
    averse: HashMap<&'a PackageName, Vec<MemberId>>,
    /// Whatever is installed now, by all names that it answers to.
    before: HashMap<&'a PackageName, Vec<&'a InstalledPackage>>,
    kept: HashSet<&'a PackageName>,
    leaving: HashSet<&'a PackageName>,
    staying: Range<MemberId>,
    hasher: RandomState,
    state: RefCell<State<'a>>,
}

#[derive(Default)]
struct State<'a> {
    members: Vec<Member<'a>>,
    candidates: HashMap<PackageName, MemberId>,
    /// The candidates that answer to a name, the best first.
    answers: HashMap<PackageName, Rc<[MemberId]>>,
    needs: Vec<Need>,
    /// Needs by the hash of their requirement: many packages need the same.
    need_of: HashMap<u64, Vec<NeedId>>,
    /// The needs of a member that were taken up.
    needs_of: HashMap<MemberId, Rc<[NeedId]>>,
    steps: u64,
    links: usize,
    failure: Option<Error>,
}

impl<'a> World<'a> {
    pub(super) fn new(
        problem: &'a Problem<'a>,
        known: &'a dyn Catalogue,
        freedom: Freedom,
        limits: Limits,
    ) -> Result<Self> {
        let mut world = Self {
            problem,
            known,
            freedom,
            limits,
            started: Instant::now(),
            standing: HashMap::new(),
            averse: HashMap::new(),
            before: HashMap::new(),
            kept: problem.kept.iter().collect(),
            leaving: problem.leaving.iter().collect(),
            staying: 0..0,
            hasher: RandomState::new(),
            state: RefCell::default(),
        };
        for package in problem.installed {
            for name in names_of(&package.name, package.alias.as_ref(), &package.provides) {
                world.before.entry(name).or_default().push(package);
            }
        }
        let stays = problem.installed.iter().filter(|package| !world.leaving.contains(&package.name));
        for (package, id) in stays.collect::<Vec<_>>().into_iter().zip(0..) {
            world.staying.end = id + 1;
            world.state.get_mut().members.push(Member::Installed(package));
            for name in names_of(&package.name, package.alias.as_ref(), &package.provides) {
                world.standing.entry(name).or_default().push(id);
            }
            for constraint in package.conflicts.iter().flat_map(Requirement::alternatives) {
                world.averse.entry(&constraint.name).or_default().push(id);
            }
        }
        for goal in &problem.goals {
            world.state.get_mut().admit(goal.clone(), limits.packages)?;
        }
        Ok(world)
    }

    pub(super) fn member(&self, id: MemberId) -> Member<'a> {
        self.state.borrow().members[id as usize].clone()
    }

    /// A need by its number.
    pub(super) fn need(&self, id: NeedId) -> Ref<'_, Need> {
        Ref::map(self.state.borrow(), |state| &state.needs[id as usize])
    }

    /// What stays installed: each is one member, the first of all.
    pub(super) fn staying(&self) -> Range<MemberId> {
        self.staying.clone()
    }

    pub(super) fn candidate_of(&self, name: &PackageName) -> Option<MemberId> {
        self.state.borrow().candidates.get(name).copied()
    }

    pub(super) fn add_need(&self, want: Want, options: Rc<[MemberId]>) -> NeedId {
        let mut state = self.state.borrow_mut();
        let id = number(state.needs.len());
        state.needs.push(Need { want, options });
        id
    }

    /// What would meet a requirement: what is installed, then what is known, in the order of
    /// the alternatives.
    pub(super) fn requirement(&self, requirement: &Requirement) -> Result<NeedId> {
        let hash = self.hasher.hash_one(Written(requirement));
        if let Some(need) = self.state.borrow().known_need(hash, requirement) {
            return Ok(need);
        }
        let mut options = self.standing_for(requirement);
        for constraint in requirement.alternatives() {
            for &id in self.answering(&constraint.name)?.iter() {
                if !options.contains(&id) && self.state.borrow().members[id as usize].answers(constraint) {
                    options.push(id);
                }
            }
        }
        self.count(options.len() + 1)?;
        let need = self.add_need(Want::Requirement(requirement.clone()), options.into());
        self.state.borrow_mut().need_of.entry(hash).or_default().push(need);
        Ok(need)
    }

    /// The staying packages that satisfy a requirement.
    pub(super) fn standing_for(&self, requirement: &Requirement) -> Vec<MemberId> {
        let mut found = Vec::new();
        for constraint in requirement.alternatives() {
            for &id in self.standing.get(&constraint.name).into_iter().flatten() {
                if !found.contains(&id) && self.state.borrow().members[id as usize].answers(constraint) {
                    found.push(id);
                }
            }
        }
        found
    }

    /// Whether a requirement is met by what is installed now, whatever leaves.
    pub(super) fn was_met(&self, requirement: &Requirement) -> bool {
        requirement.alternatives().iter().any(|constraint| {
            self.before.get(&constraint.name).into_iter().flatten().any(|package| package.answers(constraint))
        })
    }

    /// What a candidate cannot stand beside, be it that it says so or that an installed package does.
    pub(super) fn opponents(&self, id: MemberId, candidate: &Candidate) -> Result<Vec<MemberId>> {
        let mut found = Vec::new();
        let mut add = |other: MemberId| {
            if other != id && !found.contains(&other) {
                found.push(other);
            }
        };
        for name in names_of(&candidate.name, candidate.alias.as_ref(), &candidate.provides) {
            for &other in self.averse.get(name).into_iter().flatten() {
                if self.member(other).conflicts().iter().any(|conflict| candidate.satisfies(conflict)) {
                    add(other);
                }
            }
        }
        for &other in self.standing.get(&candidate.name).into_iter().flatten() {
            if *self.member(other).name() == candidate.name {
                add(other);
            }
        }
        for conflict in &candidate.conflicts {
            self.standing_for(conflict).into_iter().for_each(&mut add);
            for constraint in conflict.alternatives() {
                for &other in self.answering(&constraint.name)?.iter() {
                    let state = self.state.borrow();
                    let member = &state.members[other as usize];
                    if *member.name() != candidate.name && member.answers(constraint) {
                        add(other);
                    }
                }
            }
        }
        self.count(found.len())?;
        Ok(found)
    }

    /// The candidates that answer to a name, the best first.
    fn answering(&self, name: &PackageName) -> Result<Rc<[MemberId]>> {
        if let Some(known) = self.state.borrow().answers.get(name) {
            return Ok(Rc::clone(known));
        }
        let found = self.known.answering(name)?;
        let mut members = Vec::with_capacity(found.len());
        for candidate in found {
            if self.is_eligible(&candidate) {
                members.push(self.state.borrow_mut().admit(candidate, self.limits.packages)?);
            }
        }
        let members: Rc<[MemberId]> = members.into();
        self.state.borrow_mut().answers.insert(name.clone(), Rc::clone(&members));
        Ok(members)
    }

    /// Whether a candidate could be installed: not what stands there already with the same
    /// bytes, and not what is to go.
    fn is_eligible(&self, candidate: &Candidate) -> bool {
        // What has not been packed yet has no digest; of the same version, it is what stands there.
        let is_same = |package: &InstalledPackage| {
            is_same_release(package, candidate) || candidate.digest.is_none() && package.version == candidate.version
        };
        let stands = || self.installed_as(&candidate.name).is_some_and(is_same);
        let leaves = || self.leaving.contains(&candidate.name) && self.candidate_of(&candidate.name).is_none();
        for_this_machine(candidate) && !stands() && !leaves()
    }

    /// The staying package of exactly this name.
    pub(super) fn installed_as(&self, name: &PackageName) -> Option<&'a InstalledPackage> {
        let state = self.state.borrow();
        self.standing.get(name)?.iter().find_map(|&id| match state.members[id as usize] {
            Member::Installed(package) if package.name == *name => Some(package),
            _ => None,
        })
    }

    /// The releases that may take the place of an installed package, the best first: what its
    /// name means now, then the newer ones of its family. Of another family, it is other software.
    pub(super) fn successors(&self, package: &InstalledPackage) -> Result<Vec<MemberId>> {
        if self.kept.contains(&package.name) {
            return Ok(Vec::new());
        }
        let own = self.known.named(&package.name)?;
        let releases = self.known.family(&package.family)?;
        let is_newer = |release: &Candidate| own.as_ref().is_none_or(|own| release.serial > own.serial);
        let newer: Vec<Candidate> =
            releases.into_iter().filter(|release| release.name != package.name && is_newer(release)).collect();
        let same = |own: &Candidate| package.family.is_none() || own.family == package.family;
        let is_release = |own: &Candidate| own.version >= package.version && same(own);
        let own = own.filter(is_release);
        let mut found = Vec::new();
        for candidate in own.into_iter().chain(newer) {
            if self.is_eligible(&candidate) {
                let id = self.state.borrow_mut().admit(candidate, self.limits.packages)?;
                found.push(id);
            }
        }
        self.count(found.len())?;
        Ok(found)
    }

    /// Counts links between packages; too many end the search.
    fn count(&self, links: usize) -> Result<()> {
        let mut state = self.state.borrow_mut();
        state.links += links;
        if state.links > self.limits.links {
            return Err(too_much(format!("{} links between packages", self.limits.links)));
        }
        Ok(())
    }

    /// Counts a step; whether the search must end.
    pub(super) fn must_end(&self) -> bool {
        let mut state = self.state.borrow_mut();
        state.steps += 1;
        if state.failure.is_none() && state.steps > self.limits.steps {
            state.failure = Some(too_much(format!("{} steps", self.limits.steps)));
        }
        if state.failure.is_none() && self.started.elapsed() > self.limits.time {
            state.failure = Some(too_much(format!("{} seconds", self.limits.time.as_secs_f32())));
        }
        state.failure.is_some()
    }

    /// Ends the search with an error.
    pub(super) fn fail(&self, error: Error) {
        self.state.borrow_mut().failure.get_or_insert(error);
    }

    /// Why the search was ended.
    pub(super) fn failure(&self) -> Option<Error> {
        self.state.borrow_mut().failure.take()
    }

    /// Remembers what a member needs; what is met in any case is not among it.
    pub(super) fn set_needs_of(&self, id: MemberId, needs: &[NeedId]) {
        self.state.borrow_mut().needs_of.insert(id, needs.into());
    }

    /// Takes the candidates among these members out of the world.
    pub(super) fn take(&self, ids: &[MemberId]) -> Vec<Candidate> {
        let mut members: Vec<Option<Member<'_>>> =
            std::mem::take(&mut self.state.borrow_mut().members).into_iter().map(Some).collect();
        let taken = ids.iter().filter_map(|id| members.get_mut(*id as usize)?.take());
        let candidates = taken.filter_map(|member| match member {
            Member::Candidate(candidate) => Some(Rc::unwrap_or_clone(candidate)),
            Member::Installed(_) => None,
        });
        candidates.collect()
    }

    /// What a member needs.
    pub(super) fn needs_of(&self, id: MemberId) -> Rc<[NeedId]> {
        self.state.borrow().needs_of.get(&id).cloned().unwrap_or_default()
    }
}

impl State<'_> {
    fn known_need(&self, hash: u64, requirement: &Requirement) -> Option<NeedId> {
        let same = |id: &&NeedId| match &self.needs[**id as usize].want {
            Want::Requirement(other) => Written(other) == Written(requirement),
            _ => false,
        };
        self.need_of.get(&hash)?.iter().find(same).copied()
    }

    /// The member of a candidate: one of each name, whichever way it was found.
    fn admit(&mut self, candidate: Candidate, most: usize) -> Result<MemberId> {
        if let Some(&id) = self.candidates.get(&candidate.name) {
            return Ok(id);
        }
        if self.members.len() >= most {
            return Err(too_much(format!("{most} packages")));
        }
        let id = number(self.members.len());
        self.candidates.insert(candidate.name.clone(), id);
        self.members.push(Member::Candidate(Rc::new(candidate)));
        Ok(id)
    }
}

/// A requirement by its text: versions that are equal (`1.0`, `1.00`) are written in many ways.
struct Written<'r>(&'r Requirement);

impl Written<'_> {
    fn parts(&self) -> impl Iterator<Item = (&PackageName, Option<(Comparison, &str)>)> {
        self.0.alternatives().iter().map(|constraint| {
            (&constraint.name, constraint.version.as_ref().map(|(comparison, version)| (*comparison, version.as_str())))
        })
    }
}

impl PartialEq for Written<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.parts().eq(other.parts())
    }
}

impl Hash for Written<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for (name, version) in self.parts() {
            name.hash(state);
            if let Some((comparison, version)) = version {
                (comparison as u8).hash(state);
                version.hash(state);
            }
        }
    }
}

/// Limits keep all numbers far below the end.
fn number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

fn names_of<'b>(
    name: &'b PackageName,
    alias: Option<&'b PackageName>,
    provides: &'b [PackageName],
) -> impl Iterator<Item = &'b PackageName> {
    [name].into_iter().chain(alias).chain(provides)
}

fn too_much(what: String) -> Error {
    Error::request("cannot tell whether this can be installed")
        .caused_by(format!("the search was given up after {what}"))
        .hint("ask for fewer packages at once; if one alone needs so much, its index is at fault")
}
