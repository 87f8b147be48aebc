use clap::{Args, ValueEnum};

use crate::error::Result;
use crate::ops::{self, Options};
use crate::output::Output;

/// Mark packages as asked for, or as needed by others only
///
/// What is only needed goes with `packets autoremove` when nothing needs it any more.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  packets mark asked zlib\n  packets mark needed zlib libfoo")]
pub(super) struct Mark {
    /// As what
    mark: As,
    /// Names of installed packages
    #[arg(required = true, value_name = "NAME", add = super::complete::installed())]
    packages: Vec<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum As {
    /// It stays, whether anything needs it or not
    Asked,
    /// It stays as long as something needs it
    Needed,
}

/// Keep packages as they are: nothing upgrades or replaces them
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  packets hold jq\n  packets hold jq ripgrep --dry-run")]
pub(super) struct Hold {
    /// Names of installed packages
    #[arg(required = true, value_name = "NAME", add = super::complete::installed())]
    packages: Vec<String>,
}

/// Let packages be upgraded again that were held
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  packets unhold jq")]
pub(super) struct Unhold {
    /// Names of installed packages
    #[arg(required = true, value_name = "NAME", add = super::complete::installed())]
    packages: Vec<String>,
}

fn run(packages: &[String], mark: ops::Mark, options: &Options, output: &Output) -> Result<()> {
    let names = packages.iter().map(|name| name.parse()).collect::<Result<Vec<_>, _>>()?;
    output.marked(&ops::mark(&names, mark, options, output)?)
}

impl Mark {
    pub(super) fn run(self, options: &Options, output: &Output) -> Result<()> {
        let mark = match self.mark {
            As::Asked => ops::Mark::Asked,
            As::Needed => ops::Mark::Needed,
        };
        run(&self.packages, mark, options, output)
    }
}

impl Hold {
    pub(super) fn run(self, options: &Options, output: &Output) -> Result<()> {
        run(&self.packages, ops::Mark::Held, options, output)
    }
}

impl Unhold {
    pub(super) fn run(self, options: &Options, output: &Output) -> Result<()> {
        run(&self.packages, ops::Mark::Free, options, output)
    }
}
