//! The files that are offered: complete ones of the cache, each hashed by this very process and not changed since (N33).
//!
//! A thread of its own looks for new ones; a question is answered from memory. Names are those of
//! the index, so that only what an index lists can be asked for by a name.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::thread;
use std::time::{Duration, Instant};

use packets_hook_runtime::folder::{self, Folder, Stat};
use packets_plugin_api::ident::Digest;
use packets_plugin_api::share::Offers;
use packets_plugin_api::storage::{PackageIndex, StorageError};
use rustix::io::Errno;

use crate::cache::{Cache, only_ours};
use crate::digest;

/// Between two looks at the cache and the index.
const LOOK: Duration = Duration::from_millis(500);
/// How long a file may be changed in its place before that is seen without being asked for.
const LOOK_AGAIN: Duration = Duration::from_secs(60);
/// Names of one index: more are no index of packages.
const MAX_NAMES: usize = 1_000_000;

/// Opens the index as it is now.
pub(crate) type OpenIndex = Box<dyn Fn() -> Result<Box<dyn PackageIndex>, StorageError> + Send + Sync>;

/// See the module.
pub(crate) struct Shelf {
    cache: Folder,
    /// The folder of the index, its name there, and how it is opened.
    index: Option<(Folder, &'static str)>,
    open_index: OpenIndex,
    content: RwLock<Content>,
}

#[derive(Debug, Default)]
struct Content {
    names: HashMap<Box<str>, Digest>,
    files: HashMap<Digest, Stamp>,
}

/// What changes when a file does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    size: u64,
    modified: i128,
}

impl Stamp {
    fn of(stat: &Stat) -> Self {
        Self { inode: stat.inode, size: stat.size, modified: stat.modified }
    }
}

impl std::fmt::Debug for Shelf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shelf").field("cache", &self.cache).finish_non_exhaustive()
    }
}

impl Shelf {
    /// Of this cache, with the names of the index in this folder.
    pub(crate) fn new(cache: Folder, index: Option<(Folder, &'static str)>, open_index: OpenIndex) -> Self {
        Self { cache, index, open_index, content: RwLock::default() }
    }

    fn read(&self) -> RwLockReadGuard<'_, Content> {
        self.content.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Content> {
        self.content.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many files are offered.
    pub(crate) fn count(&self) -> usize {
        self.read().files.len()
    }

    /// Follows cache and index until it is over.
    pub(crate) fn keep(&self, is_over: &AtomicBool) {
        let (mut cache, mut index, mut looked) = (None, None, Instant::now());
        while !is_over.load(Ordering::Relaxed) {
            let now = self.index_stamp();
            if now != index && self.read_names() {
                index = now;
            }
            // Taken before the look, so that what comes during it is seen by the next one.
            let now = self.cache.stat_self().ok().map(|stat| stat.modified);
            if now != cache || looked.elapsed() >= LOOK_AGAIN {
                looked = Instant::now();
                // What could not be looked at is the next time.
                cache = if self.look(is_over) { now } else { None };
            }
            thread::sleep(LOOK);
        }
    }

    fn index_stamp(&self) -> Option<Stamp> {
        let (folder, name) = self.index.as_ref()?;
        folder.stat(name).ok().flatten().map(|stat| Stamp::of(&stat))
    }

    /// What the index calls each file: the last segment of its mirrors. An index that cannot be read names nothing. False
    /// where the system has no handle for it: then the names are what they were.
    fn read_names(&self) -> bool {
        let entries = match (self.open_index)().and_then(|index| index.all()) {
            Ok(entries) => entries,
            // The error of a database does not say it.
            Err(_) if self.cache.list().is_err_and(|error| is_lack_of_handles(&error)) => return false,
            Err(_) => Vec::new(),
        };
        let mut names = HashMap::new();
        for entry in entries {
            for mirror in &entry.mirrors {
                let path = mirror.split(['?', '#']).next().unwrap_or_default();
                let name = path.rsplit('/').next().unwrap_or_default();
                if names.len() < MAX_NAMES && !name.is_empty() {
                    names.insert(name.into(), entry.digest);
                }
            }
        }
        self.write().names = names;
        true
    }

    /// Offers what is new and right, and no longer what has gone; false where the system has no handle to see it: then
    /// what is offered is what it was.
    fn look(&self, is_over: &AtomicBool) -> bool {
        let Ok(names) = self.cache.list() else { return false };
        let digest = |name: &std::ffi::OsString| name.to_str()?.strip_suffix(".pkt.tar.zst")?.parse().ok();
        let there: Vec<Digest> = names.iter().filter_map(digest).collect();
        self.write().files.retain(|digest, _| there.contains(digest));
        for digest in there {
            if is_over.load(Ordering::Relaxed) {
                return true;
            }
            let (file, stamp) = match self.usable(&digest) {
                Ok(Some(usable)) => usable,
                Ok(None) => {
                    self.write().files.remove(&digest);
                    continue;
                }
                Err(_) => return false,
            };
            if self.read().files.get(&digest) == Some(&stamp) {
                continue;
            }
            let is_right = digest::of_file(&file).is_ok_and(|(_, found)| found == digest);
            match is_right {
                true => self.write().files.insert(digest, stamp),
                false => self.write().files.remove(&digest),
            };
        }
        true
    }

    /// A file that nobody else can change, without following a link (N24).
    ///
    /// # Errors
    /// Where the system has no handle for it.
    fn usable(&self, digest: &Digest) -> io::Result<Option<(File, Stamp)>> {
        let file = match self.cache.read(Cache::file_name(digest)) {
            Ok(file) => file,
            Err(error) if is_lack_of_handles(&error) => return Err(error),
            Err(_) => return Ok(None),
        };
        let stat = folder::stat(&file).ok().filter(only_ours);
        Ok(stat.map(|stat| (file, Stamp::of(&stat))))
    }
}

/// Whether this says nothing of the file that was to be opened.
fn is_lack_of_handles(error: &io::Error) -> bool {
    let known = error.raw_os_error().map(Errno::from_raw_os_error);
    known.is_some_and(|error| [Errno::MFILE, Errno::NFILE, Errno::NOMEM].contains(&error))
}

impl Offers for Shelf {
    fn named(&self, name: &str) -> Option<Digest> {
        self.read().names.get(name).copied()
    }

    fn has(&self, digest: &Digest) -> bool {
        self.read().files.contains_key(digest)
    }

    fn open(&self, digest: &Digest) -> Option<(File, u64)> {
        let offered = self.read().files.get(digest).copied()?;
        let (file, stamp) = self.usable(digest).ok().flatten()?;
        (stamp == offered).then_some((file, stamp.size))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::Path;

    use packets_plugin_api::storage::StorageErrorKind;
    use sha2::{Digest as _, Sha256};

    use super::*;

    fn shelf(home: &Path) -> Shelf {
        let none = || Err(StorageError::new(StorageErrorKind::NotFound, "no index"));
        Shelf::new(Folder::open_ambient(home).unwrap(), None, Box::new(none))
    }

    fn put(home: &Path, bytes: &[u8], under: &[u8]) -> Digest {
        let digest = Digest::from_bytes(Sha256::digest(under).into());
        std::fs::write(home.join(Cache::file_name(&digest)), bytes).unwrap();
        digest
    }

    fn look(shelf: &Shelf) {
        shelf.look(&AtomicBool::new(false));
    }

    #[test]
    fn n33_only_what_has_the_hash_of_its_name_is_offered() {
        let home = tempfile::tempdir().unwrap();
        let (good, bad) = (put(home.path(), b"good", b"good"), put(home.path(), b"bad", b"right"));
        std::fs::write(home.path().join(format!(".partial-{good}")), "half").unwrap();
        std::fs::write(home.path().join("old-1.pkt.tar.zst"), "of version 1").unwrap();
        let shelf = shelf(home.path());
        assert!(!shelf.has(&good), "not looked at yet");
        look(&shelf);
        assert!(shelf.has(&good) && !shelf.has(&bad) && shelf.open(&bad).is_none());
        assert_eq!((shelf.count(), shelf.open(&good).unwrap().1), (1, 4));
    }

    #[test]
    fn n33_what_was_changed_or_has_gone_is_not_given_any_more() {
        let home = tempfile::tempdir().unwrap();
        let digest = put(home.path(), b"good", b"good");
        let shelf = shelf(home.path());
        look(&shelf);
        std::fs::write(home.path().join(Cache::file_name(&digest)), "evil").unwrap();
        std::thread::sleep(Duration::from_millis(20));
        std::fs::write(home.path().join(Cache::file_name(&digest)), "evil").unwrap();
        assert!(shelf.open(&digest).is_none());
        look(&shelf);
        assert!(!shelf.has(&digest));
        std::fs::remove_file(home.path().join(Cache::file_name(&digest))).unwrap();
        look(&shelf);
        assert_eq!(shelf.count(), 0);
    }

    #[test]
    fn n24_links_pipes_folders_and_what_others_may_write_are_not_offered() {
        let home = tempfile::tempdir().unwrap();
        let path = |digest: &Digest| home.path().join(Cache::file_name(digest));
        let digests: Vec<Digest> = (0..4).map(|number| put(home.path(), &[number], &[number])).collect();
        std::fs::rename(path(&digests[0]), home.path().join("aside")).unwrap();
        symlink("aside", path(&digests[0])).unwrap();
        std::fs::remove_file(path(&digests[1])).unwrap();
        std::fs::create_dir(path(&digests[1])).unwrap();
        std::fs::remove_file(path(&digests[2])).unwrap();
        let pipe = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(rustix::fs::CWD, path(&digests[2]), pipe, rustix::fs::Mode::from_raw_mode(0o644), 0)
            .unwrap();
        std::fs::set_permissions(path(&digests[3]), std::fs::Permissions::from_mode(0o666)).unwrap();
        let shelf = shelf(home.path());
        look(&shelf);
        assert_eq!(shelf.count(), 0);
    }
}
