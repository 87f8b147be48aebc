use std::path::PathBuf;

use clap::Args;

use crate::error::Result;
use crate::ops::{self, Options};
use crate::output::Output;

/// Publish a folder of package files and their index in a registry of images
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  packets push ./repo --dry-run\n  packets push ./repo\n  packets push ./repo -o index.db.zst --json"
)]
pub(super) struct Push {
    /// The folder of package files
    folder: PathBuf,
    /// The index that names them there; without it index.db in the folder. One that ends with .zst is compressed
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Push {
    pub(super) fn run(self, options: &Options, output: &Output) -> Result<()> {
        output.pushed(&ops::push(&self.folder, self.output.as_deref(), options, output)?)
    }
}
