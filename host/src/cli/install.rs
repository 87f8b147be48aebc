use clap::Args;

use super::GrantArgument;
use crate::error::Result;
use crate::ops::{self, Options};
use crate::output::Output;

/// Install packages and what they need
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  packets install jq\n  packets install ./jq.pkt.tar.zst ./my-package-folder\n  packets install nginx --grant nginx=/etc/nginx\n  packets install jq --dry-run"
)]
pub(super) struct Install {
    /// Names, package files, or folders that hold a manifest.toml
    #[arg(required = true, value_name = "PACKAGE", add = super::complete::available())]
    packages: Vec<String>,
    /// Let the hooks of NAME write in PATH, in this run only
    #[arg(long, value_name = "NAME=PATH")]
    grant: Vec<GrantArgument>,
    /// Let a package file take the place of this installed package
    #[arg(long, value_name = "NAME")]
    replace: Vec<String>,
}

impl Install {
    pub(super) fn run(self, options: &Options, output: &Output) -> Result<()> {
        let request = ops::InstallRequest {
            packages: self.packages,
            grants: self.grant.into_iter().map(|argument| argument.0).collect(),
            replace: self.replace.iter().map(|name| name.parse()).collect::<Result<_, _>>()?,
        };
        output.transaction(&ops::install(&request, options, output)?)
    }
}
