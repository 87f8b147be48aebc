//! What stays of a package that goes or is replaced, and what does not.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use packets_hook_runtime::folder::{Folder, Kind, Stat};
use packets_hook_runtime::view::{Becomes, Change, Overlay};
use packets_plugin_api::hook::EffectKind;
use packets_plugin_api::ident::PackageName;
use packets_plugin_api::relpath::RelPath;
use packets_plugin_api::storage::{FileKind, FileRecord, MadeBy};

use super::records;
use super::run::{Hooks, failed};
use super::{Arriving, Leaving};
use crate::error::{Error, Result};
use crate::ops::{HookOutcome, Kept};

/// Names that are tried for a new file beside a changed one.
const MOST_BESIDE: u32 = 20;

/// The packages that go, and what they have in common.
pub(super) struct Going<'a> {
    names: HashSet<&'a PackageName>,
    /// For each folder that hooks made, to how many of them it still belongs.
    folders: HashMap<&'a RelPath, usize>,
}

impl<'a> Going<'a> {
    pub(super) fn of(leaving: &'a [Leaving]) -> Self {
        let mut folders = HashMap::new();
        for file in leaving.iter().flat_map(made_outside).filter(is_folder) {
            *folders.entry(&file.path).or_default() += 1;
        }
        Self { names: leaving.iter().map(|gone| &gone.package.name).collect(), folders }
    }

    /// Whether others that have not gone yet have the folder `file` too; counts one of them as gone.
    fn is_shared(&mut self, file: &'a FileRecord) -> bool {
        let Some(left) = self.folders.get_mut(&file.path).filter(|_| is_folder(&file)) else { return false };
        *left = left.saturating_sub(1);
        *left > 0
    }
}

fn is_folder(file: &&FileRecord) -> bool {
    matches!(file.kind, FileKind::Folder { .. })
}

/// What hooks made for a package outside its own folder.
fn made_outside(package: &Leaving) -> impl Iterator<Item = &FileRecord> {
    let outside = |path: &RelPath| !path.starts_with(&package.package.folder);
    package.files.iter().filter(move |file| file.made_by == MadeBy::Hook && outside(&file.path))
}

impl Hooks<'_> {
    /// What a remove hook made where nothing was goes with the package.
    pub(super) fn drop_created(
        &self,
        overlay: &mut Overlay,
        name: &PackageName,
        outcome: Option<&HookOutcome>,
    ) -> Result<()> {
        let Some(outcome) = outcome else { return Ok(()) };
        if outcome.report.effects.iter().all(|effect| effect.becomes == EffectKind::Absent) {
            return Ok(());
        }
        let made = |change: &Change| change.old.is_none() && !matches!(change.becomes, Becomes::Absent);
        let made: HashSet<RelPath> =
            overlay.changes().map_err(failed)?.into_iter().filter(made).map(|change| change.path).collect();
        for effect in outcome.report.effects.iter().rev().filter(|effect| made.contains(&effect.path)) {
            overlay.drop_path(name, &effect.path).map_err(failed)?;
        }
        Ok(())
    }

    /// Takes away what hooks made for a package that goes, but what is in `made`. A folder that several packages of
    /// `going` share goes with the last of them.
    pub(super) fn take_away<'a>(
        &self,
        overlay: &mut Overlay,
        package: &'a Leaving,
        made: &HashSet<RelPath>,
        kept: &mut BTreeSet<RelPath>,
        going: &mut Going<'a>,
    ) -> Result<()> {
        let mut paths: Vec<_> = made_outside(package).collect();
        paths.sort_by(|a, b| b.path.cmp(&a.path));
        for file in paths {
            let waits = going.is_shared(file) && !overlay.has_made(&package.package.name, &file.path);
            if waits || made.contains(&file.path) {
                continue;
            }
            if self.storage.owners(&file.path)?.iter().any(|(name, _)| !going.names.contains(name)) {
                continue;
            }
            // What is of another kind by now is the administrator's, also where a hook would take it away.
            if !self.purge && records::stands_at(self.root, &file.path)?.is_some_and(|now| !is_kind(&file.kind, now)) {
                kept.insert(file.path.clone());
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

    /// A folder that hooks made belongs to every package whose hooks put something into it:
    /// it goes with the last of them.
    pub(super) fn share_folders(
        &self,
        changes: &[Change],
        records: &mut [(PackageName, Vec<FileRecord>)],
        arriving: &[Arriving],
    ) -> Result<()> {
        let mut known: BTreeMap<RelPath, Option<FileKind>> = BTreeMap::new();
        for change in changes {
            if let Becomes::Folder { mode } = change.becomes {
                known.insert(change.path.clone(), Some(FileKind::Folder { mode }));
            }
        }
        for ((_, files), package) in records.iter_mut().zip(arriving) {
            let mut shared = BTreeMap::new();
            let outside =
                files.iter().filter(|file| file.made_by == MadeBy::Hook && !file.path.starts_with(&package.folder));
            for file in outside {
                let mut above = file.path.parent();
                while let Some(folder) = above.filter(|folder| !folder.is_root() && !shared.contains_key(folder)) {
                    if !known.contains_key(&folder) {
                        known.insert(folder.clone(), self.hook_made_folder(&folder)?);
                    }
                    above = folder.parent();
                    let kind = known.get(&folder).cloned().flatten();
                    shared.insert(folder, kind);
                }
            }
            let missing = |(path, kind): (RelPath, Option<FileKind>)| {
                let is_missing = files.binary_search_by(|file| file.path.cmp(&path)).is_err();
                let record = |kind| FileRecord { path, made_by: MadeBy::Hook, kind, displaced: None };
                kind.filter(|_| is_missing).map(record)
            };
            let missing: Vec<FileRecord> = shared.into_iter().filter_map(missing).collect();
            if !missing.is_empty() {
                files.extend(missing);
                files.sort_by(|a, b| a.path.cmp(&b.path));
            }
        }
        Ok(())
    }

    fn hook_made_folder(&self, path: &RelPath) -> Result<Option<FileKind>> {
        if !self.storage.owners(path)?.iter().any(|(_, made_by)| *made_by == MadeBy::Hook) {
            return Ok(None);
        }
        let stat = records::stands_at(self.root, path)?;
        Ok(stat.filter(|stat| stat.kind == Kind::Folder).map(|stat| FileKind::Folder { mode: stat.mode & 0o755 }))
    }

    /// A file under /etc that the administrator has changed stays; the new one goes beside it.
    pub(super) fn keep_edited(
        &self,
        changes: &mut Vec<Change>,
        records: &mut [(PackageName, Vec<FileRecord>)],
        leaving: &[Leaving],
        kept: &mut Vec<Kept>,
    ) -> Result<()> {
        let mut before: HashMap<&RelPath, &FileRecord> = HashMap::new();
        for file in leaving.iter().flat_map(|gone| &gone.files).filter(|file| records::may_be_edited(&file.path)) {
            before.entry(&file.path).or_insert(file);
        }
        let mut untouched = HashSet::new();
        let mut beside = Beside::new(changes);
        for change in changes.iter_mut() {
            let Becomes::File { sha256: new, .. } = &change.becomes else { continue };
            let Some(FileKind::File { sha256: old, .. }) = before.get(&change.path).map(|file| &file.kind) else {
                continue;
            };
            if !records::edited(self.root, &change.path, *old)? || !records::edited(self.root, &change.path, *new)? {
                continue;
            }
            let was = change.path.clone();
            if old == new {
                // The release brings nothing new here.
                untouched.insert(was.clone());
                kept.push(Kept { was: was.clone(), now: was, beside: None });
                continue;
            }
            (change.path, change.old) = beside.free(self.root, &was)?;
            for (_, files) in records.iter_mut() {
                if let Some(file) = files.iter().find(|file| file.path == was) {
                    let twin = FileRecord { path: change.path.clone(), ..file.clone() };
                    files.push(twin);
                }
            }
            kept.push(Kept { was: was.clone(), now: was, beside: Some(change.path.clone()) });
        }
        changes.retain(|change| match change.becomes {
            Becomes::Absent => !beside.used.contains(&change.path),
            _ => !untouched.contains(&change.path),
        });
        Ok(())
    }
}

fn is_kind(recorded: &FileKind, now: Stat) -> bool {
    matches!(
        (recorded, now.kind),
        (FileKind::File { .. }, Kind::File)
            | (FileKind::Symlink { .. }, Kind::Symlink)
            | (FileKind::Folder { .. }, Kind::Folder)
    )
}

/// Finds names for what comes beside a file that stays.
struct Beside {
    /// What this transaction takes away, and what stands there.
    goes: HashMap<RelPath, Option<Stat>>,
    comes: HashSet<RelPath>,
    used: HashSet<RelPath>,
}

impl Beside {
    fn new(changes: &[Change]) -> Self {
        let (goes, comes): (Vec<_>, Vec<_>) =
            changes.iter().partition(|change| matches!(change.becomes, Becomes::Absent));
        Self {
            goes: goes.into_iter().map(|change| (change.path.clone(), change.old)).collect(),
            comes: comes.into_iter().map(|change| change.path.clone()).collect(),
            used: HashSet::new(),
        }
    }

    /// `<path>.new`, or `<path>.new2` and so on where something stands that is not the
    /// package's own; and what stands there.
    fn free(&mut self, root: &Folder, path: &RelPath) -> Result<(RelPath, Option<Stat>)> {
        for number in 1..=MOST_BESIDE {
            let number = if number == 1 { String::new() } else { number.to_string() };
            let name: RelPath = format!("{}.new{number}", path.as_str()).parse()?;
            if self.comes.contains(&name) || self.used.contains(&name) {
                continue;
            }
            let old = match self.goes.get(&name) {
                Some(old) if old.is_none_or(|old| old.kind != Kind::Folder) => *old,
                Some(_) => continue,
                None if records::stands_at(root, &name)?.is_none() => None,
                None => continue,
            };
            self.used.insert(name.clone());
            return Ok((name, old));
        }
        let message = format!("cannot put the new {} beside the one that was changed by hand", path.absolute());
        Err(Error::storage(message).caused_by("all names for it are taken").hint("remove what ends in .new there"))
    }
}
