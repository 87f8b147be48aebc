use clap::Args;

use crate::error::Result;
use crate::ops::{self, Options};
use crate::output::Output;

/// Tell why a package is installed: who asked for it, or what needs it
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  packets why zlib\n  packets why zlib --json")]
pub(super) struct Why {
    /// The package's name
    #[arg(add = super::complete::installed())]
    package: String,
}

impl Why {
    pub(super) fn run(self, options: &Options, output: &Output) -> Result<()> {
        output.explained(&ops::why(&self.package.parse()?, options, output)?)
    }
}
