//! `push`: a folder of package files and its index, put where others fetch them from.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use packets_plugin_api::ident::{Digest, PackageName};
use packets_plugin_api::publish::{How, Publication, PublicationKind, Published, Publisher, Standing};
use serde::Serialize;

use super::Options;
use super::context::{Context, Mode, USER_AGENT};
use super::index::{self, Mirrors};
use crate::digest;
use crate::error::{Context as _, Error, Result};
use crate::given::{self, Given};
use crate::plan::{Candidate, Source};
use crate::report::{Event, Events};

/// The one way to publish, and the table of the config that it shares with the plugin of that name.
const OCI: &str = "oci";
/// What the index is called at the place.
const INDEX: &str = "index";
const WITHOUT_TABLE: &str =
    "the config says where:\n[Plugins.oci.config]\nregistry = \"registry.example.org\"\nrepository = \"team/packages\"";

/// What was pushed, or would be.
#[derive(Debug, Serialize)]
pub struct Pushed {
    /// Where.
    pub to: String,
    /// Whether it was, and not only looked at.
    pub pushed: bool,
    /// The packages.
    pub packages: Vec<PushedPackage>,
    /// Their index.
    pub index: PushedIndex,
    /// The bytes of files that were sent, or would be.
    pub sent: u64,
}

/// A package that was pushed, or would be.
#[derive(Debug, Serialize)]
pub struct PushedPackage {
    /// Its name.
    pub name: PackageName,
    /// Its version.
    pub version: String,
    /// What and where it is now.
    #[serde(flatten)]
    pub file: PushedFile,
}

/// The index that was pushed, or would be.
#[derive(Debug, Serialize)]
pub struct PushedIndex {
    /// The same on this machine.
    pub path: PathBuf,
    /// What and where it is now.
    #[serde(flatten)]
    pub file: PushedFile,
}

/// One file at the place.
#[derive(Debug, Serialize)]
pub struct PushedFile {
    /// Where it can be fetched.
    pub location: String,
    /// Its name there.
    pub tag: String,
    /// Its SHA-256.
    pub sha256: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// `new`, `present` or `replaced`: what stood there under that name.
    pub state: &'static str,
    /// The bytes of it that were sent, or would be.
    pub sent: u64,
}

/// Publishes every package file of a folder and an index that names them there. A dry run only looks what is there.
///
/// # Errors
/// A package that cannot be read; then nothing was sent. The place refuses or breaks off; then what was published stays,
/// and another push goes on from there.
pub fn push(folder: &Path, output: Option<&Path>, options: &Options, events: &dyn Events) -> Result<Pushed> {
    let publisher = publisher(options, events)?;
    let how = if options.dry_run.is_some() { How::Look } else { How::Act };
    let to = publisher.place();
    let candidates = index::gather(folder, "push", events)?;
    let mut packages = Vec::with_capacity(candidates.len());
    for candidate in &candidates {
        packages.push(package(publisher.as_ref(), candidate, how, events)?);
    }
    let mirrors = Mirrors::By(&|digest| publisher.location(digest));
    let target = output.map_or_else(|| folder.join("index.db"), Path::to_owned);
    let written = index::write(&target, candidates, &mirrors)?;
    let file = written.file()?;
    let name = target.file_name().and_then(|name| name.to_str()).unwrap_or("index.db");
    let pushed = publish(publisher.as_ref(), (PublicationKind::Index, INDEX, None, name), &file, how)?;
    if how == How::Act {
        written.keep()?;
    }
    let sent = packages.iter().map(|one| one.file.sent).sum::<u64>() + pushed.sent;
    Ok(Pushed { to, pushed: how == How::Act, packages, index: PushedIndex { path: target, file: pushed }, sent })
}

/// Who publishes, by the plugin's tables of the config.
fn publisher(options: &Options, events: &dyn Events) -> Result<Arc<dyn Publisher>> {
    let failed = || Error::request("cannot push");
    let context = Context::open(options, Mode::Read, "push", events)?;
    let make = context.registry.publish(OCI);
    let make = make.ok_or_else(|| failed().caused_by("this program is built without the registries of images"))?;
    let plugins = context.plugins(true)?;
    let table = plugins
        .tables
        .get(OCI)
        .ok_or_else(|| failed().caused_by(format!("{} names no registry", context.config_name)).hint(WITHOUT_TABLE))?;
    let settings = table.settings(OCI, USER_AGENT).map_err(|error| error.within(failed().message().to_owned()))?;
    make(&settings).map_err(|problem| failed().caused_by(problem).hint(WITHOUT_TABLE))
}

fn package(publisher: &dyn Publisher, candidate: &Candidate, how: How, events: &dyn Events) -> Result<PushedPackage> {
    let Source::Repository(path) = &candidate.from else {
        return Err(Error::request(format!("{} has no package file", candidate.name)));
    };
    let Given::File(file) = given::open(Path::new(path))? else {
        return Err(Error::request(format!("{path} is no package file any more")));
    };
    let version = candidate.version.to_string();
    let file_name = Path::new(path).file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let what = (PublicationKind::Package, candidate.name.as_str(), Some(version.as_str()), file_name);
    let file = publish(publisher, what, &file, how)?;
    if candidate.digest != Some(file.sha256) {
        return Err(Error::integrity(format!("{path} has changed while it was pushed")));
    }
    events.event(&Event::Note(&format!("{} {version}: {}", candidate.name, told(&file, how))));
    Ok(PushedPackage { name: candidate.name.clone(), version, file })
}

fn publish(
    publisher: &dyn Publisher,
    (kind, name, version, file_name): (PublicationKind, &str, Option<&str>, &str),
    file: &File,
    how: How,
) -> Result<PushedFile> {
    let what = || format!("{name}{}", version.map(|version| format!(" {version}")).unwrap_or_default());
    let (size, digest) = digest::of_file(file).context(|| format!("cannot read {file_name}"))?;
    let published = publisher.publish(&Publication { kind, name, version, file_name, digest, size, file }, how);
    let Published { tag, standing, sent } = published.map_err(|error| {
        Error::from(error)
            .within(format!("cannot push {} to {}", what(), publisher.place()))
            .hint("what has been pushed stays; another push goes on from there")
    })?;
    let state = match standing {
        Standing::New => "new",
        Standing::Present => "present",
        Standing::Replaced => "replaced",
    };
    Ok(PushedFile { location: publisher.location(&digest), tag, sha256: digest, size, state, sent })
}

fn told(file: &PushedFile, how: How) -> String {
    let sent = if file.sent > 0 { format!(", {} bytes", file.sent) } else { String::new() };
    let verb = if how == How::Act { "is" } else { "would be" };
    match file.state {
        "new" => format!("{verb} there now as {}{sent}", file.tag),
        "replaced" => format!("{verb} in the place of another file as {}{sent}", file.tag),
        _ => format!("was there already as {}", file.tag),
    }
}
