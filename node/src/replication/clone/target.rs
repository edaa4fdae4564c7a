//! The target's side of a clone: writes what the source streams, in one transaction.
//!
//! The caller brings the transaction. All of the copy and the GTIDs that it claims are committed together or not at
//! all, so there is no half copy to know again: after a crash SQLite finds pages that nobody committed and passes them
//! over. While it is written they lie in the write-ahead log, not in memory.
//!
//! The stream is not trusted: tables are made from definitions and never from SQL text, rows go in through the writer that
//! all rows go through, and only an end that agrees with what came makes the copy complete.
//!
//! Invariant: a node that is not empty is refused before anything is written.

use super::message::{self, Head, Message, Tally};
use crate::SqlError;
use crate::accounts::store;
use crate::protocol::wire::Malformed;
use crate::replication::client::LinkError;
use crate::replication::gtids::{self, EXECUTED, PURGED};
use crate::storage::catalog::{self, Catalog};
use crate::storage::definition::TableDef;
use crate::storage::rows::RowWriter;
use rusqlite::{Connection, params};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The page cache of the connection that writes, in KiB: an index is filled in another order than the rows come in.
const CACHE_KIB: u32 = 65_536;

/// Where messages come from: the connection to the source.
pub trait Packets {
    /// The next one, without the mark that it is no error. Waits for it, within a bound.
    fn next(&mut self) -> Result<&[u8], LinkError>;
}

/// Who writes the copy: its `server_id` and `server_uuid`, which stay its own.
#[derive(Clone, Copy, Debug)]
pub struct Own<'a> {
    /// Its `server_id`.
    pub server_id: u32,
    /// Its `server_uuid`.
    pub server_uuid: &'a str,
}

/// Told before each message; an error ends the copy.
pub type Progress<'a> = dyn Fn(Option<&Head>, Tally) -> Result<(), SqlError> + 'a;

/// Writes a whole snapshot inside the connection's transaction.
pub fn copy(
    conn: &Connection,
    packets: &mut dyn Packets,
    own: Own<'_>,
    progress: &Progress<'_>,
) -> Result<(Head, Tally), SqlError> {
    check_empty(conn)?;
    conn.execute_batch(&format!("PRAGMA cache_size = -{CACHE_KIB}"))?;
    progress(None, Tally::default())?;
    let head = match message::read(packets.next().map_err(donor)?).map_err(unreadable)? {
        Message::Head(head) => head,
        _ => return Err(unexpected("it does not begin with its head")),
    };
    check_source(&head, own)?;
    let mut writer = Writer { conn, databases: BTreeSet::new(), table: None, received: Tally::default() };
    loop {
        progress(Some(&head), writer.received)?;
        let packet = packets.next().map_err(donor)?;
        match message::read(packet).map_err(unreadable)? {
            Message::Head(_) => return Err(unexpected("it begins twice")),
            Message::Account(account) => {
                store::put(conn, &account)?;
                writer.received.accounts += 1;
            }
            Message::Database { name, collation } => writer.database(name, collation)?,
            Message::Table { definition, counter } => writer.table(*definition, counter.as_ref())?,
            Message::Rows(rows) => writer.rows(rows)?,
            Message::End(sent) if sent == writer.received && sent.tables == head.tables => break,
            Message::End(_) => return Err(unexpected("its end does not agree with what came before")),
        }
    }
    gtids::write(conn, EXECUTED, &head.executed)?;
    gtids::write(conn, PURGED, &head.executed)?;
    catalog::touch(conn)?;
    progress(Some(&head), writer.received)?;
    Ok((head, writer.received))
}

/// An error for a node that holds something: a copy would mix with it.
pub fn check_empty(conn: &Connection) -> Result<(), SqlError> {
    let catalog = Catalog::read(conn)?;
    let names: Vec<&str> = catalog.databases.keys().map(String::as_str).collect();
    if !names.is_empty() {
        return Err(disallowed(format!("the recipient has databases ({})", names.join(", "))));
    }
    let executed = gtids::read(conn, EXECUTED)?;
    if !executed.is_empty() {
        return Err(disallowed(format!("the recipient has executed transactions ({executed})")));
    }
    Ok(())
}

fn check_source(head: &Head, own: Own<'_>) -> Result<(), SqlError> {
    if head.server_uuid == own.server_uuid || head.server_id == own.server_id {
        return Err(SqlError::new(
            3871,
            "HY000",
            format!(
                "Clone Donor (server_id {}, server_uuid {}) and Recipient must be different servers.",
                head.server_id, head.server_uuid
            ),
        ));
    }
    Ok(())
}

struct Writer<'a> {
    conn: &'a Connection,
    databases: BTreeSet<String>,
    table: Option<RowWriter>,
    received: Tally,
}

impl Writer<'_> {
    fn database(&mut self, name: &str, collation: &str) -> Result<(), SqlError> {
        self.conn
            .execute("INSERT INTO _evensum_databases (name, collation) VALUES (?1, ?2)", [name, collation])?;
        self.databases.insert(name.to_owned());
        self.received.databases += 1;
        Ok(())
    }

    fn table(&mut self, table: TableDef, counter: Option<&rusqlite::types::Value>) -> Result<(), SqlError> {
        if !self.databases.contains(&table.database) {
            return Err(unexpected("it has a table of a database that it does not have"));
        }
        self.conn.execute_batch(&table.create_sql())?;
        // keys before rows: an index that is made of many rows at once is sorted in memory
        for key in table.keys.iter().filter(|key| !key.is_primary()) {
            self.conn.execute_batch(&table.index_sql(key))?;
        }
        catalog::put(self.conn, &table)?;
        if let Some(counter) = counter {
            self.conn.execute(
                "INSERT INTO _evensum_counters (database, name, value) VALUES (?1, ?2, ?3)",
                params![table.database, table.name, counter],
            )?;
        }
        self.received.tables += 1;
        self.table = Some(RowWriter::new(Arc::new(table)));
        Ok(())
    }

    fn rows(&mut self, rows: message::Rows<'_>) -> Result<(), SqlError> {
        let writer = self.table.as_ref().ok_or_else(|| unexpected("it has rows of no table"))?;
        self.received.bytes += rows.bytes();
        for row in rows {
            let row = row.map_err(unreadable)?;
            if row.len() != writer.table.columns.len() {
                return Err(unexpected("a row does not fit its table"));
            }
            writer.insert(self.conn, &row)?;
            self.received.rows += 1;
        }
        Ok(())
    }
}

/// 3862: what the source said, or that it is gone.
pub(super) fn donor(error: LinkError) -> SqlError {
    SqlError::new(3862, "HY000", format!("Clone Donor Error: {} : {}.", error.code, error.message))
}

/// 3863: what came is not a snapshot.
fn unexpected(what: &str) -> SqlError {
    SqlError::new(3863, "HY000", format!("Clone received unexpected response from Donor : {what}."))
}

fn unreadable(_: Malformed) -> SqlError {
    unexpected("a message that cannot be read")
}

/// 3875.
pub(super) fn disallowed(when: String) -> SqlError {
    SqlError::new(3875, "HY000", format!("The clone operation cannot be executed when {when}."))
}
