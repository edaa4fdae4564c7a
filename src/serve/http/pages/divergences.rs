//! Rows on which nodes disagree: the key, and every version beside the others, with the nodes that hold it.
//!
//! A column that differs is marked by a sign, by colour and in words; a version that is absent is said so. Of wide tables the columns
//! that agree are folded away. Bound: [`SHOWN`] rows; the rest is in the report.

use super::commands;
use super::forms::command_of;
use super::frame::{Visit, count, counted};
use maud::{Markup, html};
use serde_json::Value;

/// The most rows that are shown.
pub const SHOWN: usize = 100;
/// So many columns are all shown; of wider tables only those that differ, and the key.
const COLUMNS: usize = 12;
/// The most characters of a value.
const VALUE_CHARACTERS: usize = 400;

/// The first rows of a list; `known` is how many there are.
pub fn all(visit: &Visit, rows: &[Value], known: u64, run: &str) -> Markup {
    let shown = rows.len().min(SHOWN) as u64;
    html! {
        @for row in rows.iter().take(SHOWN) { (one(row)) }
        @if known > shown {
            p { "Shown are " (shown) " of " (counted(known, "row", "rows")) "." }
            (command_of("All that the run listed", &commands::run_show(visit, run)))
        }
    }
}

/// The names of a list.
fn names(value: &Value) -> Vec<&str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// `id = 7, part = a`.
pub fn key_of(key: &Value) -> Markup {
    html! {
        @for (n, (column, value)) in key.as_object().into_iter().flatten().enumerate() {
            @if n > 0 { ", " }
            code { (column) " = " (text(value)) }
        }
    }
}

fn text(value: &Value) -> String {
    let whole = match value {
        Value::Null => return "NULL".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    if whole.chars().count() <= VALUE_CHARACTERS {
        return whole;
    }
    let start: String = whole.chars().take(VALUE_CHARACTERS).collect();
    format!("{start}… ({} characters)", count(whole.chars().count() as u64))
}

/// One row.
pub fn one(row: &Value) -> Markup {
    let versions: Vec<&Value> = row["versions"].as_array().into_iter().flatten().collect();
    let differing = names(&row["columns"]);
    let first = versions.iter().find_map(|version| version["row"].as_object());
    let columns: Vec<&String> = first.into_iter().flat_map(|row| row.keys()).collect();
    let key: Vec<&String> = row["key"].as_object().into_iter().flat_map(|key| key.keys()).collect();
    let absent = versions.iter().filter(|version| version["row"].is_null()).count();
    let (shown, folded): (Vec<&String>, Vec<&String>) = columns.iter().partition(|column| {
        columns.len() <= COLUMNS || differing.contains(&column.as_str()) || key.contains(column)
    });
    let part = |field: &str| row[field].as_str().unwrap_or_default();
    let values = row["key"].as_object().into_iter().flatten();
    let values: Vec<String> = values.map(|(column, value)| format!("{column} {}", text(value))).collect();
    let label = format!("versions of {} {}", part("table"), values.join(" "));
    html! {
        article.divergence {
            h3 { span.quiet { (part("database")) "." (part("table")) } " " (key_of(&row["key"])) }
            p {
                @if !differing.is_empty() {
                    (counted(differing.len() as u64, "column differs", "columns differ")) ": "
                    @for (n, column) in differing.iter().enumerate() { @if n > 0 { ", " } strong { (column) } }
                    "."
                }
                @if absent > 0 { " Not every node has this row." }
            }
            (versions_of(&label, &shown, &versions, &differing))
            @if !folded.is_empty() {
                details {
                    summary { (counted(folded.len() as u64, "column", "columns")) " that agree" }
                    (versions_of(&format!("{label}, columns that agree"), &folded, &versions, &differing))
                }
            }
        }
    }
}

fn versions_of(label: &str, columns: &[&String], versions: &[&Value], differing: &[&str]) -> Markup {
    html! {
        div.wide.fit tabindex="0" role="region" aria-label=(label) {
            table.versions {
                thead {
                    tr {
                        th scope="col" { "Column" }
                        @for version in versions {
                            th scope="col" { "on " (names(&version["nodes"]).join(", ")) }
                        }
                    }
                }
                tbody {
                    @for column in columns {
                        @let differs = differing.contains(&column.as_str());
                        tr.differs[differs] {
                            th scope="row" {
                                @if differs { span.sign aria-hidden="true" { "≠ " } span.unseen { "differs: " } }
                                (column)
                            }
                            @for version in versions { (cell(&version["row"], column, differs)) }
                        }
                    }
                    @if versions.iter().any(|version| version["row"].is_null()) {
                        tr.differs {
                            th scope="row" { span.sign aria-hidden="true" { "≠ " } "the row itself" }
                            @for version in versions {
                                td { @if version["row"].is_null() { mark { "no such row" } } @else { "present" } }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn cell(row: &Value, column: &str, differs: bool) -> Markup {
    html! {
        @if row.is_null() {
            td.gone { span aria-hidden="true" { "—" } span.unseen { "no such row" } }
        } @else {
            @let value = &row[column];
            td {
                @if differs { mark { (text(value)) } }
                @else if value.is_null() { span.quiet { "NULL" } }
                @else { (text(value)) }
            }
        }
    }
}
