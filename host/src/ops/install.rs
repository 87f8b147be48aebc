//! `install`, and what it shares with `upgrade`: from a plan to its outcome.

use std::io::{self, BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use packets_hook_runtime::folder::Folder;
use packets_hook_runtime::sandbox::Places;
use packets_hook_runtime::view;
use packets_plugin_api::ident::{PackageName, TransactionId, escape};
use packets_plugin_api::storage::{InstalledPackage, Storage};

use super::context::{Context, Mode};
use super::gather::{Loose, is_path};
use super::stage::Supply;
use super::{DryRun, ExtraGrant, HookOutcome, InstallRequest, Options, Outcome};
use crate::commit::{self, Area, Entry};
use crate::error::{Context as _, Error, Result};
use crate::hook::{Approvals, Hooked, Hooks, Leaving, Runners};
use crate::plan::{self, ByName, Candidate, Known, Plan, Problem, Resolver, Selection, Wanted};
use crate::report::{Event, Events};
use crate::target::Place;

/// Installs what was asked for, with what it needs.
///
/// # Errors
/// Any kind; then nothing has changed.
pub fn install(request: &InstallRequest, options: &Options, events: &dyn Events) -> Result<Outcome> {
    let started = Instant::now();
    let context = Context::open(options, mode(options), "install", events)?;
    let mut loose = Loose::default();
    let mut wanted = Vec::new();
    for word in &request.packages {
        wanted.push(if is_path(word) { loose.add_given(Path::new(word), events)? } else { word.parse()? });
    }
    let given: Vec<PackageName> = loose.candidates().into_iter().map(|candidate| candidate.name).collect();
    let (known, base) = known(&context, options, &mut loose, events)?;
    let storage = context.storage(mode(options))?;
    let installed = storage.installed()?;
    let plan = decide(&wanted, &given, request, &known, &loose, &installed, options)?;
    events.event(&Event::Stage { name: "plan", took: started.elapsed() });
    let work = Work {
        places: context.places()?,
        context: &context,
        options,
        events,
        grants: &request.grants,
        run_remove_hooks: true,
        purge: false,
    };
    work.carry_out(plan, &loose, &base, storage, &installed, started)
}

fn decide(
    wanted: &[PackageName],
    given: &[PackageName],
    request: &InstallRequest,
    known: &Known,
    loose: &Loose,
    installed: &[InstalledPackage],
    options: &Options,
) -> Result<Plan> {
    let choice = if options.yes {
        Wanted::Highest
    } else if io::stdin().is_terminal() && options.dry_run.is_none() {
        Wanted::Ask(&ask_which)
    } else {
        Wanted::Refuse
    };
    let (mut goals, mut unchanged) = (Vec::new(), Vec::new());
    for name in wanted {
        let mut goal = plan::find_goal(name, known, &choice)?;
        loose.complete(&mut goal)?;
        match installed.iter().find(|package| plan::is_same_release(package, &goal)) {
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
    select("install", goals, replaced, unchanged, known, loose, installed)
}

/// From goals to a plan.
pub(super) fn select(
    command: &'static str,
    goals: Vec<Candidate>,
    replaced: Vec<(PackageName, PackageName)>,
    unchanged: Vec<PackageName>,
    known: &Known,
    loose: &Loose,
    installed: &[InstalledPackage],
) -> Result<Plan> {
    let leaving =
        replaced.iter().map(|(gone, _)| gone.clone()).chain(goals.iter().map(|goal| goal.name.clone())).collect();
    let mut chosen = ByName.resolve(&Problem { goals, installed, leaving }, known)?;
    for one in &mut chosen {
        loose.complete(&mut one.candidate)?;
    }
    Plan::install(command, Selection { chosen, replaced, unchanged }, installed)
}

/// Someone at a terminal chooses between packages of one name.
fn ask_which(name: &PackageName, found: &[Candidate]) -> Result<usize> {
    let mut terminal = io::stderr().lock();
    let asked = || "cannot ask at the terminal".to_owned();
    writeln!(terminal, "{name} is the name of several packages:").context(asked)?;
    for (at, candidate) in found.iter().enumerate() {
        writeln!(
            terminal,
            "  {}) {} {}  {}",
            at + 1,
            candidate.name,
            candidate.version,
            escape(&candidate.description, 60)
        )
        .context(asked)?;
    }
    write!(terminal, "which one? [1] ").and_then(|()| terminal.flush()).context(asked)?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).context(asked)?;
    match answer.trim() {
        "" => Ok(0),
        text => Ok(text.parse::<usize>().ok().and_then(|number| number.checked_sub(1)).unwrap_or(usize::MAX)),
    }
}

pub(super) fn mode(options: &Options) -> Mode {
    if options.dry_run.is_some() { Mode::Read } else { Mode::Write }
}

/// Everything that can be installed, and where the index came from.
pub(super) fn known(
    context: &Context,
    options: &Options,
    loose: &mut Loose,
    events: &dyn Events,
) -> Result<(Known, String)> {
    let repository = super::sync::open_repository(context, options, loose, events)?;
    Ok((Known { loose: loose.candidates(), index: repository.index }, repository.base))
}

/// What a transaction is carried out with.
pub(super) struct Work<'a> {
    pub(super) context: &'a Context,
    pub(super) places: Places,
    pub(super) options: &'a Options,
    pub(super) events: &'a dyn Events,
    pub(super) grants: &'a [ExtraGrant],
    pub(super) run_remove_hooks: bool,
    pub(super) purge: bool,
}

impl Work<'_> {
    /// Plan -> Fetched -> Verified -> Staged -> Hooked -> Committed.
    pub(super) fn carry_out(
        &self,
        plan: Plan,
        loose: &Loose,
        base: &str,
        mut storage: Box<dyn Storage>,
        installed: &[InstalledPackage],
        started: Instant,
    ) -> Result<Outcome> {
        let nothing = Outcome {
            plan,
            hooks: Vec::new(),
            committed: false,
            programs: Vec::new(),
            kept: Vec::new(),
            took: started.elapsed(),
        };
        if nothing.plan.is_empty() || self.options.dry_run == Some(DryRun::Plan) {
            return Ok(nothing);
        }
        let plan = nothing.plan;
        let (id, time) = (new_id()?, now());
        let staging = Staging::make(self.context, &id, self.options.dry_run.is_some())?;

        let fetcher = self.context.fetcher(mode(self.options), self.events)?;
        let staged = self.timed("fetch and unpack", || {
            Supply { fetcher: &fetcher, loose, base, events: self.events }.stage(&plan, &staging.trees)
        })?;
        let hooked =
            self.timed("hooks", || self.run_hooks(&plan, staged, installed, storage.as_ref(), &staging, (&id, time)))?;
        if let Kind::DryRun(_) = &staging.kind {
            return Ok(Outcome {
                hooks: hooked.outcomes().to_vec(),
                took: started.elapsed(),
                plan,
                committed: false,
                programs: Vec::new(),
                kept: Vec::new(),
            });
        }
        let Kind::Real { area, data } = &staging.kind else { return Err(Error::storage("no staging area")) };
        let entry = Entry { id: &id, time, plan: &plan };
        let committed = self.timed("commit", || {
            commit::commit(hooked, &self.context.target, data, area, storage.as_mut(), &entry, &self.context.bin)
        })?;
        for warning in committed.warnings() {
            self.events.event(&Event::Warning(warning));
        }
        Ok(Outcome {
            hooks: committed.outcomes().to_vec(),
            programs: committed.programs().iter().map(|path| self.shown(path)).collect(),
            kept: committed.kept().to_vec(),
            committed: true,
            took: started.elapsed(),
            plan,
        })
    }

    /// A path of the target as the user would type it.
    fn shown(&self, path: &packets_plugin_api::relpath::RelPath) -> PathBuf {
        match &self.options.root {
            Some(root) => root.join(path.as_str()),
            None => PathBuf::from(path.absolute()),
        }
    }

    fn timed<T>(&self, name: &'static str, run: impl FnOnce() -> Result<T>) -> Result<T> {
        let started = Instant::now();
        let result = run();
        self.events.event(&Event::Stage { name, took: started.elapsed() });
        result
    }

    fn run_hooks(
        &self,
        plan: &Plan,
        staged: Vec<crate::unpack::Staged>,
        installed: &[InstalledPackage],
        storage: &dyn Storage,
        staging: &Staging,
        transaction: (&TransactionId, u64),
    ) -> Result<Hooked> {
        let arriving = super::upgrade::arriving(plan, staged, &self.context.data, transaction.1)?;
        let leaving = self.leaving(plan, installed, storage)?;
        self.hooks(storage, transaction).run(self.overlay(staging)?, arriving, leaving)
    }

    /// The packages that go or are replaced, in the plan's order.
    fn leaving(&self, plan: &Plan, installed: &[InstalledPackage], storage: &dyn Storage) -> Result<Vec<Leaving>> {
        let removed = plan.removals().iter().map(|removal| (&removal.name, None));
        let replaced = plan
            .installations()
            .iter()
            .flat_map(|one| one.replaces().iter().map(move |old| (&old.name, Some(one.name().clone()))));
        let mut leaving = Vec::new();
        for (name, replaced_by) in removed.chain(replaced) {
            let Some(package) = installed.iter().find(|package| package.name == *name) else { continue };
            let target = &self.context.target;
            leaving.push(super::remove::leaving(package, replaced_by, storage, target, self.run_remove_hooks)?);
        }
        Ok(leaving)
    }

    /// Runs the hooks of the one package of a plan, first install, then remove.
    pub(super) fn test_hooks(
        &self,
        plan: &Plan,
        loose: &Loose,
        storage: &dyn Storage,
        started: Instant,
    ) -> Result<Vec<HookOutcome>> {
        let id = new_id()?;
        let time = now();
        let staging = Staging::make(self.context, &id, true)?;
        let fetcher = self.context.fetcher(Mode::Read, self.events)?;
        let staged = Supply { fetcher: &fetcher, loose, base: "", events: self.events }.stage(plan, &staging.trees)?;
        self.events.event(&Event::Stage { name: "unpack", took: started.elapsed() });
        let arriving = super::upgrade::arriving(plan, staged, &self.context.data, time)?;
        let hooks = self.hooks(storage, (&id, time));
        let mut overlay = self.overlay(&staging)?;
        let mut outcomes = Vec::new();
        for package in &arriving {
            outcomes.extend(hooks.test(&mut overlay, package)?);
        }
        Ok(outcomes)
    }

    fn overlay(&self, staging: &Staging) -> Result<view::Overlay> {
        let root = self.context.target.root().again().context(|| "cannot open the root".to_owned())?;
        let caller = rustix::process::geteuid().as_raw();
        let root_owner = root.stat_self().context(|| "cannot look at the root".to_owned())?.uid;
        let target = view::Target {
            root,
            relocated: self.context.target.relocated(),
            trusted_uid: caller,
            root_owner_is_caller: root_owner == caller,
        };
        Ok(view::Overlay::new(target, self.places.clone(), staging.for_view()?))
    }

    fn hooks<'b>(&'b self, storage: &'b dyn Storage, (transaction, time): (&'b TransactionId, u64)) -> Hooks<'b> {
        let context = self.context;
        Hooks {
            runners: Runners::new(&context.registry, &context.config.sandbox),
            approvals: Approvals {
                sandbox: &context.config.sandbox,
                extra: self.grants,
                bin_dir: &context.bin,
                places: &self.places,
                dry_run: self.options.dry_run.is_some(),
            },
            storage,
            root: context.target.root(),
            packages_dir: &context.data,
            transaction,
            time,
            run_remove_hooks: self.run_remove_hooks,
            purge: self.purge,
            events: self.events,
        }
    }
}

fn new_id() -> Result<TransactionId> {
    Ok(TransactionId::from_bytes(crate::durable::random_bytes().context(|| "cannot get random bytes".to_owned())?))
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Where a run stages.
struct Staging {
    trees: Folder,
    kind: Kind,
}

enum Kind {
    Real { area: Area, data: Place },
    DryRun(super::hook_test::PrivateFolder),
}

impl Staging {
    fn make(context: &Context, id: &TransactionId, dry_run: bool) -> Result<Self> {
        let named = || "cannot make a staging folder".to_owned();
        if dry_run {
            let private = super::hook_test::PrivateFolder::make()?;
            private.folder().make("new", 0o700).context(named)?;
            let trees = private.folder().open("new").context(named)?;
            return Ok(Self { trees, kind: Kind::DryRun(private) });
        }
        let data = context.target.enter_or_make(&context.data, 0o755)?;
        let area = Area::make(&context.target, &data, id)?;
        let trees = area.new_trees().context(named)?;
        Ok(Self { trees, kind: Kind::Real { area, data } })
    }

    fn for_view(&self) -> Result<Box<dyn view::Staging>> {
        Ok(match &self.kind {
            Kind::Real { area, .. } => Box::new(area.clone()),
            Kind::DryRun(private) => {
                let folder = private.folder().again().context(|| "cannot open the staging folder".to_owned())?;
                Box::new(view::PrivateStaging::new(folder))
            }
        })
    }
}
