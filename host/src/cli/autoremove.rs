use clap::Args;

use crate::error::Result;
use crate::ops::{self, Options};
use crate::output::Output;

/// Remove what came along with other packages and is needed by nothing any more
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  packets autoremove --dry-run=plan\n  packets autoremove")]
pub(super) struct Autoremove {}

impl Autoremove {
    pub(super) fn run(self, options: &Options, output: &Output) -> Result<()> {
        output.transaction(&ops::autoremove(options, output)?)
    }
}
