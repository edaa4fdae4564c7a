//! The binary log: a table beside the data, written in the same transaction.
//!
//! So there is no moment at which a change is in one and not in the other, and no recovery that has to decide.
//! Everything (places, GTIDs, files) is read from the tables inside the caller's transaction and nothing is
//! cached, so a transaction that is rolled back leaves no trace. Writers are serial (SQLite has one), so rows
//! become visible in the order of their places.
//!
//! The log can be off; then own transactions have no GTID, and those of sources are noted as executed and no more.
//!
//! Invariant: places and own sequence numbers grow without a gap in commit order. Not here: who may write, and the
//! files (`files`).

mod files;

pub use self::files::{
    History, LogFile, Reading, STOP_BYTES, files, first_place, head, history, is_boundary, rotate,
    transaction_around,
};
use super::filters::Databases;
use super::gtids::{self, EXECUTED, PURGED};
use super::position::{DATA_POS, HEADER_BYTES, LogPosition};
use super::record::Record;
use super::{encoding, failed, now_ms, number, stored};
use crate::SqlError;
use crate::change::{Body, Change};
use database::{Gtid, GtidSet};
use rusqlite::{Connection, OptionalExtension, params};
use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How many transactions [`Binlog::read`] gives at once, at most.
const BATCH_ROWS: usize = 512;
/// How many bytes of payload [`Binlog::read`] gives at once: it stops after the transaction that passes this.
const BATCH_BYTES: usize = 4 << 20;

/// What the configuration says of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The base name of the files.
    pub base: String,
    /// A file ends when it is this long (bytes).
    pub max_file_bytes: u64,
    /// Whether there is a log at all.
    pub enabled: bool,
    /// Whether what comes from sources is logged.
    pub log_replica_updates: bool,
    /// Which databases are logged.
    pub databases: Databases,
    /// Files that this node wrote last longer ago go when a new one begins (seconds); 0 for never.
    pub expire_seconds: u64,
}

impl Options {
    /// A log with these files, for everything and for ever.
    #[must_use]
    pub fn plain(base: &str, max_file_bytes: u64) -> Options {
        Options {
            base: base.to_owned(),
            max_file_bytes,
            enabled: true,
            log_replica_updates: true,
            databases: Databases::default(),
            expire_seconds: 0,
        }
    }
}

/// How many commits there were, and how many wait for more.
#[derive(Debug, Default)]
struct Commits {
    count: u64,
    waiting: u32,
}

/// The log of one node. It holds no connection: callers bring theirs.
#[derive(Debug)]
pub struct Binlog {
    base: String,
    server_uuid: Box<str>,
    enabled: bool,
    log_replica_updates: bool,
    databases: Databases,
    max_file_bytes: AtomicU64,
    expire_seconds: AtomicU64,
    /// Files up to this one take no more transactions.
    full: AtomicU64,
    last_own: gtids::Guess,
    readers: files::Readers,
    commits: Mutex<Commits>,
    grown: Condvar,
    closed: AtomicBool,
}

impl Binlog {
    /// As [`Binlog::open_with`], with [`Options::plain`].
    pub fn open(conn: &Connection, base: &str, max_file_bytes: u64) -> Result<Binlog, SqlError> {
        Binlog::open_with(conn, Options::plain(base, max_file_bytes))
    }

    /// Creates the tables where they are missing and reads (or makes) the node's uuid. The connection must be
    /// free to write.
    pub fn open_with(conn: &Connection, options: Options) -> Result<Binlog, SqlError> {
        create(conn).map_err(failed)?;
        let server_uuid: String =
            conn.query_row("SELECT uuid FROM _evensum_server", [], |row| row.get(0)).map_err(failed)?;
        Ok(Binlog {
            base: options.base,
            server_uuid: server_uuid.into(),
            enabled: options.enabled,
            log_replica_updates: options.log_replica_updates,
            databases: options.databases,
            max_file_bytes: AtomicU64::new(options.max_file_bytes),
            expire_seconds: AtomicU64::new(options.expire_seconds),
            full: AtomicU64::new(0),
            last_own: gtids::Guess::default(),
            readers: files::Readers::default(),
            commits: Mutex::default(),
            grown: Condvar::new(),
            closed: AtomicBool::new(false),
        })
    }

    /// Whether there is a log.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// Which databases are logged.
    #[must_use]
    pub fn databases(&self) -> &Databases {
        &self.databases
    }

    /// A file ends when it is this long (bytes), from now on.
    pub fn set_max_file_bytes(&self, bytes: u64) {
        self.max_file_bytes.store(bytes, Ordering::Relaxed);
    }

    /// Files older than this go (seconds), from the next file on; 0 for never.
    pub fn set_expire_seconds(&self, seconds: u64) {
        self.expire_seconds.store(seconds, Ordering::Relaxed);
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

    /// Writes a transaction in the caller's transaction. Without a GTID it is this node's own and gets the next one.
    /// Gives the GTID if it is logged, and none if the log is off or leaves it out.
    ///
    /// A GTID that has been executed here already is an error, so that nothing is ever executed twice.
    pub fn append(
        &self,
        conn: &Connection,
        gtid: Option<Gtid>,
        server_id: u32,
        committed_at_ms: u64,
        body: &Body,
    ) -> Result<Option<Gtid>, SqlError> {
        let own = gtid.is_none();
        if own && self.hides(body) || !own && (!self.log_replica_updates || self.hides(body)) {
            self.skipped(conn, own)?;
        }
        let Some(body) = self.logged(body, own) else { return Ok(None) };
        let gtid = match gtid {
            Some(gtid) if gtids::insert(conn, EXECUTED, &gtid)? => gtid,
            Some(gtid) => {
                return Err(SqlError::internal(format!("transaction {gtid} has already been executed")));
            }
            // Replicas know the numbers from before a RESET MASTER, and would take another transaction of theirs for executed.
            None => {
                let used = |conn: &Connection| history(conn).map(|history| history.used);
                gtids::insert_next(conn, EXECUTED, &self.server_uuid, used, &self.last_own)?
            }
        };
        if !self.enabled || !own && !self.log_replica_updates {
            // A replica that asks for it must hear that it cannot have it here.
            gtids::insert(conn, PURGED, &gtid)?;
            return Ok(None);
        }
        let payload = encoding::encode(&body);
        let mut at = head(conn)?;
        let full = at.file <= self.full.load(Ordering::Relaxed);
        if full || at.pos >= self.max_file_bytes.load(Ordering::Relaxed) {
            at = self.rotate(conn)?;
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
        Ok(Some(gtid))
    }

    /// Whether the log leaves something of a body out that writes a table of a database that it does not leave out: a
    /// statement counts by the default database.
    fn hides(&self, body: &Body) -> bool {
        !self.databases.is_empty() && self.databases.hides(body)
    }

    /// What of a body is logged. Of a source's transaction at least its GTID.
    fn logged<'a>(&self, body: &'a Body, own: bool) -> Option<Cow<'a, Body>> {
        if own && !self.enabled {
            return None;
        }
        if self.databases.is_empty() {
            return Some(Cow::Borrowed(body));
        }
        match self.databases.leave(body) {
            Some(left) => Some(Cow::Owned(left)),
            None if own => None,
            None => Some(Cow::Owned(Body::Rows(Vec::new()))),
        }
    }

    /// Keeps which rows the statements of the transaction appended last changed here, for `SHOW BINLOG CHANGES`. They
    /// stay beside the log: another node that runs these statements changes rows of its own.
    pub fn touched(&self, conn: &Connection, changes: &[Change]) -> Result<(), SqlError> {
        if changes.is_empty() {
            return Ok(());
        }
        conn.prepare_cached(
            "INSERT INTO _evensum_binlog_rows (n, payload) SELECT max(n), ?1 FROM _evensum_binlog",
        )
        .and_then(|mut insert| insert.execute([encoding::encode_rows(changes)]))
        .map(drop)
        .map_err(failed)
    }

    /// Keeps that a transaction which the log does not wholly hold was committed here. One of this node's own, or not.
    pub(super) fn skipped(&self, conn: &Connection, own: bool) -> Result<(), SqlError> {
        let at = head(conn)?.key();
        conn.prepare_cached(
            "INSERT INTO _evensum_binlog_skipped (n, own) VALUES (?1, ?2)
             ON CONFLICT (n) DO UPDATE SET own = max(own, excluded.own)",
        )
        .and_then(|mut insert| insert.execute(params![at, own]))
        .map(drop)
        .map_err(failed)
    }

    /// A commit with a call of [`Binlog::append`] in it is done: those who wait look again.
    pub fn committed(&self) {
        let mut commits = self.count();
        commits.count += 1;
        // A wake costs a call of the kernel, and mostly nobody waits.
        if commits.waiting > 0 {
            self.grown.notify_all();
        }
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
        self.count().count
    }

    fn count(&self) -> MutexGuard<'_, Commits> {
        self.commits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until there were more commits than `seen`, or for `timeout`.
    pub fn wait(&self, seen: u64, timeout: Duration) {
        let mut commits = self.count();
        commits.waiting += 1;
        let waited = self.grown.wait_timeout_while(commits, timeout, |commits| commits.count <= seen);
        waited.unwrap_or_else(PoisonError::into_inner).0.waiting -= 1;
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

    /// The transaction before this place, if there is one.
    pub fn last_before(&self, conn: &Connection, place: LogPosition) -> Result<Option<Gtid>, SqlError> {
        conn.query_row(
            "SELECT origin, sequence FROM _evensum_binlog WHERE n < ?1 ORDER BY n DESC LIMIT 1",
            [place.key()],
            |row| Ok(Gtid { origin: row.get::<_, String>(0)?.into(), sequence: number(row.get(1)?) }),
        )
        .optional()
        .map_err(failed)
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

fn create(conn: &Connection) -> rusqlite::Result<()> {
    conn.execute_batch(
        "CREATE TABLE IF NOT EXISTS _evensum_binlog (n INTEGER PRIMARY KEY, end_pos INTEGER NOT NULL,
            origin TEXT NOT NULL, sequence INTEGER NOT NULL, server_id INTEGER NOT NULL,
            committed_at_ms INTEGER NOT NULL, payload BLOB NOT NULL);
         CREATE TABLE IF NOT EXISTS _evensum_binlog_rows (n INTEGER PRIMARY KEY, payload BLOB NOT NULL);
         CREATE TABLE IF NOT EXISTS _evensum_binlog_skipped (n INTEGER PRIMARY KEY, own INTEGER NOT NULL);
         CREATE TABLE IF NOT EXISTS _evensum_binlog_files (file INTEGER PRIMARY KEY, bytes INTEGER NOT NULL,
            written_at_ms INTEGER NOT NULL);
         CREATE TABLE IF NOT EXISTS _evensum_server (uuid TEXT NOT NULL);",
    )?;
    files::add_times(conn)?;
    files::add_history(conn)?;
    gtids::create(conn)?;
    let known: Option<i64> =
        conn.query_row("SELECT 1 FROM _evensum_server", [], |row| row.get(0)).optional()?;
    if known.is_none() {
        let uuid = new_uuid(conn)?;
        conn.execute("INSERT INTO _evensum_server (uuid) VALUES (?1)", [uuid])?;
        conn.execute(
            "INSERT OR IGNORE INTO _evensum_binlog_files (file, bytes, written_at_ms) VALUES (1, ?1, ?2)",
            [stored(DATA_POS).unwrap_or(0), stored(now_ms()).unwrap_or(0)],
        )?;
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
