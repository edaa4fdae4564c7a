//! One run of the checker: a function from members and options to a report.
//!
//! For each table: walk it, settle what differed, make its fingerprints, and push its checksum rows. A table that
//! cannot be compared is skipped; a node that cannot be asked ends the run with its error, because without one of the
//! nodes nothing can be said about agreement.

use crate::fingerprint::fingerprint;
use crate::lineup::{Lined, line_up};
use crate::locate::Candidate;
use crate::progress::{Progress, Step};
use crate::report::{Divergence, NodeFingerprint, Report, TableReport, Unsettled, Verdict};
use crate::selection::Selection;
use crate::settle::{Settled, settle};
use crate::walk::{Leaf, Walked, checksums, walk};
use crate::watermark::Watermarks;
use database::{Checksum, Error, Key, Ledger, Reader, Result, Row, Table};
use futures_util::future::try_join_all;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The most rows that a report lists as different or unsettled; more are counted.
const LISTED_MAX: usize = 100_000;
/// The most checksum rows that are pushed in one go.
const PUSH_ROWS: usize = 200;

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

/// A flag that asks a run to end after the chunk at hand.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// A flag that is not raised.
    #[must_use]
    pub fn new() -> Stop {
        Stop::default()
    }

    /// Raises it.
    pub fn raise(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it is raised.
    #[must_use]
    pub fn raised(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Compares the selected tables on all members. `scout` is a second connection to the first member.
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
    let start = Instant::now();
    let names: Vec<Box<str>> = members.iter().map(|member| member.name.clone()).collect();
    let (mut readers, ledgers): (Vec<R>, Vec<L>) =
        members.into_iter().map(|member| (member.reader, member.ledger)).unzip();
    let lists = try_join_all(readers.iter_mut().map(Reader::tables)).await?;
    let lined = line_up(&names, &lists, &options.selection);
    readers.push(scout);
    let mut watermarks = Watermarks::new(&options.run, &names, ledgers);
    try_join_all(watermarks.ledgers().iter_mut().map(Ledger::prepare)).await?;
    let comparable = || lined.iter().filter(|lined| lined.reason.is_none()).map(|lined| &lined.table);
    progress.step(Step::Started {
        tables: comparable().count(),
        rows_estimate: comparable().map(|table| table.rows_estimate).sum(),
    });
    let mut report = Report {
        run: options.run.clone(),
        nodes: names,
        tables: Vec::new(),
        divergences: Vec::new(),
        unsettled: Vec::new(),
        unlisted: 0,
        interrupted: false,
        elapsed: Duration::ZERO,
    };
    for Lined { table, reason } in lined {
        let table_report = match reason {
            Some(reason) => skipped(table, reason),
            None if stop.raised() => skipped(table, "the run was stopped before it".into()),
            None => {
                progress.step(Step::Table(&table));
                let mut run =
                    TableRun { options, readers: &mut readers, watermarks: &mut watermarks, progress, stop };
                let done = run.compare(&table, &mut report).await?;
                progress.step(Step::TableDone(&table));
                done
            }
        };
        report.tables.push(table_report);
    }
    report.interrupted = stop.raised();
    report.elapsed = start.elapsed();
    Ok(report)
}

/// Settles the rows with these keys, as a check would: reads them, and asks again where they differ. The results are in
/// the order of the keys.
///
/// # Errors
/// If a node cannot be read or written.
pub async fn check_keys<R: Reader, L: Ledger + 'static>(
    table: &Table,
    keys: &[Key],
    readers: &mut [R],
    watermarks: &mut Watermarks<L>,
    bound: Duration,
) -> Result<Vec<Settled>> {
    let readings = try_join_all(readers.iter_mut().map(|reader| reader.rows_by_key(table, keys))).await?;
    let candidates = keys
        .iter()
        .enumerate()
        .map(|(n, key)| Candidate::new(key.clone(), readings.iter().map(|rows| rows[n].clone()).collect()));
    settle(table, candidates.collect(), readers, watermarks, bound, &crate::progress::Silent).await
}

fn skipped(table: Arc<Table>, reason: String) -> TableReport {
    TableReport {
        table,
        verdict: Verdict::Skipped,
        rows: 0,
        chunks: 0,
        chunks_mismatched: 0,
        rows_lagging: 0,
        rows_different: 0,
        rows_unsettled: 0,
        fingerprints: Vec::new(),
        reason: Some(reason),
    }
}

/// What is needed to compare one table.
struct TableRun<'a, R, L> {
    options: &'a Options,
    readers: &'a mut Vec<R>,
    watermarks: &'a mut Watermarks<L>,
    progress: &'a dyn Progress,
    stop: &'a Stop,
}

impl<R: Reader + 'static, L: Ledger + 'static> TableRun<'_, R, L> {
    async fn compare(&mut self, table: &Arc<Table>, report: &mut Report) -> Result<TableReport> {
        let nodes = report.nodes.clone();
        let mut done = TableReport {
            reason: None,
            verdict: Verdict::Identical,
            ..skipped(table.clone(), String::new())
        };
        let mut rows_by_node = vec![0_u64; nodes.len()];
        let mut hashes: Vec<Vec<[u8; 32]>> = vec![Vec::new(); nodes.len()];
        let mut from = None;
        loop {
            let stop = || self.stop.raised();
            let Walked { leaves, candidates, next } =
                walk(table, from, done.chunks, self.readers, self.progress, &stop).await?;
            self.push(&nodes, &leaves, done.chunks).await?;
            let keys: Vec<Key> = candidates.iter().map(|candidate| candidate.key.clone()).collect();
            let settled = self.settle(table, candidates, nodes.len()).await?;
            for leaf in &leaves {
                for (node, digest) in leaf.digests.iter().enumerate() {
                    rows_by_node[node] += digest.rows;
                    hashes[node].push(leaf_hash(leaf, node, &keys, &settled));
                }
            }
            done.chunks += leaves.len() as u64;
            done.chunks_mismatched += leaves.iter().filter(|leaf| leaf.located.is_some()).count() as u64;
            record(table, &nodes, keys, settled, &mut done, report);
            from = next;
            if from.is_none() || self.stop.raised() {
                break;
            }
        }
        done.rows = rows_by_node.into_iter().max().unwrap_or(0);
        done.fingerprints = nodes
            .iter()
            .zip(&hashes)
            .map(|(node, leaves)| NodeFingerprint { node: node.clone(), root: fingerprint(leaves) })
            .collect();
        done.verdict = match (done.rows_different, done.rows_unsettled) {
            (0, 0) if from.is_some() => Verdict::Skipped,
            (0, 0) => Verdict::Identical,
            (0, _) => Verdict::Unsettled,
            _ => Verdict::Different,
        };
        if from.is_some() {
            done.reason = Some("the run was stopped in the middle of it".into());
        }
        Ok(done)
    }

    async fn settle(
        &mut self,
        table: &Table,
        candidates: Vec<Candidate>,
        nodes: usize,
    ) -> Result<Vec<Settled>> {
        if candidates.is_empty() {
            return Ok(Vec::new());
        }
        let readers = &mut self.readers[..nodes];
        settle(table, candidates, readers, self.watermarks, self.options.settle_bound, self.progress).await
    }

    /// Writes each node's checksum rows through its own log.
    async fn push(&mut self, nodes: &[Box<str>], leaves: &[Leaf], first: u64) -> Result<()> {
        let run = &self.options.run;
        let pushes =
            self.watermarks.ledgers().iter_mut().zip(nodes).enumerate().map(async |(n, (ledger, node))| {
                let rows: Vec<Checksum> = checksums(run, node, n, leaves, first);
                for rows in rows.chunks(PUSH_ROWS) {
                    ledger.push(rows).await?;
                }
                Ok::<(), Error>(())
            });
        try_join_all(pushes).await.map(|_| ())
    }
}

/// What a node holds in a chunk, as settled: the chunk's digest where all nodes had the same, else the rows that they
/// had in common and each other row as it is on this node.
fn leaf_hash(leaf: &Leaf, node: usize, keys: &[Key], settled: &[Settled]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key("evensum 2026 fingerprint leaf v1");
    let Some((common, candidates)) = &leaf.located else {
        hasher.update(&[0]).update(&leaf.digests[node].rows.to_be_bytes()).update(&leaf.digests[node].hash);
        return *hasher.finalize().as_bytes();
    };
    hasher.update(&[1]).update(common);
    for n in candidates.clone() {
        let row = match &settled[n] {
            Settled::Identical(row) => row.as_ref(),
            Settled::Different(rows) | Settled::Unsettled(rows, _) => rows[node].as_ref(),
        };
        let row = row.map_or(&[][..], Row::bytes);
        for part in [keys[n].bytes(), row] {
            hasher.update(&(part.len() as u64).to_be_bytes()).update(part);
        }
    }
    *hasher.finalize().as_bytes()
}

/// Counts and lists what was settled.
fn record(
    table: &Arc<Table>,
    nodes: &[Box<str>],
    keys: Vec<Key>,
    settled: Vec<Settled>,
    done: &mut TableReport,
    report: &mut Report,
) {
    for (key, settled) in keys.into_iter().zip(settled) {
        let full = report.divergences.len() + report.unsettled.len() >= LISTED_MAX;
        match settled {
            Settled::Identical(_) => done.rows_lagging += 1,
            Settled::Different(rows) => {
                done.rows_different += 1;
                report.unlisted += u64::from(full);
                if !full {
                    report.divergences.push(Divergence::new(table, &key, &rows, nodes));
                }
            }
            Settled::Unsettled(_, reason) => {
                done.rows_unsettled += 1;
                report.unlisted += u64::from(full);
                if !full {
                    report.unsettled.push(Unsettled { table: table.clone(), key, reason });
                }
            }
        }
    }
}
