//! Whether all that a past transaction changed stands as it left it.

use std::collections::{HashMap, HashSet};

use packets_hook_runtime::folder::{Folder, Kind as FileKind};
use packets_plugin_api::ident::PackageName;
use packets_plugin_api::relpath::RelPath;
use packets_plugin_api::storage::{FileKind as Recorded, InstalledPackage, InstalledRow, Storage};

use super::past::{is_tree, spot_path, trees};
use crate::error::{Context, Error, Result};
use crate::journal::{Decision, Step};
use crate::target::is_no_folder;
use crate::unpack::Cursor;
use crate::{cores, digest};

/// Paths that a refusal names.
const MOST_NAMED: usize = 5;

/// What is on record of its packages is what it recorded.
pub(super) fn records(past: &Decision, storage: &dyn Storage) -> Result<()> {
    let since = |name: &PackageName, what: &str| {
        Error::request(format!("{name} was {what} since"))
            .hint("what came later must be undone first: `packets history` lists it")
    };
    for row in &past.rows.installed {
        let name = &row.package.name;
        match storage.package(name)? {
            None => return Err(since(name, "removed")),
            Some(package) if package != row.package => return Err(since(name, "replaced")),
            Some(_) => {}
        }
        let (mut now, mut then) = (storage.files(name)?, row.files.clone());
        now.sort_by(|a, b| a.path.cmp(&b.path));
        then.sort_by(|a, b| a.path.cmp(&b.path));
        if now != then {
            return Err(since(name, "changed on record"));
        }
    }
    for name in &past.rows.gone {
        if storage.package(name)?.is_some() {
            return Err(since(name, "installed again"));
        }
    }
    Ok(())
}

/// What is installed when it has been taken back.
pub(super) fn afterwards(past: &Decision, installed: &[InstalledPackage]) -> Vec<InstalledPackage> {
    let before = &past.before;
    let restored = before.installed.iter().map(|row| &row.package.name);
    let others: HashSet<&PackageName> = before.gone.iter().chain(restored).collect();
    let stays = |package: &&InstalledPackage| !others.contains(&package.name);
    installed.iter().filter(stays).chain(before.installed.iter().map(|row| &row.package)).cloned().collect()
}

/// The recorded files of the packages that it put in place stand there as they were recorded, and those of
/// the packages that come back are kept.
pub(super) fn files(past: &Decision, root: &Folder) -> Result<()> {
    let trees: Vec<Tree<'_>> = trees(past).map(|(_, row)| (row.package.folder.clone(), row)).collect();
    let changed = all_differing(root, &trees, Compare::Content)?;
    if !changed.is_empty() {
        return Err(Error::request("files of its packages were changed since")
            .caused_by(named(&changed))
            .hint("put them back, or change what you want changed with `packets install`, `upgrade` and `remove`"));
    }
    let by_name: HashMap<&str, &InstalledRow> =
        past.before.installed.iter().map(|row| (row.package.name.as_str(), row)).collect();
    let displaced = past.steps.iter().filter_map(Step::as_put).filter(|put| is_tree(put, &put.before));
    let displaced = displaced.filter_map(|put| {
        let old = put.old.as_ref()?;
        let row = by_name.get(old.name.as_str())?;
        Some(spot_path(past, old).map(|path| (path, *row)))
    });
    let missing = all_differing(root, &displaced.collect::<Result<Vec<Tree<'_>>>>()?, Compare::Presence)?;
    match missing.is_empty() {
        true => Ok(()),
        false => Err(Error::request("what it displaced is no longer kept whole").caused_by(named(&missing))),
    }
}

fn named(paths: &[RelPath]) -> String {
    let first: Vec<String> = paths.iter().take(MOST_NAMED).map(RelPath::absolute).collect();
    let more = paths.len().saturating_sub(MOST_NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", first.join(", "))
}

/// How closely files are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Compare {
    /// They must be what is on record.
    Content,
    /// They must be there.
    Presence,
}

/// Where a package's folder is, and what is on record of it.
type Tree<'a> = (RelPath, &'a InstalledRow);

/// The recorded paths in all these that do not stand as they were recorded.
fn all_differing(root: &Folder, trees: &[Tree<'_>], compare: Compare) -> Result<Vec<RelPath>> {
    let buffers = vec![Vec::new(); cores::threads_for(trees.len())];
    let each = cores::map_with(buffers, trees, |buffer, tree| differing(root, tree, compare, buffer));
    Ok(each.into_iter().collect::<Result<Vec<_>>>()?.concat())
}

/// The recorded paths of a package, whose folder stands at `tree`, that do not stand as they were recorded.
fn differing(root: &Folder, (tree, row): &Tree<'_>, compare: Compare, buffer: &mut Vec<u8>) -> Result<Vec<RelPath>> {
    let named = || format!("cannot look through {}", tree.absolute());
    let mut cursor = Cursor::new(root.walk(tree).context(named)?);
    let mut changed = Vec::new();
    for file in &row.files {
        let inside = file.path.strip_prefix(&row.package.folder);
        let Some(inside) = inside.filter(|inside| !inside.is_root()) else { continue };
        let same = match cursor.parent_of(inside.as_str()) {
            Err(error) if is_no_folder(&error) => false,
            Err(error) => return Err(error).context(named),
            Ok((parent, name)) => match (&file.kind, parent.stat(name).context(named)?) {
                (_, stat) if compare == Compare::Presence => stat.is_some(),
                (Recorded::File { size, mode, sha256 }, Some(stat)) if stat.kind == FileKind::File => {
                    (stat.size, stat.mode) == (*size, *mode)
                        && digest::of_in(parent.read(name).context(named)?, buffer).context(named)? == *sha256
                }
                (Recorded::Symlink { stored, .. }, Some(stat)) if stat.kind == FileKind::Symlink => {
                    parent.read_link(name).context(named)?.to_str() == Some(stored.as_str())
                }
                (Recorded::Folder { .. }, Some(stat)) => stat.kind == FileKind::Folder,
                _ => false,
            },
        };
        if !same {
            changed.push(file.path.clone());
        }
    }
    Ok(changed)
}
