//! Alerts: which are open, who knows of them, and what is muted.

use super::super::Desk;
use super::super::answer::{Answer, Wrong, here};
use super::super::guard::{Caller, note};
use super::{Asked, Fields, Part, limit, line, text, time};
use crate::alerts::due::MUTE_MAX;
use crate::clock;
use crate::serve::{teller, view};
use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// The longest reason, in characters.
const REASON_MAX: usize = 500;

/// How many alerts are listed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlertsQuery {
    limit: Option<u32>,
}

/// The alerts that are open, and the latest that have ended.
pub async fn list(State(desk): State<Arc<Desk>>, Asked(query): Asked<AlertsQuery>) -> Answer {
    let alerts = desk.service.state()?.latest_alerts(limit(query.limit))?;
    here(json!({ "alerts": alerts.iter().map(view::alert).collect::<Vec<_>>() }))
}

/// What somebody says who knows of an alert.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AcknowledgeFields {
    why: String,
}

/// Notes that somebody knows of an alert.
pub async fn acknowledge(
    State(desk): State<Arc<Desk>>,
    Extension(caller): Extension<Caller>,
    Part(id): Part,
    Fields(fields): Fields<AcknowledgeFields>,
) -> Answer {
    let absent = || Wrong::absent("there is no open alert of this number");
    let id: i64 = id.parse().map_err(|_| absent())?;
    let why = line(&fields.why, "why", REASON_MAX)?;
    let state = desk.service.state()?;
    if state.alert(id)?.is_none_or(|alert| !alert.notice.firing) {
        return Err(absent());
    }
    note(&desk, &caller.name, "acknowledge", &format!("alert {id}"), &why)?;
    state.acknowledge(id, &caller.name, &why)?;
    here(json!({ "alert": id, "acknowledged_by": caller.name }))
}

/// Tells every receiver a test, and says which took it.
pub async fn test(State(desk): State<Arc<Desk>>, Extension(caller): Extension<Caller>) -> Answer {
    note(&desk, &caller.name, "test", "alerts", "")?;
    let told = teller::test(&desk.service.setup()).await;
    let results = told.iter().map(|(sink, error)| {
        json!({ "sink": sink.name(), "type": sink.kind(), "sent": error.is_none(), "error": error })
    });
    let results: Vec<Value> = results.collect();
    here(json!({ "sinks": results }))
}

/// The mutes that hold.
pub async fn mutes(State(desk): State<Arc<Desk>>) -> Answer {
    let mutes = desk.service.state()?.mutes(clock::now_seconds())?;
    let mutes = mutes.iter().map(|mute| {
        json!({
            "id": mute.id, "pattern": mute.pattern, "reason": mute.reason, "owner": mute.owner,
            "created_at": clock::rfc3339(mute.created_at), "expires_at": clock::rfc3339(mute.expires_at),
        })
    });
    here(json!({ "mutes": mutes.collect::<Vec<_>>() }))
}

/// What is to be muted.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MuteFields {
    pattern: String,
    reason: String,
    lasts: String,
}

/// Mutes alerts for a while.
pub async fn mute(
    State(desk): State<Arc<Desk>>,
    Extension(caller): Extension<Caller>,
    Fields(fields): Fields<MuteFields>,
) -> Answer {
    let pattern = text(&fields.pattern, "pattern", 200)?;
    let reason = text(&fields.reason, "reason", REASON_MAX)?;
    let lasts = time(&fields.lasts, MUTE_MAX)?;
    let expires_at = clock::now_seconds() + lasts.as_secs();
    note(&desk, &caller.name, "mute", &pattern, &format!("until {}: {reason}", clock::rfc3339(expires_at)))?;
    let id = desk.service.state()?.mute(&pattern, &reason, &caller.name, expires_at)?;
    let document = json!({ "schema_version": 1, "id": id, "expires_at": clock::rfc3339(expires_at) });
    Ok(super::super::answer::document(StatusCode::CREATED, &document))
}

/// Ends a mute.
pub async fn unmute(
    State(desk): State<Arc<Desk>>,
    Extension(caller): Extension<Caller>,
    Part(id): Part,
) -> Answer {
    let absent = || Wrong::absent("there is no mute of this number that holds");
    let id: i64 = id.parse().map_err(|_| absent())?;
    let state = desk.service.state()?;
    if !state.mutes(clock::now_seconds())?.iter().any(|mute| mute.id == id) {
        return Err(absent());
    }
    note(&desk, &caller.name, "unmute", &format!("mute {id}"), "")?;
    state.unmute(id)?;
    here(json!({ "mute": id, "ended": true }))
}
