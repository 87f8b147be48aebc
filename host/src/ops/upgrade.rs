//! `upgrade`.

use std::time::Instant;

use packets_plugin_api::relpath::RelPath;
use packets_plugin_api::storage::InstalledPackage;

use super::context::Context;
use super::gather::Loose;
use super::install::{Work, known, mode, select};
use super::{Options, Outcome, UpgradeRequest};
use crate::error::Result;
use crate::hook::Arriving;
use crate::plan::{self, Plan};
use crate::report::{Event, Events};
use crate::unpack::Staged;

/// Upgrades packages to the newest release of their family.
///
/// # Errors
/// Any kind; then nothing has changed.
pub fn upgrade(request: &UpgradeRequest, options: &Options, events: &dyn Events) -> Result<Outcome> {
    let started = Instant::now();
    let context = Context::open(options, mode(options), "upgrade", events)?;
    let mut loose = Loose::default();
    let (known, base) = known(&context, options, &mut loose, events)?;
    let storage = context.storage(mode(options))?;
    let installed = storage.installed()?;
    let (mut goals, mut replaced, mut unchanged) = (Vec::new(), Vec::new(), Vec::new());
    for name in &request.packages {
        let package = plan::find_installed(name, &installed)?;
        match plan::newest_release(package, &known)? {
            Some(mut newest) => {
                loose.complete(&mut newest)?;
                if plan::is_same_release(package, &newest) {
                    unchanged.push(package.name.clone());
                    continue;
                }
                replaced.push((package.name.clone(), newest.name.clone()));
                goals.push(newest);
            }
            None => unchanged.push(package.name.clone()),
        }
    }
    let plan = select("upgrade", goals, replaced, unchanged, &known, &loose, &installed)?;
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

/// What will be on record of each staged package: for one from an index, its row's
/// family and serial; the rest is the manifest's.
pub(super) fn arriving(plan: &Plan, staged: Vec<Staged>, data: &RelPath, time: u64) -> Result<Vec<Arriving>> {
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
        };
        Ok(Arriving { staged, folder, package })
    };
    staged.into_iter().zip(plan.installations()).map(record).collect()
}
