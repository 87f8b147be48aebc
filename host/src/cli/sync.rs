use clap::Args;

use crate::error::Result;
use crate::ops::{self, Options};
use crate::output::Output;

/// Fetch the newest index
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  packets sync\n  packets sync https://example.org/index.db\n  packets sync /srv/repo"
)]
pub(super) struct Sync {
    /// Where the index is: a URL, a file or a folder; remembered in the config
    url: Option<String>,
}

impl Sync {
    pub(super) fn run(self, options: &Options, output: &Output) -> Result<()> {
        output.synced(&ops::sync(self.url.as_deref(), options, output)?)
    }
}
