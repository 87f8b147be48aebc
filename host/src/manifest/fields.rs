//! Fields of a TOML table, each read with an error that names its line and key.

use std::fmt::Display;
use std::ops::Range;
use std::str::FromStr;

use packets_plugin_api::ident::escape;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::FILE_NAME;
use super::limits::MAX_WARNINGS;
use crate::error::{Error, Result};

/// The text of a manifest, for line numbers.
#[derive(Clone, Copy)]
pub(super) struct Document<'t>(&'t str);

impl<'t> Document<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self(text)
    }

    fn line(self, span: Range<usize>) -> usize {
        1 + self.0.as_bytes().iter().take(span.start).filter(|byte| **byte == b'\n').count()
    }

    pub(super) fn syntax_error(self, error: &toml::de::Error) -> Error {
        let line = self.line(error.span().unwrap_or_default());
        Error::integrity(format!("{FILE_NAME}, line {line}: {}", escape(error.message(), 200)))
    }

    /// The document itself as a section without a name.
    pub(super) fn whole<'a>(self, table: &'a DeTable<'t>) -> Section<'a, 't> {
        Section { document: self, name: None, table, asked: Vec::new() }
    }
}

/// One table of a manifest. What nobody asked for is unknown.
pub(super) struct Section<'a, 't> {
    document: Document<'t>,
    name: Option<&'static str>,
    table: &'a DeTable<'t>,
    asked: Vec<&'static str>,
}

impl<'a, 't> Section<'a, 't> {
    fn find(&mut self, key: &'static str) -> Option<&'a Spanned<DeValue<'t>>> {
        self.asked.push(key);
        self.table.iter().find(|(name, _)| name.get_ref() == key).map(|(_, value)| value)
    }

    fn place(&self, span: Range<usize>, key: &str) -> String {
        let line = self.document.line(span);
        let key = escape(key, 80);
        match self.name {
            Some(name) => format!("{FILE_NAME}, line {line}: [{name}] {key}"),
            None => format!("{FILE_NAME}, line {line}: {key}"),
        }
    }

    fn wrong(&self, value: &Spanned<DeValue<'t>>, key: &str, problem: impl Display) -> Error {
        Error::integrity(format!("{}: {problem}", self.place(value.span(), key)))
    }

    fn wrong_type(&self, value: &Spanned<DeValue<'t>>, key: &str, wanted: &str) -> Error {
        let article = if matches!(value.get_ref(), DeValue::Integer(_) | DeValue::Array(_)) { "an" } else { "a" };
        self.wrong(value, key, format_args!("is {article} {}, not {wanted}", value.get_ref().type_str()))
    }

    /// The table `key`.
    pub(super) fn section(&mut self, key: &'static str) -> Result<Option<Section<'a, 't>>> {
        let Some(value) = self.find(key) else { return Ok(None) };
        let table = value.get_ref().as_table().ok_or_else(|| self.wrong_type(value, key, "a table"))?;
        Ok(Some(Section { document: self.document, name: Some(key), table, asked: Vec::new() }))
    }

    /// The string `key`.
    pub(super) fn text(&mut self, key: &'static str) -> Result<Option<&'a str>> {
        let Some(value) = self.find(key) else { return Ok(None) };
        value.get_ref().as_str().map(Some).ok_or_else(|| self.wrong_type(value, key, "a string"))
    }

    /// The string `key`, parsed; an empty one counts as absent.
    pub(super) fn checked<T>(
        &mut self,
        key: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>> {
        let Some(value) = self.find(key) else { return Ok(None) };
        match value.get_ref().as_str() {
            None => Err(self.wrong_type(value, key, "a string")),
            Some("") => Ok(None),
            Some(text) => parse(text).map(Some).map_err(|problem| self.wrong(value, key, problem)),
        }
    }

    /// As [`Self::checked`], by the type's own rule.
    pub(super) fn parsed<T: FromStr<Err: Display>>(&mut self, key: &'static str) -> Result<Option<T>> {
        self.checked(key, |text| text.parse().map_err(|error: T::Err| error.to_string()))
    }

    /// As [`Self::parsed`], and must be there.
    pub(super) fn required<T: FromStr<Err: Display>>(&mut self, key: &'static str) -> Result<T> {
        let name = self.name.unwrap_or_default();
        self.parsed(key)?.ok_or_else(|| Error::integrity(format!("{FILE_NAME}: [{name}] has no {key}")))
    }

    /// The integer `key`, from 0 to 2^63-1, which is what TOML and SQLite can hold.
    pub(super) fn number(&mut self, key: &'static str) -> Result<Option<u64>> {
        let Some(value) = self.find(key) else { return Ok(None) };
        let DeValue::Integer(number) = value.get_ref() else {
            return Err(self.wrong_type(value, key, "an integer"));
        };
        match i64::from_str_radix(number.as_str(), number.radix()).ok().and_then(|number| u64::try_from(number).ok()) {
            Some(number) => Ok(Some(number)),
            None => Err(self.wrong(value, key, "is not from 0 to 9223372036854775807")),
        }
    }

    /// The strings of the list `key`; empty ones are left out, as v1's tools wrote them.
    pub(super) fn list_checked<T>(
        &mut self,
        key: &'static str,
        most: usize,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Vec<T>> {
        let Some(value) = self.find(key) else { return Ok(Vec::new()) };
        let list = value.get_ref().as_array().ok_or_else(|| self.wrong_type(value, key, "a list of strings"))?;
        if list.len() > most {
            return Err(self.wrong(value, key, format_args!("has {} entries; at most {most} are allowed", list.len())));
        }
        let mut parsed = Vec::with_capacity(list.len());
        for item in list.iter() {
            let text = item.get_ref().as_str().ok_or_else(|| self.wrong_type(item, key, "a string"))?;
            if !text.is_empty() {
                parsed.push(parse(text).map_err(|problem| self.wrong(item, key, problem))?);
            }
        }
        Ok(parsed)
    }

    /// As [`Self::list_checked`], by the type's own rule.
    pub(super) fn list<T: FromStr<Err: Display>>(&mut self, key: &'static str, most: usize) -> Result<Vec<T>> {
        self.list_checked(key, most, |text| text.parse().map_err(|error: T::Err| error.to_string()))
    }

    /// Warns of every key that nobody asked for.
    pub(super) fn unknown(&self, warnings: &mut Vec<String>) {
        for (key, _) in self.table.iter() {
            if !self.asked.contains(&key.get_ref().as_ref()) && warnings.len() < MAX_WARNINGS {
                warnings.push(format!("{} is not known to this version", self.place(key.span(), key.get_ref())));
            }
        }
    }
}
