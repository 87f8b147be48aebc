//! What a transaction changes on record.

use packets_plugin_api::ident::TransactionId;
use packets_plugin_api::relpath::RelPath;
use packets_plugin_api::storage::{FileKind, InstalledRow, Rows, TransactionRow};

use crate::hook::Hooked;
use crate::plan::Plan;

/// What the history will say.
#[derive(Debug)]
pub struct Entry<'a> {
    /// The transaction.
    pub id: &'a TransactionId,
    /// Its time in seconds since 1970.
    pub time: u64,
    /// What was decided.
    pub plan: &'a Plan,
}

pub(super) fn rows(hooked: &Hooked, entry: &Entry<'_>, displaced: &[(RelPath, RelPath)]) -> Rows {
    let stays = |name: &_| hooked.arriving().iter().any(|arriving| arriving.package.name == *name);
    let gone =
        hooked.leaving().iter().map(|leaving| leaving.package.name.clone()).filter(|name| !stays(name)).collect();
    let mut installed = Vec::with_capacity(hooked.arriving().len());
    for (arriving, (_, files)) in hooked.arriving().iter().zip(hooked.records()) {
        let mut files = files.clone();
        for file in &mut files {
            if let Some((_, kept)) = displaced.iter().find(|(path, _)| *path == file.path) {
                file.displaced = Some(kept.clone());
            }
        }
        let mut package = arriving.package.clone();
        package.installed_size = files
            .iter()
            .map(|file| match &file.kind {
                FileKind::File { size, .. } => *size,
                _ => 0,
            })
            .sum();
        installed.push(InstalledRow { package, files });
    }
    Rows {
        transaction: TransactionRow {
            id: entry.id.clone(),
            time: entry.time,
            command: entry.plan.command().to_owned(),
            summary: entry.plan.to_string().lines().map(str::to_owned).collect(),
        },
        gone,
        installed,
        approved: Vec::new(),
    }
}
