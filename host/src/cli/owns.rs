use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::error::{ErrorKind, Result};
use crate::ops::{self, Options};
use crate::output::Output;

/// Tell which package a file, link or folder is of
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  packets owns /usr/bin/jq\n  packets owns /usr/bin/jq /usr/bin/ripgrep --json")]
pub(super) struct Owns {
    /// Paths; the last name is taken as it is, links before it are followed
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
}

impl Owns {
    pub(super) fn run(self, options: &Options, output: &Output) -> Result<ExitCode> {
        let owned = ops::owns(&self.paths, options, output)?;
        output.owned(&owned)?;
        let is_orphan = owned.iter().any(|path| path.owners.is_empty());
        Ok(if is_orphan { ExitCode::from(ErrorKind::Request.exit_code()) } else { ExitCode::SUCCESS })
    }
}
