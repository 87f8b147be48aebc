//! Values of a row, parsed: what stands in a database file is only text and
//! numbers until it has passed here.

use std::fmt::{self, Display};
use std::str::FromStr;

use packets_plugin_api::ident::{Digest, escape};
use packets_plugin_api::storage::StorageError;
use rusqlite::Row;
use rusqlite::types::{Type, ValueRef};

use crate::failure::Subject;

/// The place of a value in a row, and the name of its column.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column(pub(crate) usize, pub(crate) &'static str);

/// A value that is not what its column must hold.
#[derive(Debug)]
pub(crate) struct BadValue(String);

impl BadValue {
    pub(crate) fn new(column: Column, why: impl Display) -> Self {
        Self(format!("{}: {why}", column.1))
    }
}

impl Display for BadValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Parses the rows of `table`; an error names the row by the text in its column `label`.
pub(crate) fn parse_row<'r, T>(
    subject: &Subject,
    row: &'r Row<'r>,
    label: usize,
    parse: impl FnOnce(Values<'r>) -> Result<T, BadValue>,
) -> Result<T, StorageError> {
    parse(Values(row)).map_err(|bad| {
        let name = match row.get_ref(label) {
            Ok(ValueRef::Text(text)) => escape(&String::from_utf8_lossy(text), 80),
            Ok(ValueRef::Integer(number)) => number.to_string(),
            _ => "?".to_owned(),
        };
        subject.corrupt(format!("the row \"{name}\" is damaged: {bad}"))
    })
}

/// The values of one row.
#[derive(Clone, Copy)]
pub(crate) struct Values<'r>(&'r Row<'r>);

impl<'r> Values<'r> {
    fn value(self, column: Column) -> Result<ValueRef<'r>, BadValue> {
        self.0.get_ref(column.0).map_err(|error| BadValue::new(column, error))
    }

    /// Whether there is no value.
    pub(crate) fn is_null(self, column: Column) -> Result<bool, BadValue> {
        Ok(self.value(column)?.data_type() == Type::Null)
    }

    /// A text, or none for NULL.
    pub(crate) fn optional_text(self, column: Column) -> Result<Option<&'r str>, BadValue> {
        match self.value(column)? {
            ValueRef::Null => Ok(None),
            ValueRef::Text(text) => std::str::from_utf8(text).map(Some).map_err(|_| BadValue::new(column, "not UTF-8")),
            other => Err(BadValue::new(column, format!("{}, not a text", other.data_type()))),
        }
    }

    /// A text.
    pub(crate) fn text(self, column: Column) -> Result<&'r str, BadValue> {
        self.optional_text(column)?.ok_or_else(|| BadValue::new(column, "empty (NULL)"))
    }

    /// A text, parsed.
    pub(crate) fn parsed<T: FromStr<Err: Display>>(self, column: Column) -> Result<T, BadValue> {
        self.text(column)?.parse().map_err(|error| BadValue::new(column, error))
    }

    /// A text, parsed; none for NULL and for the empty text.
    pub(crate) fn optional_parsed<T: FromStr<Err: Display>>(self, column: Column) -> Result<Option<T>, BadValue> {
        match self.optional_text(column)? {
            None | Some("") => Ok(None),
            Some(text) => text.parse().map(Some).map_err(|error| BadValue::new(column, error)),
        }
    }

    /// A number from 0, or none for NULL.
    pub(crate) fn optional_number(self, column: Column) -> Result<Option<u64>, BadValue> {
        match self.value(column)? {
            ValueRef::Null => Ok(None),
            ValueRef::Integer(number) => u64::try_from(number)
                .map(Some)
                .map_err(|_| BadValue::new(column, format!("{number}, but never below 0"))),
            other => Err(BadValue::new(column, format!("{}, not a whole number", other.data_type()))),
        }
    }

    /// A number from 0.
    pub(crate) fn number(self, column: Column) -> Result<u64, BadValue> {
        self.optional_number(column)?.ok_or_else(|| BadValue::new(column, "empty (NULL)"))
    }

    /// The permission bits of a file.
    pub(crate) fn mode(self, column: Column) -> Result<u32, BadValue> {
        match u32::try_from(self.number(column)?) {
            Ok(mode) if mode <= 0o7777 => Ok(mode),
            _ => Err(BadValue::new(column, "not permission bits")),
        }
    }

    /// The 32 bytes of a digest, or none for NULL.
    pub(crate) fn optional_digest(self, column: Column) -> Result<Option<Digest>, BadValue> {
        match self.value(column)? {
            ValueRef::Null => Ok(None),
            ValueRef::Blob(bytes) => bytes
                .try_into()
                .map(|bytes| Some(Digest::from_bytes(bytes)))
                .map_err(|_| BadValue::new(column, format!("{} bytes, not the 32 of a SHA-256", bytes.len()))),
            other => Err(BadValue::new(column, format!("{}, not the bytes of a SHA-256", other.data_type()))),
        }
    }

    /// A JSON array of texts, each parsed; NULL and the empty text are the empty list.
    pub(crate) fn list<T: FromStr<Err: Display>>(self, column: Column, most: usize) -> Result<Vec<T>, BadValue> {
        let text = self.optional_text(column)?.unwrap_or_default();
        if matches!(text, "" | "[]") {
            return Ok(Vec::new());
        }
        // Names and requirements need no escapes in JSON, so that their texts lie in it as they are.
        if text.contains('\\') {
            let texts: Vec<String> = serde_json::from_str(text).map_err(|error| BadValue::new(column, error))?;
            return parse_all(column, &texts, most);
        }
        let texts: Vec<&str> = serde_json::from_str(text).map_err(|error| BadValue::new(column, error))?;
        parse_all(column, &texts, most)
    }

    /// Texts between white space, each parsed; NULL is the empty list.
    pub(crate) fn words<T: FromStr<Err: Display>>(self, column: Column, most: usize) -> Result<Vec<T>, BadValue> {
        let text = self.optional_text(column)?.unwrap_or_default();
        let mut words = Vec::new();
        for word in text.split_ascii_whitespace() {
            if words.len() == most {
                return Err(BadValue::new(column, format!("more than {most} entries")));
            }
            words.push(word.parse().map_err(|error| BadValue::new(column, error))?);
        }
        Ok(words)
    }
}

fn parse_all<T: FromStr<Err: Display>, S: AsRef<str>>(
    column: Column,
    texts: &[S],
    most: usize,
) -> Result<Vec<T>, BadValue> {
    if texts.len() > most {
        return Err(BadValue::new(column, format!("{} entries, at most {most}", texts.len())));
    }
    texts.iter().map(|text| text.as_ref().parse().map_err(|error| BadValue::new(column, error))).collect()
}

/// A list as [`Values::list`] reads it.
pub(crate) fn json_list<T: Display>(items: &[T]) -> String {
    if items.is_empty() {
        return "[]".to_owned();
    }
    serde_json::Value::from(items.iter().map(ToString::to_string).collect::<Vec<_>>()).to_string()
}

/// A number as SQLite stores it.
pub(crate) fn number(number: u64) -> rusqlite::Result<i64> {
    i64::try_from(number).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}
