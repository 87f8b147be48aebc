//! `verify`.

use packets_plugin_api::ident::PackageName;
use serde::Serialize;

use super::Options;
use super::context::{Context, Mode};
use crate::audit::{self, Finding};
use crate::error::Result;
use crate::plan;
use crate::report::Events;

/// What stands on the disk against what is on record.
#[derive(Debug, Serialize)]
pub struct Verified {
    /// How many packages were looked at.
    pub packages: u64,
    /// How many of their paths.
    pub paths: u64,
    /// What is not as it was installed, by package and path.
    pub findings: Vec<Finding>,
}

/// Compares packages, or all of them, with the disk.
///
/// # Errors
/// One that is named is not installed, or the record cannot be read. What differs is no error of this function.
pub fn verify(names: &[PackageName], options: &Options, events: &dyn Events) -> Result<Verified> {
    let context = Context::open(options, Mode::Read, "verify", events)?;
    let storage = context.storage(Mode::Read)?;
    let installed = storage.installed()?;
    let mut wanted = Vec::new();
    for name in names {
        let package = plan::find_installed(name, &installed)?;
        if !wanted.contains(&package) {
            wanted.push(package);
        }
    }
    if names.is_empty() {
        wanted = installed.iter().collect();
    }
    let mut packages = Vec::with_capacity(wanted.len());
    for package in wanted {
        packages.push((package.clone(), storage.files(&package.name)?));
    }
    let paths = packages.iter().map(|(_, files)| files.len() as u64).sum();
    let findings = audit::audit(context.target.root(), &packages)?;
    Ok(Verified { packages: packages.len() as u64, paths, findings })
}
