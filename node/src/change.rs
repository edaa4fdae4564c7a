//! What travels: row changes and statements, as one transaction with its GTID.
//!
//! Values are in *stored form*, the form in which the node's SQLite file holds them, so that applying a change
//! elsewhere stores the very same bytes.

use crate::sql::types::Kind;
use database::Gtid;
use rusqlite::types::Value as Stored;
use serde::Deserialize;

/// In which form the writes of a session are logged (`binlog_format`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum BinlogFormat {
    /// Every row that was changed, before and after.
    #[default]
    Row,
    /// The text of every statement, whatever it does elsewhere.
    Statement,
    /// The text of what does the same everywhere, the rows of what may not.
    Mixed,
}

impl BinlogFormat {
    /// MySQL's word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            BinlogFormat::Row => "ROW",
            BinlogFormat::Statement => "STATEMENT",
            BinlogFormat::Mixed => "MIXED",
        }
    }

    /// The format of a word, in either case, or of MySQL's number for it.
    #[must_use]
    pub fn of(word: &str) -> Option<BinlogFormat> {
        match word.to_ascii_uppercase().as_str() {
            "MIXED" | "0" => Some(BinlogFormat::Mixed),
            "STATEMENT" | "1" => Some(BinlogFormat::Statement),
            "ROW" | "2" => Some(BinlogFormat::Row),
            _ => None,
        }
    }
}

impl TryFrom<String> for BinlogFormat {
    type Error = String;

    fn try_from(word: String) -> Result<BinlogFormat, String> {
        BinlogFormat::of(&word)
            .ok_or_else(|| format!("binlog_format '{word}' is not ROW, STATEMENT or MIXED"))
    }
}

/// One row before and after. An insert has no `before`, a delete no `after`.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The database (schema) of the table.
    pub database: Box<str>,
    /// The table.
    pub table: Box<str>,
    /// Every column in table order, as it was.
    pub before: Option<Vec<Stored>>,
    /// Every column in table order, as it is now.
    pub after: Option<Vec<Stored>>,
}

/// What a transaction does.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// Row changes, in the order in which they were made.
    Rows(Vec<Change>),
    /// A statement that defines data (CREATE, DROP, ALTER, TRUNCATE), run in this default database.
    Statement {
        /// The default database of the session, empty if none.
        database: Box<str>,
        /// The text as the client sent it.
        sql: Box<str>,
    },
    /// Texts of statements, and rows where the text would not do, in the order in which they were run.
    Parts(Vec<Part>),
}

/// A part of a transaction that is not logged by its rows alone.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    /// Row changes.
    Rows(Vec<Change>),
    /// A statement to be run again.
    Query(Query),
}

/// A statement that writes rows, logged by its text. What it changes elsewhere depends on the rows that are there.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// The default database of the session, empty if none.
    pub database: Box<str>,
    /// The text, with the values of a prepared statement in their places.
    pub sql: Box<str>,
    /// The table that it writes: its database and its name.
    pub table: (Box<str>, Box<str>),
    /// What the text means something by.
    pub context: Context,
}

/// What is sent along with a statement, so that it means the same elsewhere. What is not here may differ there.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Context {
    /// When the statement began, in microseconds since 1970: NOW().
    pub now_us: i64,
    /// CONNECTION_ID().
    pub connection_id: u32,
    /// The first automatic key that the statement gave.
    pub insert_id: Option<u64>,
    /// LAST_INSERT_ID(), if the statement asks for it.
    pub last_insert_id: Option<u64>,
    /// What RAND() begins with, if the statement calls it.
    pub seeds: Option<(u32, u32)>,
    /// The user variables that the statement names, as they were.
    pub users: Vec<UserVariable>,
    /// System variables of the session, with their values.
    pub variables: Vec<(Box<str>, Box<str>)>,
}

/// A user variable and its value.
#[derive(Clone, Debug, PartialEq)]
pub struct UserVariable {
    /// Its name, without the `@`.
    pub name: Box<str>,
    /// Its value, in stored form.
    pub value: Stored,
    /// What kind of value that is.
    pub kind: Kind,
}

/// A committed transaction as the logs hold it.
#[derive(Clone, Debug, PartialEq)]
pub struct Transaction {
    /// Its identity; the same on every node.
    pub gtid: Gtid,
    /// The `server_id` of the node where it began.
    pub server_id: u32,
    /// When it was committed there, in milliseconds since 1970.
    pub committed_at_ms: u64,
    /// What it does.
    pub body: Body,
}
