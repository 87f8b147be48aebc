use clap::Args;

use crate::error::Result;
use crate::ops::{self, Options};
use crate::output::Output;

/// Show what is known of a package
#[derive(Debug, Args)]
#[command(visible_alias = "show", after_help = "Examples:\n  packets info jq\n  packets info jq --json")]
pub(super) struct Info {
    /// The package's name
    #[arg(add = super::complete::available())]
    package: String,
}

impl Info {
    pub(super) fn run(self, options: &Options, output: &Output) -> Result<()> {
        output.info(&ops::info(&self.package.parse()?, options, output)?)
    }
}
