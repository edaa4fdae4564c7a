//! The source's side of a clone: streams its file as of one moment.
//!
//! One read transaction of SQLite holds still what is streamed; writers go on beside it. As long as it lives, SQLite
//! cannot fold its write-ahead log back into the file, so it lives only as long as somebody reads: a target that
//! stalls, or that reads more slowly than [`SLOWEST_BYTES_PER_SECOND`], is cut off. Memory is that of one batch or of
//! one row, whichever is larger; what the target has not read yet holds the writer of the stream up.
//!
//! Not here: who may ask for it.

use super::message::{
    Head, SNAPSHOT_VERSION, Tally, put_account, put_database, put_end, put_head, put_row, put_rows, put_table,
};
use crate::SqlError;
use crate::accounts::store;
use crate::protocol::command;
use crate::protocol::packets::PacketWriter;
use crate::protocol::results::put_error;
use crate::protocol::wire::{Fields, put_length};
use crate::replication::binlog::{self, Binlog};
use crate::replication::failed;
use crate::replication::gtids::{self, EXECUTED};
use crate::storage::catalog::Catalog;
use crate::storage::definition::{TableDef, quote};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params};
use std::io::{self, Write};
use std::time::{Duration, Instant};

/// How long one write to the target may stand still; whoever owns the stream sets it.
pub const STALL: Duration = Duration::from_secs(30);
/// A target may read this slowly, on the average, after its time of grace.
const SLOWEST_BYTES_PER_SECOND: u64 = 64 << 10;
/// How long a target may be slower than that at the beginning.
const GRACE: Duration = Duration::from_secs(60);
/// The longest life of a snapshot, however fast the target reads.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// A message of rows ends behind the row that passes this.
const BATCH_BYTES: usize = 64 << 10;

/// What a target asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// The format that it reads.
    pub version: u64,
    /// Its `server_id`.
    pub server_id: u32,
}

impl Request {
    /// The command that asks.
    #[must_use]
    pub fn command(server_id: u32) -> Vec<u8> {
        let mut request = vec![command::CLONE];
        put_length(&mut request, SNAPSHOT_VERSION);
        request.extend_from_slice(&server_id.to_le_bytes());
        request
    }

    /// Reads the request behind its command byte.
    #[must_use]
    pub fn read(packet: &[u8]) -> Option<Request> {
        let mut fields = Fields::new(packet);
        let request = Request { version: fields.length().ok()?, server_id: fields.u32().ok()? };
        fields.is_empty().then_some(request)
    }
}

/// Why the stream ended early.
enum Ended {
    /// The target is to be told.
    Error(SqlError),
    /// The target is gone.
    Gone(io::Error),
}

impl From<SqlError> for Ended {
    fn from(error: SqlError) -> Ended {
        Ended::Error(error)
    }
}

impl From<rusqlite::Error> for Ended {
    fn from(error: rusqlite::Error) -> Ended {
        Ended::Error(error.into())
    }
}

impl From<io::Error> for Ended {
    fn from(error: io::Error) -> Ended {
        Ended::Gone(error)
    }
}

/// Streams a snapshot to its end, or until the target goes away or `stopping` says so. What cannot be served is said
/// to the target.
pub fn serve<W: Write>(
    conn: &Connection,
    log: &Binlog,
    server_id: u32,
    request: Option<Request>,
    packets: &mut PacketWriter<W>,
    stopping: &dyn Fn() -> bool,
) -> io::Result<()> {
    let mut stream = Stream { conn, packets, stopping, began: Instant::now(), sent: Tally::default() };
    let ended = match request {
        Some(request) if request.version != SNAPSHOT_VERSION => Err(Ended::Error(SqlError::new(
            3864,
            "HY000",
            format!(
                "Clone Donor version: {SNAPSHOT_VERSION} is different from Recipient version {}.",
                request.version
            ),
        ))),
        Some(request) if request.server_id == server_id => Err(Ended::Error(SqlError::new(
            3871,
            "HY000",
            format!("Clone Donor and Recipient have the same server_id, {server_id}; it must be different."),
        ))),
        Some(_) => stream.send_all(log, server_id),
        None => Err(Ended::Error(SqlError::new(1835, "HY000", "Malformed communication packet."))),
    };
    match ended {
        Ok(()) => packets.flush(),
        Err(Ended::Error(error)) => {
            put_error(packets.open(), &error);
            packets.finish()?;
            packets.flush()
        }
        Err(Ended::Gone(error)) => Err(error),
    }
}

struct Stream<'a, W: Write> {
    conn: &'a Connection,
    packets: &'a mut PacketWriter<W>,
    stopping: &'a dyn Fn() -> bool,
    began: Instant,
    sent: Tally,
}

impl<W: Write> Stream<'_, W> {
    fn send_all(&mut self, log: &Binlog, server_id: u32) -> Result<(), Ended> {
        let snapshot = self.conn.unchecked_transaction()?;
        // the first read takes the snapshot, and all that follows reads in it
        let executed = gtids::read(&snapshot, EXECUTED)?;
        let place = binlog::head(&snapshot)?;
        let catalog = Catalog::read(&snapshot)?;
        let head = Head {
            server_id,
            server_uuid: log.server_uuid().to_owned(),
            place,
            log_name: log.file_name(place),
            executed,
            tables: catalog.tables().count() as u64,
            bytes: estimate(&snapshot)?,
        };
        self.put(|out| put_head(out, &head))?;
        for account in store::read(&snapshot)?.values() {
            let mut message = vec![0];
            put_account(&mut message, account)?;
            self.packets.packet(&message)?;
            self.sent.accounts += 1;
        }
        for (name, collation) in &catalog.databases {
            self.put(|out| put_database(out, name, collation))?;
            self.sent.databases += 1;
        }
        for table in catalog.tables() {
            self.send_table(table)?;
        }
        let sent = self.sent;
        self.put(|out| put_end(out, sent))
    }

    fn send_table(&mut self, table: &TableDef) -> Result<(), Ended> {
        let mut definition = vec![0];
        put_table(&mut definition, table, counter(self.conn, table)?.as_ref())?;
        self.packets.packet(&definition)?;
        self.sent.tables += 1;
        let names: Vec<String> = table.columns.iter().map(|column| quote(&column.name)).collect();
        // in the order of the table itself: another one would scatter the target's writes
        let sql = format!("SELECT {} FROM {} NOT INDEXED", names.join(", "), table.physical());
        let mut query = self.conn.prepare(&sql)?;
        let mut rows = query.query([])?;
        let mut more = true;
        while more {
            self.keep_pace()?;
            let out = self.packets.open();
            out.push(0);
            put_rows(out);
            let (start, mut count) = (out.len(), 0);
            let filled = loop {
                match rows.next() {
                    Ok(Some(row)) => {
                        if let Err(error) = put_row(out, row, names.len()) {
                            break Err(error);
                        }
                        count += 1;
                        if out.len() - start >= BATCH_BYTES {
                            break Ok(());
                        }
                    }
                    Ok(None) => {
                        more = false;
                        break Ok(());
                    }
                    Err(error) => break Err(error),
                }
            };
            let bytes = out.len() - start;
            if let Err(error) = filled {
                self.packets.abandon();
                return Err(error.into());
            }
            if count == 0 {
                self.packets.abandon();
                break;
            }
            self.packets.finish()?;
            self.sent.rows += count;
            self.sent.bytes += bytes as u64;
        }
        Ok(())
    }

    /// Sends one small message.
    fn put(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Result<(), Ended> {
        self.keep_pace()?;
        let out = self.packets.open();
        out.push(0);
        write(out);
        Ok(self.packets.finish()?)
    }

    /// An error if the node ends, or if the target is too slow for the snapshot to be kept for it.
    fn keep_pace(&self) -> Result<(), Ended> {
        let elapsed = self.began.elapsed();
        if (self.stopping)() {
            return Err(SqlError::new(1053, "08S01", "Server shutdown in progress").into());
        }
        if elapsed > LONGEST || is_too_slow(self.sent.bytes, elapsed) {
            let message = format!(
                "the snapshot was given up after {} s and {} bytes: whoever reads it is too slow",
                elapsed.as_secs(),
                self.sent.bytes
            );
            return Err(SqlError::new(1161, "08S01", message).into());
        }
        Ok(())
    }
}

/// Whether so much in this time is less than a target has to read.
pub(super) fn is_too_slow(bytes: u64, elapsed: Duration) -> bool {
    let counted = elapsed.saturating_sub(GRACE);
    counted.as_secs().saturating_mul(SLOWEST_BYTES_PER_SECOND) > bytes
}

/// The greatest automatic key that a table gave, if it remembers one.
fn counter(conn: &Connection, table: &TableDef) -> Result<Option<Value>, SqlError> {
    let mut query =
        conn.prepare_cached("SELECT value FROM _evensum_counters WHERE database = ?1 AND name = ?2")?;
    Ok(query.query_row(params![table.database, table.name], |row| row.get(0)).optional()?)
}

/// About how many bytes the rows have: the file without its free pages and without the log.
fn estimate(conn: &Connection) -> Result<u64, SqlError> {
    let pragma = |name: &str| -> Result<u64, SqlError> {
        let number: i64 = conn.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0)).map_err(failed)?;
        Ok(u64::try_from(number).unwrap_or(0))
    };
    let used = pragma("page_count")?.saturating_sub(pragma("freelist_count")?) * pragma("page_size")?;
    let log: u64 = binlog::files(conn)?.iter().map(|file| file.bytes).sum();
    Ok(used.saturating_sub(log))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_comes_back() {
        let command = Request::command(7);
        assert_eq!(command[0], command::CLONE);
        let expected = Request { version: SNAPSHOT_VERSION, server_id: 7 };
        assert_eq!(Request::read(&command[1..]), Some(expected));
        assert_eq!(Request::read(&command[1..4]), None);
        assert_eq!(Request::read(&[&command[1..], &[0]].concat()), None);
    }

    #[test]
    fn only_who_reads_too_slowly_is_cut_off() {
        let seconds = Duration::from_secs;
        assert!(!is_too_slow(0, GRACE));
        assert!(is_too_slow(0, GRACE + seconds(1)));
        assert!(!is_too_slow(SLOWEST_BYTES_PER_SECOND * 100, GRACE + seconds(100)));
        assert!(is_too_slow(SLOWEST_BYTES_PER_SECOND * 100, GRACE + seconds(101)));
    }
}
