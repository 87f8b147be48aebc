//! `cache list` and `cache clean`: what is kept and could be freed.

use packets_plugin_api::ident::TransactionId;
use serde::Serialize;

use super::Options;
use super::context::{Context, Mode};
use super::install::mode;
use crate::cache::Cache;
use crate::error::{Context as _, Result};
use crate::history;
use crate::interrupt;
use crate::report::{Event, Events};

/// What is kept.
#[derive(Debug, Default, Serialize)]
pub struct Stored {
    /// Package files in the cache.
    pub packages: Vec<StoredPackage>,
    /// Transactions whose displaced files are kept for `undo`.
    pub transactions: Vec<StoredTransaction>,
    /// Whether it was deleted.
    pub freed: bool,
}

/// A package file in the cache.
#[derive(Debug, Serialize)]
pub struct StoredPackage {
    /// Its name there.
    pub file: String,
    /// In bytes.
    pub size: u64,
}

/// A transaction whose displaced files are kept.
#[derive(Debug, Serialize)]
pub struct StoredTransaction {
    /// Its id.
    pub id: TransactionId,
    /// The command.
    pub command: String,
    /// When, in seconds since 1970.
    pub time: u64,
    /// In bytes.
    pub size: u64,
}

/// Which of it is meant.
#[derive(Debug, Clone, Copy)]
pub struct Which {
    /// Package files.
    pub packages: bool,
    /// What transactions displaced.
    pub history: bool,
}

/// What is kept.
///
/// # Errors
/// It cannot be read.
pub fn cache_list(which: Which, options: &Options, events: &dyn Events) -> Result<Stored> {
    let context = Context::open(options, Mode::Read, "cache list", events)?;
    stored(&context, which, Mode::Read)
}

/// Deletes what is kept; a dry run only tells it.
///
/// # Errors
/// Something cannot be deleted.
pub fn cache_clean(which: Which, options: &Options, events: &dyn Events) -> Result<Stored> {
    let context = Context::open(options, mode(options), "cache clean", events)?;
    let mut all = stored(&context, which, mode(options))?;
    if options.dry_run.is_some() {
        return Ok(all);
    }
    if let Some(place) = context.cache_folder()? {
        for package in &all.packages {
            let named = || format!("cannot delete {} from the cache", package.file);
            place.folder.remove_file(&package.file).context(named)?;
        }
    }
    let state = context.state()?;
    let mut failed = history::go_on_freeing(context.target.root(), &state, events);
    for transaction in &all.transactions {
        interrupt::check()?;
        match history::free(context.target.root(), &state, &transaction.id, events) {
            Ok(false) => {}
            Ok(true) => {
                let text = format!("files of yours that transaction {} moved away stay where they are", transaction.id);
                events.event(&Event::Warning(&text));
            }
            Err(error) => failed.push(error),
        }
    }
    all.freed = true;
    match failed.pop() {
        None => Ok(all),
        Some(last) => {
            failed.iter().for_each(|error| events.event(&Event::Warning(&error.to_string())));
            Err(last)
        }
    }
}

fn stored(context: &Context, which: Which, mode: Mode) -> Result<Stored> {
    let mut all = Stored::default();
    if which.packages
        && let Some(place) = context.cache_folder()?
    {
        let files = Cache::new(place.folder).files().context(|| "cannot list the cache".to_owned())?;
        all.packages = files.into_iter().map(|(file, size)| StoredPackage { file, size }).collect();
    }
    if let Some(state) = context.state_to_read()?.filter(|_| which.history) {
        let rows = context.storage(mode)?.history(history::MOST)?;
        for id in history::kept(&state)? {
            // What cannot be looked at can be freed all the same.
            let kept = history::decision(&state, &id).ok().flatten();
            let size = kept.map_or(0, |kept| history::size(context.target.root(), &kept));
            let row = rows.iter().find(|row| row.id == id);
            all.transactions.push(StoredTransaction {
                command: row.map(|row| row.command.clone()).unwrap_or_default(),
                time: row.map_or(0, |row| row.time),
                id,
                size,
            });
        }
        all.transactions.sort_by_key(|one| std::cmp::Reverse(one.time));
    }
    Ok(all)
}
