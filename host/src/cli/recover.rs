use clap::Args;

use crate::error::Result;
use crate::ops::{self, Options};
use crate::output::Output;

/// Bring to its end what a crash has cut off
///
/// Every command that changes something does it first. It needs no network, and runs no hook.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  packets recover")]
pub(super) struct Recover {}

impl Recover {
    pub(super) fn run(self, options: &Options, output: &Output) -> Result<()> {
        output.recovered(&ops::recover(options, output)?)
    }
}
