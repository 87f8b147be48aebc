//! What a past transaction did, looked up.

use std::collections::HashMap;

use packets_plugin_api::relpath::RelPath;
use packets_plugin_api::storage::InstalledRow;

use crate::error::Result;
use crate::journal::{Decision, Kind, Put, Spot, Standing, Step};

/// The path of a name in one of its folders.
pub(super) fn spot_path(past: &Decision, spot: &Spot) -> Result<RelPath> {
    Ok(past.folders[spot.folder].path.child(&spot.name)?)
}

/// Whether a step moves a package's folder: not one that comes and goes by its content.
pub(super) fn is_tree(put: &Put, standing: &Option<Standing>) -> bool {
    !put.only_empty && standing.as_ref().is_some_and(|standing| standing.kind == Kind::Folder)
}

/// The folders of packages that it put in place.
pub(super) fn trees(past: &Decision) -> impl Iterator<Item = (&Put, &InstalledRow)> {
    let homes = homes(past);
    past.steps.iter().filter_map(Step::as_put).filter(|put| is_tree(put, &put.after)).filter_map(move |put| {
        let path = spot_path(past, &put.at).ok()?;
        Some((put, *homes.get(&path)?))
    })
}

/// What it recorded of the packages that it put in place, by their folders.
pub(super) fn homes(past: &Decision) -> HashMap<&RelPath, &InstalledRow> {
    past.rows.installed.iter().map(|row| (&row.package.folder, row)).collect()
}
