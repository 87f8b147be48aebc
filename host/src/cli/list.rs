use clap::Args;

use crate::error::Result;
use crate::ops::{self, Options};
use crate::output::Output;

/// List installed packages
#[derive(Debug, Args)]
#[command(visible_alias = "ls", after_help = "Examples:\n  packets list\n  packets list --json")]
pub(super) struct List {
    /// List what can be installed instead
    #[arg(long)]
    available: bool,
}

impl List {
    pub(super) fn run(self, options: &Options, output: &Output) -> Result<()> {
        if self.available {
            output.available(&ops::available(options, output)?)
        } else {
            output.installed(&ops::installed(options, output)?)
        }
    }
}
