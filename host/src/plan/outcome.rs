//! Whether a set of installed packages can stand together.

use std::cell::LazyCell;
use std::collections::HashMap;

use packets_plugin_api::ident::PackageName;
use packets_plugin_api::storage::InstalledPackage;

use super::answering::Answering;
use crate::error::{Error, Result};

/// What is installed may become `after` only if nothing in it loses what it needs and has now, and
/// nothing in it conflicts that does not stand side by side now.
///
/// # Errors
/// The first package that would be broken, and by what.
pub fn stays_whole(before: &[InstalledPackage], after: &[InstalledPackage]) -> Result<()> {
    let by_name: HashMap<&PackageName, &InstalledPackage> = before.iter().map(|one| (&one.name, one)).collect();
    let stood = |package: &InstalledPackage| by_name.get(&package.name) == Some(&package);
    let (had, have) = (LazyCell::new(|| Answering::of(before.iter())), Answering::of(after.iter()));
    for package in after {
        for requirement in &package.requires {
            let is_met = |by: &Answering<'_>| by.satisfying(requirement).next().is_some();
            if !is_met(&have) && (!stood(package) || is_met(&had)) {
                return Err(Error::request(format!("{} would be without {requirement}, which it needs", package.name)));
            }
        }
        for conflict in &package.conflicts {
            let others = || have.satisfying(conflict).filter(|other| other.name != package.name);
            if let Some(other) = others().find(|other| !stood(package) || !stood(other)) {
                return Err(Error::request(format!("{} cannot stand beside {}", package.name, other.name)));
            }
        }
    }
    Ok(())
}
