//! Why a request cannot be met, in sentences: who needs what, which of it is not there, and
//! what cannot stand beside what.

use std::collections::{BTreeMap, BTreeSet};

use packets_plugin_api::ident::PackageName;
use packets_plugin_api::requirement::Requirement;
use packets_plugin_api::storage::InstalledPackage;
use resolvo::conflict::{ConflictEdge, ConflictGraph, ConflictNode};

use super::super::candidate::{Answers, Candidate};
use super::super::limits;
use super::super::resolve::for_this_machine;
use super::provider::{need_of, number};
use super::world::{Member, MemberId, NeedId, Want, World};
use crate::error::Error;

/// The refusal that a conflict of the search means.
pub(super) fn refusal(world: &World<'_>, graph: &ConflictGraph) -> Error {
    let mut story = Story::of(world, graph);
    story.tell();
    if story.hints.is_empty() {
        story.hint(if story.goals.len() > 1 { "leave out one of them".to_owned() } else { world.known.advice() });
    }
    let Story { leading, decisive, hints, .. } = &mut story;
    let (message, lines) = match decisive.as_slice() {
        [only] => (only.clone(), most_of(leading, limits::SENTENCES)),
        _ => {
            let mut lines = most_of(leading, limits::SENTENCES / 2);
            lines.append(&mut most_of(decisive, limits::SENTENCES / 2));
            ("what is needed does not go together".to_owned(), lines)
        }
    };
    let hints = std::mem::take(hints);
    let error = Error::request(format!("{}: {message}", story.subject()));
    let error = lines.into_iter().fold(error, Error::caused_by);
    hints.into_iter().fold(error, Error::hint)
}

/// The first of these sentences, and how many there are besides.
fn most_of(sentences: &mut Vec<String>, most: usize) -> Vec<String> {
    let more = sentences.len().saturating_sub(most);
    sentences.truncate(most);
    if more > 0 {
        sentences.push(format!("and {more} more of the kind"));
    }
    std::mem::take(sentences)
}

/// What the search found out, read from its graph: `None` is the request itself.
struct Story<'w, 'a> {
    world: &'w World<'a>,
    /// The needs of each, by number, with what could meet them.
    needs: BTreeMap<Option<MemberId>, BTreeMap<NeedId, Vec<MemberId>>>,
    /// What each cannot stand beside.
    opponents: BTreeMap<MemberId, BTreeSet<MemberId>>,
    goals: Vec<MemberId>,
    /// The upgraded packages that somebody still needs as they are.
    missed: BTreeSet<PackageName>,
    /// Sentences that lead to those that decide.
    leading: Vec<String>,
    decisive: Vec<String>,
    hints: Vec<String>,
}

impl<'w, 'a> Story<'w, 'a> {
    fn of(world: &'w World<'a>, graph: &ConflictGraph) -> Self {
        let mut story = Self {
            world,
            needs: BTreeMap::new(),
            opponents: BTreeMap::new(),
            goals: Vec::new(),
            missed: BTreeSet::new(),
            leading: Vec::new(),
            decisive: Vec::new(),
            hints: Vec::new(),
        };
        let member = |node: _| match graph.graph[node] {
            ConflictNode::Solvable(member) => Some(number(member)),
            _ => None,
        };
        for edge in graph.graph.raw_edges() {
            let (from, to) = (member(edge.source()), member(edge.target()));
            match edge.weight {
                ConflictEdge::Requires(requirement) => {
                    story.needs.entry(from).or_default().entry(need_of(requirement)).or_default().extend(to);
                }
                ConflictEdge::Conflict(_) => {
                    // What is excluded for a reason of its own leads to no member.
                    let opponents = from.map(|from| story.opponents.entry(from).or_default());
                    if let Some(opponents) = opponents {
                        opponents.extend(to);
                    }
                }
            }
        }
        story
    }

    /// What was asked for and has a part in it; everything, where nothing has.
    fn subject(&self) -> String {
        let goals = &self.world.problem.goals;
        let is_missed = |goal: &&Candidate| self.upgraded_from(goal).is_some_and(|old| self.missed.contains(&old));
        let mut blamed: Vec<&Candidate> = goals.iter().filter(is_missed).collect();
        if blamed.is_empty() {
            blamed = goals.iter().filter(|goal| self.goals.is_empty() || self.is_goal(goal.name.as_str())).collect();
        }
        let names: Vec<String> = blamed.into_iter().map(|goal| self.goal_name(goal)).collect();
        let verb = self.world.problem.command;
        match names.as_slice() {
            [] => "cannot leave what is installed as it is".to_owned(),
            [one] => format!("cannot {verb} {one}"),
            [most @ .., last] if names.len() < 8 => format!("cannot {verb} {} and {last} together", most.join(", ")),
            [one, ..] => format!("cannot {verb} {one} and {} others together", names.len() - 1),
        }
    }

    /// A goal by its name; an upgrade to another name begins with the one that stands there.
    fn goal_name(&self, goal: &Candidate) -> String {
        match self.upgraded_from(goal) {
            Some(old) if old != goal.name => format!("{old} to {}", goal.name),
            _ => goal.name.to_string(),
        }
    }

    /// What an upgrade puts this goal in the place of.
    fn upgraded_from(&self, goal: &Candidate) -> Option<PackageName> {
        let problem = self.world.problem;
        let leaves = |package: &&InstalledPackage| problem.leaving.contains(&package.name);
        let is_old = |package: &&InstalledPackage| package.name == goal.name || package.family.matches(&goal.family);
        let old = problem.installed.iter().filter(leaves).find(is_old).map(|package| package.name.clone());
        old.filter(|_| problem.command == "upgrade")
    }

    fn is_goal(&self, name: &str) -> bool {
        self.goals.iter().any(|goal| self.world.member(*goal).name().as_str() == name)
    }

    /// From the request along the needs, each package once.
    fn tell(&mut self) {
        let mut told = BTreeSet::new();
        let mut stack = vec![None];
        while let Some(who) = stack.pop() {
            let needs = self.needs.remove(&who).unwrap_or_default();
            let mut next = Vec::new();
            for (need, mut options) in needs {
                // The graph has no order of its own.
                options.sort_unstable();
                options.dedup();
                self.tell_need(who, need, &options);
                next.extend(options.into_iter().filter(|option| told.insert(*option)).map(Some));
            }
            if let Some(who) = who {
                self.tell_conflicts(who);
            }
            stack.extend(next.into_iter().rev());
        }
    }

    fn tell_need(&mut self, who: Option<MemberId>, need: NeedId, options: &[MemberId]) {
        let want = self.world.need(need).want.clone();
        match (want, who) {
            (Want::Goal, _) => self.goals.extend(options),
            (Want::Stay, _) => {
                if let [stays, others @ ..] = options
                    && !others.is_empty()
                {
                    let others = self.list(others);
                    self.leading.push(format!("{} could give way only to {others}", self.show(*stays)));
                }
            }
            (Want::Requirement(wanted), Some(who)) if options.is_empty() => self.tell_absent(who, &wanted),
            (Want::Requirement(wanted), Some(who)) => {
                let says = |name| wanted.alternatives().iter().any(|constraint| constraint.name == name);
                let plain = options.iter().all(|option| says(self.world.member(*option).name().clone()));
                let which = if plain { String::new() } else { format!(", which is {}", self.list(options)) };
                self.leading.push(format!("{} needs {wanted}{which}", self.show(who)));
                let member = self.world.member(who);
                self.tell_held(&member);
                if member.is_installed() {
                    self.hint(format!("`packets remove {}` makes room", member.name()));
                }
            }
            (Want::Requirement(_), None) => {}
        }
    }

    fn tell_absent(&mut self, who: MemberId, wanted: &Requirement) {
        let member = self.world.member(who);
        let subject = if self.goals == [who] { "it".to_owned() } else { self.show(who) };
        if member.is_installed() {
            self.tell_held(&member);
            let name = member.name();
            self.decisive.push(format!("{subject} needs {wanted}, and nothing would be that any more"));
            let leaves = |old: &&InstalledPackage| self.world.problem.leaving.contains(&old.name);
            let had = self.world.problem.installed.iter().filter(leaves).filter(|old| old.satisfies(wanted));
            let missed: Vec<PackageName> = had.map(|old| old.name.clone()).collect();
            if self.world.problem.command == "upgrade" {
                missed.iter().for_each(|old| self.hint(format!("`packets hold {old}` leaves it as it is")));
            }
            self.missed.extend(missed);
            self.hint(format!("`packets upgrade {name}` may bring a release that needs something else"));
            self.hint(format!("`packets remove {name}` makes room"));
            return;
        }
        self.decisive.push(format!("{subject} needs {wanted}, and no known package is that"));
        for constraint in wanted.alternatives() {
            let Ok(near) = self.world.known.answering(&constraint.name) else { continue };
            for candidate in near.iter().take(3) {
                self.hint(but_known(candidate, constraint.version.is_some()));
            }
        }
        self.hint(self.world.known.advice());
    }

    fn tell_conflicts(&mut self, who: MemberId) {
        if self.world.is_older(who) {
            let member = self.world.member(who);
            let newer = self.world.installed_as(member.name()).map(|installed| installed.version.to_string());
            let newer = newer.unwrap_or_default();
            self.decisive.push(format!("{} is older than the installed {} {newer}", self.show(who), member.name()));
            self.hint(self.world.known.advice());
        }
        for other in self.opponents.remove(&who).unwrap_or_default() {
            let (one, two) = (self.world.member(who), self.world.member(other));
            let says =
                |one: &Member<'_>, other: &Member<'_>| one.conflicts().iter().any(|wanted| other.satisfies(wanted));
            let sentence = if one.name() == two.name() {
                format!("{} would take the place of {}", self.show(who), self.show(other))
            } else if says(&one, &two) {
                format!("{} conflicts with {}", self.show(who), self.show(other))
            } else {
                format!("{} conflicts with {}", self.show(other), self.show(who))
            };
            self.decisive.push(sentence);
            for (id, member) in [(who, &one), (other, &two)] {
                self.tell_held(member);
                // One of the same name is upgraded, if those that need it as it is let it be.
                if member.is_installed() && one.name() != two.name() {
                    self.hint(format!("`packets remove {}` makes room", member.name()));
                } else if self.goals.len() > 1 && self.goals.contains(&id) {
                    self.hint(format!("leave out {}", member.name()));
                }
            }
        }
    }

    /// A newer release of it might do, if it were not held.
    fn tell_held(&mut self, member: &Member<'_>) {
        if let Member::Installed(package) = member
            && package.held
        {
            self.hint(format!("{0} is held: `packets unhold {0}` lets it be upgraded", package.name));
        }
    }

    fn hint(&mut self, hint: String) {
        const MOST: usize = 4;
        if !self.hints.contains(&hint) && self.hints.len() < MOST {
            self.hints.push(hint);
        }
    }

    fn show(&self, id: MemberId) -> String {
        let member = self.world.member(id);
        let installed = if member.is_installed() { "the installed " } else { "" };
        format!("{installed}{} {}", member.name(), member.version())
    }

    /// `a 1`, `a 1 or b 2`, `a 1, b 2 or 7 others`.
    fn list(&self, options: &[MemberId]) -> String {
        const MOST: usize = 3;
        let mut words: Vec<String> = options.iter().take(MOST).map(|id| self.show(*id)).collect();
        match options.len() - words.len() {
            0 => {}
            more => words.push(format!("{more} others")),
        }
        match words.as_slice() {
            [most @ .., last] if !most.is_empty() => format!("{} or {last}", most.join(", ")),
            _ => words.concat(),
        }
    }
}

/// Why a package that has the name is not what was meant.
fn but_known(candidate: &Candidate, has_version: bool) -> String {
    let name = &candidate.name;
    match (for_this_machine(candidate), &candidate.arch) {
        (false, Some(arch)) => format!("{name} {} is for {arch}", candidate.version),
        _ if has_version => format!("known is {name} {}", candidate.version),
        _ => format!("{name} {} is known", candidate.version),
    }
}
