//! How a run says where it stands, without knowing who listens.

use crate::throttle::Reason;
use database::Table;

/// A step of a run.
#[derive(Clone, Copy, Debug)]
pub enum Step<'a> {
    /// The tables are known.
    Started {
        /// How many will be compared.
        tables: usize,
        /// The rows in them, as the servers guess.
        rows_estimate: u64,
    },
    /// A table begins.
    Table(&'a Table),
    /// A chunk was compared.
    Chunk {
        /// The rows in it, on the node that has most.
        rows: u64,
        /// Whether the nodes' digests were equal.
        equal: bool,
    },
    /// Rows that differ are being settled.
    Settling {
        /// How many are left.
        keys: usize,
        /// The attempt, from 1.
        attempt: u32,
    },
    /// A table is done.
    TableDone(&'a Table),
    /// The run is held back; said again and again as long as it is.
    Paused(&'a Reason),
    /// The run goes on.
    Resumed,
}

/// Listens to the steps of a run.
pub trait Progress: Sync {
    /// Is told of a step; must not block.
    fn step(&self, step: Step<'_>);
}

/// Listens to nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn step(&self, _: Step<'_>) {}
}
