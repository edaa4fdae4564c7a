//! What is known of each schedule: up to which planned time it was dealt with, what was left out, and whether somebody paused it.
//!
//! Invariant: that a time was dealt with and what became of it (a run that waits, or a note that it was left out) is one
//! transaction: a service that is killed in between neither forgets a night nor does one twice.

use super::history::{Request, signed, unsigned};
use super::{State, seconds};
use crate::error::Failure;
use rusqlite::{Connection, Transaction, TransactionBehavior, params};
use std::collections::BTreeMap;

/// How many notes of left out times are kept of a schedule.
const LEFT_OUT_KEPT: u32 = 200;

/// The tables of this file.
pub(super) const LAYOUT: &str = "
    CREATE TABLE IF NOT EXISTS schedules(
        name TEXT PRIMARY KEY, first_seen INTEGER NOT NULL, planned_at INTEGER NOT NULL, starts INTEGER NOT NULL DEFAULT 0,
        missed INTEGER NOT NULL DEFAULT 0,         paused_by TEXT, paused_at INTEGER, paused_why TEXT) STRICT, WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS left_out(
        schedule TEXT NOT NULL, planned_at INTEGER NOT NULL, missed INTEGER NOT NULL, reason TEXT NOT NULL,
        PRIMARY KEY (schedule, planned_at)) STRICT, WITHOUT ROWID;";

/// What is known of a schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScheduleState {
    /// When it was first seen, in seconds since 1970.
    pub first_seen: u64,
    /// The latest planned time that was dealt with.
    pub planned_at: u64,
    /// How many planned times had a run.
    pub starts: u64,
    /// How many planned times had no run of their own.
    pub missed: u64,
    /// Who paused it, when and why.
    pub paused: Option<Pause>,
}

/// A schedule that somebody paused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pause {
    /// Who.
    pub by: String,
    /// When, in seconds since 1970.
    pub at: u64,
    /// Why.
    pub why: String,
}

/// A planned time that was left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOutTime {
    /// When it was planned, in seconds since 1970.
    pub planned_at: u64,
    /// Why it was left out.
    pub reason: String,
}

impl State {
    /// Notes the schedules that are seen for the first time.
    pub fn see_schedules(&mut self, names: &[&str], now: u64) -> Result<(), Failure> {
        let see = |runs: &mut Connection| {
            let transaction = runs.transaction()?;
            for name in names {
                transaction.execute(
                    "INSERT INTO schedules(name, first_seen, planned_at) VALUES (?1, ?2, ?2) ON CONFLICT DO NOTHING",
                    params![name, signed(now)],
                )?;
            }
            transaction.commit()
        };
        see(&mut self.runs).map_err(|error| self.broken(&error))
    }

    /// What is known of each schedule.
    pub fn schedules(&self) -> Result<BTreeMap<String, ScheduleState>, Failure> {
        let list = || {
            let mut statement = self.runs.prepare_cached(
                "SELECT name, first_seen, planned_at, missed, paused_by, paused_at, paused_why, starts FROM schedules",
            )?;
            let rows = statement.query_map([], |row| {
                let by: Option<String> = row.get(4)?;
                let (at, why): (Option<i64>, Option<String>) = (row.get(5)?, row.get(6)?);
                let paused =
                    by.map(|by| Pause { by, at: unsigned(at.unwrap_or(0)), why: why.unwrap_or_default() });
                let state = ScheduleState {
                    first_seen: unsigned(row.get(1)?),
                    planned_at: unsigned(row.get(2)?),
                    missed: unsigned(row.get(3)?),
                    starts: unsigned(row.get(7)?),
                    paused,
                };
                Ok((row.get(0)?, state))
            })?;
            rows.collect::<rusqlite::Result<BTreeMap<String, ScheduleState>>>()
        };
        list().map_err(|error| self.broken(&error))
    }

    /// Begins to count a schedule's times anew.
    pub fn see_again(&self, name: &str, now: u64) -> Result<(), Failure> {
        self.change("UPDATE schedules SET planned_at = ?2 WHERE name = ?1", &[&name, &signed(now)])
    }

    /// Deals with a planned time: a run waits for it, and makes up for so many earlier ones.
    pub fn start_planned(&mut self, request: &Request, missed: u32) -> Result<(), Failure> {
        let (name, planned_at) =
            (request.schedule.clone().unwrap_or_default(), request.planned_at.unwrap_or(0));
        let transaction = Transaction::new_unchecked(&self.runs, TransactionBehavior::Immediate)
            .map_err(|error| self.broken(&error))?;
        self.queue(request)?;
        self.change(
            "UPDATE schedules SET planned_at = ?2, starts = starts + 1, missed = missed + ?3 WHERE name = ?1",
            &[&name, &signed(planned_at), &missed],
        )?;
        transaction.commit().map_err(|error| self.broken(&error))
    }

    /// Deals with a planned time by leaving it out, and so many before it.
    pub fn leave_out(
        &mut self,
        name: &str,
        planned_at: u64,
        missed: u32,
        reason: &str,
    ) -> Result<(), Failure> {
        let leave = |runs: &mut Connection| {
            let transaction = runs.transaction()?;
            transaction.execute(
                "UPDATE schedules SET planned_at = ?2, missed = missed + ?3 WHERE name = ?1",
                params![name, signed(planned_at), i64::from(missed) + 1],
            )?;
            transaction.execute(
                "INSERT OR REPLACE INTO left_out VALUES (?1, ?2, ?3, ?4)",
                params![name, signed(planned_at), missed, reason],
            )?;
            transaction.execute(
                "DELETE FROM left_out WHERE schedule = ?1 AND planned_at NOT IN
                 (SELECT planned_at FROM left_out WHERE schedule = ?1 ORDER BY planned_at DESC LIMIT ?2)",
                params![name, LEFT_OUT_KEPT],
            )?;
            transaction.commit()
        };
        leave(&mut self.runs).map_err(|error| self.broken(&error))
    }

    /// The latest times that a schedule left out.
    pub fn left_out(&self, name: &str) -> Result<Vec<LeftOutTime>, Failure> {
        let list = || {
            let mut statement = self.runs.prepare_cached(
                "SELECT planned_at, reason FROM left_out WHERE schedule = ?1 ORDER BY planned_at DESC",
            )?;
            let rows = statement.query_map([name], |row| {
                Ok(LeftOutTime { planned_at: unsigned(row.get(0)?), reason: row.get(1)? })
            })?;
            rows.collect::<rusqlite::Result<Vec<LeftOutTime>>>()
        };
        list().map_err(|error| self.broken(&error))
    }

    /// Pauses a schedule until somebody lets it go on; whether there is one of this name.
    pub fn pause_schedule(&self, name: &str, by: &str, why: &str) -> Result<bool, Failure> {
        let changed = self.runs.execute(
            "UPDATE schedules SET paused_by = ?2, paused_at = ?3, paused_why = ?4 WHERE name = ?1",
            params![name, by, seconds(), why],
        );
        Ok(changed.map_err(|error| self.broken(&error))? > 0)
    }

    /// Lets a schedule go on; whether there is one of this name.
    pub fn resume_schedule(&self, name: &str) -> Result<bool, Failure> {
        let changed = self.runs.execute(
            "UPDATE schedules SET paused_by = NULL, paused_at = NULL, paused_why = NULL WHERE name = ?1",
            [name],
        );
        Ok(changed.map_err(|error| self.broken(&error))? > 0)
    }

    /// When the last check of a schedule ended of those that compared all they were to compare, in seconds since 1970.
    pub fn last_whole(&self, schedule: &str) -> Result<Option<u64>, Failure> {
        let sql = "SELECT MAX(finished) FROM runs WHERE schedule = ?1 AND kind = 'check' AND status = 'ended'
                   AND summary ->> 'whole' = 1";
        let at = self.runs.query_row(sql, [schedule], |row| row.get::<_, Option<i64>>(0));
        Ok(at.map_err(|error| self.broken(&error))?.map(unsigned))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(run: &str, planned_at: u64) -> Request {
        Request {
            run: run.into(),
            kind: "check".into(),
            cause: "schedule nightly".into(),
            cluster: "shop".into(),
            schedule: Some("nightly".into()),
            planned_at: Some(planned_at),
            arguments: Vec::new(),
        }
    }

    #[test]
    fn a_time_and_its_run_are_noted_together_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let mut state = State::open(folder.path()).unwrap();
        state.see_schedules(&["nightly"], 50).unwrap();
        state.see_schedules(&["nightly"], 60).unwrap();
        state.start_planned(&request("a", 100), 2).unwrap();
        // a run of this name is there, so the time is not dealt with
        assert!(state.start_planned(&request("a", 200), 0).is_err());
        let known = &state.schedules().unwrap()["nightly"];
        assert_eq!((known.first_seen, known.planned_at, known.starts, known.missed), (50, 100, 1, 2));
        assert_eq!(state.open_runs().unwrap().len(), 1);
    }

    #[test]
    fn what_is_left_out_is_kept_with_its_reason_and_has_a_bound() {
        let folder = tempfile::tempdir().unwrap();
        let mut state = State::open(folder.path()).unwrap();
        state.see_schedules(&["n"], 0).unwrap();
        for at in 1..=u64::from(LEFT_OUT_KEPT) + 5 {
            state.leave_out("n", at, 0, "overlap").unwrap();
        }
        let left = state.left_out("n").unwrap();
        assert_eq!((left.len(), left[0].planned_at, left[0].reason.as_str()), (200, 205, "overlap"));
        assert_eq!(state.schedules().unwrap()["n"].missed, 205);
    }

    #[test]
    fn a_pause_names_who_and_why() {
        let folder = tempfile::tempdir().unwrap();
        let mut state = State::open(folder.path()).unwrap();
        state.see_schedules(&["n"], 0).unwrap();
        assert!(!state.pause_schedule("other", "ann", "x").unwrap());
        assert!(state.pause_schedule("n", "ann", "migration").unwrap());
        let pause = state.schedules().unwrap()["n"].paused.clone().unwrap();
        assert_eq!((pause.by.as_str(), pause.why.as_str()), ("ann", "migration"));
        assert!(state.resume_schedule("n").unwrap());
        assert_eq!(state.schedules().unwrap()["n"].paused, None);
    }

    #[test]
    fn only_a_whole_check_makes_a_schedule_young_again() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::open(folder.path()).unwrap();
        for (run, summary) in [("a", "{\"whole\":true}"), ("b", "{\"whole\":false}"), ("c", "{}")] {
            state.queue(&request(run, 5)).unwrap();
            assert_eq!(state.last_whole("nightly").unwrap().is_some(), run > "a");
            state.begin(run, "check", "shop").unwrap();
            state.finish(run, "identical", summary, "{}").unwrap();
        }
        let first = state.find("a").unwrap().unwrap().finished;
        assert_eq!(state.last_whole("nightly").unwrap(), first);
    }
}
