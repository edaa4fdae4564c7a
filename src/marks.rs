//! The two ways by which a check knows that nothing is on its way: rows of evensum's own tables, or positions of the servers.
//!
//! Not here: what either does; see [`database::ledger`] and [`PositionConnection`].

use database::mysql::{LedgerConnection, PositionConnection};
use database::{Checksum, Ledger, Result, Watermark};

/// What a check that leaves nothing on the servers has to do without, in sentences for its report.
pub const GIVEN_UP: [&str; 3] = [
    "no checksum rows are left on the nodes, so they cannot be asked with SQL which chunks differ",
    "what is on its way is told by GTIDs, or by log files where a node is fed directly and may be asked for its links; \
     where neither says enough, rows that differ stay unsettled",
    "rows that differ in tables without a key, or of other engines than InnoDB, stay unsettled: to decide them takes a mark in the log",
];

/// A ledger, or what stands in for one.
#[derive(Debug)]
pub enum Marks {
    /// Rows in tables that replicate.
    Rows(LedgerConnection),
    /// Positions; nothing is written.
    Positions(PositionConnection),
}

impl Ledger for Marks {
    async fn prepare(&mut self) -> Result<()> {
        match self {
            Marks::Rows(ledger) => ledger.prepare().await,
            Marks::Positions(positions) => positions.prepare().await,
        }
    }

    async fn push(&mut self, checksums: &[Checksum]) -> Result<()> {
        match self {
            Marks::Rows(ledger) => ledger.push(checksums).await,
            Marks::Positions(positions) => positions.push(checksums).await,
        }
    }

    async fn mark(&mut self, run: &str, watermark: &Watermark) -> Result<()> {
        match self {
            Marks::Rows(ledger) => ledger.mark(run, watermark).await,
            Marks::Positions(positions) => positions.mark(run, watermark).await,
        }
    }

    async fn marks(&mut self, run: &str, number: u64) -> Result<Vec<Watermark>> {
        match self {
            Marks::Rows(ledger) => ledger.marks(run, number).await,
            Marks::Positions(positions) => positions.marks(run, number).await,
        }
    }

    fn follows(&self) -> bool {
        match self {
            Marks::Rows(ledger) => ledger.follows(),
            Marks::Positions(positions) => positions.follows(),
        }
    }

    fn logs_marks(&self) -> bool {
        match self {
            Marks::Rows(ledger) => ledger.logs_marks(),
            Marks::Positions(positions) => positions.logs_marks(),
        }
    }
}
