use clap::Args;
use packets_plugin_api::ident::TransactionId;

use crate::error::Result;
use crate::ops::{self, Options};
use crate::output::Output;

/// Take the last transaction back: files, what hooks did, and the record
///
/// Without an id the newest transaction that still stands. What was undone can be had back: undo the undo by its id.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  packets undo --dry-run\n  packets undo\n  packets undo 3f6a1c0b9d2e4785")]
pub(super) struct Undo {
    /// A transaction, as `packets history` lists it
    #[arg(value_name = "TRANSACTION")]
    transaction: Option<TransactionId>,
}

impl Undo {
    pub(super) fn run(self, options: &Options, output: &Output) -> Result<()> {
        output.undone(&ops::undo(self.transaction.as_ref(), options, output)?)
    }
}
