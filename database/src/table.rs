//! Tables, columns and chunks: what is compared, and in which pieces.
//!
//! A table has a key: its primary key, or a unique key without nullable columns. Without one its rows cannot be
//! named, so it can be neither located in nor mended, and a check says so instead of guessing.
//!
//! Invariant: the chunks of a table are half-open key ranges with open ends, so together they cover every key that
//! could ever exist, also keys that no node holds yet.

use crate::row::{Key, key_bytes};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// How a column's values are encoded; one for each kind of value, whatever the server calls the type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// Integers of any width and sign, YEAR.
    Integer,
    /// BIT: an unsigned integer that travels as bytes.
    Bit,
    /// FLOAT.
    Float,
    /// DOUBLE.
    Double,
    /// DECIMAL.
    Decimal,
    /// Text of any length and character set, ENUM, SET.
    Text,
    /// Binary strings of any length, geometry, and whatever this program does not know.
    Bytes,
    /// DATE.
    Date,
    /// DATETIME, and TIMESTAMP in UTC.
    DateTime,
    /// TIME.
    Time,
    /// JSON.
    Json,
}

/// A column of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Its name, as the server spells it.
    pub name: Box<str>,
    /// Its type in full, with what makes values differ: width, scale, character set, collation, NULL or NOT NULL.
    pub definition: Box<str>,
    /// How its values are encoded.
    pub kind: Kind,
    /// Whether the server calculates it; such a column is compared, and never written.
    pub generated: bool,
    /// Whether the server writes the time of a change into it unless told otherwise (ON UPDATE CURRENT_TIMESTAMP), so that
    /// an edit has to name it even where it does not differ.
    pub restamped: bool,
}

/// A table, as one node defines it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// The database that holds it.
    pub database: Box<str>,
    /// Its name there.
    pub name: Box<str>,
    /// Its columns, in order.
    pub columns: Vec<Column>,
    /// The positions of the key's columns, in the key's order; empty if there is no usable key.
    pub key: Vec<usize>,
    /// The name of the index that is the key, such as `PRIMARY`; empty if there is none.
    pub key_name: Box<str>,
    /// The server's guess at the number of rows; for progress only.
    pub rows_estimate: u64,
    /// A condition in SQL that limits which rows are walked (`--where`); a row that is asked for by its key is read
    /// whether it meets it or not.
    pub filter: Option<Box<str>>,
}

impl Table {
    /// The key of an encoded row.
    #[must_use]
    pub fn key_of(&self, row: &[u8]) -> Key {
        Key::from_bytes(&key_bytes(row, &self.key))
    }

    /// The columns of the key, in its order.
    pub fn key_columns(&self) -> impl Iterator<Item = &Column> {
        self.key.iter().filter_map(|&column| self.columns.get(column))
    }

    /// The definition as far as it decides what rows mean: two nodes whose tables differ in this cannot be compared.
    #[must_use]
    pub fn definition(&self) -> String {
        let columns: Vec<String> =
            self.columns.iter().map(|column| format!("{} {}", column.name, column.definition)).collect();
        let key: Vec<&str> = self.key_columns().map(|column| column.name.as_ref()).collect();
        format!(
            "({}; key {})",
            columns.join(", "),
            if key.is_empty() { "none".into() } else { key.join(", ") }
        )
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.database, self.name)
    }
}

/// The keys from `lower` on, up to but without `upper`. An end that is `None` is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// The table.
    pub table: Arc<Table>,
    /// The first key of the chunk.
    pub lower: Option<Key>,
    /// The first key after the chunk.
    pub upper: Option<Key>,
}

impl fmt::Display for Chunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = |key: &Option<Key>| key.as_ref().map_or_else(|| "…".to_owned(), Key::to_string);
        write!(f, "{} [{}, {})", self.table, end(&self.lower), end(&self.upper))
    }
}
