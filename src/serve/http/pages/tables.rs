//! All tables, a page at a time; and one table with its map and the rows that differ.

use super::super::answer::Answer;
use super::divergences;
use super::forms::command_of;
use super::frame::{Visit, count, counted, to_run, when, word};
use super::home::{check_form, check_one, table_list};
use super::map;
use super::{commands, run};
use crate::serve::view::{self, state_of};
use crate::state::TableState;
use axum::extract::{Path, Query};
use maud::{Markup, html};
use serde::Deserialize;

/// How many tables stand on a page.
const PAGE: usize = 100;
/// The states by which tables are found.
const STATES: [&str; 4] = ["different", "unsettled", "skipped", "identical"];

/// Which tables are wanted.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Wanted {
    q: String,
    state: String,
    page: String,
}

impl Wanted {
    fn fits(&self, table: &TableState) -> bool {
        let state = self.state.is_empty() || state_of(table) == self.state;
        state && table.name.to_lowercase().contains(&self.q.trim().to_lowercase())
    }

    fn address(&self, page: usize) -> String {
        use super::frame::part;
        format!("/tables?q={}&state={}&page={page}", part(&self.q), part(&self.state))
    }
}

/// All tables.
pub async fn tables(visit: Visit, Query(wanted): Query<Wanted>) -> Answer {
    let all = visit.state.tables(&visit.setup.cluster)?;
    let found: Vec<&TableState> = all.iter().filter(|table| wanted.fits(table)).collect();
    let pages = found.len().div_ceil(PAGE).max(1);
    let page = wanted.page.parse().unwrap_or(1).clamp(1, pages);
    let shown: Vec<&TableState> = found.iter().skip((page - 1) * PAGE).take(PAGE).copied().collect();
    let body = html! {
        h1 { "Tables" }
        form.search method="get" action="/tables" role="search" {
            label { span { "Name contains" } input type="search" name="q" value=(wanted.q) autocomplete="off"; }
            label {
                span { "State" }
                select name="state" {
                    option value="" { "any" }
                    @for state in STATES { option value=(state) selected[state == wanted.state] { (state) } }
                }
            }
            button type="submit" { "Find" }
        }
        p { (counted(found.len() as u64, "table", "tables")) " of " (count(all.len() as u64)) "." }
        @if all.is_empty() {
            p.empty { "Nothing has been compared yet. Begin the first check, or wait for a schedule." }
        } @else if shown.is_empty() {
            p.empty { "No table is like that. " a href="/tables" { "Show all" } }
        } @else {
            (map::legend())
            (table_list(&visit, &shown))
        }
        @if pages > 1 {
            nav.pages aria-label="pages of tables" {
                @if page > 1 { a rel="prev" href=(wanted.address(page - 1)) { "Previous" } }
                span { "page " (page) " of " (pages) }
                @if page < pages { a rel="next" href=(wanted.address(page + 1)) { "Next" } }
            }
        }
        @if visit.operates() { (check_form(&visit)) }
    };
    visit.page("/tables", "Tables", &body)
}

/// One table.
pub async fn table(visit: Visit, Path(name): Path<String>) -> Answer {
    let Some(table) = visit.state.table(&visit.setup.cluster, &name)? else {
        let hint =
            html! { "It was never compared, or it is no longer there. " a href="/tables" { "All tables" } };
        return visit.absent("/tables", "There is no such table", &hint);
    };
    let found = view::divergences(&visit.state, &table, divergences::SHOWN + 1)?;
    let repairable = visit.operates() && table.rows_different > 0;
    let body = html! {
        h1 { (table.name) " " (word(state_of(&table))) }
        (facts(&visit, &table))
        section aria-labelledby="chunks" {
            h2 #chunks { "Chunks, in the order of the key" }
            (map::legend())
            (map::field(&table.chunks))
        }
        section aria-labelledby="rows" {
            h2 #rows { "Rows that differ" }
            @if found.is_empty() {
                p.empty {
                    @if table.rows_different > 0 { "Which rows they are is no longer kept. Check the table again to see them." }
                    @else { "The latest check found none." }
                }
            } @else {
                (divergences::all(&visit, &found, table.rows_different, &table.run))
            }
        }
        @if visit.operates() {
            section aria-labelledby="do" {
                h2 #do { "What can be done" }
                (check_one(&visit, &table.name))
                @if repairable { (run::repair_form(&visit, &table.run)) }
            }
        }
    };
    visit.page("/tables", &table.name, &body)
}

fn facts(visit: &Visit, table: &TableState) -> Markup {
    let chunks: u64 = table.chunks.iter().map(|(_, many)| many).sum();
    html! {
        dl.facts {
            div { dt { "Rows" } dd { (count(table.rows)) } }
            div { dt { "Rows that differ" } dd { (count(table.rows_different))
                @if table.rows_different > 0 {
                    span.quiet { " (" (table.kinds.changed) " changed, " (table.kinds.missing) " missing elsewhere, " (table.kinds.extra) " missing on the first node)" }
                } } }
            div { dt { "Rows unsettled" } dd { (count(table.rows_unsettled)) } }
            div { dt { "Chunks" } dd { (count(chunks)) } }
            div { dt { "Checked" } dd { (when(table.checked_at, visit.now)) " by " (to_run(&table.run)) } }
            @if let Some(at) = table.different_since { div { dt { "Known to differ since" } dd { (when(at, visit.now)) } } }
            @if let Some(at) = table.clean_at { div { dt { "Last found identical" } dd { (when(at, visit.now)) } } }
            @if let Some(reason) = &table.reason { div { dt { "Why" } dd { (reason) } } }
        }
        @if table.rows_different > 0 { (command_of("All that was found", &commands::run_show(visit, &table.run))) }
    }
}
