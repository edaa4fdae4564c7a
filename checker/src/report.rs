//! What a check found, as values.
//!
//! A divergence lists *versions*: each content of the row, and the nodes that hold it. Missing, extra and changed are
//! one case, N nodes are no harder than two, and a majority is counted.
//!
//! Invariant: a report says what was not looked at. What is neither in `divergences` nor in `unsettled`, in a table
//! that is not skipped, was shown to be identical, unless `unlisted` says that a list was cut.

use crate::throttle::{Cause, Held};
use database::{Key, Row, Table};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// What a check says of a table, or of all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Every row is the same on every node.
    Identical,
    /// At least one row really is not.
    Different,
    /// At least one row could not be decided, and none is known to be different.
    Unsettled,
    /// Not looked at.
    Skipped,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Verdict::Identical => "identical",
            Verdict::Different => "different",
            Verdict::Unsettled => "unsettled",
            Verdict::Skipped => "skipped",
        })
    }
}

/// One content of a diverged row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// The row; `None`: there is no such row.
    pub row: Option<Row>,
    /// The nodes that hold it so, in the order of the cluster.
    pub nodes: Vec<Box<str>>,
}

/// A row on which nodes disagree, with everything that replication still had to do ruled out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Divergence {
    /// The table.
    pub table: Arc<Table>,
    /// The row's key.
    pub key: Key,
    /// Its contents: at least two, the one that most nodes hold first.
    pub versions: Vec<Version>,
}

impl Divergence {
    /// Groups what each node holds into versions. `rows` and `nodes` are in the order of the cluster.
    #[must_use]
    pub fn new(table: &Arc<Table>, key: &Key, rows: &[Option<Row>], nodes: &[Box<str>]) -> Divergence {
        let mut versions: Vec<Version> = Vec::new();
        for (row, node) in rows.iter().zip(nodes) {
            match versions.iter_mut().find(|version| version.row == *row) {
                Some(version) => version.nodes.push(node.clone()),
                None => versions.push(Version { row: row.clone(), nodes: vec![node.clone()] }),
            }
        }
        // stable, so equal counts stay in the order of the cluster
        versions.sort_by_key(|version| std::cmp::Reverse(version.nodes.len()));
        Divergence { table: table.clone(), key: key.clone(), versions }
    }

    /// The names of the columns that are not the same in all versions that have a row; empty if at most one has.
    #[must_use]
    pub fn columns(&self) -> Vec<&str> {
        let rows: Vec<_> = self.versions.iter().filter_map(|v| v.row.as_ref()).map(Row::values).collect();
        let encode = |value: Option<&database::Value>| {
            let mut bytes = Vec::new();
            value.inspect(|value| value.encode(&mut bytes));
            bytes
        };
        let differs = |column: usize| {
            rows.windows(2).any(|pair| encode(pair[0].get(column)) != encode(pair[1].get(column)))
        };
        (0..self.table.columns.len())
            .filter(|&column| differs(column))
            .map(|column| self.table.columns[column].name.as_ref())
            .collect()
    }
}

/// A row on which nodes seemed to disagree, and of which nothing could be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsettled {
    /// The table.
    pub table: Arc<Table>,
    /// The row's key.
    pub key: Key,
    /// Why nothing could be shown.
    pub reason: Arc<str>,
}

/// The fingerprint of a table on one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeFingerprint {
    /// The node.
    pub node: Box<str>,
    /// The root of the tree over the table's chunks.
    pub root: [u8; 32],
}

/// How some nodes define a table that others define otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    /// The columns and the key.
    pub text: String,
    /// The nodes, in the order of the cluster.
    pub nodes: Vec<Box<str>>,
}

/// What was found in one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableReport {
    /// The table, as the first node that has it defines it.
    pub table: Arc<Table>,
    /// The verdict.
    pub verdict: Verdict,
    /// The rows of the node that holds most.
    pub rows: u64,
    /// The chunks that were compared.
    pub chunks: u64,
    /// The chunks whose digests differed at first.
    pub chunks_mismatched: u64,
    /// The chunks that hold a row that is different.
    pub chunks_different: u64,
    /// The chunks that hold a row that is unsettled.
    pub chunks_unsettled: u64,
    /// The chunks in the order of the table, as settled: how many in a row are alike. A chunk is different if any row of it is,
    /// else unsettled if any is.
    pub chunk_verdicts: Vec<(Verdict, u64)>,
    /// Rows that differed at first and turned out to be on their way.
    pub rows_lagging: u64,
    /// Rows that are different.
    pub rows_different: u64,
    /// Rows that are unsettled.
    pub rows_unsettled: u64,
    /// One per node, in the order of the cluster; empty if skipped. Two nodes have equal fingerprints if and only if
    /// all their chunks are equal as settled. Fingerprints of different runs cut chunks differently and say nothing
    /// about each other.
    pub fingerprints: Vec<NodeFingerprint>,
    /// Why it was skipped.
    pub reason: Option<String>,
    /// The definitions, if it was skipped because they differ: each once.
    pub definitions: Vec<Definition>,
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The run, as the ledger knows it.
    pub run: Box<str>,
    /// The nodes, in the order of the cluster.
    pub nodes: Vec<Box<str>>,
    /// Every selected table, in order of name.
    pub tables: Vec<TableReport>,
    /// The rows that are different.
    pub divergences: Vec<Divergence>,
    /// The rows that are unsettled.
    pub unsettled: Vec<Unsettled>,
    /// Rows that are different or unsettled and are not listed, because the lists have a bound.
    pub unlisted: u64,
    /// Whether it was stopped before all tables were compared.
    pub interrupted: bool,
    /// How long it took.
    pub elapsed: Duration,
    /// How it went.
    pub course: Course,
}

/// How a check went, beside what it found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Course {
    /// For how long it was held back, by cause. What several walks rested at the same time is added up.
    pub throttled: BTreeMap<Cause, Held>,
    /// The chunks that were taken over from a run that was ended before.
    pub chunks_resumed: u64,
    /// How often a chunk was read again with fewer rows, because its reading took too long.
    pub chunks_retried: u64,
    /// What else a reader of the report should know.
    pub notes: Vec<String>,
}

impl TableReport {
    /// Adds the next chunk to [`TableReport::chunk_verdicts`].
    pub(crate) fn add_chunk(&mut self, verdict: Verdict) {
        match self.chunk_verdicts.last_mut() {
            Some((last, count)) if *last == verdict => *count += 1,
            _ => self.chunk_verdicts.push((verdict, 1)),
        }
    }
}

impl Report {
    /// A report of which nothing is known yet but its run and its nodes.
    #[must_use]
    pub fn of(run: &str, nodes: &[Box<str>]) -> Report {
        Report {
            run: run.into(),
            nodes: nodes.to_vec(),
            tables: Vec::new(),
            divergences: Vec::new(),
            unsettled: Vec::new(),
            unlisted: 0,
            interrupted: false,
            elapsed: Duration::ZERO,
            course: Course::default(),
        }
    }

    /// The verdict over all tables: different if any is; else unsettled or skipped if any is, or if the run was
    /// interrupted; identical only if all are.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let any = |verdict| self.tables.iter().any(|table| table.verdict == verdict);
        if any(Verdict::Different) {
            Verdict::Different
        } else if any(Verdict::Unsettled) {
            Verdict::Unsettled
        } else if any(Verdict::Skipped) || self.interrupted {
            Verdict::Skipped
        } else {
            Verdict::Identical
        }
    }
}
