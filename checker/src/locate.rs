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

/// How far apart in their readings two rows may stand and still be taken for each other at once.
const WINDOW: usize = 8;

/// Compares the readings of one chunk, one per node.
#[must_use]
pub fn locate(table: &Table, readings: &[Rows]) -> Located {
    let rows: Vec<Vec<&[u8]>> = readings.iter().map(|reading| reading.iter().collect()).collect();
    let mut common = blake3::Hasher::new();
    // rows lie one behind the other, and a long text is hashed faster than many short ones
    let mut ends = vec![0];
    for row in &rows[0] {
        ends.push(ends[ends.len() - 1] + row.len());
    }
    let rest = unaligned(&rows, |first, end| {
        common.update(&readings[0].bytes()[ends[first]..ends[end]]);
    });
    let candidates = by_key(table, &rest, &mut common);
    Located { candidates, common: *common.finalize().as_bytes() }
}

/// Walks the readings side by side, and says of each run of the first one's rows that all others have too, in that order, where it
/// begins and ends. The rows of each reading that are in no such run.
fn unaligned<'a>(rows: &[Vec<&'a [u8]>], mut same: impl FnMut(usize, usize)) -> Vec<Vec<&'a [u8]>> {
    let mut at = vec![0; rows.len()];
    let mut rest = vec![Vec::new(); rows.len()];
    let equal = |at: &[usize]| {
        let mut held = at.iter().zip(rows).map(|(&at, rows)| rows.get(at));
        let first = held.next().flatten();
        first.is_some() && held.all(|other| other == first)
    };
    loop {
        let first = at[0];
        while equal(&at) {
            at.iter_mut().for_each(|at| *at += 1);
        }
        if at[0] > first {
            same(first, at[0]);
        }
        let Some(next) = next_equal(rows, &at) else { break };
        for (node, next) in next.into_iter().enumerate() {
            rest[node].extend_from_slice(&rows[node][at[node]..next]);
            at[node] = next;
        }
    }
    for (node, at) in at.into_iter().enumerate() {
        rest[node].extend_from_slice(&rows[node][at..]);
    }
    rest
}

/// Where the readings next hold one row, if that is not far.
fn next_equal(rows: &[Vec<&[u8]>], at: &[usize]) -> Option<Vec<usize>> {
    let window = |node: usize| rows[node].iter().enumerate().skip(at[node]).take(WINDOW);
    window(0).find_map(|(place, wanted)| {
        let others = (1..rows.len()).map(|node| Some(window(node).find(|(_, row)| *row == wanted)?.0));
        std::iter::once(Some(place)).chain(others).collect()
    })
}

/// The rows that are not on all nodes as they are on one. Those that are, are hashed.
fn by_key(table: &Table, rows: &[Vec<&[u8]>], common: &mut blake3::Hasher) -> Vec<Candidate> {
    let nodes = rows.len();
    let mut order: Vec<Key> = Vec::new();
    let mut by_key: HashMap<Key, Vec<Option<&[u8]>>> = HashMap::new();
    for (node, rows) in rows.iter().enumerate() {
        for row in rows {
            let key = table.key_of(row);
            let held = by_key.entry(key).or_insert_with_key(|key| {
                order.push(key.clone());
                vec![None; nodes]
            });
            held[node] = Some(row);
        }
    }
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
    candidates
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::integers;
    use database::Value;
    use std::sync::Arc;

    fn table() -> Arc<Table> {
        integers(&[("id", "int NOT NULL"), ("v", "int NOT NULL")])
    }

    fn reading(rows: &[(i64, i64)]) -> Rows {
        let mut reading = Rows::new();
        for (id, v) in rows {
            reading.buffer().extend_from_slice(Row::new(&[Value::Int(*id), Value::Int(*v)]).bytes());
            reading.end_row();
        }
        reading
    }

    /// The keys that differ, as a comparison of all with all finds them.
    fn by_all(readings: &[Vec<(i64, i64)>]) -> Vec<i64> {
        let mut keys: Vec<i64> = readings.iter().flatten().map(|(id, _)| *id).collect();
        keys.sort_unstable();
        keys.dedup();
        let held = |rows: &Vec<(i64, i64)>, id| rows.iter().find(|row| row.0 == id).copied();
        let differs = |id: &i64| readings.windows(2).any(|two| held(&two[0], *id) != held(&two[1], *id));
        keys.into_iter().filter(differs).collect()
    }

    #[test]
    fn what_differs_is_found_wherever_it_stands() {
        let mut state = 7_u64;
        let mut below = |most: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % most
        };
        for round in 0..300 {
            let base: Vec<(i64, i64)> = (0..40).map(|id| (id * 2, 0)).collect();
            let nodes = 2 + below(2);
            let readings: Vec<Vec<(i64, i64)>> = (0..nodes)
                .map(|_| {
                    let mut rows = base.clone();
                    for _ in 0..below(1 + round / 10) {
                        let place = usize::try_from(below(rows.len() as u64)).unwrap();
                        match below(3) {
                            0 => rows[place].1 += 1,
                            1 => drop(rows.remove(place)),
                            _ if rows[place].0 % 2 == 0 => rows.insert(place + 1, (rows[place].0 + 1, 5)),
                            _ => {}
                        }
                        rows.dedup_by_key(|row| row.0);
                    }
                    rows
                })
                .collect();
            let rows: Vec<Rows> = readings.iter().map(|rows| reading(rows)).collect();
            let located = locate(&table(), &rows);
            let mut found: Vec<i64> = located
                .candidates
                .iter()
                .map(|candidate| match candidate.key.values()[0] {
                    Value::Int(id) => id,
                    ref other => panic!("{other:?}"),
                })
                .collect();
            found.sort_unstable();
            assert_eq!(found, by_all(&readings), "round {round}: {readings:?}");
        }
    }

    #[test]
    fn what_all_have_in_common_is_hashed_whatever_stands_between() {
        let common = |first: &[(i64, i64)], second: &[(i64, i64)]| {
            locate(&table(), &[reading(first), reading(second)]).common
        };
        let plain = common(&[(1, 1), (2, 2)], &[(1, 1), (2, 2)]);
        assert_eq!(common(&[(1, 1), (2, 2), (3, 3)], &[(1, 1), (2, 2)]), plain);
        assert_eq!(common(&[(1, 1), (2, 2)], &[(0, 0), (1, 1), (2, 2), (4, 4)]), plain);
        assert_ne!(common(&[(1, 1), (2, 2)], &[(1, 1), (2, 3)]), plain);
    }
}
