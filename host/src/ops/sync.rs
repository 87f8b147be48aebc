//! `sync`, and the repository that a command uses.

use std::io;
use std::path::{Path, PathBuf};

use packets_hook_runtime::folder::Folder;
use packets_plugin_api::storage::{PackageIndex, StorageError, StorageErrorKind};
use serde::Serialize;

use super::context::{Context, INDEX, Mode};
use super::gather::Loose;
use super::known_index::KnownIndex;
use super::private::PrivateFolder;
use super::{Options, change_config};
use crate::error::{Context as _, Error, Result};
use crate::fetch::{self, FetchedIndex};
use crate::given::{self, Given};
use crate::report::{Event, Events};

/// What it is called in a repository where it is compressed.
const COMPRESSED_INDEX: &str = "index.db.zst";

/// An index that was fetched.
#[derive(Debug, Serialize)]
pub struct Synced {
    /// Where it came from.
    pub from: String,
    /// How many packages it lists.
    pub packages: u64,
    /// Whether it is another one than before; else nothing was fetched.
    pub changed: bool,
}

/// Fetches the newest index, unless its place still has the one that is there; a dry run only looks whether it is one.
/// What is wrong or broken leaves the old one as it was.
///
/// # Errors
/// It cannot be fetched, or is no index.
pub fn sync(location: Option<&str>, options: &Options, events: &dyn Events) -> Result<Synced> {
    let context = Context::open(options, super::install::mode(options).making_root(), "sync", events)?;
    let configured = &context.config.sync.url;
    let location = match location.or(options.repo.as_deref()) {
        Some(location) => index_location(location)?,
        None if configured.is_empty() => {
            return Err(Error::request("cannot sync: the config names no index")
                .hint("`packets sync https://example.org/index.db` fetches that one and remembers it"));
        }
        None => configured.clone(),
    };
    let synced = match options.dry_run {
        Some(_) => look(&context, &location, events)?,
        None => replace(&context, &location, events)?,
    };
    if options.dry_run.is_none() && location != *configured {
        match &options.config {
            None => change_config::change(&context, options, |document| {
                change_config::table(document, "Sync")["url"] = toml_edit::value(&location);
            })?,
            // It may be the config of other roots too.
            Some(file) => {
                let text =
                    format!("the address is not remembered: it would stand in {} as url of [Sync]", file.display());
                events.event(&Event::Warning(&text));
            }
        }
    }
    if options.dry_run.is_none() {
        context.expire_cache(events);
    }
    Ok(synced)
}

fn look(context: &Context, location: &str, events: &dyn Events) -> Result<Synced> {
    let private = PrivateFolder::make()?;
    let fetched = match fetch_unless_known(context, location, private.folder(), events)? {
        Came::New(fetched) => fetched,
        Came::Nothing(synced) => return Ok(synced),
    };
    let path = private.path().join(fetched.name());
    let summary = context.format.verify_index(&path).map_err(|error| unusable(error, location))?;
    Ok(Synced { from: fetch::shown(location), packages: summary.packages, changed: true })
}

fn replace(context: &Context, location: &str, events: &dyn Events) -> Result<Synced> {
    let place = context.index_folder()?;
    let fetched = match fetch_unless_known(context, location, &place.folder, events)? {
        Came::New(fetched) => fetched,
        Came::Nothing(synced) => return Ok(synced),
    };
    let path = context.target.on_machine(&place.path.child(fetched.name())?);
    let summary = context
        .format
        .verify_index(&path)
        .map_err(|error| unusable(error, location).hint("the index that was there stays in use"))?;
    let version = fetched.version().map(str::to_owned);
    fetched.publish(INDEX)?;
    // The index is there: without a word about it the next one is fetched whole.
    let written = version.map(|version| KnownIndex::write(&place.folder, location, version, summary.packages));
    if let Some(Err(error)) = written {
        events.event(&Event::Warning(&error.to_string()));
    }
    Ok(Synced { from: fetch::shown(location), packages: summary.packages, changed: true })
}

/// What came of the place of an index.
enum Came {
    /// An index.
    New(FetchedIndex),
    /// Nothing: the one that is there is still the newest.
    Nothing(Synced),
}

fn fetch_unless_known(context: &Context, location: &str, into: &Folder, events: &dyn Events) -> Result<Came> {
    let fetcher = context.fetcher(Mode::Read, events)?;
    let Some(known) = known(context, location)? else {
        return fetcher.fetch_index(location, into).map(Came::New);
    };
    let unchanged = Synced { from: fetch::shown(location), packages: known.packages, changed: false };
    let fetched = fetcher.fetch_index_unless(&known.version, location, into)?;
    Ok(fetched.map_or(Came::Nothing(unchanged), Came::New))
}

/// What is known of the synced index, where it came from this place and can be used.
fn known(context: &Context, location: &str) -> Result<Option<KnownIndex>> {
    let place = context.target.enter(context.record_folder())?;
    let known = place.and_then(|place| KnownIndex::read(&place.folder, location));
    let file = context.index_file()?;
    Ok(known.filter(|_| context.format.open_index(&file).is_ok()))
}

/// An index that was fetched is not what it should be: told of the place that it came
/// from, for the file that it was in for a moment is gone.
fn unusable(error: StorageError, location: &str) -> Error {
    let nameless =
        StorageError { message: format!("cannot use the index {}", fetch::shown(location)), hint: None, ..error };
    Error::from(nameless)
}

/// The synced index can be had again.
fn fetch_anew(error: StorageError) -> StorageError {
    match error.kind {
        StorageErrorKind::Corrupt => StorageError { hint: Some("`packets sync` fetches it anew".to_owned()), ..error },
        _ => error,
    }
}

/// A folder means the index in it; a path is made absolute, so that it can be remembered.
fn index_location(text: &str) -> Result<String> {
    if text.contains("://") {
        return Ok(text.to_owned());
    }
    let named = || format!("cannot use {text:?} as a place for an index");
    let path = std::path::absolute(text).context(named)?;
    let opened = given::open(&path).map_err(|error| match text.starts_with(['/', '.']) {
        true => error,
        false => error.hint("if it is on the network, its address begins with https:// or http://"),
    })?;
    let path = match opened {
        Given::Folder(folder) => match index_in(&folder).context(named)? {
            Some(name) => path.join(name),
            None => {
                return Err(Error::request(format!("cannot sync from the folder {text}"))
                    .caused_by("there is no index.db in it")
                    .hint(format!("`packets index {text}` makes one of the package files there")));
            }
        },
        Given::File(_) => path,
    };
    path.to_str().map(str::to_owned).ok_or_else(|| Error::request(named()).caused_by("it is not UTF-8"))
}

/// The name of the index of a folder of package files.
fn index_in(folder: &Folder) -> io::Result<Option<&'static str>> {
    for name in [INDEX, COMPRESSED_INDEX] {
        if folder.stat(name)?.is_some() {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

/// The repository that a command installs from.
pub(super) struct Repository {
    pub(super) index: Option<Box<dyn PackageIndex>>,
    /// Where the index came from.
    pub(super) base: String,
}

/// The repository of `--repo`, else the synced index, else nothing.
pub(super) fn open_repository(
    context: &Context,
    options: &Options,
    loose: &mut Loose,
    events: &dyn Events,
) -> Result<Repository> {
    let Some(repo) = &options.repo else {
        let file = context.index_file()?;
        let there = context
            .target
            .enter(&"etc/packets".parse()?)?
            .is_some_and(|place| matches!(place.folder.stat("index.db"), Ok(Some(_))));
        let index = if there { Some(context.format.open_index(&file).map_err(fetch_anew)?) } else { None };
        return Ok(Repository { index, base: context.config.sync.url.clone() });
    };
    if repo.contains("://") && !repo.starts_with("file://") {
        return fetch_repository(context, repo, events);
    }
    let path = PathBuf::from(repo.strip_prefix("file://").unwrap_or(repo));
    let path = std::path::absolute(&path)
        .map_err(|error| Error::request(format!("cannot use the repository {repo:?}")).because(&error))?;
    let index = match given::open(&path)? {
        Given::File(_) => path,
        Given::Folder(folder) => match index_in(&folder).context(|| format!("cannot look into {repo}"))? {
            Some(name) => path.join(name),
            None => {
                loose.add_repository(&folder, &path, events)?;
                return Ok(Repository { index: None, base: String::new() });
            }
        },
    };
    let base = index.display().to_string();
    let named = || format!("cannot use the repository {repo}");
    if let Given::File(file) = given::open(&index)?
        && fetch::is_compressed(file).context(named)?
    {
        return fetch_repository(context, &base, events);
    }
    Ok(Repository { index: Some(context.format.open_index(Path::new(&index))?), base })
}

fn fetch_repository(context: &Context, url: &str, events: &dyn Events) -> Result<Repository> {
    let private = PrivateFolder::make()?;
    let fetched = context.fetcher(Mode::Read, events)?.fetch_index(url, private.folder())?;
    let path = private.path().join(fetched.name());
    let within = |error| unusable(error, url);
    context.format.verify_index(&path).map_err(within)?;
    let index = context.format.open_index(&path).map_err(within)?;
    Ok(Repository { index: Some(index), base: url.to_owned() })
}
