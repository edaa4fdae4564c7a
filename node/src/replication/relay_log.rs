//! What a link has received and not yet applied: a small SQLite file of its own.
//!
//! The receiver appends in batches, the applier takes in order and discards behind itself. The file also holds
//! the place up to which the source has been read, in the same transaction, so the two cannot part. It may be
//! lost: what is missing is fetched again, and what is applied already is known by its GTID. So it is written
//! without waiting for the disk.
//!
//! The link's settings are in another file, and can be older or newer than this one after a crash. So both have the number
//! of the settings' epoch, and what is of another one is void.
//!
//! Invariant: what waits here is bounded ([`RelayLog::wait_for_space`]); order is the source's order.

use super::binlog::record;
use super::position::LogPosition;
use super::record::Record;
use super::{columns, failed, number, stored};
use crate::SqlError;
use crate::datadir::only_for_owner;
use database::{Gtid, GtidSet};
use rusqlite::{Connection, OptionalExtension, params};
use std::path::Path;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How many transactions the applier takes at once.
const BATCH_ROWS: i64 = 128;

/// A transaction that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Its number in this file.
    pub n: i64,
    /// When it came, in milliseconds since 1970.
    pub received_at_ms: u64,
    /// The transaction; its place is the one in the source's log.
    pub record: Record,
}

/// The relay log of one link.
#[derive(Debug)]
pub struct RelayLog {
    inner: Mutex<Inner>,
    changed: Condvar,
    limit_bytes: u64,
}

#[derive(Debug)]
struct Inner {
    conn: Connection,
    bytes: u64,
    /// All that came since the file was opened or cleared (bytes).
    come: u64,
    last: i64,
    taken: i64,
    source_base: String,
}

impl RelayLog {
    /// Opens the file, or begins anew if it is damaged or of another epoch.
    pub fn open(path: &Path, limit_bytes: u64, epoch: i64) -> Result<RelayLog, SqlError> {
        only_for_owner(path)?;
        let (conn, (bytes, first, last)) = match connect(path, epoch) {
            Ok(opened) => opened,
            Err(_) => {
                remove(path)?;
                only_for_owner(path)?;
                connect(path, epoch).map_err(failed)?
            }
        };
        let last = last.unwrap_or(0);
        let taken = first.map_or(last, |first| first - 1);
        let source_base =
            conn.query_row("SELECT log_base FROM source", [], |row| row.get(0)).map_err(failed)?;
        Ok(RelayLog {
            inner: Mutex::new(Inner { conn, bytes, come: bytes, last, taken, source_base }),
            changed: Condvar::new(),
            limit_bytes,
        })
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds what was received; the source has been read up to `read`.
    pub fn append(&self, records: &[(u64, Record)], read: LogPosition) -> Result<(), SqlError> {
        let mut inner = self.inner();
        let mut last = inner.last;
        let mut bytes = 0;
        let transaction = inner.conn.transaction().map_err(failed)?;
        for (received_at_ms, record) in records {
            last += 1;
            bytes += record.payload.len() as u64;
            insert(&transaction, last, *received_at_ms, record)?;
        }
        transaction
            .prepare_cached("UPDATE source SET place = ?1")
            .and_then(|mut update| update.execute([read.key()]))
            .map_err(failed)?;
        transaction.commit().map_err(failed)?;
        inner.last = last;
        inner.bytes += bytes;
        inner.come += bytes;
        drop(inner);
        self.changed.notify_all();
        Ok(())
    }

    /// Up to where the source has been read, if it has been read at all.
    pub fn read_position(&self) -> Result<Option<LogPosition>, SqlError> {
        let place: Option<i64> =
            self.inner().conn.query_row("SELECT place FROM source", [], |row| row.get(0)).map_err(failed)?;
        Ok(place.map(LogPosition::of_key))
    }

    /// The base name of the source's files; empty if it is not known.
    pub fn source_base(&self) -> String {
        self.inner().source_base.clone()
    }

    /// Keeps the base name of the source's files; an empty one says nothing new.
    pub fn set_source_base(&self, base: &str) -> Result<(), SqlError> {
        let mut inner = self.inner();
        if !base.is_empty() && inner.source_base != base {
            inner.conn.execute("UPDATE source SET log_base = ?1", [base]).map_err(failed)?;
            base.clone_into(&mut inner.source_base);
        }
        Ok(())
    }

    /// The transactions behind number `after`, as many as fit a batch.
    pub fn next(&self, after: i64) -> Result<Vec<Waiting>, SqlError> {
        let inner = self.inner();
        let mut query = inner
            .conn
            .prepare_cached(
                "SELECT place, end_pos, origin, sequence, server_id, committed_at_ms, payload, n, received_at_ms
                 FROM relay WHERE n > ?1 ORDER BY n LIMIT ?2",
            )
            .map_err(failed)?;
        query
            .query_map([after, BATCH_ROWS], |row| {
                Ok(Waiting { n: row.get(7)?, received_at_ms: number(row.get(8)?), record: record(row)? })
            })
            .and_then(Iterator::collect)
            .map_err(failed)
    }

    /// The transaction of number `n` is applied; it is discarded later, with others.
    pub fn taken(&self, n: i64) {
        let mut inner = self.inner();
        inner.taken = inner.taken.max(n);
    }

    /// Discards what is applied.
    pub fn discard_taken(&self) -> Result<(), SqlError> {
        let mut inner = self.inner();
        let freed: i64 = inner
            .conn
            .prepare_cached("SELECT coalesce(sum(length(payload)), 0) FROM relay WHERE n <= ?1")
            .and_then(|mut query| query.query_row([inner.taken], |row| row.get(0)))
            .map_err(failed)?;
        inner
            .conn
            .prepare_cached("DELETE FROM relay WHERE n <= ?1")
            .and_then(|mut delete| delete.execute([inner.taken]))
            .map_err(failed)?;
        inner.bytes = inner.bytes.saturating_sub(number(freed));
        drop(inner);
        self.changed.notify_all();
        Ok(())
    }

    /// Whether everything received is applied.
    pub fn is_drained(&self) -> bool {
        let inner = self.inner();
        inner.taken >= inner.last
    }

    /// How many bytes of transactions the file holds.
    pub fn bytes(&self) -> u64 {
        self.inner().bytes
    }

    /// How many bytes of transactions are applied and discarded since the file was opened or cleared.
    pub fn applied_bytes(&self) -> u64 {
        let inner = self.inner();
        inner.come.saturating_sub(inner.bytes)
    }

    /// When the oldest transaction that waits was committed on its origin.
    pub fn oldest_committed_at_ms(&self) -> Result<Option<u64>, SqlError> {
        let inner = self.inner();
        inner
            .conn
            .prepare_cached("SELECT committed_at_ms FROM relay WHERE n > ?1 ORDER BY n LIMIT 1")
            .and_then(|mut query| query.query_row([inner.taken], |row| row.get(0)).optional())
            .map(|found: Option<i64>| found.map(number))
            .map_err(failed)
    }

    /// Where the first transaction that waits begins in the source's log.
    pub fn first_waiting(&self) -> Result<Option<LogPosition>, SqlError> {
        let inner = self.inner();
        inner
            .conn
            .prepare_cached("SELECT place FROM relay WHERE n > ?1 ORDER BY n LIMIT 1")
            .and_then(|mut query| query.query_row([inner.taken], |row| row.get(0)).optional())
            .map(|found: Option<i64>| found.map(LogPosition::of_key))
            .map_err(failed)
    }

    /// The identities of what waits.
    pub fn gtids(&self) -> Result<GtidSet, SqlError> {
        let inner = self.inner();
        let mut set = GtidSet::new();
        let mut query = inner.conn.prepare("SELECT origin, sequence FROM relay").map_err(failed)?;
        let mut rows = query.query([]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            let origin: String = row.get(0).map_err(failed)?;
            set.insert(&Gtid { origin: origin.into(), sequence: number(row.get(1).map_err(failed)?) });
        }
        Ok(set)
    }

    /// Forgets everything, and the place that was read to: a new epoch begins.
    pub fn begin(&self, epoch: i64) -> Result<(), SqlError> {
        let mut inner = self.inner();
        forget(&inner.conn, epoch).map_err(failed)?;
        (inner.bytes, inner.come) = (0, 0);
        inner.source_base.clear();
        inner.taken = inner.last;
        Ok(())
    }

    /// Waits until there is something to apply, or for `timeout`.
    pub fn wait_for_more(&self, timeout: Duration) {
        let inner = self.inner();
        drop(self.changed.wait_timeout_while(inner, timeout, |inner| inner.taken >= inner.last));
    }

    /// Waits until less than the limit waits, or for `timeout`. Whether there is space.
    pub fn wait_for_space(&self, timeout: Duration) -> bool {
        let inner = self.inner();
        let full = |inner: &mut Inner| inner.bytes >= self.limit_bytes;
        self.changed
            .wait_timeout_while(inner, timeout, full)
            .map(|(inner, _)| inner.bytes < self.limit_bytes)
            .unwrap_or(false)
    }

    /// Wakes those who wait, so that they see that they have to stop.
    pub fn wake(&self) {
        drop(self.inner());
        self.changed.notify_all();
    }
}

fn insert(conn: &Connection, n: i64, received_at_ms: u64, record: &Record) -> Result<(), SqlError> {
    conn.prepare_cached(
        "INSERT INTO relay (n, received_at_ms, place, end_pos, origin, sequence, server_id, committed_at_ms, payload)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )
    .map_err(failed)?
    .execute(params![
        n,
        stored(received_at_ms)?,
        record.position.key(),
        stored(record.end_pos)?,
        &*record.gtid.origin,
        stored(record.gtid.sequence)?,
        record.server_id,
        stored(record.committed_at_ms)?,
        record.payload
    ])
    .map(drop)
    .map_err(failed)
}

/// How many bytes wait in a file, and the numbers of the first and the last transaction.
type Contents = (u64, Option<i64>, Option<i64>);

/// Opens the file and looks through it; what is of another epoch is forgotten.
fn connect(path: &Path, epoch: i64) -> rusqlite::Result<(Connection, Contents)> {
    let conn = Connection::open(path)?;
    conn.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;
         CREATE TABLE IF NOT EXISTS relay (n INTEGER PRIMARY KEY, received_at_ms INTEGER NOT NULL,
            place INTEGER NOT NULL, end_pos INTEGER NOT NULL, origin TEXT NOT NULL, sequence INTEGER NOT NULL,
            server_id INTEGER NOT NULL, committed_at_ms INTEGER NOT NULL, payload BLOB NOT NULL);
         CREATE TABLE IF NOT EXISTS source (place INTEGER, epoch INTEGER NOT NULL DEFAULT 0,
            log_base TEXT NOT NULL DEFAULT '');
         INSERT INTO source (place) SELECT NULL WHERE NOT EXISTS (SELECT 1 FROM source);",
    )?;
    // A file of an older node does not say what the source calls its files.
    columns::add(&conn, "source", "log_base", "TEXT NOT NULL DEFAULT ''")?;
    let of: i64 = conn.query_row("SELECT epoch FROM source", [], |row| row.get(0))?;
    if of != epoch {
        forget(&conn, epoch)?;
    }
    let contents =
        conn.query_row("SELECT coalesce(sum(length(payload)), 0), min(n), max(n) FROM relay", [], |row| {
            Ok((number(row.get(0)?), row.get(1)?, row.get(2)?))
        })?;
    Ok((conn, contents))
}

fn forget(conn: &Connection, epoch: i64) -> rusqlite::Result<()> {
    let transaction = conn.unchecked_transaction()?;
    transaction.execute("DELETE FROM relay", [])?;
    transaction.execute("UPDATE source SET place = NULL, log_base = '', epoch = ?1", [epoch])?;
    transaction.commit()
}

/// Removes the file and what SQLite keeps beside it.
pub(super) fn remove(path: &Path) -> Result<(), SqlError> {
    for suffix in ["", "-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        match std::fs::remove_file(&name) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(SqlError::internal(format!("cannot remove {}: {error}", path.display())));
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(n: u64, bytes: usize) -> (u64, Record) {
        let position = LogPosition { file: 1, pos: n * 100 };
        let gtid = Gtid { origin: "a".into(), sequence: n };
        (
            9,
            Record {
                position,
                end_pos: n * 100 + 100,
                gtid,
                server_id: 1,
                committed_at_ms: n,
                payload: vec![0; bytes],
            },
        )
    }

    #[test]
    fn what_was_received_survives_and_comes_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("relay.sqlite");
        let log = RelayLog::open(&path, 1000, 0).unwrap();
        assert_eq!(log.read_position().unwrap(), None);
        let records = [waiting(1, 10), waiting(2, 10), waiting(3, 10)];
        log.append(&records, records[2].1.end()).unwrap();
        let first = log.next(0).unwrap();
        log.taken(first[0].n);
        log.discard_taken().unwrap();
        drop(log);
        let log = RelayLog::open(&path, 1000, 0).unwrap();
        assert!(!log.is_drained());
        assert_eq!(log.read_position().unwrap(), Some(LogPosition { file: 1, pos: 400 }));
        let rest: Vec<Record> = log.next(0).unwrap().into_iter().map(|waiting| waiting.record).collect();
        assert_eq!(rest, [records[1].1.clone(), records[2].1.clone()]);
        assert_eq!(log.gtids().unwrap().to_string(), "a:2-3");
        assert_eq!(log.oldest_committed_at_ms().unwrap(), Some(2));
    }

    #[test]
    fn it_is_full_until_something_is_discarded() {
        let dir = tempfile::tempdir().unwrap();
        let log = RelayLog::open(&dir.path().join("relay.sqlite"), 15, 0).unwrap();
        log.append(&[waiting(1, 10)], LogPosition::START).unwrap();
        assert!(log.wait_for_space(Duration::ZERO));
        log.append(&[waiting(2, 10)], LogPosition::START).unwrap();
        assert!(!log.wait_for_space(Duration::ZERO));
        log.taken(log.next(0).unwrap()[0].n);
        log.discard_taken().unwrap();
        assert!(log.wait_for_space(Duration::ZERO));
    }

    #[test]
    fn what_is_of_another_epoch_is_void() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("relay.sqlite");
        let log = RelayLog::open(&path, 1000, 3).unwrap();
        log.append(&[waiting(1, 10), waiting(2, 10)], LogPosition { file: 1, pos: 300 }).unwrap();
        log.taken(1);
        log.discard_taken().unwrap();
        drop(log);
        let log = RelayLog::open(&path, 1000, 3).unwrap();
        assert_eq!(log.gtids().unwrap().to_string(), "a:2");
        drop(log);
        let log = RelayLog::open(&path, 1000, 4).unwrap();
        assert!(log.is_drained() && log.gtids().unwrap().is_empty());
        assert_eq!(log.read_position().unwrap(), None);
    }

    #[test]
    fn the_sources_name_of_its_files_is_kept_and_an_older_file_has_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("relay.sqlite");
        Connection::open(&path)
            .unwrap()
            .execute_batch(
                "CREATE TABLE source (place INTEGER, epoch INTEGER NOT NULL DEFAULT 0);
                 INSERT INTO source VALUES (1099511628176, 0);",
            )
            .unwrap();
        let log = RelayLog::open(&path, 1000, 0).unwrap();
        assert_eq!(log.source_base(), "");
        assert_eq!(log.read_position().unwrap(), Some(LogPosition { file: 1, pos: 400 }));
        log.set_source_base("db-bin").unwrap();
        log.set_source_base("").unwrap();
        drop(log);
        let log = RelayLog::open(&path, 1000, 0).unwrap();
        assert_eq!(log.source_base(), "db-bin");
        log.begin(1).unwrap();
        assert_eq!(log.source_base(), "");
    }

    #[test]
    fn a_damaged_file_begins_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("relay.sqlite");
        std::fs::write(&path, vec![7; 8192]).unwrap();
        let log = RelayLog::open(&path, 1000, 0).unwrap();
        assert!(log.is_drained());
    }
}
