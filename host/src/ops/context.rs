//! What every command stands on: the target, its config, its record, its sources.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use packets_hook_runtime::folder::Folder;
use packets_hook_runtime::sandbox;
use packets_plugin_api::fetch::FetchSource;
use packets_plugin_api::registry::{FetchSettings, Memory, Registry};
use packets_plugin_api::relpath::RelPath;
use packets_plugin_api::share::Sharer;
use packets_plugin_api::storage::{Access, Storage, StorageErrorKind, StorageFormat};

use super::Options;
use crate::adopt::Version1;
use crate::builtin::SOURCES;
use crate::cache::Cache;
use crate::commit::Openers;
use crate::config::{Config, MAX_CONFIG_SIZE, Plugins};
use crate::error::{Context as _, Error, ErrorKind, Result};
use crate::fetch::Fetcher;
use crate::given;
use crate::handles;
use crate::history;
use crate::interrupt;
use crate::lock::Lock;
use crate::memory::RememberedFile;
use crate::plugin::{Installed, PluginSource};
use crate::recover::{self, Ended, OnFailure, Recovered};
use crate::report::{Event, Events};
use crate::share::shelf::Shelf;
use crate::target::{Place, Target};

const CONFIG_FOLDER: &str = "etc/packets";
const STATE_FOLDER: &str = "var/lib/packets";
pub(super) const CONFIG: &str = "config.toml";
pub(super) const INDEX: &str = "index.db";
const INSTALLED: &str = "installed.db";
const STORAGE: &str = "sqlite";
/// What the names of files begin with that stand in the config's folder only while they are written.
const UNFINISHED: [&str; 3] = [".config.toml.", ".index.toml.", ".index-"];
/// The cache stands among the sources, but is the host's own.
const CACHE: &str = "cache";
/// The source, and the way to share, on the local network.
const LAN: &str = "lan";
/// Where it remembers its peers.
const LAN_MEMORY: &str = "lan.json";
const RUN_FOLDER: &str = "run/packets";
/// The source of folders of this machine.
const LOCAL: &str = "file";

/// Sent to servers as the name of the program.
pub(super) const USER_AGENT: &str = concat!("packets/", env!("CARGO_PKG_VERSION"));

/// What a command is going to do with the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// Only look.
    Read,
    /// Change it: the lock is taken, what is missing in it is made.
    Write {
        /// Whether the root itself is made. For most commands a folder that is not there is a
        /// slip of the pen.
        make_root: bool,
    },
}

impl Mode {
    /// The same for a command that may begin a new root.
    pub(super) fn making_root(self) -> Self {
        match self {
            Self::Read => Self::Read,
            Self::Write { .. } => Self::Write { make_root: true },
        }
    }
}

/// Whose config names plugins: code comes from the running system's, or from the file that the user named
/// on the command line, never from that of another root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PluginsOf {
    /// The config in use is such a one.
    ThisConfig,
    /// The running system's.
    TheSystem,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Context {
    pub(super) target: Target,
    pub(super) config: Config,
    pub(super) registry: Registry,
    pub(super) format: Arc<dyn StorageFormat>,
    /// Canonical paths below the root.
    pub(super) data: RelPath,
    pub(super) bin: RelPath,
    config_folder: RelPath,
    no_lan: bool,
    /// Where plugins come from; none: none are used.
    plugins_of: Option<PluginsOf>,
    /// The config in use as the user would open it, for messages.
    pub(super) config_name: String,
    /// What a crash had left and was brought to its end.
    pub(super) recovered: Vec<Recovered>,
    _lock: Option<Lock>,
}

impl Context {
    /// Opens the target; for [`Mode::Write`] under its lock, for which `command` is the name.
    pub(super) fn open(options: &Options, mode: Mode, command: &str, events: &dyn Events) -> Result<Self> {
        if mode != Mode::Read {
            handles::make_room();
            interrupt::watch()?;
        }
        let target = Target::open(options.root.as_deref(), mode == Mode::Write { make_root: true });
        let target = target.map_err(|error| without_privilege(error, options))?;
        let registry = registry()?;
        let format = format_of(&registry)?;
        let wanted: RelPath = CONFIG_FOLDER.parse()?;
        let (folder, lock) = match mode {
            Mode::Read => (target.enter(&wanted)?, None),
            Mode::Write { .. } => {
                let entered = target.enter_or_make(&wanted, 0o755);
                let locked = entered.and_then(|place| {
                    let lock = Lock::take(&place.folder, command, options.wait, events)?;
                    remove_unfinished(&place.folder);
                    Ok((Some(place), Some(lock)))
                });
                locked.map_err(|error| without_privilege(error, options))?
            }
        };
        let config_name = match &options.config {
            Some(file) => file.display().to_string(),
            None => target.on_machine(&wanted.child(CONFIG)?).display().to_string(),
        };
        let config = read_config(options, folder.as_ref(), &config_name)?;
        if let (Mode::Write { .. }, Some(place)) = (mode, &folder) {
            write_missing_config(&config, place)?;
        }
        let config_folder = folder.map_or(wanted, |place| place.path);
        let data = target.canonical(&config.base.data_dir.0)?;
        let bin = target.canonical(&config.base.bin_dir.0)?;
        let recovered = Vec::new();
        let no_lan = options.no_lan;
        let own = options.config.is_some() || !target.relocated();
        let plugins_of = options.plugins.then_some(if own { PluginsOf::ThisConfig } else { PluginsOf::TheSystem });
        let mut context = Self {
            target,
            config,
            registry,
            format,
            data,
            bin,
            config_folder,
            no_lan,
            plugins_of,
            config_name,
            recovered,
            _lock: lock,
        };
        match mode {
            Mode::Read => context.tell_of_pending(events)?,
            Mode::Write { .. } => context.recover(mode, options.give_up, events)?,
        }
        Ok(context)
    }

    /// What a crash left comes to its end before anything else happens.
    fn recover(&mut self, mode: Mode, give_up: bool, events: &dyn Events) -> Result<()> {
        let Some(state) = self.state_to_read()? else { return Ok(()) };
        let on_failure = if give_up { OnFailure::GiveUp } else { OnFailure::Stop };
        let record = Openers { read: &|| self.storage(Mode::Read), write: &|| self.storage(mode) };
        self.recovered = interrupt::shield(|| recover::recover(self.target.root(), &state, &record, on_failure))?;
        for one in &self.recovered {
            let how = match one.result {
                Ended::Finished => "has been finished",
                Ended::TakenBack => "has been taken back",
                Ended::GivenUp => "was given up, and what it changed stands as it is; its journal is in the quarantine",
            };
            events
                .event(&Event::Warning(&format!("{}, which was cut off, {how} (transaction {})", one.command, one.id)));
        }
        Ok(())
    }

    /// A reader shows what is on record, and says so where a crash left more.
    fn tell_of_pending(&self, events: &dyn Events) -> Result<()> {
        let Some(state) = self.target.enter(&STATE_FOLDER.parse()?)? else { return Ok(()) };
        if recover::is_pending(&state)
            && let Some(folder) = self.target.enter(&self.config_folder)?
            && !crate::lock::is_held(&folder.folder)
        {
            events.event(&Event::Warning("a transaction was cut off; `packets recover` brings it to its end"));
        }
        Ok(())
    }

    /// The folder of journals and of what is kept.
    pub(super) fn state(&self) -> Result<Place> {
        self.target.enter_or_make(&STATE_FOLDER.parse()?, 0o755)
    }

    /// The same for who only looks; none where there is none.
    pub(super) fn state_to_read(&self) -> Result<Option<Place>> {
        self.target.enter(&STATE_FOLDER.parse()?)
    }

    /// The folder of fetched package files; none before the first.
    pub(super) fn cache_folder(&self) -> Result<Option<Place>> {
        self.target.enter(&self.config.base.cache_dir.0)
    }

    /// Where a copy of the record is kept, as it was before the last transaction: for the day when it cannot be
    /// read any more.
    pub(super) fn copy_of_record(&self) -> Result<PathBuf> {
        let state = self.target.canonical(&STATE_FOLDER.parse()?)?;
        Ok(self.target.on_machine(&state.child(INSTALLED)?))
    }

    /// Deletes the files of packages that the config no longer wants in the cache. What fails is told.
    pub(super) fn expire_cache(&self, events: &dyn Events) {
        let warn = |error: Error| events.event(&Event::Warning(&error.to_string()));
        let Some(age) = self.config.base.longest_in_cache() else { return };
        match self.cache_folder() {
            Ok(None) => {}
            Ok(Some(place)) => {
                for (name, error) in Cache::new(place.folder).expire(age) {
                    let what = format!("cannot delete the old {} from the cache", name.display());
                    warn(Error::new(ErrorKind::Storage, what).because(&error));
                }
            }
            Err(error) => warn(error),
        }
    }

    /// Frees what the config no longer wants to keep. The transaction has happened: what fails is told.
    pub(super) fn expire_history(&self, storage: &dyn Storage, now: u64, events: &dyn Events) {
        let begun = Instant::now();
        let failed = match self.state() {
            Ok(state) => history::expire(self.target.root(), &state, storage, (&self.config.history, now), events),
            Err(error) => vec![error],
        };
        events.event(&Event::Stage { name: "history", took: begun.elapsed() });
        for error in failed {
            events.event(&Event::Warning(&error.to_string()));
        }
    }

    /// The folder of config and record, canonical.
    pub(super) fn record_folder(&self) -> &RelPath {
        &self.config_folder
    }

    fn config_file(&self, name: &str) -> Result<RelPath> {
        Ok(self.config_folder.child(name)?)
    }

    /// Whether the config stands in its folder.
    pub(super) fn has_config(&self) -> Result<bool> {
        let named = || format!("cannot look for the config {}", self.config_name);
        match self.target.enter(&self.config_folder)? {
            Some(place) => Ok(place.folder.stat(CONFIG).context(named)?.is_some()),
            None => Ok(false),
        }
    }

    /// The text of the config in its folder.
    pub(super) fn read_config_text(&self) -> Result<String> {
        let named = || format!("cannot read the config {}", self.config_name);
        let file = self.index_folder()?.folder.read(CONFIG).context(named)?;
        given::text_of(file, MAX_CONFIG_SIZE).context(named)
    }

    /// Where the synced index is on this machine.
    pub(super) fn index_file(&self) -> Result<PathBuf> {
        Ok(self.target.on_machine(&self.config_file(INDEX)?))
    }

    /// The folder of the synced index.
    pub(super) fn index_folder(&self) -> Result<Place> {
        self.target.enter_or_make(&self.config_folder, 0o755)
    }

    /// The record of what is installed.
    pub(super) fn storage(&self, mode: Mode) -> Result<Box<dyn Storage>> {
        let file = self.target.on_machine(&self.config_file(INSTALLED)?);
        let storage = match mode {
            Mode::Read => self.format.open_installed(&file, Access::Read),
            Mode::Write { .. } => {
                let adopter =
                    Version1::new(&self.target, self.packages_folders()?, &self.config.sandbox.allow, &self.bin);
                self.format.open_installed(&file, Access::Write(&adopter))
            }
        };
        storage.map_err(|error| {
            let is_damaged = error.kind == StorageErrorKind::Corrupt;
            let error = Error::from(error);
            match self.copy_of_record() {
                Ok(copy) if is_damaged && given::open(&copy).is_ok() => error.hint(format!(
                    "{} is the record as it was before the last transaction: copy it to {}",
                    copy.display(),
                    file.display()
                )),
                _ => error,
            }
        })
    }

    /// The folders that hold packages' folders: `dataDir`, and `lastDataDir` where it is another.
    fn packages_folders(&self) -> Result<Vec<RelPath>> {
        let last = self.target.canonical(&self.config.base.last_data_dir.0)?;
        Ok(if last == self.data { vec![last] } else { vec![self.data.clone(), last] })
    }

    /// Where the program's own things are, which no hook may reach.
    pub(super) fn places(&self) -> Result<sandbox::Places> {
        Ok(sandbox::Places {
            config: self.config_folder.clone(),
            state: self.target.canonical(&STATE_FOLDER.parse()?)?,
            cache: self.target.canonical(&self.config.base.cache_dir.0)?,
            plugins: self.target.canonical(&self.config.plugins.dir.0)?,
            packages: self.packages_folders()?,
            program: self.running_program(),
        })
    }

    fn running_program(&self) -> Option<RelPath> {
        let program = std::env::current_exe().ok()?;
        let root = self.target.on_machine(&RelPath::root());
        RelPath::from_absolute(&format!("/{}", program.strip_prefix(root).ok()?.to_str()?)).ok()
    }

    /// What a source may remember; only a run that changes something writes it down. Its folder is entered when it is
    /// looked at, for most commands fetch nothing.
    fn memory(&self, mode: Mode) -> Result<Arc<dyn Memory>> {
        let (target, folder) = (self.target.again()?, STATE_FOLDER.parse()?);
        let enter = move || match mode {
            Mode::Read => target.enter(&folder).ok()?.map(|place| place.folder),
            Mode::Write { .. } => Some(target.enter_or_make(&folder, 0o755).ok()?.folder),
        };
        Ok(Arc::new(RememberedFile::new(enter, LAN_MEMORY, mode != Mode::Read)))
    }

    /// What shares on the local network.
    pub(super) fn sharer(&self) -> Result<Arc<dyn Sharer>> {
        let make = self.registry.share(LAN);
        make.map(|make| make()).ok_or_else(|| Error::request("cannot share: this program is built without the LAN"))
    }

    /// What is shared: the cache, which is made where it is missing, by the names of the synced index.
    pub(super) fn shelf(&self) -> Result<Shelf> {
        let [cache, index] = self.shared_folders()?;
        let (format, file) = (self.format.clone(), self.index_file()?);
        Ok(Shelf::new(cache.folder, Some((index.folder, INDEX)), Box::new(move || format.open_index(&file))))
    }

    /// The folders that are read for that.
    pub(super) fn shared_folders(&self) -> Result<[Place; 2]> {
        let cache = self.target.enter_or_make(&self.config.base.cache_dir.0, 0o755)?;
        Ok([cache, self.target.enter_or_make(&self.config_folder, 0o755)?])
    }

    /// The folder of what holds only while the system runs.
    pub(super) fn run_folder(&self) -> Result<Place> {
        self.target.enter_or_make(&RUN_FOLDER.parse()?, 0o755)
    }

    /// The same for who only looks; none where there is none.
    pub(super) fn run_folder_to_read(&self) -> Result<Option<Place>> {
        self.target.enter(&RUN_FOLDER.parse()?)
    }

    /// Everything that packages are fetched from. A run that changes nothing makes no cache.
    pub(super) fn fetcher<'a>(&self, mode: Mode, events: &'a dyn Events) -> Result<Fetcher<'a>> {
        let used = &self.config.fetch.sources;
        let is_own = |name: &str| own_sources(&self.registry).any(|own| own == name);
        let plugins = self.plugins(used.iter().any(|name| !is_own(name)))?;
        let shipped = self.registry.fetch_names().chain([CACHE]).map(str::to_owned);
        let known: Vec<String> = shipped.chain(plugins.tables.keys().cloned()).collect();
        // One that this program is built without is missed where a place needs it: the defaults name it too.
        if let Some(unknown) = used.iter().find(|name| !known.contains(name) && !is_own(name)) {
            return Err(Error::request(format!("cannot fetch from {unknown:?}: there is no such source"))
                .hint(format!("Fetch.sources in {} may name {}", self.config_name, known.join(", "))));
        }
        let is_silent = self.no_lan || self.target.relocated() && !self.config.lan.ask_with_root;
        let is_used = |name: &str| {
            let is_silenced = name == LAN && is_silent;
            name == LOCAL || !is_silenced && used.iter().any(|used| used == name)
        };
        let settings = FetchSettings {
            user_agent: USER_AGENT.to_owned(),
            lan_port: self.config.lan.port,
            memory: if is_used(LAN) { Some(self.memory(mode)?) } else { None },
        };
        let mut sources: Vec<Arc<dyn FetchSource>> = self
            .registry
            .fetch_names()
            .filter(|name| is_used(name))
            .filter_map(|name| Some(self.registry.fetch(name)?(&settings)))
            .collect();
        sources.extend(self.plugin_sources(&plugins, events));
        let cache_path = &self.config.base.cache_dir.0;
        let cache = match mode {
            _ if !is_used(CACHE) => None,
            Mode::Write { .. } => Some(self.target.enter_or_make(cache_path, 0o755)?),
            Mode::Read => self.target.enter(cache_path)?,
        };
        let cache = cache.map(|place| Cache::new(place.folder));
        let cache = if mode == Mode::Read { cache.map(Cache::without_parts) } else { cache };
        Ok(Fetcher::new(sources, cache, events))
    }
}

impl Context {
    /// The plugins that the config has, with `--no-plugins` too: they are known then, and not used.
    pub(super) fn plugins(&self, are_wanted: bool) -> Result<Plugins> {
        if self.plugins_of == Some(PluginsOf::TheSystem) && are_wanted {
            let system = Target::open(None, false)?;
            let folder = system.enter(&CONFIG_FOLDER.parse()?)?;
            let file = format!("/{CONFIG_FOLDER}/{CONFIG}");
            return Ok(read_config(&Options::default(), folder.as_ref(), &file)?.plugins);
        }
        Ok(self.config.plugins.clone())
    }

    /// Those of the plugins that are used. One that is broken says so when it is asked.
    fn plugin_sources(&self, plugins: &Plugins, events: &dyn Events) -> Vec<Arc<dyn FetchSource>> {
        let mut sources: Vec<Arc<dyn FetchSource>> = Vec::new();
        for name in plugins.tables.keys().filter(|name| self.config.fetch.sources.contains(name)) {
            if self.registry.fetch_names().chain([CACHE]).any(|shipped| shipped == name) {
                let text = format!("the plugin {name} is not used: a source of that name is built in");
                events.event(&Event::Warning(&text));
            } else if let Some(plugin) = Installed::of(plugins, name).filter(|_| self.plugins_of.is_some()) {
                sources.push(Arc::new(PluginSource::new(plugin, USER_AGENT)));
            }
        }
        sources
    }

    /// Whether the config in use may name code.
    pub(super) fn may_name_plugins(&self) -> bool {
        self.plugins_of == Some(PluginsOf::ThisConfig)
    }
}

fn registry() -> Result<Registry> {
    crate::builtin::registry().map_err(|error| Error::new(ErrorKind::Bug, error.to_string()))
}

fn format_of(registry: &Registry) -> Result<Arc<dyn StorageFormat>> {
    registry.storage(STORAGE).map(|make| make()).ok_or_else(|| Error::new(ErrorKind::Bug, "no storage is compiled in"))
}

/// The names of all sources that are the program's own, which no plugin can have.
pub(super) fn own_sources(registry: &Registry) -> impl Iterator<Item = &'static str> {
    registry.fetch_names().chain(SOURCES.map(|source| source.name)).chain([CACHE])
}

/// The same for commands that have no target.
pub(super) fn fetch_names() -> Result<Vec<&'static str>> {
    Ok(own_sources(&registry()?).collect())
}

/// The storage format, for commands that have no target.
pub(super) fn storage_format() -> Result<Arc<dyn StorageFormat>> {
    format_of(&registry()?)
}

/// What an ordinary user can do about a system that only root may change.
pub(super) fn without_privilege(error: Error, options: &Options) -> Error {
    let denied = error.causes().iter().any(|cause| cause.starts_with("Permission denied"));
    if !denied || rustix::process::geteuid().is_root() {
        return error;
    }
    error.hint(match &options.root {
        None => "run it as root, or with --root on a folder of your own",
        Some(_) => "the folder that --root names must be your own",
    })
}

fn read_config(options: &Options, folder: Option<&Place>, shown: &str) -> Result<Config> {
    if let Some(file) = &options.config {
        return Config::parse(&given::read_text(file, MAX_CONFIG_SIZE)?, shown);
    }
    let Some(place) = folder else { return Ok(Config::default()) };
    let named = || format!("cannot read the config {shown}");
    if place.folder.stat(CONFIG).context(named)?.is_none() {
        return Ok(Config::default());
    }
    let file = place.folder.read(CONFIG).context(named)?;
    Config::parse(&given::text_of(file, MAX_CONFIG_SIZE).context(named)?, shown)
}

/// Files that a run was writing when it was killed: under the lock nobody writes them now.
fn remove_unfinished(folder: &Folder) {
    for name in folder.list().unwrap_or_default() {
        let is_unfinished = UNFINISHED.iter().any(|prefix| name.as_encoded_bytes().starts_with(prefix.as_bytes()));
        if is_unfinished {
            // What stays does no harm, and the next run tries again.
            let _ = folder.remove_file(&name);
        }
    }
}

/// The first writing command writes the defaults down, so that there is something to edit.
fn write_missing_config(config: &Config, place: &Place) -> Result<()> {
    let named = || "cannot write the config /etc/packets/config.toml".to_owned();
    if place.folder.stat(CONFIG).context(named)?.is_some() {
        return Ok(());
    }
    let text = toml::to_string(config).context(named)?;
    crate::durable::write(&place.folder, CONFIG, text.as_bytes(), 0o644).context(named)
}
