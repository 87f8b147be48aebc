//! `relocate`, and the same when a command finds that `dataDir` is another folder now: the installed packages move there.

use std::time::{Duration, Instant};

use packets_hook_runtime::folder::Kind;
use packets_plugin_api::ident::PackageName;
use packets_plugin_api::relpath::RelPath;
use packets_plugin_api::storage::{FileKind, InstalledPackage, MadeBy, Storage, TransactionRow};
use packets_plugin_api::version::Version;
use serde::Serialize;

use super::context::{Context, Mode};
use super::ground::on_ground;
use super::install::mode;
use super::transaction::{new_id, now};
use super::{Options, change_config, room};
use crate::commit::{self, About, Moved, Relocation};
use crate::error::{Context as _, Result};
use crate::report::{Event, Events};
use crate::target::is_no_folder;

const COMMAND: &str = "relocate";
/// Bytes of a file that is looked through for the name of a folder that has moved.
const LARGEST_TEXT: u64 = 1 << 20;

/// What was moved, or would be.
#[derive(Debug, Serialize)]
pub struct Relocations {
    /// The folder of packages.
    pub to: RelPath,
    /// The packages.
    pub packages: Vec<RelocatedPackage>,
    /// Links elsewhere that lead to where the packages are now.
    pub links: Vec<RelPath>,
    /// Whether anything was changed.
    pub committed: bool,
    /// How long it took.
    #[serde(skip)]
    pub took: Duration,
}

/// A package that was moved.
#[derive(Debug, Serialize)]
pub struct RelocatedPackage {
    /// Its name.
    pub name: PackageName,
    /// Its version.
    pub version: Version,
    /// Where its folder was.
    pub from: RelPath,
    /// Where it is.
    pub to: RelPath,
}

/// Moves the installed packages into `dataDir`, and the links that hooks made with them.
///
/// # Errors
/// Any kind; then nothing has changed.
pub fn relocate(options: &Options, events: &dyn Events) -> Result<Relocations> {
    let started = Instant::now();
    let context = Context::open(options, mode(options), COMMAND, events)?;
    let mut storage = context.storage(mode(options))?;
    let outside = outside(&context, &storage.installed()?, Some(events))?;
    let changes_something = options.dry_run.is_none();
    let moved = match changes_something && !outside.is_empty() {
        true => carry_out(&context, &outside, storage.as_mut(), events)?,
        false => relocations(&context, &outside, Vec::new()),
    };
    if changes_something {
        remember(&context, options, events);
    }
    Ok(Relocations { took: started.elapsed(), ..moved })
}

/// What is installed, once it was asked whether packages that are not in `dataDir` should move there. Where nobody says
/// yes they stay where they are, and can be used as before.
///
/// # Errors
/// They cannot be moved; then nothing has changed.
pub(super) fn installed(
    context: &Context,
    options: &Options,
    storage: &mut dyn Storage,
    events: &dyn Events,
) -> Result<Vec<InstalledPackage>> {
    let installed = storage.installed()?;
    if mode(options) == Mode::Read {
        return Ok(installed);
    }
    let outside = outside(context, &installed, None)?;
    if outside.is_empty() {
        remember(context, options, events);
        return Ok(installed);
    }
    let data = context.data.absolute();
    let (are, them) = match outside.as_slice() {
        [one] => (format!("{} is", one.package.name), "it"),
        many => (format!("{} packages are", many.len()), "them"),
    };
    let from = folders(&outside);
    if !events.confirm(&format!("{are} in {from}, and dataDir is {data} now. Move {them} there?")) {
        let text = format!("{are} in {from}, not in {data}, and can be used there; `packets {COMMAND}` moves {them}");
        events.event(&Event::Warning(&text));
        return Ok(installed);
    }
    carry_out(context, &outside, storage, events)?;
    events.event(&Event::Note(&format!("moved {} to {data}", count(outside.len(), "package"))));
    remember(context, options, events);
    Ok(storage.installed()?)
}

/// The number of things, and what they are.
fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// The folders of packages that they are in.
fn folders(outside: &[Relocation]) -> String {
    let mut folders: Vec<String> =
        outside.iter().filter_map(|one| one.package.folder.parent()).map(|path| path.absolute()).collect();
    folders.sort();
    folders.dedup();
    folders.join(" and ")
}

/// The packages that are not in `dataDir`. Of one whose folder is gone, or is something else by now, only the administrator
/// knows what should become: it stays, and `events` are told.
fn outside(context: &Context, installed: &[InstalledPackage], events: Option<&dyn Events>) -> Result<Vec<Relocation>> {
    let mut outside = Vec::new();
    for package in installed {
        if package.folder.is_root() || package.folder.parent().as_ref() == Some(&context.data) {
            continue;
        }
        let named = || format!("cannot look at {}", package.folder.absolute());
        match context.target.root().walk(&package.folder) {
            Err(error) if is_no_folder(&error) => {
                let text = format!("{} stays: {} is no folder any more", package.name, package.folder.absolute());
                events.inspect(|events| events.event(&Event::Warning(&text)));
            }
            walked => {
                walked.context(named)?;
                outside.push(Relocation { package: package.clone(), to: context.data.child(package.name.as_str())? });
            }
        }
    }
    Ok(outside)
}

fn relocations(context: &Context, packages: &[Relocation], links: Vec<RelPath>) -> Relocations {
    let package = |one: &Relocation| RelocatedPackage {
        name: one.package.name.clone(),
        version: one.package.version.clone(),
        from: one.package.folder.clone(),
        to: one.to.clone(),
    };
    Relocations {
        to: context.data.clone(),
        packages: packages.iter().map(package).collect(),
        links,
        committed: false,
        took: Duration::ZERO,
    }
}

fn carry_out(
    context: &Context,
    outside: &[Relocation],
    storage: &mut dyn Storage,
    events: &dyn Events,
) -> Result<Relocations> {
    let about = About { id: new_id()?, command: COMMAND, time: now() };
    let line = |one: &Relocation| {
        let InstalledPackage { name, version, folder, .. } = &one.package;
        format!("move {name} {version} from {} to {}", folder.absolute(), one.to.absolute())
    };
    let transaction = TransactionRow {
        id: about.id.clone(),
        time: about.time,
        command: about.command.to_owned(),
        summary: outside.iter().map(line).collect(),
        origins: Vec::new(),
        undoes: None,
    };
    let moved = paths(context, outside)?;
    let data = context.target.enter_or_make(&context.data, 0o755)?;
    room::for_moving(context, &data, outside.iter().map(|one| &one.package))?;
    let done = on_ground(context, &about, |ground| commit::relocate(ground, outside, &moved, transaction, storage))?;
    for warning in &done.warnings {
        events.event(&Event::Warning(warning));
    }
    tell_of_mentions(context, outside, storage, events);
    context.expire_history(storage, about.time, events);
    Ok(Relocations { committed: true, ..relocations(context, outside, done.links) })
}

/// By which paths links lead to the packages' folders: as the config writes them, and without links on the way.
fn paths(context: &Context, outside: &[Relocation]) -> Result<Vec<Moved>> {
    let base = &context.config.base;
    let last = context.target.canonical(&base.last_data_dir.0)?;
    let mut moved = Vec::new();
    for one in outside {
        let from = &one.package.folder;
        moved.push(Moved { from: from.clone(), to: one.to.clone() });
        if let (Some(above), Some(name)) = (from.parent(), from.file_name())
            && above == last
            && above != base.last_data_dir.0
        {
            let to = base.data_dir.0.child(one.package.name.as_str())?;
            moved.push(Moved { from: base.last_data_dir.0.child(name)?, to });
        }
    }
    Ok(moved)
}

/// Files that hooks wrote stay as they are: what in them names a folder that has moved only a person can judge. It has
/// happened already: what cannot be read says nothing.
fn tell_of_mentions(context: &Context, moved: &[Relocation], storage: &dyn Storage, events: &dyn Events) {
    for one in moved {
        let name = format!("{}/", one.package.folder.absolute());
        for file in storage.files(&one.package.name).unwrap_or_default() {
            let is_text = matches!(file.kind, FileKind::File { size, .. } if size <= LARGEST_TEXT);
            let is_elsewhere = file.made_by == MadeBy::Hook && !file.path.starts_with(&one.to);
            if is_text && is_elsewhere && mentions(context, &file.path, &name) {
                let text = format!("{} of {} still names {name}", file.path.absolute(), one.package.name);
                events.event(&Event::Warning(&text));
            }
        }
    }
}

/// Whether a file holds a text.
fn mentions(context: &Context, path: &RelPath, text: &str) -> bool {
    let read = || {
        let parent = context.target.root().walk(&path.parent().unwrap_or_default())?;
        let name = path.file_name().unwrap_or_default();
        if parent.stat(name)?.is_none_or(|stat| stat.kind != Kind::File || stat.size > LARGEST_TEXT) {
            return Ok(Vec::new());
        }
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut std::io::Read::take(parent.read(name)?, LARGEST_TEXT), &mut bytes)?;
        std::io::Result::Ok(bytes)
    };
    let bytes = read().unwrap_or_default();
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

/// Writes down that all packages are in `dataDir`; not into a config that `--config` names: it may be that of other roots
/// too. Where that fails the next run does it: the record says where packages are.
fn remember(context: &Context, options: &Options, events: &dyn Events) {
    let base = &context.config.base;
    if base.last_data_dir == base.data_dir || options.config.is_some() {
        return;
    }
    let written = change_config::change(context, options, |document| {
        change_config::table(document, "Config")["lastDataDir"] = toml_edit::value(base.data_dir.0.absolute());
    });
    if let Err(error) = written {
        events.event(&Event::Warning(&error.to_string()));
    }
}
