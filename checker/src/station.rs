//! Stations: each node's reader at work in a task of its own.
//!
//! A station takes orders from a queue and gives its findings back in the same order, so a few orders can be on their way
//! and nobody waits for anybody for long.
//!
//! Invariant: one finding for what is ordered together, with one part per order, all in the order of the orders. Not here:
//! what is ordered, and what comes of it ([`crate::walk`]).

use crate::pace::{Bursts, CHUNKS_AHEAD};
use crate::sections::{SECTIONS, sections};
use database::{Chunk, Digest, Error, Key, Reader, Result, Rows};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// A reading of at most so many rows can be made together with others.
pub const ROWS_FEW: u64 = 512;

/// What a station is to do with a chunk.
#[derive(Clone, Debug)]
pub enum Task {
    /// Read its rows, at most so many.
    Rows(u64),
    /// Have the node digest it, in sections that end at these keys and at its end.
    Digest(Vec<Key>),
    /// Find keys that cut it into sections of so many rows.
    Cut(u64),
}

/// One chunk that is to be looked at.
#[derive(Clone, Debug)]
pub struct Order {
    /// The place of the chunk among the others: first the scout's number, then one more for each cut.
    pub place: Vec<u64>,
    /// The chunk.
    pub chunk: Chunk,
    /// How many rows it has, as far as is known.
    pub rows: u64,
    /// What is to be done.
    pub task: Task,
    /// Whose readers do it.
    pub lane: usize,
    /// How often it took too long.
    pub tries: u32,
}

impl Order {
    /// Whether this is a part of a chunk that was looked at before.
    #[must_use]
    pub fn is_narrowed(&self) -> bool {
        self.place.len() > 1
    }

    /// The sections that are to be digested.
    fn sections(&self) -> Option<Vec<Chunk>> {
        if let Task::Digest(cuts) = &self.task { Some(sections(&self.chunk, cuts)) } else { None }
    }

    /// Whether it has few rows, as far as is known.
    #[must_use]
    pub fn is_few(&self) -> bool {
        self.rows <= ROWS_FEW
    }

    /// Whether this can be carried out together with another order.
    #[must_use]
    pub fn goes_with(&self, other: &Order) -> bool {
        let alike = match (&self.task, &other.task) {
            (Task::Digest(_), Task::Digest(_)) => true,
            (Task::Rows(these), Task::Rows(those)) => these == those && self.is_few() && other.is_few(),
            _ => false,
        };
        alike
            && self.tries == 0
            && self.is_narrowed()
            && other.is_narrowed()
            && self.place[0] == other.place[0]
    }
}

/// Orders of one kind that are carried out together: one, or several digests or readings of parts of one chunk. A statement costs a node as much as
/// some hundred rows do, and what is narrowed has fewer.
pub type Orders = Vec<Order>;

/// What a station brings back of an order.
#[derive(Debug)]
pub enum Found {
    /// Its rows.
    Rows(Rows),
    /// The digests of its sections; none if the node does not digest it.
    Digests(Option<Vec<Digest>>),
    /// Keys inside it.
    Cuts(Vec<Key>),
}

impl Found {
    /// The rows, if it is rows.
    pub fn rows(self) -> Option<Rows> {
        if let Found::Rows(rows) = self { Some(rows) } else { None }
    }

    /// The digests, if it is digests and the node made them.
    pub fn digests(self) -> Option<Vec<Digest>> {
        if let Found::Digests(digests) = self { digests } else { None }
    }

    /// The keys, if it is keys.
    pub fn cuts(self) -> Option<Vec<Key>> {
        if let Found::Cuts(cuts) = self { Some(cuts) } else { None }
    }
}

/// A finding, and how long it took.
#[derive(Debug)]
pub struct Finding {
    /// What was found, for each of the orders.
    pub found: Vec<Found>,
    /// How long the node took.
    pub took: Duration,
    /// How long it rested besides.
    pub rested: Duration,
}

/// A reader at work, which is given back at the end.
pub struct Station<R> {
    orders: mpsc::Sender<Orders>,
    findings: mpsc::Receiver<Result<Finding>>,
    reader: JoinHandle<R>,
}

impl<R: Reader + 'static> Station<R> {
    /// Sets a reader to work.
    pub fn open(mut reader: R, bursts: Bursts) -> Station<R> {
        let (orders, mut taken) = mpsc::channel::<Orders>(CHUNKS_AHEAD * 2);
        let (given, findings) = mpsc::channel(CHUNKS_AHEAD);
        let reader = tokio::spawn(async move {
            while let Some(orders) = taken.recv().await {
                let (start, mut rested) = (Instant::now(), Duration::ZERO);
                let found = carry_out(&mut reader, &orders, bursts, &mut rested).await;
                let took = start.elapsed().saturating_sub(rested);
                let finding = found.map(|found| Finding { found, took, rested });
                if given.send(finding).await.is_err() {
                    break;
                }
            }
            reader
        });
        Station { orders, findings, reader }
    }

    /// Ends the work, and gives the reader back.
    pub async fn close(self) -> Result<R> {
        drop((self.orders, self.findings));
        self.reader.await.map_err(|error| lost(&error))
    }
}

impl<R> Station<R> {
    /// Queues orders that are carried out together.
    pub async fn order(&self, orders: Orders) {
        // a station that is gone has left its error among its findings
        let _ = self.orders.send(orders).await;
    }

    /// Waits for the next finding.
    pub async fn finding(&mut self) -> Result<Finding> {
        let ended = || Error::Protocol { node: "evensum".into(), reason: "a reader ended early".into() };
        self.findings.recv().await.unwrap_or_else(|| Err(ended()))
    }
}

/// That a task ended before its time.
pub fn lost(error: &tokio::task::JoinError) -> Error {
    Error::Protocol { node: "evensum".into(), reason: format!("a reader ended early: {error}") }
}

async fn carry_out<R: Reader>(
    reader: &mut R,
    orders: &[Order],
    bursts: Bursts,
    rested: &mut Duration,
) -> Result<Vec<Found>> {
    let Some(first) = orders.first() else { return Ok(Vec::new()) };
    match first.task {
        Task::Rows(limit) => {
            let chunks: Vec<Chunk> = orders.iter().map(|order| order.chunk.clone()).collect();
            Ok(reader.rows_of(&chunks, limit).await?.into_iter().map(Found::Rows).collect())
        }
        Task::Cut(rows) => Ok(vec![Found::Cuts(cuts(reader, &first.chunk, rows).await?)]),
        Task::Digest(_) => {
            let cut: Vec<Vec<Chunk>> = orders.iter().filter_map(Order::sections).collect();
            let all = cut.concat();
            let at_once = bursts.at_once(all.len(), orders.iter().map(|order| order.rows).sum());
            let digests = digest(reader, &all, at_once, bursts, rested).await?;
            let mut digests = digests.map(Vec::into_iter);
            let of = |sections: &Vec<Chunk>| digests.as_mut().map(|all| all.take(sections.len()).collect());
            Ok(cut.iter().map(of).map(Found::Digests).collect())
        }
    }
}

/// The keys that cut a chunk into sections of so many rows.
async fn cuts<R: Reader>(reader: &mut R, chunk: &Chunk, rows: u64) -> Result<Vec<Key>> {
    let (mut rest, mut cuts) = (chunk.clone(), Vec::new());
    while cuts.len() + 1 < SECTIONS {
        let Some(key) = reader.boundary(&rest, rows).await? else { break };
        rest.lower = Some(key.clone());
        cuts.push(key);
    }
    Ok(cuts)
}

/// The digests of sections, in bursts; none if the node does not make one of them.
async fn digest<R: Reader>(
    reader: &mut R,
    sections: &[Chunk],
    at_once: usize,
    bursts: Bursts,
    rested: &mut Duration,
) -> Result<Option<Vec<Digest>>> {
    let mut digests = Vec::with_capacity(sections.len());
    for few in sections.chunks(at_once) {
        let start = Instant::now();
        let Some(found) = reader.digests(few).await? else { return Ok(None) };
        digests.extend(found);
        let (rest, begun) = (bursts.rest_after(start.elapsed()), Instant::now());
        if !rest.is_zero() {
            tokio::time::sleep(rest).await;
            *rested += begun.elapsed();
        }
    }
    Ok(Some(digests))
}
