//! The binary log, and the links that carry it to other nodes.
//!
//! A commit appends its transaction to [`binlog`] in the same SQLite transaction as the data. `dump` streams
//! the log to a replica. On the replica, `link` receives into the relay log and `applier` applies in order,
//! exactly once. `statements` are the administrator's words for all that.
//!
//! Invariant: `gtid_executed` holds a transaction if and only if its changes are in the tables (or were skipped
//! on the administrator's word).

pub mod applier;
pub mod binlog;
pub mod changes;
pub mod client;
pub mod clone;
mod columns;
pub mod dump;
pub mod encoding;
pub mod events;
pub mod filters;
pub mod gtids;
pub mod link;
pub mod links;
pub mod notices;
pub mod parts;
pub mod position;
pub mod receiver;
pub mod record;
pub mod relay_log;
#[cfg(test)]
mod simulation;
pub mod statements;
pub mod status;
pub mod until;

use crate::SqlError;

pub use crate::session::transaction::now_ms;

/// SQLite failed below the log; the client learns of it as 1105.
pub(crate) fn failed(error: rusqlite::Error) -> SqlError {
    SqlError::internal(format!("log storage: {error}"))
}

/// A number as SQLite stores it.
pub(crate) fn stored(number: u64) -> Result<i64, SqlError> {
    i64::try_from(number).map_err(|_| SqlError::internal(format!("{number} is too large for the log")))
}

/// A number that SQLite stored; it never was negative.
pub(crate) fn number(stored: i64) -> u64 {
    u64::try_from(stored).unwrap_or(0)
}
