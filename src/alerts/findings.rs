//! What is wrong, and what is right again: from runs and from looks at the nodes to findings about named things.
//!
//! A finding says of one thing (a table, a link, a schedule) that it is wrong, or that it is right; the alert of that thing follows
//! it. All is decided by pure functions here, so that tests need no service.
//!
//! Invariant: that a table is right is said only by a check that compared all of its rows and found it identical on all nodes, or after
//! somebody has said that it is gone. What could not be seen (a node that does not answer) says nothing about what could not be seen.

use crate::alerts::notice::{Notice, Severity};
use crate::clock::rfc3339;
use crate::state::{Run, TableState};
use std::collections::BTreeMap;

/// Rows of a table really differ between nodes.
pub const DIVERGENCE: &str = "MasterDataDivergence";
/// No whole check has come to its end for too long.
pub const STALE: &str = "ConsistencyCheckStale";
/// A check did not come to its end.
pub const INCOMPLETE: &str = "ConsistencyCheckIncomplete";
/// A link of replication does not run.
pub const STOPPED: &str = "MasterReplicationStopped";
/// A replica is too far behind.
pub const LAG: &str = "MasterReplicationLag";
/// A node does not answer.
pub const UNREACHABLE: &str = "MasterUnreachable";
/// A repair did not mend all that it was to mend.
pub const REPAIR: &str = "RepairAborted";

/// Every alert there is, with what it means; the shipped rules and the documentation name the same.
pub const ALL: [(&str, &str); 7] = [
    (DIVERGENCE, "rows of a table really differ between nodes"),
    (STALE, "no whole check has come to its end for too long"),
    (INCOMPLETE, "a check did not come to its end"),
    (STOPPED, "a link of replication does not run"),
    (LAG, "a replica is too far behind"),
    (UNREACHABLE, "a node does not answer"),
    (REPAIR, "a repair did not mend all that it was to mend"),
];

/// What was found of one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which alert it is about.
    pub name: &'static str,
    /// The thing, without the cluster.
    pub labels: BTreeMap<String, String>,
    /// What is said of it.
    pub word: Word,
}

/// What is said of a thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// It is as it should be.
    Right,
    /// It is not.
    Wrong {
        /// How grave that is.
        severity: Severity,
        /// What a person should know.
        annotations: BTreeMap<String, String>,
    },
}

impl Finding {
    /// That a thing is right.
    pub fn right(name: &'static str, labels: &[(&str, &str)]) -> Finding {
        Finding { name, labels: texts(labels), word: Word::Right }
    }

    /// That a thing is wrong.
    pub fn wrong(
        name: &'static str,
        labels: &[(&str, &str)],
        severity: Severity,
        annotations: &[(&str, &str)],
    ) -> Finding {
        Finding {
            name,
            labels: texts(labels),
            word: Word::Wrong { severity, annotations: texts(annotations) },
        }
    }

    /// The labels, with the cluster.
    pub fn labels_in(&self, cluster: &str) -> BTreeMap<String, String> {
        let mut labels = self.labels.clone();
        labels.insert("cluster".to_owned(), cluster.to_owned());
        labels
    }

    /// What makes it the same alert as an earlier one.
    pub fn fingerprint(&self, cluster: &str) -> String {
        let notice = Notice {
            name: self.name.to_owned(),
            severity: Severity::Info,
            firing: true,
            started_at: 0,
            ended_at: None,
            labels: self.labels_in(cluster),
            annotations: BTreeMap::new(),
            acknowledged: None,
        };
        notice.fingerprint()
    }
}

fn texts(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

/// What a check that has ended says: of each table that is known, and of its schedule. `suspected` are the tables of which an alert is
/// open, `advice` is what `evensum` is to be given to look at or repair what a run found.
pub fn of_check(run: &Run, tables: &[TableState], suspected: &[String], advice: &str) -> Vec<Finding> {
    let summary = run.summary_value().unwrap_or_default();
    let named = summary["different"].as_array().into_iter().flatten().filter_map(|name| name.as_str());
    let mut findings: BTreeMap<&str, Finding> = BTreeMap::new();
    for name in suspected {
        // what nobody knows any more was forgotten by somebody
        if tables.iter().all(|table| table.name != *name) {
            findings.insert(name, Finding::right(DIVERGENCE, &[("table", name)]));
        }
    }
    for table in tables {
        let finding = match table.different_since {
            Some(_) => divergence(run, table, advice),
            // this very check compared it to the end
            None if table.run == run.run && table.verdict == "identical" => {
                Finding::right(DIVERGENCE, &[("table", &table.name)])
            }
            None => continue,
        };
        findings.insert(&table.name, finding);
    }
    // what this check found is told even if a later one has found it mended before anybody was
    for name in named {
        let mended = |table: &&TableState| table.name == name && table.different_since.is_none();
        if let Some(table) = tables.iter().find(mended) {
            findings.insert(&table.name, divergence(run, table, advice));
        }
    }
    let mut all: Vec<Finding> = findings.into_values().collect();
    all.extend(completeness(run, summary["whole"].as_bool().unwrap_or(false)));
    all
}

fn divergence(run: &Run, table: &TableState, advice: &str) -> Finding {
    let kinds = table.kinds;
    let each = [("missing", kinds.missing), ("extra", kinds.extra), ("changed", kinds.changed)];
    let each: Vec<String> =
        each.iter().filter(|(_, rows)| *rows > 0).map(|(kind, rows)| format!("{rows} {kind}")).collect();
    let rows = if table.rows_different == 1 {
        "1 row differs".to_owned()
    } else {
        format!("{} rows differ", table.rows_different)
    };
    let summary = match (table.rows_different, each.is_empty()) {
        (0, _) => format!("rows differ in {}", table.name),
        (_, true) => format!("{rows} in {}", table.name),
        (_, false) => format!("{rows} in {} ({})", table.name, each.join(", ")),
    };
    let since = table
        .different_since
        .map_or(String::new(), |at| format!(" It is known to differ since {}.", rfc3339(at)));
    // a check of other tables says nothing of this one
    let found_by = if table.different_since.is_some() { &table.run } else { &run.run };
    let description = format!(
        "The check {} found rows of {} that really differ between masters; what replication still had to do is ruled out.{since}",
        found_by, table.name
    );
    let command = format!("evensum sync --run {found_by} {advice}");
    Finding::wrong(
        DIVERGENCE,
        &[("table", &table.name)],
        Severity::Critical,
        &[
            ("summary", &summary),
            ("description", &description),
            ("command", command.trim_end()),
            ("run", found_by),
        ],
    )
}

/// Whether a scheduled check came to its end.
fn completeness(run: &Run, whole: bool) -> Option<Finding> {
    let schedule = run.schedule.as_deref()?;
    let labels = [("schedule", schedule)];
    if whole {
        return Some(Finding::right(INCOMPLETE, &labels));
    }
    let summary = run.summary_value().unwrap_or_default();
    let count = |field: &str| summary[field].as_u64().unwrap_or(0);
    let why = match summary["error"].as_str() {
        Some(error) => error.to_owned(),
        None if summary["interrupted"] == true => "it was stopped".to_owned(),
        None => {
            format!("{} tables unsettled, {} skipped", count("tables_unsettled"), count("tables_skipped"))
        }
    };
    let summary = format!("the check of schedule {schedule} did not come to its end: {why}");
    let command = format!("evensum run show {}", run.run);
    let annotations = [
        ("summary", summary.as_str()),
        ("description", "What was not compared to the end is not known to be identical."),
        ("command", &command),
        ("run", &run.run),
    ];
    Some(Finding::wrong(INCOMPLETE, &labels, Severity::Warning, &annotations))
}

/// What a repair that has ended says of itself.
pub fn of_repair(run: &Run) -> Vec<Finding> {
    let summary = run.summary_value().unwrap_or_default();
    let verdict = run.verdict.as_deref().unwrap_or_default();
    let schedule = run.schedule.as_deref().unwrap_or("none");
    let labels = [("schedule", schedule)];
    match verdict {
        "identical" | "undone" => vec![Finding::right(REPAIR, &labels)],
        // a plan changes nothing, and what was never begun has not failed
        "planned" | "stopped" | "cancelled" => Vec::new(),
        _ => {
            let left = summary["execution"].as_object().map_or(String::new(), |came| {
                let each = came.iter().filter(|(what, rows)| **what != "mended" && rows.as_u64() > Some(0));
                each.map(|(what, rows)| format!(", {rows} {}", what.replace('_', " "))).collect()
            });
            let why = summary["error"].as_str().map_or(left, |error| format!(": {error}"));
            let text = format!("the repair {} ended as {verdict}{why}", run.run);
            let command = format!("evensum run show {}", run.run);
            let annotations = [
                ("summary", text.as_str()),
                (
                    "description",
                    "Rows that are not mended stay as they were; the journal has what was changed.",
                ),
                ("command", &command),
                ("run", &run.run),
            ];
            vec![Finding::wrong(REPAIR, &labels, Severity::Error, &annotations)]
        }
    }
}

/// Whether the last whole check of a schedule is too old. `since` is when there was one, or when the schedule was first seen.
pub fn of_age(schedule: &str, since: u64, stale_after: u64, now: u64) -> Finding {
    let labels = [("schedule", schedule)];
    if now.saturating_sub(since) <= stale_after {
        return Finding::right(STALE, &labels);
    }
    let summary = format!("no whole check of schedule {schedule} since {}", rfc3339(since));
    let description =
        format!("Somebody is told after {} hours. Masters may have come apart since.", stale_after / 3_600);
    let command = format!("evensum schedule run {schedule}");
    let annotations =
        [("summary", summary.as_str()), ("description", description.as_str()), ("command", command.as_str())];
    Finding::wrong(STALE, &labels, Severity::Warning, &annotations)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{Kinds, Status};

    fn run(kind: &str, verdict: &str, summary: &str) -> Run {
        Run {
            run: "r1".into(),
            kind: kind.into(),
            cause: "schedule nightly".into(),
            cluster: "shop".into(),
            schedule: Some("nightly".into()),
            planned_at: None,
            status: Status::Ended,
            attempts: 1,
            started: 100,
            finished: Some(200),
            verdict: Some(verdict.into()),
            summary: Some(summary.into()),
            report: None,
            arguments: None,
            process: None,
            stopped: None,
        }
    }

    fn table(name: &str, different_since: Option<u64>, clean_at: Option<u64>) -> TableState {
        TableState {
            name: name.into(),
            verdict: "different".into(),
            run: "r1".into(),
            checked_at: 200,
            rows: 10,
            rows_different: 3,
            rows_unsettled: 0,
            kinds: Kinds { missing: 1, extra: 0, changed: 2 },
            chunks: Vec::new(),
            reason: None,
            clean_at,
            different_since,
            nodes: Vec::new(),
        }
    }

    fn said(findings: &[Finding]) -> Vec<(&str, String, bool)> {
        let thing = |finding: &Finding| finding.labels.values().cloned().collect::<Vec<_>>().join(",");
        findings.iter().map(|finding| (finding.name, thing(finding), finding.word == Word::Right)).collect()
    }

    #[test]
    fn a_table_is_right_only_when_it_was_found_identical() {
        let check = run("check", "different", r#"{"whole":true,"different":["shop.a"]}"#);
        let tables = [
            table("shop.a", Some(200), None),
            TableState { verdict: "identical".into(), ..table("shop.b", None, Some(200)) },
            // never found identical, and not known to differ
            TableState { verdict: "unsettled".into(), ..table("shop.c", None, None) },
            // found identical by another check
            TableState { run: "r0".into(), verdict: "identical".into(), ..table("shop.d", None, Some(100)) },
        ];
        let findings = of_check(&check, &tables, &["shop.gone".into(), "shop.b".into()], "--config c.toml");
        let table = |name: &str, right| (DIVERGENCE, name.to_owned(), right);
        let expected = [
            table("shop.a", false),
            table("shop.b", true),
            table("shop.gone", true),
            (INCOMPLETE, "nightly".to_owned(), true),
        ];
        assert_eq!(said(&findings), expected);
        let Word::Wrong { annotations, severity } = &findings[0].word else { panic!("{findings:?}") };
        assert_eq!(annotations["summary"], "3 rows differ in shop.a (1 missing, 2 changed)");
        assert_eq!(annotations["command"], "evensum sync --run r1 --config c.toml");
        assert_eq!(*severity, Severity::Critical);
    }

    #[test]
    fn what_was_found_is_told_even_if_it_was_mended_before_anybody_was() {
        let check = run("check", "different", r#"{"whole":true,"different":["shop.a"]}"#);
        let findings = of_check(&check, &[table("shop.a", None, Some(300))], &[], "");
        assert_eq!(said(&findings)[0], (DIVERGENCE, "shop.a".to_owned(), false));
    }

    #[test]
    fn a_check_that_did_not_come_to_its_end_says_why() {
        for (summary, part) in [
            (r#"{"error":"n2 is unreachable"}"#, "n2 is unreachable"),
            (r#"{"whole":false,"interrupted":true}"#, "stopped"),
            (r#"{"whole":false,"tables_unsettled":2,"tables_skipped":1}"#, "2 tables unsettled, 1 skipped"),
        ] {
            let findings = of_check(&run("check", "failed", summary), &[], &[], "");
            let Word::Wrong { annotations, .. } = &findings[0].word else { panic!("{findings:?}") };
            assert!(annotations["summary"].contains(part), "{annotations:?}");
        }
    }

    #[test]
    fn repairs_and_ages_are_judged() {
        assert_eq!(said(&of_repair(&run("sync", "identical", "{}"))), [(REPAIR, "nightly".into(), true)]);
        assert_eq!(of_repair(&run("sync", "planned", "{}")), []);
        let failed = of_repair(&run("sync", "unfinished", r#"{"execution":{"mended":2,"moved":1}}"#));
        let Word::Wrong { annotations, .. } = &failed[0].word else { panic!("{failed:?}") };
        assert!(annotations["summary"].ends_with("unfinished, 1 moved"), "{annotations:?}");
        assert_eq!(of_age("n", 100, 50, 150).word, Word::Right);
        assert_ne!(of_age("n", 100, 50, 151).word, Word::Right);
    }
}
