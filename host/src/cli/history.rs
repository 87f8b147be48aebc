use clap::Args;

use crate::error::Result;
use crate::ops::{self, Options};
use crate::output::Output;

/// List what was done, from where, and what can be undone
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  packets history\n  packets history --json")]
pub(super) struct History {}

impl History {
    pub(super) fn run(self, options: &Options, output: &Output) -> Result<()> {
        output.history(&ops::history(options, output)?)
    }
}
