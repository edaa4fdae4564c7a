//! Which databases and tables there are: read from the file once per version of its schema.
//!
//! Invariant: a [`Catalog`] is what the file said in one snapshot. It is shared by sessions under SQLite's
//! schema cookie, which every change of a definition moves; a session that is changing definitions reads its
//! own, unshared.

use std::collections::BTreeMap;
use std::sync::Arc;

use rusqlite::{Connection, params};

use super::definition::TableDef;
use crate::SqlError;

/// All definitions.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    /// The databases, with the name of each one's default collation.
    pub databases: BTreeMap<String, String>,
    tables: BTreeMap<String, BTreeMap<String, Arc<TableDef>>>,
}

impl Catalog {
    /// The table of that database and name.
    #[must_use]
    pub fn table(&self, database: &str, name: &str) -> Option<&Arc<TableDef>> {
        self.tables.get(database)?.get(name)
    }

    /// The table, or error 1146.
    pub fn require(&self, database: &str, name: &str) -> Result<&Arc<TableDef>, SqlError> {
        self.table(database, name).ok_or_else(|| no_such_table(database, name))
    }

    /// The tables of a database, by name.
    pub fn tables_of<'a>(&'a self, database: &str) -> impl Iterator<Item = &'a Arc<TableDef>> + use<'a> {
        self.tables.get(database).into_iter().flat_map(BTreeMap::values)
    }

    /// Every table.
    pub fn tables(&self) -> impl Iterator<Item = &Arc<TableDef>> {
        self.tables.values().flat_map(BTreeMap::values)
    }

    /// Whether there is such a database.
    #[must_use]
    pub fn has_database(&self, name: &str) -> bool {
        self.databases.contains_key(name)
    }

    /// The part of the catalog with these databases and these tables, by database and name.
    #[must_use]
    pub fn filtered(
        &self,
        sees_database: &dyn Fn(&str) -> bool,
        sees_table: &dyn Fn(&str, &str) -> bool,
    ) -> Catalog {
        let mut part = self.clone();
        part.databases.retain(|name, _| sees_database(name));
        for (database, tables) in &mut part.tables {
            tables.retain(|name, _| sees_table(database, name));
        }
        part
    }

    /// Reads all definitions as this connection sees them.
    pub fn read(conn: &Connection) -> Result<Catalog, SqlError> {
        let mut catalog = Catalog::default();
        let mut statement = conn.prepare_cached("SELECT name, collation FROM _evensum_databases")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            catalog.databases.insert(row.get(0)?, row.get(1)?);
        }
        let mut statement = conn.prepare_cached("SELECT definition FROM _evensum_tables")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let text: String = row.get(0)?;
            let table: TableDef = serde_json::from_str(&text)
                .map_err(|e| SqlError::internal(format!("damaged definition of a table: {e}")))?;
            let (database, name) = (table.database.clone(), table.name.clone());
            catalog.tables.entry(database).or_default().insert(name, Arc::new(table));
        }
        Ok(catalog)
    }
}

/// Error 1146.
#[must_use]
pub fn no_such_table(database: &str, name: &str) -> SqlError {
    SqlError::new(1146, "42S02", format!("Table '{database}.{name}' doesn't exist"))
}

/// Creates the catalog's own tables.
pub(super) fn create(conn: &Connection) -> Result<(), SqlError> {
    Ok(conn.execute_batch(
        "CREATE TABLE IF NOT EXISTS _evensum_databases (name TEXT PRIMARY KEY, collation TEXT NOT NULL) WITHOUT ROWID;
         CREATE TABLE IF NOT EXISTS _evensum_tables (
             database TEXT NOT NULL, name TEXT NOT NULL, definition TEXT NOT NULL,
             PRIMARY KEY (database, name)) WITHOUT ROWID;
         CREATE TABLE IF NOT EXISTS _evensum_counters (
             database TEXT NOT NULL, name TEXT NOT NULL, value BLOB NOT NULL,
             PRIMARY KEY (database, name)) WITHOUT ROWID;",
    )?)
}

/// Writes the definition of a table, new or changed.
pub fn put(conn: &Connection, table: &TableDef) -> Result<(), SqlError> {
    let text = serde_json::to_string(table).map_err(SqlError::internal)?;
    conn.execute(
        "INSERT OR REPLACE INTO _evensum_tables (database, name, definition) VALUES (?1, ?2, ?3)",
        params![table.database, table.name, text],
    )?;
    touch(conn)
}

/// Forgets a table and its counter.
pub fn remove(conn: &Connection, table: &TableDef) -> Result<(), SqlError> {
    for catalog in ["_evensum_tables", "_evensum_counters"] {
        conn.execute(
            &format!("DELETE FROM {catalog} WHERE database = ?1 AND name = ?2"),
            params![table.database, table.name],
        )?;
    }
    touch(conn)
}

/// Moves the schema cookie even where SQLite's own schema stays (a database, a changed default).
pub fn touch(conn: &Connection) -> Result<(), SqlError> {
    let version: i64 = conn.query_row("PRAGMA schema_version", [], |row| row.get(0))?;
    conn.execute_batch(&format!("PRAGMA schema_version = {}", version + 1))?;
    Ok(())
}
