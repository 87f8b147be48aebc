use clap::Args;

use crate::error::Result;
use crate::ops::{self, Options};
use crate::output::Output;

/// List the files of an installed package, those that its hooks made too
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  packets files jq\n  packets files jq --json")]
pub(super) struct Files {
    /// The package's name
    #[arg(add = super::complete::installed())]
    package: String,
}

impl Files {
    pub(super) fn run(self, options: &Options, output: &Output) -> Result<()> {
        output.files(&ops::files(&self.package.parse()?, options, output)?)
    }
}
