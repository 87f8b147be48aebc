//! The staged view: what a hook sees of the target, and where its changes stay.
//!
//! One [`Overlay`] lies over the target for a whole transaction. Each hook works
//! in it through a [`Session`]; what it did is kept or taken back as a whole, and
//! the next hook sees it. Nothing outside the staging folders is ever changed:
//! new content is written there, everything else is an entry in memory. In the end
//! [`Overlay::changes`] says what is to become of each path.
//!
//! A path that a hook names goes through `resolve`: one name at a time, over
//! handles of open folders, links followed by their text. The canonical path that
//! comes out is what `ownership` judges; from there on nothing looks at the hook's
//! text again.
//!
//! What the contract leaves open is settled so:
//! - `open`, `mkdir` and the source of a copy follow a link in the last name; `remove`,
//!   `rename`, `symlink` and the target of a copy act on the link. `link/` is no folder.
//! - A copy onto itself is an error, a rename onto itself is none. A folder is copied into a
//!   folder that is there; it is renamed only onto an empty one.
//! - Readable is what everyone may read (`o+r`), on a way that everyone may enter (`o+x`); a
//!   granted folder and those above it may always be entered. What the package owns is
//!   readable whatever its mode.
//! - Files keep `mode & 0o755`, new ones get 0644; folders get at least 0700.
//! - `remove`, `copy` and `rename` of a folder do all or nothing, and each entry counts.
//! - `copy` and `mkdir` make missing parents; the others only a granted folder itself.

mod entry;
mod files;
mod links;
mod overlay;
mod ownership;
mod recursive;
mod resolve;
mod session;
mod settled;
mod staging;
mod stop;
mod tree;

use std::sync::Arc;

use packets_plugin_api::hook::{Grant, HookKind};
use packets_plugin_api::ident::{Digest, PackageName};
use packets_plugin_api::relpath::RelPath;
use packets_plugin_api::storage::StorageError;

use crate::folder::{Folder, Stat};
use crate::limits;

pub use overlay::Overlay;
pub use session::Session;
pub use staging::{PrivateStaging, Staging, StagingPlace};
pub use stop::OverlayError;

/// The system that packages are installed on.
#[derive(Debug)]
pub struct Target {
    /// Its root: `/`, or R of `--root R`.
    pub root: Folder,
    /// Whether it is another than the running system's: absolute links are then made relative.
    pub relocated: bool,
    /// Whose links on the target are followed, beside root's: the caller.
    pub trusted_uid: u32,
    /// Whether the root belongs to the caller: below a relocated one, folders that others
    /// may write can then be granted.
    pub root_owner_is_caller: bool,
}

/// Who has a path on record.
pub trait Owners {
    /// The packages that recorded this very path, canonical.
    ///
    /// # Errors
    /// The record cannot be read; the operation that asked then fails.
    fn owners(&self, path: &RelPath) -> Result<Vec<PackageName>, StorageError>;
}

/// A system on which no package is installed.
#[derive(Debug, Clone, Copy)]
pub struct NoOwners;

impl Owners for NoOwners {
    fn owners(&self, _: &RelPath) -> Result<Vec<PackageName>, StorageError> {
        Ok(Vec::new())
    }
}

/// Bounds of one hook in the view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ViewLimits {
    /// Calls, and entries of recursive ones.
    pub operations: u64,
    /// Bytes that may be written; a file is never larger.
    pub written: u64,
}

impl Default for ViewLimits {
    fn default() -> Self {
        Self { operations: limits::OPERATIONS, written: limits::WRITTEN }
    }
}

/// Whose hook runs, and with which rights.
pub struct HookContext<'a> {
    /// The package.
    pub package: PackageName,
    /// When the hook runs.
    pub kind: HookKind,
    /// The package's folder, `<dataDir>/<name>`, below the target's root.
    pub folder: RelPath,
    /// Its manifest and hook files: read only. Below the target's root, or as seen from `folder`.
    pub readable: Vec<RelPath>,
    /// What the config, the administrator and the command line give.
    pub grant: &'a Grant,
    /// The installed packages in whose place this one comes: what is theirs is its own.
    pub may_replace: Vec<PackageName>,
    /// Who has a path on record.
    pub owners: &'a dyn Owners,
    /// Its bounds.
    pub limits: ViewLimits,
}

/// What is to become of one path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Below the target's root, with all folders resolved.
    pub path: RelPath,
    /// Who wants it so; several only for a folder.
    pub by: Vec<PackageName>,
    /// What will stand there.
    pub becomes: Becomes,
    /// Whether what stood there was named by a `replace`: it comes back when the package goes.
    pub displaces: bool,
    /// What stood there on the disk when the view first met it; none: nothing.
    pub old: Option<Stat>,
    /// The folder that it is in, on the disk; none: one that is made in this transaction.
    pub parent: Option<Identity>,
}

/// Which folder a folder is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// The file system.
    pub device: u64,
    /// The inode there.
    pub inode: u64,
}

impl From<Stat> for Identity {
    fn from(stat: Stat) -> Self {
        Self { device: stat.device, inode: stat.inode }
    }
}

/// What will stand at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Becomes {
    /// Nothing.
    Absent,
    /// A regular file, whose content is staged.
    File {
        /// Where it is staged; its permission bits are set there, nothing is synced.
        staged: Staged,
        /// Permission bits, at most 0o755.
        mode: u32,
        /// In bytes.
        size: u64,
        /// Of its content.
        sha256: Digest,
    },
    /// A symbolic link.
    Symlink {
        /// The target that the hook asked for.
        asked: String,
        /// The target that the link holds.
        stored: String,
    },
    /// A folder. Where `old` is one too, nothing is to be done on the disk but to give it this mode.
    Folder {
        /// Permission bits, at most 0o755.
        mode: u32,
    },
}

/// Where a staged file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Staged {
    /// The [`StagingPlace`]'s id.
    pub place: u32,
    /// The file's name there.
    pub name: String,
}

/// What became of a path that [`Overlay::drop_path`] was to take away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dropped {
    /// It is gone from the overlay.
    Gone,
    /// Nothing was there.
    NothingThere,
    /// It is a folder with something in it, and stays.
    NotEmpty,
    /// A hook of another package made it in this transaction, or asked for it, and it stays.
    Kept,
}

/// What stands at a path in the overlay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// A regular file.
    File {
        /// Permission bits.
        mode: u32,
        /// In bytes.
        size: u64,
        /// Whether a hook of this transaction made it.
        staged: bool,
    },
    /// A symbolic link.
    Symlink {
        /// The target that it holds.
        stored: String,
    },
    /// A folder.
    Folder {
        /// Permission bits.
        mode: u32,
    },
    /// A device, FIFO or socket.
    Special,
}

/// A folder handle with what it was when it was opened.
#[derive(Debug)]
struct Base {
    folder: Folder,
    stat: Stat,
    /// In a package's staged tree, not on the target.
    in_tree: bool,
}

type Handle = Arc<Base>;
