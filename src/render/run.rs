//! One run in words: what it was, how it ended, and in numbers what it found.

use crate::clock::rfc3339;
use crate::render::text::aligned;
use crate::state::Run;
use serde_json::Value;

/// The most tables that are named.
const NAMED: usize = 20;

/// The run, line by line.
pub fn run(run: &Run) -> String {
    let mut rows = vec![
        pair("run", &run.run),
        pair("kind", &run.kind),
        pair("cluster", &run.cluster),
        pair("begun by", &run.cause),
    ];
    rows.extend(run.schedule.as_deref().map(|schedule| pair("schedule", schedule)));
    rows.extend(run.planned_at.map(|at| pair("planned for", &rfc3339(at))));
    rows.push(pair("begun", &rfc3339(run.started)));
    rows.extend(run.finished.map(|at| pair("ended", &rfc3339(at))));
    rows.push(pair("status", run.word()));
    let summary = run.summary_value().unwrap_or_default();
    let report: Value =
        run.report.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    if let Some(error) = summary["error"].as_str() {
        rows.push(pair("why", error));
    }
    let text = |value: &Value| value.as_u64().map(|number| number.to_string());
    for (field, name) in [
        ("tables", "tables"),
        ("tables_different", "  different"),
        ("tables_unsettled", "  unsettled"),
        ("tables_skipped", "  skipped"),
        ("rows", "rows"),
        ("rows_different", "  different"),
        ("rows_missing", "    missing"),
        ("rows_extra", "    extra"),
        ("rows_changed", "    changed"),
        ("rows_unsettled", "  unsettled"),
        ("chunks", "chunks"),
        ("elapsed_ms", "milliseconds"),
        ("steps", "steps planned"),
        ("undecided", "rows left"),
    ] {
        rows.extend(text(&summary[field]).map(|number| pair(name, &number)));
    }
    for (what, rows_of) in summary["execution"].as_object().into_iter().flatten() {
        rows.extend(text(rows_of).map(|number| pair(&what.replace('_', " "), &number)));
    }
    for (cause, millis) in summary["throttled_ms"].as_object().into_iter().flatten() {
        rows.extend(
            text(millis)
                .map(|number| pair("held back, ms", &format!("{number} by {}", cause.replace('_', " ")))),
        );
    }
    for table in report["tables"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|table| table["verdict"] != "identical")
        .take(NAMED)
    {
        let part = |field: &str| table[field].as_str().unwrap_or_default();
        let reason = table["reason"].as_str().map_or(String::new(), |reason| format!(": {reason}"));
        rows.push(pair(part("verdict"), &format!("{}.{}{reason}", part("database"), part("table"))));
    }
    let prints = report["tables"].as_array().map_or(0, Vec::len);
    if prints > 0 {
        rows.push(pair("more", &format!("evensum run show {} --json has rows and fingerprints", run.run)));
    }
    aligned(&rows, "")
}

fn pair(name: &str, text: &str) -> Vec<String> {
    vec![name.to_owned(), text.to_owned()]
}
