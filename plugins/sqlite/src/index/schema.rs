//! The schema of an index file, held against the one that is expected.
//!
//! SQLite's schema is a program: views, triggers, generated columns, CHECK
//! constraints, expressions in indexes and virtual tables all run code when a
//! table is read or checked. An index has none of them, so its statements are
//! parsed here by a grammar that has no words for them.

use packets_plugin_api::ident::escape;
use packets_plugin_api::storage::StorageError;
use rusqlite::Connection;

use super::entry::V1;
use crate::failure::Subject;
use crate::value::{Column, parse_row};

/// The words of a column's type.
const TYPES: [&str; 12] = [
    "TEXT",
    "INTEGER",
    "INT",
    "BIGINT",
    "VARCHAR",
    "CHAR",
    "BLOB",
    "REAL",
    "NUMERIC",
    "BOOLEAN",
    "DATETIME",
    "TIMESTAMP",
];

/// The table that leads from a name to the rows that answer to it: their own name, their alias,
/// what they provide. One look-up instead of three. Only in this spelling.
pub(super) const ANSWERS: &str =
    "CREATE TABLE answers(name TEXT NOT NULL, serial INTEGER NOT NULL, PRIMARY KEY(name, serial)) WITHOUT ROWID";

/// The table of what a search looks through: name, alias, version and description of each package, by name, a line
/// each with tabs between, in parts. A few large values instead of many rows. Only in this spelling.
pub(super) const TEXTS: &str = "CREATE TABLE texts(part INTEGER NOT NULL PRIMARY KEY, text TEXT NOT NULL)";

/// What a file has of what an index may have.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Shape {
    /// The names of the columns of `packages`.
    pub(super) columns: Vec<String>,
    /// Whether there is the table of [`ANSWERS`].
    pub(super) answers: bool,
    /// Whether there is the table of [`TEXTS`].
    pub(super) texts: bool,
}

/// Checks the schema.
///
/// Allowed are the table `packages` with v1's columns and any others that only
/// hold values, the indexes that SQLite makes for UNIQUE, named indexes of plain
/// columns, the counter of AUTOINCREMENT, [`ANSWERS`] and [`TEXTS`].
pub(super) fn check(subject: &Subject, connection: &Connection) -> Result<Shape, StorageError> {
    let failed = subject.failed("read");
    let refuse = |name: &str, why: &str| {
        let name = escape(name, 80);
        subject.corrupt(format!("its schema is not that of an index: \"{name}\" {why}"))
    };
    let mut statement = connection
        .prepare("SELECT name, type, tbl_name, sql FROM sqlite_schema ORDER BY type = 'table' DESC, rowid")
        .map_err(&failed)?;
    let mut rows = statement.query([]).map_err(&failed)?;
    let mut columns: Option<Vec<String>> = None;
    let (mut answers, mut texts) = (false, false);
    while let Some(row) = rows.next().map_err(&failed)? {
        let (name, kind, table, sql) = parse_row(subject, row, 0, |values| {
            Ok((
                values.text(Column(0, "name"))?,
                values.text(Column(1, "type"))?,
                values.text(Column(2, "tbl_name"))?,
                values.optional_text(Column(3, "sql"))?,
            ))
        })?;
        match (kind, name, table, sql) {
            ("table", "packages", "packages", Some(sql)) if columns.is_none() => {
                columns = Some(table_columns(sql).map_err(|why| refuse(name, &why))?);
            }
            ("table", "sqlite_sequence", "sqlite_sequence", Some("CREATE TABLE sqlite_sequence(name,seq)")) => {}
            ("table", "answers", "answers", Some(ANSWERS)) => answers = true,
            ("table", "texts", "texts", Some(TEXTS)) => texts = true,
            ("index", _, "packages", None) if name.starts_with("sqlite_autoindex_packages_") => {}
            ("index", _, "packages", Some(sql)) => {
                let columns = columns.as_deref().unwrap_or_default();
                index_columns(sql, columns).map_err(|why| refuse(name, &why))?;
            }
            _ => return Err(refuse(name, &format!("is a {} that does not belong there", escape(kind, 20)))),
        }
    }
    let columns = columns.ok_or_else(|| subject.corrupt("it has no table \"packages\""))?;
    Ok(Shape { columns, answers, texts })
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token<'a> {
    Word(&'a str),
    Quoted(String),
    Text,
    Number,
    Sign(char),
}

/// What a statement breaks, for people.
type Broken = String;

fn tokens(sql: &str) -> Result<Vec<Token<'_>>, Broken> {
    let mut tokens = Vec::new();
    let mut rest = sql.trim_ascii_start();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '(' | ')' | ',' => {
                tokens.push(Token::Sign(first));
                1
            }
            '"' | '`' | '[' | '\'' => {
                let close = if first == '[' { ']' } else { first };
                let inner = rest.get(1..).unwrap_or_default();
                let end = inner.find(close).ok_or("has an unfinished quotation")?;
                let inner = &inner[..end];
                tokens.push(if first == '\'' { Token::Text } else { Token::Quoted(inner.to_owned()) });
                end + 2
            }
            _ if first.is_ascii_alphanumeric() || first == '_' => {
                let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
                let word = &rest[..end];
                let is_number = word.bytes().all(|b| b.is_ascii_digit());
                tokens.push(if is_number { Token::Number } else { Token::Word(word) });
                end
            }
            _ => return Err(format!("has '{}'", escape(&first.to_string(), 1))),
        };
        rest = rest.get(length..).unwrap_or_default().trim_ascii_start();
    }
    Ok(tokens)
}

/// A statement that is being read from the front.
struct Statement<'a> {
    tokens: std::iter::Peekable<std::vec::IntoIter<Token<'a>>>,
}

impl<'a> Statement<'a> {
    fn new(sql: &'a str) -> Result<Self, Broken> {
        Ok(Self { tokens: tokens(sql)?.into_iter().peekable() })
    }

    fn takes_word(&mut self, wanted: &str) -> bool {
        let is_it = |token: &Token<'_>| matches!(token, Token::Word(word) if word.eq_ignore_ascii_case(wanted));
        self.tokens.next_if(is_it).is_some()
    }

    fn takes_type(&mut self) -> bool {
        TYPES.iter().any(|name| self.takes_word(name))
    }

    fn takes_sign(&mut self, sign: char) -> bool {
        self.tokens.next_if_eq(&Token::Sign(sign)).is_some()
    }

    fn word(&mut self, wanted: &str) -> Result<(), Broken> {
        if self.takes_word(wanted) { Ok(()) } else { Err(self.unexpected()) }
    }

    fn sign(&mut self, sign: char) -> Result<(), Broken> {
        if self.takes_sign(sign) { Ok(()) } else { Err(self.unexpected()) }
    }

    fn name(&mut self) -> Result<String, Broken> {
        match self.tokens.next() {
            Some(Token::Word(name)) => Ok(name.to_owned()),
            Some(Token::Quoted(name)) => Ok(name),
            other => Err(describe(other.as_ref())),
        }
    }

    fn end(&mut self) -> Result<(), Broken> {
        if self.tokens.peek().is_none() { Ok(()) } else { Err(self.unexpected()) }
    }

    fn unexpected(&mut self) -> Broken {
        describe(self.tokens.peek())
    }
}

fn describe(token: Option<&Token<'_>>) -> Broken {
    match token {
        None => "ends too early".to_owned(),
        Some(Token::Word(word)) => format!("has {}", escape(word, 40)),
        Some(Token::Quoted(name)) => format!("has \"{}\"", escape(name, 40)),
        Some(Token::Sign(sign)) => format!("has '{sign}'"),
        Some(Token::Text) => "has a text".to_owned(),
        Some(Token::Number) => "has a number".to_owned(),
    }
}

/// Reads `CREATE TABLE packages(column type constraints, …)`.
fn table_columns(sql: &str) -> Result<Vec<String>, Broken> {
    let mut statement = Statement::new(sql)?;
    statement.word("CREATE")?;
    statement.word("TABLE")?;
    if statement.name()? != "packages" {
        return Err("is a table of another name".to_owned());
    }
    statement.sign('(')?;
    let mut columns = Vec::new();
    loop {
        let (name, kept) = column(&mut statement)?;
        let expected = match name.as_str() {
            "realname" => kept != Kept::Plain,
            "serial" => kept == Kept::Primary,
            _ => true,
        };
        if !expected {
            return Err(format!("has a column \"{name}\" that can hold a value twice"));
        }
        columns.push(name);
        if !statement.takes_sign(',') {
            break;
        }
    }
    statement.sign(')')?;
    statement.end()?;
    match V1.iter().find(|wanted| !columns.iter().any(|name| name == wanted.1)) {
        Some(missing) => Err(format!("lacks the column \"{}\"", missing.1)),
        None => Ok(columns),
    }
}

/// How a column keeps its values apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kept {
    Plain,
    Unique,
    Primary,
}

fn column(statement: &mut Statement<'_>) -> Result<(String, Kept), Broken> {
    let name = statement.name()?;
    if statement.takes_type() && statement.takes_sign('(') {
        statement.tokens.next_if_eq(&Token::Number).ok_or("has a type without a length")?;
        statement.sign(')')?;
    }
    let mut kept = Kept::Plain;
    loop {
        if statement.takes_word("NOT") {
            statement.word("NULL")?;
        } else if statement.takes_word("UNIQUE") {
            kept = kept.max(Kept::Unique);
        } else if statement.takes_word("PRIMARY") {
            statement.word("KEY")?;
            statement.takes_word("AUTOINCREMENT");
            kept = Kept::Primary;
        } else if statement.takes_word("DEFAULT") {
            let is_literal = |token: &Token<'_>| matches!(token, Token::Text | Token::Number);
            if statement.tokens.next_if(is_literal).is_none() {
                statement.word("NULL")?;
            }
        } else if !statement.takes_word("NULL") {
            return Ok((name, kept));
        }
    }
}

/// Reads `CREATE [UNIQUE] INDEX name ON packages(column, …)`.
fn index_columns(sql: &str, columns: &[String]) -> Result<(), Broken> {
    let mut statement = Statement::new(sql)?;
    statement.word("CREATE")?;
    statement.takes_word("UNIQUE");
    statement.word("INDEX")?;
    statement.name()?;
    statement.word("ON")?;
    if statement.name()? != "packages" {
        return Err("is of another table".to_owned());
    }
    statement.sign('(')?;
    loop {
        if !columns.contains(&statement.name()?) {
            return Err("is not of plain columns".to_owned());
        }
        if !statement.takes_word("ASC") {
            statement.takes_word("DESC");
        }
        if !statement.takes_sign(',') {
            break;
        }
    }
    statement.sign(')')?;
    statement.end()
}

#[cfg(test)]
mod tests {
    use super::*;

    const V1_TABLE: &str = "CREATE TABLE packages(name TEXT, realname TEXT UNIQUE NOT NULL, version TEXT NOT NULL, \
        hash TEXT NOT NULL, description TEXT NOT NULL,\n\tdependencies TEXT, mirrors TEXT NOT NULL, family TEXT NOT NULL, \
        serial INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT)";

    #[test]
    fn v1s_table_in_any_spelling() {
        assert_eq!(table_columns(V1_TABLE).unwrap().len(), 9);
        for same in [
            V1_TABLE.replace("packages(", "\"packages\" (").replace("name TEXT,", "[name] varchar(20) DEFAULT '',"),
            V1_TABLE.replace("CREATE TABLE", "create table").replace("family TEXT", "`family` text"),
            V1_TABLE.replace(")", ", size INTEGER, later, another BLOB DEFAULT 3)"),
        ] {
            assert!(table_columns(&same).is_ok(), "{same}");
        }
    }

    #[test]
    fn m24_no_words_for_code() {
        for (from, to) in [
            ("name TEXT,", "name TEXT CHECK (length(name)),"),
            ("name TEXT,", "name TEXT GENERATED ALWAYS AS (realname) VIRTUAL,"),
            ("name TEXT,", "name TEXT AS (realname),"),
            ("name TEXT,", "name AS (realname),"),
            ("name TEXT,", "name TEXT COLLATE evil,"),
            ("name TEXT,", "name TEXT DEFAULT (randomblob(9)),"),
            ("name TEXT,", "name TEXT DEFAULT CURRENT_TIME,"),
            ("name TEXT,", "name TEXT REFERENCES x,"),
            ("name TEXT,", "name TEXT CONSTRAINT c CHECK (1),"),
            ("name TEXT,", "Name TEXT,"),
            ("name TEXT,", ""),
            ("name TEXT,", "name TEXT, -- a comment\n"),
            ("name TEXT,", "name TEXT, 'x' TEXT,"),
            ("UNIQUE", ""),
            ("PRIMARY KEY AUTOINCREMENT", ""),
            ("AUTOINCREMENT)", "AUTOINCREMENT, CHECK (1))"),
            ("AUTOINCREMENT)", ", FOREIGN KEY(name) REFERENCES x)"),
            ("AUTOINCREMENT)", ") STRICT"),
            ("AUTOINCREMENT)", ") WITHOUT ROWID"),
            ("AUTOINCREMENT)", ""),
            ("TABLE packages", "VIRTUAL TABLE packages"),
            ("TABLE packages", "TABLE other"),
            ("TABLE packages(", "TABLE packages AS SELECT ("),
        ] {
            let bad = V1_TABLE.replace(from, to);
            assert_ne!(bad, V1_TABLE, "{from}");
            assert!(table_columns(&bad).is_err(), "M24 {bad}");
        }
        assert!(table_columns("").is_err());
        assert!(table_columns("CREATE TABLE \"packages").is_err());
    }

    #[test]
    fn m24_indexes_of_plain_columns_only() {
        let columns = ["name".to_owned(), "serial".to_owned()];
        for good in ["CREATE INDEX a ON packages(name)", "CREATE UNIQUE INDEX \"b\" ON packages(name ASC, serial DESC)"]
        {
            assert_eq!(index_columns(good, &columns), Ok(()), "{good}");
        }
        for bad in [
            "CREATE INDEX a ON packages(name) WHERE name > 'a'",
            "CREATE INDEX a ON packages(lower(name))",
            "CREATE INDEX a ON packages(name COLLATE evil)",
            "CREATE INDEX a ON packages(other)",
            "CREATE INDEX a ON packages((name))",
            "CREATE INDEX a ON other(name)",
            "CREATE TABLE packages(name)",
            "",
        ] {
            assert!(index_columns(bad, &columns).is_err(), "M24 {bad}");
        }
    }
}
