//! What a transaction changes on record.

use std::collections::{BTreeSet, HashMap, HashSet};

use packets_plugin_api::ident::{PackageName, TransactionId};
use packets_plugin_api::storage::{
    Approval, FileKind, FileRecord, InstalledPackage, InstalledRow, Origin, Rows, Storage, TransactionRow,
};

use super::changes::Moved;
use crate::error::Result;
use crate::fetch;
use crate::hook::{Arriving, Hooked, Leaving};
use crate::journal::Inverse;
use crate::plan::{Installation, Plan, Source};

/// Packages that are asked for one after the other; about more of them one question is asked, for all there are.
const FEW: usize = 16;

/// What the history will say.
#[derive(Debug)]
pub struct Entry<'a> {
    /// The transaction.
    pub id: &'a TransactionId,
    /// Its time in seconds since 1970.
    pub time: u64,
    /// What was decided.
    pub plan: &'a Plan,
    /// Where the index came from.
    pub base: &'a str,
    /// The places that gave packages, as far as they did not come from the cache.
    pub givers: &'a HashMap<PackageName, String>,
}

/// `records` are the paths of each arriving package, in their order.
pub(super) fn rows(
    hooked: &Hooked,
    records: Vec<(PackageName, Vec<FileRecord>)>,
    entry: &Entry<'_>,
    moved: &Moved,
    storage: &dyn Storage,
) -> Result<Rows> {
    let stays: HashSet<&PackageName> = hooked.arriving().iter().map(|arriving| &arriving.package.name).collect();
    let leaves = hooked.leaving().iter().map(|leaving| &leaving.package.name);
    let gone = leaves.filter(|name| !stays.contains(name)).cloned().collect();
    let mut installed = Vec::with_capacity(hooked.arriving().len());
    for (arriving, (_, mut files)) in hooked.arriving().iter().zip(records) {
        if !moved.away.is_empty() {
            for file in &mut files {
                if let Some(kept) = moved.away.get(&file.path) {
                    file.displaced = Some(kept.clone());
                }
            }
        }
        installed.push(row(arriving, files));
    }
    installed.extend(of_displaced(hooked, moved, storage)?);
    Ok(Rows {
        transaction: TransactionRow {
            id: entry.id.clone(),
            time: entry.time,
            command: entry.plan.command().to_owned(),
            summary: entry.plan.to_string().lines().map(str::to_owned).collect(),
            origins: origins(entry),
            undoes: None,
        },
        gone,
        installed,
        approved: hooked.approved().to_vec(),
    })
}

fn row(arriving: &Arriving, files: Vec<FileRecord>) -> InstalledRow {
    let size = |file: &FileRecord| match &file.kind {
        FileKind::File { size, .. } => *size,
        _ => 0,
    };
    let installed_size = files.iter().map(size).sum();
    InstalledRow { package: InstalledPackage { installed_size, ..arriving.package.clone() }, files }
}

fn origins(entry: &Entry<'_>) -> Vec<Origin> {
    let source = |one: &Installation| match &one.candidate().from {
        Source::Index(mirrors) => match (entry.givers.get(one.name()), mirrors.first()) {
            (Some(giver), _) => giver.clone(),
            (None, Some(mirror)) => fetch::resolve_mirror(entry.base, mirror).unwrap_or_else(|_| mirror.clone()),
            (None, None) => entry.base.to_owned(),
        },
        Source::Given(path) | Source::Repository(path) => path.clone(),
    };
    entry
        .plan
        .installations()
        .iter()
        .map(|one| Origin { package: one.name().clone(), source: fetch::shown(&source(one)) })
        .collect()
}

/// The rows that bring back what is on record now. Of packages in `leaving` the paths have been read from it already,
/// and are left to [`complete`].
pub(super) fn inverse(rows: &Rows, leaving: &[Leaving], storage: &dyn Storage) -> Result<Inverse> {
    let read: HashSet<&PackageName> = leaving.iter().map(|leaving| &leaving.package.name).collect();
    let mut inverse = Inverse { gone: Vec::new(), installed: Vec::new(), approved: Vec::new() };
    let names: Vec<&PackageName> = rows.gone.iter().chain(rows.installed.iter().map(|row| &row.package.name)).collect();
    let mut installed = on_record(&names, storage)?;
    for name in names {
        match installed.remove(name) {
            Some(package) => {
                let files = if read.contains(name) { Vec::new() } else { storage.files(name)? };
                inverse.installed.push(InstalledRow { package, files });
            }
            None => inverse.gone.push(name.clone()),
        }
    }
    for Approval { name, family, .. } in &rows.approved {
        let before = storage.approvals(name, family)?.into_iter().next();
        let none = Approval { name: name.clone(), family: family.clone(), grant: Default::default() };
        inverse.approved.push(before.unwrap_or(none));
    }
    Ok(inverse)
}

/// What is on record of these packages, and perhaps of others.
fn on_record(names: &[&PackageName], storage: &dyn Storage) -> Result<HashMap<PackageName, InstalledPackage>> {
    let packages = match names.len() <= FEW {
        true => names.iter().filter_map(|name| storage.package(name).transpose()).collect::<Result<Vec<_>, _>>()?,
        false => storage.installed()?,
    };
    Ok(packages.into_iter().map(|package| (package.name.clone(), package)).collect())
}

/// Adds the paths of the packages that leave.
pub(super) fn complete(inverse: &mut Inverse, leaving: Vec<Leaving>) {
    let mut read: HashMap<PackageName, Vec<FileRecord>> =
        leaving.into_iter().map(|leaving| (leaving.package.name, leaving.files)).collect();
    for row in &mut inverse.installed {
        if let Some(files) = read.remove(&row.package.name) {
            row.files = files;
        }
    }
}

/// The packages that stay and whose files were displaced, or came back: what is theirs
/// is on record where it is.
fn of_displaced(hooked: &Hooked, moved: &Moved, storage: &dyn Storage) -> Result<Vec<InstalledRow>> {
    let mut owners: BTreeSet<PackageName> = BTreeSet::new();
    for from in moved.away.keys().chain(moved.back.keys()) {
        owners.extend(storage.owners(from)?.into_iter().map(|(name, _)| name));
    }
    let leaves = hooked.leaving().iter().map(|leaving| &leaving.package.name);
    let changed: HashSet<&PackageName> =
        leaves.chain(hooked.arriving().iter().map(|arriving| &arriving.package.name)).collect();
    let mut rows = Vec::new();
    for name in owners.iter().filter(|name| !changed.contains(name)) {
        let Some(package) = storage.package(name)? else { continue };
        let mut files = storage.files(name)?;
        for file in &mut files {
            if let Some(now) = moved.away.get(&file.path).or_else(|| moved.back.get(&file.path)) {
                file.path = now.clone();
            }
        }
        rows.push(InstalledRow { package, files });
    }
    Ok(rows)
}
