//! Runs: asked for, at work, ended.
//!
//! A run that the service is to begin is first a row that says what was asked for, so that it is not forgotten if the service is
//! killed; who carries it out takes the row over by its name. A run by hand begins with its row at work.
//!
//! Bounds: [`QUEUED_MAX`] runs wait. Not here: what is forgotten, and runs that were killed (`upkeep`). Invariant: a run is taken in by the service once (`digested`), also if it was
//! begun by hand.

use super::{State, seconds};
use crate::error::Failure;
use rusqlite::types::ToSql;
use rusqlite::{OptionalExtension, Row, params};

/// How many runs are kept by commands, for which no configuration may say it.
pub const RUNS_KEPT: u32 = 1_000;
/// The most runs that wait.
pub const QUEUED_MAX: usize = 64;
/// How the service tells a command that it begins on whose behalf it does.
pub const CAUSE: &str = "EVENSUM_CAUSE";

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It was asked for and has not begun.
    Queued,
    /// It is at work, or was killed at it.
    Working,
    /// It has ended, in whatever way.
    Ended,
}

impl Status {
    fn word(self) -> &'static str {
        match self {
            Status::Queued => "queued",
            Status::Working => "working",
            Status::Ended => "ended",
        }
    }

    fn parse(word: &str) -> Status {
        match word {
            "queued" => Status::Queued,
            "ended" => Status::Ended,
            _ => Status::Working,
        }
    }
}

/// What is known of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Its name.
    pub run: String,
    /// `check` or `sync`.
    pub kind: String,
    /// Who or what began it.
    pub cause: String,
    /// The cluster's name.
    pub cluster: String,
    /// Its schedule.
    pub schedule: Option<String>,
    /// For when it was planned, in seconds since 1970.
    pub planned_at: Option<u64>,
    /// Where it stands.
    pub status: Status,
    /// How often its process was killed and it was begun again.
    pub attempts: u32,
    /// When it began, or was asked for, in seconds since 1970.
    pub started: u64,
    /// When it ended; `None` if it did not, or was killed.
    pub finished: Option<u64>,
    /// Its verdict.
    pub verdict: Option<String>,
    /// What came of it in numbers, as JSON.
    pub summary: Option<String>,
    /// Its report.
    pub report: Option<String>,
    /// What the service was asked to run: the words after `evensum`.
    pub arguments: Option<Vec<String>>,
    /// The process that carries it out, or did.
    pub process: Option<u32>,
    /// Why it was told to stop, if it was.
    pub stopped: Option<String>,
}

/// A run that the service is to begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Its name.
    pub run: String,
    /// `check` or `sync`.
    pub kind: String,
    /// Who or what asks for it.
    pub cause: String,
    /// The cluster's name.
    pub cluster: String,
    /// Its schedule.
    pub schedule: Option<String>,
    /// For when it was planned, in seconds since 1970.
    pub planned_at: Option<u64>,
    /// The words after `evensum`; none if it is begun by who asks.
    pub arguments: Vec<String>,
}

/// The columns of a run without its report, in the order of [`read_run`].
const COLUMNS: &str = "run, kind, cause, cluster, schedule, planned_at, status, attempts, started, finished, verdict, summary, arguments, process, stopped";

impl State {
    /// Notes that a run begins: a new one, or one that was asked for under this name.
    pub fn begin(&self, run: &str, kind: &str, cluster: &str) -> Result<(), Failure> {
        let begun = self.runs.execute(
            "INSERT INTO runs(run, kind, cause, cluster, started, process) VALUES (?1, ?2, ?5, ?3, ?4, ?6)
             ON CONFLICT(run) DO UPDATE SET status = 'working', process = ?6, started = ?4, finished = NULL, verdict = NULL, summary = NULL,
             report = NULL WHERE status = 'queued'",
            params![run, kind, cluster, seconds(), cause(), std::process::id()],
        );
        match begun.map_err(|error| self.broken(&error))? {
            0 => Err(Failure::usage(format!("there is already a run '{run}'"), "choose another name")),
            _ => Ok(()),
        }
    }

    /// Notes how a run ended. One that was stopped and that waits to go on meanwhile goes on.
    pub fn finish(&self, run: &str, verdict: &str, summary: &str, report: &str) -> Result<(), Failure> {
        let finish = || {
            self.runs.execute("DELETE FROM progress WHERE run = ?1", [run])?;
            self.runs.execute(
                "UPDATE runs SET finished = ?2, verdict = ?3, summary = ?4, report = ?5,
                 status = CASE WHEN status = 'queued' AND ?4 ->> 'interrupted' = 1 THEN 'queued' ELSE 'ended' END
                 WHERE run = ?1",
                params![run, seconds(), verdict, summary, report],
            )
        };
        finish().map(drop).map_err(|error| self.broken(&error))
    }

    /// Notes that a run ended with a failure; where that fails too, the failure itself is what a person must hear.
    pub fn fail(&self, run: &str, failure: &Failure) {
        let report = serde_json::json!({ "code": failure.code, "error": failure.what }).to_string();
        let _ = self.finish(run, "failed", &report, &report);
    }

    /// Keeps what somebody asks for.
    pub fn queue(&self, request: &Request) -> Result<(), Failure> {
        if self.open_runs()?.iter().filter(|run| run.status == Status::Queued).count() >= QUEUED_MAX {
            let what = format!("{QUEUED_MAX} runs wait already");
            return Err(Failure::running(what));
        }
        // without words it is begun by who asks, whose process stands for it until then
        let arguments =
            (!request.arguments.is_empty()).then(|| serde_json::json!(request.arguments).to_string());
        let process = arguments.is_none().then(std::process::id);
        let added = self.runs.execute(
            "INSERT INTO runs(run, kind, cause, cluster, schedule, planned_at, started, arguments, process, status)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, 'queued') ON CONFLICT DO NOTHING",
            params![
                request.run,
                request.kind,
                request.cause,
                request.cluster,
                request.schedule,
                request.planned_at.map(signed),
                seconds(),
                arguments,
                process
            ],
        );
        match added.map_err(|error| self.broken(&error))? {
            0 => Err(Failure::usage(
                format!("there is already a run '{}'", request.run),
                "choose another name",
            )),
            _ => Ok(()),
        }
    }

    /// Has a run that has not come to its end wait to go on; `killed`: because its process was, which is counted.
    pub fn requeue(&self, run: &str, killed: bool) -> Result<(), Failure> {
        self.change(
            "UPDATE runs SET status = 'queued', finished = NULL, verdict = NULL, attempts = attempts + ?2
             WHERE run = ?1 AND digested = 0 AND status <> 'queued'",
            &[&run, &killed],
        )
    }

    /// Notes that a run at work is to stop, and not to go on later.
    pub fn note_stopped(&self, run: &str, why: &str) -> Result<(), Failure> {
        self.change("UPDATE runs SET stopped = ?2 WHERE run = ?1 AND stopped IS NULL", &[&run, &why])
    }

    /// When the last check of a schedule ended, in seconds since 1970.
    pub fn last_ended(&self, schedule: &str) -> Result<Option<u64>, Failure> {
        let sql =
            "SELECT MAX(finished) FROM runs WHERE schedule = ?1 AND kind = 'check' AND status = 'ended'";
        let at = self.runs.query_row(sql, [schedule], |row| row.get::<_, Option<i64>>(0));
        Ok(at.map_err(|error| self.broken(&error))?.map(unsigned))
    }

    /// Takes back what was asked for; whether it had not begun.
    pub fn cancel(&self, run: &str, why: &str) -> Result<bool, Failure> {
        let report = serde_json::json!({ "code": "E0303", "error": why }).to_string();
        let cancelled = self.runs.execute(
            "UPDATE runs SET status = 'ended', finished = ?2, verdict = 'cancelled', summary = ?3, report = ?3
             WHERE run = ?1 AND status = 'queued'",
            params![run, seconds(), report],
        );
        Ok(cancelled.map_err(|error| self.broken(&error))? > 0)
    }

    /// The runs that have not ended, the oldest first.
    pub fn open_runs(&self) -> Result<Vec<Run>, Failure> {
        self.select("WHERE status <> 'ended' ORDER BY started, rowid", &[])
    }

    /// The runs that have ended and were not told of, in the order in which they ended.
    pub fn undigested(&self, limit: u32) -> Result<Vec<Run>, Failure> {
        self.select("WHERE digested = 0 AND status = 'ended' ORDER BY finished, rowid LIMIT ?1", &[&limit])
    }

    /// The latest runs, the last one first, without their reports.
    pub fn list(&self, limit: u32) -> Result<Vec<Run>, Failure> {
        self.select("ORDER BY started DESC, rowid DESC LIMIT ?1", &[&limit])
    }

    /// The latest runs of a schedule, the last one first, without their reports.
    pub fn list_of(&self, schedule: &str, limit: u32) -> Result<Vec<Run>, Failure> {
        self.select("WHERE schedule = ?1 ORDER BY started DESC, rowid DESC LIMIT ?2", &[&schedule, &limit])
    }

    /// One run with its report; `last` is the latest.
    pub fn find(&self, run: &str) -> Result<Option<Run>, Failure> {
        let sql = format!(
            "SELECT {COLUMNS}, report FROM runs WHERE run = ?1 OR ?1 = 'last' ORDER BY started DESC, rowid DESC LIMIT 1"
        );
        self.runs
            .query_row(&sql, [run], |row| Ok(Run { report: row.get(15)?, ..read_run(row)? }))
            .optional()
            .map_err(|error| self.broken(&error))
    }

    pub(super) fn change(&self, sql: &str, values: &[&dyn ToSql]) -> Result<(), Failure> {
        self.runs.execute(sql, values).map(drop).map_err(|error| self.broken(&error))
    }

    pub(super) fn select(&self, rest: &str, values: &[&dyn ToSql]) -> Result<Vec<Run>, Failure> {
        let list = || {
            let mut statement = self.runs.prepare_cached(&format!("SELECT {COLUMNS} FROM runs {rest}"))?;
            let rows = statement.query_map(values, read_run)?;
            rows.collect::<rusqlite::Result<Vec<Run>>>()
        };
        list().map_err(|error| self.broken(&error))
    }
}

/// Who begins a run: the service says so for its own, else it is a command.
fn cause() -> String {
    std::env::var(CAUSE).ok().filter(|cause| !cause.is_empty()).unwrap_or_else(|| "command".to_owned())
}

/// Seconds as SQLite keeps them.
pub(super) fn signed(seconds: u64) -> i64 {
    i64::try_from(seconds).unwrap_or(i64::MAX)
}

/// Seconds as we keep them.
pub(super) fn unsigned(seconds: i64) -> u64 {
    u64::try_from(seconds).unwrap_or(0)
}

fn read_run(row: &Row<'_>) -> rusqlite::Result<Run> {
    let arguments: Option<String> = row.get(12)?;
    Ok(Run {
        run: row.get(0)?,
        kind: row.get(1)?,
        cause: row.get(2)?,
        cluster: row.get(3)?,
        schedule: row.get(4)?,
        planned_at: row.get::<_, Option<i64>>(5)?.map(unsigned),
        status: Status::parse(&row.get::<_, String>(6)?),
        attempts: row.get(7)?,
        started: unsigned(row.get(8)?),
        finished: row.get::<_, Option<i64>>(9)?.map(unsigned),
        verdict: row.get(10)?,
        summary: row.get(11)?,
        report: None,
        arguments: arguments.and_then(|text| serde_json::from_str(&text).ok()),
        process: row.get(13)?,
        stopped: row.get(14)?,
    })
}

impl Run {
    /// Whether it ended before it was through although nobody meant it to: it goes on as soon as it can.
    pub fn goes_on(&self) -> bool {
        let own = self.status == Status::Ended && self.arguments.is_some() && self.stopped.is_none();
        own && match self.kind.as_str() {
            "check" => self.summary_value().is_some_and(|summary| summary["interrupted"] == true),
            // one that had not begun to change anything
            _ => self.verdict.as_deref() == Some("stopped"),
        }
    }

    /// Whether the process that carries it out is there.
    pub fn lives(&self) -> bool {
        self.process.is_some_and(super::upkeep::lives)
    }

    /// A number of its summary.
    pub fn number(&self, field: &str) -> Option<u64> {
        self.summary_value()?.get(field)?.as_u64()
    }

    /// Its summary.
    pub fn summary_value(&self) -> Option<serde_json::Value> {
        serde_json::from_str(self.summary.as_deref()?).ok()
    }

    /// Where it stands, in a word.
    pub fn word(&self) -> &str {
        match (self.status, self.verdict.as_deref()) {
            (Status::Ended, Some(verdict)) => verdict,
            (Status::Ended, None) => "ended",
            (status, _) => status.word(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(run: &str) -> Request {
        Request {
            run: run.into(),
            kind: "check".into(),
            cause: "schedule nightly".into(),
            cluster: "shop".into(),
            schedule: Some("nightly".into()),
            planned_at: Some(60),
            arguments: vec!["check".into(), "--tables".into(), "a b".into()],
        }
    }

    #[test]
    fn runs_are_kept_and_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::open(folder.path()).unwrap();
        state.begin("a", "check", "shop").unwrap();
        state.begin("b", "check", "shop").unwrap();
        state.finish("b", "identical", "{\"rows\":5}", "{}").unwrap();
        drop(state);
        let state = State::open(folder.path()).unwrap();
        let runs = state.list(10).unwrap();
        assert_eq!(runs.iter().map(|run| run.run.as_str()).collect::<Vec<_>>(), ["b", "a"]);
        assert_eq!((runs[1].finished, runs[1].word(), runs[0].word()), (None, "working", "identical"));
        let last = state.find("last").unwrap().unwrap();
        assert_eq!((last.report.as_deref(), last.number("rows")), (Some("{}"), Some(5)));
        assert_eq!(state.find("nobody").unwrap(), None);
    }

    #[test]
    fn of_runs_of_one_second_the_last_begun_is_the_last_whatever_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::open(folder.path()).unwrap();
        for run in ["9", "5", "7", "1"] {
            state.begin(run, "check", "a, b").unwrap();
            state.runs.execute("UPDATE runs SET started = 1000", []).unwrap();
            assert_eq!(state.find("last").unwrap().unwrap().run, run);
        }
        let names: Vec<String> = state.list(9).unwrap().into_iter().map(|run| run.run).collect();
        assert_eq!(names, ["1", "7", "5", "9"]);
    }

    #[test]
    fn a_run_that_was_asked_for_is_taken_over_once_by_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::open(folder.path()).unwrap();
        state.queue(&request("a")).unwrap();
        assert!(state.queue(&request("a")).is_err(), "asked for twice");
        let waiting = state.open_runs().unwrap();
        assert_eq!(
            (waiting[0].status, waiting[0].arguments.as_ref().unwrap()[2].as_str()),
            (Status::Queued, "a b")
        );
        state.begin("a", "check", "shop").unwrap();
        assert!(state.begin("a", "check", "shop").is_err(), "taken over twice");
        let run = state.find("a").unwrap().unwrap();
        assert_eq!(
            (run.status, run.cause.as_str(), run.planned_at),
            (Status::Working, "schedule nightly", Some(60))
        );
        assert!(!state.cancel("a", "too late").unwrap());
        state.queue(&request("b")).unwrap();
        assert!(state.cancel("b", "not wanted").unwrap());
        assert_eq!(state.find("b").unwrap().unwrap().word(), "cancelled");
    }

    #[test]
    fn what_waits_has_a_bound() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::open(folder.path()).unwrap();
        (0..QUEUED_MAX).for_each(|n| state.queue(&request(&n.to_string())).unwrap());
        assert_eq!(state.queue(&request("more")).unwrap_err().outcome.code(), 5);
    }
}
