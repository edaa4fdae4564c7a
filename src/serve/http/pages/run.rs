//! One run: where it stands, what it found, and what can follow on it.

use super::super::answer::{Answer, Wrong};
use super::forms::{Then, Wish, command_of, form};
use super::frame::{Visit, count, counted, length, part, to_table, when, word};
use super::runs::{kind, summary};
use super::{commands, divergences, plan, progress};
use crate::serve::command::{name_of_repair, repair, typed};
use crate::state::{Run, Status};
use axum::extract::Path;
use maud::{Markup, html};
use serde_json::Value;

/// The most tables of a run that are listed.
const TABLES: usize = 200;

/// One run.
pub async fn run(visit: Visit, Path(name): Path<String>) -> Answer {
    let Some(run) = visit.state.find(&name)? else {
        let hint = html! { "It was forgotten, or never was. " a href="/runs" { "All runs" } };
        return visit.absent("/runs", "There is no such run", &hint);
    };
    let report: Option<Value> = run.report.as_deref().and_then(|text| serde_json::from_str(text).ok());
    let body = html! {
        h1 { (if run.kind == "sync" { "Repair" } else { "Check" }) " " span.name { (run.run) } " " (word(run.word())) }
        p.lead { (summary(&run)) }
        @if run.status != Status::Ended { (progress::box_of(&visit, &run)?) }
        @match (&report, run.kind.as_str()) {
            (Some(report), "sync") => (plan::all(&visit, &run, report)?),
            (Some(report), _) => (found(&visit, &run, report)),
            (None, _) if run.status == Status::Ended => p.empty { "Of old runs only the summary is kept." },
            _ => {}
        }
        (facts(&visit, &run))
    };
    visit.page("/runs", &run.run, &body)
}

fn facts(visit: &Visit, run: &Run) -> Markup {
    html! {
        section aria-labelledby="about" {
            h2 #about { "About this run" }
            dl.facts {
                div { dt { "Kind" } dd { (kind(run)) } }
                div { dt { "Begun by" } dd { (run.cause) } }
                @if let Some(schedule) = &run.schedule { div { dt { "Schedule" } dd { a href="/schedules" { (schedule) } } } }
                @if let Some(at) = run.planned_at { div { dt { "Planned for" } dd { (when(at, visit.now)) } } }
                div { dt { (if run.status == Status::Queued { "Asked for" } else { "Began" }) } dd { (when(run.started, visit.now)) } }
                @if let Some(at) = run.finished {
                    div { dt { "Ended" } dd { (when(at, visit.now)) ", after " (length(at.saturating_sub(run.started))) } }
                }
                @if run.attempts > 1 { div { dt { "Begun" } dd { (run.attempts) " times" } } }
            }
            @if let Some(words) = &run.arguments { (command_of("What it runs", &typed(words))) }
            (command_of("All that it found", &commands::run_show(visit, &run.run)))
        }
    }
}

fn found(visit: &Visit, run: &Run, report: &Value) -> Markup {
    let tables: Vec<&Value> = report["tables"].as_array().into_iter().flatten().collect();
    let rows: Vec<Value> =
        report["divergences"].as_array().into_iter().flatten().take(divergences::SHOWN).cloned().collect();
    let different = run.number("rows_different").unwrap_or(0);
    html! {
        @if different > 0 && visit.operates() {
            section aria-labelledby="repair" {
                h2 #repair { "Repair" }
                (repair_form(visit, &run.run))
            }
        }
        @if !rows.is_empty() {
            section aria-labelledby="rows" {
                h2 #rows { (counted(different, "row that differs", "rows that differ")) }
                (divergences::all(visit, &rows, different, &run.run))
            }
        }
        (unsettled(report))
        @if !tables.is_empty() {
            section aria-labelledby="tables" {
                h2 #tables { "Tables" }
                (table_verdicts(&tables))
                @if tables.len() > TABLES { p { "Shown are " (TABLES) " of " (count(tables.len() as u64)) "." } }
            }
        }
    }
}

fn unsettled(report: &Value) -> Markup {
    let rows: Vec<&Value> =
        report["unsettled"].as_array().into_iter().flatten().take(divergences::SHOWN).collect();
    html! {
        @if !rows.is_empty() {
            section aria-labelledby="unsettled" {
                h2 #unsettled { "Rows of which nothing could be shown" }
                ul.plain {
                    @for row in rows {
                        li { (row["database"].as_str().unwrap_or_default()) "." (row["table"].as_str().unwrap_or_default()) " " (divergences::key_of(&row["key"])) ": " (row["reason"].as_str().unwrap_or_default()) }
                    }
                }
            }
        }
    }
}

fn table_verdicts(tables: &[&Value]) -> Markup {
    let mut tables = tables.to_vec();
    // what is well is what nobody looks for
    tables.sort_by_key(|table| table["verdict"] == "identical");
    html! {
        div.wide tabindex="0" role="region" aria-label="tables of this run" {
            table.stacked {
                thead {
                    tr {
                        th scope="col" { "Table" } th scope="col" { "Verdict" } th.number scope="col" { "Rows" }
                        th.number scope="col" { "Chunks" } th.number scope="col" { "Differ" } th scope="col" { "Remark" }
                    }
                }
                tbody {
                    @for table in tables.iter().take(TABLES) {
                        @let text = |field: &str| table[field].as_str().unwrap_or_default().to_owned();
                        @let number = |field: &str| count(table[field].as_u64().unwrap_or(0));
                        tr {
                            th scope="row" { (to_table(&format!("{}.{}", text("database"), text("table")))) }
                            td { (word(&text("verdict"))) }
                            td.number data-label="rows" { (number("rows")) }
                            td.number data-label="chunks" { (number("chunks")) }
                            td.number data-label="differ" { (number("rows_different")) }
                            td { (text("reason")) }
                        }
                    }
                }
            }
        }
    }
}

/// The form that plans the repair of what a run found.
pub fn repair_form(visit: &Visit, run: &str) -> Markup {
    let nodes = visit.setup.nodes.names();
    let template = typed(&repair(&visit.setup.path, run, "POLICY", None)).replace("POLICY", "{policy}");
    let wish = Wish {
        method: "POST",
        address: "/api/v1/repairs".to_owned(),
        then: Then::Run,
        button: "Plan the repair",
        command: template,
        grave: false,
    };
    let fields = html! {
        input type="hidden" name="run" value=(run);
        label {
            span { "Who is right" }
            select name="policy" {
                @for node in nodes { option value={ "prefer=" (node) } { "what " (node) " holds" } }
                @if visit.setup.nodes.len() > 2 { option value="majority" { "what most nodes hold" } }
                option value="newest=" { "the row with the newest value in a column" }
                option value="insert-only" { "insert where a row is missing, nothing else" }
                option value="delete-wins" { "delete where a row is missing elsewhere, nothing else" }
            }
        }
        label data-when="policy=newest=" {
            span { "Column, for the newest" }
            input type="text" data-ends="policy" autocomplete="off" autocapitalize="none" spellcheck="false";
        }
    };
    html! {
        p { "A plan changes nothing. It says as SQL what would be changed of all that the run " (super::frame::to_run(run)) " found; carrying it out is asked for on its own page." }
        (form(&wish, &fields))
    }
}

/// The run that carries out a plan, if somebody asked for it.
pub fn carried_out(visit: &Visit, plan: &Run) -> Result<Option<Run>, Wrong> {
    Ok(visit.state.find(&name_of_repair(&plan.run))?)
}

/// The address of a run in the API.
pub fn execute_address(run: &str) -> String {
    format!("/api/v1/repairs/{}/execute", part(run))
}
