use clap::Args;

use super::GrantArgument;
use crate::error::Result;
use crate::ops::{self, Options};
use crate::output::Output;

/// Upgrade packages, or all of them, to the newest release in the index
#[derive(Debug, Args)]
#[command(
    visible_alias = "update",
    after_help = "Examples:\n  packets upgrade\n  packets upgrade jq\n  packets upgrade jq ripgrep --dry-run=plan"
)]
pub(super) struct Upgrade {
    /// Names of installed packages; without one all are upgraded
    #[arg(value_name = "NAME", add = super::complete::installed())]
    packages: Vec<String>,
    /// Let the hooks of NAME write in PATH, in this run only
    #[arg(long, value_name = "NAME=PATH")]
    grant: Vec<GrantArgument>,
}

impl Upgrade {
    pub(super) fn run(self, options: &Options, output: &Output) -> Result<()> {
        let request = ops::UpgradeRequest {
            packages: self.packages.iter().map(|name| name.parse()).collect::<Result<_, _>>()?,
            grants: self.grant.into_iter().map(|argument| argument.0).collect(),
        };
        output.transaction(&ops::upgrade(&request, options, output)?)
    }
}
