//! What a source remembers from one run to the next: a small file that may get lost at any time.

use std::fs::File;
use std::io::{self, Read, Write};
use std::sync::LazyLock;
use std::thread;
use std::time::Duration;

use packets_hook_runtime::folder::{Folder, Rename};
use packets_plugin_api::registry::Memory;
use rustix::fs::{FlockOperation, flock};

use crate::durable::random_name;

/// The most that is kept.
const MOST: u64 = 1 << 20;
/// How often it is tried to have the file alone, since nobody has it for long.
const TRIES: u32 = 50;
/// And between two of these.
const PAUSE: Duration = Duration::from_millis(2);

/// See the module.
#[derive(Debug)]
pub(crate) struct RememberedFile {
    folder: LazyLock<Option<Folder>, Enter>,
    name: &'static str,
    is_kept: bool,
}

/// Enters the folder, where there is one.
type Enter = Box<dyn FnOnce() -> Option<Folder> + Send>;

impl RememberedFile {
    /// The file of this name in a folder that is entered when it is looked at; `is_kept` is whether it may be written.
    pub(crate) fn new(
        enter: impl FnOnce() -> Option<Folder> + Send + 'static,
        name: &'static str,
        is_kept: bool,
    ) -> Self {
        Self { folder: LazyLock::new(Box::new(enter)), name, is_kept }
    }

    fn folder(&self) -> io::Result<&Folder> {
        self.folder.as_ref().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Wholly old or wholly new, but not synced: it is not worth the wait.
    fn write(&self, bytes: &[u8]) -> io::Result<()> {
        let temporary = format!(".{}.{}", self.name, random_name()?);
        let folder = self.folder()?;
        let written = folder.create(&temporary, 0o644).and_then(|mut file| file.write_all(bytes));
        let renamed = written.and_then(|()| folder.rename(&temporary, folder, self.name, Rename::Replace));
        if renamed.is_err() {
            let _ = folder.remove_file(&temporary);
        }
        renamed
    }
}

impl RememberedFile {
    /// Keeps others from changing the file; none where that cannot be had within a moment. Another file is locked, which
    /// only its owner can open: with the file itself, whoever may read it could hold everybody up.
    fn lock(&self) -> Option<File> {
        let name = format!("{}.lock", self.name);
        let folder = self.folder().ok()?;
        let file = match folder.create(&name, 0o600) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => folder.update(&name).ok()?,
            created => created.ok()?,
        };
        let is_ours = || flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok();
        let is_locked = (0..TRIES).any(|_| {
            is_ours() || {
                thread::sleep(PAUSE);
                false
            }
        });
        is_locked.then_some(file)
    }
}

impl Memory for RememberedFile {
    fn load(&self) -> Option<Vec<u8>> {
        // Mostly all of it comes at once.
        let mut bytes = Vec::with_capacity(4096);
        self.folder().ok()?.read(self.name).ok()?.take(MOST).read_to_end(&mut bytes).ok()?;
        Some(bytes)
    }

    fn update(&self, change: &mut dyn FnMut(Option<Vec<u8>>) -> Option<Vec<u8>>) {
        let Some(_locked) = self.is_kept.then(|| self.lock()).flatten() else { return };
        if let Some(bytes) = change(self.load()) {
            self.keep(&bytes);
        }
    }

    fn keep(&self, bytes: &[u8]) {
        if self.is_kept && bytes.len() as u64 <= MOST {
            // What is not remembered costs a little time, and no more.
            let _ = self.write(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    use super::*;

    fn in_folder(path: &Path, is_kept: bool) -> RememberedFile {
        let path = path.to_owned();
        RememberedFile::new(move || Folder::open_ambient(&path).ok(), "x.json", is_kept)
    }

    #[test]
    fn what_several_add_at_once_is_all_there() {
        let home = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                // Each with a handle of its own, as processes have.
                let memory = in_folder(home.path(), true);
                scope.spawn(move || {
                    let mut added = 0;
                    // Who does not get it in time on a busy machine keeps nothing.
                    while added < 25 {
                        memory.update(&mut |before| {
                            added += 1;
                            Some([&before.unwrap_or_default()[..], b"x"].concat())
                        });
                    }
                });
            }
        });
        let memory = in_folder(home.path(), true);
        assert_eq!(memory.load().unwrap().len(), 100);
        let mut names = Folder::open_ambient(home.path()).unwrap().list().unwrap();
        names.sort();
        assert_eq!(names, ["x.json", "x.json.lock"]);
        let mode = |name: &str| home.path().join(name).metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("x.json"), mode("x.json.lock")), (0o644, 0o600), "who only reads it can lock nothing");
    }

    #[test]
    fn one_who_holds_it_for_ever_is_not_waited_for_long() {
        let home = tempfile::tempdir().unwrap();
        let memory = in_folder(home.path(), true);
        memory.update(&mut |_| Some(b"one".to_vec()));
        let _held = memory.lock().unwrap();
        let begun = std::time::Instant::now();
        memory.update(&mut |_| panic!("not while another one has it"));
        assert!(begun.elapsed() < Duration::from_secs(2));
        assert_eq!(memory.load().unwrap(), b"one");
    }

    #[test]
    fn what_is_kept_comes_back_and_a_reader_keeps_nothing() {
        let home = tempfile::tempdir().unwrap();
        let memory = |is_kept| in_folder(home.path(), is_kept);
        assert_eq!(memory(true).load(), None);
        memory(true).keep(b"one");
        memory(false).keep(b"two");
        assert_eq!(memory(false).load().unwrap(), b"one");
        memory(true).keep(&vec![0; 2 << 20]);
        assert_eq!(memory(true).load().unwrap(), b"one");
        assert_eq!(Folder::open_ambient(home.path()).unwrap().list().unwrap(), ["x.json"]);
    }
}
