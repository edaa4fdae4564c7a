//! How the cluster stands: the sentence, nodes, tables.

use super::super::Desk;
use super::super::answer::{Answer, Wrong, here};
use super::{Asked, Part, limit};
use crate::serve::view::{self, Overview};
use axum::extract::State;
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;

/// The most rows of a table that differ that are listed.
const ROWS_MAX: usize = 1_000;

/// The first sentence, and what stands behind it.
pub async fn status(State(desk): State<Arc<Desk>>) -> Answer {
    let overview = Overview::read(&desk.service, &desk.service.state()?)?;
    let count = |verdict: &str| overview.tables.iter().filter(|table| table.verdict == verdict).count();
    here(json!({
        "cluster": overview.cluster,
        "state": overview.health.word(),
        "sentence": overview.sentence,
        "tables": {
            "known": overview.tables.len(),
            "identical": count("identical"),
            "different": overview.tables.iter().filter(|table| table.different_since.is_some()).count(),
            "unsettled": count("unsettled"),
            "skipped": count("skipped"),
        },
        "alerts": overview.alerts.len(),
        "runs": overview.open_runs.iter().map(view::run).collect::<Vec<_>>(),
    }))
}

/// The nodes and their links.
pub async fn nodes(State(desk): State<Arc<Desk>>) -> Answer {
    here(view::look(desk.service.looks.latest().as_deref()))
}

/// Which tables are listed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TablesQuery {
    state: Option<String>,
    limit: Option<u32>,
    offset: Option<u32>,
}

/// The tables.
pub async fn tables(State(desk): State<Arc<Desk>>, Asked(query): Asked<TablesQuery>) -> Answer {
    let tables = desk.service.state()?.tables(&desk.service.setup().cluster)?;
    let mut all: Vec<_> = tables.iter().map(view::table).collect();
    if let Some(state) = &query.state {
        all.retain(|table| table["state"] == state.as_str());
    }
    let (known, limit) = (all.len(), limit(query.limit) as usize);
    let some: Vec<_> = all.into_iter().skip(query.offset.unwrap_or(0) as usize).take(limit).collect();
    here(json!({ "known": known, "tables": some }))
}

/// One table, with its chunks and the rows that differ.
pub async fn table(State(desk): State<Arc<Desk>>, Part(name): Part) -> Answer {
    let state = desk.service.state()?;
    let known = state.table(&desk.service.setup().cluster, &name)?;
    let Some(table) = known else { return Err(Wrong::absent("there is no table of this name")) };
    let mut document = view::table(&table);
    let chunks: Vec<_> = table.chunks.iter().map(|(kind, count)| json!([kind, count])).collect();
    let rows = view::divergences(&state, &table, ROWS_MAX)?;
    document["chunk_runs"] = json!(chunks);
    document["divergences"] = json!(rows);
    here(document)
}
