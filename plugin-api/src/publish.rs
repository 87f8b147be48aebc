//! Publishing: package files of this machine, put where others fetch them from.

use std::fmt::Debug;
use std::fs::File;

use crate::fetch::FetchError;
use crate::ident::Digest;

/// What kind of file is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PublicationKind {
    /// A package file.
    Package,
    /// The index of packages.
    Index,
}

/// A file that the host wants to be somewhere else too.
#[derive(Debug, Clone, Copy)]
pub struct Publication<'a> {
    /// What it is.
    pub kind: PublicationKind,
    /// The package's name, or the index's.
    pub name: &'a str,
    /// The package's version; an index has none.
    pub version: Option<&'a str>,
    /// The name of the file, for who gets it without this program.
    pub file_name: &'a str,
    /// The file's SHA-256.
    pub digest: Digest,
    /// The file's size in bytes.
    pub size: u64,
    /// The file; a publisher reads it by offsets.
    pub file: &'a File,
}

/// Whether a publisher acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// It only finds out what it would do.
    Look,
    /// It does it.
    Act,
}

/// What stood at the place before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Nothing of that name.
    New,
    /// The same.
    Present,
    /// Another file of that name, whose place this one takes.
    Replaced,
}

/// What was published, or would be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// Its name at the place.
    pub tag: String,
    /// What stood there before.
    pub standing: Standing,
    /// The bytes of files that were sent, or would be: none of a file that the place has already.
    pub sent: u64,
}

/// A place to publish to.
///
/// To publish what is there already changes and sends nothing, so that a publication that broke off is
/// continued by beginning anew.
pub trait Publisher: Debug + Send + Sync {
    /// The place, as it is told to people.
    fn place(&self) -> String;

    /// Where a fetch source will find the file of this digest, for an index.
    fn location(&self, digest: &Digest) -> String;

    /// Puts a file there and gives it its name.
    ///
    /// # Errors
    /// The place cannot be reached or refuses, or has something else of that name that is no earlier publication.
    fn publish(&self, what: &Publication<'_>, how: How) -> Result<Published, FetchError>;
}
