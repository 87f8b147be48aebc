//! A place in a tree of folders that remembers its way, so that no path is walked twice.

use std::io;

use packets_hook_runtime::folder::Folder;

/// Open folders from the root of a tree down to the one that was used last.
#[derive(Debug)]
pub(crate) struct Cursor {
    root: Folder,
    way: Vec<(String, Folder)>,
}

impl Cursor {
    pub(crate) fn new(root: Folder) -> Self {
        Self { root, way: Vec::new() }
    }

    /// The topmost folder once more.
    pub(crate) fn root_again(&self) -> io::Result<Folder> {
        self.root.again()
    }

    /// The folder in which the thing at `path` stands, and its name there.
    pub(crate) fn parent_of<'p>(&mut self, path: &'p str) -> io::Result<(&Folder, &'p str)> {
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        Ok((self.folder(parent)?, name))
    }

    /// The folder at `path`, of which no component may be a link.
    pub(crate) fn folder(&mut self, path: &str) -> io::Result<&Folder> {
        let mut wanted = path.split('/').filter(|name| !name.is_empty());
        let mut rest = wanted.clone();
        let mut shared = 0;
        while let (Some((name, _)), Some(next)) = (self.way.get(shared), wanted.next()) {
            if name != next {
                break;
            }
            shared += 1;
            rest = wanted.clone();
        }
        self.way.truncate(shared);
        for name in rest {
            let folder = self.way.last().map_or(&self.root, |(_, folder)| folder).open(name)?;
            self.way.push((name.to_owned(), folder));
        }
        Ok(self.way.last().map_or(&self.root, |(_, folder)| folder))
    }

    pub(crate) fn into_root(self) -> Folder {
        self.root
    }
}
