//! `list`, `info` and `files`: they only look.

use packets_plugin_api::ident::PackageName;
use packets_plugin_api::storage::{FileRecord, IndexEntry, InstalledPackage};
use serde::Serialize;

use super::Options;
use super::context::{Context, Mode};
use super::gather::Loose;
use crate::error::Result;
use crate::plan::{self, Candidate, Catalogue, Known, Source, Wanted};
use crate::report::{Event, Events};

/// What is known of a package.
#[derive(Debug, Serialize)]
pub struct Information {
    /// What is installed.
    pub installed: Option<InstalledPackage>,
    /// What could be.
    pub available: Option<Shown>,
}

/// The parts of a candidate that people and programs want to know.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "named as in the manifest")]
pub struct Shown {
    pub name: PackageName,
    pub alias: Option<PackageName>,
    pub version: String,
    pub description: String,
    pub requires: Vec<String>,
    pub conflicts: Vec<String>,
    pub provides: Vec<PackageName>,
    pub family: String,
    pub serial: u64,
    pub arch: Option<String>,
    pub size: Option<u64>,
    pub installed_size: Option<u64>,
    pub sha256: Option<String>,
    pub from: Vec<String>,
}

impl From<Candidate> for Shown {
    fn from(candidate: Candidate) -> Self {
        let texts =
            |list: &[packets_plugin_api::requirement::Requirement]| list.iter().map(ToString::to_string).collect();
        Self {
            requires: texts(&candidate.requires),
            conflicts: texts(&candidate.conflicts),
            name: candidate.name,
            alias: candidate.alias,
            version: candidate.version.to_string(),
            description: candidate.description,
            provides: candidate.provides,
            family: candidate.family.to_string(),
            serial: candidate.serial,
            arch: candidate.arch,
            size: candidate.size,
            installed_size: candidate.installed_size,
            sha256: candidate.digest.map(|digest| digest.to_string()),
            from: match candidate.from {
                Source::Index(mirrors) => mirrors,
                Source::Given(path) | Source::Repository(path) => vec![path],
            },
        }
    }
}

/// The paths of an installed package.
#[derive(Debug, Serialize)]
pub struct FilesOf {
    /// The package.
    pub package: PackageName,
    /// By path.
    pub files: Vec<FileRecord>,
}

/// What is installed, by name.
pub fn installed(options: &Options, events: &dyn Events) -> Result<Vec<InstalledPackage>> {
    let context = Context::open(options, Mode::Read, "list", events)?;
    Ok(context.storage(Mode::Read)?.installed()?)
}

/// What can be installed, by name.
pub fn available(options: &Options, events: &dyn Events) -> Result<Vec<Shown>> {
    let context = Context::open(options, Mode::Read, "list", events)?;
    let mut loose = Loose::default();
    let (known, _) = super::install::known(&context, options, &mut loose, events)?;
    let rows: Vec<IndexEntry> = match &known.index {
        Some(index) => index.all()?,
        None => Vec::new(),
    };
    if known.index.is_none() && options.repo.is_none() {
        events.event(&Event::Warning("no index has been synced yet; `packets sync URL` fetches one"));
    }
    let mut all: Vec<Candidate> = known.loose.into_iter().chain(rows.into_iter().map(Candidate::from)).collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(all.into_iter().map(Shown::from).collect())
}

/// What is known of a package, installed or not.
///
/// # Errors
/// Nothing is known of that name.
pub fn info(name: &PackageName, options: &Options, events: &dyn Events) -> Result<Information> {
    let context = Context::open(options, Mode::Read, "info", events)?;
    let storage = context.storage(Mode::Read)?;
    let installed = match storage.package(name)? {
        Some(package) => Some(package),
        None => plan::find_installed(name, &storage.installed()?).ok().cloned(),
    };
    let mut loose = Loose::default();
    let known: Known = match super::install::known(&context, options, &mut loose, events) {
        Ok((known, _)) => known,
        // An installed package can be looked at without any index.
        Err(_) if installed.is_some() => Known::default(),
        Err(error) => return Err(error),
    };
    let available = match &installed {
        Some(package) => known.named(&package.name)?,
        // Also what is for another machine can be looked at.
        None => match known.named(name)? {
            Some(found) => Some(found),
            None => Some(plan::find_goal(name, &known, &Wanted::Highest)?),
        },
    };
    Ok(Information { installed, available: available.map(Shown::from) })
}

/// The paths of an installed package.
///
/// # Errors
/// It is not installed.
pub fn files(name: &PackageName, options: &Options, events: &dyn Events) -> Result<FilesOf> {
    let context = Context::open(options, Mode::Read, "files", events)?;
    let storage = context.storage(Mode::Read)?;
    let package = match storage.package(name)? {
        Some(package) => package.name,
        None => plan::find_installed(name, &storage.installed()?)?.name.clone(),
    };
    Ok(FilesOf { files: storage.files(&package)?, package })
}
