//! `why`.

use packets_plugin_api::ident::PackageName;
use packets_plugin_api::storage::Reason;
use packets_plugin_api::version::Version;
use serde::Serialize;

use super::Options;
use super::context::{Context, Mode};
use crate::error::Result;
use crate::plan::{self, Link};
use crate::report::Events;

/// Why a package is installed.
#[derive(Debug, Serialize)]
pub struct Explanation {
    /// The package.
    pub package: PackageName,
    /// Its version.
    pub version: Version,
    /// Whether it was asked for, or came along.
    pub reason: Reason,
    /// The shortest way from each package that was asked for and needs it.
    pub ways: Vec<Vec<Link>>,
}

/// Why a package is installed: whether it was asked for, and what needs it.
///
/// # Errors
/// It is not installed.
pub fn why(name: &PackageName, options: &Options, events: &dyn Events) -> Result<Explanation> {
    let context = Context::open(options, Mode::Read, "why", events)?;
    let installed = context.storage(Mode::Read)?.installed()?;
    let package = plan::find_installed(name, &installed)?;
    Ok(Explanation {
        package: package.name.clone(),
        version: package.version.clone(),
        reason: package.reason,
        ways: plan::ways(package, &installed),
    })
}
