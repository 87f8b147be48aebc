use clap::{Args, Subcommand};

use crate::error::Result;
use crate::ops::{self, Options};
use crate::output::Output;

/// Share the fetched packages with other machines on the local network
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  packets serve init\n  packets serve status\n  packets serve stop")]
pub(super) struct Serve {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Begin to share, in the background
    #[command(after_help = "Examples:\n  packets serve init")]
    Init,
    /// End it
    #[command(after_help = "Examples:\n  packets serve stop")]
    Stop,
    /// Show what is shared, what was given, and who else shares
    #[command(after_help = "Examples:\n  packets serve status\n  packets serve status --json")]
    Status,
    /// Share until a signal ends it, for a service manager
    #[command(after_help = "Examples:\n  packets serve run")]
    Run {
        /// Leave the terminal
        #[arg(long, hide = true)]
        detached: bool,
    },
}

impl Serve {
    pub(super) fn run(self, options: &Options, output: &Output) -> Result<()> {
        match self.command {
            Command::Init => output.served(&ops::serve_init(options, output)?),
            Command::Stop => output.served(&ops::serve_stop(options, output)?),
            Command::Status => output.served(&ops::serve_status(options, output)?),
            Command::Run { detached } => output.served(&ops::serve_run(detached, options, output)?),
        }
    }
}
