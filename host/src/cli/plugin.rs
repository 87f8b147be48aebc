use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::error::Result;
use crate::ops::{self, Options, Question};
use crate::output::Output;

/// Work with places to fetch from that are loaded from files
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  packets plugin new my-source\n  packets plugin add ./build/plugin.so\n  packets plugin list\n  packets plugin check plain-c"
)]
pub(super) struct Plugin {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write what a plugin of your own begins with into a folder of its name; it works as it is
    #[command(after_help = "Examples:\n  packets plugin new my-source\n  packets plugin new my-source --c")]
    New {
        /// Its name: 1 to 32 of a-z, 0-9 and '-'
        name: String,
        /// In C and not in Rust
        #[arg(long)]
        c: bool,
        /// The folder plugin-api of the sources, where cargo has no release of it
        #[arg(long, value_name = "DIR", conflicts_with = "c")]
        sdk: Option<PathBuf>,
    },
    /// Check a library, copy it and approve its SHA-256; plugin.toml stands beside it
    #[command(after_help = "Examples:\n  packets plugin add ./build/plugin.so")]
    Add {
        /// The shared library
        #[arg(value_name = "FILE")]
        library: PathBuf,
    },
    /// List the plugins that the config names; runs none
    #[command(after_help = "Examples:\n  packets plugin list\n  packets plugin list --json")]
    List,
    /// Show what is known of a plugin; does not run it
    #[command(after_help = "Examples:\n  packets plugin info plain-c")]
    Info {
        /// Its name
        name: String,
    },
    /// Forget a plugin and delete its files
    #[command(after_help = "Examples:\n  packets plugin remove plain-c")]
    Remove {
        /// Its name
        name: String,
    },
    /// Run a plugin in its worker and see whether it keeps its promises
    #[command(after_help = "Examples:
  packets plugin check plain-c")]
    Check {
        /// Its name
        name: String,
        /// A place at which there is a file
        #[arg(long, requires = "file", value_name = "LOCATION")]
        location: Option<String>,
        /// The same file here
        #[arg(long, requires = "location", value_name = "FILE")]
        file: Option<PathBuf>,
    },
}

impl Plugin {
    pub(super) fn run(self, options: &Options, output: &Output) -> Result<()> {
        match self.command {
            Command::New { name, c, sdk } => output.plugin_begun(&ops::plugin_new(&name, c, sdk.as_deref(), options)?),
            Command::Add { library } => output.plugin(&ops::plugin_add(&library, options, output)?),
            Command::List => output.plugins(&ops::plugin_list(options, output)?),
            Command::Info { name } => output.plugin(&ops::plugin_info(&name, options, output)?),
            Command::Remove { name } => output.plugin(&ops::plugin_remove(&name, options, output)?),
            Command::Check { name, location, file } => {
                let question = location.zip(file).map(|(location, file)| Question { location, file });
                output.plugin_checked(&ops::plugin_check(&name, question.as_ref(), options, output)?)
            }
        }
    }
}
