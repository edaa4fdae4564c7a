//! The numbers that an INSERT tells its client: what `LAST_INSERT_ID()` says from then on, and the insert id of its answer.
//!
//! The two differ. `LAST_INSERT_ID()` knows automatic keys alone: it is the first one whose row came into the table, and stays
//! what it was if there is none. The insert id of the answer is the same key; without one it is the key of the last row that the
//! statement looked at, be it given, updated or ignored, provided that the statement changed anything at all. Programs ask
//! for that after `INSERT .. ON DUPLICATE KEY UPDATE` to learn which row it was.

use rusqlite::types::{Value as Stored, ValueRef};

use super::number::Number;

/// What became of a row that an INSERT or a REPLACE brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It came into the table, in place of that many others.
    New { replaced: u64 },
    /// It had a duplicate, which ON DUPLICATE KEY UPDATE changed.
    Updated,
    /// It had a duplicate, which was already as the statement wants it.
    Unchanged,
    /// It had a duplicate, and IGNORE let it go.
    Ignored,
}

impl Fate {
    /// How many rows it counts for the client, who may count rows that were found.
    pub fn affected(self, found_rows: bool) -> u64 {
        match self {
            Fate::New { replaced } => 1 + replaced,
            Fate::Updated => 2,
            Fate::Unchanged => u64::from(found_rows),
            Fate::Ignored => 0,
        }
    }
}

/// What a statement has to tell so far.
pub struct Told {
    /// The column of automatic keys.
    column: Option<usize>,
    /// INSERT .. SELECT .. ON DUPLICATE KEY UPDATE tells automatic keys and no others.
    automatic_only: bool,
    /// Rows that others had to make room for, or that were updated.
    pub duplicates: u64,
    changed: bool,
    first: Option<u64>,
    last: u64,
}

impl Told {
    pub fn new(column: Option<usize>, automatic_only: bool) -> Told {
        Told { column, automatic_only, duplicates: 0, changed: false, first: None, last: 0 }
    }

    /// The key of a row as the answer would tell it: a negative one wraps around.
    pub fn key_of(&self, row: &[Stored]) -> u64 {
        let key = self.column.and_then(|at| row.get(at)).and_then(|key| Number::of(ValueRef::from(key)));
        let wrapped = key.and_then(|key| key.to_int()).and_then(|key| {
            u64::try_from(key).ok().or_else(|| i64::try_from(key).ok().map(i64::cast_unsigned))
        });
        wrapped.unwrap_or(0)
    }

    /// A row is done: what became of it, its automatic key if it was to have one, and the key of the row that it is or met.
    pub fn row(&mut self, fate: Fate, automatic: Option<i128>, key: u64) {
        match fate {
            Fate::New { replaced } => {
                self.duplicates += replaced;
                self.first = self.first.or_else(|| automatic.and_then(|key| u64::try_from(key).ok()));
            }
            Fate::Updated => self.duplicates += 1,
            Fate::Unchanged | Fate::Ignored => {}
        }
        self.changed |= matches!(fate, Fate::New { .. } | Fate::Updated);
        self.last = key;
    }

    /// What `LAST_INSERT_ID()` says from now on, if anything new, and the insert id of the answer.
    pub fn ids(&self) -> (Option<u64>, u64) {
        let last = if self.changed && !self.automatic_only { self.last } else { 0 };
        (self.first, self.first.unwrap_or(last))
    }
}
