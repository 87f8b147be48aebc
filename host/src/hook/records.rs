//! What will be on record of a package after its hooks have run.

use std::collections::{HashMap, HashSet};
use std::io;

use packets_hook_runtime::folder::{Folder, Stat};
use packets_hook_runtime::view::{Becomes, Change, Owners};
use packets_plugin_api::hook::{Effect, EffectKind};
use packets_plugin_api::ident::{Digest, PackageName};
use packets_plugin_api::relpath::RelPath;
use packets_plugin_api::storage::{FileKind, FileRecord, MadeBy, Storage, StorageError};

use super::{Arriving, Leaving};
use crate::digest;
use crate::error::{Context, Result};
use crate::target::is_no_folder;

/// Folders that a package shares with others, mostly.
const SHARED: usize = 8;

/// The owners of paths as the storage has them.
pub struct StoredOwners<'a>(pub &'a dyn Storage);

impl Owners for StoredOwners<'_> {
    fn owners(&self, path: &RelPath) -> Result<Vec<PackageName>, StorageError> {
        Ok(self.0.owners(path)?.into_iter().map(|(name, _)| name).collect())
    }
}

/// The changes of each package's hooks.
pub(super) fn by_package(changes: &[Change]) -> HashMap<&PackageName, Vec<&Change>> {
    let mut map: HashMap<&PackageName, Vec<&Change>> = HashMap::new();
    for change in changes {
        for name in &change.by {
            map.entry(name).or_default().push(change);
        }
    }
    map
}

/// All paths of an arriving package, sorted: what it brought, what its hook did in its
/// folder, and what its hook did elsewhere: `changes`.
pub(super) fn of_package(
    package: &Arriving,
    in_tree: &[Effect],
    changes: &[&Change],
    replaced: &[&Leaving],
) -> Vec<FileRecord> {
    let record = |path: RelPath, made_by: MadeBy, kind: FileKind| FileRecord { path, made_by, kind, displaced: None };
    let brought = package.staged.files().iter().filter_map(|file| {
        let path = package.folder.join(&file.path).ok()?;
        Some(record(path, MadeBy::Data, file.kind.clone()))
    });
    // Folders that it shares with others may follow.
    let most = package.staged.files().len() + in_tree.len() + changes.len() + SHARED;
    let mut records: Vec<FileRecord> = Vec::with_capacity(most);
    records.extend(brought);
    let mut gone = HashSet::new();
    for effect in in_tree {
        match kind_of_effect(&effect.becomes) {
            Some(kind) => records.push(record(effect.path.clone(), MadeBy::Hook, kind)),
            None => {
                gone.insert(effect.path.clone());
            }
        }
    }
    for change in changes {
        if let Some(kind) = kind_of_change(&change.becomes) {
            records.push(record(change.path.clone(), MadeBy::Hook, kind));
        }
    }
    let is_gone =
        |path: &RelPath| std::iter::successors(Some(path.clone()), RelPath::parent).any(|it| gone.contains(&it));
    if !gone.is_empty() {
        records.retain(|record| !is_gone(&record.path));
    }
    // Of two records of one path the later holds, which is the hook's.
    records.reverse();
    records.sort_by(|one, other| one.path.cmp(&other.path));
    records.dedup_by(|later, kept| later.path == kept.path);
    // What an older release displaced is still displaced.
    for old in replaced.iter().flat_map(|old| &old.files) {
        if let (Some(kept), Ok(at)) = (&old.displaced, records.binary_search_by(|record| record.path.cmp(&old.path))) {
            records[at].displaced = Some(kept.clone());
        }
    }
    records
}

fn kind_of_effect(becomes: &EffectKind) -> Option<FileKind> {
    Some(match becomes {
        EffectKind::File { mode, size, sha256 } => FileKind::File { mode: *mode, size: *size, sha256: *sha256 },
        EffectKind::Symlink { asked, stored } => FileKind::Symlink { asked: asked.clone(), stored: stored.clone() },
        EffectKind::Folder { mode } => FileKind::Folder { mode: *mode },
        EffectKind::Absent => return None,
    })
}

fn kind_of_change(becomes: &Becomes) -> Option<FileKind> {
    Some(match becomes {
        Becomes::File { mode, size, sha256, .. } => FileKind::File { mode: *mode, size: *size, sha256: *sha256 },
        Becomes::Symlink { asked, stored } => FileKind::Symlink { asked: asked.clone(), stored: stored.clone() },
        Becomes::Folder { mode } => FileKind::Folder { mode: *mode },
        Becomes::Absent => return None,
    })
}

/// Whether a path is the administrator's to edit: under /etc.
pub(super) fn may_be_edited(path: &RelPath) -> bool {
    path.components().next() == Some("etc")
}

/// Whether a file under /etc holds other bytes than these, or is no file any more.
pub(super) fn edited(root: &Folder, path: &RelPath, sha256: Digest) -> Result<bool> {
    if !may_be_edited(path) {
        return Ok(false);
    }
    let named = || format!("cannot read {}", path.absolute());
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Ok(false) };
    let file = match root.walk(&parent).and_then(|folder| folder.read(name)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => return Ok(true),
        Err(error) if is_no_folder(&error) => return Ok(false),
        Err(error) => return Err(error).context(named),
    };
    Ok(digest::of(file).context(named)? != sha256)
}

/// What stands at a path on the disk.
pub(super) fn stands_at(root: &Folder, path: &RelPath) -> Result<Option<Stat>> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Ok(None) };
    let folder = match root.walk(&parent) {
        Err(error) if is_no_folder(&error) => return Ok(None),
        walked => walked.context(|| format!("cannot look at {}", path.absolute()))?,
    };
    folder.stat(name).context(|| format!("cannot look at {}", path.absolute()))
}
