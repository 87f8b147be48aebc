//! What is installed, and what can be.

use std::fmt::{self, Debug};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::hook::Grant;
use crate::ident::{Digest, Family, PackageName, TransactionId};
use crate::relpath::RelPath;
use crate::requirement::Requirement;
use crate::version::Version;

/// One row of an index: a package that can be installed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexEntry {
    /// The unique name (v1's realname).
    pub name: PackageName,
    /// What people type where several packages share it (v1's `name`).
    pub alias: Option<PackageName>,
    /// The version.
    pub version: Version,
    /// The package file's SHA-256.
    pub digest: Digest,
    /// One line; hostile text, escaped before it is printed.
    pub description: String,
    /// What it needs.
    pub requires: Vec<Requirement>,
    /// What it cannot stand beside.
    pub conflicts: Vec<Requirement>,
    /// Other names that it answers to.
    pub provides: Vec<PackageName>,
    /// Where the package file is: absolute URLs, or paths relative to the index.
    pub mirrors: Vec<String>,
    /// The software that it is a release of.
    pub family: Family,
    /// Rises with each release of the family, in this index only.
    pub serial: u64,
    /// Size of the package file in bytes.
    pub size: Option<u64>,
    /// Size when installed, in bytes.
    pub installed_size: Option<u64>,
    /// The machine that it is for; none: any.
    pub arch: Option<String>,
}

/// A package that a search has found: as much of it as people look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// The unique name.
    pub name: PackageName,
    /// What people type where several packages share it.
    pub alias: Option<PackageName>,
    /// The version.
    pub version: Version,
    /// One line; hostile text, escaped before it is printed.
    pub description: String,
}

impl Found {
    /// Whether every word stands in the name, the alias or the description; upper and lower case of
    /// ASCII letters are the same. `words` are in lower case.
    pub fn has_all(&self, words: &[String]) -> bool {
        let names = [Some(&self.name), self.alias.as_ref()].into_iter().flatten().map(PackageName::as_str);
        let texts: Vec<String> = names.chain([self.description.as_str()]).map(str::to_ascii_lowercase).collect();
        words.iter().all(|word| texts.iter().any(|text| text.contains(word.as_str())))
    }
}

/// An index.db, open for reading. What it holds is hostile until it parsed.
pub trait PackageIndex: Debug + Send {
    /// The package of exactly this name.
    fn package(&self, name: &PackageName) -> Result<Option<IndexEntry>, StorageError>;
    /// Whether the package of exactly this name is there, with this digest. What else its row says need not be read.
    fn is_release(&self, name: &PackageName, digest: &Digest) -> Result<bool, StorageError> {
        Ok(self.package(name)?.is_some_and(|entry| entry.digest == *digest))
    }
    /// The packages with this alias, the highest serial first.
    fn aliased(&self, alias: &PackageName) -> Result<Vec<IndexEntry>, StorageError>;
    /// The packages that provide this name, the highest serial first.
    fn providing(&self, name: &PackageName) -> Result<Vec<IndexEntry>, StorageError>;
    /// The packages that answer to this name, be it their own, their alias or one that
    /// they provide: each once, the highest serial first. One look-up of a solver.
    ///
    /// # Errors
    /// [`StorageErrorKind::Limit`] for more than anybody could choose from.
    fn answering(&self, name: &PackageName) -> Result<Vec<IndexEntry>, StorageError>;
    /// The releases of this family, the highest serial first; of no family: none.
    fn family(&self, family: &Family) -> Result<Vec<IndexEntry>, StorageError>;
    /// Every package, by name.
    fn all(&self) -> Result<Vec<IndexEntry>, StorageError>;
    /// Every package for which [`Found::has_all`] holds of these words, by name. A tab or a line feed of a
    /// description may come as a space.
    fn search(&self, words: &[String]) -> Result<Vec<Found>, StorageError>;
    /// The names that begin with `prefix` and that some package answers to, in order, at most so many.
    fn names(&self, prefix: &str, most: usize) -> Result<Vec<PackageName>, StorageError>;
}

/// How a package came to be installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reason {
    /// It was asked for.
    Asked,
    /// Another one needed it.
    Needed,
}

/// An installed package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstalledPackage {
    /// The unique name.
    pub name: PackageName,
    /// What people type where several packages share it.
    pub alias: Option<PackageName>,
    /// The version.
    pub version: Version,
    /// One line.
    pub description: String,
    /// What it needs.
    pub requires: Vec<Requirement>,
    /// What it cannot stand beside.
    pub conflicts: Vec<Requirement>,
    /// Other names that it answers to.
    pub provides: Vec<PackageName>,
    /// The software that it is a release of.
    pub family: Family,
    /// Its serial in the index that it came from.
    pub serial: u64,
    /// SHA-256 of the package file; none for what v1 installed.
    pub digest: Option<Digest>,
    /// How it came to be installed.
    pub reason: Reason,
    /// The folder that it stands in, below the target's root; the root itself where that
    /// is not known yet: for what v1 installed, until an [`Access::Write`] adopts it.
    pub folder: RelPath,
    /// When, in seconds since 1970; 0 for what v1 installed.
    pub installed_at: u64,
    /// Bytes of all its files.
    pub installed_size: u64,
    /// Whether somebody wants it to stay as it is: nothing is put in its place until that is taken back.
    #[serde(default)]
    pub held: bool,
}

/// Whether the package brought a path or one of its hooks made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MadeBy {
    /// It came in the archive.
    Data,
    /// A hook made it.
    Hook,
}

/// What stands at a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum FileKind {
    /// A regular file.
    File {
        /// Permission bits.
        mode: u32,
        /// In bytes.
        size: u64,
        /// Of its content.
        sha256: Digest,
    },
    /// A symbolic link.
    Symlink {
        /// The target that the package or hook asked for.
        asked: String,
        /// The target that the link holds.
        stored: String,
    },
    /// A folder.
    Folder {
        /// Permission bits.
        mode: u32,
    },
}

/// One path of an installed package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRecord {
    /// Below the target's root, with all folders resolved.
    pub path: RelPath,
    /// Who made it.
    pub made_by: MadeBy,
    /// What it was when it was made.
    #[serde(flatten)]
    pub kind: FileKind,
    /// For a path of others that was displaced: where the old content is kept, below the target's root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub displaced: Option<RelPath>,
}

/// A package with all its paths, as [`Rows`] brings it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstalledRow {
    /// The package.
    pub package: InstalledPackage,
    /// All its paths, each once. A folder that hooks made stands with every package that asked for it.
    pub files: Vec<FileRecord>,
}

/// What an administrator has approved for a package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// The package.
    pub name: PackageName,
    /// Its family at the time.
    pub family: Family,
    /// What it may reach.
    pub grant: Grant,
}

/// Where a package of a transaction came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The package.
    pub package: PackageName,
    /// The place that gave it, as text for people; hostile, escaped before it is printed.
    pub source: String,
}

/// What one transaction did, for the history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransactionRow {
    /// Its id.
    pub id: TransactionId,
    /// When it was decided, in seconds since 1970.
    pub time: u64,
    /// The command: `install`, `remove`, `upgrade`.
    pub command: String,
    /// One line a package: what became of it.
    pub summary: Vec<String>,
    /// Where each package that it brought came from.
    pub origins: Vec<Origin>,
    /// The transaction that this one takes back.
    pub undoes: Option<TransactionId>,
}

/// All changes of one transaction to what is recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rows {
    /// The transaction.
    pub transaction: TransactionRow,
    /// Packages that are no longer installed, with their paths.
    pub gone: Vec<PackageName>,
    /// Packages that are installed now; one of the same name is replaced with all its paths.
    pub installed: Vec<InstalledRow>,
    /// What has been approved. Each takes the place of what stood for the same name
    /// and family; an empty grant withdraws it. A package that goes keeps its approvals.
    pub approved: Vec<Approval>,
}

/// The record of what is installed.
///
/// Guarantee: what [`finish`](Self::finish) was given is found whole by every
/// later read, in this process and any other, or not at all, also where a writer
/// was killed in the middle of it. Readers wait for a writer no longer than it
/// takes to write, are not stopped by what a killed one left, and never see half
/// of a transaction. The journal of a transaction is not here: it is the host's.
pub trait Storage: Debug + Send {
    /// Every installed package, by name.
    fn installed(&self) -> Result<Vec<InstalledPackage>, StorageError>;
    /// The installed package of exactly this name.
    fn package(&self, name: &PackageName) -> Result<Option<InstalledPackage>, StorageError>;
    /// All paths of an installed package, by path.
    fn files(&self, name: &PackageName) -> Result<Vec<FileRecord>, StorageError>;
    /// The packages that recorded this very path, by name, and who made it.
    fn owners(&self, path: &RelPath) -> Result<Vec<(PackageName, MadeBy)>, StorageError>;
    /// What has been approved for packages of this name and family.
    fn approvals(&self, name: &PackageName, family: &Family) -> Result<Vec<Approval>, StorageError>;
    /// Everything that has been approved, by name and family.
    fn all_approvals(&self) -> Result<Vec<Approval>, StorageError>;
    /// The past transactions, newest first, at most `most`.
    fn history(&self, most: usize) -> Result<Vec<TransactionRow>, StorageError>;
    /// The same, but only which they are, and when each was, in seconds since 1970.
    fn moments(&self, most: usize) -> Result<Vec<(TransactionId, u64)>, StorageError> {
        Ok(self.history(most)?.into_iter().map(|row| (row.id, row.time)).collect())
    }
    /// Records a transaction: atomic, durable when it returns, and harmless when
    /// repeated for the same transaction id. After an error the rows may still be
    /// there, all of them: [`recorded`](Self::recorded) says it.
    fn finish(&mut self, rows: &Rows) -> Result<(), StorageError>;
    /// The same for a transaction of which it is not known yet whether it happens; the answer is whether it is recorded.
    /// What can be done before is done, then `happens` is asked.
    ///
    /// It is asked at most once, and may take as long as it likes; it must not wait for anybody in this process who opens
    /// the record. Until it has said yes nobody sees anything of the rows, and who has opened the record reads it as it was;
    /// after a no there is nothing of them. An error may come before it is asked; then [`finish`](Self::finish) can be tried.
    fn finish_when(&mut self, rows: &Rows, happens: &mut dyn FnMut() -> bool) -> Result<bool, StorageError> {
        if happens() {
            self.finish(rows)?;
        }
        self.recorded(&rows.transaction.id)
    }
    /// The same record, opened anew for reading. It can be used from another thread while
    /// [`finish_when`](Self::finish_when) is at work, and finds what stood there before; what `happens` does or waits for
    /// may use its [`prepare_copy`](Self::prepare_copy), which waits for no writer of this process.
    fn reader(&self) -> Result<Box<dyn Storage>, StorageError>;
    /// Whether this transaction is recorded: what is in the file, read anew.
    fn recorded(&self, id: &TransactionId) -> Result<bool, StorageError>;
    /// Writes a complete copy of the record for another file of this machine, which it replaces when it is
    /// [kept](PreparedCopy::keep); until then it lies beside that file, one at a time. It is meant to be put in the place
    /// of a record that was damaged. Only what can be read is copied; what has not changed may be taken from a copy that
    /// stands there since this boot, and was looked through; another one may wait beside it for the next time, under its name
    /// with an ending. It is not synced: after a power cut the copy may be damaged, the record is not.
    ///
    /// # Errors
    /// [`StorageErrorKind::NotFound`] where there is no record yet.
    fn prepare_copy(&self, file: &Path) -> Result<Box<dyn PreparedCopy>, StorageError>;
    /// [Prepares](Self::prepare_copy) a copy and keeps it: `file` is replaced whole or not at all.
    ///
    /// # Errors
    /// Those of both.
    fn copy_to(&self, file: &Path) -> Result<(), StorageError> {
        self.prepare_copy(file)?.keep()
    }
}

/// A complete copy of a record that has not taken its place yet: see [`Storage::prepare_copy`]. Where it is dropped, nothing
/// is left of it, and what stood in its place still stands there.
pub trait PreparedCopy: Debug + Send {
    /// It takes its place.
    ///
    /// # Errors
    /// What stood there still stands there.
    fn keep(self: Box<Self>) -> Result<(), StorageError>;
}

/// What a migration from v1 needs to find on the disk, answered by the host.
///
/// v1 recorded no files. For each of its packages the host lists what stands in
/// its folder, and what its hooks seem to have made elsewhere.
pub trait Adopter {
    /// The folder and the paths of a package that v1 installed.
    fn adopt(&self, name: &PackageName) -> Result<Adopted, StorageError>;
}

/// What the host found of a package that v1 installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adopted {
    /// The folder that the package stands in.
    pub folder: RelPath,
    /// One line, from its manifest; empty where there is none.
    pub description: String,
    /// All its paths.
    pub files: Vec<FileRecord>,
}

/// Whether an open may change anything.
pub enum Access<'a> {
    /// Never writes: an absent file is an empty storage, an old schema is read as it is.
    Read,
    /// Creates and migrates.
    Write(&'a dyn Adopter),
}

impl Debug for Access<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "Read",
            Self::Write(_) => "Write",
        })
    }
}

/// Opens and makes the files that a storage plugin keeps its data in.
pub trait StorageFormat: Debug + Send + Sync {
    /// The format's stable id.
    fn name(&self) -> &str;

    /// Opens the record of what is installed.
    ///
    /// # Errors
    /// [`StorageErrorKind::Unknown`] for a schema that is newer than this program.
    fn open_installed(&self, file: &Path, access: Access<'_>) -> Result<Box<dyn Storage>, StorageError>;

    /// Opens an index for reading and checks its shape. Nothing beside the file is
    /// read, nothing is written.
    fn open_index(&self, file: &Path) -> Result<Box<dyn PackageIndex>, StorageError>;

    /// Reads every row and every page once; what passes can be searched without
    /// surprise. For an index that has just been fetched.
    fn verify_index(&self, file: &Path) -> Result<IndexSummary, StorageError>;

    /// Writes a new index, which v1 can read too. The rows are numbered in the order
    /// given; `file` must not exist.
    fn write_index(&self, file: &Path, entries: &[IndexEntry]) -> Result<(), StorageError>;
}

/// What an index holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IndexSummary {
    /// How many packages.
    pub packages: u64,
}

/// How a storage failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StorageErrorKind {
    /// Not such a file, damaged, or with content that does not parse.
    Corrupt,
    /// Written by a later version.
    Unknown,
    /// Over a limit.
    Limit,
    /// No such file.
    NotFound,
    /// The disk or the lock on the file failed.
    Io,
}

/// What failed, on which file.
#[derive(Debug)]
pub struct StorageError {
    /// The kind.
    pub kind: StorageErrorKind,
    /// One sentence without a full stop: what was attempted on which file.
    pub message: String,
    /// What stood behind it.
    pub cause: Option<Box<dyn std::error::Error + Send + Sync>>,
    /// What the user could do.
    pub hint: Option<String>,
}

impl StorageError {
    /// An error without a cause.
    pub fn new(kind: StorageErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), cause: None, hint: None }
    }

    /// The same error with what the user could do.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same error with what stood behind it.
    #[must_use]
    pub fn because(mut self, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.cause = Some(cause.into());
        self
    }
}

impl fmt::Display for StorageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for StorageError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause.as_deref().map(|cause| cause as _)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn rows() -> Value {
        let digest = "ab".repeat(32);
        json!({
            "transaction": {
                "id": "00000000000000ff", "time": 1, "command": "install", "summary": ["one"],
                "origins": [{"package": "zlib", "source": "anything \u{1b}"}], "undoes": "00000000000000fe",
            },
            "gone": ["old"],
            "installed": [{
                "package": {
                    "name": "zlib", "alias": "z", "version": "1.3", "description": "", "requires": ["a>=1 | b"],
                    "conflicts": ["c"], "provides": ["libz"], "family": "one", "serial": 1, "digest": digest,
                    "reason": "asked", "folder": "opt/zlib", "installed_at": 1, "installed_size": 5,
                    "held": true,
                },
                "files": [
                    {"path": "opt/zlib/a", "made_by": "data", "kind": "file", "mode": 420, "size": u64::MAX,
                     "sha256": digest, "displaced": "var/old"},
                    {"path": "usr/bin/z", "made_by": "hook", "kind": "symlink", "asked": "/x", "stored": "../x"},
                    {"path": "usr/z", "made_by": "hook", "kind": "folder", "mode": 493},
                ],
            }],
            "approved": [{"name": "zlib", "family": "",
                "grant": {"allow": ["a"], "write": ["b"], "read": ["c"], "replace": ["d"]}}],
        })
    }

    #[test]
    fn rows_come_back_as_they_were_written() {
        let read: Rows = serde_json::from_value(rows()).unwrap();
        assert_eq!(serde_json::to_value(&read).unwrap(), rows());
        let again: Rows = serde_json::from_str(&serde_json::to_string(&read).unwrap()).unwrap();
        assert_eq!(again, read);
    }

    #[test]
    fn what_does_not_parse_is_not_read_as_rows_either() {
        let names = ["", "..", "a/b", "-a", "a\u{0}"];
        let paths = ["/etc", "../etc", "a/../b", "a//b", "a/", "a\u{0}"];
        let versions = ["", "1/2", "1\n"];
        let digests = ["", "00", "G"];
        let upper = "AB".repeat(32);
        let package = "/installed/0/package";
        let at = |rest: &str| format!("{package}/{rest}");
        for (place, bad) in [
            ("/transaction/id".to_owned(), &["", "../../../../etc/x", "00000000000000FF"][..]),
            ("/transaction/undoes".to_owned(), &["", "../../../../etc/x", "00000000000000FF"]),
            ("/transaction/origins/0/package".to_owned(), &names),
            ("/gone/0".to_owned(), &names),
            (at("name"), &names),
            (at("alias"), &names),
            (at("provides/0"), &names),
            (at("version"), &versions),
            (at("requires/0"), &["", "a b", "a>", "a | ../b"]),
            (at("conflicts/0"), &["", "a b", "a>"]),
            (at("family"), &["\n", "\u{fc}"]),
            (at("digest"), &digests),
            (at("digest"), &[&upper]),
            (at("reason"), &["", "because"]),
            (at("folder"), &paths),
            ("/installed/0/files/0/path".to_owned(), &paths),
            ("/installed/0/files/1/path".to_owned(), &paths),
            ("/installed/0/files/2/path".to_owned(), &paths),
            ("/installed/0/files/0/displaced".to_owned(), &paths),
            ("/installed/0/files/0/sha256".to_owned(), &digests),
            ("/installed/0/files/0/made_by".to_owned(), &["", "magic"]),
            ("/installed/0/files/0/kind".to_owned(), &["", "device"]),
            ("/approved/0/name".to_owned(), &names),
            ("/approved/0/family".to_owned(), &["\n"]),
            ("/approved/0/grant/write/0".to_owned(), &paths),
            ("/approved/0/grant/replace/0".to_owned(), &paths),
        ] {
            for text in bad {
                let mut changed = rows();
                *changed.pointer_mut(&place).unwrap() = (*text).into();
                assert!(serde_json::from_value::<Rows>(changed).is_err(), "{place}: {text:?}");
            }
        }
    }
}
