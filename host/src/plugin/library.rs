//! The file of a plugin: whose it is, whether it is the very one that was approved, and a copy of it
//! that nobody can change any more.

use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use packets_hook_runtime::folder::{self, Folder, Stat};
use packets_plugin_api::ident::Digest;
use packets_plugin_api::relpath::RelPath;
use rustix::fs::{MemfdFlags, SealFlags};

use super::elf;
use super::limits::{LIBRARY, SIDECAR};
use super::sidecar::{self, Sidecar};
use crate::digest;
use crate::error::{Context as _, Error, Result};
use crate::given;

/// The library's name in the plugin's folder.
const LIBRARY_NAME: &str = "plugin.so";
/// Others may put files into it and not touch these.
const STICKY: u32 = 0o1000;

/// The folder of a plugin that no stranger can change.
#[derive(Debug)]
pub(super) struct Home {
    folder: Folder,
    path: PathBuf,
}

impl Home {
    /// Opens `dir/name`, every folder above it looked at (P01). No link is followed (P02).
    ///
    /// # Errors
    /// It is not there, or somebody else could have put something into it.
    pub(super) fn open(dir: &RelPath, name: &str) -> Result<Self> {
        let path = Path::new("/").join(dir.as_str()).join(name);
        let failed = || format!("cannot use the plugin {name} in {}", path.display());
        let mut folder = Folder::open_ambient(Path::new("/")).context(failed)?;
        let mut at = PathBuf::from("/");
        trusted(&folder.stat_self().context(failed)?, &at, false).map_err(|error| error.within(failed()))?;
        let below = dir.child(name)?;
        let count = below.components().count();
        for (number, component) in below.components().enumerate() {
            at.push(component);
            folder = folder.open(component).map_err(|error| match crate::target::is_no_folder(&error) {
                true => Error::request(failed()).caused_by(format!("{} is no folder", at.display())),
                false => Error::storage(failed()).because(&error),
            })?;
            let is_own = number + 2 >= count;
            trusted(&folder.stat_self().context(failed)?, &at, is_own).map_err(|error| error.within(failed()))?;
        }
        Ok(Self { folder, path })
    }

    /// Its `plugin.toml`. Nothing of the plugin runs.
    pub(super) fn sidecar(&self) -> Result<Sidecar> {
        let path = self.path.join(sidecar::FILE_NAME);
        let failed = || format!("cannot read {}", path.display());
        let file = self.folder.read(sidecar::FILE_NAME).map_err(|error| not_there(failed(), &error))?;
        trusted(&folder::stat(&file).context(failed)?, &path, true)?;
        let text = given::text_of(file, SIDECAR).context(failed)?;
        Sidecar::parse(&text, &path.display().to_string())
    }

    /// Its library, when that is the pinned one.
    pub(super) fn library(&self, pinned: &Digest) -> Result<Library> {
        let path = self.path.join(LIBRARY_NAME);
        let failed = || format!("cannot load {}", path.display());
        let file = self.folder.read(LIBRARY_NAME).map_err(|error| not_there(failed(), &error))?;
        trusted(&folder::stat(&file).context(failed)?, &path, true)?;
        let library = Library::read(file).map_err(|error| error.within(failed()))?;
        if library.digest != *pinned {
            return Err(Error::integrity(failed())
                .caused_by(format!("its SHA-256 is {}, and the config has {pinned}", library.digest))
                .hint("`packets plugin add` approves another one"));
        }
        Ok(library)
    }
}

/// Copies a checked library and what it says of itself into its folder, which is made where it is missing.
///
/// # Errors
/// Storage.
pub(crate) fn place(dir: &RelPath, name: &str, sidecar: &Sidecar, library: &Library) -> Result<()> {
    let path = Path::new("/").join(dir.as_str());
    let failed = || format!("cannot write into {}", path.display());
    let mut folder = Folder::open_ambient(Path::new("/")).context(failed)?;
    for component in dir.child(name)?.components() {
        folder = folder.open_or_make(component, 0o755).context(failed)?;
    }
    crate::durable::write(&folder, LIBRARY_NAME, &library.bytes, 0o644).context(failed)?;
    let text = toml::to_string(sidecar).context(failed)?;
    crate::durable::write(&folder, sidecar::FILE_NAME, text.as_bytes(), 0o644).context(failed)
}

fn not_there(failed: String, error: &std::io::Error) -> Error {
    match error.kind() {
        std::io::ErrorKind::NotFound => Error::request(failed).caused_by("there is no such file"),
        std::io::ErrorKind::InvalidInput => Error::request(failed).caused_by("it is not a regular file"),
        _ => Error::storage(failed).because(error),
    }
}

/// Whether nobody but root and the caller can change this. In a sticky folder above, others can
/// put things, but not into the place of what is ours.
fn trusted(stat: &Stat, path: &Path, is_own: bool) -> Result<()> {
    let caller = rustix::process::geteuid().as_raw();
    let problem = if stat.uid != 0 && stat.uid != caller {
        format!("{} belongs to another user ({})", path.display(), stat.uid)
    } else if stat.mode & 0o022 != 0 && (is_own || stat.mode & STICKY == 0) {
        format!("others may write to {} (mode {:o})", path.display(), stat.mode)
    } else {
        return Ok(());
    };
    Err(Error::integrity(problem))
}

/// A library that passed all checks that need no running of it.
#[derive(Debug)]
pub(crate) struct Library {
    bytes: Vec<u8>,
    pub(crate) digest: Digest,
}

impl Library {
    /// Reads one; nothing is waited for, however the file is made (P11).
    pub(crate) fn read(file: std::fs::File) -> Result<Self> {
        let size = folder::stat(&file).context(|| "cannot look at the file".to_owned())?.size;
        if size > LIBRARY {
            return Err(Error::integrity(format!("it has {size} bytes, more than {LIBRARY}")));
        }
        let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
        file.take(LIBRARY + 1).read_to_end(&mut bytes).context(|| "cannot read the file".to_owned())?;
        if bytes.len() as u64 > LIBRARY {
            return Err(Error::integrity(format!("it has more than {LIBRARY} bytes")));
        }
        elf::check(&bytes).map_err(Error::integrity)?;
        let digest = digest::of(bytes.as_slice()).context(|| "cannot hash the file".to_owned())?;
        Ok(Self { bytes, digest })
    }

    /// A copy in memory, sealed: what was hashed is what is loaded, whatever becomes of the file.
    pub(super) fn sealed(&self) -> std::io::Result<OwnedFd> {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        // A kernel before 6.3 does not know that a library is to be executed, and forbids it nobody.
        let memory = match rustix::fs::memfd_create("packets-plugin", flags | MemfdFlags::EXEC) {
            Err(rustix::io::Errno::INVAL) => rustix::fs::memfd_create("packets-plugin", flags)?,
            made => made?,
        };
        let mut file = std::fs::File::from(memory);
        file.write_all(&self.bytes)?;
        let memory = OwnedFd::from(file);
        rustix::fs::fcntl_add_seals(&memory, SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL)?;
        Ok(memory)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sidecar_as_large_as_may_be() {
        let place = tempfile::tempdir().unwrap();
        let home = Home { folder: Folder::open_ambient(place.path()).unwrap(), path: place.path().to_owned() };
        let text = "name = \"x\"\nkind = \"fetch\"\nabi = \"1.0\"\n#";
        let filled = |size: u64| format!("{text}{}", "x".repeat(usize::try_from(size).unwrap() - text.len()));
        let write = |size| std::fs::write(place.path().join(sidecar::FILE_NAME), filled(size)).unwrap();
        write(SIDECAR);
        assert_eq!(home.sidecar().unwrap().name, "x");
        write(SIDECAR + 1);
        let error = home.sidecar().unwrap_err();
        assert!(error.causes().iter().any(|cause| cause.contains("larger than 65536 bytes")), "{error:?}");
    }
}
