//! The seam between statements and the wire: a statement pours its result into a [`Sink`].
//!
//! One statement gives either `ok` or `columns`, then `row`s, then `end`. A statement that fails returns its
//! error instead of the last call. Rows are streamed: nothing is kept.

use std::io;

/// How a column travels; the protocol's own type numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum WireType {
    Tiny = 1,
    Short = 2,
    Long = 3,
    Float = 4,
    Double = 5,
    Null = 6,
    Timestamp = 7,
    LongLong = 8,
    Int24 = 9,
    Date = 10,
    Time = 11,
    DateTime = 12,
    Year = 13,
    Bit = 16,
    Json = 245,
    NewDecimal = 246,
    Blob = 252,
    VarString = 253,
    String = 254,
}

impl WireType {
    /// The protocol's number.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }
}

/// What a client is told of a column of a result.
#[derive(Clone, Debug, PartialEq)]
pub struct ColumnMeta {
    /// Database, or empty for an expression.
    pub database: String,
    /// The table's alias, or empty.
    pub table: String,
    /// The table's own name, or empty.
    pub original_table: String,
    /// The column's alias, as the client shows it.
    pub name: String,
    /// The column's own name, or empty.
    pub original_name: String,
    /// How it travels.
    pub wire: WireType,
    /// The collation's number: 45 utf8mb4_general_ci, 46 utf8mb4_bin, 63 binary.
    pub collation: u16,
    /// The longest value in characters, for display.
    pub length: u32,
    /// MySQL's column flags: 1 NOT NULL, 2 primary key, 4 unique, 32 unsigned, 128 binary, 256 enum, 512 auto increment.
    pub flags: u16,
    /// Digits after the point, 31 where that is not fixed.
    pub decimals: u8,
}

/// One value of a row on its way out. Text, decimals, dates and times are `Bytes` in MySQL's text form; the
/// protocol turns dates and times into their binary form where a prepared statement asks for it.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum Cell<'a> {
    Null,
    Int(i64),
    Uint(u64),
    Float(f32),
    Double(f64),
    Bytes(&'a [u8]),
}

/// One value of a row that comes in as a parameter of a prepared statement.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum Param {
    Null,
    Int(i64),
    Uint(u64),
    Float(f32),
    Double(f64),
    /// Text, and dates and times in MySQL's text form.
    Text(String),
    /// A decimal in MySQL's text form.
    Decimal(String),
    /// Bytes that are no text (blob parameters, and strings that are not UTF-8).
    Bytes(Vec<u8>),
}

impl Param {
    /// How much memory it takes beside its own.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match self {
            Param::Text(text) | Param::Decimal(text) => text.len(),
            Param::Bytes(bytes) => bytes.len(),
            _ => 0,
        }
    }
}

/// What a statement without rows answers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Done {
    /// Rows changed (for UPDATE: really changed, not only matched; with CLIENT_FOUND_ROWS: matched).
    pub affected_rows: u64,
    /// The first automatic key of the statement, or 0.
    pub last_insert_id: u64,
    /// Warnings waiting for SHOW WARNINGS.
    pub warnings: u16,
    /// Such as `Rows matched: 1  Changed: 1  Warnings: 0`.
    pub info: String,
}

/// Where a statement's result goes. An I/O error means that the client is gone.
pub trait Sink {
    /// The result has rows, with these columns.
    fn columns(&mut self, columns: &[ColumnMeta]) -> io::Result<()>;
    /// One row, one cell per column.
    fn row(&mut self, row: &[Cell<'_>]) -> io::Result<()>;
    /// The rows are at their end. `status` are the server status flags (2 autocommit, 1 in transaction).
    fn end(&mut self, warnings: u16, status: u16) -> io::Result<()>;
    /// The statement is done and has no rows.
    fn ok(&mut self, done: &Done, status: u16) -> io::Result<()>;
}
