//! What an archive has brought so far, and whether the next entry fits.

use std::collections::{HashMap, HashSet};
use std::hash::{Hash, Hasher};

use icu_normalizer::ComposingNormalizerBorrowed;
use indexmap::{Equivalent, IndexMap};
use packets_plugin_api::relpath::RelPath;
use packets_plugin_api::storage::FileKind;

use super::names::wrong;
use super::{Record, limits};
use crate::error::{Error, Result};
use crate::manifest::{self, Hooks};

/// Mode of a folder without an entry of its own.
pub(crate) const IMPLIED_MODE: u32 = 0o755;

/// All paths of an archive, in its order.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    made: IndexMap<RelPath, FileKind>,
    /// Folders that were made for what is in them. Each may still get an entry of its own.
    implied: HashSet<RelPath>,
    root_seen: bool,
    /// The folder that the last path lay in: mostly the next one does too.
    last_parent: String,
    outside: usize,
    not_ascii: bool,
}

/// A path's text, to look it up without a copy.
struct Text<'t>(&'t str);

impl Hash for Text<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl Equivalent<RelPath> for Text<'_> {
    fn equivalent(&self, path: &RelPath) -> bool {
        self.0 == path.as_str()
    }
}

impl Tree {
    fn find(&self, path: &str) -> Option<&FileKind> {
        self.made.get(&Text(path))
    }

    /// The entry of the package's own folder: one at most.
    pub(super) fn root(&mut self) -> Result<()> {
        if std::mem::replace(&mut self.root_seen, true) { Err(wrong("./", "comes twice")) } else { Ok(()) }
    }

    /// The folders that must be made before `path` can be, outermost first.
    ///
    /// # Errors
    /// When one of its parents is no folder: nothing is ever reached through a link.
    pub(crate) fn missing_parents(&mut self, path: &RelPath) -> Result<Vec<RelPath>> {
        let mut missing = Vec::new();
        let direct = path.as_str().rsplit_once('/').map_or("", |(parent, _)| parent);
        if direct == self.last_parent {
            return Ok(missing);
        }
        let mut parent = path.parent().filter(|parent| !parent.is_root());
        while let Some(folder) = parent {
            match self.find(folder.as_str()) {
                Some(FileKind::Folder { .. }) => break,
                Some(FileKind::Symlink { .. }) => return Err(wrong(path.as_str(), "lies behind a symbolic link")),
                Some(FileKind::File { .. }) => return Err(wrong(path.as_str(), "lies below a file")),
                None => {}
            }
            parent = folder.parent().filter(|parent| !parent.is_root());
            missing.push(folder);
        }
        missing.reverse();
        if missing.is_empty() {
            // A folder that stands stays one.
            direct.clone_into(&mut self.last_parent);
        }
        Ok(missing)
    }

    /// Notes a folder that the archive only implies.
    pub(crate) fn imply(&mut self, path: RelPath) -> Result<()> {
        self.add(path.clone(), FileKind::Folder { mode: IMPLIED_MODE })?;
        self.implied.insert(path);
        Ok(())
    }

    /// Whether `path` is a folder that was only implied until now. It gets this mode.
    pub(super) fn settle_implied(&mut self, path: &RelPath, mode: u32) -> bool {
        let known = self.implied.remove(path);
        if known {
            self.made.insert(path.clone(), FileKind::Folder { mode });
        }
        known
    }

    /// Whether an entry of this kind may stand at `path`; asked before it is made.
    pub(crate) fn check(&mut self, path: &RelPath, kind: &FileKind) -> Result<()> {
        if self.made.contains_key(path) {
            return Err(wrong(path.as_str(), "comes twice"));
        }
        let top = path.components().next().unwrap_or_default();
        let is_top = top.len() == path.as_str().len();
        match (top, kind) {
            (manifest::FILE_NAME, FileKind::File { .. }) if is_top => {}
            (manifest::FILE_NAME, _) => return Err(wrong(path.as_str(), "must be a regular file")),
            (manifest::DATA, FileKind::Folder { .. }) => {}
            (manifest::DATA, _) if is_top => return Err(wrong(path.as_str(), "must be a folder")),
            (manifest::DATA, _) => {}
            (_, FileKind::Symlink { .. }) => return Err(not_allowed(path.as_str())),
            (_, FileKind::File { size, .. }) if *size > limits::OUTSIDE_SIZE => return Err(not_allowed(path.as_str())),
            _ => {
                self.outside += 1;
                if self.outside > limits::OUTSIDE {
                    return Err(not_allowed(path.as_str()));
                }
            }
        }
        Ok(())
    }

    /// Notes what has been made at `path`; checks as [`Self::check`] does.
    pub(crate) fn add(&mut self, path: RelPath, kind: FileKind) -> Result<()> {
        self.check(&path, &kind)?;
        self.note(path, kind);
        Ok(())
    }

    /// Notes what [`Self::check`] has let pass.
    pub(super) fn note(&mut self, path: RelPath, kind: FileKind) {
        self.not_ascii |= !path.as_str().is_ascii();
        self.made.insert(path, kind);
    }

    /// The file that a hard link at `path` names. Both lie below `data/`, so that what a
    /// hook writes there is never the manifest or a hook.
    pub(super) fn link_target(&self, path: &RelPath, existing: &RelPath) -> Result<FileKind> {
        let in_data = |path: &RelPath| path.components().next() == Some(manifest::DATA);
        if !in_data(path) || !in_data(existing) {
            return Err(wrong(path.as_str(), &format!("is a hard link outside {}/", manifest::DATA)));
        }
        match self.find(existing.as_str()) {
            Some(file @ FileKind::File { .. }) => Ok(file.clone()),
            _ => Err(wrong(path.as_str(), "is a hard link to what is no earlier file of the package")),
        }
    }

    /// Judges the whole: the set of names, and twins among them.
    pub(crate) fn finish(self, hooks: &Hooks) -> Result<Vec<Record>> {
        for hook in hooks.files() {
            if !matches!(self.find(hook.as_str()), Some(FileKind::File { .. })) {
                return Err(Error::integrity(format!("the hook {hook} that the manifest names is not in the package")));
            }
        }
        for (path, kind) in &self.made {
            let top = path.components().next().unwrap_or_default();
            let wanted = match kind {
                _ if top == manifest::FILE_NAME || top == manifest::DATA => true,
                FileKind::Folder { .. } => hooks.files().any(|hook| hook.starts_with(path)),
                _ => hooks.files().any(|hook| hook == path),
            };
            if !wanted {
                return Err(not_allowed(path.as_str()));
            }
        }
        if self.not_ascii {
            refuse_twins(&self.made)?;
        }
        Ok(self.made.into_iter().map(|(path, kind)| Record { path, kind }).collect())
    }
}

fn not_allowed(path: &str) -> Error {
    wrong(path, "does not belong into a package")
        .hint("a package holds manifest.toml, data/ and the hook files that the manifest names")
}

/// Refuses two names in one folder that are the same text in Unicode (NFC), and those that
/// a file system which folds names could take for the same when one of them is a
/// link. Names in ASCII are left alone: `A` and `a` are two files on Linux.
fn refuse_twins(made: &IndexMap<RelPath, FileKind>) -> Result<()> {
    let same = ComposingNormalizerBorrowed::new_nfc();
    let alike = ComposingNormalizerBorrowed::new_nfkc();
    let split = |path: &RelPath| match path.as_str().rsplit_once('/') {
        Some((parent, name)) => (parent.to_owned(), name.to_owned()),
        None => (String::new(), path.as_str().to_owned()),
    };
    let folders: HashSet<String> =
        made.keys().map(split).filter(|(_, name)| !name.is_ascii()).map(|(parent, _)| parent).collect();
    let mut seen: HashMap<(String, String), Vec<(String, bool)>> = HashMap::new();
    for (path, kind) in made {
        let (parent, name) = split(path);
        if !folders.contains(&parent) {
            continue;
        }
        let link = matches!(kind, FileKind::Symlink { .. });
        let folded = alike.normalize(&name).to_uppercase().to_lowercase();
        let twins = seen.entry((parent, alike.normalize(&folded).into_owned())).or_default();
        let clash = twins.iter().any(|(other, other_link)| {
            let foreign = !other.is_ascii() || !name.is_ascii();
            foreign && (same.normalize(other) == same.normalize(&name) || link || *other_link)
        });
        if clash {
            return Err(wrong(path.as_str(), "has a name that cannot be told from another one's"));
        }
        twins.push((name, link));
    }
    Ok(())
}
