//! What a source remembers from one run to the next: a small file that may get lost at any time.

use std::io::{self, Read, Write};

use packets_hook_runtime::folder::{Folder, Rename};
use packets_plugin_api::registry::Memory;

use crate::durable::random_name;

/// The most that is kept.
const MOST: u64 = 1 << 20;

/// See the module.
#[derive(Debug)]
pub(crate) struct RememberedFile {
    folder: Folder,
    name: &'static str,
    is_kept: bool,
}

impl RememberedFile {
    /// The file of this name; `is_kept` is whether it may be written.
    pub(crate) fn new(folder: Folder, name: &'static str, is_kept: bool) -> Self {
        Self { folder, name, is_kept }
    }

    /// Wholly old or wholly new, but not synced: it is not worth the wait.
    fn write(&self, bytes: &[u8]) -> io::Result<()> {
        let temporary = format!(".{}.{}", self.name, random_name()?);
        let written = self.folder.create(&temporary, 0o644).and_then(|mut file| file.write_all(bytes));
        let renamed = written.and_then(|()| self.folder.rename(&temporary, &self.folder, self.name, Rename::Replace));
        if renamed.is_err() {
            let _ = self.folder.remove_file(&temporary);
        }
        renamed
    }
}

impl Memory for RememberedFile {
    fn load(&self) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        self.folder.read(self.name).ok()?.take(MOST).read_to_end(&mut bytes).ok()?;
        Some(bytes)
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
    use super::*;

    #[test]
    fn what_is_kept_comes_back_and_a_reader_keeps_nothing() {
        let home = tempfile::tempdir().unwrap();
        let memory = |is_kept| RememberedFile::new(Folder::open_ambient(home.path()).unwrap(), "x.json", is_kept);
        assert_eq!(memory(true).load(), None);
        memory(true).keep(b"one");
        memory(false).keep(b"two");
        assert_eq!(memory(false).load().unwrap(), b"one");
        memory(true).keep(&vec![0; 2 << 20]);
        assert_eq!(memory(true).load().unwrap(), b"one");
        assert_eq!(Folder::open_ambient(home.path()).unwrap().list().unwrap(), ["x.json"]);
    }
}
