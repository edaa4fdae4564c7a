//! The place up to which each link has applied its source's log, in the node's own file.
//!
//! It is written in the transaction that applies, so it says after a crash what is in the tables, no more and no less.
//! Links that follow GTIDs have it too: it is what SHOW SLAVE STATUS tells.

use crate::SqlError;
use crate::replication::position::LogPosition;
use crate::replication::{columns, failed};
use rusqlite::{Connection, OptionalExtension, params};

/// Creates the table of the applied places, in the node's file.
pub fn create_places(conn: &Connection) -> rusqlite::Result<()> {
    conn.execute_batch(
        "CREATE TABLE IF NOT EXISTS _evensum_links (name TEXT PRIMARY KEY, place INTEGER NOT NULL,
            epoch INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID",
    )?;
    // What an older version made is of the first epoch.
    columns::add(conn, "_evensum_links", "epoch", "INTEGER NOT NULL DEFAULT 0")
}

/// The place behind the last transaction that the link of this name applied in this epoch.
pub fn applied_place(conn: &Connection, name: &str, epoch: i64) -> Result<Option<LogPosition>, SqlError> {
    conn.query_row(
        "SELECT place FROM _evensum_links WHERE name = ?1 AND epoch = ?2",
        params![name, epoch],
        |row| row.get(0),
    )
    .optional()
    .map(|place: Option<i64>| place.map(LogPosition::of_key))
    .map_err(failed)
}

/// Writes that place, in the transaction that applies.
pub fn note_place(conn: &Connection, name: &str, epoch: i64, place: LogPosition) -> Result<(), SqlError> {
    conn.prepare_cached("INSERT OR REPLACE INTO _evensum_links (name, epoch, place) VALUES (?1, ?2, ?3)")
        .and_then(|mut insert| insert.execute(params![name, epoch, place.key()]))
        .map(drop)
        .map_err(failed)
}
