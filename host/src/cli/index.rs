use std::path::PathBuf;

use clap::Args;

use crate::error::Result;
use crate::ops;
use crate::ops::Options;
use crate::output::Output;

/// Make the index of a folder of package files; v1 can read it too
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  packets index ./repo\n  packets index ./repo --url https://example.org/repo -o index.db\n  packets index ./repo -o ./repo/index.db.zst"
)]
pub(super) struct Index {
    /// The folder of package files
    folder: PathBuf,
    /// The index; without it index.db in the folder. One that ends with .zst is compressed, and v1 cannot read it
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Where the package files will be fetched from; without it next to the index. v1 needs it. May be repeated
    #[arg(long, value_name = "URL")]
    url: Vec<String>,
}

impl Index {
    pub(super) fn run(self, options: &Options, output: &Output) -> Result<()> {
        output.indexed(&ops::index(&self.folder, self.output.as_deref(), &self.url, options, output)?)
    }
}
