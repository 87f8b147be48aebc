//! The folder of fetched packages: `<sha256>.pkt.tar.zst`, each complete, verified and synced.
//!
//! What lies there is believed by nobody: it is hashed anew on the handle that is
//! then used. A file that another user owns or may write to is not used at all,
//! for it could change after the hash (M20); so it does not matter who may write
//! to the folder itself.
//!
//! What a broken or killed transfer has left stands beside it as `.partial-<sha256>`, a name
//! that nobody takes for a package. It is locked while it grows, hashed from its
//! beginning when it is continued, and renamed only when all of it is right (C29).

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::sync::Once;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use packets_hook_runtime::folder::{self, Folder, Kind, Rename, Stat};
use packets_plugin_api::ident::Digest;
use rustix::fs::{self, AtFlags, CWD, FlockOperation, MemfdFlags, Mode, OFlags, flock};

/// What the names of package files end with.
const ENDING: &str = ".pkt.tar.zst";
/// What the names of unfinished files begin with; the digest follows that they are to have.
const UNFINISHED: &str = ".partial-";
/// Age at which what a killed run has left is taken away: nobody has come back for it.
const ABANDONED: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// The same for files that are never continued: no transfer goes so long without a byte.
pub(crate) const STALE: Duration = Duration::from_secs(24 * 60 * 60);

/// The cache.
#[derive(Debug)]
pub struct Cache {
    folder: Folder,
    /// Whether what is not finished may stay here.
    keeps_parts: bool,
    swept: Once,
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
        Self { folder, keeps_parts: true, swept: Once::new() }
    }

    /// The same for a run that may leave nothing but verified files.
    #[must_use]
    pub fn without_parts(self) -> Self {
        Self { keeps_parts: false, ..self }
    }

    /// The name of a package's file in the cache; nothing else has a part in it (N15).
    pub fn file_name(digest: &Digest) -> String {
        format!("{digest}{ENDING}")
    }

    /// All package files in it, with their sizes.
    pub(crate) fn files(&self) -> io::Result<Vec<(String, u64)>> {
        let mut files = Vec::new();
        for name in self.folder.list()? {
            let Some(name) = name.to_str().filter(|name| name.ends_with(ENDING)) else { continue };
            if let Some(stat) = self.folder.stat(name)?.filter(|stat| stat.kind == Kind::File) {
                files.push((name.to_owned(), stat.size));
            }
        }
        Ok(files)
    }

    /// Deletes the package files that came to it longer ago than that; by name, what could not be deleted.
    pub(crate) fn expire(&self, age: Duration) -> Vec<(OsString, io::Error)> {
        let is_package =
            |name: &OsStr, stat: &Stat| name.as_encoded_bytes().ends_with(ENDING.as_bytes()) && stat.kind == Kind::File;
        let delete = |name: OsString| self.folder.remove_file(&name).err().map(|error| (name, error));
        old_files(&self.folder, is_package, age).into_iter().filter_map(delete).collect()
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

    /// Whether an earlier transfer has left a part of this file.
    pub(crate) fn has_part(&self, digest: &Digest) -> bool {
        self.keeps_parts && matches!(self.folder.stat(partial_name(digest)), Ok(Some(stat)) if stat.kind == Kind::File)
    }

    /// The file that a package grows in, with what an earlier transfer has left of it. While
    /// another run has that, one of its own; none where the caller may not write.
    fn unfinished(&self, digest: &Digest) -> io::Result<Option<Unfinished<'_>>> {
        if self.keeps_parts {
            self.swept.call_once(|| self.sweep());
            let name = partial_name(digest);
            match self.claim(&name) {
                Ok(Some(file)) => return Ok(Some(Unfinished { file, home: Home::Named(self, name) })),
                Err(error) if error.kind() == io::ErrorKind::StorageFull => return Err(error),
                Ok(None) | Err(_) => {}
            }
        }
        match unnamed(&self.folder) {
            Ok(file) => Ok(Some(Unfinished { file, home: Home::Unnamed(self) })),
            Err(error) if error.kind() == io::ErrorKind::StorageFull => Err(error),
            Err(_) => Ok(None),
        }
    }

    /// The unfinished file of this name, locked; none while another run has it.
    fn claim(&self, name: &str) -> io::Result<Option<File>> {
        let file = match self.folder.create(name, 0o600) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => match self.folder.update(name) {
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => self.replace(name)?,
                opened => opened?,
            },
            made => made?,
        };
        if !self.lock(name, &file)? {
            return Ok(None);
        }
        let stat = folder::stat(&file)?;
        if only_ours(&stat) && stat.mode & 0o077 == 0 && stat.links == 1 {
            return Ok(Some(file));
        }
        let file = self.replace(name)?;
        Ok(self.lock(name, &file)?.then_some(file))
    }

    /// Whether this run alone has the file, and it still stands under its name: whoever had it may
    /// have finished it, or swept it away, just before.
    fn lock(&self, name: &str, file: &File) -> io::Result<bool> {
        match flock(file, FlockOperation::NonBlockingLockExclusive) {
            Err(rustix::io::Errno::WOULDBLOCK) => return Ok(false),
            locked => locked?,
        }
        let (stands, own) = (self.folder.stat(name)?, folder::stat(file)?);
        Ok(stands.is_some_and(|stat| stat.same_inode(&own)))
    }

    /// A new file in the place of something that is none of ours (M20).
    fn replace(&self, name: &str) -> io::Result<File> {
        self.folder.remove_file(name)?;
        self.folder.create(name, 0o600)
    }

    /// Takes away what has been left for long and is not in use.
    fn sweep(&self) {
        for name in old_files(&self.folder, begins_with(UNFINISHED), ABANDONED) {
            let name = name.to_string_lossy();
            // The lock keeps what somebody continues just now. A failure leaves a file, which the next run tries again.
            if let Ok(Some(_locked)) = self.claim(&name) {
                let _ = self.folder.remove_file(&*name);
            }
        }
    }
}

fn partial_name(digest: &Digest) -> String {
    format!("{UNFINISHED}{digest}")
}

/// Whether nobody but the caller and root can change this file.
pub(crate) fn only_ours(stat: &Stat) -> bool {
    let owners = [0, rustix::process::geteuid().as_raw()];
    stat.kind == Kind::File && owners.contains(&stat.uid) && stat.mode & 0o022 == 0
}

/// A new file without a name: it is gone with its last handle.
fn unnamed(folder: &Folder) -> io::Result<File> {
    let flags = OFlags::RDWR | OFlags::TMPFILE | OFlags::CLOEXEC;
    Ok(fs::openat(folder, ".", flags, Mode::from_raw_mode(0o600))?.into())
}

/// Removes files of this prefix that have not been written to for [`STALE`].
pub(crate) fn remove_stale(folder: &Folder, prefix: &str) {
    for name in old_files(folder, begins_with(prefix), STALE) {
        // A failure leaves a file, which the next run tries again.
        let _ = folder.remove_file(name);
    }
}

/// A file without a name: on the cache's file system, or a [private](Unfinished::private) one where that is not written to.
pub(crate) fn scratch(cache: Option<&Cache>) -> io::Result<File> {
    match cache.map(|cache| unnamed(&cache.folder)) {
        Some(Ok(file)) => Ok(file),
        _ => Unfinished::private()?.into_file(),
    }
}

fn begins_with(prefix: &str) -> impl Fn(&OsStr, &Stat) -> bool {
    move |name, _| name.as_encoded_bytes().starts_with(prefix.as_bytes())
}

/// The files that are meant and have not been written to for so long. What seems to come from the future is young.
fn old_files(folder: &Folder, is_meant: impl Fn(&OsStr, &Stat) -> bool, age: Duration) -> Vec<OsString> {
    let Ok(now) = SystemTime::now().duration_since(UNIX_EPOCH) else { return Vec::new() };
    let oldest = i128::try_from(now.saturating_sub(age).as_nanos()).unwrap_or(0);
    let mut names = folder.list().unwrap_or_default();
    names.retain(|name| matches!(folder.stat(name), Ok(Some(stat)) if stat.modified < oldest && is_meant(name, &stat)));
    names
}

/// A file that is being fetched. Unless it is [kept](Self::keep) it never stands under the name
/// of a package; with nothing in it, it stands nowhere.
#[derive(Debug)]
pub(crate) struct Unfinished<'a> {
    file: File,
    home: Home<'a>,
}

/// Where a file can go.
#[derive(Debug)]
enum Home<'a> {
    /// It stands in the cache under this name, locked.
    Named(&'a Cache, String),
    /// It lies on the cache's file system and has no name.
    Unnamed(&'a Cache),
    /// Nowhere.
    Nowhere,
}

impl<'a> Unfinished<'a> {
    /// One that can go to the cache, with what has come of it before, or a
    /// [private](Self::private) one where there is none to write to.
    pub(crate) fn new(cache: Option<&'a Cache>, digest: &Digest) -> io::Result<Self> {
        match cache.map(|cache| cache.unfinished(digest)).transpose()?.flatten() {
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
        Ok(Self { file, home: Home::Nowhere })
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
        self.drop_name();
        let file = self.file.try_clone()?;
        Ok((file, kept))
    }

    fn publish(&mut self, as_name: &str) -> io::Result<()> {
        let (Home::Named(cache, _) | Home::Unnamed(cache)) = self.home else { return Ok(()) };
        folder::set_mode(&self.file, 0o644)?;
        self.file.sync_all()?;
        if let Home::Named(_, from) = &self.home {
            cache.folder.rename(from, &cache.folder, as_name, Rename::Replace)?;
            self.home = Home::Nowhere;
        } else {
            match link(&self.file, &cache.folder, as_name) {
                // Another run was faster; what it has put there is hashed before it is used.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                linked => linked?,
            }
        }
        cache.folder.sync()
    }

    fn drop_name(&mut self) {
        if let Home::Named(cache, name) = std::mem::replace(&mut self.home, Home::Nowhere) {
            let _ = cache.folder.remove_file(name);
        }
    }
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        // What has come already is continued by the next run.
        if folder::stat(&self.file).is_ok_and(|stat| stat.size == 0) {
            self.drop_name();
        }
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

    fn unfinished(cache: &Cache) -> Unfinished<'_> {
        cache.unfinished(&DIGEST).unwrap().unwrap()
    }

    fn keeps(mut unfinished: Unfinished<'_>, cache: &Cache, home: &Path) {
        unfinished.file().write_all(b"bytes").unwrap();
        for name in names(home) {
            assert_eq!(name, partial_name(&DIGEST));
            assert_eq!(home.join(name).metadata().unwrap().mode() & 0o7777, 0o600);
        }
        assert!(matches!(cache.entry(&DIGEST), Entry::Absent), "C29");
        let (file, kept) = unfinished.keep(&DIGEST).unwrap();
        kept.unwrap();
        let stands = home.join(Cache::file_name(&DIGEST)).metadata().unwrap();
        assert_eq!(stands.mode() & 0o7777, 0o644);
        assert_eq!(stands.ino(), file.metadata().unwrap().ino(), "M20: the very same file");
        assert!(matches!(cache.entry(&DIGEST), Entry::Found(_)));
    }

    #[test]
    fn c29_a_file_has_its_name_only_when_it_is_kept() {
        let home = tempfile::tempdir().unwrap();
        let cache = cache(home.path());
        keeps(unfinished(&cache), &cache, home.path());
        assert_eq!(names(home.path()), [Cache::file_name(&DIGEST)]);
        drop(unfinished(&cache));
        assert_eq!(names(home.path()), [Cache::file_name(&DIGEST)], "nothing came, nothing is left");
        let (_, again) = unfinished(&cache).keep(&DIGEST).unwrap();
        again.unwrap();
        assert_eq!(names(home.path()), [Cache::file_name(&DIGEST)]);
    }

    #[test]
    fn c29_without_parts_nothing_unfinished_stays() {
        let home = tempfile::tempdir().unwrap();
        unfinished(&cache(home.path())).file().write_all(b"half").unwrap();
        let cache = cache(home.path()).without_parts();
        assert!(!cache.has_part(&DIGEST));
        let mut other = unfinished(&cache);
        other.file().write_all(b"whole").unwrap();
        assert_eq!(names(home.path()), [partial_name(&DIGEST)], "what another run has left is not touched");
        other.keep(&DIGEST).unwrap().1.unwrap();
        assert_eq!(std::fs::read(home.path().join(Cache::file_name(&DIGEST))).unwrap(), b"whole");
    }

    #[test]
    fn c29_what_another_transfer_grows_is_not_touched() {
        let home = tempfile::tempdir().unwrap();
        let cache = cache(home.path());
        let mut first = unfinished(&cache);
        first.file().write_all(b"fir").unwrap();
        let second = unfinished(&cache);
        assert!(matches!(second.home, Home::Unnamed(_)));
        keeps(second, &cache, home.path());
        assert_eq!(names(home.path()).len(), 2);
        first.file().write_all(b"st").unwrap();
        let (_, kept) = first.keep(&DIGEST).unwrap();
        kept.unwrap();
        assert_eq!(std::fs::read(home.path().join(Cache::file_name(&DIGEST))).unwrap(), b"first");
        assert_eq!(names(home.path()), [Cache::file_name(&DIGEST)]);
    }

    #[test]
    fn c29_n18_what_a_killed_run_left_is_continued() {
        let home = tempfile::tempdir().unwrap();
        let cache = cache(home.path());
        assert!(!cache.has_part(&DIGEST));
        unfinished(&cache).file().write_all(b"half").unwrap();
        assert_eq!(names(home.path()), [partial_name(&DIGEST)]);
        assert!(cache.has_part(&DIGEST) && matches!(cache.entry(&DIGEST), Entry::Absent));
        let mut again = unfinished(&cache);
        assert_eq!(again.file().metadata().unwrap().len(), 4);
        again.file().set_len(0).unwrap();
        drop(again);
        assert_eq!(names(home.path()), [""; 0], "what was no good is gone");
    }

    #[test]
    fn m20_planted_parts_are_not_continued() {
        let home = tempfile::tempdir().unwrap();
        let cache = cache(home.path());
        let place = home.path().join(partial_name(&DIGEST));
        let outside = tempfile::tempdir().unwrap();
        let victim = outside.path().join("victim");
        std::fs::write(&victim, "victim").unwrap();
        let mode = |mode| std::fs::set_permissions(&place, std::fs::Permissions::from_mode(mode)).unwrap();
        let mut plants: Vec<Box<dyn Fn()>> = vec![
            Box::new(|| std::os::unix::fs::symlink(&victim, &place).unwrap()),
            Box::new(|| std::fs::hard_link(&victim, &place).unwrap()),
            Box::new(|| fs::mknodat(CWD, &place, fs::FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap()),
            Box::new(|| {
                std::fs::write(&place, "x").unwrap();
                mode(0o620);
            }),
            Box::new(|| {
                std::fs::write(&place, "x").unwrap();
                mode(0o644);
            }),
        ];
        if rustix::process::geteuid().is_root() {
            plants.push(Box::new(|| {
                std::fs::write(&place, "x").unwrap();
                mode(0o600);
                std::os::unix::fs::chown(&place, Some(12345), None).unwrap();
            }));
        }
        for (round, plant) in plants.iter().enumerate() {
            plant();
            let mut fresh = unfinished(&cache);
            assert_eq!(fresh.file().metadata().unwrap().len(), 0, "plant {round}");
            fresh.file().write_all(b"new").unwrap();
            assert_eq!(std::fs::read(&victim).unwrap(), b"victim", "plant {round}");
            fresh.into_file().unwrap();
        }
        // A folder cannot be taken away; then the file has no name.
        std::fs::create_dir(&place).unwrap();
        assert!(matches!(unfinished(&cache).home, Home::Unnamed(_)));
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
        let named = unfinished(&cache);
        let unnamed = unfinished(&cache);
        for unfinished in [named, unnamed] {
            let (mut file, kept) = unfinished.keep(&DIGEST).unwrap();
            assert!(kept.is_err() || file.metadata().unwrap().nlink() == 0);
            file.write_all(b"still open").unwrap();
        }
        assert_eq!(names(home.path()), [Cache::file_name(&DIGEST)]);
    }

    #[test]
    fn c29_only_what_is_old_and_not_in_use_is_swept_away() {
        let home = tempfile::tempdir().unwrap();
        let (old, new, used, other) = (".partial-old", ".partial-new", ".partial-used", "old.pkt.tar.zst");
        let before = SystemTime::now() - ABANDONED - Duration::from_secs(60);
        for (name, time) in [(old, before), (new, before + Duration::from_secs(120)), (used, before), (other, before)] {
            let file = std::fs::File::create(home.path().join(name)).unwrap();
            file.set_permissions(std::fs::Permissions::from_mode(0o600)).unwrap();
            file.set_modified(time).unwrap();
        }
        let in_use = File::open(home.path().join(used)).unwrap();
        flock(&in_use, FlockOperation::LockExclusive).unwrap();
        let cache = cache(home.path());
        drop(unfinished(&cache));
        assert_eq!(names(home.path()), [new, used, other]);
    }

    #[test]
    fn without_a_cache_files_are_private() {
        let mut unfinished = Unfinished::new(None, &DIGEST).unwrap();
        unfinished.file().write_all(b"bytes").unwrap();
        let (file, kept) = unfinished.keep(&DIGEST).unwrap();
        kept.unwrap();
        assert_eq!((file.metadata().unwrap().len(), file.metadata().unwrap().nlink()), (5, 0));
    }
}
