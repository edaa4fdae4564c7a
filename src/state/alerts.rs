//! Alerts: what is wrong now, what was, who knows of it, and who was told.
//!
//! An alert is known by its fingerprint (its name and labels); of each there is at most one that has not ended. What was *told* to
//! each sink is kept beside it, and what is to be told is always the difference between the two: nothing piles up while a sink is
//! away, and a service that is killed neither forgets nor repeats, but for a message that had gone out and was not noted yet.
//!
//! Bounds: [`ENDED_KEPT`] alerts that have ended are kept, [`OPEN_MAX`] may be open. Not here: what is wrong (`crate::alerts::findings`),
//! and when it is told again (`crate::alerts::due`).

use super::history::{Request, Run, signed, unsigned};
use super::{State, seconds};
use crate::alerts::findings::{Finding, Word};
use crate::alerts::notice::{Notice, Severity};
use crate::error::Failure;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, TransactionBehavior, params};
use std::collections::BTreeMap;

/// How many alerts that have ended are kept.
const ENDED_KEPT: u32 = 1_000;
/// The most alerts that are open; more are not opened until some have ended.
pub const OPEN_MAX: i64 = 5_000;

/// The tables of this file.
pub(super) const LAYOUT: &str = "
    CREATE TABLE IF NOT EXISTS alerts(
        id INTEGER PRIMARY KEY, fingerprint TEXT NOT NULL, cluster TEXT NOT NULL, name TEXT NOT NULL, severity TEXT NOT NULL,
        labels TEXT NOT NULL, annotations TEXT NOT NULL, started_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
        ended_at INTEGER, acknowledged_by TEXT, acknowledged_at INTEGER, acknowledged_why TEXT) STRICT;
    CREATE UNIQUE INDEX IF NOT EXISTS alerts_open ON alerts(fingerprint) WHERE ended_at IS NULL;
    CREATE TABLE IF NOT EXISTS told(
        alert INTEGER NOT NULL, sink TEXT NOT NULL, firing INTEGER NOT NULL, at INTEGER NOT NULL, first_at INTEGER NOT NULL,
        PRIMARY KEY (alert, sink)) STRICT, WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS sinks(
        name TEXT PRIMARY KEY, failures INTEGER NOT NULL, next_at INTEGER NOT NULL, last_error TEXT, last_at INTEGER,
        sent INTEGER NOT NULL, failed INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS mutes(
        id INTEGER PRIMARY KEY, pattern TEXT NOT NULL, reason TEXT NOT NULL, owner TEXT NOT NULL, created_at INTEGER NOT NULL,
        expires_at INTEGER NOT NULL) STRICT;";

/// An alert, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// Its number.
    pub id: i64,
    /// What is told of it.
    pub notice: Notice,
    /// When something was last seen of it, in seconds since 1970.
    pub updated_at: u64,
    /// When it was acknowledged, and with which words.
    pub acknowledged: Option<(u64, String)>,
}

/// What a sink was told of an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// Whether it was told that it fires, or that it has ended.
    pub firing: bool,
    /// When it was told last, in seconds since 1970.
    pub at: u64,
    /// When it was told this for the first time.
    pub first_at: u64,
}

/// How a sink stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SinkState {
    /// How often it has failed in a row.
    pub failures: u32,
    /// Not to be tried before this, in seconds since 1970.
    pub next_at: u64,
    /// Why it failed last.
    pub last_error: Option<String>,
    /// When it last took something.
    pub last_at: Option<u64>,
    /// How many messages it took, and how many it did not.
    pub counts: (u64, u64),
}

/// Silence about some alerts, for a while and for a reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mute {
    /// Its number.
    pub id: i64,
    /// Which alerts: a pattern of their names or of the value of one of their labels.
    pub pattern: String,
    /// Why.
    pub reason: String,
    /// Who said so.
    pub owner: String,
    /// Since when, in seconds since 1970.
    pub created_at: u64,
    /// Until when.
    pub expires_at: u64,
}

const COLUMNS: &str = "id, name, severity, labels, annotations, started_at, updated_at, ended_at, acknowledged_by, acknowledged_at,
    acknowledged_why";

/// Takes in what was found: opens, renews and ends alerts.
pub(super) fn observe(
    runs: &Connection,
    cluster: &str,
    findings: &[Finding],
    now: u64,
) -> rusqlite::Result<()> {
    for finding in findings {
        let fingerprint = finding.fingerprint(cluster);
        match &finding.word {
            Word::Right => {
                runs.prepare_cached(
                    "UPDATE alerts SET ended_at = ?2, updated_at = ?2 WHERE fingerprint = ?1 AND ended_at IS NULL",
                )?
                .execute(params![fingerprint, signed(now)])?;
            }
            Word::Wrong { severity, annotations } => {
                let annotations = serde_json::json!(annotations).to_string();
                let renewed = runs
                    .prepare_cached(
                        "UPDATE alerts SET updated_at = ?2, annotations = ?3, severity = ?4
                     WHERE fingerprint = ?1 AND ended_at IS NULL",
                    )?
                    .execute(params![fingerprint, signed(now), annotations, severity.word()])?;
                if renewed == 0 {
                    let labels = serde_json::json!(finding.labels_in(cluster)).to_string();
                    runs.execute(
                        "INSERT INTO alerts(fingerprint, cluster, name, severity, labels, annotations, started_at, updated_at)
                         SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7
                         WHERE (SELECT COUNT(*) FROM alerts WHERE ended_at IS NULL) < ?8",
                        params![
                            fingerprint,
                            cluster,
                            finding.name,
                            severity.word(),
                            labels,
                            annotations,
                            signed(now),
                            OPEN_MAX
                        ],
                    )?;
                }
            }
        }
    }
    Ok(())
}

impl State {
    /// Takes in what was found: opens, renews and ends alerts.
    pub fn observe(&mut self, cluster: &str, findings: &[Finding], now: u64) -> Result<(), Failure> {
        let observe = |runs: &mut Connection| {
            let transaction = runs.transaction_with_behavior(TransactionBehavior::Immediate)?;
            observe(&transaction, cluster, findings, now)?;
            transaction.commit()
        };
        observe(&mut self.runs).map_err(|error| self.broken(&error))
    }

    /// Takes in a run that has ended: its findings, what is to follow on it, and that it was taken in, all or nothing.
    pub fn digest(
        &mut self,
        run: &Run,
        cluster: &str,
        findings: &[Finding],
        next: Option<&Request>,
        now: u64,
    ) -> Result<(), Failure> {
        let transaction = Transaction::new_unchecked(&self.runs, TransactionBehavior::Immediate)
            .map_err(|error| self.broken(&error))?;
        observe(&transaction, cluster, findings, now).map_err(|error| self.broken(&error))?;
        if run.cluster == cluster {
            self.count(run)?;
        }
        if let Some(next) = next {
            // where no more can wait, the alert stays, and the next check comes here again
            match self.queue(next) {
                Err(failure) if failure.outcome.code() != 5 => return Err(failure),
                _ => {}
            }
        }
        self.change("UPDATE runs SET digested = 1 WHERE run = ?1", &[&run.run])?;
        transaction.commit().map_err(|error| self.broken(&error))
    }

    /// Ends the alert of a table that somebody has said is gone.
    pub fn end_divergence(&mut self, cluster: &str, table: &str) -> Result<(), Failure> {
        let gone = Finding::right(crate::alerts::findings::DIVERGENCE, &[("table", table)]);
        let now = unsigned(seconds());
        self.observe(cluster, &[gone], now)
    }

    /// Ends the alerts of clusters that this service no longer watches: nobody would say that they are over.
    pub fn end_others(&self, cluster: &str) -> Result<(), Failure> {
        self.change(
            "UPDATE alerts SET ended_at = ?2, updated_at = ?2 WHERE ended_at IS NULL AND cluster <> ?1",
            &[&cluster, &seconds()],
        )
    }

    /// The alerts that have not ended, the oldest first.
    pub fn open_alerts(&self) -> Result<Vec<Alert>, Failure> {
        self.alerts("WHERE ended_at IS NULL ORDER BY started_at, id", params![])
    }

    /// The latest alerts, whether they have ended or not.
    pub fn latest_alerts(&self, limit: u32) -> Result<Vec<Alert>, Failure> {
        self.alerts("ORDER BY (ended_at IS NULL) DESC, updated_at DESC, id DESC LIMIT ?1", params![limit])
    }

    /// One alert.
    pub fn alert(&self, id: i64) -> Result<Option<Alert>, Failure> {
        Ok(self.alerts("WHERE id = ?1", params![id])?.pop())
    }

    /// What a sink may have to be told of: alerts that are open, or that it was told of and that ended after `ended_since`.
    pub fn tellable(&self, sink: &str, ended_since: u64) -> Result<Vec<(Alert, Option<Told>)>, Failure> {
        let alerts = self.alerts(
            "WHERE ended_at IS NULL OR EXISTS (SELECT 1 FROM told WHERE alert = id AND sink = ?1 AND (firing OR first_at >= ?2))
             ORDER BY started_at, id",
            params![sink, signed(ended_since)],
        )?;
        let told = || {
            let mut statement =
                self.runs.prepare_cached("SELECT alert, firing, at, first_at FROM told WHERE sink = ?1")?;
            let rows = statement.query_map([sink], |row| {
                let told =
                    Told { firing: row.get(1)?, at: unsigned(row.get(2)?), first_at: unsigned(row.get(3)?) };
                Ok((row.get(0)?, told))
            })?;
            rows.collect::<rusqlite::Result<BTreeMap<i64, Told>>>()
        };
        let told = told().map_err(|error| self.broken(&error))?;
        Ok(alerts
            .into_iter()
            .map(|alert| (told.get(&alert.id).copied(), alert))
            .map(|(told, alert)| (alert, told))
            .collect())
    }

    /// Notes that a sink was told of these alerts, or could not be told and shall not be told again for now.
    pub fn note_told(&mut self, sink: &str, alerts: &[i64], firing: bool, now: u64) -> Result<(), Failure> {
        let note = |runs: &mut Connection| {
            let transaction = runs.transaction()?;
            for id in alerts {
                transaction.execute(
                    "INSERT INTO told(alert, sink, firing, at, first_at) VALUES (?1, ?2, ?3, ?4, ?4)
                     ON CONFLICT DO UPDATE SET at = ?4, first_at = CASE WHEN firing = ?3 THEN first_at ELSE ?4 END, firing = ?3",
                    params![id, sink, firing, signed(now)],
                )?;
            }
            transaction.commit()
        };
        note(&mut self.runs).map_err(|error| self.broken(&error))
    }

    /// Notes that a sink took a message, or did not and is to be left alone until `next_at`.
    pub fn note_sink(&self, sink: &str, outcome: Result<(), (&str, u64)>) -> Result<(), Failure> {
        match outcome {
            Ok(()) => self.change(
                "INSERT INTO sinks VALUES (?1, 0, 0, NULL, ?2, 1, 0)
                 ON CONFLICT DO UPDATE SET failures = 0, next_at = 0, last_error = NULL, last_at = ?2, sent = sent + 1",
                &[&sink, &seconds()],
            ),
            Err((why, next_at)) => self.change(
                "INSERT INTO sinks VALUES (?1, 1, ?3, ?2, NULL, 0, 1)
                 ON CONFLICT DO UPDATE SET failures = failures + 1, next_at = ?3, last_error = ?2, failed = failed + 1",
                &[&sink, &why, &signed(next_at)],
            ),
        }
    }

    /// How a sink stands.
    pub fn sink(&self, sink: &str) -> Result<SinkState, Failure> {
        let read = |row: &Row<'_>| {
            Ok(SinkState {
                failures: row.get(0)?,
                next_at: unsigned(row.get(1)?),
                last_error: row.get(2)?,
                last_at: row.get::<_, Option<i64>>(3)?.map(unsigned),
                counts: (unsigned(row.get(4)?), unsigned(row.get(5)?)),
            })
        };
        let sql = "SELECT failures, next_at, last_error, last_at, sent, failed FROM sinks WHERE name = ?1";
        let state = self.runs.query_row(sql, [sink], read).optional().map_err(|error| self.broken(&error))?;
        Ok(state.unwrap_or_default())
    }

    /// Notes that somebody knows of an alert; whether there is one that is open.
    pub fn acknowledge(&self, id: i64, who: &str, why: &str) -> Result<bool, Failure> {
        let changed = self.runs.execute(
            "UPDATE alerts SET acknowledged_by = ?2, acknowledged_at = ?3, acknowledged_why = ?4
             WHERE id = ?1 AND ended_at IS NULL",
            params![id, who, seconds(), why],
        );
        Ok(changed.map_err(|error| self.broken(&error))? > 0)
    }

    /// Silences alerts until `expires_at`; the number of the mute.
    pub fn mute(&self, pattern: &str, reason: &str, owner: &str, expires_at: u64) -> Result<i64, Failure> {
        self.change(
            "INSERT INTO mutes(pattern, reason, owner, created_at, expires_at) VALUES (?1, ?2, ?3, ?4, ?5)",
            &[&pattern, &reason, &owner, &seconds(), &signed(expires_at)],
        )?;
        Ok(self.runs.last_insert_rowid())
    }

    /// Ends a mute; whether there was one.
    pub fn unmute(&self, id: i64) -> Result<bool, Failure> {
        let changed = self.runs.execute(
            "UPDATE mutes SET expires_at = ?2 WHERE id = ?1 AND expires_at > ?2",
            params![id, seconds()],
        );
        Ok(changed.map_err(|error| self.broken(&error))? > 0)
    }

    /// The mutes that hold at this moment.
    pub fn mutes(&self, now: u64) -> Result<Vec<Mute>, Failure> {
        let list = || {
            let mut statement = self.runs.prepare_cached(
                "SELECT id, pattern, reason, owner, created_at, expires_at FROM mutes WHERE expires_at > ?1 ORDER BY id",
            )?;
            let read = |row: &Row<'_>| {
                Ok(Mute {
                    id: row.get(0)?,
                    pattern: row.get(1)?,
                    reason: row.get(2)?,
                    owner: row.get(3)?,
                    created_at: unsigned(row.get(4)?),
                    expires_at: unsigned(row.get(5)?),
                })
            };
            statement.query_map([signed(now)], read)?.collect::<rusqlite::Result<Vec<Mute>>>()
        };
        list().map_err(|error| self.broken(&error))
    }

    /// Forgets alerts that ended long ago, and mutes that are over.
    pub fn prune_alerts(&self) -> Result<(), Failure> {
        self.change(
            "DELETE FROM alerts WHERE ended_at IS NOT NULL AND id NOT IN
             (SELECT id FROM alerts WHERE ended_at IS NOT NULL ORDER BY ended_at DESC, id DESC LIMIT ?1)",
            &[&ENDED_KEPT],
        )?;
        self.change("DELETE FROM told WHERE alert NOT IN (SELECT id FROM alerts)", &[])?;
        self.change(
            "DELETE FROM mutes WHERE id NOT IN (SELECT id FROM mutes ORDER BY expires_at DESC LIMIT ?1)",
            &[&ENDED_KEPT],
        )
    }

    fn alerts(&self, rest: &str, values: &[&dyn rusqlite::types::ToSql]) -> Result<Vec<Alert>, Failure> {
        let list = || {
            let mut statement = self.runs.prepare_cached(&format!("SELECT {COLUMNS} FROM alerts {rest}"))?;
            statement.query_map(values, read_alert)?.collect::<rusqlite::Result<Vec<Alert>>>()
        };
        list().map_err(|error| self.broken(&error))
    }
}

/// A severity by its word; of one that is not known the gravest is thought.
fn severity(word: &str) -> Severity {
    let all = [Severity::Critical, Severity::Error, Severity::Warning, Severity::Info];
    all.into_iter().find(|severity| severity.word() == word).unwrap_or(Severity::Critical)
}

fn read_alert(row: &Row<'_>) -> rusqlite::Result<Alert> {
    let map = |column: usize| {
        let text: String = row.get(column)?;
        Ok::<BTreeMap<String, String>, rusqlite::Error>(serde_json::from_str(&text).unwrap_or_default())
    };
    let moment = |column: usize| Ok::<_, rusqlite::Error>(row.get::<_, Option<i64>>(column)?.map(unsigned));
    let ended_at = moment(7)?;
    let (by, at): (Option<String>, Option<u64>) = (row.get(8)?, moment(9)?);
    let why: Option<String> = row.get(10)?;
    Ok(Alert {
        id: row.get(0)?,
        notice: Notice {
            name: row.get(1)?,
            severity: severity(&row.get::<_, String>(2)?),
            firing: ended_at.is_none(),
            started_at: unsigned(row.get(5)?),
            ended_at,
            labels: map(3)?,
            annotations: map(4)?,
            acknowledged: by,
        },
        updated_at: unsigned(row.get(6)?),
        acknowledged: at.map(|at| (at, why.unwrap_or_default())),
    })
}
