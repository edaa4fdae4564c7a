//! What other machines ask: whether the service lives, whether it is ready, whether a node may be used, and metrics.
//!
//! A load balancer that asks for a node hears 200 only if the node was seen well a moment ago: not if nobody has looked.

use super::Desk;
use super::answer::{Answer, Wrong, document};
use super::api::Part;
use crate::clock;
use crate::serve::metrics;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use serde_json::json;
use std::sync::Arc;

/// How many looks may have been missed before a node is no longer vouched for.
const LOOKS_MISSED_MAX: u64 = 4;

/// Whether the service lives.
pub async fn live() -> Answer {
    Ok((StatusCode::OK, "ok\n").into_response())
}

/// Whether the service can do its work: its state can be read and the nodes were looked at.
pub async fn ready(State(desk): State<Arc<Desk>>) -> Answer {
    let looked = desk.service.looks.latest().is_some();
    let readable = desk.service.state().and_then(|state| state.open_runs()).is_ok();
    let ready = looked && readable && !desk.service.stopping();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    Ok(document(status, &json!({ "ready": ready, "nodes_looked_at": looked, "state_readable": readable })))
}

/// Whether a node answers and replicates.
pub async fn node(State(desk): State<Arc<Desk>>, Part(name): Part) -> Answer {
    let Some(look) = desk.service.looks.latest() else {
        return Err(Wrong::new(StatusCode::SERVICE_UNAVAILABLE, "nobody has looked at the nodes yet", ""));
    };
    let Some(node) = look.nodes.iter().find(|node| node.name == name) else {
        return Err(Wrong::absent("there is no node of this name"));
    };
    let interval = desk.service.setup().look_interval.as_secs().max(1);
    let fresh = clock::now_seconds().saturating_sub(look.at) <= interval * LOOKS_MISSED_MAX + 30;
    let well = fresh && node.is_well();
    let status = if well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    Ok(document(status, &json!({ "node": name, "well": well, "seen_at": clock::rfc3339(look.at) })))
}

/// Metrics, in Prometheus' text format.
pub async fn metrics(State(desk): State<Arc<Desk>>) -> Answer {
    let service = &desk.service;
    let setup = service.setup();
    let sinks: Vec<&str> = setup.sinks.iter().map(|sink| sink.name()).collect();
    let look = service.looks.latest();
    let text =
        metrics::text(&service.state()?, &setup.cluster, Some(service.started), look.as_deref(), &sinks)?;
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response())
}

/// The OpenAPI document.
pub async fn openapi() -> Answer {
    Ok(([(header::CONTENT_TYPE, "application/json")], super::openapi()).into_response())
}
