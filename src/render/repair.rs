//! A repair in words and as JSON: what is planned, and what came of it.

use crate::commands::check::unfinished;
use crate::render::json::key_of;
use crate::render::text::{divergence, key};
use checker::{Report, TableReport};
use database::Mending;
use serde_json::{Value, json};
use std::fmt::Write;
use syncer::{Mended, Plan, Step, Summary};

/// The most steps that are written out one by one; all of them are in the JSON document.
const SHOWN_STEPS: usize = 50;

/// The plan, and what came of it if it was carried out, as one document.
pub fn document(run: &str, plan: &Plan, report: Option<&Report>, summary: Option<&Summary>) -> Value {
    let undecided: Vec<Value> = plan
        .undecided
        .iter()
        .map(|left| json!({ "divergence": super::json::divergence(&left.divergence), "reason": left.reason }))
        .collect();
    json!({
        "schema_version": 1,
        "run": run,
        "verdict": report.map(|report| report.verdict().to_string()),
        "nodes": plan.nodes.iter().map(|node| &node.name).collect::<Vec<_>>(),
        "steps": plan.steps.iter().map(step).collect::<Vec<_>>(),
        "undecided": undecided,
        "unfinished": report.map(|report| unfinished(report).map(table).collect::<Vec<_>>()),
        "execution": summary.map(execution),
    })
}

fn table(table: &TableReport) -> Value {
    json!({
        "database": table.table.database,
        "table": table.table.name,
        "verdict": table.verdict.to_string(),
        "rows_unsettled": table.rows_unsettled,
        "reason": table.reason,
    })
}

fn step(step: &Step) -> Value {
    json!({
        "node": step.node,
        "winner": step.winner,
        "database": step.table.database,
        "table": step.table.name,
        "key": key_of(&step.table, &step.key),
        "sql": step.to_sql(),
        "why": step.why,
    })
}

fn execution(summary: &Summary) -> Value {
    let steps: Vec<Value> = summary
        .steps
        .iter()
        .map(|mended| {
            let mut document = step(&mended.step);
            document["outcome"] = word(&mended.outcome).into();
            if let Mending::Refused(reason) = &mended.outcome {
                document["reason"] = reason.as_str().into();
            }
            document
        })
        .collect();
    let different: Vec<Value> = summary.different.iter().map(super::json::divergence).collect();
    let mut document = super::summary::outcomes(summary);
    document.extend([
        ("stalled".to_owned(), json!(summary.stalled)),
        ("rows_identical".to_owned(), json!(summary.rows_identical)),
        ("rows_unsettled".to_owned(), json!(summary.rows_unsettled)),
        ("different".to_owned(), different.into()),
        ("steps".to_owned(), steps.into()),
    ]);
    document.into()
}

fn word(outcome: &Mending) -> &'static str {
    match outcome {
        Mending::Mended => "mended",
        Mending::Already => "already",
        Mending::Moved => "moved",
        Mending::Refused(_) => "refused",
        Mending::CalledOff => "called off",
    }
}

/// One sentence about a plan that is not carried out.
pub fn planned(plan: &Plan, report: Option<&Report>) -> String {
    let left = match plan.undecided.len() {
        0 => String::new(),
        left => format!("; {left} rows are left, because no policy decides them"),
    };
    let unsettled = match report.map_or(0, |report| report.unsettled.len()) {
        0 => String::new(),
        rows => format!("; {rows} rows are unsettled and not in the plan"),
    };
    let what = match plan.steps.len() {
        0 => "nothing to mend".to_owned(),
        steps => format!("the plan changes {steps} rows"),
    };
    format!("evensum: {what}{left}{unsettled}. Nothing was changed.")
}

/// What was not compared to the end, and is therefore neither in the plan nor known to be identical.
fn not_compared(report: Option<&Report>) -> String {
    let mut text = String::new();
    let Some(report) = report else { return text };
    for table in unfinished(report).take(SHOWN_STEPS) {
        let _ = write!(text, "not finished: {} is {}", table.table, table.verdict);
        let _ = match (&table.reason, table.rows_unsettled) {
            (Some(reason), _) => writeln!(text, " ({reason})"),
            (None, 0) => writeln!(text),
            (None, rows) => writeln!(text, " ({rows} rows unsettled)"),
        };
    }
    if report.interrupted {
        text.push_str("not finished: it was stopped before the end\n");
    }
    text
}

/// What came of a plan that was carried out.
pub fn done(run: &str, plan: &Plan, report: Option<&Report>, summary: &Summary) -> String {
    if plan.steps.is_empty() {
        let sentence = planned(plan, report);
        return format!("{}\n{}", sentence.trim_start_matches("evensum: "), not_compared(report));
    }
    let mended = summary.count(|outcome| *outcome == Mending::Mended);
    let mut text = format!("mended: {mended} of {} planned rows\n", plan.steps.len());
    let others = summary.steps.iter().filter(|mended| mended.outcome != Mending::Mended);
    for Mended { step, outcome } in others.take(SHOWN_STEPS) {
        let why = match outcome {
            Mending::Refused(reason) => format!("it was refused: {reason}"),
            Mending::Moved => {
                "the row was written meanwhile; it is left as the application wrote it".to_owned()
            }
            Mending::Already => "it was as wanted before".to_owned(),
            _ if summary.stalled => "it was called off: replication did not carry marks in time".to_owned(),
            _ => "it was called off: marks did not arrive in time, or the run was stopped".to_owned(),
        };
        let _ = writeln!(text, "  {} {} on {}: {why}", step.table, key(&step.table, &step.key), step.node);
    }
    let _ = writeln!(
        text,
        "verified: {} rows are identical on all nodes, {} differ, {} are unsettled",
        summary.rows_identical,
        summary.different.len(),
        summary.rows_unsettled
    );
    for left in summary.different.iter().take(SHOWN_STEPS) {
        let _ = write!(text, "\n{}", divergence(left));
    }
    text.push_str(&not_compared(report));
    if !plan.undecided.is_empty() {
        let _ = writeln!(text, "left: {} rows that no policy decides", plan.undecided.len());
    }
    if mended > 0 {
        let _ = writeln!(text, "to put it back: evensum sync --undo {run} --execute …");
    }
    text
}
