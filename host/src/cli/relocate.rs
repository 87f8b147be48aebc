use clap::Args;

use crate::error::Result;
use crate::ops::{self, Options};
use crate::output::Output;

/// Move the installed packages into dataDir, with the links that lead to them
///
/// For when dataDir of the config was changed: until then every package can be used where it is. One transaction, which
/// `packets undo` takes back.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  packets relocate --dry-run\n  packets relocate")]
pub(super) struct Relocate {}

impl Relocate {
    pub(super) fn run(self, options: &Options, output: &Output) -> Result<()> {
        output.relocated(&ops::relocate(options, output)?)
    }
}
