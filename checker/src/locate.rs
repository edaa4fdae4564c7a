//! Finds the rows that differ between the readings of one chunk.
//!
//! Works on the readings just made, so nothing is read a second time. Rows are told apart by their bytes: equal bytes,
//! equal rows. A key that one node spells differently (`a` and `A` under a collation that ignores case) is two keys
//! here, one of them absent on each side, which is what a repair has to mend.

use database::{Key, Row, Rows, Table};
use std::collections::HashMap;

/// A row that was not the same on all nodes in some reading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its key.
    pub key: Key,
    /// What each node held when it was read last, in the order of the cluster.
    pub rows: Vec<Option<Row>>,
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
                candidates.push(Candidate { key, rows });
            }
        }
    }
    Located { candidates, common: *common.finalize().as_bytes() }
}
