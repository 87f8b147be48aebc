use clap::{Args, Subcommand};

use crate::error::Result;
use crate::ops::{self, Options};
use crate::output::Output;

/// Show, check or change the config
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  packets config show\n  packets config check\n  packets config set Sandbox.memory 128MiB"
)]
pub(super) struct Config {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show every value that is in force, or one of them
    #[command(after_help = "Examples:\n  packets config show\n  packets config show Config.dataDir")]
    Show {
        /// Table or Table.key; without it everything
        key: Option<String>,
    },
    /// Tell whether the config can be used, and where it cannot
    #[command(after_help = "Examples:\n  packets config check")]
    Check,
    /// Set one value; comments stay
    #[command(
        after_help = "Examples:\n  packets config set Sandbox.memory 128MiB\n  packets config set Fetch.sources '[\"cache\", \"http\"]'"
    )]
    Set {
        /// Table.key
        key: String,
        /// A text, a number, true or false, or a list as TOML writes it
        #[arg(allow_hyphen_values = true)]
        value: String,
    },
}

impl Config {
    pub(super) fn run(self, options: &Options, output: &Output) -> Result<()> {
        match self.command {
            Command::Show { key } => output.config(&ops::config_show(key.as_deref(), options, output)?),
            Command::Check => output.config_is_fine(&ops::config_check(options, output)?),
            Command::Set { key, value } => output.config_set(&ops::config_set(&key, &value, options, output)?),
        }
    }
}
