//! What a history needs to stay small and true: old runs are forgotten, and runs whose process is gone are marked.
//!
//! Bounds: as many runs as the configuration says ([`super::RUNS_KEPT`] unless it does), the whole report of the latest
//! [`REPORTS_KEPT`]; of others the summary. Invariant: what can still be undone, and what found rows that still differ, stays.

use super::{State, seconds};
use crate::error::Failure;
use std::path::Path;

/// Of how many runs the whole report is kept.
const REPORTS_KEPT: u32 = 200;

impl State {
    /// Marks the runs of commands that were killed: their process is gone, and nobody else will say so. What they kept they keep.
    pub fn sweep(&self) -> Result<(), Failure> {
        let list = || {
            let mut statement = self.runs.prepare_cached(
                "SELECT run, process FROM runs WHERE status <> 'ended' AND arguments IS NULL",
            )?;
            let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            rows.collect::<rusqlite::Result<Vec<(String, Option<u32>)>>>()
        };
        for (run, process) in list().map_err(|error| self.broken(&error))? {
            if process.is_some_and(lives) {
                continue;
            }
            let summary = serde_json::json!({ "error": "its process is gone" }).to_string();
            self.change(
                "UPDATE runs SET status = 'ended', verdict = 'killed', summary = ?2, finished = ?3
                 WHERE run = ?1 AND status <> 'ended' AND process IS ?4",
                &[&run, &summary, &seconds(), &process],
            )?;
        }
        Ok(())
    }

    /// Forgets all runs that have ended but the latest so many and those that found what still differs, and of the others
    /// the reports of all but [`REPORTS_KEPT`]. Repairs and their journals, without which nothing can be undone, stay for 30 days.
    pub fn prune(&self, keep: u32) -> Result<(), Failure> {
        // a repair can be undone for a while, what a table that differs points to is still of use, and a service that is away for some
        // days takes in what it missed
        let old = "WHERE status = 'ended' AND (digested = 1 OR finished < ?2 - 604800)
                   AND (kind <> 'sync' OR finished < ?2 - 2592000)
                   AND run NOT IN (SELECT run FROM runs ORDER BY started DESC, rowid DESC LIMIT ?1)
                   AND run NOT IN (SELECT run FROM tables WHERE different_since IS NOT NULL)";
        for run in self.select(old, &[&keep, &seconds()])? {
            // without its row nobody would find its files again, so they go first
            let gone = |path: &Path| match std::fs::remove_file(path) {
                Err(error) => error.kind() == std::io::ErrorKind::NotFound,
                Ok(()) => true,
            };
            if gone(&self.journal(&run.run)) && gone(&self.plan(&run.run)) {
                self.change("DELETE FROM runs WHERE run = ?1", &[&run.run])?;
            }
        }
        self.change(
            "UPDATE runs SET report = NULL WHERE report IS NOT NULL
             AND run NOT IN (SELECT run FROM runs ORDER BY started DESC, rowid DESC LIMIT ?1)
             AND run NOT IN (SELECT run FROM tables WHERE different_since IS NOT NULL)",
            &[&REPORTS_KEPT],
        )
    }
}

/// Whether there is a process of this number on this machine.
pub(super) fn lives(process: u32) -> bool {
    let number = i32::try_from(process).ok().and_then(rustix::process::Pid::from_raw);
    // one that is another user's lives too
    number.is_some_and(|number| rustix::process::test_kill_process(number) != Err(rustix::io::Errno::SRCH))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_whose_process_is_gone_is_marked_and_one_at_work_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::open(folder.path()).unwrap();
        for run in ["own", "gone", "unknown"] {
            state.begin(run, "check", "shop").unwrap();
        }
        let mut child = std::process::Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        state.change("UPDATE runs SET process = ?1 WHERE run = 'gone'", &[&child.id()]).unwrap();
        state.change("UPDATE runs SET process = NULL WHERE run = 'unknown'", &[]).unwrap();
        state.sweep().unwrap();
        let word = |run: &str| state.find(run).unwrap().unwrap().word().to_owned();
        assert_eq!([word("own"), word("gone"), word("unknown")], ["working", "killed", "killed"]);
    }

    #[test]
    fn old_runs_go_with_their_journals() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::open(folder.path()).unwrap();
        for run in ["a", "b", "c", "d"] {
            state.begin(run, "sync", "shop").unwrap();
            state.finish(run, "identical", "{}", "{}").unwrap();
            std::fs::write(state.journal(run), "x").unwrap();
        }
        state.change("UPDATE runs SET digested = 1", &[]).unwrap();
        state.prune(1).unwrap();
        assert_eq!(state.list(9).unwrap().len(), 4, "what was repaired lately can be undone");
        state.change("UPDATE runs SET finished = finished - 2592001", &[]).unwrap();
        state.begin("e", "check", "shop").unwrap();
        state.prune(3).unwrap();
        let names: Vec<String> = state.list(9).unwrap().into_iter().map(|run| run.run).collect();
        assert_eq!(names, ["e", "d", "c"]);
        assert!(!state.journal("a").exists() && state.journal("c").exists());
    }
}
