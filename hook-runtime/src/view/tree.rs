//! What is in a folder of the overlay.

use std::collections::BTreeSet;
use std::io;
use std::ops::Bound;

use packets_plugin_api::relpath::RelPath;

use super::Overlay;
use super::entry::Entry;
use super::resolve::Spot;
use super::stop::{Result, Stop, shown};

impl Overlay {
    /// The names in a folder, sorted. More than `most` on the disk is a limit.
    pub(super) fn list(&self, spot: &Spot, most: u64) -> Result<Vec<String>> {
        let mut names = BTreeSet::new();
        if let Some(base) = &spot.base {
            let most = usize::try_from(most).unwrap_or(usize::MAX);
            let listed = base.folder.list_at_most(most).map_err(|error| match error.kind() {
                io::ErrorKind::QuotaExceeded => Stop::Limit("operations"),
                _ => Stop::io("list", &spot.path, &error),
            })?;
            for name in listed {
                let not_text = |_| Stop::Invalid(format!("a name in {} is not UTF-8", shown(&spot.path)));
                names.insert(name.into_string().map_err(not_text)?);
            }
        }
        for (path, entry) in self.below(&spot.path) {
            let Some(name) = path.file_name() else { continue };
            if path.parent().as_ref() != Some(&spot.path) {
                continue;
            }
            if entry.node.is_there() {
                names.insert(name.to_owned());
            } else {
                names.remove(name);
            }
        }
        Ok(names.into_iter().collect())
    }

    /// The entries below `folder`, parents first; its own is not among them.
    pub(super) fn below<'a>(&'a self, folder: &'a RelPath) -> impl Iterator<Item = (&'a RelPath, &'a Entry)> {
        // Paths are ordered by components, so what lies in a folder stands together, behind it.
        let behind = self.entries.range((Bound::Excluded(folder.clone()), Bound::Unbounded));
        behind.take_while(move |(path, _)| path.starts_with(folder))
    }
}
