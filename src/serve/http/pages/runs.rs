//! The list of runs, each with its state in a word and what came of it in a few.

use super::super::answer::Answer;
use super::super::api::limit;
use super::forms::command;
use super::frame::{Visit, count, counted, length, part, to_run, when, word};
use super::home::check_form;
use crate::state::{Run, Status};
use axum::extract::Query;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;

/// Which runs are wanted.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Wanted {
    schedule: String,
    limit: String,
}

/// The latest runs.
pub async fn runs(visit: Visit, Query(wanted): Query<Wanted>) -> Answer {
    let most = limit(wanted.limit.parse().ok());
    let runs = match wanted.schedule.as_str() {
        "" => visit.state.list(most)?,
        schedule => visit.state.list_of(schedule, most)?,
    };
    let schedules = visit.setup.plans.iter().map(|plan| &*plan.schedule.name);
    let body = html! {
        h1 { "Runs" }
        @if !visit.setup.plans.is_empty() {
            form.search method="get" action="/runs" {
                label {
                    span { "Schedule" }
                    select name="schedule" {
                        option value="" { "all runs" }
                        @for name in schedules { option value=(name) selected[name == wanted.schedule] { (name) } }
                    }
                }
                button type="submit" { "Show" }
            }
        }
        @if runs.is_empty() {
            p.empty { "Nothing has run yet. A schedule begins its check when it is due, or begin one here." }
        } @else {
            (run_list(&visit, &runs, "runs"))
            @if runs.len() as u64 == u64::from(most) && most < super::super::api::LISTED_MAX {
                p { a href={ "/runs?schedule=" (part(&wanted.schedule)) "&limit=" (super::super::api::LISTED_MAX) } { "Show more" } }
            }
        }
        (command(&format!("evensum runs --limit {most}")))
        @if visit.operates() { (check_form(&visit)) }
    };
    visit.page("/runs", "Runs", &body)
}

/// Runs, a line each; the name is for who does not see the table.
pub fn run_list(visit: &Visit, runs: &[Run], name: &str) -> Markup {
    html! {
        div.wide tabindex="0" role="region" aria-label=(name) {
            table.stacked {
                thead { tr { th scope="col" { "Run" } th scope="col" { "State" } th scope="col" { "What came of it" } th scope="col" { "When" } } }
                tbody { @for run in runs { (line_of_run(visit, run)) } }
            }
        }
    }
}

/// A run as a line of a table.
fn line_of_run(visit: &Visit, run: &Run) -> Markup {
    html! {
        tr {
            th scope="row" { (to_run(&run.run)) " " span.quiet { (kind(run)) ", " (run.cause) } }
            td { (word(run.word())) }
            td { (summary(run)) }
            td {
                (when(run.started, visit.now))
                @if let Some(finished) = run.finished { span.quiet { ", took " (length(finished.saturating_sub(run.started))) } }
            }
        }
    }
}

/// What kind of run it is, for people.
pub fn kind(run: &Run) -> &str {
    if run.kind == "sync" { "repair" } else { &run.kind }
}

/// What came of a run, in a few words.
pub fn summary(run: &Run) -> String {
    let Some(summary) = run.summary_value() else {
        return if run.status == Status::Ended { "nothing is known of it" } else { "" }.to_owned();
    };
    if let Some(error) = summary["error"].as_str() {
        return error.to_owned();
    }
    let number = |field: &str| summary[field].as_u64().unwrap_or(0);
    if run.kind == "sync" {
        return match summary["execution"].as_object() {
            None if number("steps") == 0 => "the plan changes nothing".to_owned(),
            None => format!("the plan changes {}{}", counted(number("steps"), "row", "rows"), left(&summary)),
            Some(_) => format!(
                "{} of {} mended{}",
                count(summary["execution"]["mended"].as_u64().unwrap_or(0)),
                counted(number("steps"), "planned row", "planned rows"),
                left(&summary)
            ),
        };
    }
    let mut text = format!(
        "{}, {}",
        counted(number("tables"), "table", "tables"),
        counted(number("rows"), "row", "rows")
    );
    let different: Vec<&str> =
        summary["different"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if number("rows_different") > 0 {
        let place = match &different[..] {
            [one] => (*one).to_owned(),
            _ => counted(number("tables_different"), "table", "tables"),
        };
        text.push_str(&format!(
            "; {} in {place}",
            counted(number("rows_different"), "row differs", "rows differ")
        ));
    }
    if number("rows_unsettled") > 0 {
        text.push_str(&format!("; {} unsettled", counted(number("rows_unsettled"), "row", "rows")));
    }
    if number("tables_skipped") > 0 {
        text.push_str(&format!("; {} skipped", counted(number("tables_skipped"), "table", "tables")));
    }
    if summary["interrupted"] == true {
        text.push_str("; it was stopped before its end");
    }
    text
}

fn left(summary: &Value) -> String {
    match summary["undecided"].as_u64().unwrap_or(0) {
        0 => String::new(),
        rows => format!("; {} left undecided", counted(rows, "row", "rows")),
    }
}
