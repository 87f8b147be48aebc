//! Plugins, as people read of them.

use super::{Output, shown, table};
use crate::error::Result;
use crate::ops::{CheckedPlugin, NewPlugin, PluginInformation};

impl Output {
    /// Prints the plugins that the config names.
    pub fn plugins(&self, all: &[PluginInformation]) -> Result<()> {
        if self.json {
            return self.print_json(&all);
        }
        let rows = all.iter().map(|one| {
            let state = one.problem.as_ref().map_or_else(|| description(one), |problem| format!("not used: {problem}"));
            [one.name.clone(), if one.used { "used" } else { "off" }.to_owned(), shown(&state)]
        });
        self.print(&table(rows.collect()))
    }

    /// Prints what a new plugin begins with.
    pub fn plugin_begun(&self, begun: &NewPlugin) -> Result<()> {
        if self.json {
            return self.print_json(begun);
        }
        let folder = begun.folder.display();
        self.print(&begun.files.iter().map(|file| format!("{folder}/{file}\n")).collect::<String>())?;
        if begun.made && !self.quiet {
            self.say(format_args!("{folder}/README.md tells how it is built and tried"));
        }
        Ok(())
    }

    /// Prints what is known of one.
    pub fn plugin(&self, one: &PluginInformation) -> Result<()> {
        if self.json {
            return self.print_json(one);
        }
        let lines = [
            ("name", one.name.clone()),
            ("description", description(one)),
            ("version", one.version.clone().unwrap_or_default()),
            ("abi", one.abi.clone().unwrap_or_default()),
            ("sha256", one.sha256.map(|digest| digest.to_string()).unwrap_or_default()),
            ("folder", one.folder.display().to_string()),
            ("problem", one.problem.clone().unwrap_or_default()),
            ("state", one.state.to_owned()),
        ];
        let lines = lines.into_iter().filter(|(_, value)| !value.is_empty());
        self.print(&lines.map(|(key, value)| format!("{key:<12} {}\n", shown(&value))).collect::<String>())
    }

    /// Prints how a plugin has done.
    pub fn plugin_checked(&self, checked: &CheckedPlugin) -> Result<()> {
        if self.json {
            return self.print_json(checked);
        }
        let mut text = format!("{} {} keeps its promises\n", checked.name, shown(&checked.version));
        for what in &checked.shown {
            text.push_str(&format!("  {}\n", shown(what)));
        }
        self.print(&text)?;
        for kept in &checked.kept {
            self.say(format_args!("warning: its worker could not give up {}", shown(kept)));
        }
        Ok(())
    }
}

fn description(one: &PluginInformation) -> String {
    one.description.clone().unwrap_or_default()
}
