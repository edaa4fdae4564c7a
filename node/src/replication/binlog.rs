//! The binary log: a table beside the data, written in the same transaction.
//!
//! So there is no moment at which a change is in one and not in the other, and no recovery that has to decide.
//! Everything (places, GTIDs, files) is read from the tables inside the caller's transaction and nothing is
//! cached, so a transaction that is rolled back leaves no trace. Writers are serial (SQLite has one), so rows
//! become visible in the order of their places.
//!
//! Invariant: places and own sequence numbers grow without a gap in commit order. Not here: who may write.

use super::gtids::{self, EXECUTED, PURGED};
use super::position::{FIRST_POS, HEADER_BYTES, LogPosition};
use super::record::Record;
use super::{encoding, failed, number, stored};
use crate::SqlError;
use crate::change::Body;
use database::{Gtid, GtidSet};
use rusqlite::{Connection, OptionalExtension, params};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How many transactions [`Binlog::read`] gives at once, at most.
const BATCH_ROWS: usize = 512;
/// How many bytes of payload [`Binlog::read`] gives at once: it stops after the transaction that passes this.
const BATCH_BYTES: usize = 4 << 20;

/// The log of one node. It holds no connection: callers bring theirs.
#[derive(Debug)]
pub struct Binlog {
    base: String,
    server_uuid: Box<str>,
    max_file_bytes: u64,
    commits: Mutex<u64>,
    grown: Condvar,
    closed: AtomicBool,
}

/// A file of the log: its number, its length, and so its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogFile {
    /// Its number.
    pub file: u64,
    /// Its length in bytes.
    pub bytes: u64,
}

impl Binlog {
    /// Creates the tables where they are missing and reads (or makes) the node's uuid. The connection must be
    /// free to write.
    pub fn open(conn: &Connection, base: &str, max_file_bytes: u64) -> Result<Binlog, SqlError> {
        create(conn).map_err(failed)?;
        let server_uuid: String =
            conn.query_row("SELECT uuid FROM _evensum_server", [], |row| row.get(0)).map_err(failed)?;
        let base = base.to_owned();
        let server_uuid = server_uuid.into();
        Ok(Binlog {
            base,
            server_uuid,
            max_file_bytes,
            commits: Mutex::new(0),
            grown: Condvar::new(),
            closed: AtomicBool::new(false),
        })
    }

    /// The identity of this node in GTIDs.
    pub fn server_uuid(&self) -> &str {
        &self.server_uuid
    }

    /// The name of a place's file.
    #[must_use]
    pub fn file_name(&self, position: LogPosition) -> String {
        position.file_name(&self.base)
    }

    /// Writes a transaction in the caller's transaction. Without a GTID it gets the next one of this node.
    ///
    /// A GTID that has been executed here already is an error, so that nothing is ever executed twice.
    pub fn append(
        &self,
        conn: &Connection,
        gtid: Option<Gtid>,
        server_id: u32,
        committed_at_ms: u64,
        body: &Body,
    ) -> Result<Gtid, SqlError> {
        let gtid = match gtid {
            Some(gtid) => gtid,
            None => {
                let sequence = gtids::highest(conn, EXECUTED, &self.server_uuid)? + 1;
                Gtid { origin: self.server_uuid.clone(), sequence }
            }
        };
        if !gtids::insert(conn, EXECUTED, &gtid)? {
            return Err(SqlError::internal(format!("transaction {gtid} has already been executed")));
        }
        let payload = encoding::encode(body);
        let mut at = head(conn)?;
        if at.pos >= self.max_file_bytes {
            at = rotate(conn)?;
        }
        let end_pos = at.pos + HEADER_BYTES + payload.len() as u64;
        conn.prepare_cached(
            "INSERT INTO _evensum_binlog (n, end_pos, origin, sequence, server_id, committed_at_ms, payload)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )
        .map_err(failed)?
        .execute(params![
            at.key(),
            stored(end_pos)?,
            &*gtid.origin,
            stored(gtid.sequence)?,
            server_id,
            stored(committed_at_ms)?,
            payload
        ])
        .map_err(failed)?;
        conn.prepare_cached("UPDATE _evensum_binlog_files SET bytes = ?2 WHERE file = ?1")
            .and_then(|mut update| {
                update.execute(params![stored(at.file).unwrap_or(0), stored(end_pos).unwrap_or(0)])
            })
            .map_err(failed)?;
        Ok(gtid)
    }

    /// A commit with a call of [`Binlog::append`] in it is done: those who wait look again.
    pub fn committed(&self) {
        *self.commits.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.grown.notify_all();
    }

    /// The node is about to end: nobody waits for commits any more.
    pub fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.committed();
    }

    /// Whether the node is about to end.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// How many commits there were; a caller reads the log, then waits for more than this.
    pub fn commits(&self) -> u64 {
        *self.commits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until there were more commits than `seen`, or for `timeout`.
    pub fn wait(&self, seen: u64, timeout: Duration) {
        let commits = self.commits.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.grown.wait_timeout_while(commits, timeout, |commits| *commits <= seen));
    }

    /// Waits until everything in `wanted` has been executed. False if the deadline passed first, or the node ends.
    pub fn wait_executed(
        &self,
        conn: &Connection,
        wanted: &GtidSet,
        deadline: Option<Instant>,
    ) -> Result<bool, SqlError> {
        /// A caller that waits without end still looks again this often.
        const LOOK_AGAIN: Duration = Duration::from_secs(1);
        loop {
            let seen = self.commits();
            if gtids::read(conn, EXECUTED)?.contains_all(wanted) {
                return Ok(true);
            }
            let left = deadline.map_or(LOOK_AGAIN, |end| end.saturating_duration_since(Instant::now()));
            if left.is_zero() || self.is_closed() {
                return Ok(false);
            }
            self.wait(seen, left.min(LOOK_AGAIN));
        }
    }

    /// The transactions from a place on, as many as fit a batch.
    pub fn read(&self, conn: &Connection, from: LogPosition) -> Result<Vec<Record>, SqlError> {
        let mut query = conn
            .prepare_cached(
                "SELECT n, end_pos, origin, sequence, server_id, committed_at_ms, payload
                 FROM _evensum_binlog WHERE n >= ?1 ORDER BY n",
            )
            .map_err(failed)?;
        let mut rows = query.query([from.key()]).map_err(failed)?;
        let (mut records, mut bytes) = (Vec::new(), 0);
        while let Some(row) = rows.next().map_err(failed)? {
            let record = record(row).map_err(failed)?;
            bytes += record.payload.len();
            records.push(record);
            if records.len() >= BATCH_ROWS || bytes >= BATCH_BYTES {
                break;
            }
        }
        Ok(records)
    }

    /// The first place whose transaction is not in `known`; the log's end if there is none.
    pub fn first_unknown(&self, conn: &Connection, known: &GtidSet) -> Result<LogPosition, SqlError> {
        let end = head(conn)?;
        let mut query = conn
            .prepare_cached("SELECT n, origin, sequence FROM _evensum_binlog ORDER BY n")
            .map_err(failed)?;
        let mut rows = query.query([]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            let origin: String = row.get(1).map_err(failed)?;
            let sequence = number(row.get(2).map_err(failed)?);
            if !known.contains(&Gtid { origin: origin.into(), sequence }) {
                return Ok(LogPosition::of_key(row.get(0).map_err(failed)?));
            }
        }
        Ok(end)
    }

    /// Forgets the files before `file`; what they held is purged.
    pub fn purge_before(&self, conn: &Connection, file: u64) -> Result<(), SqlError> {
        let end = LogPosition { file, pos: 0 }.key();
        let mut query =
            conn.prepare("SELECT origin, sequence FROM _evensum_binlog WHERE n < ?1").map_err(failed)?;
        let mut rows = query.query([end]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            let origin: String = row.get(0).map_err(failed)?;
            let sequence = number(row.get(1).map_err(failed)?);
            gtids::insert(conn, PURGED, &Gtid { origin: origin.into(), sequence })?;
        }
        drop(rows);
        conn.execute("DELETE FROM _evensum_binlog WHERE n < ?1", [end]).map_err(failed)?;
        conn.execute("DELETE FROM _evensum_binlog_files WHERE file < ?1", [stored(file)?]).map_err(failed)?;
        Ok(())
    }

    /// Forgets the whole log and every GTID (RESET MASTER).
    pub fn reset(&self, conn: &Connection) -> Result<(), SqlError> {
        conn.execute_batch(&format!(
            "DELETE FROM _evensum_binlog; DELETE FROM _evensum_binlog_files; DELETE FROM {EXECUTED}; DELETE FROM {PURGED};
             INSERT INTO _evensum_binlog_files (file, bytes) VALUES (1, {FIRST_POS});"
        ))
        .map_err(failed)
    }
}

/// A row of the log.
pub(super) fn record(row: &rusqlite::Row<'_>) -> rusqlite::Result<Record> {
    let origin: String = row.get(2)?;
    Ok(Record {
        position: LogPosition::of_key(row.get(0)?),
        end_pos: number(row.get(1)?),
        gtid: Gtid { origin: origin.into(), sequence: number(row.get(3)?) },
        server_id: row.get(4)?,
        committed_at_ms: number(row.get(5)?),
        payload: row.get(6)?,
    })
}

/// Where the next transaction goes.
pub fn head(conn: &Connection) -> Result<LogPosition, SqlError> {
    conn.prepare_cached("SELECT file, bytes FROM _evensum_binlog_files ORDER BY file DESC LIMIT 1")
        .and_then(|mut query| {
            query.query_row([], |row| Ok(LogPosition { file: number(row.get(0)?), pos: number(row.get(1)?) }))
        })
        .map_err(failed)
}

/// Begins a new file (FLUSH LOGS) and says where.
pub fn rotate(conn: &Connection) -> Result<LogPosition, SqlError> {
    let next = LogPosition { file: head(conn)?.file + 1, pos: FIRST_POS };
    conn.execute(
        "INSERT INTO _evensum_binlog_files (file, bytes) VALUES (?1, ?2)",
        params![stored(next.file)?, stored(next.pos)?],
    )
    .map_err(failed)?;
    Ok(next)
}

/// The files, oldest first.
pub fn files(conn: &Connection) -> Result<Vec<LogFile>, SqlError> {
    let mut query =
        conn.prepare("SELECT file, bytes FROM _evensum_binlog_files ORDER BY file").map_err(failed)?;
    query
        .query_map([], |row| Ok(LogFile { file: number(row.get(0)?), bytes: number(row.get(1)?) }))
        .and_then(Iterator::collect)
        .map_err(failed)
}

/// Whether a transaction begins at this place, or the log (or its file) ends there.
pub fn is_boundary(conn: &Connection, position: LogPosition) -> Result<bool, SqlError> {
    if position.pos == FIRST_POS {
        return Ok(files(conn)?.iter().any(|file| file.file == position.file));
    }
    conn.query_row(
        "SELECT EXISTS (SELECT 1 FROM _evensum_binlog WHERE n = ?1)
             OR EXISTS (SELECT 1 FROM _evensum_binlog_files WHERE file = ?2 AND bytes = ?3)",
        params![position.key(), stored(position.file)?, stored(position.pos)?],
        |row| row.get(0),
    )
    .map_err(failed)
}

fn create(conn: &Connection) -> rusqlite::Result<()> {
    conn.execute_batch(
        "CREATE TABLE IF NOT EXISTS _evensum_binlog (n INTEGER PRIMARY KEY, end_pos INTEGER NOT NULL,
            origin TEXT NOT NULL, sequence INTEGER NOT NULL, server_id INTEGER NOT NULL,
            committed_at_ms INTEGER NOT NULL, payload BLOB NOT NULL);
         CREATE TABLE IF NOT EXISTS _evensum_binlog_files (file INTEGER PRIMARY KEY, bytes INTEGER NOT NULL);
         CREATE TABLE IF NOT EXISTS _evensum_server (uuid TEXT NOT NULL);",
    )?;
    gtids::create(conn)?;
    let known: Option<i64> =
        conn.query_row("SELECT 1 FROM _evensum_server", [], |row| row.get(0)).optional()?;
    if known.is_none() {
        let uuid = new_uuid(conn)?;
        conn.execute("INSERT INTO _evensum_server (uuid) VALUES (?1)", [uuid])?;
        conn.execute("INSERT OR IGNORE INTO _evensum_binlog_files (file, bytes) VALUES (1, ?1)", [4])?;
    }
    Ok(())
}

/// A random (version 4) uuid, from SQLite's source of random bytes.
fn new_uuid(conn: &Connection) -> rusqlite::Result<String> {
    let hex: String = conn.query_row("SELECT lower(hex(randomblob(16)))", [], |row| row.get(0))?;
    let variant = match hex.as_bytes()[16] {
        b'0'..=b'3' => '8',
        b'4'..=b'7' => '9',
        b'8'..=b'b' => 'a',
        _ => 'b',
    };
    Ok(format!("{}-{}-4{}-{variant}{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..]))
}

#[cfg(test)]
mod tests;
