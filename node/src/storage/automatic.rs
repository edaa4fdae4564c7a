//! Automatic keys: the greatest that a table ever gave.
//!
//! It is the greatest in the table or the one in `_evensum_counters`, whichever is greater. The counter is written where a key
//! leaves the table: with a row that is deleted or changes its key, or because it was given and not used. Invariant: no key that was
//! in a committed row is given again, but after TRUNCATE, and where the column was no automatic one meanwhile. Not here: the series that a node gives keys in (`sql::insert`).

use rusqlite::types::{Value as Stored, ValueRef};
use rusqlite::{Connection, OptionalExtension, params};

use super::definition::{TableDef, quote};
use crate::SqlError;
use crate::sql::number::{Number, int_stored};

fn number(value: &Stored) -> i128 {
    Number::of(ValueRef::from(value)).and_then(|number| number.to_int()).unwrap_or(0)
}

/// The greatest key that the table has or ever gave; 0 if there is none.
pub fn highest(conn: &Connection, table: &TableDef, column: usize) -> Result<i128, SqlError> {
    let sql = format!(
        "SELECT (SELECT max({}) FROM {}), (SELECT value FROM _evensum_counters WHERE database = ?1 AND name = ?2)",
        quote(&table.columns[column].name),
        table.physical()
    );
    let (present, kept): (Stored, Stored) = conn
        .prepare_cached(&sql)?
        .query_row(params![table.database, table.name], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(number(&present).max(number(&kept)).max(0))
}

/// The greatest key in the table.
fn present(conn: &Connection, table: &TableDef, column: usize) -> Result<i128, SqlError> {
    let sql = format!("SELECT max({}) FROM {}", quote(&table.columns[column].name), table.physical());
    let max: Option<Stored> = conn.prepare_cached(&sql)?.query_row([], |row| row.get(0)).optional()?;
    Ok(max.as_ref().map_or(0, number))
}

fn kept(conn: &Connection, table: &TableDef) -> Result<i128, SqlError> {
    let kept: Option<Stored> = conn
        .prepare_cached("SELECT value FROM _evensum_counters WHERE database = ?1 AND name = ?2")?
        .query_row(params![table.database, table.name], |row| row.get(0))
        .optional()?;
    Ok(kept.as_ref().map_or(0, number))
}

/// A row goes away, or its key does.
pub(super) fn goes(conn: &Connection, table: &TableDef, row: &[Stored]) -> Result<(), SqlError> {
    let Some(column) = table.columns.iter().position(|column| column.auto_increment) else { return Ok(()) };
    let gone = row.get(column).map_or(0, number);
    // a key below the greatest that stays needs no keeping
    if gone > 0 && gone >= present(conn, table, column)? && gone > kept(conn, table)? {
        return keep(conn, table, gone);
    }
    Ok(())
}

/// Remembers the greatest automatic key of a table.
pub fn keep(conn: &Connection, table: &TableDef, last: i128) -> Result<(), SqlError> {
    let value = int_stored(last).unwrap_or(Stored::Null);
    conn.prepare_cached(
        "INSERT OR REPLACE INTO _evensum_counters (database, name, value) VALUES (?1, ?2, ?3)",
    )?
    .execute(params![table.database, table.name, value])?;
    Ok(())
}
