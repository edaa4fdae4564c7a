//! Results on their way out: what the client is told of the columns, and each row without copying it.

use rusqlite::types::{Value as Stored, ValueRef};
use rusqlite::{Connection, params_from_iter};

use super::number::great_int;
use super::select::{Compiled, Output};
use super::types::Kind;
use crate::SqlError;
use crate::results::{Cell, ColumnMeta, Sink, WireType};
use crate::session::ExecError;

impl ColumnMeta {
    /// A column of an expression.
    #[must_use]
    pub fn of_kind(name: &str, kind: Kind) -> ColumnMeta {
        let (wire, collation, length, flags, decimals) = match kind {
            Kind::Null => (WireType::Null, 63, 0, 128, 0),
            Kind::Int { unsigned } => (WireType::LongLong, 63, 21, if unsigned { 128 + 32 } else { 128 }, 0),
            Kind::Decimal { scale } => (WireType::NewDecimal, 63, 67, 128, scale),
            Kind::Float => (WireType::Float, 63, 12, 128, 31),
            Kind::Double => (WireType::Double, 63, 23, 128, 31),
            Kind::Text(collation) => (WireType::VarString, collation.number(), 1_048_576, 0, 0),
            Kind::Binary => (WireType::VarString, 63, 1_048_576, 128, 0),
            Kind::Date => (WireType::Date, 63, 10, 128, 0),
            Kind::DateTime(f) => (WireType::DateTime, 63, 26, 128, f),
            Kind::Time(f) => (WireType::Time, 63, 17, 128, f),
        };
        ColumnMeta {
            database: String::new(),
            table: String::new(),
            original_table: String::new(),
            name: name.to_owned(),
            original_name: String::new(),
            wire,
            collation,
            length,
            flags,
            decimals,
        }
    }

    /// A column of text.
    #[must_use]
    pub fn text(name: &str) -> ColumnMeta {
        ColumnMeta::of_kind(name, Kind::TEXT)
    }

    /// A column of integers.
    #[must_use]
    pub fn integer(name: &str) -> ColumnMeta {
        ColumnMeta::of_kind(name, Kind::INT)
    }

    fn is_unsigned(&self) -> bool {
        self.flags & 32 != 0
    }
}

/// What the client is told of a result's columns.
#[must_use]
pub fn metadata(columns: &[Output]) -> Vec<ColumnMeta> {
    columns
        .iter()
        .map(|column| {
            let known = column.origin.as_ref().and_then(|origin| {
                let meta = origin.table.column_meta(origin.column)?;
                Some(ColumnMeta { table: origin.alias.clone(), name: column.name.clone(), ..meta })
            });
            known.unwrap_or_else(|| ColumnMeta::of_kind(&column.name, column.kind))
        })
        .collect()
}

/// A stored value as a cell of that column.
#[must_use]
pub fn cell<'v>(meta: &ColumnMeta, value: ValueRef<'v>) -> Cell<'v> {
    match (value, meta.wire) {
        (ValueRef::Null, _) => Cell::Null,
        (ValueRef::Integer(n), WireType::Double) => {
            #[allow(clippy::cast_precision_loss)] // SQLite gives a whole double as an integer now and then
            Cell::Double(n as f64)
        }
        (ValueRef::Integer(n), _) if meta.is_unsigned() => u64::try_from(n).map_or(Cell::Int(n), Cell::Uint),
        (ValueRef::Integer(n), _) => Cell::Int(n),
        #[allow(clippy::cast_possible_truncation)] // a FLOAT's REAL came from four bytes
        (ValueRef::Real(x), WireType::Float) => Cell::Float(x as f32),
        (ValueRef::Real(x), _) => Cell::Double(x),
        (ValueRef::Blob(bytes), WireType::LongLong) => {
            great_int(bytes).map_or(Cell::Bytes(bytes), Cell::Uint)
        }
        (ValueRef::Text(bytes) | ValueRef::Blob(bytes), _) => Cell::Bytes(bytes),
    }
}

/// A buffer of cells with its contents dropped and its memory kept.
fn recycle<'b>(mut cells: Vec<Cell<'_>>) -> Vec<Cell<'b>> {
    cells.clear();
    cells.into_iter().map(|_| Cell::Null).collect()
}

/// Runs a query and streams its rows; gives their number. The caller ends the result.
pub fn stream(
    conn: &Connection,
    compiled: &Compiled,
    binds: &[Stored],
    sink: &mut dyn Sink,
) -> Result<u64, ExecError> {
    let columns = metadata(&compiled.columns);
    let mut statement = conn.prepare_cached(&compiled.sql).map_err(SqlError::from)?;
    let mut rows = statement.query(params_from_iter(binds)).map_err(SqlError::from)?;
    // The first row is fetched before the columns go out, so that an error comes instead of them.
    let mut next = rows.next().map_err(SqlError::from)?;
    sink.columns(&columns)?;
    let mut count = 0;
    let mut buffer: Vec<Cell<'_>> = Vec::with_capacity(columns.len());
    while let Some(row) = next {
        let mut cells = recycle(buffer);
        for (at, meta) in columns.iter().enumerate() {
            cells.push(cell(meta, row.get_ref(at).map_err(SqlError::from)?));
        }
        sink.row(&cells)?;
        buffer = recycle(cells);
        count += 1;
        next = rows.next().map_err(SqlError::from)?;
    }
    Ok(count)
}

/// Streams rows that are at hand.
pub fn stream_rows(
    columns: &[ColumnMeta],
    rows: &[Vec<Stored>],
    sink: &mut dyn Sink,
) -> Result<u64, ExecError> {
    sink.columns(columns)?;
    for row in rows {
        let cells: Vec<Cell<'_>> =
            columns.iter().zip(row).map(|(meta, value)| cell(meta, ValueRef::from(value))).collect();
        sink.row(&cells)?;
    }
    Ok(u64::try_from(rows.len()).unwrap_or(u64::MAX))
}
