use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::GrantArgument;
use crate::error::Result;
use crate::ops::{self, Options};
use crate::output::Output;

/// Work with the hooks of packages
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  packets hook test ./hello")]
pub(super) struct Hook {
    #[command(subcommand)]
    command: HookCommand,
}

#[derive(Debug, Subcommand)]
enum HookCommand {
    Test(Test),
}

/// Run a package's hooks on a view of the system and print what they would do
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  packets hook test ./hello\n  packets hook test hello.pkt.tar.zst --grant hello=/etc/hello"
)]
struct Test {
    /// A package file, or a folder that holds a manifest.toml
    package: PathBuf,
    /// Let the hooks of NAME write in PATH
    #[arg(long, value_name = "NAME=PATH")]
    grant: Vec<GrantArgument>,
}

impl Hook {
    pub(super) fn run(self, options: &Options, output: &Output) -> Result<()> {
        let HookCommand::Test(test) = self.command;
        let grants: Vec<_> = test.grant.into_iter().map(|argument| argument.0).collect();
        output.hook_test(&ops::hook_test(&test.package, &grants, options, output)?)
    }
}
