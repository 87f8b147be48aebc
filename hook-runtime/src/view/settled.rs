//! Granted paths that lead to themselves, looked up once for all hooks of a transaction.
//!
//! Most hooks are granted the same folders, and to follow each of them name by name for every hook took a third of
//! what a small hook costs.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use packets_plugin_api::relpath::RelPath;

use super::entry::{Entry, Node};
use crate::sandbox::Right;

type Entries = BTreeMap<RelPath, Entry>;

/// See the module. Each has been found in force for whatever hook, with nothing but folders of the disk, or nothing
/// at all, on the way.
#[derive(Debug, Default)]
pub(super) struct Settled {
    rights: HashMap<RelPath, Vec<Right>>,
    /// All paths on the ways to them, they themselves among them.
    way: BTreeSet<RelPath>,
    /// Something on a way was touched since it was last looked at.
    touched: bool,
}

impl Settled {
    /// A hook, or the host, changes what stands at a path.
    pub(super) fn touch(&mut self, path: &RelPath) {
        self.touched = self.touched || self.way.contains(path);
    }

    /// Before a hook begins: what may lead elsewhere by now is looked up anew. A folder that a hook made leads nowhere else.
    pub(super) fn check(&mut self, entries: &Entries) {
        let is_other = |entry: &Entry| !matches!(entry.node, Node::Folder { .. });
        if !std::mem::take(&mut self.touched) {
            return;
        }
        if self.way.iter().any(|path| entries.get(path).is_some_and(is_other)) {
            *self = Self::default();
        }
    }

    /// Whether this path is in force with this right, and is itself where it leads.
    pub(super) fn holds(&self, right: Right, path: &RelPath) -> bool {
        self.rights.get(path).is_some_and(|rights| rights.contains(&right))
    }

    /// A path has been found so. It stays so as long as no hook puts something else on the way; where one has
    /// already, what it hides may come back.
    pub(super) fn note(&mut self, right: Right, path: &RelPath, entries: &Entries) {
        let way = || std::iter::successors(Some(path.clone()), RelPath::parent).filter(|path| !path.is_root());
        if way().any(|path| entries.contains_key(&path)) {
            return;
        }
        self.way.extend(way());
        self.rights.entry(path.clone()).or_default().push(right);
    }
}
