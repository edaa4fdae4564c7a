//! Columns that a table of an older node does not have yet.
//!
//! A file is brought up to date column by column as it is opened, and each column is asked for by itself: a node that
//! ended in between goes on where it stood. Names and definitions are this program's own, never a client's. Not here:
//! the tables of users, and columns that change their meaning.

use rusqlite::Connection;

/// Adds a column unless the table has it; the rows that are there have its default.
pub(super) fn add(conn: &Connection, table: &str, name: &str, definition: &str) -> rusqlite::Result<()> {
    let known: bool = conn.query_row(
        "SELECT EXISTS (SELECT 1 FROM pragma_table_info(?1) WHERE name = ?2)",
        [table, name],
        |row| row.get(0),
    )?;
    if known {
        return Ok(());
    }
    conn.execute_batch(&format!("ALTER TABLE {table} ADD COLUMN {name} {definition}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_is_added_once_and_old_rows_have_its_default() {
        let conn = Connection::open_in_memory().unwrap();
        conn.execute_batch("CREATE TABLE t (a INTEGER); INSERT INTO t VALUES (1)").unwrap();
        add(&conn, "t", "b", "INTEGER NOT NULL DEFAULT 7").unwrap();
        add(&conn, "t", "b", "INTEGER NOT NULL DEFAULT 8").unwrap();
        let b: i64 = conn.query_row("SELECT b FROM t", [], |row| row.get(0)).unwrap();
        assert_eq!(b, 7);
        assert!(add(&conn, "nothing", "b", "INTEGER").is_err());
    }
}
