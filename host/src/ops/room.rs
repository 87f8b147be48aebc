//! Whether what is going to be staged has room, as far as that is known before.

use std::collections::HashSet;

use packets_hook_runtime::folder::{Folder, Room};
use packets_plugin_api::ident::PackageName;
use packets_plugin_api::relpath::RelPath;
use packets_plugin_api::storage::InstalledPackage;

use super::context::Context;
use crate::cache::Cache;
use crate::error::{Context as _, Error, Result};
use crate::plan::{Installation, Plan, Source};
use crate::report::Cost;
use crate::target::Place;

/// Names that a package needs at the least: its folder, its manifest, `data`.
const NAMES_OF_A_PACKAGE: u64 = 3;
/// Names that a transaction needs for itself.
const NAMES_OF_A_TRANSACTION: u64 = 8;
/// Bytes that a transaction needs for its journal and its record.
const BYTES_OF_A_TRANSACTION: u64 = 512 << 10;

/// What a file system must have room for.
struct Need {
    folder: Folder,
    path: RelPath,
    bytes: u64,
    names: u64,
}

/// What a plan costs.
pub(super) fn cost(plan: &Plan, installed: &[InstalledPackage], cache: Option<&Cache>) -> Cost {
    let packages = plan.installations();
    let gone = packages.iter().flat_map(|one| one.replaces().iter().map(|old| &old.name));
    let gone: HashSet<&PackageName> = gone.chain(plan.removals().iter().map(|one| &one.name)).collect();
    let leaving = installed.iter().filter(|package| gone.contains(&package.name)).map(|package| package.installed_size);
    Cost {
        to_fetch: missing(plan, cache).map(|one| one.candidate().size.unwrap_or(0)).fold(0, u64::saturating_add),
        arriving: packages
            .iter()
            .try_fold(0, |sum: u64, one| Some(sum.saturating_add(one.candidate().installed_size?))),
        leaving: leaving.fold(0, u64::saturating_add),
    }
}

/// What is not in the cache and comes from elsewhere.
fn missing<'a>(plan: &'a Plan, cache: Option<&'a Cache>) -> impl Iterator<Item = &'a Installation> {
    let is_cached = move |one: &Installation| cache.is_some_and(|cache| cache.has(&one.digest()));
    let from_elsewhere = |one: &&Installation| matches!(one.candidate().from, Source::Index(_));
    plan.installations().iter().filter(from_elsewhere).filter(move |one| !is_cached(one))
}

/// Refuses a plan that cannot have room: bytes and names, on every file system that it writes to.
/// What a package does not say of itself is found out while it unpacks.
pub(super) fn check(context: &Context, plan: &Plan, data: &Place, cache: Option<&Cache>) -> Result<()> {
    let packages = plan.installations();
    let installed = packages.iter().map(|one| one.candidate().installed_size.or(one.candidate().size).unwrap_or(0));
    let again = |place: &Place| place.folder.again().context(|| format!("cannot open {}", place.path.absolute()));
    let mut needs = vec![Need {
        folder: again(data)?,
        path: data.path.clone(),
        bytes: installed.fold(0, u64::saturating_add),
        names: packages.len() as u64 * NAMES_OF_A_PACKAGE + NAMES_OF_A_TRANSACTION,
    }];
    if let (Some(cache), Some(place)) = (cache, context.cache_folder()?) {
        let (names, bytes) = missing(plan, Some(cache)).fold((0, 0u64), |(names, bytes), one| {
            (names + 1, bytes.saturating_add(one.candidate().size.unwrap_or(0)))
        });
        needs.push(Need { folder: place.folder, path: place.path, bytes, names });
    }
    let state = context.state()?;
    needs.push(Need {
        folder: state.folder,
        path: state.path,
        bytes: BYTES_OF_A_TRANSACTION,
        names: NAMES_OF_A_TRANSACTION,
    });
    if let Some(record) = context.target.enter(context.record_folder())? {
        needs.push(Need { folder: record.folder, path: record.path, bytes: BYTES_OF_A_TRANSACTION, names: 2 });
    }
    let mut seen: Vec<(u64, Need)> = Vec::new();
    for need in needs {
        let device = need.folder.stat_self().context(|| format!("cannot look at {}", need.path.absolute()))?.device;
        match seen.iter_mut().find(|(known, _)| *known == device) {
            Some((_, known)) => {
                known.bytes = known.bytes.saturating_add(need.bytes);
                known.names += need.names;
            }
            None => seen.push((device, need)),
        }
    }
    seen.iter().try_for_each(|(_, need)| fits(need))
}

/// The same for packages that move into `data`: those of other file systems are copied.
pub(super) fn for_moving<'a>(
    context: &Context,
    data: &Place,
    packages: impl Iterator<Item = &'a InstalledPackage>,
) -> Result<()> {
    let named = |path: &RelPath| format!("cannot look at {}", path.absolute());
    let device = data.folder.stat_self().context(|| named(&data.path))?.device;
    let folder = data.folder.again().context(|| named(&data.path))?;
    let mut need = Need { folder, path: data.path.clone(), bytes: 0, names: NAMES_OF_A_TRANSACTION };
    for package in packages {
        let tree = context.target.root().walk(&package.folder).context(|| named(&package.folder))?;
        if tree.stat_self().context(|| named(&package.folder))?.device != device {
            need.bytes = need.bytes.saturating_add(package.installed_size);
            need.names += NAMES_OF_A_PACKAGE;
        }
    }
    fits(&need)
}

fn fits(need: &Need) -> Result<()> {
    let path = need.path.absolute();
    let Room { bytes, inodes } = need.folder.room().context(|| format!("cannot ask for the room in {path}"))?;
    let refused = |what: &str, free: u64, wanted: u64| {
        Error::storage(format!("there is no room on the file system of {path}"))
            .caused_by(format!("{wanted} {what} are needed, {free} are free"))
            .hint("nothing was changed; `packets cache clean` frees what is kept")
    };
    match (bytes, inodes) {
        (Some(free), _) if free < need.bytes => Err(refused("bytes", free, need.bytes)),
        (_, Some(free)) if free < need.names => Err(refused("inodes", free, need.names)),
        _ => Ok(()),
    }
}
