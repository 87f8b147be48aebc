//! From a plan to its outcome: the stages in order.

use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use packets_hook_runtime::folder::Folder;
use packets_hook_runtime::sandbox::Places;
use packets_hook_runtime::view;
use packets_plugin_api::ident::{PackageName, TransactionId};
use packets_plugin_api::relpath::RelPath;
use packets_plugin_api::storage::{InstalledPackage, Storage};

use super::context::{Context, Mode};
use super::gather::Loose;
use super::install::mode;
use super::leaving;
use super::private::PrivateFolder;
use super::stage::Supply;
use super::{DryRun, ExtraGrant, HookOutcome, Options, Outcome, room};
use crate::commit::{self, About, Area, Entry, Site};
use crate::error::{Context as _, Result};
use crate::hook::{Approvals, Arriving, Hooks, Leaving, Runners, StoredGrants, Weight};
use crate::plan::{self, Plan};
use crate::report::{Event, Events};
use crate::target::Place;
use crate::unpack::Staged;

/// What a transaction is carried out with.
pub(super) struct Transaction<'a> {
    pub(super) context: &'a Context,
    pub(super) places: Places,
    pub(super) options: &'a Options,
    pub(super) events: &'a dyn Events,
    pub(super) grants: &'a [ExtraGrant],
    pub(super) run_remove_hooks: bool,
    pub(super) purge: bool,
}

impl<'a> Transaction<'a> {
    /// One that runs all hooks and has no grants of its own.
    pub(super) fn new(
        context: &'a Context,
        installed: &[InstalledPackage],
        options: &'a Options,
        events: &'a dyn Events,
    ) -> Result<Self> {
        let mut places = context.places()?;
        // Some may be where `dataDir` was before; and of what v1 installed nobody may know the folder yet.
        for folder in installed.iter().filter_map(|package| package.folder.parent()) {
            if !folder.is_root() && !places.packages.contains(&folder) {
                places.packages.push(folder);
            }
        }
        Ok(Self { context, places, options, events, grants: &[], run_remove_hooks: true, purge: false })
    }

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
        self.warn_of_idle_grants(&plan);
        if plan.is_empty() || self.options.dry_run == Some(DryRun::Plan) {
            return Ok(Outcome::nothing(plan, started));
        }
        let (id, time) = (new_id()?, now());
        let about = About { id: id.clone(), command: plan.command(), time };
        let staging = Staging::make(self.context, &about, self.options.dry_run.is_some())?;
        let fetcher = self.context.fetcher(mode(self.options), self.events)?;
        let supply = Supply { fetcher: &fetcher, loose, base, events: self.events };
        // Before all else: it takes them a moment to begin.
        supply.prepare(&plan);
        if self.options.dry_run.is_none() {
            let cost = room::cost(&plan, installed, fetcher.cache());
            self.events.event(&Event::Planned { plan: &plan, cost });
        }
        // What only removes needs hardly any; it may be how somebody makes room.
        if let Kind::Real { data, .. } = &staging.kind
            && !plan.installations().is_empty()
        {
            room::check(self.context, &plan, data, fetcher.cache())?;
        }
        let staged = self.timed("fetch and unpack", || supply.stage(&plan, &staging.trees))?;
        let arriving = arriving(&plan, staged, &self.context.data, time)?;
        let leaving = self.leaving(&plan, installed, storage.as_ref())?;
        let hooks = self.hooks(storage.as_ref(), (&id, time));
        let permitted = hooks.permit_all(&arriving)?;
        let hooked = self.timed("hooks", || hooks.run(self.overlay(&staging)?, arriving, permitted, leaving))?;
        let Kind::Real { area, data } = &staging.kind else {
            let Weight { files, bytes } = hooked.weight();
            let (hooks, permissions) = (hooked.outcomes().to_vec(), hooked.permissions().to_vec());
            return Ok(Outcome { hooks, permissions, files, bytes, ..Outcome::nothing(plan, started) });
        };
        let entry = Entry { id: &id, time, plan: &plan, base, givers: &fetcher.givers() };
        let site = Site {
            target: &self.context.target,
            data,
            record_folder: self.context.record_folder(),
            record_copy: &self.context.copy_of_record()?,
            area,
            bin: &self.context.bin,
        };
        let committed = self.timed("commit", || commit::commit(hooked, &site, &entry, storage.as_mut()))?;
        let Weight { files, bytes } = committed.weight();
        for warning in committed.warnings() {
            self.events.event(&Event::Warning(warning));
        }
        self.context.expire_history(storage.as_ref(), time, self.events);
        self.context.expire_cache(self.events);
        Ok(Outcome {
            hooks: committed.outcomes().to_vec(),
            permissions: committed.permissions().to_vec(),
            files,
            bytes,
            programs: committed.programs().iter().map(|path| self.shown(path)).collect(),
            kept: committed.kept().to_vec(),
            committed: true,
            unneeded: unneeded_after(&plan, installed),
            took: started.elapsed(),
            plan,
        })
    }

    /// A grant to a package that is no part of the plan does nothing: most likely a slip of the pen.
    fn warn_of_idle_grants(&self, plan: &Plan) {
        let takes_part = |grant: &&ExtraGrant| plan.installations().iter().any(|one| *one.name() == grant.package);
        for grant in self.grants.iter().filter(|grant| !takes_part(grant)) {
            let text = format!("--grant {}={}: this run installs no {0}", grant.package, grant.path.absolute());
            self.events.event(&Event::Warning(&text));
        }
    }

    /// A path of the target as the user would type it.
    fn shown(&self, path: &RelPath) -> PathBuf {
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

    /// The packages that go or are replaced, in the plan's order.
    fn leaving(&self, plan: &Plan, installed: &[InstalledPackage], storage: &dyn Storage) -> Result<Vec<Leaving>> {
        let removed = plan.removals().iter().map(|removal| (&removal.name, None));
        let replaced = plan
            .installations()
            .iter()
            .flat_map(|one| one.replaces().iter().map(move |old| (&old.name, Some(one.name().clone()))));
        let on_record: HashMap<&PackageName, &InstalledPackage> =
            installed.iter().map(|package| (&package.name, package)).collect();
        let going: Vec<_> =
            removed.chain(replaced).filter_map(|(name, new)| Some((*on_record.get(name)?, new))).collect();
        leaving::all(&going, storage, &self.context.target, self.run_remove_hooks)
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
        let about = About { id: id.clone(), command: "hook test", time };
        let staging = Staging::make(self.context, &about, true)?;
        let fetcher = self.context.fetcher(Mode::Read, self.events)?;
        let staged = Supply { fetcher: &fetcher, loose, base: "", events: self.events }.stage(plan, &staging.trees)?;
        self.events.event(&Event::Stage { name: "unpack", took: started.elapsed() });
        let arriving = arriving(plan, staged, &self.context.data, time)?;
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
                config: &context.config_name,
                events: self.events,
                dry_run: self.options.dry_run.is_some(),
                stored: StoredGrants::of(storage),
                allow: OnceCell::new(),
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

/// After a removal: what came along and is needed by nothing any more. By what is known already: what has happened
/// must not end with an error.
fn unneeded_after(plan: &Plan, installed: &[InstalledPackage]) -> Vec<PackageName> {
    if plan.removals().is_empty() {
        return Vec::new();
    }
    let gone: HashSet<&PackageName> = plan.removals().iter().map(|gone| &gone.name).collect();
    let goes = |package: &InstalledPackage| gone.contains(&package.name);
    plan::unneeded(installed.iter().filter(|package| !goes(package))).into_iter().cloned().collect()
}

/// What will be on record of each staged package: for one from an index, its row's
/// family and serial; the rest is the manifest's.
fn arriving(plan: &Plan, staged: Vec<Staged>, data: &RelPath, time: u64) -> Result<Vec<Arriving>> {
    let record = |(staged, one): (Staged, &plan::Installation)| {
        let candidate = one.candidate();
        let folder = data.child(one.name().as_str())?;
        let package = InstalledPackage {
            name: one.name().clone(),
            alias: candidate.alias.clone(),
            version: candidate.version.clone(),
            description: candidate.description.clone(),
            requires: candidate.requires.clone(),
            conflicts: staged.manifest().info.conflicts.clone(),
            provides: staged.manifest().info.provides.clone(),
            family: candidate.family.clone(),
            serial: candidate.serial,
            digest: Some(one.digest()),
            reason: one.reason(),
            folder: folder.clone(),
            installed_at: time,
            installed_size: 0,
            held: false,
        };
        Ok(Arriving { staged, folder, package })
    };
    staged.into_iter().zip(plan.installations()).map(record).collect()
}

pub(super) fn new_id() -> Result<TransactionId> {
    Ok(TransactionId::from_bytes(crate::durable::random_bytes().context(|| "cannot get random bytes".to_owned())?))
}

pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Where a run stages.
struct Staging {
    trees: Folder,
    kind: Kind,
}

enum Kind {
    Real { area: Area, data: Place },
    DryRun(PrivateFolder),
}

impl Staging {
    fn make(context: &Context, about: &About, dry_run: bool) -> Result<Self> {
        let named = || "cannot make a staging folder".to_owned();
        if dry_run {
            let private = PrivateFolder::make()?;
            private.folder().make("new", 0o700).context(named)?;
            let trees = private.folder().open("new").context(named)?;
            return Ok(Self { trees, kind: Kind::DryRun(private) });
        }
        let data = context.target.enter_or_make(&context.data, 0o755)?;
        let area = Area::make(&context.target, &context.state()?, &data, about.clone())?;
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
