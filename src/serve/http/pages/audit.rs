//! The audit log: who changed what, when and why, and whether the chain of its lines holds.

use super::super::answer::Answer;
use super::super::api::limit;
use super::frame::{Visit, when};
use axum::extract::Query;
use maud::html;
use serde::Deserialize;

/// How many lines are wanted.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Wanted {
    limit: String,
}

/// The audit log.
pub async fn audit(visit: Visit, Query(wanted): Query<Wanted>) -> Answer {
    let lines = visit.state.audit_lines(limit(wanted.limit.parse().ok()))?;
    let broken = visit.state.audit_break()?;
    let body = html! {
        h1 { "Audit log" }
        @match broken {
            None => p { span.word.good { span.sign aria-hidden="true" { "✓" } " whole" } " Each line follows from the one before: none was changed or taken out." },
            Some(line) => p.error { span.word.bad { span.sign aria-hidden="true" { "!" } " broken" } " Line " (line) " does not follow from the one before: somebody changed the log." },
        }
        @if lines.is_empty() {
            p.empty { "Nobody has changed anything yet." }
        } @else {
            div.wide tabindex="0" role="region" aria-label="lines of the audit log" {
                table.stacked {
                    thead { tr { th scope="col" { "Line" } th scope="col" { "When" } th scope="col" { "Who" } th scope="col" { "What" } th scope="col" { "To what" } th scope="col" { "More" } } }
                    tbody {
                        @for line in &lines {
                            tr {
                                th scope="row" data-label="line" { (line.id) }
                                td.short { (when(line.at, visit.now)) }
                                td.short { (line.who) }
                                td.short { (line.action) }
                                td { (line.subject) }
                                td.long { (line.detail) }
                            }
                        }
                    }
                }
            }
            @if let Some(last) = lines.first() {
                p.quiet { "Hash of the latest line; keep it elsewhere to know a log that was cut off: " code { (last.hash) } }
            }
            p { a href={ "/audit?limit=" (super::super::api::LISTED_MAX) } { "Show more" } }
        }
    };
    visit.page("/audit", "Audit log", &body)
}
