//! Hook runners, and the view of the system that a hook gets.

use std::fmt::{self, Debug};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ident::{Digest, PackageName, TransactionId};
use crate::relpath::RelPath;

/// When a hook runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HookKind {
    /// After the package is staged, before anything on the target changes.
    Install,
    /// Before the package is taken out.
    Remove,
}

impl fmt::Display for HookKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Install => "install",
            Self::Remove => "remove",
        })
    }
}

/// A hook's script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookSource {
    /// Its path in the package, as the manifest writes it, e.g. `scripts/install.lua`.
    pub name: RelPath,
    /// Its bytes.
    pub text: Vec<u8>,
}

/// What a hook is told about where and when it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookCall {
    /// The package whose hook it is.
    pub package: PackageName,
    /// When it runs.
    pub kind: HookKind,
    /// The transaction; the hook's random numbers are seeded from it.
    pub transaction: TransactionId,
    /// The transaction's time in seconds since 1970, the only time that the hook sees.
    pub time: u64,
    /// `packets_package_dir`: the absolute folder of all packages on the target.
    pub packages_dir: String,
    /// `packets_bin_dir`: the absolute folder for programs on the target.
    pub bin_dir: String,
    /// `data_dir`: the absolute `data` folder of this package on the target.
    pub data_dir: String,
}

/// What a hook may reach. For a runner it is information: the view enforces it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// Folders in which the hook may read, create, and change what its package owns.
    pub allow: Vec<RelPath>,
    /// Folders in which it may also change what no package owns.
    pub write: Vec<RelPath>,
    /// Folders that it may read.
    pub read: Vec<RelPath>,
    /// Single paths of others that it may displace.
    pub replace: Vec<RelPath>,
}

/// An open file of a view.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId(pub u32);

/// How a file is opened: the six modes of Lua's `io.open`; a `b` changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenMode {
    /// `r`: read an existing file.
    Read,
    /// `w`: write a new or emptied file.
    Write,
    /// `a`: write behind the end of a new or existing file.
    Append,
    /// `r+`: read and write an existing file.
    ReadUpdate,
    /// `w+`: read and write a new or emptied file.
    WriteUpdate,
    /// `a+`: read, and write behind the end.
    AppendUpdate,
}

/// Where a seek counts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whence {
    /// The start of the file.
    Start,
    /// The current place.
    Current,
    /// The end of the file.
    End,
}

/// The system as a hook sees it: reads fall through to the target, writes stay
/// in staging.
///
/// Paths are texts from the hook, hostile, absolute as on the target system.
/// The view alone resolves and judges them. No method blocks, and none changes
/// the target. A [`ViewError`] of kind [`ViewErrorKind::Denied`] has been
/// recorded as a [`Denial`]; one of kind [`ViewErrorKind::Limit`] must end the hook.
pub trait StagedView {
    /// The line of the hook that is about to call, for denials; 0 where unknown.
    fn at_line(&mut self, line: u32);
    /// Opens a regular file.
    fn open(&mut self, path: &str, mode: OpenMode) -> Result<FileId, ViewError>;
    /// Reads at the current place; 0 bytes mean the end.
    fn read(&mut self, file: FileId, buffer: &mut [u8]) -> Result<usize, ViewError>;
    /// Writes all of `bytes` at the current place.
    fn write(&mut self, file: FileId, bytes: &[u8]) -> Result<(), ViewError>;
    /// Moves the current place and returns it, counted from the start.
    fn seek(&mut self, file: FileId, whence: Whence, offset: i64) -> Result<u64, ViewError>;
    /// Closes a file; its id is never used again.
    fn close(&mut self, file: FileId) -> Result<(), ViewError>;
    /// Removes a file, a link or a folder with its content. Nothing there: success.
    fn remove(&mut self, path: &str) -> Result<(), ViewError>;
    /// Gives what stands at `old` the name `new`, replacing what stands there.
    fn rename(&mut self, old: &str, new: &str) -> Result<(), ViewError>;
    /// Copies a file with its mode, or a folder recursively; makes the parents of `target`.
    fn copy(&mut self, source: &str, target: &str) -> Result<(), ViewError>;
    /// Makes a symbolic link at `link`, replacing what stands there.
    fn symlink(&mut self, target: &str, link: &str) -> Result<(), ViewError>;
    /// Makes a folder with its parents; one that is there already is success.
    fn mkdir(&mut self, path: &str, mode: u32) -> Result<(), ViewError>;
}

/// What kind of refusal or failure an operation of a view met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ViewErrorKind {
    /// Not granted. It stands among the denials.
    Denied,
    /// Nothing is there.
    NotFound,
    /// The operation does not fit what is there (a folder opened as a file, a bad handle, a bad path).
    Invalid,
    /// A limit of the hook is used up; the hook ends.
    Limit,
    /// The target or the staging folder failed.
    Io,
}

/// Why an operation of a view did not happen. Nothing has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewError {
    /// The kind.
    pub kind: ViewErrorKind,
    /// What the hook is told.
    pub message: String,
}

impl ViewError {
    /// An error of this kind with this message.
    pub fn new(kind: ViewErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }
}

impl fmt::Display for ViewError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ViewError {}

/// What a hook would leave at one path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Effect {
    /// The path with all folders resolved, below the target's root.
    pub path: RelPath,
    /// What will stand there.
    pub becomes: EffectKind,
    /// Whether what stood there belongs to another package and comes back when this one goes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub displaces: bool,
}

/// What stands at a path after a hook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum EffectKind {
    /// A regular file.
    File {
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
    /// A folder.
    Folder {
        /// Permission bits, at most 0o755.
        mode: u32,
    },
    /// Nothing.
    Absent,
}

/// Something that a hook tried and was not allowed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Denial {
    /// What was tried: `open`, `copy`, `symlink`, ...
    pub operation: String,
    /// The path as the hook wrote it, unescaped.
    pub path: String,
    /// The line of the hook; 0 where unknown.
    pub line: u32,
    /// Why, in one sentence without a full stop.
    pub reason: String,
    /// The grant that would allow it; none where nothing can.
    pub would_allow: Option<PolicyLine>,
}

/// One entry of a `[[Sandbox.grant]]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyLine {
    /// `write`, `read` or `replace`.
    pub right: String,
    /// The folder or path to name there, absolute.
    pub path: String,
}

/// What one hook did, as its view saw it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookReport {
    /// The net change of each path, parents first.
    pub effects: Vec<Effect>,
    /// In order.
    pub denials: Vec<Denial>,
}

/// Takes what a hook prints.
pub trait HookLog {
    /// One line, control characters already escaped, without its end.
    fn line(&mut self, line: &str);
}

/// What a hook has used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HookUsage {
    /// From the call to the report.
    pub wall: Duration,
    /// The most memory that the script had, in bytes.
    pub memory: u64,
}

/// Bounds that a deployment can set; all others are constants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HookLimits {
    /// Memory of a hook in bytes.
    pub memory: u64,
    /// Time that a hook may compute.
    pub cpu: Duration,
    /// Time from its start to its end.
    pub wall: Duration,
}

/// Runs the scripts of packages.
///
/// A runner is trusted and compiled in. It gives a script nothing but the view
/// and the log: no file, no process, no network, no clock but the transaction's.
/// Nothing is left of one run in the next.
pub trait HookRunner: Debug + Send + Sync {
    /// The runner's stable id.
    fn name(&self) -> &str;

    /// Whether this runner is the one for such a hook (by its name's ending).
    fn handles(&self, hook: &HookSource) -> bool;

    /// Parses the hook and runs nothing.
    ///
    /// # Errors
    /// [`HookErrorKind::Syntax`], or [`HookErrorKind::Limit`] for one that is too large.
    fn check(&self, hook: &HookSource) -> Result<(), HookError>;

    /// Runs the hook to its end. What it did is in the view, whether it failed or not;
    /// the host discards it on an error.
    ///
    /// # Errors
    /// Any [`HookErrorKind`].
    fn run(
        &self,
        hook: &HookSource,
        call: &HookCall,
        grant: &Grant,
        view: &mut dyn StagedView,
        log: &mut dyn HookLog,
    ) -> Result<HookUsage, HookError>;
}

/// How a hook failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HookErrorKind {
    /// It does not parse.
    Syntax,
    /// It raised an error that it did not catch.
    Script,
    /// It used up a limit.
    Limit,
    /// The sandbox itself failed.
    Sandbox,
}

/// Why a hook did not come to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookError {
    /// The kind.
    pub kind: HookErrorKind,
    /// One sentence without a full stop, with the script's line where there is one; escaped and bounded.
    pub message: String,
}

impl HookError {
    /// An error of this kind with this message.
    pub fn new(kind: HookErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }
}

impl fmt::Display for HookError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for HookError {}
