//! A run in numbers, for lists, metrics and alerts, which read thousands of them and no report.
//!
//! Holds no value of a row and no key.

use crate::state::kinds;
use checker::{Report, Verdict};
use database::Mending;
use serde_json::{Map, Value, json};
use syncer::{Plan, Summary};

/// The most tables that are named.
const NAMED_MAX: usize = 100;

/// A check; `whole`: whether all that was asked for was compared to the end.
pub fn check(report: &Report, whole: bool) -> Value {
    let count = |verdict: Verdict| report.tables.iter().filter(|table| table.verdict == verdict).count();
    let sum = |of: fn(&checker::TableReport) -> u64| report.tables.iter().map(of).sum::<u64>();
    let kinds =
        kinds(report).into_values().fold(crate::state::Kinds::default(), |all, one| crate::state::Kinds {
            missing: all.missing + one.missing,
            extra: all.extra + one.extra,
            changed: all.changed + one.changed,
        });
    let named = report.tables.iter().filter(|table| table.verdict == Verdict::Different);
    let throttled: Map<String, Value> = report
        .course
        .throttled
        .iter()
        .map(|(cause, held)| {
            let millis = u64::try_from(held.time.as_millis()).unwrap_or(u64::MAX);
            (cause.to_string().replace(' ', "_"), json!(millis))
        })
        .collect();
    json!({
        "whole": whole,
        "interrupted": report.interrupted,
        "nodes": report.nodes,
        "tables": report.tables.len(),
        "tables_identical": count(Verdict::Identical),
        "tables_different": count(Verdict::Different),
        "tables_unsettled": count(Verdict::Unsettled),
        "tables_skipped": count(Verdict::Skipped),
        "different": named.map(|table| table.table.to_string()).take(NAMED_MAX).collect::<Vec<_>>(),
        "chunks": sum(|table| table.chunks),
        "rows": sum(|table| table.rows),
        "rows_different": sum(|table| table.rows_different),
        "rows_unsettled": sum(|table| table.rows_unsettled),
        "rows_missing": kinds.missing,
        "rows_extra": kinds.extra,
        "rows_changed": kinds.changed,
        "throttled_ms": throttled,
        "elapsed_ms": u64::try_from(report.elapsed.as_millis()).unwrap_or(u64::MAX),
    })
}

/// A repair: its plan, and what came of it if it was carried out.
pub fn repair(plan: &Plan, summary: Option<&Summary>) -> Value {
    let mut tables: Vec<String> = plan.steps.iter().map(|step| step.table.to_string()).collect();
    tables.sort();
    tables.dedup();
    let count = tables.len();
    tables.truncate(NAMED_MAX);
    let came = summary.map(outcomes);
    json!({ "steps": plan.steps.len(), "rows": plan.rows(), "undecided": plan.undecided.len(), "repaired": tables, "tables": count, "execution": came })
}

/// How many rows of a repair came to which end.
pub fn outcomes(summary: &Summary) -> Map<String, Value> {
    let counts = [
        ("mended", summary.count(|outcome| *outcome == Mending::Mended)),
        ("already", summary.count(|outcome| *outcome == Mending::Already)),
        ("moved", summary.count(|outcome| *outcome == Mending::Moved)),
        ("refused", summary.count(|outcome| matches!(outcome, Mending::Refused(_)))),
        ("called_off", summary.count(|outcome| *outcome == Mending::CalledOff)),
    ];
    counts.into_iter().map(|(end, rows)| (end.to_owned(), json!(rows))).collect()
}
