//! One run of the checker: a function from members and options to a report.
//!
//! For each table: walk it and push its checksum rows; then settle what differed in all of them, and make fingerprints. A table that
//! cannot be compared is skipped; a node that cannot be asked ends the run with its error, because without one of the
//! nodes nothing can be said about agreement.

use crate::fingerprint::fingerprint;
use crate::lineup::{Lined, Obstacle, Side, line_up};
use crate::locate::Candidate;
use crate::multiset::walk_copies;
use crate::progress::{Progress, Step};
use crate::report::{Divergence, NodeFingerprint, Report, TableReport, Unsettled, Verdict};
use crate::selection::Selection;
use crate::settle::{Settled, settle};
use crate::stop::Stop;
use crate::walk::{CANDIDATES_MAX, Leaf, Walked, checksums, walk};
use crate::watermark::Watermarks;
use database::{Checksum, Error, Key, Ledger, Reader, Result, Row, Table};
use futures_util::future::try_join_all;
use std::sync::Arc;
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
    let sides = try_join_all(readers.iter_mut().map(async |reader| {
        let (tables, filters) = (reader.tables().await?, reader.filters().await?);
        Ok::<Side, Error>(Side { tables, filters, counts: reader.counts() })
    }))
    .await?;
    let lined = line_up(&names, &sides, &options.selection);
    readers.push(scout);
    let mut watermarks = Watermarks::new(&options.run, &names, ledgers, stop.clone());
    try_join_all(watermarks.ledgers().iter_mut().map(Ledger::prepare)).await?;
    let comparable = || lined.iter().filter(|lined| lined.obstacle.is_none()).map(|lined| &lined.table);
    progress.step(Step::Started {
        tables: comparable().count(),
        rows_estimate: comparable().map(|table| table.rows_estimate).sum(),
    });
    let mut run = Run {
        options,
        readers,
        watermarks,
        progress,
        stop,
        report: Report {
            run: options.run.clone(),
            nodes: names,
            tables: Vec::new(),
            divergences: Vec::new(),
            unsettled: Vec::new(),
            unlisted: 0,
            interrupted: false,
            elapsed: Duration::ZERO,
        },
        works: Vec::new(),
        parts: Vec::new(),
        candidates: Vec::new(),
    };
    for Lined { table, obstacle } in lined {
        match obstacle {
            Some(Obstacle { reason, definitions }) => {
                let report = TableReport { definitions, ..skipped(table, reason) };
                run.works.push(Work::new(report, 0));
            }
            None if stop.raised() => {
                run.works.push(Work::new(skipped(table, "the run was stopped before it".into()), 0))
            }
            None => {
                progress.step(Step::Table(&table));
                run.compare(&table).await?;
                progress.step(Step::TableDone(&table));
            }
        }
    }
    run.settle().await?;
    let mut report = run.finish();
    report.interrupted = stop.raised();
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
        let readings = try_join_all(readers.iter_mut().map(|reader| reader.rows_by_key(table, keys))).await?;
        candidates.extend(keys.iter().enumerate().map(|(n, key)| {
            let held = readings.iter().map(|rows| rows[n].clone()).collect();
            (table.clone(), Candidate { key: key.clone(), rows: held })
        }));
    }
    settle(candidates, readers, watermarks, bound, &crate::progress::Silent).await
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
        definitions: Vec::new(),
    }
}

/// A table at work: its report so far, and the leaves of each node.
struct Work {
    report: TableReport,
    rows_by_node: Vec<u64>,
    hashes: Vec<Vec<[u8; 32]>>,
}

impl Work {
    fn new(report: TableReport, nodes: usize) -> Work {
        Work { report, rows_by_node: vec![0; nodes], hashes: vec![Vec::new(); nodes] }
    }
}

/// Leaves that wait for their candidates to be settled.
struct Part {
    /// The table's place among the works.
    work: usize,
    leaves: Vec<Leaf>,
    /// Where the part's candidates begin in the list of all candidates.
    first_candidate: usize,
    candidates: usize,
}

/// A run at work.
struct Run<'a, R, L> {
    options: &'a Options,
    /// One per node, and the scout.
    readers: Vec<R>,
    watermarks: Watermarks<L>,
    progress: &'a dyn Progress,
    stop: &'a Stop,
    report: Report,
    works: Vec<Work>,
    parts: Vec<Part>,
    candidates: Vec<(Arc<Table>, Candidate)>,
}

impl<R: Reader + 'static, L: Ledger + 'static> Run<'_, R, L> {
    /// Walks a table. What differs in it is settled at the end of the run, or when too much has gathered.
    async fn compare(&mut self, table: &Arc<Table>) -> Result<()> {
        let report = TableReport {
            reason: None,
            verdict: Verdict::Identical,
            ..skipped(table.clone(), String::new())
        };
        let work = self.works.len();
        self.works.push(Work::new(report, self.report.nodes.len()));
        let mut from = None;
        loop {
            let (stop, chunks) = (|| self.stop.raised(), self.works[work].report.chunks);
            let nodes = self.report.nodes.len();
            let Walked { leaves, candidates, next } = match table.counted() {
                true => walk_copies(table, from, nodes, &mut self.readers, self.progress, &stop).await?,
                false => walk(table, from, chunks, &mut self.readers, self.progress, &stop).await?,
            };
            self.push(&leaves, chunks).await?;
            let done = &mut self.works[work];
            done.report.chunks += leaves.len() as u64;
            done.report.chunks_mismatched +=
                leaves.iter().filter(|leaf| leaf.located.is_some()).count() as u64;
            for leaf in &leaves {
                done.rows_by_node
                    .iter_mut()
                    .zip(&leaf.digests)
                    .for_each(|(rows, digest)| *rows += digest.rows);
            }
            let first_candidate = self.candidates.len();
            self.parts.push(Part { work, leaves, first_candidate, candidates: candidates.len() });
            self.candidates.extend(candidates.into_iter().map(|candidate| (table.clone(), candidate)));
            if self.candidates.len() >= CANDIDATES_MAX {
                self.settle().await?;
            }
            from = next;
            if from.is_none() {
                return Ok(());
            }
            if self.stop.raised() {
                self.works[work].report.reason = Some("the run was stopped in the middle of it".into());
                return Ok(());
            }
        }
    }

    /// Settles what has gathered, and books it.
    async fn settle(&mut self) -> Result<()> {
        let candidates = std::mem::take(&mut self.candidates);
        let keys: Vec<Key> = candidates.iter().map(|(_, candidate)| candidate.key.clone()).collect();
        let readers = &mut self.readers[..self.report.nodes.len()];
        let bound = self.options.settle_bound;
        let settled = settle(candidates, readers, &mut self.watermarks, bound, self.progress).await?;
        for part in std::mem::take(&mut self.parts) {
            let range = part.first_candidate..part.first_candidate + part.candidates;
            let (keys, settled) = (&keys[range.clone()], &settled[range]);
            let work = &mut self.works[part.work];
            for leaf in &part.leaves {
                for (node, hashes) in work.hashes.iter_mut().enumerate() {
                    hashes.push(leaf_hash(leaf, node, keys, settled));
                }
            }
            record(keys, settled, &mut work.report, &mut self.report);
        }
        Ok(())
    }

    /// Writes each node's checksum rows through its own log.
    async fn push(&mut self, leaves: &[Leaf], first: u64) -> Result<()> {
        let (run, nodes) = (&self.options.run, &self.report.nodes);
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

    /// The verdict and the fingerprints of each table.
    fn finish(self) -> Report {
        let mut report = self.report;
        for Work { report: mut table, rows_by_node, hashes } in self.works {
            if table.verdict != Verdict::Skipped {
                table.rows = rows_by_node.into_iter().max().unwrap_or(0);
                let prints = report.nodes.iter().zip(&hashes);
                table.fingerprints = prints
                    .map(|(node, leaves)| NodeFingerprint { node: node.clone(), root: fingerprint(leaves) })
                    .collect();
                table.verdict = match (table.rows_different, table.rows_unsettled) {
                    (0, 0) if table.reason.is_some() => Verdict::Skipped,
                    (0, 0) => Verdict::Identical,
                    (0, _) => Verdict::Unsettled,
                    _ => Verdict::Different,
                };
            }
            report.tables.push(table);
        }
        report
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
fn record(keys: &[Key], settled: &[Settled], done: &mut TableReport, report: &mut Report) {
    let table = &done.table;
    for (key, settled) in keys.iter().zip(settled) {
        let full = report.divergences.len() + report.unsettled.len() >= LISTED_MAX;
        match settled {
            Settled::Identical(_) => done.rows_lagging += 1,
            Settled::Different(rows) => {
                done.rows_different += 1;
                report.unlisted += u64::from(full);
                if !full {
                    report.divergences.push(Divergence::new(table, key, rows, &report.nodes));
                }
            }
            Settled::Unsettled(_, reason) => {
                done.rows_unsettled += 1;
                report.unlisted += u64::from(full);
                if !full {
                    let (table, key, reason) = (table.clone(), key.clone(), reason.clone());
                    report.unsettled.push(Unsettled { table, key, reason });
                }
            }
        }
    }
}
