//! Where a run stands that waits or is at work, as it is when the page is made; the script brings it up to date once a second.
//!
//! Without the script it says the same as of now. Invariant: no time left is shown where the run itself gives none.

use super::super::answer::Wrong;
use super::commands;
use super::forms::{Then, Wish, command_of, form};
use super::frame::{Visit, count, length, part, to_run, when, word};
use crate::serve::command::typed;
use crate::state::{Run, Status};
use maud::{Markup, html};
use serde_json::Value;

/// A run that has not ended.
pub fn box_of(visit: &Visit, run: &Run) -> Result<Markup, Wrong> {
    let document = visit.state.progress(&run.run)?.map(|(_, document)| document).unwrap_or_default();
    let number = |field: &str| document[field].as_u64();
    let (rows, estimate) = (number("rows").unwrap_or(0), number("rows_estimate").unwrap_or(0));
    let status = run.word();
    Ok(html! {
        div.progress data-progress={ "/api/v1/runs/" (part(&run.run)) "/progress" } data-status=(status) {
            p { (to_run(&run.run)) " " (word(status)) " " span.quiet { (run.kind) ", " (run.cause) ", since " (when(run.started, visit.now)) } }
            @if run.status == Status::Working {
                progress max=(estimate.max(1)) value=(rows.min(estimate)) aria-label={ "rows compared by " (run.run) } {}
                p data-part="line" { (line(&document)) }
                p.warn data-part="paused" hidden[document["paused"].is_null()] {
                    @if let Some(why) = document["paused"].as_str() { "paused: " (why) }
                }
            } @else {
                p { "It waits for its turn: one run at a time works on a cluster." }
            }
            @if let (true, Some(words)) = (visit.operates(), &run.arguments) {
                (form(&Wish {
                    method: "POST", address: format!("/api/v1/runs/{}/stop", part(&run.run)), then: Then::Reload, button: "Stop",
                    command: commands::run_stop(visit, &run.run), grave: false,
                }, &html! {}))
                (command_of("What it runs", &typed(words)))
            }
        }
    })
}

/// `shop.orders: 1,200 of about 5,000 rows, 12 chunks, 1 differs, 8 s left`.
fn line(document: &Value) -> String {
    let number = |field: &str| document[field].as_u64();
    let Some(rows) = number("rows") else { return "It begins.".to_owned() };
    let mut text = format!(
        "{}: {} of about {} rows, {} chunks, {} of them unequal at first sight",
        document["table"].as_str().unwrap_or_default(),
        count(rows),
        count(number("rows_estimate").unwrap_or(rows)),
        count(number("chunks").unwrap_or(0)),
        count(number("chunks_mismatched").unwrap_or(0)),
    );
    if let Some(settling) = number("settling_rows") {
        text.push_str(&format!(", settling {} rows", count(settling)));
    }
    if let Some(left) = number("seconds_left") {
        text.push_str(&format!(", about {} left", length(left)));
    }
    text
}
