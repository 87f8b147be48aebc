//! Whether what is going to be staged has room, as far as that is known before.

use packets_hook_runtime::folder::{Folder, Room};
use packets_plugin_api::relpath::RelPath;

use super::context::Context;
use crate::cache::Cache;
use crate::error::{Context as _, Error, Result};
use crate::plan::{Plan, Source};
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
        let missing =
            packages.iter().filter(|one| matches!(one.candidate().from, Source::Index(_)) && !cache.has(&one.digest()));
        let (names, bytes) = missing.fold((0, 0u64), |(names, bytes), one| {
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
