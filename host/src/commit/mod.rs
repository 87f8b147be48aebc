//! The one place where a target changes.
//!
//! Everything was staged before. What will change is written down as steps (`draft`, `trees`, `changes`),
//! then carried out: synced, compared with the disk once more, decided in the journal, each path replaced by
//! one rename, recorded (`carry_out`). A crash in between is brought to its end by `resume`.

mod apply;
mod area;
mod carry_out;
mod changes;
mod copy_tree;
mod draft;
mod extras;
mod kept_copy;
mod layers;
mod past;
mod record_only;
mod relocate;
mod repoint;
mod resume;
mod rows;
mod rows_ahead;
mod staged;
mod sync;
mod take_back;
mod todo;
mod trees;
mod unchanged;

use std::path::Path;
use std::sync::Arc;

use packets_hook_runtime::view::{Becomes, Change};
use packets_plugin_api::relpath::RelPath;
use packets_plugin_api::storage::Storage;

pub use area::{About, Area};
pub(crate) use carry_out::Ground;
use carry_out::Happened;
pub(crate) use record_only::record_only;
pub(crate) use relocate::{Moved, Relocation, relocate};
pub(crate) use resume::{Openers, Resumed, resume};
pub use rows::Entry;
pub(crate) use staged::free;
pub(crate) use take_back::Reversal;

use crate::error::Result;
use crate::hook::{Hooked, Weight};
use crate::journal::Decision;
use crate::ops::{HookOutcome, Kept, NewPermissions};
use crate::target::{Place, Target};
use draft::Draft;
use rows_ahead::{Recording, recorded_when};

/// A transaction that has happened. Only this module makes one.
#[derive(Debug)]
pub struct Committed {
    outcomes: Vec<HookOutcome>,
    permissions: Vec<NewPermissions>,
    weight: Weight,
    kept: Vec<Kept>,
    programs: Vec<RelPath>,
    warnings: Vec<String>,
}

impl Committed {
    /// What each hook did.
    pub fn outcomes(&self) -> &[HookOutcome] {
        &self.outcomes
    }
    /// What hooks may do that those of no release before asked for.
    pub fn permissions(&self) -> &[NewPermissions] {
        &self.permissions
    }
    /// What the packages that arrived have on record.
    pub fn weight(&self) -> Weight {
        self.weight
    }
    /// Files of the administrator that were kept.
    pub fn kept(&self) -> &[Kept] {
        &self.kept
    }
    /// Programs that can be run now.
    pub fn programs(&self) -> &[RelPath] {
        &self.programs
    }
    /// What is left to clear up, one sentence each: it has happened all the same.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }
}

/// Where a transaction is committed.
#[derive(Debug)]
pub struct Site<'a> {
    /// The system.
    pub target: &'a Target,
    /// The folder of all packages.
    pub data: &'a Place,
    /// The folder of the record of what is installed.
    pub record_folder: &'a RelPath,
    /// Where a copy of the record is kept.
    pub record_copy: &'a Path,
    /// Where everything is staged.
    pub area: &'a Area,
    /// The folder of programs.
    pub bin: &'a RelPath,
}

impl Site<'_> {
    fn ground(&self) -> Ground<'_> {
        let Site { target, record_folder, record_copy, area, .. } = *self;
        Ground { root: target.root(), record_folder, record_copy, area }
    }
}

/// The steps for all of it.
fn draft<'a>(hooked: &Hooked, site: &Site<'a>, kept: &mut Vec<Kept>) -> Result<(Draft<'a>, changes::Moved)> {
    let mut draft = Draft::new(site.target.root(), site.area);
    trees::draft(&mut draft, hooked, kept)?;
    let moved = changes::draft(&mut draft, hooked, site.data)?;
    Ok((draft, moved))
}

/// Commits what the hooks stage left.
///
/// # Errors
/// What is found before anything has changed, where it stopped, or why it is not recorded; then everything is as it was,
/// unless the error says otherwise.
pub(crate) fn commit(
    hooked: Hooked,
    site: &Site<'_>,
    entry: &Entry<'_>,
    storage: &mut dyn Storage,
) -> Result<Committed> {
    let come = hooked.records().iter().map(|(_, files)| files.len()).sum::<usize>();
    let go = hooked.leaving().iter().map(|leaving| leaving.files.len()).sum::<usize>();
    let has_happened = |done: &Result<(Happened, Committed)>| done.as_ref().is_ok_and(|(done, _)| done.has_happened());
    let (applied, recorded) = recorded_when(storage, site.record_copy, (come + go) as u64, has_happened, |recording| {
        apply(hooked, site, recording, entry)
    });
    let (happened, mut committed) = applied?;
    committed.warnings = carry_out::record(&site.ground(), happened, recorded, storage)?;
    Ok(committed)
}

/// Applies it, but for what is on record.
fn apply(
    mut hooked: Hooked,
    site: &Site<'_>,
    recording: &Recording<'_>,
    entry: &Entry<'_>,
) -> Result<(Happened, Committed)> {
    let (ground, storage) = (site.ground(), recording.before());
    let (area, record_folder) = (site.area, site.record_folder);
    let (mut kept, weight) = (hooked.kept().to_vec(), hooked.weight());
    let records = hooked.take_records();
    let files = records.iter().map(|(_, files)| files.len()).sum::<usize>();
    // Where something is moved only the steps tell what will be on record.
    let (drafted, moved) = match changes::may_move(&hooked) {
        true => draft(&hooked, site, &mut kept).map(|(draft, moved)| (Some(draft), moved))?,
        false => (None, changes::Moved::default()),
    };
    let rows = Arc::new(rows::rows(&hooked, records, entry, &moved, storage)?);
    let mut before = rows::inverse(&rows, hooked.leaving(), storage)?;
    let leaving = hooked.leaving().iter().map(|leaving| leaving.files.len() as u64).sum::<u64>();
    let on_record = carry_out::count_of_files(&rows.installed) + carry_out::count_of_files(&before.installed) + leaving;
    let write = || {
        let draft = drafted.map_or_else(|| draft(&hooked, site, &mut kept).map(|(draft, _)| draft), Ok)?;
        let Draft { folders, steps, .. } = draft;
        let places = area.places(record_folder)?;
        rows::complete(&mut before, hooked.take_leaving());
        let entries = steps.len() + files;
        Ok((Decision { places, folders, steps, rows: Arc::clone(&rows), before }, entries))
    };
    let happened = carry_out::happen(&ground, recording, &rows, on_record, write)?;
    let is_program = |change: &&Change| {
        change.path.starts_with(site.bin) && matches!(change.becomes, Becomes::File { .. } | Becomes::Symlink { .. })
    };
    let programs = hooked.changes().iter().filter(is_program).map(|change| change.path.clone()).collect();
    let (outcomes, permissions) = (hooked.outcomes().to_vec(), hooked.permissions().to_vec());
    let committed = Committed { outcomes, permissions, weight, kept, programs, warnings: Vec::new() };
    Ok((happened, committed))
}
