//! One run of the checker: a function from members and options to a report.
//!
//! For each table: walk it and push its checksum rows; then settle what differed in all of them, and make fingerprints. A table that
//! cannot be compared is skipped; a node that cannot be asked ends the run with its error, because without one of the
//! nodes nothing can be said about agreement.
//!
//! A run has one *lane* or more, each with a connection to every node. A table of many rows is read in all lanes, one such table
//! after the other; then the small ones, side by side, in one lane each. A walk stops now and then, so that what it has read
//! can be pushed and kept ([`crate::checkpoint`]), and goes on from there.
//!
//! Invariant: the report does not depend on the number of lanes, nor on whether the run was killed and resumed, but for
//! what was written to the nodes meanwhile and for where chunks begin if their size follows the time.

use crate::booking::{Accounts, SettledChunk};
use crate::checkpoint::{Checkpoint, Forgetful, Keeper, KeptLeaf, KeptTable, Part};
use crate::lineup::{Lined, Side, line_up};
use crate::locate::Candidate;
use crate::multiset::walk_copies;
use crate::pace::{ChunkSize, Pace, Tempo};
use crate::progress::{Progress, Step};
use crate::report::{Course, Report};
use crate::selection::Selection;
use crate::settle::{Settled, settle};
use crate::stop::Stop;
use crate::throttle::Gate;
use crate::walk::{CANDIDATES_MAX, Walked, checksums, walk};
use crate::watermark::Watermarks;
use database::{Checksum, Error, Key, Ledger, Reader, Result, Table};
use futures_util::future::try_join_all;
use futures_util::stream::{FuturesUnordered, StreamExt};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The most checksum rows that are pushed in one go.
const PUSH_ROWS: usize = 200;
/// After how long, and after how many chunks, a walk stops so that what it has read is kept.
const PART_TIME: Duration = Duration::from_secs(5);
const PART_CHUNKS: u64 = 100;
/// From how many rows on, by the server's guess, a table is read in all lanes.
const LARGE_ROWS: u64 = 200_000;
/// The most keys that are read at once when a run goes on.
const RESUMED_KEYS: usize = 1_000;

/// A node that takes part in a check.
#[derive(Debug)]
pub struct Member<R, L> {
    /// Its name in the report and in the ledger.
    pub name: Box<str>,
    /// Reads it.
    pub reader: R,
    /// Writes evensum's own tables on it.
    pub ledger: L,
}

/// Connections by which one table, or one chunk of it, is read.
#[derive(Debug)]
pub struct Lane<R> {
    /// One per node, in the order of the members.
    pub readers: Vec<R>,
    /// A second one to the first node.
    pub scout: R,
}

/// All connections of a run.
#[derive(Debug)]
pub struct Crew<R, L> {
    /// The nodes, with the readers of the first lane.
    pub members: Vec<Member<R, L>>,
    /// A second connection to the first member.
    pub scout: R,
    /// Further lanes.
    pub lanes: Vec<Lane<R>>,
}

/// What a run is about, and its bounds.
#[derive(Clone, Debug)]
pub struct Options {
    /// The run's name in the ledger; no two runs may share one.
    pub run: Box<str>,
    /// The tables.
    pub selection: Selection,
    /// The longest wait for one exchange of watermarks.
    pub settle_bound: Duration,
}

/// How a run treats the nodes, and what it has to go on from.
#[derive(Clone, Debug)]
pub struct Manners<'a> {
    /// How large chunks are.
    pub size: ChunkSize,
    /// The share of the time in which a lane works: more than 0, at most 1.
    pub intensity: f64,
    /// Whether nodes that can are to digest rows themselves.
    pub digests: bool,
    /// What holds the run back.
    pub gate: &'a Gate,
    /// Keeps what is finished.
    pub keeper: &'a dyn Keeper,
    /// What an earlier run has kept.
    pub checkpoint: Checkpoint,
}

/// Compares the selected tables on all members, as fast as it goes. `scout` is a second connection to the first member.
///
/// # Errors
/// If a node cannot be reached, read or written (its ledger).
pub async fn check<R: Reader + 'static, L: Ledger + 'static>(
    members: Vec<Member<R, L>>,
    scout: R,
    options: &Options,
    progress: &dyn Progress,
    stop: &Stop,
) -> Result<Report> {
    let (gate, crew) = (Gate::new(), Crew { members, scout, lanes: Vec::new() });
    let (keeper, checkpoint) = (&Forgetful, Checkpoint::default());
    let manners = Manners {
        size: ChunkSize::default(),
        intensity: 1.0,
        digests: true,
        gate: &gate,
        keeper,
        checkpoint,
    };
    check_gently(crew, options, manners, progress, stop).await
}

/// Compares the selected tables on all members, and holds back where it is told to.
///
/// # Errors
/// If a node cannot be reached, read or written (its ledger).
pub async fn check_gently<R: Reader + 'static, L: Ledger + 'static>(
    crew: Crew<R, L>,
    options: &Options,
    manners: Manners<'_>,
    progress: &dyn Progress,
    stop: &Stop,
) -> Result<Report> {
    let start = Instant::now();
    let nodes: Vec<Box<str>> = crew.members.iter().map(|member| member.name.clone()).collect();
    let (mut readers, ledgers): (Vec<R>, Vec<L>) =
        crew.members.into_iter().map(|member| (member.reader, member.ledger)).unzip();
    let sides = try_join_all(readers.iter_mut().map(async |reader| {
        let (tables, filters) = (reader.tables().await?, reader.filters().await?);
        Ok::<Side, Error>(Side { tables, filters, counts: reader.counts() })
    }))
    .await?;
    let lined = line_up(&nodes, &sides, &options.selection);
    let mut lanes = vec![Lane { readers, scout: crew.scout }];
    lanes.extend(crew.lanes);
    let mut watermarks = Watermarks::new(&options.run, &nodes, ledgers, stop.clone());
    try_join_all(watermarks.ledgers().iter_mut().map(Ledger::prepare)).await?;
    let comparable = || lined.iter().filter(|lined| lined.obstacle.is_none()).map(|lined| &lined.table);
    progress.step(Step::Started {
        tables: comparable().count(),
        rows_estimate: comparable().map(|table| table.rows_estimate).sum(),
    });
    let Manners { size, intensity, digests, gate, keeper, checkpoint } = manners;
    let tempo = Tempo { size, intensity, digests, gate, stop };
    let accounts = Accounts::default();
    let course = Course::default();
    let mut run = Run { options, nodes, watermarks, tempo, keeper, progress, accounts, course };
    let queue = run.line(lined, checkpoint, &mut lanes[0]).await?;
    run.walk_all(queue, &mut lanes).await?;
    run.settle(&mut lanes[0].readers).await?;
    let mut report = run.finish();
    report.elapsed = start.elapsed();
    Ok(report)
}

/// Settles these rows, as a check would: reads them, and asks again where they differ. The results are in the order of the
/// rows, table after table.
///
/// # Errors
/// If a node cannot be read or written.
pub async fn check_keys<R: Reader, L: Ledger + 'static>(
    rows: &[(Arc<Table>, Vec<Key>)],
    readers: &mut [R],
    watermarks: &mut Watermarks<L>,
    bound: Duration,
) -> Result<Vec<Settled>> {
    let mut candidates = Vec::new();
    for (table, keys) in rows {
        let rows = held(table, keys, readers).await?;
        candidates.extend(rows.into_iter().map(|candidate| (table.clone(), candidate)));
    }
    settle(candidates, readers, watermarks, bound, &crate::progress::Silent).await
}

/// A table to be walked, from where on, and how far it has come.
struct Job<'a> {
    account: usize,
    table: Arc<Table>,
    from: Option<Key>,
    /// The number of its next chunk.
    chunks: u64,
    pace: Pace<'a>,
}

/// What comes of walking a part of a table.
struct Walk<'a, R> {
    job: Job<'a>,
    lanes: Vec<Lane<R>>,
    walked: Walked,
    /// Why it cannot be walked on, if so.
    left: Option<Error>,
}

/// A run at work.
struct Run<'a, L> {
    options: &'a Options,
    nodes: Vec<Box<str>>,
    watermarks: Watermarks<L>,
    tempo: Tempo<'a>,
    keeper: &'a dyn Keeper,
    progress: &'a dyn Progress,
    accounts: Accounts,
    course: Course,
}

impl<'a, L: Ledger + 'static> Run<'a, L> {
    /// Opens an account for each table; the tables that are to be walked, or walked on.
    async fn line<R: Reader>(
        &mut self,
        lined: Vec<Lined>,
        mut checkpoint: Checkpoint,
        lane: &mut Lane<R>,
    ) -> Result<VecDeque<Job<'a>>> {
        let mut queue = VecDeque::new();
        for Lined { table, obstacle } in lined {
            let comparable = obstacle.is_none();
            let account = self.accounts.open(table.clone(), self.nodes.len(), obstacle);
            if !comparable {
                continue;
            }
            let kept = checkpoint.take(&table, self.nodes.len());
            let (mut from, mut chunks, mut ended) = (None, 0, false);
            if let Some(kept) = kept.filter(|kept| !kept.leaves.is_empty()) {
                (from, chunks) = (kept.next.clone(), kept.leaves.len() as u64);
                ended = from.is_none();
                self.resume(account, kept, lane).await?;
            }
            if !ended {
                queue.push_back(Job { account, table, from, chunks, pace: Pace::new(self.tempo, 1) });
            }
        }
        Ok(queue)
    }

    /// Takes over what an earlier run has kept of a table, and reads the rows again that were unequal.
    async fn resume<R: Reader>(&mut self, account: usize, kept: KeptTable, lane: &mut Lane<R>) -> Result<()> {
        let table = self.accounts.table(account).clone();
        self.course.chunks_resumed += kept.leaves.len() as u64;
        for leaf in kept.leaves {
            let keys: Vec<Key> = leaf.located.iter().flat_map(|located| located.keys.clone()).collect();
            let mut candidates = Vec::with_capacity(keys.len());
            for keys in keys.chunks(RESUMED_KEYS) {
                candidates.extend(held(&table, keys, &mut lane.readers).await?);
            }
            let rows = leaf.digests.iter().map(|digest| digest.rows).max().unwrap_or(0);
            self.progress.step(Step::Chunk { rows, equal: leaf.located.is_none() });
            self.accounts.book(account, vec![leaf], candidates);
            if self.accounts.open_rows() >= CANDIDATES_MAX {
                self.settle(&mut lane.readers).await?;
            }
        }
        Ok(())
    }

    /// Walks the tables: the large ones in all lanes, then the others side by side.
    async fn walk_all<R: Reader + 'static>(
        &mut self,
        queue: VecDeque<Job<'a>>,
        lanes: &mut Vec<Lane<R>>,
    ) -> Result<()> {
        let count = lanes.len();
        let (mut large, mut small): (VecDeque<Job>, VecDeque<Job>) =
            queue.into_iter().partition(|job| count > 1 && job.table.rows_estimate >= LARGE_ROWS);
        large.iter_mut().for_each(|job| job.pace = Pace::new(self.tempo, count));
        let mut walks = FuturesUnordered::new();
        loop {
            while !self.tempo.stop.raised() {
                let queue = if large.is_empty() { &mut small } else { &mut large };
                let wanted = queue.front().map_or(usize::MAX, |job| job.pace.lanes());
                if lanes.len() < wanted {
                    break;
                }
                let Some(job) = queue.pop_front() else { break };
                self.progress.step(Step::Table(&job.table));
                let own = lanes.split_off(lanes.len() - wanted);
                walks.push(walk_part(job, own, self.tempo.stop, self.progress));
            }
            let Some(done) = walks.next().await else { break };
            let Walk { mut job, lanes: mut own, walked, left } = done?;
            if let Some(reason) = left {
                self.accounts.leave(job.account, &reason.to_string());
                lanes.append(&mut own);
                continue;
            }
            let ended = self.book(&mut job, walked).await?;
            if self.accounts.open_rows() >= CANDIDATES_MAX {
                self.settle(&mut own[0].readers).await?;
            }
            if ended {
                self.course.chunks_retried += job.pace.retried();
                self.progress.step(Step::TableDone(&job.table));
            } else if self.tempo.stop.raised() {
                self.course.chunks_retried += job.pace.retried();
                self.accounts.leave(job.account, "the run was stopped in the middle of it");
            } else {
                walks.push(walk_part(job, own, self.tempo.stop, self.progress));
                continue;
            }
            lanes.append(&mut own);
        }
        for job in large.into_iter().chain(small) {
            let place = if job.chunks == 0 { "before it" } else { "in the middle of it" };
            self.accounts.leave(job.account, &format!("the run was stopped {place}"));
        }
        Ok(())
    }

    /// Books what was walked: in the ledger, in the accounts, and with who keeps it. Whether the table is at its end.
    async fn book(&mut self, job: &mut Job<'_>, walked: Walked) -> Result<bool> {
        self.push_equal(&walked, job.chunks).await?;
        let next = walked.next.clone();
        let (leaves, candidates) = KeptLeaf::all(walked);
        let (table, first) = (&*job.table, job.chunks);
        self.keeper.keep(Part { table, first, leaves: &leaves, next: next.as_ref() });
        job.chunks += leaves.len() as u64;
        self.accounts.book(job.account, leaves, candidates);
        let ended = next.is_none();
        job.from = next;
        Ok(ended)
    }

    /// Settles what has gathered, and books it.
    async fn settle<R: Reader>(&mut self, readers: &mut [R]) -> Result<()> {
        let candidates = self.accounts.candidates();
        let bound = self.options.settle_bound;
        let settled = settle(candidates, readers, &mut self.watermarks, bound, self.progress).await?;
        let chunks = self.accounts.settled(&settled, &self.nodes);
        let run = &self.options.run;
        let rows = |n: usize, node: &str| {
            let row = |chunk: &SettledChunk| Checksum {
                run: run.clone(),
                node: node.into(),
                number: chunk.number,
                chunk: chunk.chunk.clone(),
                digest: chunk.digests[n],
            };
            chunks.iter().map(row).collect()
        };
        push(self.watermarks.ledgers(), &self.nodes, &rows).await
    }

    /// Writes each node's checksum rows of the chunks that were the same on all nodes. Those of the others follow when it is
    /// settled what is in them, so that nobody who asks the ledger takes for a difference what was only on its way.
    async fn push_equal(&mut self, walked: &Walked, first: u64) -> Result<()> {
        let run = &self.options.run;
        let rows = |n: usize, node: &str| {
            let rows = checksums(run, node, n, &walked.leaves, first);
            let equal = rows.into_iter().zip(&walked.leaves).filter(|(_, leaf)| leaf.located.is_none());
            equal.map(|(row, _)| row).collect()
        };
        push(self.watermarks.ledgers(), &self.nodes, &rows).await
    }

    /// The report.
    fn finish(self) -> Report {
        let gate = self.tempo.gate;
        let mut course = Course { throttled: gate.held(), ..self.course };
        course.notes.extend(gate.notes());
        let begun = Report::of(&self.options.run, &self.nodes);
        self.accounts.close(Report { interrupted: self.tempo.stop.raised(), course, ..begun })
    }
}

/// Walks a table for a while; the lanes are lost when that fails.
async fn walk_part<'a, R: Reader + 'static>(
    job: Job<'a>,
    lanes: Vec<Lane<R>>,
    stop: &Stop,
    progress: &dyn Progress,
) -> Result<Walk<'a, R>> {
    let nodes = lanes.first().map_or(0, |lane| lane.readers.len());
    let (mut readers, mut scouts) = (Vec::new(), Vec::new());
    for lane in lanes {
        readers.extend(lane.readers);
        scouts.push(lane.scout);
    }
    readers.extend(scouts.pop());
    let (start, before) = (Instant::now(), job.pace.ordered());
    let over = || stop.raised() || start.elapsed() >= PART_TIME || job.pace.ordered() - before >= PART_CHUNKS;
    let (table, from) = (&job.table, job.from.clone());
    let (walked, left) = match table.counted() {
        // each part of such a table costs a pass over all of it, so it is walked in one
        true => match walk_copies(table, from, &mut readers[..nodes], &job.pace, progress, stop).await {
            // the server ends a statement that takes it too long, and there is no smaller one
            Err(bound @ Error::Bound { .. }) => (Walked::default(), Some(bound)),
            walked => (walked?, None),
        },
        false => (walk(table, from, job.chunks, &mut readers, &job.pace, progress, &over).await?, None),
    };
    scouts.extend(readers.pop());
    let mut lanes = Vec::with_capacity(scouts.len());
    let mut readers = readers.into_iter();
    for scout in scouts {
        lanes.push(Lane { readers: readers.by_ref().take(nodes).collect(), scout });
    }
    job.pace.end().await;
    Ok(Walk { job, lanes, walked, left })
}

/// What each node holds of these rows.
async fn held<R: Reader>(table: &Arc<Table>, keys: &[Key], readers: &mut [R]) -> Result<Vec<Candidate>> {
    let readings = try_join_all(readers.iter_mut().map(|reader| reader.rows_by_key(table, keys))).await?;
    let candidate = |(n, key): (usize, &Key)| Candidate {
        key: key.clone(),
        rows: readings.iter().map(|rows| rows[n].clone()).collect(),
    };
    Ok(keys.iter().enumerate().map(candidate).collect())
}

/// Writes checksum rows on each node that is written at all, through its own log.
async fn push<L: Ledger>(
    ledgers: &mut [L],
    nodes: &[Box<str>],
    rows: &(dyn Fn(usize, &str) -> Vec<Checksum> + Sync),
) -> Result<()> {
    let masters = ledgers.iter_mut().zip(nodes).enumerate();
    let pushes = masters.filter(|(_, (ledger, _))| !ledger.follows()).map(async |(n, (ledger, node))| {
        let rows = rows(n, node);
        for rows in rows.chunks(PUSH_ROWS) {
            ledger.push(rows).await?;
        }
        Ok::<(), Error>(())
    });
    try_join_all(pushes).await.map(|_| ())
}
