//! `upgrade`.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Instant;

use packets_plugin_api::ident::{Family, PackageName};
use packets_plugin_api::storage::InstalledPackage;

use super::context::Context;
use super::gather::Loose;
use super::install::{Asked, known, mode, select};
use super::transaction::Transaction;
use super::{Options, Outcome, UpgradeRequest, relocate};
use crate::error::Result;
use crate::plan::{self, Known, Left, Release, Why};
use crate::report::{Event, Events};

/// Upgrades packages, or all of them, to the newest release of their family.
///
/// # Errors
/// Any kind; then nothing has changed.
pub fn upgrade(request: &UpgradeRequest, options: &Options, events: &dyn Events) -> Result<Outcome> {
    let started = Instant::now();
    let context = Context::open(options, mode(options), "upgrade", events)?;
    let mut loose = Loose::default();
    let (known, base) = known(&context, options, &mut loose, events)?;
    let mut storage = context.storage(mode(options))?;
    let installed = relocate::installed(&context, options, storage.as_mut(), events)?;
    let by_name = installed.iter().map(|package| (&package.name, package)).collect();
    let mut asking =
        Asking { known: &known, loose: &loose, by_name, goals: HashSet::new(), asked: Asked::new("upgrade") };
    if request.packages.is_empty() {
        newest_of_each(&installed).into_iter().try_for_each(|package| asking.one_of_all(package))?;
    } else {
        for name in &request.packages {
            asking.named(plan::find_installed(name, &installed)?)?;
        }
    }
    let plan = select(asking.asked, &known, &loose, &installed)?;
    events.event(&Event::Stage { name: "plan", took: started.elapsed() });
    let work = Transaction { grants: &request.grants, ..Transaction::new(&context, &installed, options, events)? };
    work.carry_out(plan, &loose, &base, storage, &installed, started)
}

/// Gathers what an upgrade means, package by package.
struct Asking<'a> {
    known: &'a Known,
    loose: &'a Loose,
    /// What is installed.
    by_name: HashMap<&'a PackageName, &'a InstalledPackage>,
    /// The names of the goals.
    goals: HashSet<PackageName>,
    asked: Asked,
}

impl Asking<'_> {
    /// Somebody named it: that no index has it is an error.
    fn named(&mut self, package: &InstalledPackage) -> Result<()> {
        match plan::newest_release(package, self.known)? {
            Release::Unlisted => return Err(plan::no_release(package, self.known)),
            Release::Same => self.asked.unchanged.push(package.name.clone()),
            Release::Other(newest) | Release::Older(newest) => match self.completed(*newest, package)? {
                Some(newest) => self.replace(package, newest),
                None => self.asked.unchanged.push(package.name.clone()),
            },
        }
        Ok(())
    }

    /// One of all: what cannot be upgraded stays, and so does what stands beside its successor.
    fn one_of_all(&mut self, package: &InstalledPackage) -> Result<()> {
        if package.held {
            self.leave(package, Why::Held);
            return Ok(());
        }
        match plan::newest_release(package, self.known)? {
            Release::Unlisted => self.leave(package, Why::Unlisted),
            Release::Older(_) => self.leave(package, Why::Newer),
            Release::Same => {}
            Release::Other(newest) => {
                if let Some(newest) = self.completed(*newest, package)?
                    && !self.by_name.get(&newest.name).is_some_and(|other| plan::is_same_release(other, &newest))
                {
                    self.replace(package, newest);
                }
            }
        }
        Ok(())
    }

    fn leave(&mut self, package: &InstalledPackage, why: Why) {
        self.asked.left.push(Left { name: package.name.clone(), why });
    }

    /// With the digest of its file; none where that shows it to be what is installed.
    fn completed(&self, mut newest: plan::Candidate, package: &InstalledPackage) -> Result<Option<plan::Candidate>> {
        self.loose.complete(&mut newest)?;
        Ok((!plan::is_same_release(package, &newest)).then_some(newest))
    }

    fn replace(&mut self, package: &InstalledPackage, newest: plan::Candidate) {
        if package.name != newest.name {
            self.asked.replaced.push((package.name.clone(), newest.name.clone()));
        }
        if self.goals.insert(newest.name.clone()) {
            self.asked.goals.push(newest);
        }
    }
}

/// Every package; of several releases of one family only the newest, for whoever installed an older one beside
/// it wants to have that.
fn newest_of_each(installed: &[InstalledPackage]) -> Vec<&InstalledPackage> {
    let mut newest: HashMap<&Family, &InstalledPackage> = HashMap::new();
    for package in installed.iter().filter(|package| !package.family.is_none()) {
        let known = newest.entry(&package.family).or_insert(package);
        if package.version > known.version {
            *known = package;
        }
    }
    let wanted: BTreeSet<_> = newest.values().map(|package| &package.name).collect();
    installed.iter().filter(|package| package.family.is_none() || wanted.contains(&package.name)).collect()
}
