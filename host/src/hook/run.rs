//! Running the hooks, one after the other.

use std::cell::OnceCell;
use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use packets_hook_runtime::folder::Folder;
use packets_hook_runtime::sandbox;
use packets_hook_runtime::view::{Becomes, HookContext, Overlay, ViewLimits};
use packets_plugin_api::hook::{Denial, Grant, HookCall, HookKind, HookLog, HookReport, HookRunner, HookSource};
use packets_plugin_api::ident::{Family, PackageName, TransactionId};
use packets_plugin_api::registry::Registry;
use packets_plugin_api::relpath::RelPath;
use packets_plugin_api::storage::{FileKind, MadeBy, Storage};

use super::aftermath::Going;
use super::permissions::{Approvals, Permitted, denied};
use super::records::{self, StoredOwners};
use super::{Arriving, Hooked, Leaving, by_successor};
use crate::config::{OnDenied, Sandbox};
use crate::cores;
use crate::error::{Context, Error, ErrorKind, Result};
use crate::given;
use crate::interrupt;
use crate::manifest::{self, Manifest, Permissions};
use crate::ops::{HookOutcome, Kept, NewPermissions};
use crate::report::{Event, Events};

/// What a denial says to the script, which may fail with it.
const REFUSAL: &str = "[packets] unsafe filepath";

/// Makes hook runners when the first hook is met: a command without hooks pays nothing.
pub struct Runners<'a> {
    registry: &'a Registry,
    sandbox: &'a Sandbox,
    made: OnceCell<Vec<Arc<dyn HookRunner>>>,
}

impl<'a> Runners<'a> {
    /// All runners of the registry.
    pub fn new(registry: &'a Registry, sandbox: &'a Sandbox) -> Self {
        Self { registry, sandbox, made: OnceCell::new() }
    }

    /// The runner for a hook.
    ///
    /// # Errors
    /// None handles it.
    pub fn for_hook(&self, hook: &HookSource) -> Result<&Arc<dyn HookRunner>> {
        let limits = self.sandbox.hook_limits();
        let made = self.made.get_or_init(|| self.registry.hooks().map(|(_, factory)| factory(&limits)).collect());
        made.iter().find(|runner| runner.handles(hook)).ok_or_else(|| {
            Error::new(ErrorKind::Hook, format!("no hook runner handles {}", hook.name))
                .hint("hooks are Lua scripts, *.lua")
        })
    }
}

/// What the hooks of a package ask for; without hooks nobody asks.
fn asked_by(manifest: &Manifest) -> Permissions {
    if has_hooks(manifest) { manifest.permissions.clone() } else { Permissions::default() }
}

fn has_hooks(manifest: &Manifest) -> bool {
    manifest.hooks.install.is_some() || manifest.hooks.remove.is_some()
}

fn grant_of(asked: Permissions) -> Grant {
    let Permissions { write, read, replace } = asked;
    Grant { allow: Vec::new(), write, read, replace }
}

/// What all hooks of a transaction have in common.
pub struct Hooks<'a> {
    /// The runners.
    pub runners: Runners<'a>,
    /// What approves.
    pub approvals: Approvals<'a>,
    /// What is on record.
    pub storage: &'a dyn Storage,
    /// The target's root, to look at what stands there.
    pub root: &'a Folder,
    /// The folder of all packages, canonical.
    pub packages_dir: &'a RelPath,
    /// The transaction.
    pub transaction: &'a TransactionId,
    /// Its time in seconds since 1970.
    pub time: u64,
    /// Whether remove hooks run.
    pub run_remove_hooks: bool,
    /// Whether changed files under /etc go too.
    pub purge: bool,
    /// Told what happens.
    pub events: &'a dyn Events,
}

struct Log<'a> {
    package: &'a PackageName,
    events: &'a dyn Events,
    lines: Vec<String>,
}

impl HookLog for Log<'_> {
    fn line(&mut self, line: &str) {
        self.events.event(&Event::HookLine { package: self.package, line });
        self.lines.push(line.to_owned());
    }
}

/// One hook about to run.
struct One<'a> {
    package: &'a PackageName,
    family: &'a Family,
    folder: &'a RelPath,
    kind: HookKind,
    hook: &'a HookSource,
    readable: Vec<RelPath>,
    permitted: Permitted,
    may_replace: Vec<PackageName>,
}

impl Hooks<'_> {
    /// What the hooks of packages may do; somebody may be asked.
    ///
    /// # Errors
    /// The first that asks for what nobody has approved: it is refused before the first hook of anyone runs.
    pub fn permit_all(&self, arriving: &[Arriving]) -> Result<Vec<Permitted>> {
        arriving.iter().map(|package| self.permit(package)).collect()
    }

    /// Runs all hooks of packages that arrive, with what each is [permitted](Self::permit_all), and of those that leave.
    ///
    /// # Errors
    /// The first hook that fails or is denied; nothing has changed.
    pub fn run(
        &self,
        mut overlay: Overlay,
        arriving: Vec<Arriving>,
        permitted: Vec<Permitted>,
        leaving: Vec<Leaving>,
    ) -> Result<Hooked> {
        let approved = permitted.iter().filter_map(|permitted| permitted.approved.clone()).collect();
        let permissions = self.tell_of_new(&arriving, &leaving, &permitted);
        let mut outcomes = Vec::new();
        let mut kept = BTreeSet::new();
        let (mut going, mut replaced) = (Going::of(&leaving), by_successor(&leaving));
        for package in leaving.iter().filter(|package| package.replaced_by.is_none()) {
            let outcome = self.run_remove(&mut overlay, package)?;
            self.drop_created(&mut overlay, &package.package.name, outcome.as_ref())?;
            outcomes.extend(outcome);
            self.take_away(&mut overlay, package, &HashSet::new(), &mut kept, &mut going)?;
            overlay.hide(&package.package.folder).map_err(failed)?;
        }
        for (package, permitted) in arriving.iter().zip(permitted) {
            let tree =
                package.staged.tree().again().context(|| format!("cannot open the staged {}", package.package.name))?;
            overlay.place(&package.package.name, &package.folder, tree).map_err(failed)?;
            let old = replaced.remove(&package.package.name).unwrap_or_default();
            let outcome = self.run_install(&mut overlay, package, permitted, &old)?;
            let made: HashSet<RelPath> = outcome
                .iter()
                .flat_map(|outcome| outcome.report.effects.iter().map(|effect| effect.path.clone()))
                .collect();
            outcomes.extend(outcome);
            for old in old {
                self.take_away(&mut overlay, old, &made, &mut kept, &mut going)?;
                if old.package.folder != package.folder {
                    overlay.hide(&old.package.folder).map_err(failed)?;
                }
            }
        }
        let hooked = self.conclude(overlay, arriving, leaving, outcomes, kept)?;
        Ok(Hooked { approved, permissions, ..hooked })
    }

    /// Runs the install hook of a package and then its remove hook, on the view alone.
    ///
    /// # Errors
    /// A hook that fails or is denied.
    pub fn test(&self, overlay: &mut Overlay, package: &Arriving) -> Result<Vec<HookOutcome>> {
        let permitted = self.permit(package)?;
        let name = &package.package.name;
        let tree = package.staged.tree().again().context(|| format!("cannot open the staged {name}"))?;
        overlay.place(name, &package.folder, tree).map_err(failed)?;
        let mut outcomes: Vec<HookOutcome> =
            self.run_install(overlay, package, permitted.clone(), &[])?.into_iter().collect();
        let hooks = &package.staged.manifest().hooks;
        if let Some(remove) = &hooks.remove {
            let one = One {
                package: name,
                family: &package.package.family,
                folder: &package.folder,
                kind: HookKind::Remove,
                hook: &package.staged.hook(remove)?,
                readable: readable(hooks),
                permitted,
                may_replace: Vec::new(),
            };
            outcomes.push(self.run_one(overlay, one)?);
        }
        Ok(outcomes)
    }

    fn conclude(
        &self,
        mut overlay: Overlay,
        arriving: Vec<Arriving>,
        leaving: Vec<Leaving>,
        outcomes: Vec<HookOutcome>,
        kept: BTreeSet<RelPath>,
    ) -> Result<Hooked> {
        let mut changes = overlay.changes().map_err(failed)?;
        changes.retain(|change| !(matches!(change.becomes, Becomes::Absent) && kept.contains(&change.path)));
        if let Some(change) = changes.iter().find(|it| it.displaces && matches!(it.becomes, Becomes::Absent)) {
            let by: Vec<&str> = change.by.iter().map(PackageName::as_str).collect();
            let path = change.path.absolute();
            let message = format!("{} takes {path} away and puts nothing in its place", by.join(", "));
            return Err(Error::new(ErrorKind::Hook, message)
                .caused_by("a path of others is only displaced, and comes back when the package goes"));
        }
        let mut kept: Vec<Kept> =
            kept.into_iter().map(|path| Kept { was: path.clone(), now: path, beside: None }).collect();
        let mut folded = Vec::with_capacity(arriving.len());
        for package in arriving.iter() {
            folded.push((package, overlay.fold_into_tree(&package.folder).map_err(failed)?));
        }
        let (by_package, replaced) = (records::by_package(&changes), by_successor(&leaving));
        let mut records = cores::map(&folded, |(package, in_tree)| {
            let name = &package.package.name;
            let elsewhere = by_package.get(name).map_or(&[][..], Vec::as_slice);
            let old = replaced.get(name).map_or(&[][..], Vec::as_slice);
            (name.clone(), records::of_package(package, in_tree, elsewhere, old))
        });
        self.share_folders(&changes, &mut records, &arriving)?;
        if !self.purge {
            self.keep_edited(&mut changes, &mut records, &leaving, &mut kept)?;
        }
        Ok(Hooked {
            arriving,
            leaving,
            changes,
            records,
            outcomes,
            kept,
            approved: Vec::new(),
            permissions: Vec::new(),
        })
    }

    fn permit(&self, package: &Arriving) -> Result<Permitted> {
        let manifest = package.staged.manifest();
        if !has_hooks(manifest) {
            return Ok(Permitted::default());
        }
        let asked = asked_by(manifest);
        self.approvals.permit(&package.package.name, &package.package.family, &asked)
    }

    /// What each package's hooks may do that those of the release before did not ask for. Who has just been asked knows.
    fn tell_of_new(&self, arriving: &[Arriving], leaving: &[Leaving], permitted: &[Permitted]) -> Vec<NewPermissions> {
        let (mut all, replaced) = (Vec::new(), by_successor(leaving));
        for (package, permitted) in arriving.iter().zip(permitted) {
            let name = &package.package.name;
            let asked = grant_of(asked_by(package.staged.manifest()));
            if asked == Grant::default() {
                continue;
            }
            let old = replaced.get(name).into_iter().flatten();
            let before: Vec<Grant> = old.filter_map(|old| self.asked_before(old)).map(grant_of).collect();
            let grant = sandbox::missing(&asked, &sandbox::merge(&before));
            if grant == Grant::default() {
                continue;
            }
            if permitted.approved.is_none() && permitted.would_ask.is_none() {
                self.events.event(&Event::Permitted { package: name, grant: &grant });
            }
            all.push(NewPermissions { package: name.clone(), grant });
        }
        all
    }

    /// What the hooks of an installed release asked for, if its manifest can still be read.
    fn asked_before(&self, old: &Leaving) -> Option<Permissions> {
        let folder = self.root.walk(&old.package.folder).ok()?;
        let text = given::text_of(folder.read(manifest::FILE_NAME).ok()?, manifest::MAX_SIZE as u64).ok()?;
        Some(asked_by(&Manifest::parse(text.as_bytes()).ok()?.0))
    }

    fn run_install(
        &self,
        overlay: &mut Overlay,
        package: &Arriving,
        permitted: Permitted,
        old: &[&Leaving],
    ) -> Result<Option<HookOutcome>> {
        let manifest = package.staged.manifest();
        let Some(name) = &manifest.hooks.install else { return Ok(None) };
        let hook = package.staged.hook(name)?;
        self.run_one(
            overlay,
            One {
                package: &package.package.name,
                family: &package.package.family,
                folder: &package.folder,
                kind: HookKind::Install,
                hook: &hook,
                readable: readable(&manifest.hooks),
                permitted,
                may_replace: old.iter().map(|old| old.package.name.clone()).collect(),
            },
        )
        .map(Some)
    }

    fn run_remove(&self, overlay: &mut Overlay, package: &Leaving) -> Result<Option<HookOutcome>> {
        let (true, Some(hook), Some(manifest)) = (self.run_remove_hooks, &package.hook, &package.manifest) else {
            return Ok(None);
        };
        let (name, family) = (&package.package.name, &package.package.family);
        // What was approved at the install may have been withdrawn since: then the hook runs with less.
        let mut permitted = self.approvals.permit(name, family, &Permissions::default())?;
        permitted.grant.replace.clear();
        // What its own hooks made goes anyway: the hook may take it away itself.
        let own = package
            .files
            .iter()
            .filter(|file| file.made_by == MadeBy::Hook && !matches!(file.kind, FileKind::Symlink { .. }));
        permitted
            .grant
            .allow
            .extend(own.map(|file| file.path.clone()).filter(|path| !path.starts_with(&package.package.folder)));
        self.run_one(
            overlay,
            One {
                package: name,
                family,
                folder: &package.package.folder,
                kind: HookKind::Remove,
                hook,
                readable: readable(&manifest.hooks),
                permitted,
                may_replace: Vec::new(),
            },
        )
        .map(Some)
        .map_err(|error| {
            error.hint(format!("nothing was changed; `packets remove {name} --no-hooks` removes by record alone"))
        })
    }

    fn run_one(&self, overlay: &mut Overlay, one: One<'_>) -> Result<HookOutcome> {
        interrupt::check()?;
        let hook_name = one.hook.name.as_str();
        let named = |error: Error| error.within(format!("the {} hook of {} failed", one.kind, one.package));
        let runner = self.runners.for_hook(one.hook).map_err(named)?;
        let owners = StoredOwners(self.storage);
        let limits = ViewLimits {
            operations: self.approvals.sandbox.operations(one.package, one.family),
            ..ViewLimits::default()
        };
        let context = HookContext {
            package: one.package.clone(),
            kind: one.kind,
            folder: one.folder.clone(),
            readable: one.readable.iter().map(|path| one.folder.join(path)).collect::<Result<_, _>>()?,
            grant: &one.permitted.grant,
            may_replace: one.may_replace.clone(),
            owners: &owners,
            limits,
        };
        let call = self.call(&one);
        self.events.event(&Event::HookStarted { package: one.package, kind: one.kind });
        let mut log = Log { package: one.package, events: self.events, lines: Vec::new() };
        let mut session = overlay.begin(context).map_err(failed)?;
        let usage = match runner.run(one.hook, &call, &one.permitted.grant, &mut session, &mut log) {
            Ok(usage) => usage,
            Err(error) => {
                let denials = session.denials().to_vec();
                session.abandon();
                return Err(self.failure(&one, hook_name, named(Error::from(error)), &denials));
            }
        };
        let report = session.finish().map_err(failed)?;
        self.judge(&one, hook_name, &report)?;
        self.events.event(&Event::HookDone { package: one.package, kind: one.kind, report: &report, usage });
        Ok(HookOutcome {
            package: one.package.clone(),
            hook: one.kind,
            report,
            would_ask: one.permitted.would_ask.filter(|grant| *grant != Grant::default()),
            log: log.lines,
        })
    }

    fn call(&self, one: &One<'_>) -> HookCall {
        HookCall {
            package: one.package.clone(),
            kind: one.kind,
            transaction: self.transaction.clone(),
            time: self.time,
            packages_dir: self.packages_dir.absolute(),
            bin_dir: self.approvals.bin_dir.absolute(),
            data_dir: format!("{}/data", one.folder.absolute()),
        }
    }

    /// Why a hook failed: a script that gives up after a denial does so for that.
    fn failure(&self, one: &One<'_>, hook: &str, error: Error, denials: &[Denial]) -> Error {
        if denials.is_empty() {
            return error;
        }
        let denial = denied(one.package, one.family, hook, denials, self.approvals.config);
        match error.causes().iter().any(|cause| cause.contains(REFUSAL)) {
            true => denial,
            false => error.causes().iter().fold(denial.caused_by(error.message()), Error::caused_by),
        }
    }

    fn judge(&self, one: &One<'_>, hook: &str, report: &HookReport) -> Result<()> {
        if report.denials.is_empty() {
            return Ok(());
        }
        let error = denied(one.package, one.family, hook, &report.denials, self.approvals.config);
        match self.approvals.sandbox.on_denied {
            OnDenied::Fail => Err(error),
            OnDenied::Warn => {
                self.events.event(&Event::Warning(&error.to_string()));
                Ok(())
            }
        }
    }
}

fn readable(hooks: &manifest::Hooks) -> Vec<RelPath> {
    manifest::FILE_NAME.parse().into_iter().chain(hooks.files().cloned()).collect()
}

pub(super) fn failed(error: packets_hook_runtime::view::OverlayError) -> Error {
    Error::storage("the staged view failed").because(&error)
}
