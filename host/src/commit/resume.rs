//! Bringing a transaction to its end that was cut off.

use std::sync::Arc;

use packets_hook_runtime::folder::Folder;
use packets_plugin_api::relpath::RelPath;
use packets_plugin_api::storage::Storage;

use super::apply::Applier;
use super::carry_out::finish;
use super::staged::{self, Staged};
use crate::error::{Context, Error, Result};
use crate::journal::{Decision, End, FolderId, Journal, Record, Tail};
use crate::target::{Place, is_no_folder};

/// How a transaction that was cut off came to its end.
#[derive(Debug)]
pub(crate) enum Resumed {
    /// All of it has happened.
    Finished,
    /// Nothing of it.
    TakenBack,
    /// The journal contradicts what stands there: nobody acted on it.
    Unsound(&'static str),
}

/// What opens the record of what is installed.
pub(crate) struct Openers<'a> {
    /// For reading: nothing is changed by it.
    pub(crate) read: &'a dyn Fn() -> Result<Box<dyn Storage>>,
    /// For writing, which also puts right what a crash left of it.
    pub(crate) write: &'a dyn Fn() -> Result<Box<dyn Storage>>,
}

/// Brings it to its end. Nothing is fetched and no hook runs; repeated after another crash it comes
/// to the same end.
///
/// # Errors
/// The disk fails, a file system is not there, or somebody changed what it works on: then it stops, and
/// can be called again.
pub(crate) fn resume(
    mut journal: Journal,
    tail: Tail,
    root: &Folder,
    state: &Place,
    record: &Openers<'_>,
) -> Result<Resumed> {
    let last = journal.records().last().cloned();
    if tail == Tail::Torn && !matches!(last, None | Some(Record::Staging { .. })) {
        journal.cut()?;
    }
    match last {
        // It was cut off before anything was made.
        None => journal.remove().map(|()| Resumed::TakenBack),
        Some(Record::Staging { .. }) => clear(journal, root),
        Some(Record::Decided(decision)) => forward(journal, Arc::unwrap_or_clone(decision), root, state, record),
        Some(Record::Undoing) => back(journal, root),
        Some(Record::Done { end: End::Committed }) => keep(journal, root, state),
        Some(Record::Done { end: End::Reverted }) => {
            let decision = decision(&journal)?;
            revert(journal, &decision, root)
        }
    }
}

/// Nothing was decided: the staging folders go.
fn clear(journal: Journal, root: &Folder) -> Result<Resumed> {
    let mut places = Vec::new();
    for record in journal.records() {
        let Record::Staging { parent, name, .. } = record else { continue };
        let named = || format!("cannot look at {}", parent.path.absolute());
        let (folder, path) = nearest(root, &parent.path)?;
        let stat = folder.stat_self().context(named)?;
        if path != parent.path || stat.inode != parent.inode {
            if stat.device == parent.device {
                // Its file system is there, and the folder is not any more.
                continue;
            }
            return Err(not_there(parent));
        }
        if let Ok(staging) = folder.open(name)
            && staged::has_begun(&staging).context(named)?
        {
            return Ok(Resumed::Unsound("something was changed that it does not tell of"));
        }
        places.push((folder, name.clone(), parent.path.clone()));
    }
    for (folder, name, path) in places {
        folder.remove_tree(&name).context(|| format!("cannot remove the staging folder {}/{name}", path.absolute()))?;
    }
    journal.remove().map(|()| Resumed::TakenBack)
}

fn forward(
    mut journal: Journal,
    mut decision: Decision,
    root: &Folder,
    state: &Place,
    record: &Openers<'_>,
) -> Result<Resumed> {
    let folders = match all_places(&mut decision, root) {
        Ok(folders) => folders,
        // Once all is recorded they may be gone. To open the record for writing would put it right: nothing is
        // changed where this cannot go on.
        Err(error) => match (record.read)().is_ok_and(|record| record.recorded(journal.id()).unwrap_or(false)) {
            true => Vec::new(),
            false => return Err(error),
        },
    };
    let mut storage = (record.write)()?;
    if !storage.recorded(journal.id())? {
        let release = || folders.iter().for_each(Staged::release);
        let mut applier = Applier::new(root, &decision.folders);
        applier.forward(&decision.steps).or_else(|_| {
            // A full disk has room set aside; anything else fails again.
            release();
            applier.forward(&decision.steps)
        })?;
        applier.sync_places(&decision.steps, &handles(&folders))?;
        finish(storage.as_mut(), &decision, release)?;
    }
    journal.append(&Record::Done { end: End::Committed })?;
    keep(journal, root, state)
}

fn back(mut journal: Journal, root: &Folder) -> Result<Resumed> {
    let mut decision = decision(&journal)?;
    let folders = all_places(&mut decision, root)?;
    let mut applier = Applier::new(root, &decision.folders);
    applier.back(&decision.steps).or_else(|_| {
        folders.iter().for_each(Staged::release);
        applier.back(&decision.steps)
    })?;
    applier.sync_places(&decision.steps, &handles(&folders))?;
    journal.append(&Record::Done { end: End::Reverted })?;
    revert(journal, &decision, root)
}

fn keep(journal: Journal, root: &Folder, state: &Place) -> Result<Resumed> {
    for staged in found_places(&decision(&journal)?, root)? {
        staged.leave_old()?;
    }
    journal.keep(state).map(|()| Resumed::Finished)
}

fn revert(journal: Journal, decision: &Decision, root: &Folder) -> Result<Resumed> {
    staged::remove_reverted(&found_places(decision, root)?, decision)?;
    journal.remove().map(|()| Resumed::TakenBack)
}

fn decision(journal: &Journal) -> Result<Decision> {
    let bug = || Error::new(crate::error::ErrorKind::Bug, "a journal has lost its decision");
    journal.decision().cloned().ok_or_else(bug)
}

fn handles(folders: &[Staged]) -> Vec<Arc<Folder>> {
    folders.iter().map(|staged| staged.folder.clone()).collect()
}

/// The staging folders that are there.
fn found_places(decision: &Decision, root: &Folder) -> Result<Vec<Staged>> {
    let find = |id| Staged::find(root, id).context(|| format!("cannot look at {}", id.path.absolute()));
    decision.places.iter().filter_map(|id| find(id).transpose()).collect()
}

/// All staging folders, and the decision with the numbers that their file systems have now.
fn all_places(decision: &mut Decision, root: &Folder) -> Result<Vec<Staged>> {
    let mut folders = Vec::new();
    for id in &decision.places {
        let named = || format!("cannot look at {}", id.path.absolute());
        folders.push(Staged::find(root, id).context(named)?.ok_or_else(|| not_there(id))?);
    }
    renumber(decision, root)?;
    Ok(folders)
}

/// Gives a decision the numbers that its file systems have now: those of the folders in which its staging
/// folders stand, or stood.
pub(super) fn renumber(decision: &mut Decision, root: &Folder) -> Result<()> {
    let mut numbers = Vec::new();
    for id in &decision.places {
        let (folder, _) = nearest(root, &id.path.parent().unwrap_or_default())?;
        let now = folder.stat_self().context(|| format!("cannot look at {}", id.path.absolute()))?.device;
        numbers.push((id.device, now));
    }
    decision.renumber(|device| numbers.iter().find(|(then, _)| *then == device).map_or(device, |(_, now)| *now));
    Ok(())
}

/// The folder at `path`, or the nearest one above it that is there, and where that is.
fn nearest(root: &Folder, path: &RelPath) -> Result<(Folder, RelPath)> {
    let mut above = path.clone();
    loop {
        match (root.walk(&above), above.parent()) {
            (Err(error), Some(parent)) if is_no_folder(&error) => above = parent,
            (walked, _) => return Ok((walked.context(|| format!("cannot look at {}", above.absolute()))?, above)),
        }
    }
}

fn not_there(id: &FolderId) -> Error {
    Error::storage(format!("cannot find the staging folder {}", id.path.absolute()))
        .caused_by("what stands at its path is not what stood there: perhaps its file system is not mounted")
        .hint("if it is only not mounted, mount it; nothing was changed")
}
