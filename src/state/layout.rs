//! The layout of `runs.sqlite`, and how an older file becomes one of today.
//!
//! Invariant: a file of a newer layout is refused and left as it is. A change of the layout is one transaction: a program that is
//! killed in the middle leaves the file as it was.

use super::{accounts, alerts, audit, checkpoints, counters, found, progress, schedules, tables};
use rusqlite::Connection;

/// The layout that this program knows.
const VERSION: i64 = 2;

/// Runs, as they are asked for, at work, and ended.
const RUNS: &str = "
    CREATE TABLE IF NOT EXISTS runs(
        run TEXT PRIMARY KEY, kind TEXT NOT NULL, cause TEXT NOT NULL, cluster TEXT NOT NULL,
        started INTEGER NOT NULL, finished INTEGER, verdict TEXT, report TEXT) STRICT;";

/// What the first layout had not.
const SINCE_FIRST: &str = "
    ALTER TABLE runs ADD COLUMN schedule TEXT;
    ALTER TABLE runs ADD COLUMN planned_at INTEGER;
    ALTER TABLE runs ADD COLUMN status TEXT NOT NULL DEFAULT 'working';
    ALTER TABLE runs ADD COLUMN arguments TEXT;
    ALTER TABLE runs ADD COLUMN attempts INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE runs ADD COLUMN digested INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE runs ADD COLUMN summary TEXT;
    ALTER TABLE runs ADD COLUMN stopped TEXT;
    ALTER TABLE runs ADD COLUMN process INTEGER;
    UPDATE runs SET digested = 1;
    UPDATE runs SET status = 'ended' WHERE finished IS NOT NULL;
    CREATE INDEX runs_by_start ON runs(started DESC);
    CREATE INDEX runs_by_schedule ON runs(schedule, kind, finished);
    CREATE INDEX runs_open ON runs(status) WHERE status <> 'ended';
    CREATE INDEX runs_undigested ON runs(digested) WHERE digested = 0;";

/// Brings a file, new or old, to the layout of this program.
pub(super) fn bring_up(runs: &mut Connection) -> Result<(), String> {
    let said = |error: rusqlite::Error| error.to_string();
    let version: i64 = runs.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(said)?;
    if version == VERSION {
        return Ok(());
    }
    if version > VERSION {
        return Err(format!("its layout is {version}, and this program knows {VERSION}"));
    }
    // readers and the writer are then in nobody's way; the file keeps it
    runs.pragma_update(None, "journal_mode", "wal").map_err(said)?;
    let mut change = || {
        let transaction = runs.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        // of two programs that come at once the second finds it done
        let version: i64 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        if version < VERSION {
            let first =
                [RUNS, SINCE_FIRST, checkpoints::LAYOUT, found::LAYOUT, tables::LAYOUT, progress::LAYOUT];
            let second =
                [schedules::LAYOUT, alerts::LAYOUT, accounts::LAYOUT, audit::LAYOUT, counters::LAYOUT];
            for part in first.into_iter().chain(second) {
                transaction.execute_batch(part)?;
            }
            transaction.pragma_update(None, "user_version", VERSION)?;
        }
        transaction.commit()
    };
    change().map_err(said)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_the_first_layout_keeps_its_runs() {
        let mut file = Connection::open_in_memory().unwrap();
        let first = format!("{RUNS}{}{} PRAGMA user_version = 1;", checkpoints::LAYOUT, found::LAYOUT);
        file.execute_batch(&first).unwrap();
        file.execute_batch(
            "INSERT INTO runs VALUES ('a', 'check', 'command', 'c', 5, 6, 'identical', '{}'),
             ('b', 'check', 'command', 'c', 7, NULL, NULL, NULL)",
        )
        .unwrap();
        bring_up(&mut file).unwrap();
        bring_up(&mut file).unwrap();
        let mut rows = file.prepare("SELECT run || ' ' || status || ' ' || digested FROM runs").unwrap();
        let rows: Vec<String> = rows.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        assert_eq!(rows, ["a ended 1", "b working 1"]);
    }

    #[test]
    fn a_newer_file_is_refused() {
        let mut file = Connection::open_in_memory().unwrap();
        file.pragma_update(None, "user_version", VERSION + 1).unwrap();
        assert!(bring_up(&mut file).unwrap_err().contains("this program knows"));
    }
}
