//! The narrow door by which a checker writes: evensum's own tables, and nothing else.
//!
//! Two tables in one database (`evensum` unless said otherwise) on every node:
//!
//! * `checksums`: one row per run, node and chunk, written **on the node that was read, through its own log**, so
//!   that it replicates like any write, and any node can be asked with plain SQL which chunks differ. A chunk that was not the
//!   same everywhere at first has its rows when it is settled what is in it; one that stays unsettled has none.
//! * `watermarks`: one row per run, writer and number. A node that shows a watermark has applied everything that
//!   its writer had committed before it.
//!
//! A *follower* is a node where nothing begins that reaches the others: a read-only replica at the edge. It is written by
//! nobody, by us neither; it shows the marks of the others, which is all that is needed of it.
//!
//! Invariant: rows of the ledger are only ever inserted through the log, under keys that no other run and no other
//! node uses. So they can neither conflict nor miss a row, and can never stop a replication.

use crate::digest::Digest;
use crate::error::Result;
use crate::table::Chunk;
use std::future::Future;

/// What one node holds in one chunk, as the ledger keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checksum {
    /// The run. Unique among all runs of all times and places, since the rows of all of them lie in one table on each
    /// node: whoever names a run, by hand too, appends randomness. At most 96 characters.
    pub run: Box<str>,
    /// The node that was read.
    pub node: Box<str>,
    /// The chunk's number in its table, from 0.
    pub number: u64,
    /// The chunk.
    pub chunk: Chunk,
    /// What was read where all nodes had the same, else what the node certainly holds.
    pub digest: Digest,
}

/// A mark in one node's log.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Watermark {
    /// The node that wrote it.
    pub writer: Box<str>,
    /// Its number in the run, from 1; each is written once.
    pub number: u64,
}

/// Writes and reads evensum's own tables on one node.
pub trait Ledger: Send {
    /// Makes sure that the tables are there, and forgets rows of runs that are long over.
    fn prepare(&mut self) -> impl Future<Output = Result<()>> + Send;
    /// Writes checksum rows, through this node's log.
    fn push(&mut self, checksums: &[Checksum]) -> impl Future<Output = Result<()>> + Send;
    /// Writes a watermark, through this node's log.
    fn mark(&mut self, run: &str, watermark: &Watermark) -> impl Future<Output = Result<()>> + Send;
    /// The watermarks of a run with this number that this node shows.
    fn marks(&mut self, run: &str, number: u64) -> impl Future<Output = Result<Vec<Watermark>>> + Send;
    /// Whether this node is a follower: it writes neither checksums nor marks, and nobody waits for its marks.
    fn follows(&self) -> bool {
        false
    }
    /// Whether a mark is a transaction in this node's log: then all that stands before it there is visible on this node once it is
    /// written.
    fn logs_marks(&self) -> bool {
        true
    }
}
