//! Makes a package file from a folder.
//!
//! The same content gives the same bytes: entries are sorted, times and owners are
//! zero, modes are 0755 for folders and programs and 0644 for other files. The order
//! is the manifest, the hooks, then `data`, so that a reader knows early what it has.
//! Names over 100 bytes are written the GNU way, which every tar reads. A hard link is
//! packed as a file of its own. What a reader would refuse is refused here.

use std::collections::HashSet;
use std::io::{self, Read, Write};

use packets_hook_runtime::folder::{Folder, Kind};
use packets_plugin_api::ident::{Digest, escape};
use packets_plugin_api::relpath::RelPath;
use packets_plugin_api::storage::FileKind;
use tar::{EntryType, Header};

use crate::archive::{self, Bounds, Budget, MAX_COMPRESSION_LEVEL, Tree};
use crate::error::{Context, Error, Result};
use crate::manifest::{self, Manifest};
use crate::unpack::Cursor;

/// zstd's own default: fast, and within a few percent of what higher levels reach.
pub const DEFAULT_LEVEL: i32 = 3;
const BLOCK: usize = 512;
/// Bytes of a name or link text that a header holds itself.
const SHORT_NAME: usize = 100;
/// Names in warnings of one kind; more change nothing.
const MAX_WARNINGS: usize = 20;

/// What was packed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackSummary {
    /// The package's manifest.
    pub manifest: Manifest,
    /// What the packager should know, one sentence each.
    pub warnings: Vec<String>,
    /// How many entries the package has.
    pub entries: u64,
    /// How many of them are files.
    pub files: u64,
    /// Bytes of all files.
    pub size: u64,
    /// Bytes of the package file.
    pub compressed: u64,
}

/// Packs `source` at the default level. `out` gets the package file.
///
/// # Errors
/// Of kind integrity or request for what may not be in a package; of kind storage when
/// reading or writing fails. What `out` got until then is no package.
pub fn pack(source: &Folder, out: impl Write) -> Result<PackSummary> {
    pack_at_level(source, out, DEFAULT_LEVEL)
}

/// As [`pack`], at a zstd level from 1 to 19.
///
/// # Errors
/// See [`pack`].
pub fn pack_at_level(source: &Folder, out: impl Write, level: i32) -> Result<PackSummary> {
    if !(1..=MAX_COMPRESSION_LEVEL).contains(&level) {
        return Err(Error::request(format!("{level} is no compression level from 1 to {MAX_COMPRESSION_LEVEL}")));
    }
    let (manifest, mut warnings) = Manifest::parse(&read_manifest(source)?)?;
    let items = Listing::of(source, &manifest)?;
    warnings.extend(ignored(source, &manifest)?);
    warnings.extend(case_twins(&items));
    let length = items.iter().map(Item::tar_length).sum::<u64>() + 2 * BLOCK as u64;

    let mut out = Counting { out, count: 0 };
    let failed = || "cannot write the package file".to_owned();
    let mut encoder = zstd::Encoder::new(&mut out, level).context(failed)?;
    encoder.include_checksum(true).context(failed)?;
    encoder.include_contentsize(true).context(failed)?;
    encoder.set_pledged_src_size(Some(length)).context(failed)?;
    let mut cursor = Cursor::new(source.again().context(|| "cannot open the folder".to_owned())?);
    for item in &items {
        item.write(&mut cursor, &mut encoder)?;
    }
    encoder.write_all(&[0; 2 * BLOCK]).context(failed)?;
    encoder.finish().and_then(Write::flush).context(failed)?;
    let compressed = out.count;
    check_bounds(&items, length, compressed, &manifest)?;

    let sizes = items.iter().filter_map(Item::size);
    let (files, size) = (sizes.clone().count() as u64, sizes.sum());
    Ok(PackSummary { manifest, warnings, entries: items.len() as u64, files, size, compressed })
}

fn read_manifest(source: &Folder) -> Result<Vec<u8>> {
    let failed = || format!("cannot read {}", manifest::FILE_NAME);
    match source.stat(manifest::FILE_NAME).context(failed)? {
        Some(stat) if stat.kind == Kind::File => {}
        Some(_) => return Err(Error::request(failed()).caused_by("it is not a regular file")),
        None => return Err(Error::request(failed()).caused_by("there is none in the folder")),
    }
    let mut bytes = Vec::new();
    let file = source.read(manifest::FILE_NAME).context(failed)?;
    file.take(archive::MAX_MANIFEST + 1).read_to_end(&mut bytes).context(failed)?;
    Ok(bytes)
}

/// Reads back what a reader would count, and refuses what it would refuse.
fn check_bounds(items: &[Item], length: u64, compressed: u64, manifest: &Manifest) -> Result<()> {
    let installed_size = manifest.info.installed_size;
    let mut budget = Budget::new(Bounds { compressed, installed_size, available: None });
    for item in items {
        budget.entry(item.size().unwrap_or(0))?;
    }
    budget.overhead(length - budget.content())
}

/// What lies in the folder and is not packed.
fn ignored(source: &Folder, manifest: &Manifest) -> Result<Vec<String>> {
    let top = |path: &RelPath| path.components().next().map(str::to_owned);
    let hooks: Vec<String> = manifest.hooks.files().filter_map(top).collect();
    let names = source.list().context(|| "cannot list the folder".to_owned())?;
    let packed =
        |name: &str| name == manifest::FILE_NAME || name == manifest::DATA || hooks.iter().any(|hook| hook == name);
    // What is being written may stand in the folder itself, under a name that is only for now.
    let temporary = |name: &str| name.starts_with(".packets-");
    let shown = names.iter().filter(|name| !name.to_str().is_some_and(|name| packed(name) || temporary(name)));
    Ok(shown.take(MAX_WARNINGS).map(|name| format!("{} is not packed", escape(&name.to_string_lossy(), 200))).collect())
}

/// Names that differ only by case: two files on Linux, one on other systems (A12).
fn case_twins(items: &[Item]) -> Vec<String> {
    let mut seen = HashSet::new();
    let twins = items.iter().filter(|item| !seen.insert(item.path.as_str().to_lowercase()));
    twins.take(MAX_WARNINGS).map(|item| format!("{} differs from another name only by case", item.path)).collect()
}

/// One entry to be written.
struct Item {
    path: RelPath,
    what: What,
}

enum What {
    File { program: bool, size: u64 },
    Folder,
    Symlink(String),
}

/// Collects what goes into a package, and checks it by the reader's rules.
struct Listing {
    items: Vec<Item>,
    tree: Tree,
}

impl Listing {
    fn of(source: &Folder, manifest: &Manifest) -> Result<Vec<Item>> {
        let mut listing = Self { items: Vec::new(), tree: Tree::default() };
        listing.add(source, manifest::FILE_NAME.parse()?, Recurse::No)?;
        for hook in manifest.hooks.files() {
            let mut folder = source.again().context(|| "cannot open the folder".to_owned())?;
            for parent in listing.tree.missing_parents(hook)? {
                listing.tree.imply(parent.clone())?;
                listing.items.push(Item { path: parent, what: What::Folder });
            }
            if let Some(parent) = hook.parent() {
                folder = folder.walk(&parent).context(|| format!("cannot open the folder of the hook {hook}"))?;
            }
            listing.add(&folder, hook.clone(), Recurse::No)?;
        }
        if source.stat(manifest::DATA).context(|| "cannot look at data".to_owned())?.is_some() {
            listing.add(source, manifest::DATA.parse()?, Recurse::Yes)?;
        }
        listing.tree.finish(&manifest.hooks)?;
        Ok(listing.items)
    }

    /// Adds what stands at `path`, whose parent is `folder`.
    fn add(&mut self, folder: &Folder, path: RelPath, recurse: Recurse) -> Result<()> {
        let failed = || format!("cannot read {path}");
        archive::check_path(&path)?;
        let name = path.file_name().unwrap_or_default();
        let Some(stat) = folder.stat(name).context(failed)? else {
            return Err(Error::request(failed()).caused_by("it is not there"));
        };
        if stat.mode & 0o7000 != 0 && stat.kind == Kind::File {
            return Err(
                Error::request(format!("cannot pack {path}")).caused_by("it has a setuid, setgid or sticky bit")
            );
        }
        // The hash is not known yet, and the rules do not ask for it.
        let sha256 = Digest::from_bytes([0; 32]);
        let (what, kind) = match stat.kind {
            Kind::File => (
                What::File { program: stat.mode & 0o100 != 0, size: stat.size },
                FileKind::File { mode: 0o644, size: stat.size, sha256 },
            ),
            Kind::Folder => (What::Folder, FileKind::Folder { mode: 0o755 }),
            Kind::Symlink => {
                let target = folder.read_link(name).context(failed)?;
                let target = archive::check_target(&path, target.as_encoded_bytes())?.to_owned();
                (What::Symlink(target.clone()), FileKind::Symlink { asked: target.clone(), stored: target })
            }
            Kind::Special => {
                return Err(Error::request(format!("cannot pack {path}")).caused_by("it is a device, FIFO or socket"));
            }
        };
        self.tree.add(path.clone(), kind)?;
        let is_folder = matches!(what, What::Folder);
        self.items.push(Item { path: path.clone(), what });
        if is_folder && matches!(recurse, Recurse::Yes) {
            let inner = folder.open(name).context(failed)?;
            for name in inner.list().context(failed)? {
                let Some(text) = name.to_str() else {
                    let name = escape(&name.to_string_lossy(), 200);
                    return Err(Error::request(format!("cannot pack {path}/{name}")).caused_by("its name is not UTF-8"));
                };
                self.add(&inner, path.child(text)?, Recurse::Yes)?;
            }
        }
        Ok(())
    }
}

#[derive(Clone, Copy)]
enum Recurse {
    Yes,
    No,
}

impl Item {
    fn size(&self) -> Option<u64> {
        match self.what {
            What::File { size, .. } => Some(size),
            _ => None,
        }
    }

    /// The path as the archive has it.
    fn name(&self) -> String {
        match self.what {
            What::Folder => format!("{}/", self.path),
            _ => self.path.to_string(),
        }
    }

    fn link(&self) -> &str {
        match &self.what {
            What::Symlink(target) => target,
            _ => "",
        }
    }

    /// Bytes that it takes in the archive.
    fn tar_length(&self) -> u64 {
        let blocks = |bytes: u64| bytes.next_multiple_of(BLOCK as u64);
        let long = |text: &str| {
            if text.len() > SHORT_NAME { BLOCK as u64 + blocks(text.len() as u64 + 1) } else { 0 }
        };
        long(&self.name()) + long(self.link()) + BLOCK as u64 + blocks(self.size().unwrap_or(0))
    }

    fn write(&self, cursor: &mut Cursor, out: &mut impl Write) -> Result<()> {
        let failed = || format!("cannot pack {}", self.path);
        let name = self.name();
        long_text(out, b'L', &name).context(failed)?;
        long_text(out, b'K', self.link()).context(failed)?;
        let (kind, mode, size) = match self.what {
            What::File { program, size } => (EntryType::Regular, if program { 0o755 } else { 0o644 }, size),
            What::Folder => (EntryType::Directory, 0o755, 0),
            What::Symlink(_) => (EntryType::Symlink, 0o777, 0),
        };
        out.write_all(header(kind, name.as_bytes(), self.link().as_bytes(), mode, size).as_bytes()).context(failed)?;
        let What::File { size, .. } = self.what else { return Ok(()) };
        let (folder, name) = cursor.parent_of(self.path.as_str()).context(failed)?;
        let file = folder.read(name).context(failed)?;
        // One byte more than expected is asked for, to see that the file has not grown.
        let copied = io::copy(&mut file.take(size + 1), &mut Exactly { out, left: size }).context(failed)?;
        if copied != size {
            return Err(Error::storage(failed()).caused_by("it has changed while it was packed"));
        }
        let padding = size.next_multiple_of(BLOCK as u64) - size;
        out.write_all(&[0; BLOCK][..padding as usize]).context(failed)
    }
}

fn header(kind: EntryType, name: &[u8], link: &[u8], mode: u32, size: u64) -> Header {
    let mut header = Header::new_gnu();
    let fill = |field: &mut [u8], text: &[u8]| {
        let length = text.len().min(field.len());
        field[..length].copy_from_slice(&text[..length]);
    };
    fill(&mut header.as_old_mut().name, name);
    fill(&mut header.as_old_mut().linkname, link);
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(size);
    header.set_cksum();
    header
}

/// Writes a name that is too long for a header before it, as GNU tar does.
fn long_text(out: &mut impl Write, kind: u8, text: &str) -> io::Result<()> {
    if text.len() <= SHORT_NAME {
        return Ok(());
    }
    let size = text.len() as u64 + 1;
    out.write_all(header(EntryType::new(kind), b"././@LongLink", b"", 0o644, size).as_bytes())?;
    out.write_all(text.as_bytes())?;
    out.write_all(&[0; BLOCK + 1][..(size.next_multiple_of(BLOCK as u64) - size + 1) as usize])
}

/// Refuses more bytes than were announced.
struct Exactly<'o, W> {
    out: &'o mut W,
    left: u64,
}

impl<W: Write> Write for Exactly<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.left.checked_sub(bytes.len() as u64) {
            Some(left) => {
                self.out.write_all(bytes)?;
                self.left = left;
                Ok(bytes.len())
            }
            None => Err(io::Error::other("it has grown while it was packed")),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Counting<W> {
    out: W,
    count: u64,
}

impl<W: Write> Write for Counting<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.count += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests;
