//! The files of the log: where one ends and the next begins, which may go, and who reads them.
//!
//! A file ends when it is full, when somebody says so, and when the node starts again, so that each start is seen in the
//! log. What ends it takes bytes too, as MySQL's Rotate and Stop events do. Files go by word (PURGE) or by age,
//! the latter when a new one begins; a file that a replica still reads stays, with all that follow it. As in MySQL a file's
//! age counts from when this node wrote it last: when its transactions were committed on their origin says nothing of
//! whether the nodes behind this one have had time to read them.
//!
//! A transaction does not write the length of its file: that is where the last one ends, unless what ended the file made it
//! longer. One row less to write for each commit.
//!
//! Invariant: the last file is never purged; places that were given out before stay good until their file goes.

use super::Binlog;
use crate::SqlError;
use crate::replication::gtids::{self, EXECUTED, PURGED};
use crate::replication::position::{DATA_POS, FIRST_POS, GTIDS_POS, LogPosition, POS_BITS};
use crate::replication::{columns, failed, now_ms, number, stored};
use database::Gtid;
use rusqlite::{Connection, OptionalExtension, params};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// What the event at the end of a file takes beside the next file's name, as in MySQL.
pub const ROTATE_BYTES: u64 = 31;
/// What the event takes that says that the node stopped.
pub const STOP_BYTES: u64 = 23;

/// A file of the log: its number, its length, and so its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogFile {
    /// Its number.
    pub file: u64,
    /// Its length in bytes.
    pub bytes: u64,
}

/// Who reads which file.
#[derive(Debug, Default)]
pub(super) struct Readers {
    next: AtomicU64,
    files: Mutex<BTreeMap<u64, u64>>,
}

/// One who reads the log; what he reads is not purged while this lives.
#[derive(Debug)]
pub struct Reading<'a> {
    readers: &'a Readers,
    id: u64,
}

impl Reading<'_> {
    /// He reads in this file now.
    pub fn at(&self, file: u64) {
        self.readers.files.lock().unwrap_or_else(PoisonError::into_inner).insert(self.id, file);
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        self.readers.files.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}

impl Binlog {
    /// Somebody begins to read in this file.
    pub fn reading(&self, file: u64) -> Reading<'_> {
        let id = self.readers.next.fetch_add(1, Ordering::Relaxed);
        let reading = Reading { readers: &self.readers, id };
        reading.at(file);
        reading
    }

    /// The first file that somebody reads.
    fn first_read(&self) -> u64 {
        let files = self.readers.files.lock().unwrap_or_else(PoisonError::into_inner);
        files.values().min().copied().unwrap_or(u64::MAX)
    }

    /// As the node starts: begins a new file unless the last one is empty.
    pub fn begin(&self, conn: &Connection) -> Result<(), SqlError> {
        if !self.enabled {
            // what is written from now on is not in it, should there be a log again
            return self.skipped(conn, true);
        }
        let last = head(conn)?;
        let first = first_place(conn, last.file)?;
        if first.is_some() || last.pos > DATA_POS {
            begin_file(conn)?;
            return self.expire(conn);
        }
        conn.execute(
            "UPDATE _evensum_binlog_files SET bytes = ?2 WHERE file = ?1",
            params![stored(last.file)?, stored(DATA_POS)?],
        )
        .map(drop)
        .map_err(failed)
    }

    /// As the node stops: says so at the end of the last file, unless that is empty.
    pub fn end(&self, conn: &Connection) -> Result<(), SqlError> {
        let last = head(conn)?;
        if !self.enabled || last.pos <= DATA_POS {
            return Ok(());
        }
        lengthen(conn, last, STOP_BYTES)
    }

    /// Begins a new file (FLUSH LOGS) and says where. What is too old goes.
    pub fn rotate(&self, conn: &Connection) -> Result<LogPosition, SqlError> {
        let last = head(conn)?;
        let name = self.file_name(LogPosition { file: last.file + 1, pos: 0 });
        lengthen(conn, last, ROTATE_BYTES + name.len() as u64)?;
        let next = begin_file(conn)?;
        self.expire(conn)?;
        Ok(next)
    }

    /// The last file takes no more transactions: the next one begins a new file. This writes nothing, and so needs no turn.
    pub fn rotate_next(&self, conn: &Connection) -> Result<(), SqlError> {
        if self.enabled {
            self.full.fetch_max(head(conn)?.file, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Forgets the files that were written last before the time that the log is to reach back to.
    fn expire(&self, conn: &Connection) -> Result<(), SqlError> {
        let seconds = self.expire_seconds.load(Ordering::Relaxed);
        let oldest = now_ms().saturating_sub(seconds.saturating_mul(1000));
        if seconds == 0 { Ok(()) } else { self.purge_older(conn, oldest) }
    }

    /// Forgets the files up to the first that this node wrote at this time (ms since 1970) or later.
    pub fn purge_older(&self, conn: &Connection, oldest_ms: u64) -> Result<(), SqlError> {
        let first_young: Option<i64> = conn
            .query_row(
                "SELECT min(file) FROM _evensum_binlog_files WHERE written_at_ms >= ?1",
                [stored(oldest_ms)?],
                |row| row.get(0),
            )
            .map_err(failed)?;
        let last = head(conn)?.file;
        self.purge_before(conn, first_young.map_or(last, number))
    }

    /// Forgets the files before `file` and before the first that somebody reads; what they held is purged.
    pub fn purge_before(&self, conn: &Connection, file: u64) -> Result<(), SqlError> {
        let file = file.min(self.first_read());
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
        for table in ["_evensum_binlog", "_evensum_binlog_rows", "_evensum_binlog_skipped"] {
            conn.execute(&format!("DELETE FROM {table} WHERE n < ?1"), [end]).map_err(failed)?;
        }
        conn.execute("DELETE FROM _evensum_binlog_files WHERE file < ?1", [stored(file)?]).map_err(failed)?;
        Ok(())
    }

    /// Forgets the whole log and every GTID (RESET MASTER); the next file has this number. Own numbers are not used again:
    /// a replica that had the transactions of before would pass over the new ones without a word.
    pub fn reset(&self, conn: &Connection, file: u64) -> Result<(), SqlError> {
        let history = history(conn)?;
        let used = gtids::highest(conn, EXECUTED, self.server_uuid())?.max(history.used);
        let sql = "SELECT EXISTS (SELECT 1 FROM _evensum_binlog)";
        let held: bool = conn.query_row(sql, [], |row| row.get(0)).map_err(failed)?;
        // Whoever stands at the beginning of an empty log still does.
        let same = !held && head(conn)? == LogPosition { file, pos: DATA_POS };
        conn.execute(
            "UPDATE _evensum_server SET used = ?1, resets = ?2",
            [stored(used)?, stored(history.resets + u64::from(!same))?],
        )
        .map_err(failed)?;
        self.full.store(0, Ordering::Relaxed);
        *self.last_own.lock().unwrap_or_else(PoisonError::into_inner) = None;
        conn.execute_batch(&format!(
            "DELETE FROM _evensum_binlog; DELETE FROM _evensum_binlog_rows; DELETE FROM _evensum_binlog_skipped; DELETE FROM _evensum_binlog_files; DELETE FROM {EXECUTED}; DELETE FROM {PURGED};
             INSERT INTO _evensum_binlog_files (file, bytes, written_at_ms) VALUES ({file}, {DATA_POS}, {});",
            now_ms()
        ))
        .map_err(failed)
    }
}

/// Files that an older node wrote have no time: their age begins now, which keeps them rather too long. The time is the
/// column's default, so that no file is ever seen without one.
pub(super) fn add_times(conn: &Connection) -> rusqlite::Result<()> {
    let definition = format!("INTEGER NOT NULL DEFAULT {}", now_ms());
    columns::add(conn, "_evensum_binlog_files", "written_at_ms", &definition)
}

/// What RESET MASTER does not forget.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// The highest number of this node's own transactions before the last reset; numbers go on behind it.
    pub used: u64,
    /// How often the log began anew.
    pub resets: u64,
}

/// What RESET MASTER left.
pub fn history(conn: &Connection) -> Result<History, SqlError> {
    conn.prepare_cached("SELECT used, resets FROM _evensum_server")
        .and_then(|mut query| {
            query.query_row([], |row| Ok(History { used: number(row.get(0)?), resets: number(row.get(1)?) }))
        })
        .map_err(failed)
}

/// A file of an older node does not say what was before a reset.
pub(super) fn add_history(conn: &Connection) -> rusqlite::Result<()> {
    for name in ["used", "resets"] {
        columns::add(conn, "_evensum_server", name, "INTEGER NOT NULL DEFAULT 0")?;
    }
    Ok(())
}

/// The files with their lengths, as SQL.
fn measured(rest: &str) -> String {
    format!(
        "SELECT file, max(bytes, coalesce((SELECT end_pos FROM _evensum_binlog
             WHERE n >= file << {POS_BITS} AND n < (file + 1) << {POS_BITS} ORDER BY n DESC LIMIT 1), 0))
         FROM _evensum_binlog_files {rest}"
    )
}

/// Where the next transaction goes.
pub fn head(conn: &Connection) -> Result<LogPosition, SqlError> {
    conn.prepare_cached(&measured("ORDER BY file DESC LIMIT 1"))
        .and_then(|mut query| {
            query.query_row([], |row| Ok(LogPosition { file: number(row.get(0)?), pos: number(row.get(1)?) }))
        })
        .map_err(failed)
}

/// Begins a new file without a word at the end of the one before, and says where.
pub fn rotate(conn: &Connection) -> Result<LogPosition, SqlError> {
    begin_file(conn)
}

fn begin_file(conn: &Connection) -> Result<LogPosition, SqlError> {
    let last = head(conn)?;
    // from here on nobody writes to the file before: its age begins
    lengthen(conn, last, 0)?;
    let next = LogPosition { file: last.file + 1, pos: DATA_POS };
    conn.execute(
        "INSERT INTO _evensum_binlog_files (file, bytes, written_at_ms) VALUES (?1, ?2, ?3)",
        [stored(next.file)?, stored(next.pos)?, stored(now_ms())?],
    )
    .map_err(failed)?;
    Ok(next)
}

/// Ends a file at this many bytes behind its end.
fn lengthen(conn: &Connection, file: LogPosition, bytes: u64) -> Result<(), SqlError> {
    conn.execute(
        "UPDATE _evensum_binlog_files SET bytes = ?2, written_at_ms = ?3 WHERE file = ?1",
        [stored(file.file)?, stored(file.pos + bytes)?, stored(now_ms())?],
    )
    .map(drop)
    .map_err(failed)
}

/// Where the first transaction of a file begins, if it has one.
pub fn first_place(conn: &Connection, file: u64) -> Result<Option<LogPosition>, SqlError> {
    let (from, to) = (LogPosition { file, pos: 0 }.key(), LogPosition { file: file + 1, pos: 0 }.key());
    conn.query_row(
        "SELECT n FROM _evensum_binlog WHERE n >= ?1 AND n < ?2 ORDER BY n LIMIT 1",
        [from, to],
        |row| row.get(0),
    )
    .optional()
    .map(|key: Option<i64>| key.map(LogPosition::of_key))
    .map_err(failed)
}

/// The transaction of the file that this place lies in, or the first one behind it; the place itself if there is none.
pub fn transaction_around(conn: &Connection, place: LogPosition) -> Result<LogPosition, SqlError> {
    let (from, to) =
        (LogPosition { pos: 0, ..place }.key(), LogPosition { file: place.file + 1, pos: 0 }.key());
    let found: Option<i64> = conn
        .query_row(
            "SELECT coalesce((SELECT max(n) FROM _evensum_binlog WHERE n >= ?1 AND n <= ?2),
                             (SELECT min(n) FROM _evensum_binlog WHERE n > ?2 AND n < ?3))",
            [from, place.key(), to],
            |row| row.get(0),
        )
        .map_err(failed)?;
    Ok(found.map_or(place, LogPosition::of_key))
}

/// The files, oldest first.
pub fn files(conn: &Connection) -> Result<Vec<LogFile>, SqlError> {
    let mut query = conn.prepare(&measured("ORDER BY file")).map_err(failed)?;
    query
        .query_map([], |row| Ok(LogFile { file: number(row.get(0)?), bytes: number(row.get(1)?) }))
        .and_then(Iterator::collect)
        .map_err(failed)
}

/// Whether an event begins at this place that a reader can begin with: one of a file's head, a transaction, what
/// follows the last one, or the end of the file.
pub fn is_boundary(conn: &Connection, position: LogPosition) -> Result<bool, SqlError> {
    if !files(conn)?.iter().any(|file| file.file == position.file) {
        return Ok(false);
    }
    if position.pos == FIRST_POS {
        return Ok(true);
    }
    if position.pos == GTIDS_POS || position.pos == DATA_POS {
        // A file of the time before there was a head has a transaction here.
        let first = first_place(conn, position.file)?;
        if first.is_none_or(|first| first.pos >= DATA_POS) {
            return Ok(true);
        }
    }
    conn.query_row(
        "SELECT EXISTS (SELECT 1 FROM _evensum_binlog WHERE n = ?1)
             OR EXISTS (SELECT 1 FROM _evensum_binlog_files WHERE file = ?2 AND bytes = ?3)
             OR (SELECT end_pos FROM _evensum_binlog WHERE n >= ?4 AND n < ?1 ORDER BY n DESC LIMIT 1) IS ?3",
        params![
            position.key(),
            stored(position.file)?,
            stored(position.pos)?,
            LogPosition { file: position.file, pos: 0 }.key()
        ],
        |row| row.get(0),
    )
    .map_err(failed)
}
