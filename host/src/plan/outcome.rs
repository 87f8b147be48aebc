//! Whether a set of installed packages can stand together.

use packets_plugin_api::storage::InstalledPackage;

use super::Answers;
use crate::error::{Error, Result};

/// What is installed may become `after` only if nothing in it loses what it needs and has now, and
/// nothing in it conflicts that does not stand side by side now.
///
/// # Errors
/// The first package that would be broken, and by what.
pub fn stays_whole(before: &[InstalledPackage], after: &[InstalledPackage]) -> Result<()> {
    let stood = |package: &InstalledPackage| before.contains(package);
    for package in after {
        for requirement in &package.requires {
            let met = |by: &[InstalledPackage]| by.iter().any(|other| other.satisfies(requirement));
            if !met(after) && (!stood(package) || met(before)) {
                return Err(Error::request(format!("{} would be without {requirement}, which it needs", package.name)));
            }
        }
        for conflict in &package.conflicts {
            let other = after.iter().find(|other| other.name != package.name && other.satisfies(conflict));
            if let Some(other) = other.filter(|other| !stood(package) || !stood(other)) {
                return Err(Error::request(format!("{} cannot stand beside {}", package.name, other.name)));
            }
        }
    }
    Ok(())
}
