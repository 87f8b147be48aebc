//! Taking a finished transaction back: its steps in reverse, decided and carried out as a transaction of
//! its own, which can be taken back too.

use std::collections::HashMap;
use std::sync::Arc;

use packets_hook_runtime::folder::Folder;
use packets_plugin_api::hook::Grant;
use packets_plugin_api::ident::PackageName;
use packets_plugin_api::relpath::RelPath;
use packets_plugin_api::storage::{Approval, InstalledPackage, InstalledRow, Reason, Rows, Storage, TransactionRow};

use super::draft::{Draft, standing};
use super::past::{homes, is_tree, spot_path, trees};
use super::todo::Todo;
use super::{About, Ground, carry_out, extras, resume, rows, unchanged};
use crate::error::{Context, Error, Result};
use crate::journal::{Decision, FolderId, Kind, Put, Spot, Step};
use crate::ops::Kept;
use crate::plan;
use crate::target::is_no_folder;

/// A transaction that can be taken back now: all that it changed stands as it left it.
#[derive(Debug)]
pub(crate) struct Reversal {
    past: Decision,
    todo: Todo,
    /// One line a package: what becomes of it.
    pub(crate) summary: Vec<String>,
}

/// What was taken back.
#[derive(Debug)]
pub(crate) struct TakenBack {
    /// Files of the administrator, and where they are now.
    pub(crate) kept: Vec<Kept>,
    /// What is left to clear up.
    pub(crate) warnings: Vec<String>,
}

impl Reversal {
    /// Looks whether a transaction can be taken back. Nothing is changed.
    ///
    /// # Errors
    /// What has changed since, or what would break.
    pub(crate) fn new(mut past: Decision, root: &Folder, storage: &dyn Storage) -> Result<Self> {
        let id = past.rows.transaction.id.clone();
        let refused = |error: Error| error.within(format!("cannot undo transaction {id}"));
        resume::renumber(&mut past, root).map_err(refused)?;
        unchanged::records(&past, storage).map_err(refused)?;
        let installed = storage.installed()?;
        plan::stays_whole(&installed, &unchanged::afterwards(&past, &installed)).map_err(refused)?;
        let todo = Todo::of(&past, root).map_err(refused)?;
        unchanged::files(&past, root).map_err(refused)?;
        let summary = summary(&past);
        Ok(Self { past, todo, summary })
    }

    /// Takes it back.
    ///
    /// # Errors
    /// The first step that fails; then everything is as it was, unless the error says otherwise.
    pub(crate) fn carry_out(self, ground: &Ground<'_>, storage: &mut dyn Storage) -> Result<TakenBack> {
        let Ground { root, area, .. } = *ground;
        let past = &self.past;
        let mut draft = Draft::new(root, area);
        let (mut kept, homes) = (Vec::new(), homes(past));
        // A folder that goes back to where it was takes all along that is in it.
        for (put, row) in trees(past).filter(|(put, _)| !put.returns) {
            carry_back(&mut draft, past, put, row, &mut kept)?;
        }
        for (path, mode) in &self.todo.anew {
            draft.make_folder(path, *mode).context(|| format!("cannot make {}", path.absolute()))?;
        }
        for (at, step) in past.steps.iter().enumerate().rev().filter(|(at, _)| !self.todo.done.contains(at)) {
            let named = || format!("cannot undo the step {at}");
            match step {
                Step::Put(put) => reverse(&mut draft, past, &homes, put)?,
                Step::Mode { folder, before, after } => {
                    let path = &past.folders[*folder].path;
                    area.place_for(path).context(named)?;
                    let open = draft.on_disk(path).context(named)?;
                    let folder = draft.standing_folder(&open, path.clone()).context(named)?;
                    draft.steps.push(Step::Mode { folder, before: *after, after: *before });
                }
                Step::Carry { .. } => {}
            }
        }
        let rows = Arc::new(self.rows(&area.about()));
        let before = rows::inverse(&rows, &[], storage)?;
        let places = area.places(ground.record_folder)?;
        let Draft { folders, steps, .. } = draft;
        let warnings = carry_out::carry_out(ground, Decision { places, folders, steps, rows, before }, 0, storage)?;
        Ok(TakenBack { kept, warnings })
    }

    fn rows(&self, about: &About) -> Rows {
        let before = &self.past.before;
        Rows {
            transaction: TransactionRow {
                id: about.id.clone(),
                time: about.time,
                command: about.command.to_owned(),
                summary: self.summary.clone(),
                origins: Vec::new(),
                undoes: Some(self.past.rows.transaction.id.clone()),
            },
            gone: before.gone.clone(),
            installed: before.installed.clone(),
            approved: before.approved.clone(),
        }
    }
}

/// The step that takes another back, with a place of this transaction for what goes.
fn reverse(draft: &mut Draft<'_>, past: &Decision, homes: &HashMap<&RelPath, &InstalledRow>, put: &Put) -> Result<()> {
    let path = spot_path(past, &put.at)?;
    let named = || format!("cannot put {} back", path.absolute());
    // Its file system is told by a staging folder, also where nothing goes to one.
    draft.area.place_for(&path).context(named)?;
    let at = draft.spot(&path).context(named)?;
    let new =
        put.old.as_ref().map(|old| Spot { folder: draft.number(past.folders[old.folder].clone()), ..old.clone() });
    let old = match (&put.after, &put.new) {
        (None, _) => None,
        (Some(_), Some(home)) if put.returns => {
            let home = spot_path(past, home)?;
            draft.area.place_for(&home).context(named)?;
            Some(draft.spot(&home).context(named)?)
        }
        (Some(_), _) if homes.contains_key(&path) => {
            Some(draft.old_spot_named(&path, put.at.name.clone()).context(named)?)
        }
        (Some(_), _) => Some(draft.old_spot(&path).context(named)?),
    };
    if let Some(standing) = put.before.as_ref().filter(|standing| standing.kind == Kind::Folder) {
        // What comes back into it comes after it.
        let id = FolderId { path: path.clone(), device: standing.device, inode: standing.inode, comes: true };
        let folder = draft.number(id);
        draft.comes_to(&path, folder);
    }
    // What was displaced waits where its owner has it on record.
    let is_staged =
        |spot: &Spot| past.places.iter().any(|place| past.folders[spot.folder].path.starts_with(&place.path));
    let returns = put.old.as_ref().is_some_and(|old| !is_staged(old));
    let (before, after) = (put.after.clone(), put.before.clone());
    draft.put(Put { at, before, after, new, old, only_empty: put.only_empty, returns, stuck: None })
}

/// What the administrator has in a package's folder goes back with the tree that comes back, each to where it
/// was; what is new to it as well.
fn carry_back(
    draft: &mut Draft<'_>,
    past: &Decision,
    put: &Put,
    row: &InstalledRow,
    kept: &mut Vec<Kept>,
) -> Result<()> {
    let at = past.folders[put.at.folder].path.child(&put.at.name)?;
    let named = || format!("cannot look through {}", at.absolute());
    let parent = draft.on_disk(&at.parent().unwrap_or_default()).context(named)?;
    let restored = put.old.as_ref().filter(|_| is_tree(put, &put.before));
    let old_path = restored.map(|spot| spot_path(past, spot)).transpose()?;
    let old_tree = old_path.as_ref().map(|path| draft.root.walk(path)).transpose().context(named)?;
    let into = |path: &RelPath| old_tree.as_ref().is_some_and(|tree| tree.walk(path).is_ok());
    let extras = extras::find(&parent, &put.at.name, (&row.files, &row.package.folder), &into)?;
    if extras.is_empty() {
        return Ok(());
    }
    let tree = parent.open(&put.at.name).context(named)?;
    let places = carried(past, put)?;
    let lost = draft.area.old_for(&at).context(named)?.1.child(&put.at.name)?;
    for extra in extras {
        let was = at.join(&extra.path)?;
        let wanted = places.get(&extra.path).cloned().unwrap_or_else(|| extra.path.clone());
        let carried = match &old_path {
            Some(old_path) if !extra.nameless => carry(draft, (&tree, &at, &extra.path), old_path, &wanted)?,
            _ => false,
        };
        let now = if carried { at.join(&wanted)? } else { lost.join(&extra.path)? };
        if was != now {
            kept.push(Kept { was, now, beside: None });
        }
    }
    Ok(())
}

/// Moves one into the tree that comes back; false where that has no room for it.
fn carry(
    draft: &mut Draft<'_>,
    (tree, at, path): (&Folder, &RelPath, &RelPath),
    old_path: &RelPath,
    wanted: &RelPath,
) -> Result<bool> {
    let named = || format!("cannot carry {path} back");
    let (above, name) = (path.parent().unwrap_or_default(), path.file_name().unwrap_or_default());
    let to_path = old_path.join(&wanted.parent().unwrap_or_default())?;
    let to_folder = match draft.root.walk(&to_path) {
        Err(error) if is_no_folder(&error) => return Ok(false),
        walked => walked.context(named)?,
    };
    let to = Spot {
        folder: draft.standing_folder(&to_folder, to_path).context(named)?,
        name: wanted.file_name().unwrap_or_default().to_owned(),
    };
    let from_folder = tree.walk(&above).context(named)?;
    let other_mount = to_folder.mount().context(named)? != from_folder.mount().context(named)?;
    if other_mount || draft.is_taken(&to) || to_folder.stat(&to.name).context(named)?.is_some() {
        return Ok(false);
    }
    draft.raise(&from_folder, name, at).context(named)?;
    let Some(what) = standing(&from_folder, name).context(named)? else { return Ok(false) };
    let folder = draft.standing_folder(&from_folder, at.join(&above)?).context(named)?;
    draft.carry(Spot { folder, name: name.to_owned() }, to, what);
    Ok(true)
}

/// For files that the transaction carried from the tree that went to the one that came: from where they
/// are now to where they were, as seen from the two trees.
fn carried(past: &Decision, put: &Put) -> Result<HashMap<RelPath, RelPath>> {
    let at = spot_path(past, &put.at)?;
    let tree_paths = |spot: &Option<Spot>| -> Result<Vec<RelPath>> {
        let mut paths = vec![at.clone()];
        paths.extend(spot.as_ref().map(|spot| spot_path(past, spot)).transpose()?);
        Ok(paths)
    };
    let (came, went) = (tree_paths(&put.new)?, tree_paths(&put.old)?);
    let inside = |path: &RelPath, trees: &[RelPath]| trees.iter().find_map(|tree| path.strip_prefix(tree));
    let mut places = HashMap::new();
    for step in &past.steps {
        let Step::Carry { from, to, .. } = step else { continue };
        if let (Some(now), Some(then)) = (inside(&spot_path(past, to)?, &came), inside(&spot_path(past, from)?, &went))
        {
            places.insert(now, then);
        }
    }
    Ok(places)
}

/// One line a package.
fn summary(past: &Decision) -> Vec<String> {
    let by_name: HashMap<&PackageName, &InstalledRow> =
        past.rows.installed.iter().map(|row| (&row.package.name, row)).collect();
    let now = |name: &PackageName| by_name.get(name).copied();
    let mut lines = Vec::new();
    for name in &past.before.gone {
        if let Some(row) = now(name) {
            lines.push(format!("remove {name} {}", row.package.version));
        }
    }
    for row in &past.before.installed {
        let InstalledPackage { name, version, .. } = &row.package;
        match now(name).map(|row| &row.package) {
            Some(then) if then.version != *version => {
                lines.push(format!("restore {name} {version} (from {})", then.version));
            }
            Some(then) if then.digest == row.package.digest => lines.extend(of_record(&row.package, then)),
            _ => lines.push(format!("restore {name} {version}")),
        }
    }
    let is_other = |approval: &&Approval| !past.rows.approved.contains(approval);
    for Approval { name, grant, .. } in past.before.approved.iter().filter(is_other) {
        let what = if *grant == Grant::default() { "take back what was approved" } else { "restore what was approved" };
        lines.push(format!("{what} for {name}"));
    }
    lines
}

/// What stood otherwise on the record of a package whose files are the same.
fn of_record(before: &InstalledPackage, now: &InstalledPackage) -> Vec<String> {
    let InstalledPackage { name, version, folder, .. } = before;
    let mut lines = Vec::new();
    if now.folder != *folder {
        lines.push(format!("move {name} {version} back to {}", folder.absolute()));
    }
    if now.held != before.held {
        lines.push(format!("{} {name} {version}", if before.held { "hold" } else { "unhold" }));
    }
    if now.reason != before.reason {
        let reason = if before.reason == Reason::Asked { "asked for" } else { "needed" };
        lines.push(format!("mark as {reason}: {name} {version}"));
    }
    lines
}
