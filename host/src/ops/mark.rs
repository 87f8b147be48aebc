//! `mark`, `hold` and `unhold`: what people want of a package, which stands on its record and nowhere else.

use packets_plugin_api::ident::PackageName;
use packets_plugin_api::storage::{InstalledPackage, InstalledRow, Reason, Rows, Storage, TransactionRow};
use packets_plugin_api::version::Version;
use serde::Serialize;

use super::Options;
use super::context::Context;
use super::ground::on_ground;
use super::install::mode;
use super::transaction::{new_id, now};
use crate::commit::{self, About};
use crate::error::Result;
use crate::plan;
use crate::report::{Event, Events};

/// What a package can be marked as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mark {
    /// It was asked for: it stays when nothing needs it.
    Asked,
    /// It came along: `autoremove` takes it when nothing needs it.
    Needed,
    /// It stays as it is.
    Held,
    /// It may be upgraded.
    Free,
}

impl Mark {
    fn command(self) -> &'static str {
        match self {
            Self::Asked | Self::Needed => "mark",
            Self::Held => "hold",
            Self::Free => "unhold",
        }
    }

    fn verb(self) -> &'static str {
        match self {
            Self::Asked => "mark as asked for:",
            Self::Needed => "mark as needed:",
            Self::Held => "hold",
            Self::Free => "unhold",
        }
    }

    fn put_on(self, package: &mut InstalledPackage) {
        match self {
            Self::Asked => package.reason = Reason::Asked,
            Self::Needed => package.reason = Reason::Needed,
            Self::Held => package.held = true,
            Self::Free => package.held = false,
        }
    }
}

/// What was marked, or would be.
#[derive(Debug, Serialize)]
pub struct Marked {
    /// As what.
    pub mark: Mark,
    /// The packages that were not marked so before.
    pub changed: Vec<MarkedPackage>,
    /// Those that were.
    pub unchanged: Vec<MarkedPackage>,
    /// Whether anything was changed.
    pub committed: bool,
}

/// A package that was to be marked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MarkedPackage {
    /// Its name.
    pub name: PackageName,
    /// Its version.
    pub version: Version,
}

/// Marks installed packages.
///
/// # Errors
/// One is not installed, or the record cannot be written; then nothing has changed.
pub fn mark(names: &[PackageName], mark: Mark, options: &Options, events: &dyn Events) -> Result<Marked> {
    let context = Context::open(options, mode(options), mark.command(), events)?;
    let mut storage = context.storage(mode(options))?;
    let installed = storage.installed()?;
    let mut marked = Marked { mark, changed: Vec::new(), unchanged: Vec::new(), committed: false };
    let mut rows = Vec::new();
    for name in names {
        let package = plan::find_installed(name, &installed)?;
        let shown = MarkedPackage { name: package.name.clone(), version: package.version.clone() };
        if marked.changed.contains(&shown) || marked.unchanged.contains(&shown) {
            continue;
        }
        let mut now = package.clone();
        mark.put_on(&mut now);
        if now == *package {
            marked.unchanged.push(shown);
        } else {
            marked.changed.push(shown);
            rows.push(InstalledRow { files: storage.files(&now.name)?, package: now });
        }
    }
    if !rows.is_empty() && options.dry_run.is_none() {
        record(&context, storage.as_mut(), rows, &marked, events)?;
        marked.committed = true;
    }
    Ok(marked)
}

fn record(
    context: &Context,
    storage: &mut dyn Storage,
    installed: Vec<InstalledRow>,
    marked: &Marked,
    events: &dyn Events,
) -> Result<()> {
    let about = About { id: new_id()?, command: marked.mark.command(), time: now() };
    let line = |one: &MarkedPackage| format!("{} {} {}", marked.mark.verb(), one.name, one.version);
    let transaction = TransactionRow {
        id: about.id.clone(),
        time: about.time,
        command: about.command.to_owned(),
        summary: marked.changed.iter().map(line).collect(),
        origins: Vec::new(),
        undoes: None,
    };
    let rows = Rows { transaction, gone: Vec::new(), installed, approved: Vec::new() };
    record_rows(context, storage, &about, rows, events)
}

/// Changes what is on record and nothing else, as a transaction that can be undone.
pub(super) fn record_rows(
    context: &Context,
    storage: &mut dyn Storage,
    about: &About,
    rows: Rows,
    events: &dyn Events,
) -> Result<()> {
    for warning in on_ground(context, about, |ground| commit::record_only(ground, rows, storage))? {
        events.event(&Event::Warning(&warning));
    }
    context.expire_history(storage, about.time, events);
    Ok(())
}
