//! A repair: what it would change as SQL, node by node, with the reason of each edit; the form that has it carried out; and what came
//! of it.
//!
//! Invariant: what is carried out is what stands here: the plan is a file, and its hash goes into the audit log. Bound: [`SHOWN`]
//! edits are written out.

use super::super::answer::Wrong;
use super::super::api::runs::approval_word;
use super::divergences::key_of;
use super::forms::{Field, Then, Wish, command_of, field, form};
use super::frame::{Visit, count, counted, to_run, word};
use super::run::{carried_out, execute_address};
use super::{commands, divergences};
use crate::serve::command::{as_planned, typed};
use crate::state::Run;
use maud::{Markup, html};
use serde_json::Value;
use std::collections::BTreeMap;

/// The most edits that are written out.
const SHOWN: usize = 100;

/// All that is known of a repair.
pub fn all(visit: &Visit, run: &Run, report: &Value) -> Result<Markup, Wrong> {
    let outcome = &report["execution"];
    let steps: Vec<&Value> = match outcome["steps"].as_array().or(report["steps"].as_array()) {
        Some(steps) => steps.iter().collect(),
        None => Vec::new(),
    };
    Ok(html! {
        @if outcome.is_object() { (came_of_it(outcome)) }
        @if !steps.is_empty() {
            section aria-labelledby="plan" {
                h2 #plan { @if outcome.is_object() { "What was done" } @else { "The plan" } }
                (by_node(&steps))
                @if steps.len() > SHOWN {
                    p { "Shown are " (SHOWN) " of " (counted(steps.len() as u64, "change", "changes")) "." }
                    (command_of("The whole plan", &commands::run_show(visit, &run.run)))
                }
            }
        }
        (left(report))
        // who approves has seen what
        @if run.verdict.as_deref() == Some("planned") { (approval(visit, run, steps.len())?) }
    })
}

fn by_node(steps: &[&Value]) -> Markup {
    let mut nodes: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for step in steps.iter().take(SHOWN) {
        nodes.entry(step["node"].as_str().unwrap_or_default()).or_default().push(step);
    }
    let all = |node: &str| steps.iter().filter(|step| step["node"].as_str() == Some(node)).count() as u64;
    html! {
        @for (node, steps) in &nodes {
            h3 { "On " (node) ": " (counted(all(node), "change", "changes")) }
            ol.steps {
                @for step in steps {
                    li {
                        p {
                            span.quiet { (step["database"].as_str().unwrap_or_default()) "." (step["table"].as_str().unwrap_or_default()) } " "
                            (key_of(&step["key"]))
                            @if let Some(outcome) = step["outcome"].as_str() { " " (word_of(outcome)) }
                            @if let Some(reason) = step["reason"].as_str() { " " (reason) }
                        }
                        pre tabindex="0" { code { (step["sql"].as_str().unwrap_or_default()) } }
                        p.quiet { (step["why"].as_str().unwrap_or_default()) }
                    }
                }
            }
        }
    }
}

/// How an edit ended, by colour, sign and word.
fn word_of(outcome: &str) -> Markup {
    match outcome {
        "mended" => word("mended"),
        "refused" => html! { span.word.bad { span.sign aria-hidden="true" { "!" } " refused" } },
        other => html! { span.word.warn { span.sign aria-hidden="true" { "?" } " " (other) } },
    }
}

fn approval(visit: &Visit, run: &Run, steps: usize) -> Result<Markup, Wrong> {
    let tables = approval_word(run);
    let path = visit.state.plan(&run.run);
    let done = carried_out(visit, run)?;
    let rows = run.number("rows").unwrap_or(0);
    let wish = Wish {
        method: "POST",
        address: execute_address(&run.run),
        then: Then::Run,
        button: "Carry out this plan",
        command: typed(&as_planned(&visit.setup.path, &path, rows)),
        grave: true,
    };
    let confirm = Field { name: "confirm", label: "Names of the tables", ..Field::default() };
    Ok(html! {
        section aria-labelledby="approve" {
            h2 #approve { "Carry it out" }
            @if let Some(done) = done {
                p { "Somebody asked for it: " (to_run(&done.run)) " " (word(done.word())) }
            } @else if tables.is_empty() {
                p { "The plan changes nothing, so there is nothing to carry out." }
            } @else if !path.is_file() {
                p { "The plan's file is gone. Plan the repair again." }
            } @else if !visit.operates() {
                p { "It needs the role operator." }
            } @else {
                p { "It changes " (counted(steps as u64, "row", "rows")) ", and keeps what it overwrites, so that it can be undone. To approve it, type: " strong.typed { (tables) } }
                (form(&wish, &field(&confirm)))
            }
        }
    })
}

fn came_of_it(outcome: &Value) -> Markup {
    let number = |field: &str| outcome[field].as_u64().unwrap_or(0);
    let counts = [
        ("mended", "Mended"),
        ("already", "As wanted before"),
        ("moved", "Written meanwhile, so left"),
        ("refused", "Refused"),
        ("called_off", "Called off"),
        ("rows_identical", "Identical when read again"),
        ("rows_unsettled", "Unsettled when read again"),
    ];
    let different: Vec<&Value> = outcome["different"].as_array().into_iter().flatten().collect();
    html! {
        section aria-labelledby="came" {
            h2 #came { "What came of it" }
            dl.facts {
                @for (field, label) in counts { @if number(field) > 0 || field == "mended" { div { dt { (label) } dd { (count(number(field))) } } } }
            }
            @if outcome["stalled"] == true { p.error { "Replication did not carry marks in time, so the rest was called off." } }
            @if !different.is_empty() {
                h3 { "Still different" }
                @for row in different.iter().take(divergences::SHOWN) { (divergences::one(row)) }
            }
        }
    }
}

/// What the plan leaves as it is, and why.
fn left(report: &Value) -> Markup {
    let undecided: Vec<&Value> = report["undecided"].as_array().into_iter().flatten().collect();
    let unfinished: Vec<&Value> = report["unfinished"].as_array().into_iter().flatten().collect();
    html! {
        @if !undecided.is_empty() {
            section aria-labelledby="undecided" {
                h2 #undecided { (counted(undecided.len() as u64, "row", "rows")) " that no policy decides" }
                @for left in undecided.iter().take(SHOWN) {
                    (divergences::one(&left["divergence"]))
                    p.quiet { (left["reason"].as_str().unwrap_or_default()) }
                }
            }
        }
        @if !unfinished.is_empty() {
            section aria-labelledby="unfinished" {
                h2 #unfinished { "Not compared to the end" }
                ul.plain {
                    @for table in unfinished.iter().take(SHOWN) {
                        li {
                            (table["database"].as_str().unwrap_or_default()) "." (table["table"].as_str().unwrap_or_default()) " "
                            (word(table["verdict"].as_str().unwrap_or_default())) " " (table["reason"].as_str().unwrap_or_default())
                        }
                    }
                }
            }
        }
    }
}
