//! `evensum alert`: what is wrong, who knows of it, and whether who should be told can be.

use super::place;
use crate::alerts::due::MUTE_MAX;
use crate::cli::{AlertCommand, PlaceArgs};
use crate::clock::{self, rfc3339};
use crate::error::{Failure, Outcome};
use crate::output;
use crate::render;
use crate::serve::{teller, view};
use serde_json::{Value, json};
use std::time::Duration;

/// Runs the command.
pub async fn run(command: AlertCommand) -> Result<Outcome, Failure> {
    match command {
        AlertCommand::List { limit, place } => list(limit, &place),
        AlertCommand::Test(args) => test(&args).await,
        AlertCommand::Acknowledge { id, why, place } => acknowledge(id, &why, &place),
        AlertCommand::Mute { pattern, reason, lasts, place } => mute(&pattern, &reason, lasts, &place),
        AlertCommand::Unmute { id, place } => unmute(id, &place),
    }
}

fn list(limit: u32, args: &PlaceArgs) -> Result<Outcome, Failure> {
    let state = place::open(args)?.state;
    let alerts = state.latest_alerts(limit)?;
    let open = alerts.iter().any(|alert| alert.notice.firing);
    if args.json {
        let alerts: Vec<Value> = alerts.iter().map(view::alert).collect();
        output::print(&render::json::text(&json!({ "schema_version": 1, "alerts": alerts })))?;
    } else if alerts.is_empty() {
        output::note("evensum: there is no alert, and there was none");
    } else {
        let mut rows =
            vec![["alert", "what", "since", "until", "known to", "summary"].map(str::to_owned).to_vec()];
        rows.extend(alerts.into_iter().map(|alert| {
            let notice = alert.notice;
            let until = notice.ended_at.map_or("open".to_owned(), rfc3339);
            let summary = notice.annotations.get("summary").cloned().unwrap_or_default();
            let known = notice.acknowledged.unwrap_or_default();
            vec![alert.id.to_string(), notice.name, rfc3339(notice.started_at), until, known, summary]
        }));
        output::print(&render::text::aligned(&rows, ""))?;
    }
    Ok(if open { Outcome::Different } else { Outcome::Identical })
}

/// Tells every receiver a test and its end; what came of each.
async fn test(args: &PlaceArgs) -> Result<Outcome, Failure> {
    let place = place::open(args)?;
    let setup = place.setup()?;
    if setup.sinks.is_empty() {
        return Err(Failure::usage(
            "the configuration has no [[alert]]: nobody would be told",
            "add one, and try again",
        ));
    }
    let (mut results, mut well) = (Vec::new(), true);
    for (sink, error) in teller::test(setup).await {
        well &= error.is_none();
        if !args.json {
            let word = error
                .as_ref()
                .map_or("took a test and its end".to_owned(), |error| format!("failed: {error}"));
            output::print(&format!("{} ({}): {word}\n", sink.name(), sink.kind()))?;
        }
        results.push(
            json!({ "sink": sink.name(), "type": sink.kind(), "sent": error.is_none(), "error": error }),
        );
    }
    if args.json {
        output::print(&render::json::text(&json!({ "schema_version": 1, "sinks": results })))?;
    }
    Ok(if well { Outcome::Identical } else { Outcome::Incomplete })
}

fn said(args: &PlaceArgs, document: &Value, text: &str) -> Result<Outcome, Failure> {
    if args.json {
        output::print(&render::json::text(document))?;
    } else {
        output::print(&format!("{text}\n"))?;
    }
    Ok(Outcome::Identical)
}

fn acknowledge(id: i64, why: &str, args: &PlaceArgs) -> Result<Outcome, Failure> {
    let (state, who) = (place::open(args)?.state, place::who());
    if state.alert(id)?.is_none_or(|alert| !alert.notice.firing) {
        return Err(Failure::usage(
            format!("there is no open alert {id}"),
            "evensum alert list says which there are",
        ));
    }
    state.audit(&who, "acknowledge", &format!("alert {id}"), why)?;
    state.acknowledge(id, &who, why)?;
    let document = json!({ "schema_version": 1, "alert": id, "acknowledged_by": who });
    said(
        args,
        &document,
        &format!("alert {id} is known to {who}; its receivers hear of it again when it has ended"),
    )
}

fn mute(pattern: &str, reason: &str, lasts: Duration, args: &PlaceArgs) -> Result<Outcome, Failure> {
    if lasts.is_zero() || lasts > MUTE_MAX || reason.trim().is_empty() || pattern.trim().is_empty() {
        let what = "a mute has a pattern and a reason, and lasts at most 30 days";
        return Err(Failure::usage(
            what,
            "for example evensum alert mute 'shop.*' --for 4h --reason 'schema change'",
        ));
    }
    let (state, who) = (place::open(args)?.state, place::who());
    let expires_at = clock::now_seconds() + lasts.as_secs();
    let until = rfc3339(expires_at);
    state.audit(&who, "mute", pattern, &format!("until {until}: {reason}"))?;
    let id = state.mute(pattern, reason, &who, expires_at)?;
    let document = json!({ "schema_version": 1, "id": id, "expires_at": until });
    said(args, &document, &format!("mute {id}: alerts that match {pattern} are not told until {until}"))
}

fn unmute(id: i64, args: &PlaceArgs) -> Result<Outcome, Failure> {
    let (state, who) = (place::open(args)?.state, place::who());
    if !state.mutes(clock::now_seconds())?.iter().any(|mute| mute.id == id) {
        return Err(Failure::usage(format!("there is no mute {id} that holds"), ""));
    }
    state.audit(&who, "unmute", &format!("mute {id}"), "")?;
    state.unmute(id)?;
    said(args, &json!({ "schema_version": 1, "mute": id, "ended": true }), &format!("mute {id} has ended"))
}
