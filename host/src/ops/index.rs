//! `index`: from a folder of package files to an index.db.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use packets_plugin_api::ident::Digest;
use packets_plugin_api::storage::IndexEntry;
use serde::Serialize;

use super::Options;
use super::context::storage_format;
use super::gather::{Loose, PACKAGE_ENDING};
use crate::archive;
use crate::error::{Context as _, Error, Result};
use crate::given::{self, Given};
use crate::plan::{Candidate, Source};
use crate::report::{Event, Events};
use packets_hook_runtime::folder::{Folder, Rename};

/// The end of the name of an index that is compressed.
const COMPRESSED: &str = ".zst";
/// Made once and fetched by every machine, so it may take more time than zstd's own 3.
const LEVEL: i32 = 12;

/// An index that was made.
#[derive(Debug, Serialize)]
pub struct Indexed {
    /// Where it is.
    pub file: PathBuf,
    /// How many packages it lists.
    pub packages: usize,
}

/// Makes the index of a folder of package files. Rows are numbered by family, then
/// the manifest's serial, then the version. A dry run leaves no index. One whose name ends with `.zst` is compressed.
///
/// # Errors
/// A package that cannot be read; then an index that is there stays as it is.
pub fn index(
    folder: &Path,
    output: Option<&Path>,
    urls: &[String],
    options: &Options,
    events: &dyn Events,
) -> Result<Indexed> {
    let candidates = gather(folder, "index", events)?;
    let packages = candidates.len();
    let target = output.map_or_else(|| folder.join("index.db"), Path::to_owned);
    let mirrors = if urls.is_empty() { Mirrors::Beside } else { Mirrors::Below(urls) };
    let written = write(&target, candidates, &mirrors)?;
    if options.dry_run.is_none() {
        written.keep()?;
    }
    Ok(Indexed { file: target, packages })
}

/// Where an index says that files are.
pub(super) enum Mirrors<'a> {
    /// Beside it.
    Beside,
    /// Below each of these URLs.
    Below(&'a [String]),
    /// Where the digest leads to.
    By(&'a dyn Fn(&Digest) -> String),
}

/// The packages of a folder in the order of an index, each read to its end.
pub(super) fn gather(folder: &Path, verb: &str, events: &dyn Events) -> Result<Vec<Candidate>> {
    let Given::Folder(source) = given::open(folder)? else {
        return Err(Error::request(format!("cannot {verb} {}", folder.display())).caused_by("it is not a folder"));
    };
    let mut loose = Loose::default();
    loose.add_files(&source, folder, events)?;
    let mut candidates = loose.candidates();
    if candidates.is_empty() {
        let text = format!("no package file (*{PACKAGE_ENDING}) is in {}; `packets pack` makes them", folder.display());
        events.event(&Event::Warning(&text));
    }
    candidates.sort_by(|a, b| {
        let key = |one: &Candidate| (one.family.clone(), one.serial);
        key(a).cmp(&key(b)).then_with(|| a.version.cmp(&b.version)).then_with(|| a.name.cmp(&b.name))
    });
    Ok(candidates)
}

/// An index beside its place; it goes when it is not kept.
pub(super) struct Written {
    place: Folder,
    temporary: String,
    target: PathBuf,
    name: String,
}

/// Writes an index that will be `target`, compressed where that name says so.
pub(super) fn write(target: &Path, candidates: Vec<Candidate>, mirrors: &Mirrors<'_>) -> Result<Written> {
    let entries = candidates.into_iter().map(|candidate| entry(candidate, mirrors)).collect::<Result<Vec<_>>>()?;
    let (place, name) = given::split(target)?;
    let temporary =
        format!(".packets-{}", crate::durable::random_name().context(|| "cannot get random bytes".to_owned())?);
    let path = target.with_file_name(&temporary);
    let named = || format!("cannot write {}", target.display());
    // Where nothing can be written, this says it better than the database does.
    place.create(&temporary, 0o644).and_then(|_| place.remove_file(&temporary)).context(named)?;
    let written = Written { place, temporary, target: target.to_owned(), name };
    storage_format()?.write_index(&path, &entries).map_err(Error::from)?;
    if written.name.ends_with(COMPRESSED) {
        compress(&written.place, &written.temporary).context(named)?;
    }
    Ok(written)
}

impl Written {
    /// Its bytes.
    pub(super) fn file(&self) -> Result<File> {
        self.place.read(&self.temporary).context(|| format!("cannot read {}", self.target.display()))
    }

    /// Puts it in its place.
    pub(super) fn keep(self) -> Result<()> {
        let named = || format!("cannot write {}", self.target.display());
        self.place.rename(&self.temporary, &self.place, &self.name, Rename::Replace).context(named)
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        // What has been kept has another name.
        let _ = self.place.remove_file(&self.temporary);
    }
}

/// Replaces a file by its compressed bytes.
fn compress(place: &Folder, file: &str) -> io::Result<()> {
    let temporary = format!("{file}{COMPRESSED}");
    let written = (|| {
        let mut plain = place.read(file)?;
        let mut encoder = zstd::Encoder::new(place.create(&temporary, 0o644)?, LEVEL)?;
        encoder.window_log(archive::WINDOW_LOG)?;
        encoder.include_checksum(true)?;
        encoder.set_pledged_src_size(Some(plain.metadata()?.len()))?;
        io::copy(&mut plain, &mut encoder)?;
        encoder.finish()?;
        place.rename(&temporary, place, file, Rename::Replace)
    })();
    if written.is_err() {
        let _ = place.remove_file(&temporary);
    }
    written
}

fn entry(candidate: Candidate, mirrors: &Mirrors<'_>) -> Result<IndexEntry> {
    let file = match &candidate.from {
        Source::Repository(path) | Source::Given(path) => {
            Path::new(path).file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned()
        }
        Source::Index(_) => String::new(),
    };
    let file = escaped(&file);
    let digest = candidate.digest.ok_or_else(|| Error::request(format!("{} has no package file", candidate.name)))?;
    let mirrors = match mirrors {
        Mirrors::Beside => vec![file],
        Mirrors::Below(urls) => urls.iter().map(|url| format!("{}/{file}", url.trim_end_matches('/'))).collect(),
        Mirrors::By(place) => vec![place(&digest)],
    };
    Ok(IndexEntry {
        name: candidate.name,
        alias: candidate.alias,
        version: candidate.version,
        digest,
        description: candidate.description,
        requires: candidate.requires,
        conflicts: candidate.conflicts,
        provides: candidate.provides,
        mirrors,
        family: candidate.family,
        serial: candidate.serial,
        size: candidate.size,
        installed_size: candidate.installed_size,
        arch: candidate.arch,
    })
}

/// A file's name as the last segment of a URL.
fn escaped(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'+' | b'@' => {
                text.push(char::from(byte))
            }
            _ => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}
