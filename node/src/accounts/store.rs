//! Accounts in the node's file: one row each, the account as JSON.
//!
//! The rows are read and written inside the caller's transaction, like the catalog of tables.

use super::{Account, Name, Roster};
use crate::SqlError;
use rusqlite::{Connection, params};
use std::sync::Arc;

/// Creates the table.
pub fn create(conn: &Connection) -> Result<(), SqlError> {
    Ok(conn.execute_batch(
        "CREATE TABLE IF NOT EXISTS _evensum_accounts (user TEXT NOT NULL, host TEXT NOT NULL, account TEXT NOT NULL,
            PRIMARY KEY (user, host)) WITHOUT ROWID",
    )?)
}

/// All accounts.
pub fn read(conn: &Connection) -> Result<Roster, SqlError> {
    let mut query = conn.prepare_cached("SELECT account FROM _evensum_accounts")?;
    let mut rows = query.query([])?;
    let mut roster = Roster::new();
    while let Some(row) = rows.next()? {
        let text: String = row.get(0)?;
        let account: Account = serde_json::from_str(&text)
            .map_err(|error| SqlError::internal(format!("damaged account: {error}")))?;
        roster.insert(account.name.clone(), Arc::new(account));
    }
    Ok(roster)
}

/// Writes an account, new or changed.
pub fn put(conn: &Connection, account: &Account) -> Result<(), SqlError> {
    let text = serde_json::to_string(account).map_err(SqlError::internal)?;
    conn.execute(
        "INSERT OR REPLACE INTO _evensum_accounts (user, host, account) VALUES (?1, ?2, ?3)",
        params![account.name.user, account.name.host, text],
    )?;
    Ok(())
}

/// Forgets an account.
pub fn remove(conn: &Connection, name: &Name) -> Result<(), SqlError> {
    conn.execute("DELETE FROM _evensum_accounts WHERE user = ?1 AND host = ?2", [&name.user, &name.host])?;
    Ok(())
}
