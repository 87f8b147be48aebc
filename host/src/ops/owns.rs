//! `owns`.

use std::path::{Path, PathBuf};

use packets_plugin_api::ident::PackageName;
use packets_plugin_api::relpath::RelPath;
use packets_plugin_api::storage::MadeBy;
use packets_plugin_api::version::Version;
use serde::Serialize;

use super::Options;
use super::context::{Context, Mode};
use crate::error::{Context as _, Error, Result};
use crate::report::Events;

/// A path, and whose it is.
#[derive(Debug, Serialize)]
pub struct Owned {
    /// Below the target's root, its folders resolved.
    pub path: RelPath,
    /// By name; nobody: no package recorded it.
    pub owners: Vec<Owner>,
}

/// A package that recorded a path.
#[derive(Debug, Serialize)]
pub struct Owner {
    /// Its name.
    pub package: PackageName,
    /// Its version.
    pub version: Version,
    /// Whether it brought the path, or a hook of it made it.
    pub made_by: MadeBy,
}

/// Which packages these paths are of.
///
/// # Errors
/// A path that cannot be one of the target's.
pub fn owns(paths: &[PathBuf], options: &Options, events: &dyn Events) -> Result<Vec<Owned>> {
    let context = Context::open(options, Mode::Read, "owns", events)?;
    let storage = context.storage(Mode::Read)?;
    let mut all = Vec::new();
    for path in paths {
        let path = on_target(path, &context, options)?;
        let mut owners = Vec::new();
        for (package, made_by) in storage.owners(&path)? {
            let Some(installed) = storage.package(&package)? else { continue };
            owners.push(Owner { package, version: installed.version, made_by });
        }
        all.push(Owned { path, owners });
    }
    Ok(all)
}

/// A path as it is on record: absolute, its folders resolved, the last name as it is.
fn on_target(path: &Path, context: &Context, options: &Options) -> Result<RelPath> {
    let named = || format!("cannot look for the owner of {}", path.display());
    let mut absolute = std::path::absolute(path).context(named)?;
    // What a shell completes below a root of one's own begins with that root.
    if let Some(root) = &options.root
        && let Ok(inside) = absolute.strip_prefix(std::path::absolute(root).context(named)?)
    {
        absolute = Path::new("/").join(inside);
    }
    let text = absolute.to_str().ok_or_else(|| Error::request(named()).caused_by("it is not UTF-8"))?;
    let path = RelPath::from_absolute(text).map_err(|error| Error::request(named()).because(&error))?;
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => Ok(context.target.canonical(&parent)?.child(name)?),
        _ => Ok(path),
    }
}
