//! What a plugin is told: its table of the config, and the secrets that the config names.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use packets_hook_runtime::folder;
use packets_plugin_api::ident::Digest;
use packets_plugin_api::native::{Settings, abi::MAX_TEXT};
use serde::{Deserialize, Serialize};

use super::limits::SECRET;
use crate::config::AbsolutePath;
use crate::error::{Context as _, Error, Result};
use crate::given::{self, Given};

/// `[Plugins.NAME]`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PluginTable {
    /// The library that was approved; without it the plugin is not loaded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Digest>,
    /// The plugin's own table, passed to it as it is.
    #[serde(skip_serializing_if = "toml::Table::is_empty")]
    pub config: toml::Table,
    /// What must not stand in a config.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, Secret>,
}

/// Where a secret is.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Secret {
    /// In a file of this machine; the line feed at its end is not part of it.
    File(AbsolutePath),
    /// In a variable of the environment.
    Environment(String),
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "file {path}"),
            Self::Environment(name) => write!(f, "environment {name}"),
        }
    }
}

impl PluginTable {
    /// What the plugin `name` is told.
    ///
    /// # Errors
    /// A secret cannot be read. Never with a secret in it.
    pub(crate) fn settings(&self, name: &str, user_agent: &str) -> Result<Settings> {
        let mut values = Vec::new();
        flatten("", &self.config, &mut values);
        let config =
            toml::to_string(&self.config).context(|| format!("cannot pass its config to the plugin {name}"))?;
        let mut secrets = Vec::new();
        for (key, secret) in &self.secrets {
            let failed = || Error::request(format!("cannot read the secret {key:?} of the plugin {name}"));
            let text = secret.read().map_err(|error| error.within(failed().message().to_owned()))?;
            secrets.push((key.clone(), text));
        }
        let longest = values.iter().chain(&secrets).map(|(key, value)| key.len().max(value.len()));
        if longest.chain([config.len()]).any(|length| length as u64 > MAX_TEXT) {
            return Err(Error::request(format!("the config of the plugin {name} is too large"))
                .caused_by(format!("a text has at most {MAX_TEXT} bytes")));
        }
        Ok(Settings { user_agent: user_agent.to_owned(), config, values, secrets })
    }
}

impl Secret {
    fn read(&self) -> Result<String> {
        match self {
            Self::File(path) => {
                let path = Path::new("/").join(path.0.as_str());
                let Given::File(file) = given::open(&path)? else {
                    return Err(Error::request(format!("{} is a folder", path.display())));
                };
                let named = || format!("cannot read {}", path.display());
                let stat = folder::stat(&file).context(named)?;
                let caller = rustix::process::geteuid().as_raw();
                if stat.mode & 0o077 != 0 || (stat.uid != 0 && stat.uid != caller) {
                    return Err(Error::request(format!("{} is no secret: others may read it", path.display()))
                        .hint(format!("chmod 600 {}", path.display())));
                }
                let mut text = given::text_of(file, SECRET).context(named)?;
                if text.ends_with('\n') {
                    text.pop();
                }
                Ok(text)
            }
            Self::Environment(name) => {
                std::env::var(name).map_err(|_| Error::request(format!("the variable {name} is not set to a text")))
            }
        }
    }
}

/// One pair for each value; a list is passed as TOML writes it.
fn flatten(before: &str, table: &toml::Table, into: &mut Vec<(String, String)>) {
    for (key, value) in table {
        let key = if before.is_empty() { key.clone() } else { format!("{before}.{key}") };
        match value {
            toml::Value::Table(inner) => flatten(&key, inner, into),
            toml::Value::String(text) => into.push((key, text.clone())),
            other => into.push((key, other.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_passed_as_it_is() {
        let table: PluginTable =
            toml::from_str("[config]\nuser = \"reader\"\nretries = 3\n[config.proxy]\nhost = \"h\"\nports = [1, 2]\n")
                .unwrap();
        let settings = table.settings("x", "packets/2").unwrap();
        assert_eq!(settings.value("user"), Some("reader"));
        assert_eq!(settings.value("retries"), Some("3"));
        assert_eq!(settings.value("proxy.host"), Some("h"));
        assert_eq!(settings.value("proxy.ports"), Some("[1, 2]"));
        let again: toml::Table = settings.config.parse().unwrap();
        assert_eq!(again, table.config);
    }

    #[test]
    fn secrets_are_read_and_never_shown() {
        use std::os::unix::fs::PermissionsExt;
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("secret");
        std::fs::write(&file, "hush\n").unwrap();
        let table: PluginTable =
            toml::from_str(&format!("[secrets]\npassword = {{ file = {:?} }}\n", file.to_str().unwrap())).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
        let error = table.settings("x", "").unwrap_err().to_string();
        assert!(error.contains("others may read it") && !error.contains("hush"), "{error}");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        let settings = table.settings("x", "").unwrap();
        assert_eq!(settings.secret("password"), Some("hush"));
        assert!(!format!("{settings:?} {table:?}").contains("hush"));
        let table: PluginTable =
            toml::from_str("[secrets]\ntoken = { environment = \"PACKETS_NO_SUCH_VARIABLE\" }\n").unwrap();
        assert!(table.settings("x", "").unwrap_err().to_string().contains("PACKETS_NO_SUCH_VARIABLE"));
    }

    #[test]
    fn a_secret_as_large_as_may_be() {
        use std::os::unix::fs::PermissionsExt;
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("secret");
        let table: PluginTable =
            toml::from_str(&format!("[secrets]\npassword = {{ file = {:?} }}\n", file.to_str().unwrap())).unwrap();
        let most = usize::try_from(SECRET).unwrap();
        std::fs::write(&file, "x".repeat(most)).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(table.settings("x", "").unwrap().secret("password").map(str::len), Some(most));
        std::fs::write(&file, "x".repeat(most + 1)).unwrap();
        let error = table.settings("x", "").unwrap_err();
        assert!(error.causes().iter().any(|cause| cause.contains("larger than 65536 bytes")), "{error:?}");
    }
}
