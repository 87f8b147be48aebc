//! Places to fetch from that somebody else has written: native plugins from files.
//!
//! None of them ever runs in this process. `library` and `elf` look at a file without running it,
//! `worker` is the process that has given up what it can and then loads it, `process` and `source` are
//! how the host speaks to that, `wire` is what they say. `limits` bounds all of it.

pub(crate) mod check;
mod elf;
mod library;
pub(crate) mod limits;
mod process;
mod settings;
pub(crate) mod sidecar;
pub(crate) mod skeleton;
mod source;
mod wire;
pub(crate) mod worker;

use std::path::Path;
use std::sync::Arc;

use packets_plugin_api::fetch::FetchSource;
use packets_plugin_api::native::foreign::is_name;
use packets_plugin_api::relpath::RelPath;

pub use settings::{PluginTable, Secret};
pub use sidecar::Sidecar;
pub(crate) use source::PluginSource;

use crate::config::Plugins;
use crate::error::{Error, Result};
use library::Home;
pub(crate) use library::{Library, place};

/// The plugin of this name as the program has it, for who tries or measures one; its worker runs `program`, which
/// is this program. None where the config has no such plugin.
pub fn source(plugins: &Plugins, name: &str, program: &Path) -> Option<Arc<dyn FetchSource>> {
    let source = PluginSource::new(Installed::of(plugins, name)?, "packets");
    Some(Arc::new(source.with_program(program)))
}

/// A plugin that the config names.
#[derive(Debug, Clone)]
pub(crate) struct Installed {
    pub(crate) name: String,
    /// The folder of all plugins, a path of this machine whatever the root is.
    pub(crate) dir: RelPath,
    pub(crate) table: PluginTable,
}

impl Installed {
    /// The plugin of this name, where the config has one.
    pub(crate) fn of(plugins: &Plugins, name: &str) -> Option<Self> {
        let table = plugins.tables.get(name).filter(|_| is_name(name))?.clone();
        Some(Self { name: name.to_owned(), dir: plugins.dir.0.clone(), table })
    }

    /// What it says of itself; nothing of it runs.
    ///
    /// # Errors
    /// It is not there, not trusted, or not for this program.
    pub(crate) fn sidecar(&self) -> Result<Sidecar> {
        let sidecar = Home::open(&self.dir, &self.name)?.sidecar()?;
        if sidecar.name != self.name {
            let said = format!("its {} says that its name is {:?}", sidecar::FILE_NAME, sidecar.name);
            return Err(Error::request(format!("cannot use the plugin {}", self.name)).caused_by(said));
        }
        Ok(sidecar)
    }

    /// Whether its file is the approved one; nothing of it runs.
    ///
    /// # Errors
    /// Why it is not.
    pub(crate) fn look_at(&self) -> Result<()> {
        self.library().map(|_| ())
    }

    /// Its library, when that is the approved one.
    fn library(&self) -> Result<Library> {
        let failed = || Error::request(format!("cannot use the plugin {}", self.name));
        let pinned = self.table.sha256.as_ref().ok_or_else(|| {
            failed().caused_by("the config has no sha256 for it").hint("`packets plugin add` approves a library")
        })?;
        let home = Home::open(&self.dir, &self.name)?;
        let sidecar = self.sidecar()?;
        if sidecar.sha256.as_ref().is_some_and(|said| said != pinned) {
            return Err(failed().caused_by(format!("its {} names another SHA-256", sidecar::FILE_NAME)));
        }
        home.library(pinned)
    }
}
