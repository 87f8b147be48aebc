use std::path::PathBuf;

use clap::Args;

use crate::error::Result;
use crate::ops::{self, Options};
use crate::output::Output;

/// Make a package file from a folder; the same folder always gives the same bytes
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  packets pack ./hello\n  packets pack ./hello -o hello.pkt.tar.zst")]
pub(super) struct Pack {
    /// The folder: manifest.toml, data/ and the hooks
    folder: PathBuf,
    /// The package file; without it NAME-VERSION.pkt.tar.zst here
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Pack {
    pub(super) fn run(self, options: &Options, output: &Output) -> Result<()> {
        output.packed(&ops::pack(&self.folder, self.output.as_deref(), options, output)?)
    }
}
