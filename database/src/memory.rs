//! The model: a cluster of databases in memory, to which every real implementation is held.
//!
//! Each node has tables, which are ordered maps, and a log. A write is applied and logged in one step. Links carry
//! log entries from node to node, one at a time and only when the owner says so ([`Cluster::deliver`]), so that a
//! test decides what is on its way at any moment. A node ignores entries that began there and passes on the others,
//! so rings of any size work. The last entry applied wins, silently, as in MySQL.
//!
//! Keys are ordered by their encoding. A table without a key holds contents with their copies, as [`Table::as_multiset`] says;
//! a write sets the number of copies. Rows are watched by the log, or locked ([`locks`]).
//!
//! What the model leaves out: conditions ([`Table::filter`] is refused), failures of any kind; stops of replication are only counted.

use crate::digest::Digest;
use crate::edit::{Edit, Mending};
use crate::error::{Error, Result};
use crate::ledger::{Checksum, Ledger, Watermark};
use crate::row::{Key, Row, Rows};
use crate::table::{Chunk, Table};
use crate::value::Value;
use crate::{Pin, Position, Reader, RowsOf, Writer};
use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

mod locks;

use locks::Locks;

/// What a log holds.
#[derive(Clone, Debug)]
struct Entry {
    origin: usize,
    what: What,
}

#[derive(Clone, Debug)]
enum What {
    /// `before`: whether the row was there when it was written.
    Row {
        table: String,
        key: Key,
        before: bool,
        after: Option<Row>,
    },
    Mark {
        run: String,
        watermark: Watermark,
    },
    Checksum(Checksum),
}

#[derive(Default)]
struct NodeState {
    tables: Vec<Arc<Table>>,
    rows: BTreeMap<String, BTreeMap<Key, Row>>,
    marks: Vec<(String, Watermark)>,
    checksums: Vec<Checksum>,
    log: Vec<Entry>,
    locks: Locks,
}

impl NodeState {
    fn apply(&mut self, entry: &Entry) {
        match &entry.what {
            What::Row { table, key, after, .. } => self.put(table, key, after.as_ref()),
            What::Mark { run, watermark } => self.marks.push((run.clone(), watermark.clone())),
            What::Checksum(checksum) => self.checksums.push(checksum.clone()),
        }
        self.log.push(entry.clone());
    }

    fn put(&mut self, table: &str, key: &Key, after: Option<&Row>) {
        let rows = self.rows.entry(table.to_owned()).or_default();
        match after {
            Some(row) => rows.insert(key.clone(), row.clone()),
            None => rows.remove(key),
        };
    }

    /// Whether the log holds a write to the row since a place, by any node or by the one named.
    fn touched(&self, table: &str, key: &Key, since: usize, by: Option<usize>) -> bool {
        self.log
            .iter()
            .skip(since)
            .filter(|entry| by.is_none_or(|origin| entry.origin == origin))
            .any(|entry| matches!(&entry.what, What::Row { table: t, key: k, .. } if t == table && k == key))
    }
}

/// One link, and how much of its source's log has arrived.
struct Link {
    source: usize,
    replica: usize,
    delivered: usize,
}

struct State {
    nodes: Vec<NodeState>,
    links: Vec<Link>,
    /// Whether a guard locks rows.
    locking: bool,
    /// At how many changes replication would have stopped.
    stops: usize,
}

/// Nodes and links; a handle that can be cloned.
#[derive(Clone)]
pub struct Cluster {
    state: Arc<Mutex<State>>,
    names: Arc<[Box<str>]>,
}

impl Cluster {
    /// A ring of `size` nodes, named n1, n2 and so on; two nodes are a pair of masters.
    #[must_use]
    pub fn ring(size: usize) -> Cluster {
        let nodes = (0..size).map(|_| NodeState::default()).collect();
        let links =
            (0..size).map(|source| Link { source, replica: (source + 1) % size, delivered: 0 }).collect();
        Cluster {
            state: Arc::new(Mutex::new(State { nodes, links, locking: false, stops: 0 })),
            names: (1..=size).map(|n| format!("n{n}").into()).collect(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Defines a table on one node.
    pub fn define(&self, node: usize, table: &Table) {
        self.state().nodes[node].tables.push(Arc::new(table.clone()));
    }

    /// The application writes a row, or deletes one, on a node.
    pub fn write(&self, node: usize, table: &Table, key: &Key, after: Option<Row>) {
        let what = What::Row { table: table.to_string(), key: key.clone(), before: false, after };
        self.state().nodes[node].write(Entry { origin: node, what });
    }

    /// Somebody writes a row behind the log's back.
    pub fn corrupt(&self, node: usize, table: &Table, key: &Key, after: Option<&Row>) {
        self.state().nodes[node].put(&table.to_string(), key, after);
    }

    /// Carries the next entry over link `link`; false if there is none, or if it waits for a row.
    pub fn deliver(&self, link: usize) -> bool {
        let mut state = self.state();
        let Link { source, replica, delivered } = state.links[link];
        let Some(entry) = state.nodes[source].log.get(delivered).cloned() else { return false };
        let arrives = entry.origin != replica;
        if arrives && state.nodes[replica].locks.hold_back(&entry) {
            return false;
        }
        state.links[link].delivered += 1;
        if arrives {
            let skips = state.locking;
            state.stops += usize::from(state.nodes[replica].receive(&entry, skips));
        }
        true
    }

    /// How many links there are.
    #[must_use]
    pub fn links(&self) -> usize {
        self.state().links.len()
    }

    /// Carries everything everywhere.
    pub fn deliver_all(&self) {
        while (0..self.links()).any(|link| self.deliver(link)) {}
    }

    /// The rows of a table on a node.
    #[must_use]
    pub fn contents(&self, node: usize, table: &Table) -> BTreeMap<Key, Row> {
        self.state().nodes[node].rows.get(&table.to_string()).cloned().unwrap_or_default()
    }

    /// How many checksum rows a node shows.
    #[must_use]
    pub fn checksums(&self, node: usize) -> Vec<Checksum> {
        self.state().nodes[node].checksums.clone()
    }

    /// How long a node's log is.
    #[must_use]
    pub fn log_length(&self, node: usize) -> usize {
        self.state().nodes[node].log.len()
    }

    /// A connection to a node.
    #[must_use]
    pub fn connect(&self, node: usize) -> Connection {
        Connection { cluster: self.clone(), node }
    }

    fn log(&self, node: usize, what: What) {
        self.state().nodes[node].apply(&Entry { origin: node, what });
    }
}

/// A connection to one node of a [`Cluster`].
#[derive(Clone)]
pub struct Connection {
    cluster: Cluster,
    node: usize,
}

impl Connection {
    fn name(&self) -> String {
        self.cluster.names[self.node].to_string()
    }

    /// A reading of a range, which a filter would limit.
    fn walk<T>(&self, table: &Table, reading: impl FnOnce(&BTreeMap<Key, Row>) -> T) -> Result<T> {
        if table.filter.is_some() {
            let reason = "the model in memory knows no conditions".to_owned();
            return Err(Error::Schema { node: self.name(), reason });
        }
        self.read(table, reading)
    }

    fn read<T>(&self, table: &Table, reading: impl FnOnce(&BTreeMap<Key, Row>) -> T) -> Result<T> {
        let state = self.cluster.state();
        let empty = BTreeMap::new();
        Ok(reading(state.nodes[self.node].rows.get(&table.to_string()).unwrap_or(&empty)))
    }

    fn twice(&self, what: &str) -> Error {
        let reason = "the ledger has a row with this key already".to_owned();
        Error::Refused { node: self.name(), what: what.to_owned(), reason, grant: None }
    }

    fn since(&self) -> Position {
        Position(self.cluster.state().nodes[self.node].log.len().to_string().into())
    }
}

fn log_length(since: &Position) -> usize {
    since.0.parse().unwrap_or(0)
}

/// The rows of a chunk, in key order.
fn inside<'a>(all: &'a BTreeMap<Key, Row>, chunk: &'a Chunk) -> impl Iterator<Item = (&'a Key, &'a Row)> {
    all.iter()
        .skip_while(|(key, _)| chunk.lower.as_ref().is_some_and(|lower| *key < lower))
        .take_while(|(key, _)| chunk.upper.as_ref().is_none_or(|upper| *key < upper))
}

impl Reader for Connection {
    async fn tables(&mut self) -> Result<Vec<Table>> {
        let mut tables: Vec<Table> =
            self.cluster.state().nodes[self.node].tables.iter().map(|table| Table::clone(table)).collect();
        for table in &mut tables {
            table.rows_estimate = self.read(table, |rows| rows.len() as u64)?;
        }
        tables.sort_by(|a, b| (&a.database, &a.name).cmp(&(&b.database, &b.name)));
        Ok(tables)
    }

    async fn position(&mut self) -> Result<Position> {
        Ok(self.since())
    }

    async fn boundary(&mut self, chunk: &Chunk, rows: u64) -> Result<Option<Key>> {
        let skip = usize::try_from(rows).unwrap_or(usize::MAX);
        self.walk(&chunk.table, |all| inside(all, chunk).nth(skip).map(|(key, _)| key.clone()))
    }

    async fn digests(&mut self, chunks: &[Chunk]) -> Result<Option<Vec<Digest>>> {
        let mut digests = Vec::with_capacity(chunks.len());
        for chunk in chunks {
            digests.push(Digest::of(&chunk.table, &self.rows(chunk, u64::MAX).await?));
        }
        Ok(Some(digests))
    }

    async fn rows(&mut self, chunk: &Chunk, limit: u64) -> Result<Rows> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        self.walk(&chunk.table, |all| {
            let mut rows = Rows::new();
            inside(all, chunk).take(limit).for_each(|(_, row)| rows.push(row));
            if rows.len() == limit {
                rows.mark_cut();
            }
            rows
        })
    }

    async fn rows_by_key(&mut self, table: &Table, keys: &[Key]) -> Result<Vec<Option<Row>>> {
        self.read(table, |rows| keys.iter().map(|key| rows.get(key).cloned()).collect())
    }

    async fn pin(&mut self, rows: &[RowsOf<'_>]) -> Result<Pin> {
        // nothing can come between: nothing here waits
        let (since, mut pinned) = (self.since(), Vec::new());
        for of in rows {
            pinned.extend(self.rows_by_key(of.table, of.keys).await?);
        }
        Ok(Pin { rows: pinned, since })
    }

    async fn still(&mut self, rows: &[RowsOf<'_>], pin: &Pin) -> Result<Vec<bool>> {
        let (state, since) = (self.cluster.state(), log_length(&pin.since));
        let node = &state.nodes[self.node];
        let of_table = |of: &RowsOf<'_>| {
            let table = of.table.to_string();
            of.keys.iter().map(|key| !node.touched(&table, key, since, None)).collect::<Vec<bool>>()
        };
        Ok(rows.iter().flat_map(of_table).collect())
    }

    async fn received_only(&mut self, rows: &[RowsOf<'_>], pin: &Pin) -> Result<Vec<bool>> {
        let (state, since) = (self.cluster.state(), log_length(&pin.since));
        let node = &state.nodes[self.node];
        let of_table = |of: &RowsOf<'_>| {
            let table = of.table.to_string();
            let received = |key| !node.touched(&table, key, since, Some(self.node));
            of.keys.iter().map(received).collect::<Vec<bool>>()
        };
        Ok(rows.iter().flat_map(of_table).collect())
    }

    fn makes_digests(&self) -> bool {
        true
    }

    fn pins_lock(&self) -> bool {
        self.cluster.state().locking
    }

    fn counts(&self) -> bool {
        true
    }

    async fn buckets(&mut self, table: &Table, digits: u32) -> Result<BTreeMap<u32, Digest>> {
        let mut buckets: BTreeMap<u32, Rows> = BTreeMap::new();
        self.walk(table, |rows| {
            for (key, row) in rows {
                buckets.entry(bucket(key, digits)).or_default().push(row);
            }
        })?;
        let digest = |rows: &Rows| Digest { rows: copies_of(rows), ..Digest::of(table, rows) };
        Ok(buckets.into_iter().map(|(bucket, rows)| (bucket, digest(&rows))).collect())
    }

    async fn copies(&mut self, table: &Table, digits: u32, buckets: &[u32]) -> Result<Rows> {
        self.walk(table, |all| {
            let mut rows = Rows::new();
            let chosen = all.iter().filter(|(key, _)| buckets.contains(&bucket(key, digits)));
            for (_, row) in chosen {
                if rows.len() >= COPIES_MOST {
                    rows.mark_cut();
                    break;
                }
                rows.push(row);
            }
            rows
        })
    }
}

/// How many contents are given at once, so that a test meets the bound.
const COPIES_MOST: usize = 500;

/// The first hex digits of the content's hash.
fn bucket(key: &Key, digits: u32) -> u32 {
    let hash = blake3::hash(key.bytes());
    let head: [u8; 4] = std::array::from_fn(|n| hash.as_bytes()[n]);
    u32::from_be_bytes(head).checked_shr(32 - 4 * digits.min(8)).unwrap_or(0)
}

fn copies_of(rows: &Rows) -> u64 {
    let copies = |row: &[u8]| match Row::from_bytes(row).values().last() {
        Some(Value::Int(copies)) => u64::try_from(*copies).unwrap_or(0),
        _ => 0,
    };
    rows.iter().map(copies).sum()
}

impl Writer for Connection {
    async fn guard(&mut self, edits: &[Edit]) -> Result<Pin> {
        let since = self.since();
        {
            let mut state = self.cluster.state();
            if state.locking {
                return Ok(Pin { rows: state.nodes[self.node].lock(edits), since });
            }
        }
        let mut rows = Vec::new();
        for edit in edits {
            rows.push(self.read(&edit.table, |rows| rows.get(&edit.key).cloned())?);
        }
        Ok(Pin { rows, since })
    }

    async fn mend(&mut self, edits: &[Edit], guard: &Pin, go: &[bool]) -> Result<Vec<Mending>> {
        let since = log_length(&guard.since);
        let mut state = self.cluster.state();
        let locking = state.locking;
        let node = &mut state.nodes[self.node];
        if locking {
            return Ok(node.commit(edits, go));
        }
        Ok(edits
            .iter()
            .zip(go)
            .map(|(edit, &go)| {
                let table = edit.table.to_string();
                let now = node.rows.get(&table).and_then(|rows| rows.get(&edit.key));
                if !go {
                    return Mending::CalledOff;
                }
                if now != edit.expected.as_ref() || node.touched(&table, &edit.key, since, None) {
                    return Mending::Moved;
                }
                node.put(&table, &edit.key, edit.wanted.as_ref());
                Mending::Mended
            })
            .collect())
    }
}

impl Ledger for Connection {
    async fn prepare(&mut self) -> Result<()> {
        Ok(())
    }

    async fn push(&mut self, checksums: &[Checksum]) -> Result<()> {
        let key = |of: &Checksum| {
            let table = of.chunk.table.to_string();
            (of.run.clone(), of.node.clone(), table, of.number)
        };
        let mut there: HashSet<_> = self.cluster.state().nodes[self.node].checksums.iter().map(key).collect();
        if !checksums.iter().all(|checksum| there.insert(key(checksum))) {
            return Err(self.twice("to write checksums"));
        }
        for checksum in checksums {
            self.cluster.log(self.node, What::Checksum(checksum.clone()));
        }
        Ok(())
    }

    async fn mark(&mut self, run: &str, watermark: &Watermark) -> Result<()> {
        if self.marks(run, watermark.number).await?.contains(watermark) {
            return Err(self.twice("to write a watermark"));
        }
        self.cluster.log(self.node, What::Mark { run: run.to_owned(), watermark: watermark.clone() });
        Ok(())
    }

    async fn marks(&mut self, run: &str, number: u64) -> Result<Vec<Watermark>> {
        let state = self.cluster.state();
        Ok(state.nodes[self.node]
            .marks
            .iter()
            .filter(|(of, mark)| of == run && mark.number == number)
            .map(|(_, mark)| mark.clone())
            .collect())
    }
}

#[cfg(test)]
mod tests;
