//! Plugins are registered by name in one list.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::fetch::FetchSource;
use crate::hook::{HookLimits, HookRunner};
use crate::native::Settings;
use crate::publish::Publisher;
use crate::share::Sharer;
use crate::storage::StorageFormat;

/// The version of these contracts. It rises when a trait changes.
pub const API_VERSION: u32 = 1;

/// Makes a fetch source when one is first needed.
pub type FetchFactory = fn(&FetchSettings) -> Arc<dyn FetchSource>;
/// Makes a hook runner when the first hook is met.
pub type HookFactory = fn(&HookLimits) -> Arc<dyn HookRunner>;
/// Makes what shares package files with others.
pub type ShareFactory = fn() -> Arc<dyn Sharer>;
/// Makes what publishes package files, of the tables that a config has for it; an error is a sentence.
pub type PublishFactory = fn(&Settings) -> Result<Arc<dyn Publisher>, String>;
/// Makes a storage format.
pub type StorageFactory = fn() -> Arc<dyn StorageFormat>;

/// What every fetch source is told.
#[derive(Debug, Clone, Default)]
pub struct FetchSettings {
    /// Sent to servers as the name of the program.
    pub user_agent: String,
    /// The UDP port of the LAN's questions.
    pub lan_port: u16,
    /// What the source may remember from one run to the next; none: nothing.
    pub memory: Option<Arc<dyn Memory>>,
}

/// A few bytes that the host keeps for a source. A loss of them must cost time only.
pub trait Memory: fmt::Debug + Send + Sync {
    /// What was kept last; none where there is nothing, or it cannot be read.
    fn load(&self) -> Option<Vec<u8>>;
    /// Keeps this from now on, as far as the host can and may.
    fn keep(&self, bytes: &[u8]);

    /// Keeps what `change` makes of what was kept last, if it makes anything of it: where the host can see to that, no
    /// other process keeps anything between.
    fn update(&self, change: &mut dyn FnMut(Option<Vec<u8>>) -> Option<Vec<u8>>) {
        if let Some(bytes) = change(self.load()) {
            self.keep(&bytes);
        }
    }
}

/// Something that adds to the registry.
pub trait Plugin {
    /// Adds what the plugin has to offer.
    ///
    /// # Errors
    /// [`DuplicateName`] when something of that name and kind is there already.
    fn register(&self, registry: &mut Registry) -> Result<(), DuplicateName>;
}

/// All plugins, by kind and name.
#[derive(Default)]
pub struct Registry {
    fetch: BTreeMap<&'static str, FetchFactory>,
    hooks: BTreeMap<&'static str, HookFactory>,
    storage: BTreeMap<&'static str, StorageFactory>,
    share: BTreeMap<&'static str, ShareFactory>,
    publish: BTreeMap<&'static str, PublishFactory>,
}

/// A second use of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DuplicateName {
    /// The kind of plugin.
    pub kind: &'static str,
    /// The name.
    pub name: String,
}

impl fmt::Display for DuplicateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a second {} is registered with the name \"{}\"", self.kind, self.name)
    }
}

impl std::error::Error for DuplicateName {}

fn insert<F>(
    map: &mut BTreeMap<&'static str, F>,
    kind: &'static str,
    name: &'static str,
    factory: F,
) -> Result<(), DuplicateName> {
    if map.contains_key(name) {
        return Err(DuplicateName { kind, name: name.to_owned() });
    }
    map.insert(name, factory);
    Ok(())
}

impl Registry {
    /// Adds a fetch source.
    ///
    /// # Errors
    /// [`DuplicateName`].
    pub fn add_fetch(&mut self, name: &'static str, factory: FetchFactory) -> Result<(), DuplicateName> {
        insert(&mut self.fetch, "fetch source", name, factory)
    }

    /// Adds a hook runner.
    ///
    /// # Errors
    /// [`DuplicateName`].
    pub fn add_hooks(&mut self, name: &'static str, factory: HookFactory) -> Result<(), DuplicateName> {
        insert(&mut self.hooks, "hook runner", name, factory)
    }

    /// Adds a way to share package files.
    ///
    /// # Errors
    /// [`DuplicateName`].
    pub fn add_share(&mut self, name: &'static str, factory: ShareFactory) -> Result<(), DuplicateName> {
        insert(&mut self.share, "way to share", name, factory)
    }

    /// Adds a way to publish package files.
    ///
    /// # Errors
    /// [`DuplicateName`].
    pub fn add_publish(&mut self, name: &'static str, factory: PublishFactory) -> Result<(), DuplicateName> {
        insert(&mut self.publish, "way to publish", name, factory)
    }

    /// Adds a storage format.
    ///
    /// # Errors
    /// [`DuplicateName`].
    pub fn add_storage(&mut self, name: &'static str, factory: StorageFactory) -> Result<(), DuplicateName> {
        insert(&mut self.storage, "storage format", name, factory)
    }

    /// The factory of the fetch source of this name.
    pub fn fetch(&self, name: &str) -> Option<FetchFactory> {
        self.fetch.get(name).copied()
    }

    /// The names of all fetch sources.
    pub fn fetch_names(&self) -> impl Iterator<Item = &'static str> {
        self.fetch.keys().copied()
    }

    /// The factories of all hook runners, by name.
    pub fn hooks(&self) -> impl Iterator<Item = (&'static str, HookFactory)> {
        self.hooks.iter().map(|(name, factory)| (*name, *factory))
    }

    /// The factory of the way to share of this name.
    pub fn share(&self, name: &str) -> Option<ShareFactory> {
        self.share.get(name).copied()
    }

    /// The factory of the way to publish of this name.
    pub fn publish(&self, name: &str) -> Option<PublishFactory> {
        self.publish.get(name).copied()
    }

    /// The factory of the storage format of this name.
    pub fn storage(&self, name: &str) -> Option<StorageFactory> {
        self.storage.get(name).copied()
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry")
            .field("fetch", &self.fetch.keys())
            .field("hooks", &self.hooks.keys())
            .field("storage", &self.storage.keys())
            .field("share", &self.share.keys())
            .field("publish", &self.publish.keys())
            .finish()
    }
}
