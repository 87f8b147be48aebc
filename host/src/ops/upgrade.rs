//! `upgrade`.

use std::time::Instant;

use super::context::Context;
use super::gather::Loose;
use super::install::{known, mode, select};
use super::transaction::Transaction;
use super::{Options, Outcome, UpgradeRequest};
use crate::error::Result;
use crate::plan;
use crate::report::{Event, Events};

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
    let work = Transaction { grants: &request.grants, ..Transaction::new(&context, options, events)? };
    work.carry_out(plan, &loose, &base, storage, &installed, started)
}
