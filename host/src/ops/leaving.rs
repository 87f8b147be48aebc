//! Packages that go or are replaced, as they are on record and in their folders.

use packets_hook_runtime::folder::{Folder, Kind};
use packets_hook_runtime::limits;
use packets_plugin_api::hook::HookSource;
use packets_plugin_api::ident::PackageName;
use packets_plugin_api::relpath::RelPath;
use packets_plugin_api::storage::{FileKind, FileRecord, InstalledPackage, Storage};

use crate::cores;
use crate::digest;
use crate::error::{Context as _, Error, Result};
use crate::hook::Leaving;
use crate::manifest::{self, Manifest};
use crate::target::{Target, is_no_folder};

/// Handles of the record at once: each takes a moment to be opened, however many cores there are.
const MOST_READERS: usize = 4;

/// A package that goes, and what replaces it.
pub(super) type Going<'a> = (&'a InstalledPackage, Option<PackageName>);

/// What is known of all of them, in their order; their remove hooks too, where they are wanted.
///
/// # Errors
/// The record or a folder cannot be read; a hook that is not as it was installed.
pub(super) fn all(
    going: &[Going<'_>],
    storage: &dyn Storage,
    target: &Target,
    with_hooks: bool,
) -> Result<Vec<Leaving>> {
    let readers: Vec<_> = match cores::threads_for(going.len()) {
        1 => Vec::new(),
        threads => (0..threads.min(MOST_READERS)).map_while(|_| storage.reader().ok()).collect(),
    };
    if readers.is_empty() {
        return going.iter().map(|one| leaving(one, storage, target, with_hooks)).collect();
    }
    let look = |reader: &mut Box<dyn Storage>, one: &_| leaving(one, reader.as_ref(), target, with_hooks);
    cores::map_with(readers, going, look).into_iter().collect()
}

/// What is on record of a package that goes, and its remove hook, if it is still the one on record.
fn leaving(
    (package, replaced_by): &Going<'_>,
    storage: &dyn Storage,
    target: &Target,
    with_hook: bool,
) -> Result<Leaving> {
    let (package, replaced_by) = (*package, replaced_by.clone());
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
    if digest::of_bytes(&text) != *sha256 {
        return Err(changed(package, &full));
    }
    Ok(Some(text))
}

fn changed(package: &InstalledPackage, path: &RelPath) -> Error {
    Error::integrity(format!("{} is not the file that was installed", path.absolute()))
        .hint(format!("it is not run; `packets remove {} --no-hooks` removes by record alone", package.name))
}
