//! What the overlay knows of a path that is no longer as on the disk.

use packets_plugin_api::ident::{Digest, PackageName};

use super::{Handle, Identity, StagingPlace};
use crate::folder::Stat;

/// The number of a staged file.
pub(super) type FileNumber = u32;

/// What stands at a path.
#[derive(Debug, Clone)]
pub(super) enum Node {
    /// Nothing; what the disk holds there, and below, is hidden.
    Absent,
    /// A staged file. No two paths share one.
    File(FileNumber),
    /// A link.
    Symlink { asked: String, stored: String },
    /// A folder. `through`: it is one on the disk, whose content shows; else only what
    /// has entries is in it.
    Folder { mode: u32, through: bool },
    /// A package's staged tree, whose content shows.
    Tree(Handle),
    /// As `Absent`, for a package's folder that the host takes away.
    Hidden,
}

impl Node {
    /// Whether both leave the same at a path. Files are never changed in place but by
    /// the hook that made them, so the number tells.
    pub(super) fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Absent, Self::Absent) | (Self::Hidden, Self::Hidden) => true,
            (Self::File(one), Self::File(two)) => one == two,
            (Self::Symlink { asked: a, stored: s }, Self::Symlink { asked: b, stored: t }) => (a, s) == (b, t),
            (Self::Folder { mode: one, .. }, Self::Folder { mode: two, .. }) => one == two,
            _ => false,
        }
    }

    pub(super) fn is_there(&self) -> bool {
        !matches!(self, Self::Absent | Self::Hidden)
    }
}

/// An entry of the overlay.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) node: Node,
    /// Whose hooks made it so; nobody's: the host's own, which is no change.
    pub(super) by: Vec<PackageName>,
    /// What stood there was named by a `replace`.
    pub(super) displaces: bool,
    /// What stands there on the disk, or in the package's tree.
    pub(super) old: Option<Stat>,
    /// The folder on the disk that it is in.
    pub(super) parent: Option<Identity>,
}

impl Entry {
    /// An entry of the host's own.
    pub(super) fn of_host(node: Node) -> Self {
        Self { node, by: Vec::new(), displaces: false, old: None, parent: None }
    }
}

/// A staged file.
#[derive(Debug)]
pub(super) struct StagedFile {
    pub(super) place: StagingPlace,
    pub(super) name: String,
    pub(super) mode: u32,
    pub(super) size: u64,
    /// Of its content; none while it may still change.
    pub(super) sha256: Option<Digest>,
    /// The session that made it, and that alone may change it in place.
    pub(super) session: u32,
}

/// One path that an operation is about to change.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) path: packets_plugin_api::relpath::RelPath,
    pub(super) node: Node,
    pub(super) displaces: bool,
    pub(super) old: Option<Stat>,
    pub(super) parent: Option<Identity>,
}
