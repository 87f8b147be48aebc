use clap::Args;

use crate::error::Result;
use crate::ops::{self, Options};
use crate::output::Output;

/// Bring to its end what a crash has cut off
///
/// Every command that changes something does it first. It needs no network, and runs no hook.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  packets recover")]
pub(super) struct Recover {
    /// Leave what cannot be brought to its end as it stands, and go on without it
    #[arg(long)]
    give_up: bool,
}

impl Recover {
    pub(super) fn run(self, options: &Options, output: &Output) -> Result<()> {
        let options = Options { give_up: self.give_up, ..options.clone() };
        output.recovered(&ops::recover(&options, output)?)
    }
}
