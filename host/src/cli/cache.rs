use clap::{Args, Subcommand};

use crate::error::Result;
use crate::ops::{self, Options, Which};
use crate::output::Output;

/// Show or free what is kept: fetched packages, and what was displaced
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  packets cache list\n  packets cache clean --packages\n  packets cache clean --dry-run"
)]
pub(super) struct Cache {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show what is kept
    #[command(after_help = "Examples:\n  packets cache list\n  packets cache list --history")]
    List(Parts),
    /// Delete what is kept; what was displaced cannot be undone then
    #[command(after_help = "Examples:\n  packets cache clean\n  packets cache clean --packages --dry-run")]
    Clean(Parts),
}

#[derive(Debug, Args)]
struct Parts {
    /// Only fetched package files
    #[arg(long)]
    packages: bool,
    /// Only what transactions displaced
    #[arg(long)]
    history: bool,
}

impl Parts {
    fn which(&self) -> Which {
        let both = self.packages == self.history;
        Which { packages: self.packages || both, history: self.history || both }
    }
}

impl Cache {
    pub(super) fn run(self, options: &Options, output: &Output) -> Result<()> {
        output.stored(&match self.command {
            Command::List(parts) => ops::cache_list(parts.which(), options, output)?,
            Command::Clean(parts) => ops::cache_clean(parts.which(), options, output)?,
        })
    }
}
