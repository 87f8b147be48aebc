//! `plugin`: approving, listing, trying and forgetting places to fetch from that come from files.

use std::path::{Path, PathBuf};

use packets_hook_runtime::folder::Folder;
use packets_plugin_api::ident::Digest;
use serde::Serialize;

use super::context::{Context, Mode, own_sources};
use super::{Options, change_config};
use crate::config::{AbsolutePath, Config, Plugins};
use crate::error::{Context as _, Error, Result};
use crate::given::{self, Given};
use crate::plugin::{self, Installed, Library, PluginSource, PluginTable, Sidecar};
use crate::report::Events;

/// The folder beside the plugins in which one is tried; no plugin can have this name.
const TRIAL: &str = ".trial";

/// What is known of a plugin without running it.
#[derive(Debug, Serialize)]
pub struct PluginInformation {
    /// Its name.
    pub name: String,
    /// What it says of itself.
    pub description: Option<String>,
    /// Its own version.
    pub version: Option<String>,
    /// The version of the ABI that it is built for.
    pub abi: Option<String>,
    /// The library that was approved.
    pub sha256: Option<Digest>,
    /// Where it is.
    pub folder: PathBuf,
    /// Whether `Fetch.sources` names it.
    pub used: bool,
    /// Why it would not be loaded.
    pub problem: Option<String>,
    /// `approved`, `removed`, `used` or `off`.
    pub state: &'static str,
}

/// A place and what must be there.
#[derive(Debug)]
pub struct Question {
    /// The place.
    pub location: String,
    /// The same file on this machine.
    pub file: PathBuf,
}

/// A plugin that has kept its promises.
#[derive(Debug, Serialize)]
pub struct CheckedPlugin {
    /// Its name.
    pub name: String,
    /// What its library says.
    pub version: String,
    /// What was tried.
    pub shown: Vec<String>,
    /// What its worker could not give up on this machine.
    pub kept: Vec<String>,
}

/// Lists the plugins that the config names.
///
/// # Errors
/// The config cannot be read.
pub fn plugin_list(options: &Options, events: &dyn Events) -> Result<Vec<PluginInformation>> {
    let context = Context::open(options, Mode::Read, "plugin list", events)?;
    let plugins = context.plugins(true)?;
    Ok(plugins.tables.keys().map(|name| describe(&plugins, &context.config, name)).collect())
}

/// What is known of one.
///
/// # Errors
/// The config has no such plugin.
pub fn plugin_info(name: &str, options: &Options, events: &dyn Events) -> Result<PluginInformation> {
    let context = Context::open(options, Mode::Read, "plugin info", events)?;
    let plugins = context.plugins(true)?;
    find(&plugins, name)?;
    Ok(describe(&plugins, &context.config, name))
}

/// Checks a library, copies it into the plugins' folder, and approves it in the config.
///
/// # Errors
/// Whatever is wrong with it; then nothing has changed. Where the config cannot be written, the copy is there, and not
/// approved.
pub fn plugin_add(library: &Path, options: &Options, events: &dyn Events) -> Result<PluginInformation> {
    let failed = || format!("cannot add the plugin {}", library.display());
    let (sidecar, checked) = read(library).map_err(|error| error.within(failed()))?;
    let name = sidecar.name.clone();
    let context = Context::open(options, Mode::Write { make_root: false }, "plugin add", events)?;
    let shipped = own_sources(&context.registry).any(|shipped| shipped == name);
    if shipped {
        return Err(Error::request(failed()).caused_by(format!("a source with the name {name} is built in")));
    }
    may_change(&context, &failed)?;
    let mut plugins = context.config.plugins.clone();
    let mut pinned = plugins.tables.remove(&name).unwrap_or_default();
    pinned.sha256 = Some(checked.digest);
    let copied = Sidecar { sha256: Some(checked.digest), ..sidecar };
    let (dir, digest) = (plugins.dir.0.clone(), checked.digest);
    plugins.tables.insert(name.clone(), PluginTable { sha256: Some(digest), ..pinned });
    try_out(&plugins, &copied, &checked).map_err(|error| error.within(failed()))?;
    plugin::place(&dir, &name, &copied, &checked).map_err(|error| error.within(failed()))?;
    change_config::change(&context, options, |document| {
        table_of(document, &name)["sha256"] = toml_edit::value(digest.to_string());
        use_source(document, &context.config, &name);
    })?;
    let mut config = context.config.clone();
    config.fetch.sources.push(name.clone());
    Ok(PluginInformation { state: "approved", ..describe(&plugins, &config, &name) })
}

/// Runs it before anything approves it, and before it takes the place of one that was approved: from a folder of its own.
fn try_out(plugins: &Plugins, sidecar: &Sidecar, library: &Library) -> Result<()> {
    let dir = &plugins.dir.0;
    let trial = Plugins { dir: AbsolutePath(dir.child(TRIAL)?), ..plugins.clone() };
    let tried = plugin::place(&trial.dir.0, &sidecar.name, sidecar, library).and_then(|()| {
        let source = PluginSource::new(find(&trial, &sidecar.name)?, super::context::USER_AGENT);
        source.ready().map(|_| ()).map_err(Error::from)
    });
    // What a failure leaves is approved by nothing, and goes with the next trial.
    let _ = Folder::open_ambient(&Path::new("/").join(dir.as_str())).and_then(|folder| folder.remove_tree(TRIAL));
    tried
}

/// Forgets a plugin and deletes its files.
///
/// # Errors
/// The config has no such plugin, or cannot be written.
pub fn plugin_remove(name: &str, options: &Options, events: &dyn Events) -> Result<PluginInformation> {
    let context = Context::open(options, Mode::Write { make_root: false }, "plugin remove", events)?;
    may_change(&context, &|| format!("cannot remove the plugin {name}"))?;
    let plugins = context.config.plugins.clone();
    find(&plugins, name)?;
    let known = describe(&plugins, &context.config, name);
    change_config::change(&context, options, |document| {
        if let Some(all) = document.get_mut("Plugins").and_then(toml_edit::Item::as_table_like_mut) {
            all.remove(name);
        }
        if let Some(sources) =
            document.get_mut("Fetch").and_then(|fetch| fetch.get_mut("sources")).and_then(toml_edit::Item::as_array_mut)
        {
            sources.retain(|source| source.as_str() != Some(name));
        }
    })?;
    let dir = Path::new("/").join(plugins.dir.0.as_str());
    if let Ok(folder) = Folder::open_ambient(&dir) {
        folder.remove_tree(name).context(|| format!("cannot delete {}", dir.join(name).display()))?;
    }
    Ok(PluginInformation { state: "removed", used: false, problem: None, ..known })
}

/// Runs a plugin and sees whether it keeps its promises.
///
/// # Errors
/// The promise that it does not keep.
pub fn plugin_check(
    name: &str,
    question: Option<&Question>,
    options: &Options,
    events: &dyn Events,
) -> Result<CheckedPlugin> {
    let context = Context::open(options, Mode::Read, "plugin check", events)?;
    let installed = find(&context.plugins(true)?, name)?;
    let source = PluginSource::new(installed, super::context::USER_AGENT);
    let (version, kept) = source.ready()?;
    let failed =
        |problem: String| Error::request(format!("the plugin {name} does not keep its promises")).caused_by(problem);
    let mut shown = plugin::check::of_texts(&source).map_err(failed)?;
    if let Some(Question { location, file }) = question {
        let Given::File(file) = given::open(file)? else {
            return Err(Error::request(format!("cannot read {}", file.display())).caused_by("it is a folder"));
        };
        shown.extend(plugin::check::of_bytes(&source, location, &file).map_err(failed)?);
    }
    Ok(CheckedPlugin { name: name.to_owned(), version, shown, kept })
}

fn find(plugins: &Plugins, name: &str) -> Result<Installed> {
    Installed::of(plugins, name).ok_or_else(|| {
        let names: Vec<&str> = plugins.tables.keys().map(String::as_str).collect();
        let error = Error::request(format!("the config has no plugin {name:?}"));
        if names.is_empty() { error } else { error.hint(format!("it has {}", names.join(", "))) }
    })
}

fn describe(plugins: &Plugins, config: &Config, name: &str) -> PluginInformation {
    let folder = Path::new("/").join(plugins.dir.0.as_str()).join(name);
    let used = config.fetch.sources.iter().any(|source| source == name);
    let state = if used { "used" } else { "off" };
    let mut known = PluginInformation {
        name: name.to_owned(),
        description: None,
        version: None,
        abi: None,
        sha256: None,
        folder,
        used,
        problem: None,
        state,
    };
    let Some(installed) = Installed::of(plugins, name) else {
        known.problem = Some("its name is not 1 to 32 of a-z, 0-9 and '-'".to_owned());
        return known;
    };
    known.sha256 = installed.table.sha256;
    let problem = |error: Error| error.causes().last().cloned().unwrap_or_else(|| error.message().to_owned());
    match installed.sidecar() {
        Ok(sidecar) => {
            (known.description, known.version, known.abi) = (sidecar.description, sidecar.version, Some(sidecar.abi));
            known.problem = installed.look_at().err().map(problem);
        }
        Err(error) => known.problem = Some(problem(error)),
    }
    known
}

/// The library that the user named and the `plugin.toml` beside it.
fn read(library: &Path) -> Result<(Sidecar, Library)> {
    let beside = library.with_file_name(plugin::sidecar::FILE_NAME);
    let text = given::read_text(&beside, plugin::limits::SIDECAR)?;
    let sidecar = Sidecar::parse(&text, &beside.display().to_string())?;
    let Given::File(file) = given::open(library)? else {
        return Err(Error::request(format!("{} is a folder", library.display())));
    };
    let checked = Library::read(file)?;
    if sidecar.sha256.is_some_and(|said| said != checked.digest) {
        let problem = format!("{} names another SHA-256 than {}", beside.display(), checked.digest);
        return Err(Error::integrity("the library is not the one of its plugin.toml").caused_by(problem));
    }
    Ok((sidecar, checked))
}

fn may_change(context: &Context, failed: &dyn Fn() -> String) -> Result<()> {
    if context.may_name_plugins() {
        return Ok(());
    }
    Err(Error::request(failed())
        .caused_by("the config below --root never names code that this system runs")
        .hint("without --root it is the running system's config; --config names another file"))
}

fn table_of<'a>(document: &'a mut toml_edit::DocumentMut, name: &str) -> &'a mut toml_edit::Item {
    let all = change_config::table(document, "Plugins");
    if all.get(name).is_none() {
        all[name] = toml_edit::table();
    }
    &mut all[name]
}

fn use_source(document: &mut toml_edit::DocumentMut, config: &Config, name: &str) {
    let sources = &config.fetch.sources;
    if sources.iter().any(|source| source == name) {
        return;
    }
    let all: toml_edit::Array = sources.iter().map(String::as_str).chain([name]).collect();
    change_config::table(document, "Fetch")["sources"] = toml_edit::value(all);
}
