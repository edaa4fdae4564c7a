//! Row locks of the model, and what replication would stop at.
//!
//! On a cluster that locks ([`Cluster::locking`]) a guard locks the rows of its edits until they are mended or called off. An application
//! that writes such a row waits, and writes it as soon as it is free; what arrives by a link for such a row waits with all that
//! stands behind it. Nobody sees what the guard has written before it is committed.
//!
//! A change that arrives says whether the row was there when it was made. Where it is not so on arrival, MySQL stops (1062, 1032). The
//! model counts that and goes on, on a cluster that locks without the change, as if somebody had skipped it.

use super::{Cluster, Entry, NodeState, What};
use crate::edit::{Edit, Mending};
use crate::row::{Key, Row};
use std::collections::HashSet;

/// What a node holds locked, and who waits for it.
#[derive(Default)]
pub(super) struct Locks {
    rows: HashSet<(String, Key)>,
    waiting: Vec<Entry>,
}

impl Locks {
    pub(super) fn hold_back(&self, entry: &Entry) -> bool {
        matches!(&entry.what, What::Row { table, key, .. } if self.rows.contains(&(table.clone(), key.clone())))
    }
}

impl NodeState {
    /// A write of this node: at once, or as soon as the row is free.
    pub(super) fn write(&mut self, mut entry: Entry) {
        if self.locks.hold_back(&entry) {
            return self.locks.waiting.push(entry);
        }
        if let What::Row { table, key, before, .. } = &mut entry.what {
            *before = self.holds(table, key);
        }
        self.apply(&entry);
    }

    fn holds(&self, table: &str, key: &Key) -> bool {
        self.rows.get(table).is_some_and(|rows| rows.contains_key(key))
    }

    /// A change that arrives; whether replication would have stopped at it.
    pub(super) fn receive(&mut self, entry: &Entry, skips: bool) -> bool {
        let stops = match &entry.what {
            What::Row { table, key, before, after } => {
                // a deletion of nothing is in no log
                (*before || after.is_some()) && *before != self.holds(table, key)
            }
            What::Mark { .. } | What::Checksum(_) => false,
        };
        if !(stops && skips) {
            self.apply(entry);
        }
        stops
    }

    /// Locks the rows of edits that are as expected; what they hold.
    pub(super) fn lock(&mut self, edits: &[Edit]) -> Vec<Option<Row>> {
        self.release();
        let mut rows = Vec::with_capacity(edits.len());
        for edit in edits {
            let now = self.row_of(edit);
            if edit.rebased(now.as_ref()).is_some() {
                self.locks.rows.insert((edit.table.to_string(), edit.key.clone()));
            }
            rows.push(now);
        }
        rows
    }

    /// Makes those edits whose rows are locked and for which `go` says so, and lets all rows go.
    pub(super) fn commit(&mut self, edits: &[Edit], go: &[bool]) -> Vec<Mending> {
        let mut fates = Vec::with_capacity(edits.len());
        for (edit, &go) in edits.iter().zip(go) {
            let locked = self.locks.rows.contains(&(edit.table.to_string(), edit.key.clone()));
            let based = edit.rebased(self.row_of(edit).as_ref());
            fates.push(match based.filter(|_| locked) {
                _ if !go => Mending::CalledOff,
                None => Mending::Moved,
                Some(based) => {
                    self.put(&edit.table.to_string(), &edit.key, based.wanted.as_ref());
                    Mending::Mended
                }
            });
        }
        self.release();
        fates
    }

    fn row_of(&self, edit: &Edit) -> Option<Row> {
        self.rows.get(&edit.table.to_string())?.get(&edit.key).cloned()
    }

    fn release(&mut self) {
        self.locks.rows.clear();
        std::mem::take(&mut self.locks.waiting).into_iter().for_each(|entry| self.write(entry));
    }
}

impl Cluster {
    /// A ring whose nodes lock rows where they are guarded, as MySQL and MariaDB do.
    #[must_use]
    pub fn locking(size: usize) -> Cluster {
        let cluster = Cluster::ring(size);
        cluster.state().locking = true;
        cluster
    }

    /// At how many changes replication would have stopped.
    #[must_use]
    pub fn stops(&self) -> usize {
        self.state().stops
    }
}
