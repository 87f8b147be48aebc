//! Packages that come from the command line or from a folder, without an index.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use packets_hook_runtime::folder::{Folder, Kind};
use packets_plugin_api::ident::{Digest, PackageName};
use rustix::fs::MemfdFlags;

use crate::archive::{self, Bounds, Discard};
use crate::digest;
use crate::error::{Context as _, Error, Result};
use crate::given::{self, Given};
use crate::manifest::{self, Manifest};
use crate::pack;
use crate::plan::{Candidate, Source};
use crate::report::{Event, Events};

/// The ending of package files.
pub(super) const PACKAGE_ENDING: &str = ".tar.zst";

/// The packages that were given, and where their bytes are.
#[derive(Debug, Default)]
pub(super) struct Loose {
    found: Vec<(Candidate, PathBuf)>,
    /// Folders that were packed for their digest, until their bytes are wanted.
    packed: Mutex<BTreeMap<PackageName, File>>,
}

/// Whether a word on the command line is a path and not a name.
pub(super) fn is_path(word: &str) -> bool {
    word.contains('/') || word.ends_with(PACKAGE_ENDING) || word == "."
}

impl Loose {
    /// Takes up a package file or folder that the user named; returns the package's name.
    pub(super) fn add_given(&mut self, path: &Path, events: &dyn Events) -> Result<PackageName> {
        let source = Source::Given(path.display().to_string());
        self.add(path, source, false, events)
    }

    /// Takes up every package in a folder: package files, and folders that hold a manifest.
    pub(super) fn add_repository(&mut self, folder: &Folder, path: &Path, events: &dyn Events) -> Result<()> {
        self.add_all(folder, path, true, events)
    }

    /// Takes up every package file in a folder.
    pub(super) fn add_files(&mut self, folder: &Folder, path: &Path, events: &dyn Events) -> Result<()> {
        self.add_all(folder, path, false, events)
    }

    fn add_all(&mut self, folder: &Folder, path: &Path, folders: bool, events: &dyn Events) -> Result<()> {
        let named = || format!("cannot look through the repository {}", path.display());
        for name in folder.list().context(named)? {
            let Some(text) = name.to_str() else { continue };
            let is_package = match folder.stat(&name).context(named)?.map(|stat| stat.kind) {
                Some(Kind::File) => text.ends_with(PACKAGE_ENDING) && !text.starts_with('.'),
                Some(Kind::Folder) if folders => {
                    folder.open(&name).context(named)?.stat("manifest.toml").context(named)?.is_some()
                }
                _ => false,
            };
            if is_package {
                let path = path.join(text);
                let source = Source::Repository(path.display().to_string());
                self.add(&path, source, !folders, events)?;
            }
        }
        Ok(())
    }

    fn add(&mut self, path: &Path, source: Source, whole: bool, events: &dyn Events) -> Result<PackageName> {
        let within = |error: Error| error.within(format!("cannot use the package {}", path.display()));
        let (manifest, warnings, digest, size) = match given::open(path)? {
            Given::Folder(folder) => {
                let (manifest, warnings) = read_manifest(&folder).map_err(within)?;
                (manifest, warnings, None, None)
            }
            Given::File(file) => {
                let (size, digest) = digest::of_file(&file).context(|| format!("cannot read {}", path.display()))?;
                let (manifest, warnings) = match whole {
                    true => {
                        let bounds = Bounds { compressed: size, installed_size: None, available: None };
                        let summary = archive::read(&file, bounds, &mut Discard).map_err(within)?;
                        (summary.manifest, summary.warnings)
                    }
                    false => archive::read_manifest(&file, size).map_err(within)?,
                };
                (manifest, warnings, Some(digest), Some(size))
            }
        };
        // What is not read to its end here is so when it is unpacked, and warned of there.
        for warning in warnings.iter().filter(|_| whole) {
            events.event(&Event::Warning(&format!("{}: {warning}", path.display())));
        }
        let name = manifest.info.name.clone();
        if let Some((known, other)) = self.found.iter().find(|(candidate, _)| candidate.name == name) {
            // What was given by hand is taken and not what a repository has of that name; given twice, it is taken once.
            let is_shadowed = matches!((&known.from, &source), (Source::Given(_), Source::Repository(_)));
            if is_shadowed || known.from == source {
                return Ok(name);
            }
            return Err(Error::request(format!(
                "{} and {} are both the package {name}",
                other.display(),
                path.display()
            )));
        }
        self.found.push((candidate(manifest, digest, size, source), path.to_owned()));
        Ok(name)
    }

    /// What was found, as candidates.
    pub(super) fn candidates(&self) -> Vec<Candidate> {
        self.found.iter().map(|(candidate, _)| candidate.clone()).collect()
    }

    /// The candidate with its file's digest: a folder is packed for it.
    pub(super) fn complete(&self, candidate: &mut Candidate) -> Result<()> {
        if candidate.digest.is_none() {
            let packed = self.open(&candidate.name)?;
            let (size, digest) = digest::of_file(&packed).context(|| format!("cannot pack {}", candidate.name))?;
            (candidate.digest, candidate.size) = (Some(digest), Some(size));
            self.packed.lock().unwrap_or_else(PoisonError::into_inner).insert(candidate.name.clone(), packed);
        }
        Ok(())
    }

    /// Whether a package is one of these.
    pub(super) fn contains(&self, name: &PackageName) -> bool {
        self.found.iter().any(|(candidate, _)| candidate.name == *name)
    }

    /// The bytes of a package: a folder is packed in memory.
    pub(super) fn open(&self, name: &PackageName) -> Result<File> {
        if let Some(packed) = self.packed.lock().unwrap_or_else(PoisonError::into_inner).remove(name) {
            return Ok(packed);
        }
        let found = self.found.iter().find(|(candidate, _)| candidate.name == *name);
        let (_, path) = found.ok_or_else(|| Error::request(format!("no package {name} was given")))?;
        match given::open(path)? {
            Given::File(file) => Ok(file),
            Given::Folder(folder) => {
                let within = |error: Error| error.within(format!("cannot pack {}", path.display()));
                let mut memory = memory_file().context(|| format!("cannot pack {}", path.display()))?;
                pack::pack(&folder, &mut memory).map_err(within)?;
                Ok(memory)
            }
        }
    }
}

fn memory_file() -> io::Result<File> {
    Ok(rustix::fs::memfd_create("packets-package", MemfdFlags::CLOEXEC)?.into())
}

fn read_manifest(folder: &Folder) -> Result<(Manifest, Vec<String>)> {
    let named = || "cannot read manifest.toml".to_owned();
    if folder.stat("manifest.toml").context(named)?.is_none() {
        return Err(Error::request(named())
            .caused_by("there is none in the folder")
            .hint("a package's folder holds manifest.toml and data/"));
    }
    let file = folder.read("manifest.toml").context(named)?;
    // What is wrong with it is said as of one in an archive.
    let mut bytes = Vec::new();
    file.take(manifest::MAX_SIZE as u64 + 1).read_to_end(&mut bytes).context(named)?;
    Manifest::parse(&bytes)
}

fn candidate(manifest: Manifest, digest: Option<Digest>, size: Option<u64>, from: Source) -> Candidate {
    let info = manifest.info;
    Candidate {
        name: info.name,
        alias: info.alias,
        version: info.version,
        requires: info.dependencies,
        conflicts: info.conflicts,
        provides: info.provides,
        family: info.family,
        serial: info.serial,
        arch: info.arch,
        digest,
        size,
        installed_size: info.installed_size,
        description: info.description,
        from,
    }
}
