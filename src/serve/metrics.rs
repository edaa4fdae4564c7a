//! Metrics in Prometheus' text format: from the state and the last look to lines.
//!
//! Names and units follow Prometheus' conventions; seconds, and `_total` for what only grows. A table is named only if it differs,
//! and [`TABLES_MAX`] are at most, so that a schema with many tables makes no flood of series.
//!
//! Invariants: a family is said once, with its help and its type, also where it has no sample yet; no two samples have the same
//! labels; a counter whose labels are known begins at zero, since `increase()` does not see a series come.

use super::looks::Look;
use crate::error::Failure;
use crate::state::counters::{CHUNKS, REPAIRED, ROWS, RUNS, THROTTLED_MS};
use crate::state::{Run, State};
use std::collections::BTreeMap;
use std::fmt::Write;

/// The most tables that are named.
const TABLES_MAX: usize = 50;
/// The most runs that are looked through for the last one.
const RUNS_SEEN: u32 = 50;

/// The families that are said: name, kind, what it means. The shipped rules and the dashboard name no others.
pub const FAMILIES: &[(&str, &str, &str)] = &[
    ("evensum_up", "gauge", "Whether the node answered when it was last looked at."),
    ("evensum_build_info", "gauge", "The version of evensum."),
    ("evensum_start_time_seconds", "gauge", "When the service began."),
    (
        "evensum_check_last_success_timestamp_seconds",
        "gauge",
        "When the last check ended that compared all that it was to compare.",
    ),
    ("evensum_check_last_run_timestamp_seconds", "gauge", "When the last check ended, however it ended."),
    ("evensum_check_duration_seconds", "gauge", "How long the last check took."),
    (RUNS, "counter", "Checks that have ended, by result."),
    ("evensum_tables", "gauge", "Tables that are known, by what their last check said."),
    ("evensum_tables_different", "gauge", "Tables that are known to differ between nodes."),
    ("evensum_rows_different", "gauge", "Rows that differ, by kind as seen from the first node."),
    ("evensum_table_rows_different", "gauge", "Rows that differ in a table that differs."),
    ("evensum_tables_unsettled", "gauge", "Tables with rows of which nothing could be shown."),
    ("evensum_tables_skipped", "gauge", "Tables that were not compared."),
    (ROWS, "counter", "Rows that were compared."),
    (CHUNKS, "counter", "Chunks that were compared."),
    ("evensum_throttled_seconds_total", "counter", "For how long checks were held back, by reason."),
    ("evensum_replication_lag_seconds", "gauge", "How far a replica is behind its source."),
    ("evensum_replication_running", "gauge", "Whether both threads of a link run."),
    (REPAIRED, "counter", "Rows that repairs were about, by what came of them."),
    ("evensum_schedule_runs_total", "counter", "Planned times of a schedule that had a run."),
    ("evensum_schedule_missed_total", "counter", "Planned times of a schedule that had no run of their own."),
    ("evensum_schedule_paused", "gauge", "Whether somebody paused the schedule."),
    ("evensum_run_working", "gauge", "Runs at work."),
    ("evensum_alerts", "gauge", "Alerts that are open, by name."),
    ("evensum_alert_messages_total", "counter", "Messages to a receiver of alerts, by result."),
];

/// The labels of counters that are known before anything is counted.
const KNOWN: [(&str, &str, &[&str]); 3] = [
    (RUNS, "result", &["identical", "different", "incomplete", "error"]),
    (THROTTLED_MS, "reason", &["lag", "stopped_replication", "load", "pause_file", "window", "intensity"]),
    (REPAIRED, "result", &["mended", "already", "moved", "refused", "called_off"]),
];

/// A text as a label's value.
fn label(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// Lines, family by family in the order of [`FAMILIES`].
struct Page {
    cluster: String,
    text: String,
}

impl Page {
    /// One family: its samples, each with its labels beside the cluster.
    fn family(&mut self, name: &str, samples: &[(String, f64)]) {
        let Some((_, kind, help)) = FAMILIES.iter().find(|(known, ..)| *known == name) else { return };
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for (labels, value) in samples {
            let comma = if labels.is_empty() { "" } else { "," };
            let _ = writeln!(self.text, "{name}{{cluster=\"{}\"{comma}{labels}}} {value}", self.cluster);
        }
    }

    fn one(&mut self, name: &str, value: Option<f64>) {
        let samples: Vec<(String, f64)> = value.map(|value| (String::new(), value)).into_iter().collect();
        self.family(name, &samples);
    }
}

#[expect(clippy::cast_precision_loss, reason = "Prometheus' samples are floating-point numbers")]
fn float(number: u64) -> f64 {
    number as f64
}

/// All metrics of a cluster, of a service that began at `started`, if one runs.
pub fn text(
    state: &State,
    cluster: &str,
    started: Option<u64>,
    look: Option<&Look>,
    sinks: &[&str],
) -> Result<String, Failure> {
    let mut page = Page { cluster: label(cluster), text: String::new() };
    page.family("evensum_build_info", &[(format!("version=\"{}\"", env!("CARGO_PKG_VERSION")), 1.0)]);
    page.one("evensum_start_time_seconds", started.map(float));
    nodes(&mut page, look);
    checks(&mut page, state, cluster)?;
    tables(&mut page, state, cluster)?;
    for name in [RUNS, ROWS, CHUNKS, REPAIRED] {
        page.family(name, &counted(state, name, 1.0)?);
    }
    page.family("evensum_throttled_seconds_total", &counted(state, THROTTLED_MS, 1_000.0)?);
    schedules(&mut page, state)?;
    alerts(&mut page, state, sinks)?;
    Ok(page.text)
}

/// A counter of the state, `per` of which make one of the metric.
fn counted(state: &State, name: &str, per: f64) -> Result<Vec<(String, f64)>, Failure> {
    let mut counters = state.counters(name)?;
    match KNOWN.iter().find(|(known, ..)| *known == name) {
        Some((_, label, values)) => {
            for value in *values {
                counters.entry(format!("{label}=\"{value}\"")).or_default();
            }
        }
        None => _ = counters.entry(String::new()).or_default(),
    }
    Ok(counters.into_iter().map(|(labels, value)| (labels, float(value) / per)).collect())
}

fn nodes(page: &mut Page, look: Option<&Look>) {
    let flag = |is: bool| f64::from(u8::from(is));
    let mut up = Vec::new();
    // a node may be fed twice by the same source, over channels of their own: the worse counts
    let (mut running, mut lag) = (BTreeMap::new(), BTreeMap::new());
    for node in look.iter().flat_map(|look| &look.nodes) {
        up.push((format!("node=\"{}\"", label(&node.name)), flag(node.answer.is_ok())));
        for link in node.answer.iter().flat_map(|answer| answer.links.iter().flatten()) {
            let labels = format!("from=\"{}\",to=\"{}\"", label(&link.from), label(&node.name));
            if let Some(seconds) = link.lag_seconds {
                let worst = lag.entry(labels.clone()).or_insert(seconds);
                *worst = seconds.max(*worst);
            }
            *running.entry(labels).or_insert(true) &= link.running;
        }
    }
    let running: Vec<_> = running.into_iter().map(|(labels, runs)| (labels, flag(runs))).collect();
    let lag: Vec<_> = lag.into_iter().map(|(labels, seconds)| (labels, float(seconds))).collect();
    page.family("evensum_up", &up);
    page.family("evensum_replication_running", &running);
    page.family("evensum_replication_lag_seconds", &lag);
}

fn checks(page: &mut Page, state: &State, cluster: &str) -> Result<(), Failure> {
    let runs = state.list(RUNS_SEEN)?;
    // runs by hand may share the folder, also those of another cluster
    let ours = |run: &&Run| run.kind == "check" && run.cluster == cluster && run.finished.is_some();
    let ended = || runs.iter().filter(ours);
    let whole = ended().find(|run| run.summary_value().is_some_and(|summary| summary["whole"] == true));
    page.one("evensum_check_last_success_timestamp_seconds", whole.and_then(|run| run.finished).map(float));
    page.one(
        "evensum_check_last_run_timestamp_seconds",
        ended().next().and_then(|run| run.finished).map(float),
    );
    let took = ended().find_map(|run| run.number("elapsed_ms"));
    page.one("evensum_check_duration_seconds", took.map(|millis| float(millis) / 1_000.0));
    let working = state.open_runs()?.iter().filter(|run| run.status == crate::state::Status::Working).count();
    page.one("evensum_run_working", Some(float(working as u64)));
    Ok(())
}

fn tables(page: &mut Page, state: &State, cluster: &str) -> Result<(), Failure> {
    let tables = state.tables(cluster)?;
    let count = |verdict: &str| float(tables.iter().filter(|table| table.verdict == verdict).count() as u64);
    let by: Vec<(String, f64)> = ["identical", "different", "unsettled", "skipped"]
        .map(|verdict| (format!("state=\"{verdict}\""), count(verdict)))
        .to_vec();
    page.family("evensum_tables", &by);
    let different: Vec<_> = tables.iter().filter(|table| table.different_since.is_some()).collect();
    page.one("evensum_tables_different", Some(float(different.len() as u64)));
    let sum =
        |of: fn(&crate::state::Kinds) -> u64| float(different.iter().map(|table| of(&table.kinds)).sum());
    let kinds = [
        ("kind=\"missing\"".to_owned(), sum(|kinds| kinds.missing)),
        ("kind=\"extra\"".to_owned(), sum(|kinds| kinds.extra)),
        ("kind=\"changed\"".to_owned(), sum(|kinds| kinds.changed)),
    ];
    page.family("evensum_rows_different", &kinds);
    let named: Vec<(String, f64)> = different
        .iter()
        .take(TABLES_MAX)
        .map(|table| (format!("table=\"{}\"", label(&table.name)), float(table.rows_different)))
        .collect();
    page.family("evensum_table_rows_different", &named);
    page.one("evensum_tables_unsettled", Some(count("unsettled")));
    page.one("evensum_tables_skipped", Some(count("skipped")));
    Ok(())
}

fn schedules(page: &mut Page, state: &State) -> Result<(), Failure> {
    let (mut runs, mut missed, mut paused) = (Vec::new(), Vec::new(), Vec::new());
    for (name, known) in state.schedules()? {
        let labels = format!("schedule=\"{}\"", label(&name));
        runs.push((labels.clone(), float(known.starts)));
        missed.push((labels.clone(), float(known.missed)));
        paused.push((labels, f64::from(u8::from(known.paused.is_some()))));
    }
    page.family("evensum_schedule_runs_total", &runs);
    page.family("evensum_schedule_missed_total", &missed);
    page.family("evensum_schedule_paused", &paused);
    Ok(())
}

fn alerts(page: &mut Page, state: &State, sinks: &[&str]) -> Result<(), Failure> {
    let open = state.open_alerts()?;
    let by: Vec<(String, f64)> = crate::alerts::findings::ALL
        .iter()
        .map(|(name, _)| {
            let count = open.iter().filter(|alert| alert.notice.name == *name).count();
            (format!("alertname=\"{name}\""), float(count as u64))
        })
        .collect();
    page.family("evensum_alerts", &by);
    let mut messages = Vec::new();
    for name in sinks {
        let (sent, failed) = state.sink(name)?.counts;
        for (result, count) in [("sent", sent), ("failed", failed)] {
            messages.push((format!("sink=\"{}\",result=\"{result}\"", label(name)), float(count)));
        }
    }
    page.family("evensum_alert_messages_total", &messages);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::looks::{LinkLook, NodeAnswer, NodeLook};

    fn link(running: bool, lag_seconds: u64) -> LinkLook {
        LinkLook { from: "n\"1".into(), running, lag_seconds: Some(lag_seconds), last_error: String::new() }
    }

    #[test]
    fn every_family_is_said_once_and_no_sample_twice() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::open(folder.path()).unwrap();
        let links = Some(vec![link(true, 3), link(false, 5)]);
        let answer = Ok(NodeAnswer { links, ..NodeAnswer::default() });
        let nodes = vec![NodeLook { name: "n2".into(), address: String::new(), answer }];
        let text = text(&state, "a\\b", Some(7), Some(&Look { at: 0, nodes }), &["mail"]).unwrap();
        for (name, kind, _) in FAMILIES {
            assert_eq!(text.matches(&format!("# HELP {name} ")).count(), 1, "{name}");
            assert_eq!(text.matches(&format!("# TYPE {name} {kind}\n")).count(), 1, "{name}");
        }
        let mut series: Vec<&str> = text
            .lines()
            .filter(|line| !line.starts_with('#'))
            .map(|line| line.rsplit_once(' ').unwrap().0)
            .collect();
        let all = series.len();
        series.sort_unstable();
        series.dedup();
        assert_eq!(series.len(), all, "{text}");
        for line in [
            r#"evensum_replication_running{cluster="a\\b",from="n\"1",to="n2"} 0"#,
            r#"evensum_replication_lag_seconds{cluster="a\\b",from="n\"1",to="n2"} 5"#,
            r#"evensum_check_runs_total{cluster="a\\b",result="identical"} 0"#,
            r#"evensum_start_time_seconds{cluster="a\\b"} 7"#,
        ] {
            assert!(text.lines().any(|said| said == line), "{line} in {text}");
        }
    }
}
