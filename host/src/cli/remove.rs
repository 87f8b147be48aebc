use clap::Args;

use crate::error::Result;
use crate::ops::{self, Options};
use crate::output::Output;

/// Remove packages with everything that they and their hooks made
#[derive(Debug, Args)]
#[command(
    visible_alias = "uninstall",
    after_help = "Examples:\n  packets remove jq\n  packets remove libfoo --cascade\n  packets remove broken --no-hooks"
)]
pub(super) struct Remove {
    /// Names of installed packages
    #[arg(required = true, value_name = "NAME", add = super::complete::installed())]
    packages: Vec<String>,
    /// Also remove all that needs them
    #[arg(long)]
    cascade: bool,
    /// Also remove files under /etc that were changed by hand
    #[arg(long)]
    purge: bool,
    /// Run no remove hook; take away what is on record
    #[arg(long)]
    no_hooks: bool,
}

impl Remove {
    pub(super) fn run(self, options: &Options, output: &Output) -> Result<()> {
        let request = ops::RemoveRequest {
            packages: self.packages.iter().map(|name| name.parse()).collect::<Result<_, _>>()?,
            cascade: self.cascade,
            purge: self.purge,
            hooks: !self.no_hooks,
        };
        output.transaction(&ops::remove(&request, options, output)?)
    }
}
