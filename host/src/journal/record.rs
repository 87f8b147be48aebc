//! The records of a journal and their lines.
//!
//! A line is the SHA-256 of the line before and of this line's text, in hex, a space, the text
//! (JSON), and a line feed. The first line stands behind the format's name and the transaction's
//! id, so that no line can be moved, repeated or brought from another journal unseen.

use std::sync::Arc;

use packets_plugin_api::ident::{Digest, TransactionId};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::step::{Decision, FolderId, shared};

/// The name of this version of the format.
const FORMAT: &str = "packets journal 1";

/// Digits of a SHA-256.
const SUM: usize = 64;

/// One state of a transaction, durable before anything of it begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Record {
    /// A staging folder is about to be made: `name` in `parent`.
    Staging {
        /// The command, for people.
        command: String,
        /// Seconds since 1970, for people.
        time: u64,
        /// The folder that it is made in.
        parent: FolderId,
        /// Its name there.
        name: String,
    },
    /// What will change is known, and nothing has changed yet.
    Decided(#[serde(with = "shared")] Arc<Decision>),
    /// What has changed is being taken back.
    Undoing,
    /// Everything stands as it should.
    Done {
        /// How it ended.
        end: End,
    },
}

/// How a transaction ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum End {
    /// All of it has happened.
    Committed,
    /// Nothing of it.
    Reverted,
}

/// Why a line is no record.
#[derive(Debug)]
pub(super) enum BadLine {
    /// It is not as it was written.
    Damaged,
    /// It is as it was written, and nobody should have.
    Wrong(String),
}

/// Makes and checks lines, one after the other.
#[derive(Debug, Clone)]
pub(super) struct Chain(String);

impl Chain {
    pub(super) fn new(id: &TransactionId) -> Self {
        Self(format!("{FORMAT} {id}"))
    }

    /// The line of the next record.
    pub(super) fn line(&mut self, record: &Record) -> serde_json::Result<Vec<u8>> {
        // It may have millions of bytes: they are written where they stay.
        let mut line = vec![b' '; SUM + 1];
        serde_json::to_writer(&mut line, record)?;
        self.0 = self.sum(&line[SUM + 1..]);
        line[..SUM].copy_from_slice(self.0.as_bytes());
        line.push(b'\n');
        Ok(line)
    }

    /// The record of the next line, which is without its line feed.
    pub(super) fn record(&mut self, line: &[u8]) -> Result<Record, BadLine> {
        let damaged = || BadLine::Damaged;
        let (sum, text) = line.split_at_checked(SUM).ok_or_else(damaged)?;
        let text = text.strip_prefix(b" ").ok_or_else(damaged)?;
        let expected = self.sum(text);
        if sum != expected.as_bytes() {
            return Err(damaged());
        }
        let record: Record =
            serde_json::from_slice(text).map_err(|error| BadLine::Wrong(format!("a line does not parse: {error}")))?;
        if let Record::Decided(decision) = &record
            && !decision.is_sound()
        {
            return Err(BadLine::Wrong("a decision names what is not there".to_owned()));
        }
        self.0 = expected;
        Ok(record)
    }

    fn sum(&self, text: &[u8]) -> String {
        let hash = Sha256::new().chain_update(self.0.as_bytes()).chain_update(b"\n").chain_update(text);
        Digest::from_bytes(hash.finalize().into()).to_string()
    }
}
