//! Walks a table, chunk by chunk, on all nodes at once.
//!
//! The scout cuts the table into chunks, each node's *station* looks at them in order ([`crate::station`]), and the walk itself
//! takes what all nodes found in one chunk and compares it. A table can be read in several *lanes*: each has a station per
//! node, and the chunks go to them in turn. How large chunks are, and when the next one may be ordered, is
//! [`crate::pace`]'s.
//!
//! A chunk is looked at in one of two ways. Where all nodes can *digest* rows themselves, a chunk is digested in up to
//! [`SECTIONS`] sections (or twice as many, [`Pace::sections`]), and no row travels. A section whose digests differ is
//! narrowed: it is cut into sections in its turn, until few rows are left, and those are read. Where a node cannot, or where so much differs that narrowing would be dearer than
//! reading, the chunk's rows are *read*. Either way what differs is found by comparing rows that were read.
//!
//! The scout's node may hold few rows where another holds many. So no reader takes more than a limit: where a chunk
//! overflows, the key at which it did cuts the chunk in two, and both halves are read again on all nodes.
//!
//! Invariant: the chunks of a complete walk are disjoint and cover every possible key, the first from the open start,
//! the last to the open end. Every leaf was equal in one look at all nodes, or its rows were read and compared.
//!
//! A chunk that takes longer than a statement may is looked at again with fewer rows, [`RETRIES_MAX`] times at most.
//!
//! What bounds the memory: [`CHUNKS_AHEAD`] chunks, planned by bytes from the average of the rows read so far; a reader ends a
//! reading early that grows well beyond that, and the chunk is cut.

use crate::locate::{Candidate, locate};
use crate::pace::{CHUNKS_AHEAD, Pace, RETRIES_MAX, RETRY_DIVISOR, RETRY_PAUSE};
use crate::progress::{Progress, Step};
use crate::scout::{Stride, scout};
use crate::sections::{SECTIONS, SECTIONS_NARROW, cuts_between, sections, sections_of};
use crate::station::{Finding, Found, Order, Orders, ROWS_FEW, Station, Task, lost};
use database::number::is_numbered;
use database::{Checksum, Chunk, Digest, Error, Key, Reader, Result, Rows, Table};
use rayon::prelude::*;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::sync::mpsc::Receiver;

/// So many sections of one chunk are looked into at once at most.
const TOGETHER: usize = 8;
/// The candidates after which a walk pauses, so that they can be settled.
pub const CANDIDATES_MAX: usize = 20_000;
/// A section of at most so many rows is read, and not cut further.
const NARROW_ROWS: u64 = 128;
/// Where more than one of so many sections differ, reading the whole chunk is cheaper than narrowing.
const NARROW_SHARE: usize = 2;
/// After a chunk that differed that much, so many are read without having them digested first; twice as many after the
/// next one, up to a bound.
const READ_AFTER: [u32; 2] = [8, 64];

/// A chunk's digests on all nodes, or the candidates in it.
#[derive(Debug)]
pub struct Leaf {
    /// The place of the chunk among the others: first the scout's number, then one more for each cut.
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

/// The state of a walk between its first and its last chunk.
struct Walk<'a> {
    table: &'a Arc<Table>,
    pace: &'a Pace<'a>,
    /// How many stations a lane has, and which lane is next.
    nodes: usize,
    turn: usize,
    again: Vec<Order>,
    waiting: VecDeque<Orders>,
    walked: Walked,
    progress: &'a dyn Progress,
    /// Whether chunks are digested by the nodes, and into how many sections the scout cuts one.
    digests: bool,
    sections: usize,
    /// How many chunks are to be read whole before one is digested again, and how many it will be if that one differs as much.
    read_whole: u32,
    read_after: u32,
    /// Whether something differed in the chunk that was digested last.
    differed: bool,
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
    let digests = pace.digests() && readers.iter().all(Reader::makes_digests);
    // keys that are numbers are cut without asking anybody
    let sections = if digests && !is_numbered(table) { SECTIONS } else { 1 };
    let (sender, mut ends) = mpsc::channel(CHUNKS_AHEAD * sections);
    let rest = Chunk { table: table.clone(), lower: from.clone(), upper: None };
    let stride = Stride { rows: pace.rows(), sections, exact: pace.is_exact() };
    let scout = tokio::spawn(scout(scouting, rest, stride, sender));
    let mut stations: Vec<Station<R>> =
        readers.drain(..).map(|reader| Station::open(reader, pace.bursts())).collect();
    pace.begin();
    let mut walk = Walk {
        table,
        pace,
        nodes: stations.len() / pace.lanes(),
        turn: 0,
        again: Vec::new(),
        waiting: VecDeque::new(),
        walked: Walked::default(),
        progress,
        digests,
        sections,
        read_whole: 0,
        read_after: READ_AFTER[0],
        differed: false,
    };
    let (mut lower, mut number, mut more) = (from, first_number, true);
    while more || !walk.waiting.is_empty() || !walk.again.is_empty() {
        let enough = !more && (walk.walked.candidates.len() >= CANDIDATES_MAX || stop());
        if enough && walk.waiting.is_empty() && walk.leave_the_rest() {
            break;
        }
        if let Some(orders) = walk.next_again(enough) {
            walk.order(orders, &stations).await;
        } else if more && !pace.full(walk.waiting.len()) {
            pace.ready(walk.waiting.len(), progress).await;
            let (cuts, upper) = walk.next_chunk(&mut ends).await?;
            let chunk = Chunk { table: table.clone(), lower: lower.take(), upper: upper.clone() };
            let rows = pace.rows().load(Ordering::Relaxed);
            let task = walk.first_look(&chunk, cuts, rows);
            let order = Order { place: vec![number], chunk, rows, task, lane: 0, tries: 0 };
            walk.order(vec![order], &stations).await;
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
    /// What is to be looked at again, the first by its key, and what can be looked at together with it. Where the walk is to end, all
    /// that is on its way is taken first.
    fn next_again(&mut self, enough: bool) -> Option<Orders> {
        if enough && !self.waiting.is_empty() {
            return None;
        }
        self.again.sort_by(|a, b| a.place.cmp(&b.place));
        let first = self.again.first()?;
        let together = self.again.iter().take(TOGETHER).take_while(|next| next.goes_with(first)).count();
        Some(self.again.drain(..together.max(1)).collect())
    }

    /// Ends the walk before the first chunk that is to be looked at again, so that a part of a table in which all differs is
    /// settled before the next one is read: true, unless nothing stands before it.
    fn leave_the_rest(&mut self) -> bool {
        let Some(first) = self.again.iter().min_by(|a, b| a.place.cmp(&b.place)) else { return true };
        let walked = &mut self.walked;
        if first.chunk.lower.is_none() || !walked.leaves.iter().any(|leaf| leaf.place < first.place) {
            return false;
        }
        walked.next.clone_from(&first.chunk.lower);
        walked.leaves.retain(|leaf| leaf.place < first.place);
        let mut found: Vec<Option<Candidate>> = walked.candidates.drain(..).map(Some).collect();
        for (_, range) in walked.leaves.iter_mut().filter_map(|leaf| leaf.located.as_mut()) {
            let start = walked.candidates.len();
            walked.candidates.extend(found[range.clone()].iter_mut().filter_map(Option::take));
            *range = start..walked.candidates.len();
        }
        self.again.clear();
        true
    }

    /// The stations of a lane.
    fn lane(&self, lane: usize) -> std::ops::Range<usize> {
        lane * self.nodes..(lane + 1) * self.nodes
    }

    /// The keys that cut the next chunk into sections, and its upper end.
    async fn next_chunk(&self, ends: &mut Receiver<Result<Option<Key>>>) -> Result<(Vec<Key>, Option<Key>)> {
        let mut cuts = Vec::with_capacity(self.sections);
        while cuts.len() < self.sections {
            match ends.recv().await.unwrap_or(Ok(None))? {
                Some(key) => cuts.push(key),
                None => return Ok((cuts, None)),
            }
        }
        let upper = cuts.pop();
        Ok((cuts, upper))
    }

    /// How a chunk of about so many rows is looked at first.
    fn first_look(&mut self, chunk: &Chunk, cuts: Vec<Key>, rows: u64) -> Task {
        let digest = self.digests && self.read_whole == 0;
        self.read_whole = self.read_whole.saturating_sub(1);
        if !digest {
            return Task::Rows(self.pace.limit());
        }
        let sections = sections_of(rows, self.pace.sections(self.differed));
        Task::Digest(cuts_between(chunk, sections).unwrap_or(cuts))
    }

    /// How a section with so many rows is looked at that is not the same on all nodes.
    fn look_into(&self, section: &Chunk, rows: u64) -> Task {
        if rows <= NARROW_ROWS {
            return Task::Rows(ROWS_FEW.min(self.pace.limit()));
        }
        match cuts_between(section, sections_of(rows * 2, SECTIONS_NARROW)) {
            Some(cuts) if cuts.is_empty() => Task::Rows(self.pace.limit()),
            Some(cuts) => Task::Digest(cuts),
            None => Task::Cut((rows / SECTIONS_NARROW as u64).max(NARROW_ROWS / 2)),
        }
    }

    /// Has all nodes look at something, or the first one alone if it is only to be cut, in the lane whose turn it is.
    async fn order<R: Reader + 'static>(&mut self, mut orders: Orders, stations: &[Station<R>]) {
        orders.iter_mut().for_each(|order| order.lane = self.turn);
        self.turn = (self.turn + 1) % self.pace.lanes();
        if !self.pace.one_by_one() {
            for station in &stations[self.asked(&orders)] {
                station.order(orders.clone()).await;
            }
        }
        self.waiting.push_back(orders);
    }

    /// The stations that orders go to.
    fn asked(&self, orders: &[Order]) -> std::ops::Range<usize> {
        let Some(Order { lane, task, .. }) = orders.first() else { return 0..0 };
        let lane = self.lane(*lane);
        if matches!(task, Task::Cut(_)) { lane.start..lane.start + 1 } else { lane }
    }

    /// Takes what was found for the orders that were given first, and compares it.
    async fn take<R: Reader + 'static>(&mut self, stations: &mut [Station<R>]) -> Result<()> {
        let Some(orders) = self.waiting.pop_front() else { return Ok(()) };
        let (mut found, mut failed, mut slowest) = (Vec::with_capacity(self.nodes), None, Duration::ZERO);
        for station in &mut stations[self.asked(&orders)] {
            if self.pace.one_by_one() {
                station.order(orders.clone()).await;
            }
            match station.finding().await {
                Ok(Finding { found: one, took, rested }) => {
                    found.push(one.into_iter());
                    self.pace.rested(rested);
                    slowest = slowest.max(took);
                }
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        if let Some(error) = failed {
            return self.look_smaller(orders, error).await;
        }
        for order in orders {
            let found = found.iter_mut().filter_map(Iterator::next).collect();
            self.take_found(order, found, slowest);
        }
        Ok(())
    }

    /// Compares what the nodes found for one order.
    fn take_found(&mut self, order: Order, found: Vec<Found>, slowest: Duration) {
        match &order.task {
            Task::Rows(_) => {
                let rows = found.into_iter().filter_map(Found::rows).collect();
                self.take_rows(order, rows, slowest);
            }
            Task::Digest(cuts) => {
                let parts = sections(&order.chunk, cuts);
                let digests: Option<Vec<Vec<Digest>>> = found.into_iter().map(Found::digests).collect();
                self.take_digests(&order, &parts, digests, slowest);
            }
            Task::Cut(_) => {
                let cuts = found.into_iter().next().and_then(Found::cuts).unwrap_or_default();
                let task = if cuts.is_empty() { Task::Rows(self.pace.limit()) } else { Task::Digest(cuts) };
                self.again.push(Order { task, ..order });
            }
        }
    }

    fn take_rows(&mut self, order: Order, rows: Vec<Rows>, slowest: Duration) {
        if let Some(rows) = rows.iter().find(|rows| rows.cut()) {
            return self.cut(&order, rows);
        }
        if let Some(most) = rows.iter().max_by_key(|rows| rows.bytes().len()) {
            // what was read together with others took its share of the time only
            if !(order.is_narrowed() && order.is_few()) {
                self.pace.learn(most.len() as u64, most.bytes().len() as u64, slowest);
            }
        }
        tokio::task::block_in_place(|| self.compare(order, &rows));
    }

    /// Compares the digests of a chunk's sections, one list per node; none if some node made none.
    fn take_digests(
        &mut self,
        order: &Order,
        parts: &[Chunk],
        digests: Option<Vec<Vec<Digest>>>,
        slowest: Duration,
    ) {
        let read = |chunk: &Chunk, place: Vec<u64>, limit: u64| Order {
            place,
            chunk: chunk.clone(),
            task: Task::Rows(limit),
            ..order.clone()
        };
        let Some(digests) = digests else {
            if !order.is_narrowed() {
                self.differed();
            }
            self.again.push(read(&order.chunk, order.place.clone(), self.pace.limit()));
            return;
        };
        let most = |section: usize| digests.iter().map(|node| node[section].rows).max().unwrap_or(0);
        if !order.is_narrowed() {
            self.pace.learn((0..parts.len()).map(most).sum(), 0, slowest);
        }
        let equal: Vec<bool> = (0..parts.len())
            .map(|section| digests.windows(2).all(|pair| pair[0][section] == pair[1][section]))
            .collect();
        let unequal = equal.iter().filter(|&&equal| !equal).count();
        if unequal > 1 && unequal * NARROW_SHARE > parts.len() {
            if !order.is_narrowed() {
                self.differed();
            }
            self.again.push(read(&order.chunk, order.place.clone(), self.pace.limit()));
            return;
        }
        if !order.is_narrowed() {
            self.read_after = READ_AFTER[0];
            self.differed = unequal > 0;
        }
        let mut section = 0;
        for run in equal.chunk_by(|a, b| *a && *b) {
            let (first, last) = (section, section + run.len() - 1);
            section += run.len();
            let chunk = Chunk { upper: parts[last].upper.clone(), ..parts[first].clone() };
            let place =
                if unequal == 0 { order.place.clone() } else { [&order.place[..], &[first as u64]].concat() };
            if equal[first] {
                let digests = digests.iter().map(|node| Digest::joined(&node[first..=last])).collect();
                self.leaf(place, chunk, digests, None);
                continue;
            }
            let task = self.look_into(&chunk, most(first));
            self.again.push(Order { task, rows: most(first), ..read(&chunk, place, 0) });
        }
    }

    /// A chunk was digested in vain.
    fn differed(&mut self) {
        self.read_whole = self.read_after;
        self.read_after = (self.read_after * 2).min(READ_AFTER[1]);
    }

    /// Has chunks looked at again with fewer rows, because that ran into a bound: a server's or our own.
    async fn look_smaller(&mut self, orders: Orders, error: Error) -> Result<()> {
        let Error::Bound { node, reason } = error else { return Err(error) };
        let tries = orders.iter().map(|order| order.tries).max().unwrap_or(0);
        // what was digested or cut in vain is read, and a reading can be cut where it becomes too large
        let limit =
            |order: &Order| if let Task::Rows(limit) = order.task { limit } else { self.pace.limit() };
        let limits: Vec<u64> = orders.iter().map(limit).collect();
        if tries >= RETRIES_MAX {
            let most = limits.iter().max().unwrap_or(&0);
            let reason = format!("{reason}; tried again {tries} times, the last with {most} rows at most");
            return Err(Error::Bound { node, reason });
        }
        let tries = tries + 1;
        self.pace.too_slow();
        tokio::time::sleep(RETRY_PAUSE * tries).await;
        for (order, limit) in orders.into_iter().zip(limits) {
            // two rows at least: a reading of one would cut the chunk where it begins
            let task = Task::Rows((limit / RETRY_DIVISOR).max(2));
            self.again.push(Order { task, tries, ..order });
        }
        Ok(())
    }

    /// Cuts a chunk that holds too many rows somewhere in two, at the last row that was read there.
    fn cut(&mut self, order: &Order, rows: &Rows) {
        let Some(key) = rows.iter().last().map(|row| self.table.key_of(row)) else { return };
        let half = |lower: Option<Key>, upper: Option<Key>, n: u64| Order {
            place: [&order.place[..], &[n]].concat(),
            chunk: Chunk { table: self.table.clone(), lower, upper },
            rows: order.rows,
            task: order.task.clone(),
            lane: 0,
            tries: 0,
        };
        let (lower, upper) = (order.chunk.lower.clone(), order.chunk.upper.clone());
        let halves = [half(lower, Some(key.clone()), 0), half(Some(key), upper, 1)];
        self.again.extend(halves);
    }

    /// Digests the readings of one chunk and locates what differs.
    fn compare(&mut self, order: Order, rows: &[Rows]) {
        let digests: Vec<Digest> = rows.par_iter().map(|rows| Digest::of(self.table, rows)).collect();
        let equal = digests.windows(2).all(|pair| pair[0] == pair[1]);
        let located = (!equal).then(|| {
            let start = self.walked.candidates.len();
            let located = locate(self.table, rows);
            self.walked.candidates.extend(located.candidates);
            (located.common, start..self.walked.candidates.len())
        });
        self.leaf(order.place, order.chunk, digests, located);
    }

    fn leaf(
        &mut self,
        place: Vec<u64>,
        chunk: Chunk,
        digests: Vec<Digest>,
        located: Option<([u8; 32], std::ops::Range<usize>)>,
    ) {
        let rows = digests.iter().map(|digest| digest.rows).max().unwrap_or(0);
        self.progress.step(Step::Chunk { rows, equal: located.is_none() });
        self.walked.leaves.push(Leaf { place, chunk, digests, located });
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
