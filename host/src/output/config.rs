//! The config, as people read it.

use super::{Output, shown};
use crate::error::{Context, Result};
use crate::ops::{ConfigSet, ConfigShown};

impl Output {
    /// Prints the config, or a part of it.
    pub fn config(&self, config: &ConfigShown) -> Result<()> {
        if self.json {
            return self.print_json(config);
        }
        match &config.config {
            toml::Value::Table(table) => {
                let text = toml::to_string(table).context(|| "cannot write the config down".to_owned())?;
                if !self.quiet {
                    let state = if config.exists { "" } else { ", which is not there: these are the defaults" };
                    self.say(format_args!("# {}{state}", shown(&config.file)));
                }
                self.print(&text)
            }
            value => self.print(&format!("{}\n", plain(value))),
        }
    }

    /// Prints that the config can be used.
    pub fn config_is_fine(&self, config: &ConfigShown) -> Result<()> {
        if self.json {
            return self.print_json(config);
        }
        if !self.quiet {
            let state = if config.exists { "can be used" } else { "is not there: the defaults are in force" };
            self.say(format_args!("{} {state}", shown(&config.file)));
        }
        Ok(())
    }

    /// Prints what was set, or would be.
    pub fn config_set(&self, set: &ConfigSet) -> Result<()> {
        if self.json {
            return self.print_json(set);
        }
        if set.before == set.now {
            if !self.quiet {
                self.say(format_args!("{} is {} already", set.key, plain(&set.now)));
            }
            return Ok(());
        }
        let line = format!("{} = {} (was {})", set.key, plain(&set.now), plain(&set.before));
        match set.committed {
            false => self.print(&format!("{line}\n")),
            true if self.quiet => Ok(()),
            true => {
                self.say(line);
                Ok(())
            }
        }
    }
}

/// A value as a shell would use it: a text without its quotes.
fn plain(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => shown(text),
        other => shown(&other.to_string()),
    }
}
