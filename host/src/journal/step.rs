//! What a transaction changes, written so that it can be carried out, taken back, and judged
//! by looking at what stands there.

use packets_hook_runtime::folder::{self, Folder, Stat};
use packets_plugin_api::ident::PackageName;
use packets_plugin_api::relpath::RelPath;
use packets_plugin_api::storage::{Approval, InstalledRow, Rows};
use serde::{Deserialize, Serialize};
use std::io;
use std::sync::Arc;

/// A folder that a transaction works in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FolderId {
    /// Below the target's root, at the moment when a step needs it.
    pub(crate) path: RelPath,
    /// The file system.
    pub(crate) device: u64,
    /// The inode there.
    pub(crate) inode: u64,
    /// Whether it comes to its path in this transaction only.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) comes: bool,
}

impl FolderId {
    /// The open folder, which stands at `path`.
    pub(crate) fn of(folder: &Folder, path: RelPath) -> io::Result<Self> {
        let stat = folder.stat_self()?;
        Ok(Self { path, device: stat.device, inode: stat.inode, comes: false })
    }
}

/// A name in one of the transaction's folders.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Spot {
    /// The folder's place in [`Decision::folders`].
    pub(crate) folder: usize,
    /// One name in it.
    pub(crate) name: String,
}

/// What kind of thing stands at a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    File,
    Folder,
    Symlink,
    Special,
}

impl From<folder::Kind> for Kind {
    fn from(kind: folder::Kind) -> Self {
        match kind {
            folder::Kind::File => Self::File,
            folder::Kind::Folder => Self::Folder,
            folder::Kind::Symlink => Self::Symlink,
            folder::Kind::Special => Self::Special,
        }
    }
}

/// What stands at a name, or will.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Standing {
    pub(crate) kind: Kind,
    pub(crate) device: u64,
    pub(crate) inode: u64,
    /// Permission bits.
    pub(crate) mode: u32,
    /// In bytes; 0 for folders.
    #[serde(default)]
    pub(crate) size: u64,
    /// When it was last written, in nanoseconds since 1970; 0 for folders, whose time changes with every name in them.
    #[serde(default)]
    pub(crate) modified: i64,
    /// Of links: the target. Of files that hooks wrote: the SHA-256.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) content: Option<String>,
}

impl Standing {
    /// What `stat` says.
    pub(crate) fn of(stat: &Stat) -> Self {
        let kind = Kind::from(stat.kind);
        let is_folder = kind == Kind::Folder;
        Self {
            kind,
            device: stat.device,
            inode: stat.inode,
            mode: stat.mode,
            size: if is_folder { 0 } else { stat.size },
            modified: if is_folder { 0 } else { nanoseconds(stat.modified) },
            content: None,
        }
    }

    /// Whether this very thing stands there, whatever was done to it since.
    pub(crate) fn is_still(&self, stat: &Stat) -> bool {
        (self.kind, self.device, self.inode) == (Kind::from(stat.kind), stat.device, stat.inode)
    }

    /// Whether this is what stands there. A folder is the same whatever is in it.
    pub(crate) fn is(&self, stat: &Stat) -> bool {
        let now = Self::of(stat);
        (self.kind, self.device, self.inode) == (now.kind, now.device, now.inode)
            && (self.kind == Kind::Folder
                || (self.mode, self.size, self.modified) == (now.mode, now.size, now.modified))
    }
}

/// Of times that no file has, the nearest that fits.
fn nanoseconds(time: i128) -> i64 {
    i64::try_from(time).unwrap_or(if time < 0 { i64::MIN } else { i64::MAX })
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "lowercase")]
pub(crate) enum Step {
    /// Something else stands at a name.
    Put(Put),
    /// A file of the administrator's moves from one place to another.
    Carry {
        /// Where it is.
        from: Spot,
        /// Where it goes.
        to: Spot,
        /// What it is.
        what: Standing,
    },
    /// A folder gets other permission bits.
    Mode {
        /// The folder.
        folder: usize,
        /// Its bits now.
        before: u32,
        /// Its bits then.
        after: u32,
    },
}

/// What stands at a name before, and what after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Put {
    /// The name.
    pub(crate) at: Spot,
    /// What stands there; none: nothing.
    pub(crate) before: Option<Standing>,
    /// What will stand there; none: nothing.
    pub(crate) after: Option<Standing>,
    /// Where what will stand there waits.
    pub(crate) new: Option<Spot>,
    /// Where what stood there goes.
    pub(crate) old: Option<Spot>,
    /// A folder that comes or goes only as long as nothing is in it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) only_empty: bool,
    /// `new` is no staging: it is where this thing belongs otherwise.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) returns: bool,
    /// Where what stands there is a folder that cannot be moved: `before` is another one then, into which all that
    /// is in it moves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) stuck: Option<Box<Stuck>>,
}

/// A folder that cannot be moved, and the one that goes in its stead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stuck {
    /// What stands there.
    pub(crate) standing: Standing,
    /// Where the other one waits, with the same folders in it and nothing else, before it goes to its place.
    pub(crate) waits: Spot,
    /// Whether the step is taken back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) back: bool,
}

impl Put {
    /// What stands there before anything is done.
    pub(crate) fn stands(&self) -> Option<&Standing> {
        self.stuck.as_ref().map(|stuck| &stuck.standing).or(self.before.as_ref())
    }

    /// Something comes where nothing stands.
    pub(crate) fn comes(at: Spot, new: Spot, after: Standing) -> Self {
        Self { after: Some(after), new: Some(new), ..Self::nothing(at) }
    }

    /// What stands there goes.
    pub(crate) fn goes(at: Spot, before: Standing, old: Spot) -> Self {
        Self { before: Some(before), old: Some(old), ..Self::nothing(at) }
    }

    /// Something comes, and what stands there goes.
    pub(crate) fn swap(at: Spot, before: (Standing, Spot), after: (Standing, Spot)) -> Self {
        Self { before: Some(before.0), old: Some(before.1), ..Self::comes(at, after.1, after.0) }
    }

    fn nothing(at: Spot) -> Self {
        Self { at, before: None, after: None, new: None, old: None, only_empty: false, returns: false, stuck: None }
    }
}

impl Step {
    /// What it puts in place, where it does.
    pub(crate) fn as_put(&self) -> Option<&Put> {
        match self {
            Self::Put(put) => Some(put),
            _ => None,
        }
    }

    /// The step that takes this one back.
    pub(crate) fn reversed(&self) -> Self {
        match self {
            Self::Put(put) => Self::Put(Put {
                at: put.at.clone(),
                before: put.after.clone(),
                after: put.before.clone(),
                new: put.old.clone(),
                old: put.new.clone(),
                only_empty: put.only_empty,
                returns: false,
                stuck: put.stuck.clone().map(|stuck| Box::new(Stuck { back: !stuck.back, ..*stuck })),
            }),
            Self::Carry { from, to, what } => Self::Carry { from: to.clone(), to: from.clone(), what: what.clone() },
            Self::Mode { folder, before, after } => Self::Mode { folder: *folder, before: *after, after: *before },
        }
    }

    /// The folders whose names must be durable when it is done: where things went. A name in staging that
    /// comes back after a power cut does no harm.
    pub(crate) fn folders(&self) -> Vec<usize> {
        match self {
            Self::Put(put) => {
                let home = put.new.as_ref().filter(|_| put.returns);
                [Some(&put.at), put.old.as_ref(), home].into_iter().flatten().map(|spot| spot.folder).collect()
            }
            Self::Carry { from, to, .. } => vec![from.folder, to.folder],
            Self::Mode { folder, .. } => vec![*folder],
        }
    }

    fn standings(&mut self) -> Vec<&mut Standing> {
        match self {
            Self::Put(put) => {
                let stuck = put.stuck.as_mut().map(|stuck| &mut stuck.standing);
                put.before.iter_mut().chain(put.after.iter_mut()).chain(stuck).collect()
            }
            Self::Carry { what, .. } => vec![what],
            Self::Mode { .. } => Vec::new(),
        }
    }
}

/// The rows that take a transaction back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Inverse {
    /// Packages that were not installed.
    pub(crate) gone: Vec<PackageName>,
    /// Packages as they were.
    pub(crate) installed: Vec<InstalledRow>,
    /// Approvals as they were; an empty one where there was none.
    pub(crate) approved: Vec<Approval>,
}

/// All that a transaction is going to change: what `decided` says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Decision {
    /// Its staging folders.
    pub(crate) places: Vec<FolderId>,
    /// The folders that its steps name.
    pub(crate) folders: Vec<FolderId>,
    /// In this order; taken back in the other.
    pub(crate) steps: Vec<Step>,
    /// What is on record then. Another thread may be writing it already.
    #[serde(with = "shared")]
    pub(crate) rows: Arc<Rows>,
    /// What was on record.
    pub(crate) before: Inverse,
}

/// What several threads have is written as what it is.
pub(super) mod shared {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(crate) fn serialize<T: Serialize, S: Serializer>(value: &Arc<T>, to: S) -> Result<S::Ok, S::Error> {
        T::serialize(value, to)
    }

    pub(crate) fn deserialize<'a, T: Deserialize<'a>, D: Deserializer<'a>>(from: D) -> Result<Arc<T>, D::Error> {
        T::deserialize(from).map(Arc::new)
    }
}

impl Decision {
    /// The same with the numbers that file systems have now: they change when the machine starts
    /// or something is mounted again. `now` gives the new number for a recorded one.
    pub(crate) fn renumber(&mut self, now: impl Fn(u64) -> u64) {
        for folder in self.places.iter_mut().chain(&mut self.folders) {
            folder.device = now(folder.device);
        }
        for standing in self.steps.iter_mut().flat_map(Step::standings) {
            standing.device = now(standing.device);
        }
    }

    /// Whether every number in it names something, and every name is a single one.
    pub(crate) fn is_sound(&self) -> bool {
        let sound = |spot: &Spot| {
            let name = spot.name.as_str();
            spot.folder < self.folders.len() && !matches!(name, "" | "." | "..") && !name.contains(['/', '\0'])
        };
        self.steps.iter().all(|step| match step {
            Step::Put(put) => {
                sound(&put.at)
                    && [&put.new, &put.old].into_iter().flatten().all(sound)
                    && put.stuck.as_ref().is_none_or(|stuck| sound(&stuck.waits) && put.before.is_some())
                    && put.after.is_some() == put.new.is_some()
                    && put.before.is_some() == put.old.is_some()
            }
            Step::Carry { from, to, .. } => sound(from) && sound(to),
            Step::Mode { folder, .. } => *folder < self.folders.len(),
        })
    }
}
