//! What a source from a file is made with.

use std::fmt;

/// The plugin's own part of the config, and its secrets.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// Sent to servers as the name of the program.
    pub user_agent: String,
    /// `[Plugins.NAME.config]`, as TOML.
    pub config: String,
    /// The same, a pair for each value: `user`, or `proxy.host` in a table of the table.
    pub values: Vec<(String, String)>,
    /// `[Plugins.NAME.secrets]`, by name.
    pub secrets: Vec<(String, String)>,
}

impl Settings {
    /// A value of the config.
    pub fn value(&self, key: &str) -> Option<&str> {
        look_up(&self.values, key)
    }

    /// A secret.
    pub fn secret(&self, name: &str) -> Option<&str> {
        look_up(&self.secrets, name)
    }
}

fn look_up<'a>(pairs: &'a [(String, String)], wanted: &str) -> Option<&'a str> {
    pairs.iter().find(|(key, _)| key == wanted).map(|(_, value)| value.as_str())
}

/// Never a secret, nor the config, in which somebody may have written one.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("user_agent", &self.user_agent).finish_non_exhaustive()
    }
}
