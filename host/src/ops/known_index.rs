//! What is known of the synced index, so that it is not fetched again while its place still has it.

use packets_hook_runtime::folder::Folder;
use packets_plugin_api::ident::Digest;
use serde::{Deserialize, Serialize};

use super::context::INDEX;
use crate::config::MAX_CONFIG_SIZE;
use crate::error::{Context as _, Result};
use crate::{digest, durable, given};

/// The file beside the index. It says of which index it speaks: one that is another's, or of no use, costs a transfer.
const NAME: &str = "index.toml";

/// Where an index came from, and which version of it that was.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct KnownIndex {
    /// The SHA-256 of the location, in which a password may stand.
    from: Digest,
    /// In the words of the source.
    pub(super) version: String,
    /// How many packages it lists.
    pub(super) packages: u64,
    /// The file that it is about.
    file: Stamp,
}

/// Which file it is, and when its bytes were changed.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Stamp {
    inode: u64,
    size: u64,
    /// In nanoseconds since 1970.
    modified: i64,
}

impl Stamp {
    fn of(folder: &Folder) -> Option<Self> {
        let stat = folder.stat(INDEX).ok().flatten()?;
        Some(Self { inode: stat.inode, size: stat.size, modified: i64::try_from(stat.modified).ok()? })
    }
}

impl KnownIndex {
    /// What is known of the index in `folder`, where it came from this location.
    pub(super) fn read(folder: &Folder, location: &str) -> Option<Self> {
        let text = given::text_of(folder.read(NAME).ok()?, MAX_CONFIG_SIZE).ok()?;
        let known: Self = toml::from_str(&text).ok()?;
        let is_its =
            known.from == digest::of_bytes(location.as_bytes()) && Some(&known.file) == Stamp::of(folder).as_ref();
        is_its.then_some(known)
    }

    /// Writes down what is known of the index that was just put into `folder`.
    ///
    /// # Errors
    /// Storage.
    pub(super) fn write(folder: &Folder, location: &str, version: String, packages: u64) -> Result<()> {
        let named = || "cannot write down which index is there, in index.toml".to_owned();
        let Some(file) = Stamp::of(folder) else { return Ok(()) };
        let known = Self { from: digest::of_bytes(location.as_bytes()), version, packages, file };
        let text = toml::to_string(&known).context(named)?;
        durable::write(folder, NAME, text.as_bytes(), 0o644).context(named)
    }
}
