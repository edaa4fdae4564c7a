//! Watermarks: how the checker knows that everything that was on its way has arrived.
//!
//! Each node writes a mark through its own log, and all wait until every node shows the marks of all. A log is applied
//! in order, so a node that shows the mark of `w` has applied everything that `w` had committed before the mark,
//! whatever way it took round a ring.
//!
//! A follower ([`Ledger::follows`]) writes no mark: it is read-only and feeds none of the other nodes, so no write of an
//! application begins there, and what somebody with special rights writes there stays there and is never on its way.
//!
//! Assumes that appliers make commits visible in the order of the source's log (the default everywhere; MySQL with
//! `replica_preserve_commit_order=OFF`, and MariaDB with out-of-order domains, are the exceptions), and that no filter keeps the
//! ledger from replicating. Where a mark does not arrive within the bound nothing is concluded.

use crate::stop::Stop;
use database::{Ledger, Reader, Result, Watermark};
use futures_util::future::{try_join, try_join_all};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The first and the last pause between two looks for a mark.
const LOOK_PAUSE_MS: [u64; 2] = [2, 50];
/// The longest pause while rows are locked, also between two looks whether somebody waits for them.
const LOCKED_PAUSE_MS: u64 = 3;

/// The ledgers of all nodes, and the marks of one run.
#[derive(Debug)]
pub struct Watermarks<L> {
    run: Box<str>,
    names: Vec<Box<str>>,
    ledgers: Vec<L>,
    number: u64,
    stop: Stop,
}

/// What came of an exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exchange {
    /// Every node has shown the marks of all nodes.
    Complete,
    /// Some did not within the bound, as `(writer, where it is missing)`.
    Incomplete(Vec<(Box<str>, Box<str>)>),
}

impl<L: Ledger + 'static> Watermarks<L> {
    /// The marks of `run`, by the ledgers of the named nodes. When `stop` is raised nobody waits any longer.
    #[must_use]
    pub fn new(run: &str, names: &[Box<str>], ledgers: Vec<L>, stop: Stop) -> Watermarks<L> {
        Watermarks { run: run.into(), names: names.to_vec(), ledgers, number: 0, stop }
    }

    /// Whether the run was asked to end.
    #[must_use]
    pub fn stopped(&self) -> bool {
        self.stop.raised()
    }

    /// The ledgers, in the order of the nodes.
    pub fn ledgers(&mut self) -> &mut [L] {
        &mut self.ledgers
    }

    /// Takes the next number, for marks that the caller writes and looks for by itself.
    pub fn next_number(&mut self) -> u64 {
        self.number += 1;
        self.number
    }

    /// The name of the run, the names of the nodes, and their ledgers.
    pub fn parts(&mut self) -> (&str, &[Box<str>], &mut [L]) {
        (&self.run, &self.names, &mut self.ledgers)
    }

    /// Writes a mark on every node but the followers, and waits until every node shows all of them, at most `bound`.
    ///
    /// # Errors
    /// If a node cannot be written or read.
    pub async fn exchange(&mut self, bound: Duration) -> Result<Exchange> {
        self.exchange_unless(bound, LOOK_PAUSE_MS[1], &AtomicBool::new(false)).await
    }

    /// The same while rows are locked on `readers`: as soon as somebody waits for one of them anywhere, it is given up.
    ///
    /// # Errors
    /// If a node cannot be written or read.
    pub async fn exchange_giving_way<R: Reader>(
        &mut self,
        readers: &mut [R],
        bound: Duration,
    ) -> Result<Exchange> {
        let (over, done) = (AtomicBool::new(false), AtomicBool::new(false));
        let look_out = async {
            while !over.load(Ordering::Relaxed) && !done.load(Ordering::Relaxed) {
                let waited_for = try_join_all(readers.iter_mut().map(Reader::in_the_way)).await?;
                over.fetch_or(waited_for.contains(&true), Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(LOCKED_PAUSE_MS)).await;
            }
            Ok(())
        };
        let exchange = async {
            let exchange = self.exchange_unless(bound, LOCKED_PAUSE_MS, &over).await;
            done.store(true, Ordering::Relaxed);
            exchange
        };
        let (exchange, ()) = try_join(exchange, look_out).await?;
        Ok(exchange)
    }

    /// Waits until one node shows everything that all others had committed when this is called, at most `bound`: each of the others
    /// writes a mark, and only that node is asked for them.
    ///
    /// # Errors
    /// If a node cannot be written or read.
    pub async fn reach(&mut self, node: usize, bound: Duration) -> Result<Exchange> {
        let others: Vec<usize> = (0..self.ledgers.len()).filter(|&other| other != node).collect();
        self.marks(&others, &[node], bound, LOCKED_PAUSE_MS, &AtomicBool::new(false)).await
    }

    async fn exchange_unless(
        &mut self,
        bound: Duration,
        pause_ms_max: u64,
        over: &AtomicBool,
    ) -> Result<Exchange> {
        let all: Vec<usize> = (0..self.ledgers.len()).collect();
        self.marks(&all, &all, bound, pause_ms_max, over).await
    }

    /// Has the writers but for followers write marks, and waits until all readers show all of them.
    async fn marks(
        &mut self,
        writers: &[usize],
        readers: &[usize],
        bound: Duration,
        pause_ms_max: u64,
        over: &AtomicBool,
    ) -> Result<Exchange> {
        let number = self.next_number();
        let (run, names, stop) = (&self.run, &self.names, &self.stop);
        let deadline = Instant::now() + bound;
        let master = |n: usize, ledger: &L| writers.contains(&n) && !ledger.follows();
        let masters =
            self.ledgers.iter().zip(names).enumerate().filter(|(n, (ledger, _))| master(*n, ledger));
        let wanted: BTreeSet<&str> = masters.map(|(_, (_, name))| name.as_ref()).collect();
        let masters = self.ledgers.iter_mut().zip(names).enumerate();
        let writes =
            masters.filter(|(n, (ledger, _))| master(*n, ledger)).map(async |(_, (ledger, writer))| {
                ledger.mark(run, &Watermark { writer: writer.clone(), number }).await
            });
        try_join_all(writes).await?;
        let reads = self.ledgers.iter_mut().zip(names).enumerate().filter(|(n, _)| readers.contains(n));
        let missing = try_join_all(reads.map(async |(_, (ledger, reader))| {
            let over = || over.load(Ordering::Relaxed) || stop.raised() || Instant::now() >= deadline;
            let missing = await_marks(ledger, run, number, &wanted, pause_ms_max, &over).await?;
            Ok(missing.into_iter().map(|writer| (writer, reader.clone())).collect::<Vec<_>>())
        }))
        .await?
        .concat();
        Ok(if missing.is_empty() { Exchange::Complete } else { Exchange::Incomplete(missing) })
    }
}

/// Looks for the wanted marks until all are there or the time is over; the writers whose marks are missing.
async fn await_marks<L: Ledger>(
    ledger: &mut L,
    run: &str,
    number: u64,
    wanted: &BTreeSet<&str>,
    pause_ms_max: u64,
    over: &(dyn Fn() -> bool + Sync),
) -> Result<Vec<Box<str>>> {
    let mut pause_ms = LOOK_PAUSE_MS[0];
    loop {
        let shown = ledger.marks(run, number).await?;
        let missing: Vec<Box<str>> = wanted
            .iter()
            .filter(|writer| shown.iter().all(|mark| mark.writer.as_ref() != **writer))
            .map(|writer| Box::from(*writer))
            .collect();
        if missing.is_empty() || over() {
            return Ok(missing);
        }
        tokio::time::sleep(Duration::from_millis(pause_ms)).await;
        pause_ms = (pause_ms * 2).min(pause_ms_max);
    }
}
