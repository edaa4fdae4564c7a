//! Finds the rows that differ between the readings of one chunk.
//!
//! Works on the readings just made, so nothing is read a second time. Rows are told apart by their bytes: equal bytes,
//! equal rows. A key that one node spells differently (`a` and `A` under a collation that ignores case) is two keys
//! here, one of them absent on each side, which is what a repair has to mend.

use database::{Key, Row, Rows, Table};
use std::collections::HashMap;

/// How many contents of a row are remembered per node; the oldest goes first.
const READINGS_MAX: usize = 64;

/// A row that was not the same on all nodes in some reading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its key.
    pub key: Key,
    /// What each node was seen to hold, in the order of the cluster; the latest reading last.
    pub readings: Vec<Vec<Option<Row>>>,
    /// Whether every reading since this was set was as the one before, on every node.
    pub still: bool,
}

impl Candidate {
    /// A candidate with one reading per node.
    #[must_use]
    pub fn new(key: Key, rows: Vec<Option<Row>>) -> Candidate {
        Candidate { key, readings: rows.into_iter().map(|row| vec![row]).collect(), still: false }
    }

    /// Adds one more reading per node; a reading like the last one adds nothing.
    pub fn read_again(&mut self, rows: &[Option<Row>]) {
        for (readings, row) in self.readings.iter_mut().zip(rows) {
            if readings.last() != Some(row) {
                self.still = false;
                if readings.len() == READINGS_MAX {
                    readings.remove(0);
                }
                readings.push(row.clone());
            }
        }
    }

    /// Some content that every node was seen to hold, if there is one.
    #[must_use]
    pub fn agreed(&self) -> Option<&Option<Row>> {
        let (first, others) = self.readings.split_first()?;
        first.iter().rev().find(|row| others.iter().all(|readings| readings.contains(row)))
    }
}

/// The rows that are not the same in all readings, and the rest of the chunk.
#[derive(Debug)]
pub struct Located {
    /// The rows that differ, in the order in which they are met.
    pub candidates: Vec<Candidate>,
    /// A hash over the rows that are the same on all nodes, in order.
    pub common: [u8; 32],
}

/// Compares the readings of one chunk, one per node.
#[must_use]
pub fn locate(table: &Table, readings: &[Rows]) -> Located {
    let nodes = readings.len();
    let mut order: Vec<Key> = Vec::new();
    let mut by_key: HashMap<Key, Vec<Option<&[u8]>>> = HashMap::new();
    for (node, rows) in readings.iter().enumerate() {
        for row in rows.iter() {
            let key = table.key_of(row);
            let held = by_key.entry(key).or_insert_with_key(|key| {
                order.push(key.clone());
                vec![None; nodes]
            });
            held[node] = Some(row);
        }
    }
    let mut common = blake3::Hasher::new();
    let mut candidates = Vec::new();
    for key in order {
        let Some(held) = by_key.get(&key) else { continue };
        match held.windows(2).all(|pair| pair[0] == pair[1]) {
            true => {
                held.first().copied().flatten().inspect(|row| {
                    common.update(row);
                });
            }
            false => {
                let rows = held.iter().map(|row| row.map(Row::from_bytes)).collect();
                candidates.push(Candidate::new(key, rows));
            }
        }
    }
    Located { candidates, common: *common.finalize().as_bytes() }
}
