//! The rows of a decision: several threads have them, and one may have written their text already.

use std::ops::Deref;
use std::sync::Arc;

use packets_plugin_api::storage::Rows;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// See the module. Only the rows tell two of them apart.
#[derive(Debug, Clone)]
pub(crate) struct SharedRows {
    rows: Arc<Rows>,
    /// As the journal has them.
    text: Option<Arc<RawValue>>,
}

impl SharedRows {
    /// With their text, which is most of a journal: it is better written beside something else.
    pub(crate) fn written(rows: Arc<Rows>) -> Self {
        // Where it fails it fails once more when the journal is written, and is told there.
        let text = serde_json::value::to_raw_value(rows.as_ref()).ok().map(Arc::from);
        Self { rows, text }
    }

    /// For another thread.
    pub(crate) fn share(&self) -> Arc<Rows> {
        Arc::clone(&self.rows)
    }
}

impl From<Arc<Rows>> for SharedRows {
    fn from(rows: Arc<Rows>) -> Self {
        Self { rows, text: None }
    }
}

impl Deref for SharedRows {
    type Target = Rows;

    fn deref(&self) -> &Rows {
        &self.rows
    }
}

impl PartialEq for SharedRows {
    fn eq(&self, other: &Self) -> bool {
        self.rows == other.rows
    }
}

impl Eq for SharedRows {}

impl Serialize for SharedRows {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match &self.text {
            Some(text) => text.serialize(to),
            None => self.rows.serialize(to),
        }
    }
}

impl<'a> Deserialize<'a> for SharedRows {
    fn deserialize<D: Deserializer<'a>>(from: D) -> Result<Self, D::Error> {
        Rows::deserialize(from).map(|rows| Arc::new(rows).into())
    }
}

#[cfg(test)]
mod tests {
    use packets_plugin_api::ident::TransactionId;
    use packets_plugin_api::storage::TransactionRow;

    use super::*;

    #[test]
    fn the_text_is_the_same_whoever_has_written_it() {
        let transaction = TransactionRow {
            id: TransactionId::from_bytes([7; 8]),
            time: 1,
            command: "install \"a\"\n".to_owned(),
            summary: vec!["ä".to_owned()],
            origins: Vec::new(),
            undoes: None,
        };
        let rows = Arc::new(Rows { transaction, gone: Vec::new(), installed: Vec::new(), approved: Vec::new() });
        let (plain, written) = (SharedRows::from(Arc::clone(&rows)), SharedRows::written(rows));
        assert!(written.text.is_some());
        let text = serde_json::to_string(&written).unwrap();
        assert_eq!(text, serde_json::to_string(&plain).unwrap());
        assert_eq!(serde_json::from_str::<SharedRows>(&text).unwrap(), plain);
    }
}
