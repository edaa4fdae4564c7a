//! What the service has done since the state folder was made, in numbers that only grow: for metrics, which outlive runs and restarts.
//!
//! A counter is a name and labels, as Prometheus writes them. It grows in the transaction in which a run is taken in, so each run is
//! counted once.

use super::State;
use super::history::{Run, signed, unsigned};
use crate::error::Failure;
use std::collections::BTreeMap;

/// The table of this file.
pub(super) const LAYOUT: &str = "
    CREATE TABLE IF NOT EXISTS counters(
        name TEXT NOT NULL, labels TEXT NOT NULL, value INTEGER NOT NULL, PRIMARY KEY (name, labels)) STRICT, WITHOUT ROWID;";

/// Runs, by what came of them.
pub const RUNS: &str = "evensum_check_runs_total";
/// Rows that were compared.
pub const ROWS: &str = "evensum_rows_checked_total";
/// Chunks that were compared.
pub const CHUNKS: &str = "evensum_chunks_total";
/// For how long checks were held back, in milliseconds.
pub const THROTTLED_MS: &str = "evensum_throttled_milliseconds";
/// Rows that repairs were about, by what came of them.
pub const REPAIRED: &str = "evensum_repair_rows_total";

impl State {
    /// Counts a run that has ended.
    pub(super) fn count(&self, run: &Run) -> Result<(), Failure> {
        let summary = run.summary_value().unwrap_or_default();
        let number = |field: &str| summary[field].as_u64().unwrap_or(0);
        if run.kind == "check" {
            let result = match run.verdict.as_deref() {
                Some("different") => "different",
                Some("identical") if summary["whole"] == true => "identical",
                Some("failed") => "error",
                _ => "incomplete",
            };
            self.add(RUNS, &format!("result=\"{result}\""), 1)?;
            self.add(ROWS, "", number("rows"))?;
            self.add(CHUNKS, "", number("chunks"))?;
            for (reason, millis) in summary["throttled_ms"].as_object().into_iter().flatten() {
                self.add(THROTTLED_MS, &format!("reason=\"{reason}\""), millis.as_u64().unwrap_or(0))?;
            }
        } else {
            for (result, rows) in summary["execution"].as_object().into_iter().flatten() {
                self.add(REPAIRED, &format!("result=\"{result}\""), rows.as_u64().unwrap_or(0))?;
            }
        }
        Ok(())
    }

    fn add(&self, name: &str, labels: &str, more: u64) -> Result<(), Failure> {
        self.change(
            "INSERT INTO counters VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET value = value + ?3",
            &[&name, &labels, &signed(more)],
        )
    }

    /// The counters of this name, by their labels.
    pub fn counters(&self, name: &str) -> Result<BTreeMap<String, u64>, Failure> {
        let list = || {
            let mut statement =
                self.runs.prepare_cached("SELECT labels, value FROM counters WHERE name = ?1")?;
            let rows = statement.query_map([name], |row| Ok((row.get(0)?, unsigned(row.get(1)?))))?;
            rows.collect::<rusqlite::Result<BTreeMap<String, u64>>>()
        };
        list().map_err(|error| self.broken(&error))
    }
}
