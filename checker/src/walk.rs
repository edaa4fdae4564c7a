//! Walks a table, chunk by chunk, on all nodes at once.
//!
//! A *scout* on one node asks for the key that stands N rows on, and so cuts the next chunk; every node has a *reader*
//! that reads the chunks in order; the walk itself takes the readings of one chunk from all readers and compares them.
//! All run at the same time, with a few chunks between them, so that nobody waits for anybody for long. A table can be read in
//! several *lanes*: each has a reader per node, and the chunks go to them in turn. How large chunks are, and when the next one
//! may be ordered, is [`crate::pace`]'s.
//!
//! The scout's node may hold few rows where another holds many. So no reader takes more than a limit: where a chunk
//! overflows, the key at which it did cuts the chunk in two, and both halves are read again on all nodes.
//!
//! Invariant: the chunks of a complete walk are disjoint and cover every possible key, the first from the open start,
//! the last to the open end.
//!
//! A chunk whose reading takes longer than a statement may is read again with fewer rows, [`RETRIES_MAX`] times at most.
//!
//! What bounds the memory: [`CHUNKS_AHEAD`] chunks, planned by bytes from the average of the rows read so far; a reader ends a
//! reading early that grows well beyond that, and the chunk is cut.

use crate::locate::{Candidate, locate};
use crate::pace::{CHUNKS_AHEAD, Pace, RETRIES_MAX, RETRY_DIVISOR, RETRY_PAUSE};
use crate::progress::{Progress, Step};
use database::{Checksum, Chunk, Digest, Error, Key, Reader, Result, Rows, Table};
use rayon::prelude::*;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// The candidates after which a walk pauses, so that they can be settled.
pub const CANDIDATES_MAX: usize = 20_000;

/// A chunk's digests on all nodes, or the candidates in it.
#[derive(Debug)]
pub struct Leaf {
    /// The place of the chunk among the others: first the scout's number, then a 0 or 1 for each cut in two.
    pub place: Vec<u64>,
    /// The chunk.
    pub chunk: Chunk,
    /// One digest per node.
    pub digests: Vec<Digest>,
    /// What was located, if the digests differ: the hash of the common rows, and where the candidates are in the walk's list.
    pub located: Option<([u8; 32], std::ops::Range<usize>)>,
}

/// What one walk (or one part of it) found.
#[derive(Debug, Default)]
pub struct Walked {
    /// The chunks.
    pub leaves: Vec<Leaf>,
    /// The rows that were not the same in the readings.
    pub candidates: Vec<Candidate>,
    /// Where to go on; none if the table is at its end.
    pub next: Option<Key>,
}

/// One chunk to be read.
#[derive(Clone)]
struct Order {
    place: Vec<u64>,
    chunk: Chunk,
    limit: u64,
    /// Which readers read it.
    lane: usize,
    /// How often its reading took too long.
    tries: u32,
}

/// What a reader read.
struct Reading {
    rows: Rows,
    took: Duration,
}

/// A reader at work in a task of its own, which gives it back at the end.
struct Station<R> {
    orders: mpsc::Sender<Order>,
    readings: mpsc::Receiver<Result<Reading>>,
    reader: JoinHandle<R>,
}

impl<R: Reader + 'static> Station<R> {
    fn open(mut reader: R) -> Station<R> {
        let (orders, mut taken) = mpsc::channel::<Order>(CHUNKS_AHEAD * 2);
        let (given, readings) = mpsc::channel(CHUNKS_AHEAD);
        let reader = tokio::spawn(async move {
            while let Some(order) = taken.recv().await {
                let start = Instant::now();
                let rows = reader.rows(&order.chunk, order.limit).await;
                let reading = rows.map(|rows| Reading { rows, took: start.elapsed() });
                if given.send(reading).await.is_err() {
                    break;
                }
            }
            reader
        });
        Station { orders, readings, reader }
    }

    async fn close(self) -> Result<R> {
        drop((self.orders, self.readings));
        self.reader.await.map_err(|error| lost(&error))
    }
}

fn lost(error: &tokio::task::JoinError) -> Error {
    Error::Protocol { node: "evensum".into(), reason: format!("a reader ended early: {error}") }
}

/// Sends the upper ends of the chunks, from `lower` on, until the table ends or nobody listens.
async fn scout<R: Reader>(
    mut reader: R,
    table: Arc<Table>,
    mut lower: Option<Key>,
    rows: Arc<AtomicU64>,
    ends: mpsc::Sender<Result<Option<Key>>>,
) -> R {
    let mut tries = 0;
    loop {
        let rest = Chunk { table: table.clone(), lower: lower.clone(), upper: None };
        let end = reader.boundary(&rest, rows.load(Ordering::Relaxed)).await;
        if matches!(end, Err(Error::Bound { .. })) && tries < RETRIES_MAX {
            tries += 1;
            rows.store((rows.load(Ordering::Relaxed) / RETRY_DIVISOR).max(1), Ordering::Relaxed);
            tokio::time::sleep(RETRY_PAUSE * tries).await;
            continue;
        }
        tries = 0;
        let last = !matches!(end, Ok(Some(_)));
        if let Ok(Some(key)) = &end {
            lower = Some(key.clone());
        }
        if ends.send(end).await.is_err() || last {
            return reader;
        }
    }
}

/// The state of a walk between its first and its last chunk.
struct Walk<'a> {
    table: &'a Arc<Table>,
    pace: &'a Pace<'a>,
    /// How many readers a lane has, and which lane is next.
    nodes: usize,
    turn: usize,
    again: VecDeque<Order>,
    waiting: VecDeque<Order>,
    walked: Walked,
    progress: &'a dyn Progress,
}

/// Walks `table` from `from` on, until its end, until [`CANDIDATES_MAX`] rows differ, or until `stop` says so.
///
/// `readers` holds one reader per node, lane after lane, and a scout at the end, on the first node; they are given back in
/// order. The readers are lost when the walk fails.
///
/// # Errors
/// If a node cannot be read.
pub async fn walk<R: Reader + 'static>(
    table: &Arc<Table>,
    from: Option<Key>,
    first_number: u64,
    readers: &mut Vec<R>,
    pace: &Pace<'_>,
    progress: &dyn Progress,
    stop: &(dyn Fn() -> bool + Sync),
) -> Result<Walked> {
    let Some(scouting) = readers.pop() else { return Ok(Walked::default()) };
    let (sender, mut ends) = mpsc::channel(CHUNKS_AHEAD);
    let scout = tokio::spawn(scout(scouting, table.clone(), from.clone(), pace.rows(), sender));
    let mut stations: Vec<Station<R>> = readers.drain(..).map(Station::open).collect();
    pace.begin();
    let mut walk = Walk {
        table,
        pace,
        nodes: stations.len() / pace.lanes(),
        turn: 0,
        again: VecDeque::new(),
        waiting: VecDeque::new(),
        walked: Walked::default(),
        progress,
    };
    let (mut lower, mut number, mut more) = (from, first_number, true);
    while more || !walk.waiting.is_empty() || !walk.again.is_empty() {
        if let Some(order) = walk.again.pop_front() {
            walk.order(order, &stations).await?;
        } else if more && !pace.full(walk.waiting.len()) {
            pace.ready(walk.waiting.len(), progress).await;
            let upper = ends.recv().await.unwrap_or(Ok(None))?;
            let chunk = Chunk { table: table.clone(), lower: lower.take(), upper: upper.clone() };
            let order = Order { place: vec![number], chunk, limit: pace.limit(), lane: 0, tries: 0 };
            walk.order(order, &stations).await?;
            number += 1;
            more = upper.is_some() && walk.walked.candidates.len() < CANDIDATES_MAX && !stop();
            walk.walked.next = upper.clone();
            lower = upper;
            continue;
        }
        walk.take(&mut stations).await?;
        more = more && walk.walked.candidates.len() < CANDIDATES_MAX && !stop();
    }
    drop(ends);
    for station in stations {
        readers.push(station.close().await?);
    }
    readers.push(scout.await.map_err(|error| lost(&error))?);
    walk.walked.leaves.sort_by(|a, b| a.place.cmp(&b.place));
    Ok(walk.walked)
}

impl Walk<'_> {
    /// The readers of a lane.
    fn lane(&self, lane: usize) -> std::ops::Range<usize> {
        lane * self.nodes..(lane + 1) * self.nodes
    }

    /// Has a chunk read on all nodes, in the lane whose turn it is.
    async fn order<R>(&mut self, order: Order, stations: &[Station<R>]) -> Result<()> {
        let order = Order { lane: self.turn, ..order };
        self.turn = (self.turn + 1) % self.pace.lanes();
        for station in &stations[self.lane(order.lane)] {
            // a station that is gone has left its error among its readings
            let _ = station.orders.send(order.clone()).await;
        }
        self.waiting.push_back(order);
        Ok(())
    }

    /// Takes the readings of the chunk that was ordered first, and compares them.
    async fn take<R>(&mut self, stations: &mut [Station<R>]) -> Result<()> {
        let Some(order) = self.waiting.pop_front() else { return Ok(()) };
        let (mut readings, mut failed) = (Vec::with_capacity(self.nodes), None);
        for station in &mut stations[self.lane(order.lane)] {
            let gone = || Error::Protocol { node: "evensum".into(), reason: "a reader ended early".into() };
            match station.readings.recv().await.unwrap_or_else(|| Err(gone())) {
                Ok(reading) => readings.push(reading),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        if let Some(error) = failed {
            return self.read_smaller(order, error).await;
        }
        let overflow = readings.iter().find(|reading| reading.rows.cut());
        if let Some(reading) = overflow {
            self.cut(&order, &reading.rows);
            return Ok(());
        }
        if let Some(slowest) = readings.iter().max_by_key(|reading| reading.took) {
            let (rows, bytes) = (slowest.rows.len() as u64, slowest.rows.bytes().len() as u64);
            self.pace.learn(rows, bytes, slowest.took);
        }
        tokio::task::block_in_place(|| self.compare(order, readings));
        Ok(())
    }

    /// Has a chunk read again with fewer rows, because its reading ran into a bound: a server's or our own.
    async fn read_smaller(&mut self, order: Order, error: Error) -> Result<()> {
        let Error::Bound { node, reason } = error else { return Err(error) };
        if order.tries >= RETRIES_MAX {
            let (tries, limit) = (order.tries, order.limit);
            let reason = format!("{reason}; tried again {tries} times, the last with {limit} rows at most");
            return Err(Error::Bound { node, reason });
        }
        let tries = order.tries + 1;
        self.pace.too_slow();
        tokio::time::sleep(RETRY_PAUSE * tries).await;
        // two rows at least: a reading of one would cut the chunk where it begins
        self.again.push_back(Order { limit: (order.limit / RETRY_DIVISOR).max(2), tries, ..order });
        Ok(())
    }

    /// Cuts a chunk that holds too many rows somewhere in two, at the last row that was read there.
    fn cut(&mut self, order: &Order, rows: &Rows) {
        let Some(key) = rows.iter().last().map(|row| self.table.key_of(row)) else { return };
        let half = |lower: Option<Key>, upper: Option<Key>, n: u64| Order {
            place: [&order.place[..], &[n]].concat(),
            chunk: Chunk { table: self.table.clone(), lower, upper },
            limit: order.limit,
            lane: 0,
            tries: 0,
        };
        let (lower, upper) = (order.chunk.lower.clone(), order.chunk.upper.clone());
        let halves = [half(lower, Some(key.clone()), 0), half(Some(key), upper, 1)];
        self.again.extend(halves);
    }

    /// Digests the readings of one chunk and locates what differs.
    fn compare(&mut self, order: Order, readings: Vec<Reading>) {
        let rows: Vec<Rows> = readings.into_iter().map(|reading| reading.rows).collect();
        let digests: Vec<Digest> = rows.par_iter().map(|rows| Digest::of(self.table, rows)).collect();
        let equal = digests.windows(2).all(|pair| pair[0] == pair[1]);
        let located = (!equal).then(|| {
            let start = self.walked.candidates.len();
            let located = locate(self.table, &rows);
            self.walked.candidates.extend(located.candidates);
            (located.common, start..self.walked.candidates.len())
        });
        let most = digests.iter().map(|digest| digest.rows).max().unwrap_or(0);
        self.progress.step(Step::Chunk { rows: most, equal });
        self.walked.leaves.push(Leaf { place: order.place, chunk: order.chunk, digests, located });
    }
}

/// The checksum rows of these leaves for one node, numbered from `first`.
#[must_use]
pub fn checksums(run: &str, node: &str, index: usize, leaves: &[Leaf], first: u64) -> Vec<Checksum> {
    leaves
        .iter()
        .zip(first..)
        .map(|(leaf, number)| Checksum {
            run: run.into(),
            node: node.into(),
            number,
            chunk: leaf.chunk.clone(),
            digest: leaf.digests[index],
        })
        .collect()
}
