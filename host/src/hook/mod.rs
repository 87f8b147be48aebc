//! The hooks of a transaction, on one staged view of the target.
//!
//! Remove hooks run first, in reverse dependency order, then install hooks in
//! dependency order, each seeing what those before it did. Nothing on the target
//! changes here.

mod aftermath;
mod permissions;
mod records;
mod run;

use std::collections::HashMap;

use packets_hook_runtime::view::Change;
use packets_plugin_api::hook::HookSource;
use packets_plugin_api::ident::PackageName;
use packets_plugin_api::relpath::RelPath;
use packets_plugin_api::storage::{Approval, FileKind, FileRecord, InstalledPackage};

pub use permissions::{Approvals, Permitted, StoredGrants};
pub use records::StoredOwners;
pub use run::{Hooks, Runners};

use crate::manifest::Manifest;
use crate::ops::{HookOutcome, Kept, NewPermissions};
use crate::unpack::Staged;

/// An installed package that goes, or whose place another one takes.
#[derive(Debug)]
pub struct Leaving {
    /// What is on record of it.
    pub package: InstalledPackage,
    /// All its paths.
    pub files: Vec<FileRecord>,
    /// Its manifest, where it could be read and is the one on record.
    pub manifest: Option<Manifest>,
    /// Its remove hook, where it is the one on record.
    pub hook: Option<HookSource>,
    /// The package that takes its place.
    pub replaced_by: Option<PackageName>,
}

/// The packages that each other one takes the place of.
fn by_successor(leaving: &[Leaving]) -> HashMap<&PackageName, Vec<&Leaving>> {
    let mut all: HashMap<&PackageName, Vec<&Leaving>> = HashMap::new();
    for old in leaving {
        old.replaced_by.iter().for_each(|new| all.entry(new).or_default().push(old));
    }
    all
}

/// An unpacked package and where it is going to stand.
#[derive(Debug)]
pub struct Arriving {
    /// The package in staging.
    pub staged: Staged,
    /// Its folder below the target's root.
    pub folder: RelPath,
    /// What will be on record of it.
    pub package: InstalledPackage,
}

/// A transaction whose hooks have all run: what will change is known. Only this
/// module makes one.
#[derive(Debug)]
pub struct Hooked {
    arriving: Vec<Arriving>,
    leaving: Vec<Leaving>,
    changes: Vec<Change>,
    records: Vec<(PackageName, Vec<FileRecord>)>,
    outcomes: Vec<HookOutcome>,
    kept: Vec<Kept>,
    approved: Vec<Approval>,
    permissions: Vec<NewPermissions>,
}

/// How much there is of what arrives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Weight {
    /// Files and links.
    pub files: u64,
    /// Bytes of the files.
    pub bytes: u64,
}

impl Hooked {
    /// The packages that will stand, in order.
    pub fn arriving(&self) -> &[Arriving] {
        &self.arriving
    }
    /// The packages that will be gone, or replaced.
    pub fn leaving(&self) -> &[Leaving] {
        &self.leaving
    }
    /// What changes outside the packages' folders, parents first.
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }
    /// All paths of each arriving package.
    pub fn records(&self) -> &[(PackageName, Vec<FileRecord>)] {
        &self.records
    }
    /// How much that is.
    pub fn weight(&self) -> Weight {
        let records = self.records.iter().flat_map(|(_, files)| files);
        records.fold(Weight::default(), |Weight { files, bytes }, file| match &file.kind {
            FileKind::File { size, .. } => Weight { files: files + 1, bytes: bytes + size },
            FileKind::Symlink { .. } => Weight { files: files + 1, bytes },
            FileKind::Folder { .. } => Weight { files, bytes },
        })
    }
    /// The paths, for the record: nothing is left of them here.
    pub(crate) fn take_records(&mut self) -> Vec<(PackageName, Vec<FileRecord>)> {
        std::mem::take(&mut self.records)
    }
    /// The packages that go, with all that was read of them: nothing is left of them here.
    pub(crate) fn take_leaving(&mut self) -> Vec<Leaving> {
        std::mem::take(&mut self.leaving)
    }
    /// What each hook did, in order.
    pub fn outcomes(&self) -> &[HookOutcome] {
        &self.outcomes
    }
    /// What somebody has approved for it: recorded with it.
    pub fn approved(&self) -> &[Approval] {
        &self.approved
    }
    /// What hooks may do that those of no release before asked for.
    pub fn permissions(&self) -> &[NewPermissions] {
        &self.permissions
    }
    /// Files under /etc that the administrator has changed and that stay.
    pub fn kept(&self) -> &[Kept] {
        &self.kept
    }
}
