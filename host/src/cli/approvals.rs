use clap::{Args, Subcommand};

use crate::error::Result;
use crate::ops::{self, Options};
use crate::output::Output;

/// Show or take back what the hooks of packages may do because somebody said so
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  packets approvals list\n  packets approvals revoke nginx")]
pub(super) struct Approvals {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show what was approved, at a terminal and in the config
    #[command(after_help = "Examples:\n  packets approvals list\n  packets approvals list --json")]
    List,
    /// Take back what was approved for a package at a terminal
    #[command(after_help = "Examples:\n  packets approvals revoke nginx")]
    Revoke {
        /// The package's name
        package: String,
    },
}

impl Approvals {
    pub(super) fn run(self, options: &Options, output: &Output) -> Result<()> {
        match self.command {
            Command::List => output.approvals(&ops::approvals(options, output)?),
            Command::Revoke { package } => output.revoked(&ops::revoke(&package.parse()?, options, output)?),
        }
    }
}
