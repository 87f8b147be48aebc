//! What stays of a package that goes or is replaced, and what does not.

use std::collections::BTreeSet;

use packets_hook_runtime::view::{Becomes, Change, Overlay};
use packets_plugin_api::ident::PackageName;
use packets_plugin_api::relpath::RelPath;
use packets_plugin_api::storage::{FileKind, FileRecord, MadeBy};

use super::Leaving;
use super::records;
use super::run::{Hooks, failed};
use crate::error::Result;
use crate::ops::{HookOutcome, Kept};

impl Hooks<'_> {
    /// What a remove hook made where nothing was goes with the package.
    pub(super) fn drop_created(
        &self,
        overlay: &mut Overlay,
        name: &PackageName,
        outcome: Option<&HookOutcome>,
    ) -> Result<()> {
        let Some(outcome) = outcome else { return Ok(()) };
        let made = |change: &Change| change.old.is_none() && !matches!(change.becomes, Becomes::Absent);
        let made: Vec<RelPath> =
            overlay.changes().map_err(failed)?.into_iter().filter(made).map(|change| change.path).collect();
        for effect in outcome.report.effects.iter().rev().filter(|effect| made.contains(&effect.path)) {
            overlay.drop_path(name, &effect.path).map_err(failed)?;
        }
        Ok(())
    }

    /// Takes away what hooks made for a package that goes, but what is in `made`.
    pub(super) fn take_away(
        &self,
        overlay: &mut Overlay,
        package: &Leaving,
        made: &[RelPath],
        kept: &mut BTreeSet<RelPath>,
        leaving: &[Leaving],
    ) -> Result<()> {
        let outside = |path: &RelPath| !path.starts_with(&package.package.folder);
        let mut paths: Vec<_> = package
            .files
            .iter()
            .filter(|file| file.made_by == MadeBy::Hook && outside(&file.path) && !made.contains(&file.path))
            .collect();
        paths.sort_by(|a, b| b.path.cmp(&a.path));
        for file in paths {
            let others = self.storage.owners(&file.path)?;
            let stays = |name: &PackageName| !leaving.iter().any(|gone| gone.package.name == *name);
            if others.iter().any(|(name, _)| stays(name)) {
                continue;
            }
            if let FileKind::File { sha256, .. } = &file.kind
                && !self.purge
                && records::edited(self.root, &file.path, *sha256)?
            {
                kept.insert(file.path.clone());
                continue;
            }
            overlay.drop_path(&package.package.name, &file.path).map_err(failed)?;
        }
        Ok(())
    }

    /// A file under /etc that the administrator has changed stays; the new one goes beside it.
    pub(super) fn keep_edited(
        &self,
        changes: &mut Vec<Change>,
        records: &mut [(PackageName, Vec<FileRecord>)],
        leaving: &[Leaving],
        kept: &mut Vec<Kept>,
    ) -> Result<()> {
        let mut untouched = Vec::new();
        for change in changes.iter_mut() {
            let Becomes::File { sha256: new, .. } = &change.becomes else { continue };
            let before = leaving.iter().flat_map(|gone| &gone.files).find(|file| file.path == change.path);
            let Some(FileKind::File { sha256: old, .. }) = before.map(|file| &file.kind) else { continue };
            if !records::edited(self.root, &change.path, *old)? || !records::edited(self.root, &change.path, *new)? {
                continue;
            }
            let was = change.path.clone();
            if old == new {
                // The release brings nothing new here.
                untouched.push(was.clone());
                kept.push(Kept { was: was.clone(), now: was });
                continue;
            }
            let beside: RelPath = format!("{}.new", was.as_str()).parse()?;
            change.old = records::stands_at(self.root, &beside)?;
            change.path = beside.clone();
            for (_, files) in records.iter_mut() {
                if let Some(file) = files.iter().find(|file| file.path == was) {
                    let twin = FileRecord { path: beside.clone(), ..file.clone() };
                    files.push(twin);
                }
            }
            kept.push(Kept { was: was.clone(), now: was });
        }
        changes.retain(|change| !untouched.contains(&change.path));
        Ok(())
    }
}
