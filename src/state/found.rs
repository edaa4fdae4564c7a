//! What runs found: the keys of rows that were different or unsettled, so that a repair can look at these alone.
//!
//! In `runs.sqlite`, one row per run and table, with the keys as JSON and with how the table was defined: of a table that is defined
//! otherwise by now nothing can be said by key. Bounds: the lists of a report have one; the [`FOUND_KEPT`] latest runs are kept, and those
//! that found what still differs.

use super::State;
use crate::error::Failure;
use checker::{Checkpoint, KeptLeaf, KeptRows, KeptTable, Report};
use database::{Digest, Key, Table};
use rusqlite::params;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Of how many runs it is kept what they found.
const FOUND_KEPT: u32 = 100;

/// The table of this file.
pub(super) const LAYOUT: &str = "
    CREATE TABLE IF NOT EXISTS found(
        run TEXT NOT NULL, table_name TEXT NOT NULL, definition TEXT NOT NULL, keys TEXT NOT NULL,
        PRIMARY KEY (run, table_name)) STRICT;";

impl State {
    /// Keeps what a run found.
    pub fn keep_found(&self, report: &Report) -> Result<(), Failure> {
        let mut tables: BTreeMap<String, (&Arc<Table>, Vec<&Key>)> = BTreeMap::new();
        let different = report.divergences.iter().map(|row| (&row.table, &row.key));
        let unsettled = report.unsettled.iter().map(|row| (&row.table, &row.key));
        for (table, key) in different.chain(unsettled) {
            tables.entry(table.to_string()).or_insert_with(|| (table, Vec::new())).1.push(key);
        }
        let keep = || {
            for (name, (table, keys)) in &tables {
                let keys = serde_json::to_string(keys).unwrap_or_default();
                self.runs.execute(
                    "INSERT OR REPLACE INTO found(run, table_name, definition, keys) VALUES (?1, ?2, ?3, ?4)",
                    params![&*report.run, name, table.definition(), keys],
                )?;
            }
            self.runs.execute(
                "DELETE FROM found WHERE run NOT IN (SELECT run FROM runs ORDER BY started DESC, rowid DESC LIMIT ?1)
                 AND run NOT IN (SELECT run FROM tables WHERE different_since IS NOT NULL)",
                [FOUND_KEPT],
            )
        };
        keep().map(drop).map_err(|error| self.broken(&error))
    }

    /// What a run found, as what a check of `nodes` nodes would go on from; `last` is the latest that found anything. None if
    /// that run found nothing, or is not known.
    pub fn found(&self, run: &str, nodes: usize) -> Result<Option<Checkpoint>, Failure> {
        let list = || {
            self.runs
                .prepare(
                    "SELECT table_name, definition, keys FROM found WHERE run = CASE ?1 WHEN 'last' THEN
                     (SELECT found.run FROM found JOIN runs USING (run)
                      ORDER BY started DESC, runs.rowid DESC LIMIT 1) ELSE ?1 END",
                )?
                .query_map([run], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
                .collect::<rusqlite::Result<Vec<(String, String, String)>>>()
        };
        let mut checkpoint = Checkpoint::default();
        for (name, definition, keys) in list().map_err(|error| self.broken(&error))? {
            let keys: Vec<Key> = serde_json::from_str(&keys).map_err(|error| {
                Failure::state(format!("what the run {run} found in {name} cannot be read: {error}"))
            })?;
            let located = Some(KeptRows { lower: None, upper: None, common: ([0; 32], 0), keys });
            let leaf = KeptLeaf { digests: vec![Digest { rows: 0, hash: [0; 32] }; nodes], located };
            checkpoint.tables.insert(name, KeptTable { definition, leaves: vec![leaf], next: None });
        }
        Ok(Some(checkpoint).filter(|checkpoint| !checkpoint.tables.is_empty()))
    }
}
