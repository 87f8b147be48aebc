use clap::Args;

use crate::error::Result;
use crate::ops::{self, Options};
use crate::output::Output;

/// Look for packages by words of their names and descriptions
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  packets search json\n  packets search image viewer")]
pub(super) struct Search {
    /// Words that must all be there; upper and lower case are the same
    #[arg(required = true, value_name = "WORD")]
    words: Vec<String>,
}

impl Search {
    pub(super) fn run(self, options: &Options, output: &Output) -> Result<()> {
        output.hits(&ops::search(&self.words, options, output)?)
    }
}
