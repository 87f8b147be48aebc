//! `install`, and how it and `upgrade` come to a plan.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::time::Instant;

use packets_plugin_api::ident::{PackageName, escape};
use packets_plugin_api::storage::InstalledPackage;

use super::context::{Context, Mode};
use super::gather::{Loose, is_path};
use super::transaction::Transaction;
use super::{InstallRequest, Options, Outcome, relocate};
use crate::error::{Error, Result};
use crate::given::{self, Given};
use crate::manifest;
use crate::plan::{self, Candidate, Catalogue as _, Known, Left, Plan, Problem, Resolver, Selection, Solver, Wanted};
use crate::report::{Event, Events};

/// Installs what was asked for, with what it needs.
///
/// # Errors
/// Any kind; then nothing has changed.
pub fn install(request: &InstallRequest, options: &Options, events: &dyn Events) -> Result<Outcome> {
    let started = Instant::now();
    let context = Context::open(options, mode(options).making_root(), "install", events)?;
    let mut loose = Loose::default();
    let mut wanted = Vec::new();
    for word in &request.packages {
        wanted.push(if is_path(word) { loose.add_given(Path::new(word), events)? } else { word.parse()? });
    }
    let given: Vec<PackageName> = loose.candidates().into_iter().map(|candidate| candidate.name).collect();
    let (known, base) = known(&context, options, &mut loose, events)?;
    let mut storage = context.storage(mode(options))?;
    let installed = relocate::installed(&context, options, storage.as_mut(), events)?;
    let ask = |name: &PackageName, found: &[Candidate]| which(name, found, events);
    let wanted_of_several = match options.yes {
        true => Wanted::Highest,
        false if options.dry_run.is_some() => Wanted::Refuse,
        false => Wanted::Ask(&ask),
    };
    let plan = decide(&wanted, &given, request, &known, &loose, &installed, &wanted_of_several)?;
    events.event(&Event::Stage { name: "plan", took: started.elapsed() });
    let work = Transaction { grants: &request.grants, ..Transaction::new(&context, &installed, options, events)? };
    work.carry_out(plan, &loose, &base, storage, &installed, started)
}

fn decide(
    wanted: &[PackageName],
    given: &[PackageName],
    request: &InstallRequest,
    known: &Known,
    loose: &Loose,
    installed: &[InstalledPackage],
    wanted_of_several: &Wanted<'_>,
) -> Result<Plan> {
    let (mut goals, mut unchanged) = (Vec::new(), Vec::new());
    let by_name: HashMap<&PackageName, &InstalledPackage> =
        installed.iter().map(|package| (&package.name, package)).collect();
    for name in wanted {
        // Most often what is asked for again stands there as it is in the index.
        let standing = by_name.get(name).and_then(|package| package.digest);
        if let Some(digest) = standing
            && known.is_release(name, &digest)?
        {
            unchanged.push(name.clone());
            continue;
        }
        let mut goal = plan::find_goal(name, known, wanted_of_several).map_err(|error| beside(name, error))?;
        loose.complete(&mut goal)?;
        match by_name.get(&goal.name).filter(|package| plan::is_same_release(package, &goal)) {
            Some(package) => unchanged.push(package.name.clone()),
            None => goals.push(goal),
        }
    }
    let mut replaced = Vec::new();
    for name in &request.replace {
        let [by] = given else {
            return Err(Error::request("--replace goes with exactly one package file or folder"));
        };
        if !installed.iter().any(|package| package.name == *name) {
            return Err(Error::request(format!("cannot replace {name}: it is not installed")));
        }
        replaced.push((name.clone(), by.clone()));
    }
    let asked = Asked { goals, replaced, unchanged, ..Asked::new("install") };
    select(asked, known, loose, installed)
}

/// Someone chooses between packages of one name.
fn which(name: &PackageName, found: &[Candidate], events: &dyn Events) -> Option<usize> {
    let line = |one: &Candidate| format!("{} {}  {}", one.name, one.version, escape(&one.description, 60));
    let choices: Vec<String> = found.iter().map(line).collect();
    events.choose(&format!("{name} is the name of several packages:"), &choices)
}

/// A bare word is a name, also where a package's folder of that name stands here.
fn beside(name: &PackageName, error: Error) -> Error {
    match given::open(&Path::new(name.as_str()).join(manifest::FILE_NAME)) {
        Ok(Given::File(_)) => error.hint(format!("to install the folder {name} that is here, write ./{name}")),
        _ => error,
    }
}

/// What a request means, package by package.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) command: &'static str,
    pub(super) goals: Vec<Candidate>,
    /// For each package that goes, the goal that takes its place.
    pub(super) replaced: Vec<(PackageName, PackageName)>,
    /// What stands there as it was asked for.
    pub(super) unchanged: Vec<PackageName>,
    /// What was looked at and stays as it is.
    pub(super) left: Vec<Left>,
}

impl Asked {
    /// Nothing so far.
    pub(super) fn new(command: &'static str) -> Self {
        Self { command, goals: Vec::new(), replaced: Vec::new(), unchanged: Vec::new(), left: Vec::new() }
    }
}

/// From goals to a plan.
pub(super) fn select(asked: Asked, known: &Known, loose: &Loose, installed: &[InstalledPackage]) -> Result<Plan> {
    let Asked { command, goals, replaced, unchanged, left } = asked;
    let leaving: Vec<PackageName> =
        replaced.iter().map(|(gone, _)| gone).chain(goals.iter().map(|goal| &goal.name)).cloned().collect();
    let leaves: HashSet<&PackageName> = leaving.iter().collect();
    if let Some(held) = installed.iter().find(|package| package.held && leaves.contains(&package.name)) {
        let what = if command == "upgrade" { "upgrade" } else { "replace" };
        return Err(Error::request(format!("cannot {what} {}: it is held", held.name))
            .hint(format!("`packets unhold {}` frees it", held.name)));
    }
    let held = installed.iter().filter(|package| package.held).map(|package| package.name.clone());
    let kept = unchanged.iter().cloned().chain(held).collect();
    let problem = Problem { command, goals, installed, leaving, kept };
    let mut resolution = Solver::default().resolve(&problem, known)?;
    for one in &mut resolution.chosen {
        loose.complete(&mut one.candidate)?;
    }
    let mut selection = Selection { chosen: resolution.chosen, replaced, unchanged, left };
    selection.replaced.extend(resolution.replaced);
    Plan::install(command, selection, installed)
}

pub(super) fn mode(options: &Options) -> Mode {
    if options.dry_run.is_some() { Mode::Read } else { Mode::Write { make_root: false } }
}

/// Everything that can be installed, and where the index came from.
pub(super) fn known(
    context: &Context,
    options: &Options,
    loose: &mut Loose,
    events: &dyn Events,
) -> Result<(Known, String)> {
    let repository = super::sync::open_repository(context, options, loose, events)?;
    let known = Known { loose: loose.candidates(), index: repository.index, repository: options.repo.clone() };
    Ok((known, repository.base))
}
