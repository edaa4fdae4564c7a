//! Where runs at work stand, for who looks at them from outside: one row per run, written about once a second.
//!
//! Invariant: a run never waits for this row, and never ends because of it; a row that cannot be written is only missing.

use super::{State, seconds};
use crate::error::Failure;
use rusqlite::{Connection, OptionalExtension, params};
use std::path::PathBuf;
use std::time::Duration;

/// How long to wait for another writer before a row is left out.
const PATIENCE: Duration = Duration::from_millis(200);

/// The table of this file.
pub(super) const LAYOUT: &str = "
    CREATE TABLE IF NOT EXISTS progress(
        run TEXT PRIMARY KEY, at INTEGER NOT NULL, process INTEGER NOT NULL, document TEXT NOT NULL) STRICT;";

/// Writes where one run stands.
#[derive(Debug)]
pub struct Beacon {
    path: PathBuf,
    run: String,
}

impl Beacon {
    /// Writes a JSON document in place of the one before.
    pub fn show(&self, document: &serde_json::Value) {
        let write = || {
            let runs = Connection::open(&self.path)?;
            runs.busy_timeout(PATIENCE)?;
            // of a row that is overwritten in a second nothing need be on disk
            runs.pragma_update(None, "synchronous", "off")?;
            runs.execute(
                "INSERT OR REPLACE INTO progress(run, at, process, document)
                 SELECT ?1, ?2, ?3, ?4 WHERE EXISTS (SELECT 1 FROM runs WHERE run = ?1 AND status = 'working')",
                params![self.run, seconds(), std::process::id(), document.to_string()],
            )
        };
        let _ = write();
    }
}

impl State {
    /// Shows where a run stands.
    pub fn beacon(&self, run: &str) -> Beacon {
        Beacon { path: self.folder.join("runs.sqlite"), run: run.to_owned() }
    }

    /// Where a run stands, and when that was, in seconds since 1970.
    pub fn progress(&self, run: &str) -> Result<Option<(u64, serde_json::Value)>, Failure> {
        let row = self.runs.query_row("SELECT at, document FROM progress WHERE run = ?1", [run], |row| {
            Ok((super::history::unsigned(row.get(0)?), row.get::<_, String>(1)?))
        });
        let row = row.optional().map_err(|error| self.broken(&error))?;
        Ok(row.and_then(|(at, document)| Some((at, serde_json::from_str(&document).ok()?))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_at_work_is_seen_and_one_that_has_ended_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::open(folder.path()).unwrap();
        state.begin("a", "check", "shop").unwrap();
        let beacon = state.beacon("a");
        beacon.show(&serde_json::json!({ "rows": 5 }));
        beacon.show(&serde_json::json!({ "rows": 7 }));
        assert_eq!(state.progress("a").unwrap().unwrap().1["rows"], 7);
        state.finish("a", "identical", "{}", "{}").unwrap();
        beacon.show(&serde_json::json!({ "rows": 9 }));
        assert_eq!(state.progress("a").unwrap(), None);
    }
}
