//! Packages whose folders move to another folder of packages, and the links that follow them.
//!
//! A folder moves by one rename. Where that cannot be, because it is another mount, a lower layer of an overlay, or a
//! link in it must change, it is copied into staging; the copy comes, and the old one goes.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use packets_plugin_api::ident::PackageName;
use packets_plugin_api::relpath::RelPath;
use packets_plugin_api::storage::{
    FileKind, FileRecord, InstalledPackage, InstalledRow, Rows, Storage, TransactionRow,
};

use super::draft::{Draft, looking, standing};
use super::repoint::repointed;
use super::{Ground, carry_out, copy_tree, rows};
use crate::error::{Context, Error, Result};
use crate::journal::{Decision, Kind, Put};
use crate::target::is_no_folder;

pub(crate) use super::repoint::Moved;

/// A package that moves.
#[derive(Debug)]
pub(crate) struct Relocation {
    /// The package as it is on record.
    pub(crate) package: InstalledPackage,
    /// Where its folder will be.
    pub(crate) to: RelPath,
}

/// What has moved.
#[derive(Debug, Default)]
pub(crate) struct Relocated {
    /// Links outside of the packages' folders that have another text now.
    pub(crate) links: Vec<RelPath>,
    /// What is left to clear up, or to look at, one sentence each: it has happened all the same.
    pub(crate) warnings: Vec<String>,
}

/// Moves packages; `moved` says by which paths links may lead to their folders.
///
/// # Errors
/// The first step that fails; then everything is as it was, unless the error says otherwise.
pub(crate) fn relocate(
    ground: &Ground<'_>,
    packages: &[Relocation],
    moved: &[Moved],
    transaction: TransactionRow,
    storage: &mut dyn Storage,
) -> Result<Relocated> {
    let mut work = Work {
        draft: Draft::new(ground.root, ground.area),
        moved,
        originals: HashMap::new(),
        copied: 0,
        outcome: Relocated::default(),
    };
    let mut before: Vec<InstalledRow> = Vec::new();
    for package in storage.installed()? {
        before.push(InstalledRow { files: storage.files(&package.name)?, package });
    }
    work.originals = originals(&before);
    let targets: HashMap<&PackageName, &RelPath> = packages.iter().map(|one| (&one.package.name, &one.to)).collect();
    let mut installed = Vec::new();
    for row in before {
        let now = work.row(&row, targets.get(&row.package.name).copied())?;
        if now != row {
            installed.push(now);
        }
    }
    let Work { draft: Draft { folders, steps, .. }, copied, mut outcome, .. } = work;
    let rows = Arc::new(Rows { transaction, gone: Vec::new(), installed, approved: Vec::new() });
    let before = rows::inverse(&rows, &[], storage)?;
    let places = ground.area.places(ground.record_folder)?;
    let entries = steps.len() + copied;
    let decision = Decision { places, folders, steps, rows, before };
    outcome.warnings.extend(carry_out::carry_out(ground, decision, entries, storage)?);
    Ok(outcome)
}

/// For what was displaced, by where it is kept: where it belongs.
fn originals(rows: &[InstalledRow]) -> HashMap<RelPath, RelPath> {
    let files = rows.iter().flat_map(|row| &row.files);
    files.filter_map(|file| Some((file.displaced.clone()?, file.path.clone()))).collect()
}

struct Work<'a> {
    draft: Draft<'a>,
    moved: &'a [Moved],
    originals: HashMap<RelPath, RelPath>,
    /// Names that were copied.
    copied: usize,
    outcome: Relocated,
}

impl Work<'_> {
    /// What will be on record of a package, which moves where `to` is some.
    fn row(&mut self, row: &InstalledRow, to: Option<&RelPath>) -> Result<InstalledRow> {
        let folder = &row.package.folder;
        let mut now = row.clone();
        let mut inside = HashMap::new();
        for file in &mut now.files {
            let within = file.path.strip_prefix(folder);
            match (within, to) {
                (Some(within), Some(to)) => {
                    let path = to.join(&within)?;
                    if let Some(stored) = repoint(file, &path, &file.path.clone(), self.moved) {
                        inside.insert(within, stored);
                    }
                    file.path = path;
                }
                _ => self.link(file)?,
            }
        }
        if let Some(to) = to {
            self.tree(&row.package, to, &inside)?;
            now.package.folder = to.clone();
        }
        Ok(now)
    }

    /// A link that stays where it is, and may lead into a folder that moves.
    fn link(&mut self, file: &mut FileRecord) -> Result<()> {
        let FileKind::Symlink { stored: was, .. } = file.kind.clone() else { return Ok(()) };
        let path = file.path.clone();
        let belongs = self.originals.get(&path).unwrap_or(&path).clone();
        let mut now = file.clone();
        let Some(stored) = repoint(&mut now, &belongs, &belongs, self.moved) else { return Ok(()) };
        let before = match self.draft.stands(&path) {
            Err(error) if is_no_folder(&error) => None,
            found => looking(&path, found)?,
        };
        let Some(before) = before.filter(|it| it.kind == Kind::Symlink && it.content.as_deref() == Some(&was)) else {
            self.outcome.warnings.push(format!("{} is not the link that was installed, and stays", path.absolute()));
            return Ok(());
        };
        let named = || format!("cannot re-point {}", path.absolute());
        let at = self.draft.spot(&path).context(named)?;
        let old = self.draft.old_spot(&path).context(named)?;
        let (new, after) = self.draft.stage_link(&path, &stored).context(named)?;
        self.draft.put(Put::swap(at, (before, old), (after, new)))?;
        self.outcome.links.push(path);
        *file = now;
        Ok(())
    }

    /// The folder of a package comes to `to`; `links` has the new texts of links in it.
    fn tree(&mut self, package: &InstalledPackage, to: &RelPath, links: &HashMap<RelPath, String>) -> Result<()> {
        let from = &package.folder;
        let named = || format!("cannot move {} to {}", from.absolute(), to.absolute());
        if looking(to, self.draft.stands(to))?.is_some() {
            return Err(Error::storage(named())
                .caused_by("something stands there already")
                .hint("no package owns what stands there: move it away, then try again"));
        }
        let at = self.draft.spot(to).context(named)?;
        let before = looking(from, self.draft.stands(from))?;
        let before = before.filter(|it| it.kind == Kind::Folder).ok_or_else(|| {
            Error::storage(named())
                .caused_by("it is no folder any more")
                .hint("nothing was done; run the command again")
        })?;
        if links.is_empty() && self.can_rename(from, to).context(named)? {
            // Both file systems are told by staging folders, though nothing goes to them.
            self.draft.area.place_for(from).and_then(|_| self.draft.area.place_for(to)).context(named)?;
            let home = self.draft.spot(from).context(named)?;
            return self.draft.put(Put { returns: true, ..Put::comes(at, home, before) });
        }
        let (above, name) = (from.parent().unwrap_or_default(), from.file_name().unwrap_or_default());
        let source = self.draft.on_disk(&above).context(named)?;
        let trees_path = self.draft.area.new_trees_path()?;
        let trees = self.draft.on_disk(&trees_path).context(named)?;
        self.copied += copy_tree::copy(&source, name, &trees, links).map_err(|error| error.within(named()))?;
        let (new, after) = self.staged_copy(&trees, trees_path, name).context(named)?;
        self.draft.put(Put::comes(at, new, after))?;
        let at = self.draft.spot(from).context(named)?;
        let old = self.draft.old_spot_named(from, package.name.as_str().to_owned()).context(named)?;
        self.draft.put(Put::goes(at, before, old))
    }

    /// Whether one rename does it.
    fn can_rename(&mut self, from: &RelPath, to: &RelPath) -> io::Result<bool> {
        let (above, name) = (from.parent().unwrap_or_default(), from.file_name().unwrap_or_default());
        let source = self.draft.on_disk(&above)?;
        let target = self.draft.on_disk(&to.parent().unwrap_or_default())?;
        Ok(source.open(name)?.mount()? == target.mount()? && self.draft.area.can_move(&source, name, from)?)
    }

    fn staged_copy(
        &mut self,
        trees: &packets_hook_runtime::folder::Folder,
        path: RelPath,
        name: &str,
    ) -> io::Result<(crate::journal::Spot, crate::journal::Standing)> {
        let after = standing(trees, name)?.ok_or(io::ErrorKind::NotFound)?;
        let folder = self.draft.standing_folder(trees, path)?;
        Ok((crate::journal::Spot { folder, name: name.to_owned() }, after))
    }
}

/// Gives the record of a link the texts that lead to the same thing at `path` as before at `was`; the text of the link
/// itself, where that is another one.
fn repoint(file: &mut FileRecord, path: &RelPath, was: &RelPath, moved: &[Moved]) -> Option<String> {
    let FileKind::Symlink { asked, stored } = &mut file.kind else { return None };
    let (above, was_above) = (path.parent().unwrap_or_default(), was.parent().unwrap_or_default());
    if let Some(new) = repointed(asked, &was_above, &above, moved) {
        *asked = new;
    }
    let new = repointed(stored, &was_above, &above, moved)?;
    stored.clone_from(&new);
    Some(new)
}
