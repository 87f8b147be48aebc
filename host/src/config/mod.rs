//! config.toml: what an administrator has decided.
//!
//! A file that v1 wrote loads. One that is wrong is an error that names the
//! file, the line, the key and what is allowed there.

mod limits;
mod size;

use std::collections::BTreeMap;
use std::time::Duration;

use packets_hook_runtime::limits::{CPU, MEMORY, OPERATIONS, WALL};
use packets_plugin_api::hook::{Grant, HookLimits};
use packets_plugin_api::ident::{Family, PackageName};
use packets_plugin_api::relpath::RelPath;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::plugin::PluginTable;
pub use limits::MAX_CONFIG_SIZE;
pub use size::{ByteSize, Period};

/// The whole file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// v1's table.
    #[serde(rename = "Config")]
    pub base: Base,
    /// Where the index comes from.
    #[serde(rename = "Sync")]
    pub sync: Sync,
    /// Which sources are used.
    #[serde(rename = "Fetch")]
    pub fetch: Fetch,
    /// How the local network is asked.
    #[serde(rename = "Lan")]
    pub lan: Lan,
    /// What hooks may do.
    #[serde(rename = "Sandbox")]
    pub sandbox: Sandbox,
    /// How long a transaction can be undone.
    #[serde(rename = "History")]
    pub history: History,
    /// Places to fetch from that are loaded from files; the table of each stands beside `dir`.
    #[serde(rename = "Plugins")]
    pub plugins: Plugins,
}

/// `[Config]`: v1's keys with v1's defaults.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Base {
    /// The port of the LAN's HTTP server.
    pub http_port: u16,
    /// Where package files are kept.
    pub cache_dir: AbsolutePath,
    /// Whether old package files are deleted.
    pub day_to_delete_cache_dir: bool,
    /// After how many days; -1: never.
    pub days_to_delete: i64,
    /// Where packages are installed.
    pub data_dir: AbsolutePath,
    /// Where hooks link programs.
    pub bin_dir: AbsolutePath,
    /// Where packages were installed last; never edited by hand.
    pub last_data_dir: AbsolutePath,
}

impl Base {
    /// How long package files stay in the cache; none: as long as nobody deletes them.
    pub fn longest_in_cache(&self) -> Option<Duration> {
        let days = u64::try_from(self.days_to_delete).ok().filter(|_| self.day_to_delete_cache_dir)?;
        Some(Duration::from_secs(days.saturating_mul(24 * 60 * 60)))
    }
}

impl Default for Base {
    fn default() -> Self {
        Self {
            http_port: 9123,
            cache_dir: AbsolutePath::fixed("var/cache/packets"),
            day_to_delete_cache_dir: false,
            days_to_delete: -1,
            data_dir: AbsolutePath::fixed("opt/packets"),
            bin_dir: AbsolutePath::fixed("usr/bin"),
            last_data_dir: AbsolutePath::fixed("opt/packets"),
        }
    }
}

/// `[Sync]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sync {
    /// Where `sync` gets the index; empty: nowhere yet.
    pub url: String,
}

/// `[Fetch]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Fetch {
    /// The names of the sources that are used, in no order. Repositories that are folders
    /// of this machine are read whatever stands here.
    pub sources: Vec<String>,
}

impl Default for Fetch {
    fn default() -> Self {
        Self { sources: ["cache", "lan", "http"].map(str::to_owned).into() }
    }
}

/// `[Lan]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Lan {
    /// The UDP port of questions, the same on all machines.
    pub port: u16,
    /// Whether peers are asked also for a root that `--root` names: an image that is built, or
    /// a test, says nothing to a network unless it is to.
    pub ask_with_root: bool,
}

impl Default for Lan {
    fn default() -> Self {
        Self { port: 1333, ask_with_root: false }
    }
}

/// `[History]`: the files that transactions displaced are kept for `undo` as long as both say so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct History {
    /// Of the last so many transactions.
    pub keep: usize,
    /// For so many days; -1: for ever.
    pub days: i64,
}

impl Default for History {
    fn default() -> Self {
        Self { keep: 10, days: 30 }
    }
}

/// What happens after a hook that tried what it may not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnDenied {
    /// The transaction fails.
    #[default]
    Fail,
    /// The transaction goes on, with a warning.
    Warn,
}

/// `[Sandbox]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Sandbox {
    /// Folders that every hook may use; `${binDir}` and `${name}` are filled in.
    pub allow: Vec<String>,
    /// Memory of a hook.
    pub memory: ByteSize,
    /// Time that a hook may compute.
    pub cpu: Period,
    /// Time from start to end of a hook.
    pub wall: Period,
    /// What a denial means.
    pub on_denied: OnDenied,
    /// What single packages may do beyond that.
    #[serde(rename = "grant", skip_serializing_if = "Vec::is_empty")]
    pub grants: Vec<PackageGrant>,
}

impl Default for Sandbox {
    fn default() -> Self {
        let allow = [
            "${binDir}",
            "/usr/share/${name}",
            "/usr/share/applications",
            "/usr/share/doc",
            "/usr/share/fonts",
            "/usr/share/icons",
            "/usr/share/licenses",
            "/usr/share/locale",
            "/usr/share/man",
            "/usr/share/metainfo",
            "/usr/share/pixmaps",
            "/usr/share/bash-completion/completions",
            "/usr/share/zsh/site-functions",
            "/usr/share/fish/vendor_completions.d",
        ];
        Self {
            allow: allow.map(str::to_owned).into(),
            memory: ByteSize(MEMORY),
            cpu: Period(CPU),
            wall: Period(WALL),
            on_denied: OnDenied::Fail,
            grants: Vec::new(),
        }
    }
}

impl Sandbox {
    /// The bounds of a hook that a deployment can set.
    pub fn hook_limits(&self) -> HookLimits {
        HookLimits { memory: self.memory.0, cpu: self.cpu.0, wall: self.wall.0 }
    }

    /// What the `[[Sandbox.grant]]`s give a package of this name and family.
    pub fn granted(&self, name: &PackageName, family: &Family) -> Grant {
        let mut grant = Grant::default();
        for entry in self.grants.iter().filter(|entry| entry.is_for(name, family)) {
            let Grant { write, read, replace, .. } = entry.grant();
            grant.write.extend(write);
            grant.read.extend(read);
            grant.replace.extend(replace);
        }
        grant
    }

    /// How many operations a hook of this package may do.
    pub fn operations(&self, name: &PackageName, family: &Family) -> u64 {
        let raised = self.grants.iter().filter(|entry| entry.is_for(name, family)).filter_map(|entry| entry.operations);
        raised.max().unwrap_or(OPERATIONS)
    }
}

/// `[[Sandbox.grant]]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackageGrant {
    /// Whose hooks.
    pub package: PackageName,
    /// Of which family; without it any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family: Option<Family>,
    /// Folders to write in.
    #[serde(default)]
    pub write: Vec<AbsolutePath>,
    /// Folders to read.
    #[serde(default)]
    pub read: Vec<AbsolutePath>,
    /// Paths of others to displace.
    #[serde(default)]
    pub replace: Vec<AbsolutePath>,
    /// More operations than the limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operations: Option<u64>,
}

impl PackageGrant {
    /// What it grants.
    pub fn grant(&self) -> Grant {
        let paths = |list: &[AbsolutePath]| list.iter().map(|path| path.0.clone()).collect::<Vec<_>>();
        let (write, read, replace) = (paths(&self.write), paths(&self.read), paths(&self.replace));
        Grant { allow: Vec::new(), write, read, replace }
    }

    fn is_for(&self, name: &PackageName, family: &Family) -> bool {
        self.package == *name && self.family.as_ref().is_none_or(|wanted| wanted == family)
    }
}

/// `[Plugins]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Plugins {
    /// The folder of plugins that are loaded from files.
    pub dir: AbsolutePath,
    /// The table of each plugin.
    #[serde(flatten)]
    pub tables: BTreeMap<String, PluginTable>,
}

impl Default for Plugins {
    fn default() -> Self {
        Self { dir: AbsolutePath::fixed("usr/lib/packets/plugins"), tables: BTreeMap::new() }
    }
}

/// An absolute path of the target, kept relative to its root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AbsolutePath(pub RelPath);

impl AbsolutePath {
    fn fixed(text: &'static str) -> Self {
        Self(text.parse().unwrap_or_default())
    }
}

impl TryFrom<String> for AbsolutePath {
    type Error = String;
    fn try_from(text: String) -> std::result::Result<Self, String> {
        match RelPath::from_absolute(&text) {
            Ok(path) if !path.is_root() => Ok(Self(path)),
            Ok(_) => Err("the root itself is not allowed here; expected an absolute path below it".to_owned()),
            Err(_) if !text.starts_with('/') => {
                Err(format!("{text:?} is not an absolute path; expected one like \"/usr/bin\""))
            }
            Err(error) => Err(format!("{error}; expected an absolute path like \"/usr/bin\"")),
        }
    }
}

impl From<AbsolutePath> for String {
    fn from(path: AbsolutePath) -> Self {
        path.0.absolute()
    }
}

impl std::fmt::Display for AbsolutePath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.absolute())
    }
}

impl Config {
    /// Reads a config; `file` is its name in errors.
    pub fn parse(text: &str, file: &str) -> Result<Self> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        toml::from_str(text).map_err(|error| describe(text, file, &error))
    }
}

fn describe(text: &str, file: &str, error: &toml::de::Error) -> Error {
    let place = error.span().map(|span| {
        let before = text.get(..span.start).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let content = text.lines().nth(line - 1).unwrap_or_default().trim();
        format!("line {line}, `{content}`: ")
    });
    let described = Error::request(format!("cannot use the config {file}")).caused_by(format!(
        "{}{}",
        place.unwrap_or_default(),
        // The names of types are for programmers.
        error
            .message()
            .replace("expected u16", "expected a number from 0 to 65535")
            .replace("expected i64", "expected a whole number")
    ));
    match meant(error.message()) {
        Some(near) => described.hint(format!("did you mean {near}?")),
        None => described,
    }
}

/// What somebody meant who wrote a key or a word that is not allowed: the message quotes that, then what is.
fn meant(message: &str) -> Option<&str> {
    let mut quoted = message.split('`').skip(1).step_by(2);
    let wrong = quoted.next()?;
    message.starts_with("unknown ").then(|| crate::suggest::nearest(wrong, quoted)).flatten()
}

/// A period as the config writes it, from a plain duration.
impl From<Duration> for Period {
    fn from(duration: Duration) -> Self {
        Self(duration)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_v1_loads() {
        let config = Config::parse(
            "[Config]\nhttpPort = 9123\ncacheDir = \"/var/cache/packets\"\ndayToDeleteCacheDir = false\ndaysToDelete = -1\n\
             dataDir = \"/opt/packets\"\nbinDir = \"/usr/bin\"\nlastDataDir = \"/opt/packets\"\n",
            "config.toml",
        );
        assert_eq!(config.unwrap(), Config::default());
        assert_eq!(Config::parse("", "config.toml").unwrap(), Config::default());
    }

    #[test]
    fn a_wrong_key_names_file_line_and_what_is_allowed() {
        let error =
            Config::parse("[Config]\n\n[Sandbox]\nmemorry = \"1MiB\"\n", "/etc/packets/config.toml").unwrap_err();
        assert_eq!(error.message(), "cannot use the config /etc/packets/config.toml");
        let cause = &error.causes()[0];
        for part in ["line 4", "memorry", "expected", "`memory`"] {
            assert!(cause.contains(part), "{cause}");
        }
        assert_eq!(error.hints(), ["did you mean memory?"]);
        let far = Config::parse("[Sandbox]\ncolour = 1\n", "c").unwrap_err();
        assert_eq!(far.hints(), Vec::<String>::new());
        let word = Config::parse("[Sandbox]\nonDenied = \"Warn\"\n", "c").unwrap_err();
        assert_eq!(word.hints(), ["did you mean warn?"]);
    }

    #[test]
    fn wrong_values_say_what_would_be_right() {
        for (line, part) in [
            ("[Config]\ncacheDir = \"var\"", "absolute path"),
            ("[Config]\ndataDir = \"/\"", "below it"),
            ("[Config]\nbinDir = \"/a/../b\"", ".."),
            ("[Config]\nhttpPort = 70000", "70000"),
            ("[Sandbox]\nmemory = \"64 apples\"", "\"64MiB\""),
            ("[Sandbox]\ncpu = \"soon\"", "\"5s\""),
            ("[Sandbox]\nonDenied = \"shrug\"", "`fail`"),
            ("[[Sandbox.grant]]\npackage = \"../x\"", "package name"),
            ("[Config]\nhttpPort = 1\nhttpPort = 2", "duplicate"),
        ] {
            let error = Config::parse(line, "c").unwrap_err();
            assert!(error.causes()[0].contains(part), "{line}: {:?}", error.causes());
        }
    }

    #[test]
    fn grants_are_for_a_name_and_a_family() {
        let text =
            "[[Sandbox.grant]]\npackage = \"nginx\"\nfamily = \"f\"\nwrite = [\"/etc/nginx\"]\noperations = 200000\n";
        let sandbox = Config::parse(text, "c").unwrap().sandbox;
        let (nginx, family): (PackageName, Family) = ("nginx".parse().unwrap(), "f".parse().unwrap());
        assert_eq!(sandbox.granted(&nginx, &family).write, ["etc/nginx".parse().unwrap()]);
        assert_eq!(sandbox.operations(&nginx, &family), 200_000);
        assert_eq!(sandbox.granted(&nginx, &Family::none()), Grant::default());
        assert_eq!(sandbox.granted(&"other".parse().unwrap(), &family), Grant::default());
    }
}
