//! From the members that the search found to what will be installed, in order.

use std::collections::HashSet;

use packets_plugin_api::ident::{Family, PackageName};
use packets_plugin_api::requirement::Requirement;
use packets_plugin_api::storage::Reason;
use resolvo::SolvableId;

use super::super::candidate::Answers as _;
use super::super::resolve::{Chosen, Resolution};
use super::provider::number;
use super::world::{Member, MemberId, NeedId, World};
use crate::error::Result;

/// What is to be installed, and what gives way to it. The world is used up by it.
pub(super) fn resolution(world: &World<'_>, found: &[SolvableId]) -> Result<Resolution> {
    let found: Vec<MemberId> = found.iter().map(|member| number(*member)).collect();
    let mut sorter = Sorter::new(world, &found);
    let goals: Vec<MemberId> = world.problem.goals.iter().filter_map(|goal| world.candidate_of(&goal.name)).collect();
    goals.iter().for_each(|goal| sorter.enter(*goal));
    let mut replaced = give_way(world, &mut sorter)?;
    sorter.settle_what_stays();
    let is_goal: HashSet<MemberId> = goals.into_iter().collect();
    let new: Vec<MemberId> = sorter.order.iter().copied().filter(|id| !world.staying().contains(id)).collect();
    replaced.extend(superseded(world, &sorter.found, &new, &is_goal)?);
    let chosen = new.into_iter().zip(world.take(&sorter.order)).map(|(id, candidate)| {
        let reason = if is_goal.contains(&id) { Reason::Asked } else { Reason::Needed };
        Chosen { candidate, reason }
    });
    Ok(Resolution { chosen: chosen.collect(), replaced })
}

/// Walks from what is asked for to what it needs. What the search took along and nobody
/// needs is never reached.
struct Sorter<'w, 'a> {
    world: &'w World<'a>,
    found: HashSet<MemberId>,
    entered: HashSet<MemberId>,
    order: Vec<MemberId>,
}

impl<'w, 'a> Sorter<'w, 'a> {
    fn new(world: &'w World<'a>, found: &[MemberId]) -> Self {
        Self { world, found: found.iter().copied().collect(), entered: HashSet::new(), order: Vec::new() }
    }

    /// Takes up a member after what it needs. The stack is our own: an index may hold chains
    /// that no thread's stack could.
    fn enter(&mut self, first: MemberId) {
        if !self.entered.insert(first) {
            return;
        }
        let mut stack = vec![(first, self.world.needs_of(first), 0)];
        while let Some((id, needs, next)) = stack.last_mut() {
            let Some(&need) = needs.get(*next) else {
                self.order.push(*id);
                stack.pop();
                continue;
            };
            *next += 1;
            if let Some(id) = self.meets(need)
                && self.entered.insert(id)
            {
                stack.push((id, self.world.needs_of(id), 0));
            }
        }
    }

    /// The member that meets a need: one that stays installed or is taken up already, else the
    /// best that was found.
    fn meets(&self, need: NeedId) -> Option<MemberId> {
        let need = self.world.need(need);
        let mut found = need.options.iter().copied().filter(|id| self.found.contains(id));
        let stays = self.world.staying();
        let settled = |id: &MemberId| stays.contains(id) || self.entered.contains(id);
        found.clone().find(settled).or_else(|| found.next())
    }

    /// Takes up what the packages need that stay and had it before.
    fn settle_what_stays(&mut self) {
        for id in self.world.staying().filter(|id| self.found.contains(id)).collect::<Vec<_>>() {
            for &need in self.world.needs_of(id).iter() {
                if let Some(id) = self.meets(need) {
                    self.enter(id);
                }
            }
        }
    }
}

/// The installed packages that the search left out, each with what takes its place.
fn give_way(world: &World<'_>, sorter: &mut Sorter<'_, '_>) -> Result<Vec<(PackageName, PackageName)>> {
    let mut replaced = Vec::new();
    for id in world.staying() {
        let Member::Installed(package) = world.member(id) else { continue };
        if sorter.found.contains(&id) {
            continue;
        }
        let successor = world.successors(package)?.into_iter().find(|successor| sorter.found.contains(successor));
        if let Some(successor) = successor {
            sorter.enter(successor);
            let name = world.member(successor).name().clone();
            if name != package.name {
                replaced.push((package.name.clone(), name));
            }
        }
    }
    Ok(replaced)
}

/// The installed packages that came along only because others needed them, and of which a newer
/// release comes along now, unless somebody still needs the old one.
fn superseded(
    world: &World<'_>,
    found: &HashSet<MemberId>,
    new: &[MemberId],
    is_goal: &HashSet<MemberId>,
) -> Result<Vec<(PackageName, PackageName)>> {
    let mut outcome: Vec<MemberId> =
        world.staying().filter(|id| found.contains(id)).chain(new.iter().copied()).collect();
    let newcomers: HashSet<Family> = new
        .iter()
        .filter(|id| !is_goal.contains(id))
        .map(|id| world.member(*id).family().clone())
        .filter(|family| !family.is_none())
        .collect();
    let mut replaced = Vec::new();
    for id in world.staying().filter(|id| found.contains(id)) {
        let Member::Installed(package) = world.member(id) else { continue };
        if package.reason != Reason::Needed || !newcomers.contains(&package.family) {
            continue;
        }
        let successors = world.successors(package)?;
        let newcomer = successors.into_iter().find(|id| new.contains(id) && !is_goal.contains(id));
        if let Some(newcomer) = newcomer
            && !is_needed(world, &outcome, id)
        {
            outcome.retain(|other| *other != id);
            replaced.push((package.name.clone(), world.member(newcomer).name().clone()));
        }
    }
    Ok(replaced)
}

/// Whether anything of the outcome is met by this package alone.
fn is_needed(world: &World<'_>, outcome: &[MemberId], package: MemberId) -> bool {
    let member = world.member(package);
    let others = || outcome.iter().filter(|other| **other != package).map(|other| world.member(*other));
    let met_by_others = |wanted: &Requirement| others().any(|other| other.satisfies(wanted));
    others().any(|user| user.requires().iter().any(|wanted| member.satisfies(wanted) && !met_by_others(wanted)))
}
