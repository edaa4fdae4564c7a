//! The accounts of a run: what is known of each table so far, and what waits to be settled.
//!
//! Tables are walked side by side and settled together, so what is found comes in any order. Each table has an account of
//! its own, and the report is made from the accounts in the order of the tables: however many lanes a run had, its report
//! reads the same.
//!
//! Invariant: each leaf becomes one hash per node, in the order of the table's chunks.

use crate::checkpoint::{KeptLeaf, KeptRows};
use crate::fingerprint::fingerprint;
use crate::lineup::Obstacle;
use crate::locate::Candidate;
use crate::report::{Divergence, NodeFingerprint, Report, TableReport, Unsettled, Verdict};
use crate::settle::Settled;
use database::{Chunk, Digest, Key, Row, Table};
use std::sync::Arc;

/// The most rows that a report lists as different or unsettled; more are counted.
const LISTED_MAX: usize = 100_000;

/// A table's account.
pub(crate) struct Account {
    pub(crate) report: TableReport,
    rows_by_node: Vec<u64>,
    hashes: Vec<Vec<[u8; 32]>>,
    divergences: Vec<Divergence>,
    unsettled: Vec<Unsettled>,
}

/// Leaves that wait for their candidates to be settled.
struct Waiting {
    account: usize,
    /// The number of the first leaf in its table.
    first: u64,
    leaves: Vec<KeptLeaf>,
    candidates: Vec<Candidate>,
}

/// A chunk that was not the same on all nodes, and what each node holds in it for certain.
pub(crate) struct SettledChunk {
    /// Its number in its table.
    pub(crate) number: u64,
    pub(crate) chunk: Chunk,
    pub(crate) digests: Vec<Digest>,
}

/// All accounts of a run.
#[derive(Default)]
pub(crate) struct Accounts {
    accounts: Vec<Account>,
    waiting: Vec<Waiting>,
    listed: usize,
    unlisted: u64,
}

/// A table of which nothing is known but why.
fn skipped(table: Arc<Table>, obstacle: Option<Obstacle>) -> TableReport {
    TableReport {
        table,
        verdict: if obstacle.is_some() { Verdict::Skipped } else { Verdict::Identical },
        rows: 0,
        chunks: 0,
        chunks_mismatched: 0,
        chunks_different: 0,
        chunks_unsettled: 0,
        chunk_verdicts: Vec::new(),
        rows_lagging: 0,
        rows_different: 0,
        rows_unsettled: 0,
        fingerprints: Vec::new(),
        reason: obstacle.as_ref().map(|obstacle| obstacle.reason.clone()),
        definitions: obstacle.map(|obstacle| obstacle.definitions).unwrap_or_default(),
    }
}

impl Accounts {
    /// Opens the next account, of a table that is compared, or is not for a reason; its number.
    pub(crate) fn open(&mut self, table: Arc<Table>, nodes: usize, obstacle: Option<Obstacle>) -> usize {
        self.accounts.push(Account {
            report: skipped(table, obstacle),
            rows_by_node: vec![0; nodes],
            hashes: vec![Vec::new(); nodes],
            divergences: Vec::new(),
            unsettled: Vec::new(),
        });
        self.accounts.len() - 1
    }

    /// Notes that a table is left, before it was begun or in the middle; what was found in it stays.
    pub(crate) fn leave(&mut self, account: usize, reason: &str) {
        let report = &mut self.accounts[account].report;
        if report.chunks == 0 {
            let obstacle = Obstacle { reason: reason.to_owned(), definitions: Vec::new() };
            *report = skipped(report.table.clone(), Some(obstacle));
        } else {
            report.reason = Some(reason.to_owned());
        }
    }

    /// The table of an account.
    pub(crate) fn table(&self, account: usize) -> &Arc<Table> {
        &self.accounts[account].report.table
    }

    /// Books leaves, the next ones of their table, with the candidates in them.
    pub(crate) fn book(&mut self, account: usize, leaves: Vec<KeptLeaf>, candidates: Vec<Candidate>) {
        let done = &mut self.accounts[account];
        let first = done.report.chunks;
        done.report.chunks += leaves.len() as u64;
        for leaf in &leaves {
            done.report.chunks_mismatched += u64::from(leaf.located.is_some());
            done.rows_by_node.iter_mut().zip(&leaf.digests).for_each(|(rows, digest)| *rows += digest.rows);
        }
        self.waiting.push(Waiting { account, first, leaves, candidates });
    }

    /// How many rows wait to be settled.
    pub(crate) fn open_rows(&self) -> usize {
        self.waiting.iter().map(|waiting| waiting.candidates.len()).sum()
    }

    /// What waits to be settled, the rows of a table together, in the order in which [`Accounts::settled`] takes the answers.
    pub(crate) fn candidates(&mut self) -> Vec<(Arc<Table>, Candidate)> {
        // stable, so the parts of a table stay in order
        self.waiting.sort_by_key(|waiting| waiting.account);
        let mut all = Vec::with_capacity(self.open_rows());
        for waiting in &mut self.waiting {
            let table = &self.accounts[waiting.account].report.table;
            let candidates = std::mem::take(&mut waiting.candidates);
            all.extend(candidates.into_iter().map(|candidate| (table.clone(), candidate)));
        }
        all
    }

    /// Books what was settled; the chunks that were not the same on all nodes at first and of which all is certain now.
    pub(crate) fn settled(&mut self, settled: &[Settled], nodes: &[Box<str>]) -> Vec<SettledChunk> {
        let (mut rest, mut chunks) = (settled, Vec::new());
        for Waiting { account, first, leaves, .. } in std::mem::take(&mut self.waiting) {
            for (leaf, number) in leaves.into_iter().zip(first..) {
                let count = leaf.located.as_ref().map_or(0, |located| located.keys.len());
                let (own, others) = rest.split_at(count.min(rest.len()));
                rest = others;
                let done = &mut self.accounts[account];
                for (node, hashes) in done.hashes.iter_mut().enumerate() {
                    hashes.push(leaf_hash(&leaf, node, own));
                }
                let any = |kind: fn(&Settled) -> bool| own.iter().any(kind);
                let different = any(|row| matches!(row, Settled::Different(_)));
                let unsettled = any(|row| matches!(row, Settled::Unsettled(..)));
                done.report.add_chunk(match (different, unsettled) {
                    (true, _) => Verdict::Different,
                    (false, true) => Verdict::Unsettled,
                    (false, false) => Verdict::Identical,
                });
                if let Some(located) = &leaf.located {
                    done.report.chunks_different += u64::from(different);
                    done.report.chunks_unsettled += u64::from(unsettled);
                    if !unsettled {
                        let chunk = located.chunk(&done.report.table);
                        let digests = (0..nodes.len()).map(|node| located.digest(node, own)).collect();
                        chunks.push(SettledChunk { number, chunk, digests });
                    }
                    self.record(account, &located.keys, own, nodes);
                }
            }
        }
        chunks
    }

    /// Counts and lists rows that were settled.
    fn record(&mut self, account: usize, keys: &[Key], settled: &[Settled], nodes: &[Box<str>]) {
        let Account { report: done, divergences, unsettled, .. } = &mut self.accounts[account];
        for (key, settled) in keys.iter().zip(settled) {
            let full = self.listed >= LISTED_MAX;
            match settled {
                Settled::Identical(_) => {
                    done.rows_lagging += 1;
                    continue;
                }
                Settled::Different(rows) => {
                    done.rows_different += 1;
                    if !full {
                        divergences.push(Divergence::new(&done.table, key, rows, nodes));
                    }
                }
                Settled::Unsettled(_, reason) => {
                    done.rows_unsettled += 1;
                    if !full {
                        let (table, key, reason) = (done.table.clone(), key.clone(), reason.clone());
                        unsettled.push(Unsettled { table, key, reason });
                    }
                }
            }
            self.listed += usize::from(!full);
            self.unlisted += u64::from(full);
        }
    }

    /// The verdict and the fingerprints of each table, and the lists of rows.
    pub(crate) fn close(self, mut report: Report) -> Report {
        report.unlisted = self.unlisted;
        for account in self.accounts {
            let Account { report: mut table, rows_by_node, hashes, divergences, unsettled } = account;
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
            report.divergences.extend(divergences);
            report.unsettled.extend(unsettled);
            report.tables.push(table);
        }
        report
    }
}

impl KeptRows {
    fn chunk(&self, table: &Arc<Table>) -> Chunk {
        Chunk { table: table.clone(), lower: self.lower.clone(), upper: self.upper.clone() }
    }

    /// What a node holds in it, now that every row in question is settled.
    fn digest(&self, node: usize, settled: &[Settled]) -> Digest {
        let there = settled.iter().filter(|settled| on(settled, node).is_some()).count() as u64;
        Digest { rows: self.common.1 + there, hash: self.hash(node, settled) }
    }

    /// The rows that all nodes had in common, and each other row as it is on this node.
    fn hash(&self, node: usize, settled: &[Settled]) -> [u8; 32] {
        let mut hasher = leaf_hasher();
        hasher.update(&[1]).update(&self.common.0);
        for (key, settled) in self.keys.iter().zip(settled) {
            let row = on(settled, node).map_or(&[][..], Row::bytes);
            for part in [key.bytes(), row] {
                hasher.update(&(part.len() as u64).to_be_bytes()).update(part);
            }
        }
        *hasher.finalize().as_bytes()
    }
}

/// What a node holds of a row.
fn on(settled: &Settled, node: usize) -> Option<&Row> {
    match settled {
        Settled::Identical(row) => row.as_ref(),
        Settled::Different(rows) | Settled::Unsettled(rows, _) => rows[node].as_ref(),
    }
}

fn leaf_hasher() -> blake3::Hasher {
    blake3::Hasher::new_derive_key("evensum 2026 fingerprint leaf v1")
}

/// What a node holds in a chunk, as settled: the chunk's digest where all nodes had the same.
fn leaf_hash(leaf: &KeptLeaf, node: usize, settled: &[Settled]) -> [u8; 32] {
    if let Some(located) = &leaf.located {
        return located.hash(node, settled);
    }
    let digest = leaf.digests[node];
    let mut hasher = leaf_hasher();
    hasher.update(&[0]).update(&digest.rows.to_be_bytes()).update(&digest.hash);
    *hasher.finalize().as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::integers;
    use database::Value;

    #[test]
    fn what_was_found_in_a_table_stays_when_the_rest_of_it_is_left() {
        let nodes: [Box<str>; 2] = ["a".into(), "b".into()];
        let key = Key::new(&[Value::Int(1)]);
        let rows = vec![Some(Row::new(&[Value::Int(1)])), None];
        let located = KeptRows { lower: None, upper: None, common: ([0; 32], 0), keys: vec![key.clone()] };
        let digests = vec![Digest { rows: 1, hash: [1; 32] }, Digest { rows: 0, hash: [0; 32] }];
        let mut accounts = Accounts::default();
        let (begun, other) = (
            accounts.open(integers(&[("id", "int NOT NULL")]), 2, None),
            accounts.open(integers(&[("id", "int NOT NULL")]), 2, None),
        );
        let leaf = KeptLeaf { digests, located: Some(located) };
        accounts.book(begun, vec![leaf], vec![Candidate { key, rows: rows.clone() }]);
        accounts.candidates();
        for account in [begun, other] {
            accounts.leave(account, "too slow");
        }
        accounts.settled(&[Settled::Different(rows)], &nodes);
        let report = accounts.close(Report::of("run", &nodes));
        let tables =
            report.tables.iter().map(|table| (table.verdict, table.rows_different, table.reason.as_deref()));
        assert_eq!(
            tables.collect::<Vec<_>>(),
            [(Verdict::Different, 1, Some("too slow")), (Verdict::Skipped, 0, Some("too slow"))]
        );
        assert_eq!((report.verdict(), report.divergences.len()), (Verdict::Different, 1));
        assert_eq!(report.tables[0].chunk_verdicts, [(Verdict::Different, 1)]);
    }
}
