//! `pack`.

use std::path::{Path, PathBuf};

use packets_hook_runtime::folder::{Folder, Rename};
use packets_hook_runtime::limits;
use packets_plugin_api::hook::HookSource;
use packets_plugin_api::ident::{Digest, PackageName};
use packets_plugin_api::version::Version;
use serde::Serialize;

use super::Options;
use crate::config::Sandbox;
use crate::digest;
use crate::error::{Context as _, Error, ErrorKind, Result};
use crate::given::{self, Given};
use crate::hook::Runners;
use crate::manifest::Manifest;
use crate::pack::PackSummary;
use crate::report::{Event, Events};

/// A package file that was made.
#[derive(Debug, Serialize)]
pub struct Packed {
    /// Where it is.
    pub file: PathBuf,
    /// The package's name.
    pub name: PackageName,
    /// Its version.
    pub version: Version,
    /// In bytes.
    pub size: u64,
    /// Of the file.
    pub sha256: Digest,
    /// How many files are in it.
    pub files: u64,
}

/// Makes a package file from a folder. Its hooks must parse. A dry run leaves no file.
///
/// # Errors
/// What is wrong with the folder; then no file is made.
pub fn pack(folder: &Path, output: Option<&Path>, options: &Options, events: &dyn Events) -> Result<Packed> {
    let source = match given::open(folder)? {
        Given::Folder(source) => source,
        Given::File(_) => {
            return Err(Error::request(format!("cannot pack {}", folder.display())).caused_by("it is not a folder"));
        }
    };
    let within = |error: Error| error.within(format!("cannot pack {}", folder.display()));
    let (place, temporary) = {
        let (place, _) = given::split(output.unwrap_or(Path::new("package")))?;
        (place, format!(".packets-{}", crate::durable::random_name().context(|| "cannot get random bytes".to_owned())?))
    };
    let mut file = place.create(&temporary, 0o644).context(|| match output {
        Some(output) => format!("cannot write {}", output.display()),
        None => "cannot write the package file in this folder".to_owned(),
    })?;
    let made = (|| -> Result<(PackSummary, Digest, u64)> {
        let summary = crate::pack::pack(&source, &mut file)?;
        check_hooks(&source, &summary.manifest)?;
        let (size, digest) = digest::of_file(&file).context(|| "cannot read the package file".to_owned())?;
        file.sync_all().context(|| "cannot write the package file".to_owned())?;
        Ok((summary, digest, size))
    })();
    let (summary, sha256, size) = match made {
        Ok(made) => made,
        Err(error) => {
            let _ = place.remove_file(&temporary);
            return Err(within(error));
        }
    };
    let info = &summary.manifest.info;
    let target =
        output.map_or_else(|| PathBuf::from(format!("{}-{}.pkt.tar.zst", info.name, info.version)), Path::to_owned);
    let (place, name) = given::split(&target)?;
    let finished = match options.dry_run {
        Some(_) => place.remove_file(&temporary),
        None => place.rename(&temporary, &place, &name, Rename::Replace),
    };
    if finished.is_err() {
        let _ = place.remove_file(&temporary);
    }
    finished.context(|| format!("cannot write {}", target.display()))?;
    for warning in &summary.warnings {
        events.event(&Event::Warning(warning));
    }
    Ok(Packed {
        file: target,
        name: info.name.clone(),
        version: info.version.clone(),
        size,
        sha256,
        files: summary.files,
    })
}

/// A hook that does not parse is found here and not on somebody's machine.
fn check_hooks(source: &Folder, manifest: &Manifest) -> Result<()> {
    let registry = crate::builtin::registry().map_err(|error| Error::new(ErrorKind::Bug, error.to_string()))?;
    let sandbox = Sandbox::default();
    let runners = Runners::new(&registry, &sandbox);
    for name in [&manifest.hooks.install, &manifest.hooks.remove].into_iter().flatten() {
        let named = || format!("cannot read the hook {name}");
        let folder = source.walk(&name.parent().unwrap_or_default()).context(named)?;
        let file = folder.read(name.file_name().unwrap_or_default()).context(named)?;
        let text = given::text_of(file, limits::SCRIPT).context(named)?.into_bytes();
        let hook = HookSource { name: name.clone(), text };
        runners
            .for_hook(&hook)?
            .check(&hook)
            .map_err(|error| Error::from(error).within(format!("the hook {name} does not parse")))?;
    }
    Ok(())
}
