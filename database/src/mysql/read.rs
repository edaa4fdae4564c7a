//! Reading: [`Reader`] for a server behind MySQL's protocol.
//!
//! Each call is one statement, so it sees one consistent state, but for `rows_by_key` with many keys, which is several
//! statements in one snapshot, and for pins, of which the chapter of `mysql` speaks.
//!
//! What a pin is certain of: of every write to a locked row; else of every write through the server's log. A write by
//! somebody else with `sql_log_bin=0` is no replicated write; where the log is looked at, a pin does not see it.

use super::binlog::{is_or_unknown, untouched};
use super::counted::{buckets, by_content, copies};
use super::digest;
use super::fault::Fault;
use super::filter;
use super::link::Link;
use super::locks::{Locked, locks_rows};
use super::{Connection, Watch};
use crate::dialect::{self, KEYS_PER_STATEMENT, Lock};
use crate::digest::Digest;
use crate::error::Result;
use crate::filter::Filters;
use crate::number::{by_chunk, is_numbered};
use crate::row::{Key, Row, Rows};
use crate::table::{Chunk, Column, Table};
use crate::{Pin, Position, Reader, Reference, RowsOf};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;
use tokio::time::timeout;

/// How long a transaction may be open that reads many rows by key: as long as it is, the server keeps what others change.
const SNAPSHOT_MOST: Duration = Duration::from_secs(60);
/// How many bytes of rows a reading of a chunk takes in before it ends early.
const CHUNK_BYTES: usize = 8 << 20;
/// How many bytes of different contents are held when rows without a key are counted.
const COPIES_BYTES: usize = 32 << 20;

impl Reader for Connection {
    async fn tables(&mut self) -> Result<Vec<Table>> {
        let tables = super::schema::tables(&mut self.main, &self.ledger, self.watch).await;
        tables.map_err(|fault| self.error(fault, "the list of tables"))
    }

    async fn position(&mut self) -> Result<Position> {
        let position = position(&mut self.main).await;
        position.map_err(|fault| self.error(fault, "the position of its log"))
    }

    async fn boundary(&mut self, chunk: &Chunk, rows: u64) -> Result<Option<Key>> {
        self.main.refresh().await;
        let columns: Vec<&Column> = chunk.table.key_columns().collect();
        let found = self.main.read(&dialect::boundary(chunk, rows), &columns, 1).await;
        let found = found.map_err(|fault| self.error_of(fault, &format!("reading {chunk}"), &chunk.table))?;
        Ok(found.iter().next().map(Key::from_bytes))
    }

    async fn estimate(&mut self, chunk: &Chunk) -> Result<Option<u64>> {
        if self.watch == Watch::Log {
            return Ok(None);
        }
        self.main.refresh().await;
        match self.main.ask(&dialect::estimate(chunk)).await {
            Ok(answer) => {
                let first = answer.rows.first().and_then(|row| answer.of(row, &["rows"]));
                Ok(first.and_then(|rows| rows.parse().ok()))
            }
            Err(fault) if fault.is_server() => Ok(None),
            Err(fault) => Err(self.error_of(fault, &format!("looking at {chunk}"), &chunk.table)),
        }
    }

    async fn digests(&mut self, chunks: &[Chunk]) -> Result<Option<Vec<Digest>>> {
        if !self.digests {
            return Ok(None);
        }
        self.main.refresh().await;
        let digests = digest::digests(&mut self.main, chunks).await;
        digests.map_err(|fault| match chunks {
            [chunk, ..] => self.error_of(fault, "digesting rows", &chunk.table),
            [] => self.error(fault, "digesting rows"),
        })
    }

    async fn rows(&mut self, chunk: &Chunk, limit: u64) -> Result<Rows> {
        self.rows_within(chunk, limit, CHUNK_BYTES).await
    }

    async fn rows_of(&mut self, chunks: &[Chunk], limit: u64) -> Result<Vec<Rows>> {
        let closed = chunks.iter().all(|chunk| chunk.lower.is_some() && chunk.upper.is_some());
        if let [Chunk { table, .. }, _, ..] = chunks
            && closed
            && is_numbered(table)
        {
            self.main.refresh().await;
            let columns: Vec<&Column> = table.columns.iter().collect();
            let most = limit.saturating_mul(chunks.len() as u64);
            let rows = self.main.read_some(&dialect::chunks(chunks, most), &columns, most, CHUNK_BYTES).await;
            let rows = rows.map_err(|fault| self.error_of(fault, &format!("reading {table}"), table))?;
            // which of the chunks it is that holds too much is not known
            if let Some(parts) = by_chunk(chunks, &rows).filter(|_| !rows.cut())
                && parts.iter().all(|part| (part.len() as u64) < limit)
            {
                return Ok(parts);
            }
        }
        let mut rows = Vec::with_capacity(chunks.len());
        for chunk in chunks {
            rows.push(self.rows_within(chunk, limit, CHUNK_BYTES / chunks.len()).await?);
        }
        Ok(rows)
    }

    async fn rows_by_key(&mut self, table: &Table, keys: &[Key]) -> Result<Vec<Option<Row>>> {
        self.main.refresh().await;
        let rows = if table.counted() {
            by_content(&mut self.main, table, keys).await
        } else if keys.len() <= KEYS_PER_STATEMENT {
            by_key(&mut self.main, table, keys, Lock::None).await
        } else {
            snapshot_by_key(&mut self.main, table, keys).await
        };
        rows.map_err(|fault| self.error_of(fault, &format!("reading rows of {table}"), table))
    }

    async fn pin(&mut self, rows: &[RowsOf<'_>]) -> Result<Pin> {
        self.release().await;
        self.main.refresh().await;
        let tables: Vec<(&Table, &[Key])> = rows.iter().map(|of| (of.table, of.keys)).collect();
        let pin = match self.watch {
            Watch::Log => log_pin(&mut self.main, &tables).await,
            Watch::Locks => self.lock_pin(&tables).await,
        };
        pin.map_err(|fault| match rows {
            [RowsOf { table, .. }, ..] => self.error_of(fault, "watching rows", table),
            [] => self.error(fault, "watching rows"),
        })
    }

    async fn still(&mut self, rows: &[RowsOf<'_>], pin: &Pin) -> Result<Vec<bool>> {
        if self.watch == Watch::Locks {
            let still = self.release().await;
            return Ok(if still.len() == pin.rows.len() { still } else { vec![false; pin.rows.len()] });
        }
        self.untouched(rows, &pin.since, Whose::Anybodys).await
    }

    async fn received_only(&mut self, rows: &[RowsOf<'_>], pin: &Pin) -> Result<Vec<bool>> {
        match self.watch {
            Watch::Locks => Ok(vec![false; pin.rows.len()]),
            Watch::Log => self.untouched(rows, &pin.since, Whose::Own).await,
        }
    }

    async fn unwritten_since(&mut self, rows: &[RowsOf<'_>], position: &Position) -> Result<Vec<bool>> {
        if self.watch == Watch::Log {
            return self.untouched(rows, position, Whose::Anybodys).await;
        }
        let tables: Vec<&Table> = rows.iter().map(|of| of.table).collect();
        // a server that does not show its log vouches for nothing
        let untouched = match untouched(&mut self.main, &tables, position, &self.ledger).await {
            Err(Fault::Server { .. }) => vec![false; tables.len()],
            answer => answer.map_err(|fault| self.error(fault, "asking what its log holds"))?,
        };
        Ok(rows.iter().zip(untouched).flat_map(|(of, still)| of.keys.iter().map(move |_| still)).collect())
    }

    fn makes_digests(&self) -> bool {
        self.digests
    }

    fn pins_lock(&self) -> bool {
        self.watch == Watch::Locks
    }

    async fn in_the_way(&mut self) -> Result<bool> {
        let waited_for = self.waited_for().await;
        waited_for.map_err(|fault| self.error(fault, "asking who waits for rows"))
    }

    async fn filters(&mut self) -> Result<Filters> {
        let filters = filter::of_server(&mut self.main).await;
        filters.map_err(|fault| self.error(fault, "its replication filters"))
    }

    async fn logs_rows(&mut self) -> Result<bool> {
        let rows = is_or_unknown(&mut self.main, "binlog_format", &["ROW"]).await;
        rows.map_err(|fault| self.error(fault, "the format of its log"))
    }

    async fn references(&mut self) -> Result<Vec<Reference>> {
        if self.watch == Watch::Log {
            return Ok(Vec::new());
        }
        let references = super::schema::references(&mut self.main).await;
        references.map_err(|fault| self.error(fault, "the list of foreign keys"))
    }

    fn counts(&self) -> bool {
        self.watch == Watch::Locks
    }

    async fn buckets(&mut self, table: &Table, digits: u32) -> Result<BTreeMap<u32, Digest>> {
        self.main.refresh().await;
        let buckets = buckets(&mut self.main, table, digits).await;
        buckets.map_err(|fault| self.error(fault, &format!("counting {table}")))
    }

    async fn copies(&mut self, table: &Table, digits: u32, chosen: &[u32]) -> Result<Rows> {
        self.main.refresh().await;
        let rows = copies(&mut self.main, table, digits, chosen, COPIES_BYTES).await;
        rows.map_err(|fault| self.error(fault, &format!("counting rows of {table}")))
    }
}

impl Connection {
    /// The rows of a chunk, at most so many of them and about so many bytes.
    async fn rows_within(&mut self, chunk: &Chunk, limit: u64, bytes: usize) -> Result<Rows> {
        self.main.refresh().await;
        let columns: Vec<&Column> = chunk.table.columns.iter().collect();
        let rows = self.main.read_some(&dialect::chunk(chunk, limit), &columns, limit, bytes).await;
        rows.map_err(|fault| self.error_of(fault, &format!("reading {chunk}"), &chunk.table))
    }

    /// Of which rows it is certain that no such transaction is in the log since the pin.
    async fn untouched(&mut self, rows: &[RowsOf<'_>], since: &Position, whose: Whose) -> Result<Vec<bool>> {
        let mut untouched = Vec::new();
        for RowsOf { table, keys } in rows {
            match changes(&mut self.main, table, since, whose).await {
                Ok(changed) => untouched.extend(keys.iter().map(|key| !changed.contains(key))),
                // the log does not reach back, or the definition changed: nothing is certain
                Err(Fault::Server { .. }) => untouched.extend(keys.iter().map(|_| false)),
                Err(fault) => return Err(self.error(fault, &format!("asking for changes of {table}"))),
            }
        }
        Ok(untouched)
    }

    /// Locks the rows of those tables that can lock them by key. The others are only read.
    async fn lock_pin(&mut self, tables: &[(&Table, &[Key])]) -> std::result::Result<Pin, Fault> {
        let mut locking = Vec::new();
        for (table, _) in tables {
            locking.push(!table.counted() && locks_rows(&mut self.main, table).await?);
        }
        let pick = |locks: bool| tables.iter().zip(&locking).filter(move |(_, can)| **can == locks);
        let lockable: Vec<(&Table, &[Key])> = pick(true).map(|(of, _)| *of).collect();
        let mut locked = match lockable.is_empty() {
            true => Locked { rows: Vec::new(), held: Vec::new() },
            false => self.lock(&lockable).await?,
        };
        let (mut rows, mut held) = (Vec::new(), Vec::new());
        for ((table, keys), locks) in tables.iter().zip(&locking) {
            if *locks {
                rows.extend(locked.rows.drain(..keys.len()));
                held.extend(locked.held.drain(..keys.len()));
            } else {
                rows.extend(read_unlocked(&mut self.main, table, keys).await?);
                held.extend(keys.iter().map(|_| false));
            }
        }
        if let Some(holding) = &mut self.held {
            holding.rows = held;
        }
        Ok(Pin { rows, since: Position::default() })
    }
}

/// Rows by key, or by content where there is no key, without a lock.
pub(super) async fn read_unlocked(
    link: &mut Link,
    table: &Table,
    keys: &[Key],
) -> std::result::Result<Vec<Option<Row>>, Fault> {
    match table.counted() {
        true => by_content(link, table, keys).await,
        false => by_key(link, table, keys, Lock::None).await,
    }
}

/// Where the server's log ends; empty where there is no log.
pub(super) async fn position(link: &mut Link) -> std::result::Result<Position, Fault> {
    let answer = match link.ask("SHOW MASTER STATUS").await {
        Err(Fault::Server { number: super::SYNTAX, .. }) => link.ask("SHOW BINARY LOG STATUS").await?,
        answer => answer?,
    };
    let part = |index: usize| answer.rows.first().and_then(|row| row.get(index)?.as_deref());
    Ok(match (part(0), part(1)) {
        (Some(file), Some(position)) => Position(format!("{file}:{position}").into()),
        _ => Position::default(),
    })
}

/// The rows with these keys, in the order of the keys. A key is found by its bytes: where a collation takes two
/// keys for one, the row with the other one is not this row.
pub(super) async fn by_key(
    link: &mut Link,
    table: &Table,
    keys: &[Key],
    lock: Lock,
) -> std::result::Result<Vec<Option<Row>>, Fault> {
    let columns: Vec<&Column> = table.columns.iter().collect();
    let mut found: HashMap<Key, Row> = HashMap::with_capacity(keys.len());
    for some in keys.chunks(KEYS_PER_STATEMENT) {
        let sql = dialect::rows_by_key(table, some, lock);
        let rows = link.read(&sql, &columns, some.len() as u64).await?;
        found.extend(rows.iter().map(|row| (table.key_of(row), Row::from_bytes(row))));
    }
    Ok(keys.iter().map(|key| found.get(key).cloned()).collect())
}

async fn snapshot_by_key(
    link: &mut Link,
    table: &Table,
    keys: &[Key],
) -> std::result::Result<Vec<Option<Row>>, Fault> {
    link.run("START TRANSACTION WITH CONSISTENT SNAPSHOT").await?;
    let rows = in_time(by_key(link, table, keys, Lock::None)).await;
    end_snapshot(link, rows).await
}

/// Rows of several tables and the position of the log, in one snapshot.
pub(super) async fn log_pin(link: &mut Link, tables: &[(&Table, &[Key])]) -> std::result::Result<Pin, Fault> {
    link.run("START TRANSACTION WITH CONSISTENT SNAPSHOT").await?;
    let pin = in_time(log_pin_inside(link, tables)).await;
    end_snapshot(link, pin).await
}

async fn log_pin_inside(link: &mut Link, tables: &[(&Table, &[Key])]) -> std::result::Result<Pin, Fault> {
    let since = position(link).await?;
    let mut rows = Vec::new();
    for (table, keys) in tables {
        rows.extend(by_key(link, table, keys, Lock::None).await?);
    }
    Ok(Pin { rows, since })
}

/// The work of a transaction, which may be many statements, but not longer than [`SNAPSHOT_MOST`].
async fn in_time<T>(
    work: impl Future<Output = std::result::Result<T, Fault>>,
) -> std::result::Result<T, Fault> {
    timeout(SNAPSHOT_MOST, work).await.unwrap_or(Err(Fault::Slow(SNAPSHOT_MOST)))
}

/// Ends a transaction that only read: by COMMIT, or by closing the connection if anything went wrong in it.
async fn end_snapshot<T>(
    link: &mut Link,
    result: std::result::Result<T, Fault>,
) -> std::result::Result<T, Fault> {
    match result {
        Ok(value) => link.run("COMMIT").await.map(|_| value),
        Err(fault) => {
            link.close();
            Err(fault)
        }
    }
}

/// Of whose transactions changes are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// All that the log holds.
    Anybodys,
    /// Those that began on this node.
    Own,
}

/// The keys of a table that the log holds since a position, as this session sees the log.
pub(super) async fn changes(
    link: &mut Link,
    table: &Table,
    since: &Position,
    whose: Whose,
) -> std::result::Result<HashSet<Key>, Fault> {
    let Some((file, offset)) = since.0.rsplit_once(':') else {
        return Err(Fault::Odd(format!("'{since}' is no position of a log")));
    };
    if &*table.key_name != "PRIMARY" {
        // the server answers in primary keys; another key of as many columns would be taken for it
        let message = format!("{table} has no primary key by which its log could be asked");
        return Err(Fault::Server { number: NO_KEY, message });
    }
    let columns: Vec<&Column> = table.key_columns().collect();
    let sql = format!(
        "SHOW BINLOG CHANGES FOR {} FROM '{}' {offset}{}",
        dialect::table_name(table),
        file.replace('\'', "''"),
        if whose == Whose::Own { " LOCAL" } else { "" }
    );
    let rows = link.read(&sql, &columns, CHANGES_MOST).await?;
    Ok(rows.iter().map(Key::from_bytes).collect())
}

/// "This table type requires a primary key".
const NO_KEY: u16 = 1173;
/// How many changed keys are taken in; the bundled node ends its list there too.
const CHANGES_MOST: u64 = 1_000_000;
