//! A transaction that changes what is on record and nothing else on the target.

use std::sync::Arc;

use packets_plugin_api::storage::{Rows, Storage};

use super::{Ground, carry_out, rows};
use crate::error::Result;
use crate::journal::Decision;

/// Changes what is on record, through the journal: whole or not at all, and it can be undone. Returns what is left
/// to clear up, one sentence each.
///
/// # Errors
/// The record cannot be written; then it is as it was, unless the error says otherwise.
pub(crate) fn record_only(ground: &Ground<'_>, rows: Rows, storage: &mut dyn Storage) -> Result<Vec<String>> {
    let before = rows::inverse(&rows, &[], storage)?;
    let places = ground.area.places(ground.record_folder)?;
    let decision = Decision { places, folders: Vec::new(), steps: Vec::new(), rows: Arc::new(rows), before };
    carry_out::carry_out(ground, decision, 0, storage)
}
