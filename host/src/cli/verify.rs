use std::process::ExitCode;

use clap::Args;

use crate::error::{ErrorKind, Result};
use crate::ops::{self, Options};
use crate::output::Output;

/// Compare what is installed with what is on record: what is missing, changed or extra
///
/// Files that hooks made are looked at too. Exits with 5 where anything differs.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  packets verify\n  packets verify jq --json")]
pub(super) struct Verify {
    /// Names of installed packages; without one all are looked at
    #[arg(value_name = "NAME", add = super::complete::installed())]
    packages: Vec<String>,
}

impl Verify {
    pub(super) fn run(self, options: &Options, output: &Output) -> Result<ExitCode> {
        let names = self.packages.iter().map(|name| name.parse()).collect::<Result<Vec<_>, _>>()?;
        let verified = ops::verify(&names, options, output)?;
        output.verified(&verified)?;
        Ok(match verified.findings.is_empty() {
            true => ExitCode::SUCCESS,
            false => ExitCode::from(ErrorKind::Integrity.exit_code()),
        })
    }
}
