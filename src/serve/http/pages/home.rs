//! The first page: one sentence, then what stands behind it.
//!
//! In the order in which somebody who was called at night wants to know: does it agree, what is open, do the links run, which tables
//! are bad, what is at work. Of many tables it draws one map of all, and names the worst [`WORST`]; the rest has a page of its own.

use super::super::answer::Answer;
use super::forms::{Field, Then, Wish, field, form};
use super::frame::{Visit, count, counted, part, to_table, when, word};
use super::progress::box_of;
use super::runs::run_list;
use super::{map, topology};
use crate::serve::command::{check, typed};
use crate::serve::view::{Health, Overview, state_of};
use crate::state::{Alert, TableState};
use maud::{Markup, html};

/// How many tables are named.
const WORST: usize = 20;
/// The most cells of the map of all tables.
const TABLE_CELLS: u64 = 600;
/// How many alerts are named.
const ALERTS: usize = 5;

/// The first page.
pub async fn home(visit: Visit) -> Answer {
    let overview = Overview::read(&visit.desk.service, &visit.state)?;
    let sign = match overview.health {
        Health::Identical => ("good", "="),
        Health::Different => ("bad", "≠"),
        Health::Unknown => ("warn", "?"),
    };
    let body = html! {
        h1.sentence.(sign.0) { span.sign aria-hidden="true" { (sign.1) } " " (overview.sentence) }
        (alerts(&visit, &overview.alerts))
        @if !overview.open_runs.is_empty() {
            section aria-labelledby="at-work" {
                h2 #at-work { "At work" }
                @for run in &overview.open_runs { (box_of(&visit, run)?) }
            }
        }
        (topology::nodes(&visit, overview.look.as_deref()))
        (tables(&visit, &overview.tables))
        section aria-labelledby="latest" {
            h2 #latest { "Latest runs" }
            @if overview.latest_runs.is_empty() {
                p.empty { "Nothing has run yet. A schedule begins its check when it is due, or begin one above." }
            } @else {
                (run_list(&visit, &overview.latest_runs, "table of the latest runs"))
                p { a href="/runs" { "All runs" } }
            }
        }
    };
    visit.page("/", "Overview", &body)
}

fn alerts(visit: &Visit, alerts: &[Alert]) -> Markup {
    if alerts.is_empty() {
        return html! {};
    }
    html! {
        section aria-labelledby="open" {
            h2 #open { (counted(alerts.len() as u64, "open alert", "open alerts")) }
            ul.plain {
                @for alert in alerts.iter().take(ALERTS) {
                    li {
                        (super::alerts::severity(alert.notice.severity)) " "
                        (alert.notice.annotations.get("summary").unwrap_or(&alert.notice.name)) " "
                        span.quiet { "since " (when(alert.notice.started_at, visit.now)) }
                        @if let Some(table) = alert.notice.labels.get("table") { ". " a href={ "/tables/" (part(table)) } { "See " (table) } }
                    }
                }
            }
            p { a href="/alerts" { "All alerts" } }
        }
    }
}

/// How much a table asks to be looked at: what differs first, then what is not known.
fn urgency(table: &TableState) -> (u8, u64) {
    let rank = match state_of(table) {
        "different" => 3,
        "unsettled" => 2,
        "skipped" => 1,
        _ => 0,
    };
    (rank, table.rows_different + table.rows_unsettled)
}

fn tables(visit: &Visit, all: &[TableState]) -> Markup {
    let many = all.len() > WORST;
    let mut shown: Vec<&TableState> = all.iter().collect();
    if many {
        shown.sort_by_key(|table| std::cmp::Reverse(urgency(table)));
        shown.retain(|table| urgency(table).0 > 0);
        shown.truncate(WORST);
    }
    let states: Vec<(char, u64)> = all.iter().map(|table| (state_letter(table), 1)).collect();
    let chunks: u64 = all.iter().flat_map(|table| &table.chunks).map(|(_, many)| many).sum();
    html! {
        section aria-labelledby="tables" {
            h2 #tables { "Tables" }
            @if all.is_empty() {
                p.empty { "Nothing has been compared yet. Begin the first check, or wait for a schedule." }
            } @else {
                p { (map::in_words(&states, "table", "tables")) ", in " (counted(chunks, "chunk", "chunks")) "." }
                (map::legend())
            }
            @if many {
                div.all-tables { (map::strip(&states, TABLE_CELLS, "table", "tables")) }
                p.quiet { "Each cell is a table, or several neighbours by name; the worst of them gives it its look." }
            }
            @if shown.is_empty() && many {
                p { "No table asks to be looked at." }
            } @else if !shown.is_empty() {
                @if many { h3 { "The worst of them" } }
                (table_list(visit, &shown))
            }
            @if !all.is_empty() {
                p { a href="/tables" { "All " (count(all.len() as u64)) " tables" } }
            }
            @if visit.operates() { (check_form(visit)) }
        }
    }
}

/// The letter by which a map shows a table.
pub fn state_letter(table: &TableState) -> char {
    match state_of(table) {
        "identical" => 'i',
        "different" => 'd',
        "skipped" => 's',
        _ => 'u',
    }
}

/// Tables with their maps, one line each.
pub fn table_list(visit: &Visit, tables: &[&TableState]) -> Markup {
    html! {
        div.wide tabindex="0" role="region" aria-label="table of tables" {
            table.stacked {
                thead {
                    tr {
                        th scope="col" { "Table" } th scope="col" { "State" } th scope="col" { "Chunks" }
                        th.number scope="col" { "Rows" } th.number scope="col" { "Differ" } th scope="col" { "Checked" }
                    }
                }
                tbody {
                    @for table in tables {
                        tr {
                            th scope="row" { (to_table(&table.name)) }
                            td { (word(state_of(table))) @if table.different_since.is_some() && table.verdict != "different" { " " span.quiet { "last check: " (table.verdict) } } }
                            td.map { (map::strip(&table.chunks, map::STRIP_CELLS, "chunk", "chunks")) }
                            td.number data-label="rows" { (count(table.rows)) }
                            td.number data-label="differ" { (count(table.rows_different)) @if table.rows_unsettled > 0 { " + " (count(table.rows_unsettled)) " unsettled" } }
                            td { (when(table.checked_at, visit.now)) }
                        }
                    }
                }
            }
        }
    }
}

/// The form that begins a check.
pub fn check_form(visit: &Visit) -> Markup {
    let wish = Wish {
        method: "POST",
        address: "/api/v1/runs".to_owned(),
        then: Then::Run,
        button: "Check now",
        command: format!("{} --tables {{tables}}", typed(&check(&visit.setup.path, &[]))),
        grave: false,
    };
    let pattern = Field {
        name: "tables",
        label: "Tables, as in shop.* (empty: all)",
        optional: true,
        ..Field::default()
    };
    form(&wish, &html! { (field(&pattern)) })
}

/// The form that checks one table.
pub fn check_one(visit: &Visit, name: &str) -> Markup {
    let wish = Wish {
        method: "POST",
        address: "/api/v1/runs".to_owned(),
        then: Then::Run,
        button: "Check this table now",
        command: typed(&check(&visit.setup.path, &[name.to_owned()])),
        grave: false,
    };
    form(&wish, &html! { input type="hidden" name="tables" value=(name); })
}
