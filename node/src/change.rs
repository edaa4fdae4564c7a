//! What travels: row changes and statements, as one transaction with its GTID.
//!
//! Values are in *stored form*, the form in which the node's SQLite file holds them, so that applying a change
//! elsewhere stores the very same bytes.

use database::Gtid;
use rusqlite::types::Value as Stored;

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
