//! `remove`.

use std::time::Instant;

use packets_hook_runtime::folder::{Folder, Kind};
use packets_hook_runtime::limits;
use packets_plugin_api::hook::HookSource;
use packets_plugin_api::ident::PackageName;
use packets_plugin_api::relpath::RelPath;
use packets_plugin_api::storage::{FileKind, FileRecord, InstalledPackage, Storage};

use super::context::Context;
use super::gather::Loose;
use super::install::mode;
use super::transaction::Transaction;
use super::{Options, Outcome, RemoveRequest, relocate};
use crate::digest;
use crate::error::{Context as _, Error, Result};
use crate::hook::Leaving;
use crate::manifest::{self, Manifest};
use crate::plan;
use crate::report::{Event, Events};
use crate::target::{Target, is_no_folder};

/// Removes packages with all that they and their hooks made.
///
/// # Errors
/// Any kind; then nothing has changed.
pub fn remove(request: &RemoveRequest, options: &Options, events: &dyn Events) -> Result<Outcome> {
    let started = Instant::now();
    let context = Context::open(options, mode(options), "remove", events)?;
    let mut storage = context.storage(mode(options))?;
    let installed = relocate::installed(&context, options, storage.as_mut(), events)?;
    let plan = plan::removal(&request.packages, &installed, request.cascade)?;
    events.event(&Event::Stage { name: "plan", took: started.elapsed() });
    let work = Transaction {
        run_remove_hooks: request.hooks,
        purge: request.purge,
        ..Transaction::new(&context, &installed, options, events)?
    };
    work.carry_out(plan, &Loose::default(), "", storage, &installed, started)
}

/// What is on record of a package that goes, and its remove hook, if it is still the one on record.
pub(super) fn leaving(
    package: &InstalledPackage,
    replaced_by: Option<PackageName>,
    storage: &dyn Storage,
    target: &Target,
    with_hook: bool,
) -> Result<Leaving> {
    let files = storage.files(&package.name)?;
    let mut leaving = Leaving { package: package.clone(), files, manifest: None, hook: None, replaced_by };
    let folder = match target.root().walk(&package.folder) {
        Ok(folder) => folder,
        // Somebody took it away by hand, or put something else there: what is left is on record.
        Err(error) if is_no_folder(&error) => return Ok(leaving),
        Err(error) => return Err(error).context(|| format!("cannot open {}", package.folder.absolute())),
    };
    if !with_hook || leaving.replaced_by.is_some() {
        return Ok(leaving);
    }
    let manifest_path: RelPath = manifest::FILE_NAME.parse()?;
    if let Some(text) = read_recorded(&folder, package, &leaving.files, &manifest_path, manifest::MAX_SIZE as u64)? {
        let (parsed, _) = Manifest::parse(&text)?;
        if let Some(name) = &parsed.hooks.remove {
            let text = read_recorded(&folder, package, &leaving.files, name, limits::SCRIPT)?;
            leaving.hook = text.map(|text| HookSource { name: name.clone(), text });
        }
        leaving.manifest = Some(parsed);
    }
    Ok(leaving)
}

/// The bytes of a file in a package's folder, if they are those on record; none where it is gone.
fn read_recorded(
    folder: &Folder,
    package: &InstalledPackage,
    files: &[FileRecord],
    path: &RelPath,
    most: u64,
) -> Result<Option<Vec<u8>>> {
    let full = package.folder.join(path)?;
    let named = || format!("cannot read {}", full.absolute());
    let Some(FileKind::File { sha256, .. }) = files.iter().find(|file| file.path == full).map(|file| &file.kind) else {
        return Ok(None);
    };
    let parent = folder.walk(&path.parent().unwrap_or_default()).context(named)?;
    let name = path.file_name().unwrap_or_default();
    match parent.stat(name).context(named)? {
        None => return Ok(None),
        Some(stat) if stat.kind == Kind::File && stat.size <= most => {}
        Some(_) => return Err(changed(package, &full)),
    }
    let mut text = Vec::new();
    std::io::Read::read_to_end(&mut std::io::Read::take(parent.read(name).context(named)?, most + 1), &mut text)
        .context(named)?;
    if digest::of(text.as_slice()).context(named)? != *sha256 {
        return Err(changed(package, &full));
    }
    Ok(Some(text))
}

fn changed(package: &InstalledPackage, path: &RelPath) -> Error {
    Error::integrity(format!("{} is not the file that was installed", path.absolute()))
        .hint(format!("it is not run; `packets remove {} --no-hooks` removes by record alone", package.name))
}
