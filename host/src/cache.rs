//! The folder of fetched packages: `<sha256>.pkt.tar.zst`, each complete, verified and synced.
//!
//! What lies there is believed by nobody: it is hashed anew on the handle that is
//! then used. A file that another user owns or may write to is not used at all,
//! for it could change after the hash (M20); so it does not matter who may write
//! to the folder itself.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use packets_hook_runtime::folder::{self, Folder, Kind, Rename, Stat};
use packets_plugin_api::ident::Digest;
use rustix::fs::{self, AtFlags, CWD, MemfdFlags, Mode, OFlags};

use crate::durable::random_name;

/// What the names of unfinished files begin with, where a file system has no unnamed ones.
const UNFINISHED: &str = ".fetch-";
/// Age at which an unfinished file is one that a killed run has left: no transfer goes so long without a byte.
pub(crate) const STALE: Duration = Duration::from_secs(24 * 60 * 60);

/// The cache.
#[derive(Debug)]
pub struct Cache {
    folder: Folder,
}

/// What the cache has for a digest.
#[derive(Debug)]
pub(crate) enum Entry {
    /// Nothing.
    Absent,
    /// A file that nobody else can change, not hashed yet.
    Found(File),
    /// Something that is not used, and why.
    Unusable(String),
}

impl Cache {
    /// The cache in this folder, which need not be writable.
    pub fn new(folder: Folder) -> Self {
        Self { folder }
    }

    /// The name of a package's file in the cache; nothing else has a part in it (N15).
    pub fn file_name(digest: &Digest) -> String {
        format!("{digest}.pkt.tar.zst")
    }

    /// All package files in it, with their sizes.
    pub(crate) fn files(&self) -> io::Result<Vec<(String, u64)>> {
        let mut files = Vec::new();
        for name in self.folder.list()? {
            let Some(name) = name.to_str().filter(|name| name.ends_with(".pkt.tar.zst")) else { continue };
            if let Some(stat) = self.folder.stat(name)?.filter(|stat| stat.kind == Kind::File) {
                files.push((name.to_owned(), stat.size));
            }
        }
        Ok(files)
    }

    /// Whether something stands under the digest's name.
    pub(crate) fn has(&self, digest: &Digest) -> bool {
        self.folder.stat(Self::file_name(digest)).is_ok_and(|stat| stat.is_some())
    }

    pub(crate) fn entry(&self, digest: &Digest) -> Entry {
        match self.folder.read(Self::file_name(digest)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Entry::Absent,
            Err(error) => Entry::Unusable(error.to_string()),
            Ok(file) => match folder::stat(&file) {
                Err(error) => Entry::Unusable(error.to_string()),
                Ok(stat) if !only_ours(&stat) => Entry::Unusable("another user could change it".to_owned()),
                Ok(_) => Entry::Found(file),
            },
        }
    }

    /// Takes away what stands under the digest's name, as far as the caller may.
    pub(crate) fn discard(&self, digest: &Digest) {
        let _ = self.folder.remove_file(Self::file_name(digest));
    }

    /// A file on the cache's file system that nobody else can open; none where the caller may not write.
    fn unfinished(&self) -> io::Result<Option<Unfinished<'_>>> {
        match unnamed(&self.folder) {
            Ok(file) => Ok(Some(Unfinished { file, cache: Some((self, None)) })),
            Err(error) if is_read_only(&error) => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::StorageFull => Err(error),
            // This file system has no unnamed files.
            Err(_) => self.unfinished_with_name(),
        }
    }

    fn unfinished_with_name(&self) -> io::Result<Option<Unfinished<'_>>> {
        remove_stale(&self.folder, UNFINISHED);
        let name = format!("{UNFINISHED}{}", random_name()?);
        match self.folder.create(&name, 0o600) {
            Ok(file) => Ok(Some(Unfinished { file, cache: Some((self, Some(name))) })),
            Err(error) if is_read_only(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Whether nobody but the caller and root can change this file.
pub(crate) fn only_ours(stat: &Stat) -> bool {
    let owners = [0, rustix::process::geteuid().as_raw()];
    stat.kind == Kind::File && owners.contains(&stat.uid) && stat.mode & 0o022 == 0
}

fn is_read_only(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem)
}

/// A new file without a name: it is gone with its last handle.
fn unnamed(folder: &Folder) -> io::Result<File> {
    let flags = OFlags::RDWR | OFlags::TMPFILE | OFlags::CLOEXEC;
    Ok(fs::openat(folder, ".", flags, Mode::from_raw_mode(0o600))?.into())
}

/// Removes files of this prefix that have not been written to for [`STALE`].
pub(crate) fn remove_stale(folder: &Folder, prefix: &str) {
    let Ok(now) = SystemTime::now().duration_since(UNIX_EPOCH) else { return };
    let oldest = i128::try_from(now.saturating_sub(STALE).as_nanos()).unwrap_or(0);
    let names = folder.list().unwrap_or_default();
    for name in names.iter().filter(|name| starts_with(name, prefix)) {
        // A failure leaves a file, which the next run tries again.
        if folder.stat(name).is_ok_and(|stat| stat.is_some_and(|stat| stat.modified < oldest)) {
            let _ = folder.remove_file(name);
        }
    }
}

fn starts_with(name: &OsStr, prefix: &str) -> bool {
    name.as_encoded_bytes().starts_with(prefix.as_bytes())
}

/// A file that is being fetched: nobody else can open it, and unless it is
/// [kept](Self::keep) it vanishes.
#[derive(Debug)]
pub(crate) struct Unfinished<'a> {
    file: File,
    /// The cache that it may go to, and its name there for now.
    cache: Option<(&'a Cache, Option<String>)>,
}

impl<'a> Unfinished<'a> {
    /// One that can go to the cache, or a [private](Self::private) one where there is none to write to.
    pub(crate) fn new(cache: Option<&'a Cache>) -> io::Result<Self> {
        match cache.map(Cache::unfinished).transpose()?.flatten() {
            Some(unfinished) => Ok(unfinished),
            None => Self::private(),
        }
    }

    /// One that cannot be kept: in the folder for temporary files, else in memory.
    pub(crate) fn private() -> io::Result<Self> {
        let file = match Folder::open_ambient(&std::env::temp_dir()).and_then(|folder| unnamed(&folder)) {
            Ok(file) => file,
            Err(_) => fs::memfd_create("package", MemfdFlags::CLOEXEC)?.into(),
        };
        Ok(Self { file, cache: None })
    }

    /// Where to write to.
    pub(crate) fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// The file alone; it stands nowhere.
    pub(crate) fn into_file(mut self) -> io::Result<File> {
        self.drop_name();
        self.file.try_clone()
    }

    /// The file, which has this digest and now stands in the cache under it, synced, if
    /// there is one to write to. The second value is why it could not be kept.
    pub(crate) fn keep(mut self, digest: &Digest) -> io::Result<(File, io::Result<()>)> {
        let kept = self.publish(&Cache::file_name(digest));
        let file = self.file.try_clone()?;
        Ok((file, kept))
    }

    fn publish(&mut self, as_name: &str) -> io::Result<()> {
        let Some((cache, name)) = &mut self.cache else { return Ok(()) };
        folder::set_mode(&self.file, 0o644)?;
        self.file.sync_all()?;
        match name {
            Some(from) => {
                cache.folder.rename(&*from, &cache.folder, as_name, Rename::Replace)?;
                *name = None;
            }
            None => match link(&self.file, &cache.folder, as_name) {
                // Another run was faster; what it has put there is hashed before it is used.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                linked => linked?,
            },
        }
        cache.folder.sync()
    }

    fn drop_name(&mut self) {
        if let Some((cache, Some(name))) = self.cache.take() {
            let _ = cache.folder.remove_file(name);
        }
    }
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        self.drop_name();
    }
}

/// Gives an unnamed file a name; one that is there already is an error.
fn link(file: &File, folder: &Folder, name: &str) -> io::Result<()> {
    match fs::linkat(file, "", folder, name, AtFlags::EMPTY_PATH) {
        // An older kernel wants a capability for that, and none for this (open(2), O_TMPFILE).
        Err(rustix::io::Errno::NOENT | rustix::io::Errno::PERM) => {
            let path = format!("/proc/self/fd/{}", file.as_raw_fd());
            Ok(fs::linkat(CWD, path, folder, name, AtFlags::SYMLINK_FOLLOW)?)
        }
        linked => Ok(linked?),
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test lays out its own folders")]
mod tests {
    use std::io::Write;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    use std::path::Path;

    use super::*;

    fn cache(path: &Path) -> Cache {
        Cache::new(Folder::open_ambient(path).unwrap())
    }

    const DIGEST: Digest = Digest::from_bytes([0xab; 32]);

    fn names(path: &Path) -> Vec<String> {
        let folder = Folder::open_ambient(path).unwrap();
        folder.list().unwrap().into_iter().map(|name| name.into_string().unwrap()).collect()
    }

    fn keeps(make: fn(&Cache) -> Unfinished<'_>) {
        let home = tempfile::tempdir().unwrap();
        let cache = cache(home.path());
        let mut unfinished = make(&cache);
        unfinished.file().write_all(b"bytes").unwrap();
        let hidden = names(home.path());
        assert!(hidden.iter().all(|name| name.starts_with(UNFINISHED)), "{hidden:?}");
        for name in hidden {
            assert_eq!(home.path().join(name).metadata().unwrap().mode() & 0o7777, 0o600);
        }
        assert!(matches!(cache.entry(&DIGEST), Entry::Absent));
        let (file, kept) = unfinished.keep(&DIGEST).unwrap();
        kept.unwrap();
        assert_eq!(names(home.path()), [Cache::file_name(&DIGEST)]);
        let stands = home.path().join(Cache::file_name(&DIGEST)).metadata().unwrap();
        assert_eq!(stands.mode() & 0o7777, 0o644);
        assert_eq!(stands.ino(), file.metadata().unwrap().ino(), "M20: the very same file");
        assert!(matches!(cache.entry(&DIGEST), Entry::Found(_)));

        make(&cache).file().write_all(b"other").unwrap();
        assert_eq!(names(home.path()), [Cache::file_name(&DIGEST)], "what is not kept vanishes");
        let (_, again) = make(&cache).keep(&DIGEST).unwrap();
        again.unwrap();
        assert_eq!(names(home.path()), [Cache::file_name(&DIGEST)]);
    }

    #[test]
    fn keeps_files_that_had_no_name() {
        keeps(|cache| cache.unfinished().unwrap().unwrap());
    }

    #[test]
    fn keeps_files_that_had_a_name() {
        keeps(|cache| cache.unfinished_with_name().unwrap().unwrap());
    }

    #[test]
    fn m20_n24_planted_things_are_not_used() {
        let home = tempfile::tempdir().unwrap();
        let cache = cache(home.path());
        let place = home.path().join(Cache::file_name(&DIGEST));
        let unusable = || matches!(cache.entry(&DIGEST), Entry::Unusable(_));

        std::fs::write(home.path().join("target"), "x").unwrap();
        std::os::unix::fs::symlink("target", &place).unwrap();
        assert!(unusable(), "a link");
        cache.discard(&DIGEST);
        assert!(home.path().join("target").exists() && place.symlink_metadata().is_err());

        fs::mknodat(CWD, &place, fs::FileType::Fifo, Mode::from_raw_mode(0o644), 0).unwrap();
        assert!(unusable(), "a FIFO");
        cache.discard(&DIGEST);

        std::fs::create_dir(&place).unwrap();
        assert!(unusable(), "a folder");
        std::fs::remove_dir(&place).unwrap();

        std::fs::write(&place, "x").unwrap();
        for mode in [0o664, 0o646, 0o666] {
            std::fs::set_permissions(&place, std::fs::Permissions::from_mode(mode)).unwrap();
            assert!(unusable(), "a file that others may write to, {mode:o}");
        }
        std::fs::set_permissions(&place, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(cache.entry(&DIGEST), Entry::Found(_)));
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(&place, Some(12345), None).unwrap();
            assert!(unusable(), "a file of another user");
        }
    }

    #[test]
    fn a_folder_under_the_name_does_not_stop_a_fetch() {
        let home = tempfile::tempdir().unwrap();
        let cache = cache(home.path());
        std::fs::create_dir(home.path().join(Cache::file_name(&DIGEST))).unwrap();
        for unfinished in [cache.unfinished(), cache.unfinished_with_name()] {
            let (mut file, _) = unfinished.unwrap().unwrap().keep(&DIGEST).unwrap();
            file.write_all(b"still open").unwrap();
        }
        assert_eq!(names(home.path()), [Cache::file_name(&DIGEST)]);
    }

    #[test]
    fn only_stale_unfinished_files_are_removed() {
        let home = tempfile::tempdir().unwrap();
        let (old, new, other) = (".fetch-old", ".fetch-new", "old.pkt.tar.zst");
        let before = SystemTime::now() - STALE - Duration::from_secs(60);
        for (name, time) in [(old, before), (new, before + Duration::from_secs(120)), (other, before)] {
            std::fs::File::create(home.path().join(name)).unwrap().set_modified(time).unwrap();
        }
        let cache = cache(home.path());
        drop(cache.unfinished_with_name().unwrap().unwrap());
        assert_eq!(names(home.path()), [new, other]);
    }

    #[test]
    fn without_a_cache_files_are_private() {
        let mut unfinished = Unfinished::new(None).unwrap();
        unfinished.file().write_all(b"bytes").unwrap();
        let (file, kept) = unfinished.keep(&DIGEST).unwrap();
        kept.unwrap();
        assert_eq!((file.metadata().unwrap().len(), file.metadata().unwrap().nlink()), (5, 0));
    }
}
