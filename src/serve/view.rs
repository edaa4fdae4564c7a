//! What the page and the API show, put together from the state and the last look: values, and no words of markup.
//!
//! Invariant: the first sentence never says *identical* unless every table that is known was found identical and nothing is
//! suspected; how old that is stands beside it.

use super::Service;
use super::looks::Look;
use crate::clock;
use crate::error::Failure;
use crate::state::{Alert, Run, State, TableState};
use serde_json::{Value, json};
use std::sync::Arc;

/// How a cluster stands, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// All known tables are identical on all nodes.
    Identical,
    /// Rows differ.
    Different,
    /// It is not known of all tables that they are identical.
    Unknown,
}

impl Health {
    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Health::Identical => "identical",
            Health::Different => "different",
            Health::Unknown => "unknown",
        }
    }
}

/// All that the first page shows.
pub struct Overview {
    /// The cluster's name.
    pub cluster: String,
    /// How it stands.
    pub health: Health,
    /// The same as a sentence.
    pub sentence: String,
    /// The tables, by name.
    pub tables: Vec<TableState>,
    /// What was last seen of the nodes.
    pub look: Option<Arc<Look>>,
    /// The alerts that are open.
    pub alerts: Vec<Alert>,
    /// The runs that wait or are at work.
    pub open_runs: Vec<Run>,
    /// The latest runs.
    pub latest_runs: Vec<Run>,
}

impl Overview {
    /// Reads it.
    pub fn read(service: &Service, state: &State) -> Result<Overview, Failure> {
        let setup = service.setup();
        let tables = of_nodes(state.tables(&setup.cluster)?, &setup.nodes.names().collect::<Vec<_>>());
        let alerts = state.open_alerts()?;
        let (health, sentence) = sentence(setup.nodes.len(), &tables, clock::now_seconds());
        Ok(Overview {
            cluster: setup.cluster.clone(),
            health,
            sentence,
            tables,
            look: service.looks.latest(),
            alerts,
            open_runs: state.open_runs()?,
            latest_runs: state.list(10)?,
        })
    }
}

/// What is known of tables on these nodes: one that was compared on others is not known to be identical on these.
pub fn of_nodes(mut tables: Vec<TableState>, nodes: &[&str]) -> Vec<TableState> {
    for table in &mut tables {
        let same = table.nodes.len() == nodes.len()
            && nodes.iter().all(|node| table.nodes.iter().any(|known| known == node));
        if !same && table.verdict == "identical" {
            table.verdict = "skipped".to_owned();
            table.reason = Some("it was compared before the nodes of the cluster were changed".to_owned());
        }
    }
    tables
}

/// The first sentence: what is known of all tables, and of when that is.
fn sentence(nodes: usize, tables: &[TableState], now: u64) -> (Health, String) {
    let masters = if nodes == 1 { "1 master".to_owned() } else { format!("{nodes} masters") };
    let count = |tables: usize| if tables == 1 { "1 table".to_owned() } else { format!("{tables} tables") };
    let different: Vec<&TableState> = tables.iter().filter(|table| table.different_since.is_some()).collect();
    let open: Vec<&TableState> = tables.iter().filter(|table| table.verdict != "identical").collect();
    if tables.is_empty() {
        return (Health::Unknown, format!("{masters}: nothing has been compared yet"));
    }
    if !different.is_empty() {
        let rows: u64 = different.iter().map(|table| table.rows_different).sum();
        let rows = match rows {
            0 => "rows differ".to_owned(),
            1 => "1 row differs".to_owned(),
            rows => format!("{rows} rows differ"),
        };
        let place = match &different[..] {
            [one] => one.name.clone(),
            several => count(several.len()),
        };
        let since = different.iter().filter_map(|table| table.different_since).min().unwrap_or(now);
        return (
            Health::Different,
            format!("{masters}: {rows} in {place}, known since {}", day_and_time(since, now)),
        );
    }
    let oldest = tables.iter().map(|table| table.checked_at).min().unwrap_or(0);
    if open.is_empty() {
        let sentence =
            format!("{masters}, {}: identical as of {}", count(tables.len()), day_and_time(oldest, now));
        return (Health::Identical, sentence);
    }
    let identical = tables.len() - open.len();
    let sentence = format!(
        "{masters}: {} of {} identical; {} not compared to the end",
        identical,
        count(tables.len()),
        count(open.len())
    );
    (Health::Unknown, sentence)
}

/// `03:41 today`, `22:10 yesterday` or `22:10 on 2026-11-18`, by this machine's clock on the wall.
pub fn day_and_time(at: u64, now: u64) -> String {
    const DAY: u64 = 86_400;
    let wall = |at: u64, format: &str| crate::gentle::on_the_wall(at, format);
    let (day, time) = (wall(at, "%F"), wall(at, "%H:%M"));
    if day == wall(now, "%F") {
        format!("{time} today")
    } else if day == wall(now.saturating_sub(DAY), "%F") {
        format!("{time} yesterday")
    } else {
        format!("{time} on {day}")
    }
}

/// How a table stands: once found different, it is so until it was found identical.
pub fn state_of(table: &TableState) -> &str {
    if table.different_since.is_some() { "different" } else { &table.verdict }
}

/// A table, for machines.
pub fn table(table: &TableState) -> Value {
    json!({
        "name": table.name,
        "state": state_of(table),
        "verdict": table.verdict,
        "run": table.run,
        "checked_at": clock::rfc3339(table.checked_at),
        "rows": table.rows,
        "rows_different": table.rows_different,
        "rows_unsettled": table.rows_unsettled,
        "rows_missing": table.kinds.missing,
        "rows_extra": table.kinds.extra,
        "rows_changed": table.kinds.changed,
        "chunks": table.chunks.iter().map(|(_, count)| count).sum::<u64>(),
        "reason": table.reason,
        "clean_at": table.clean_at.map(clock::rfc3339),
        "different_since": table.different_since.map(clock::rfc3339),
    })
}

/// The rows of a table that differ, as the run that found them reported them; at most `most`.
pub fn divergences(state: &State, table: &TableState, most: usize) -> Result<Vec<Value>, Failure> {
    let Some(run) = state.find(&table.run)? else { return Ok(Vec::new()) };
    let report: Value = run.report.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
    let of_table = |row: &&Value| {
        let part = |field: &str| row[field].as_str().unwrap_or_default();
        format!("{}.{}", part("database"), part("table")) == table.name
    };
    Ok(report["divergences"].as_array().into_iter().flatten().filter(of_table).take(most).cloned().collect())
}

/// A run without its report, for machines.
pub fn run(run: &Run) -> Value {
    json!({
        "run": run.run,
        "kind": run.kind,
        "cause": run.cause,
        "cluster": run.cluster,
        "schedule": run.schedule,
        "planned_at": run.planned_at.map(clock::rfc3339),
        "status": run.word(),
        "attempts": run.attempts,
        "started": clock::rfc3339(run.started),
        "finished": run.finished.map(clock::rfc3339),
        "summary": run.summary_value(),
    })
}

/// An alert, for machines.
pub fn alert(alert: &Alert) -> Value {
    let notice = &alert.notice;
    json!({
        "id": alert.id,
        "name": notice.name,
        "severity": notice.severity.word(),
        "firing": notice.firing,
        "labels": notice.labels,
        "annotations": notice.annotations,
        "started_at": clock::rfc3339(notice.started_at),
        "ended_at": notice.ended_at.map(clock::rfc3339),
        "acknowledged_by": notice.acknowledged,
        "acknowledged_at": alert.acknowledged.as_ref().map(|(at, _)| clock::rfc3339(*at)),
        "acknowledged_why": alert.acknowledged.as_ref().map(|(_, why)| why),
    })
}

/// What was seen of the nodes, for machines.
pub fn look(look: Option<&Look>) -> Value {
    let nodes = look.map(|look| look.nodes.iter()).into_iter().flatten().map(|node| {
        let (answer, error) = match &node.answer {
            Ok(answer) => (Some(answer), None),
            Err(why) => (None, Some(why)),
        };
        let links = answer.and_then(|answer| answer.links.as_ref()).map(|links| {
            let link = |link: &super::looks::LinkLook| {
                json!({ "from": link.from, "running": link.running, "lag_seconds": link.lag_seconds,
                        "last_error": Some(&link.last_error).filter(|error| !error.is_empty()) })
            };
            links.iter().map(link).collect::<Vec<_>>()
        });
        json!({
            "name": node.name, "address": node.address, "reachable": answer.is_some(), "error": error,
            "version": answer.map(|answer| &answer.version), "server_id": answer.map(|answer| &answer.server_id),
            "read_only": answer.map(|answer| answer.read_only), "links": links,
        })
    });
    json!({ "seen_at": look.map(|look| clock::rfc3339(look.at)), "nodes": nodes.collect::<Vec<_>>() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Kinds;

    fn table(name: &str, verdict: &str, rows_different: u64) -> TableState {
        TableState {
            name: name.into(),
            verdict: verdict.into(),
            run: "r".into(),
            checked_at: 1_000_000,
            rows: 10,
            rows_different,
            rows_unsettled: 0,
            kinds: Kinds::default(),
            chunks: Vec::new(),
            reason: None,
            clean_at: None,
            different_since: (rows_different > 0).then_some(1_000_000),
            nodes: Vec::new(),
        }
    }

    #[test]
    fn what_was_compared_on_other_nodes_is_not_known_of_these() {
        let known = TableState { nodes: vec!["n1".into(), "n2".into()], ..table("a.b", "identical", 0) };
        let said = |nodes: &[&str]| sentence(nodes.len(), &of_nodes(vec![known.clone()], nodes), 1_000_060).0;
        assert_eq!(said(&["n2", "n1"]), Health::Identical);
        assert_eq!(said(&["n1", "n2", "n3"]), Health::Unknown);
        assert_eq!(said(&["n1", "n9"]), Health::Unknown);
    }

    #[test]
    fn the_first_sentence_says_identical_only_of_all() {
        let now = 1_000_060;
        let said = |tables: &[TableState]| sentence(2, tables, now);
        assert_eq!(said(&[]).0, Health::Unknown);
        let (health, text) = said(&[table("a.b", "identical", 0), table("a.c", "identical", 0)]);
        assert_eq!(health, Health::Identical);
        assert!(
            text.starts_with("2 masters, 2 tables: identical as of ") && text.ends_with(" today"),
            "{text}"
        );
        let (health, text) = said(&[table("a.b", "different", 3), table("a.c", "identical", 0)]);
        assert_eq!(health, Health::Different);
        assert!(text.starts_with("2 masters: 3 rows differ in a.b, known since"), "{text}");
        for verdict in ["unsettled", "skipped"] {
            let (health, text) = said(&[table("a.b", verdict, 0), table("a.c", "identical", 0)]);
            assert_eq!(health, Health::Unknown);
            assert_eq!(text, "2 masters: 1 of 2 tables identical; 1 table not compared to the end");
        }
        // once found different, it is so until it was found identical
        let suspected = TableState { verdict: "unsettled".into(), ..table("a.b", "different", 1) };
        assert_eq!(said(&[suspected]).0, Health::Different);
    }
}
