//! The pages, rendered here: no build step, no file from elsewhere, and readable without a script.

use super::Desk;
use super::answer::{Answer, Wrong};
use super::guard::Caller;
use crate::serve::view::Overview;
use axum::Extension;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use maud::{DOCTYPE, Markup, html};
use std::sync::Arc;

fn frame(title: &str, body: &Markup) -> Html<String> {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head { meta charset="utf-8"; title { (title) } link rel="stylesheet" href="/assets/page.css"; script src="/assets/page.js" defer {} }
            body { main { (body) } }
        }
    };
    Html(page.into_string())
}

/// The first page.
pub async fn home(State(desk): State<Arc<Desk>>, Extension(_caller): Extension<Caller>) -> Answer {
    let overview = Overview::read(&desk.service, &desk.service.state()?)?;
    let body = html! {
        h1 { (overview.sentence) }
        ul { @for node in overview.look.iter().flat_map(|look| &look.nodes) { li { (node.name) } } }
        ul { @for run in &overview.latest_runs { li { (run.run) " " (run.word()) } } }
    };
    Ok(frame("evensum", &body).into_response())
}

/// All tables.
pub async fn tables(State(_desk): State<Arc<Desk>>) -> Answer {
    Ok(frame("tables", &html! {}).into_response())
}

/// One table.
pub async fn table(State(_desk): State<Arc<Desk>>, Path(name): Path<String>) -> Answer {
    Ok(frame(&name, &html! {}).into_response())
}

/// Runs.
pub async fn runs(State(_desk): State<Arc<Desk>>) -> Answer {
    Ok(frame("runs", &html! {}).into_response())
}

/// One run.
pub async fn run(State(_desk): State<Arc<Desk>>, Path(run): Path<String>) -> Answer {
    Ok(frame(&run, &html! {}).into_response())
}

/// Schedules.
pub async fn schedules(State(_desk): State<Arc<Desk>>) -> Answer {
    Ok(frame("schedules", &html! {}).into_response())
}

/// Alerts.
pub async fn alerts(State(_desk): State<Arc<Desk>>) -> Answer {
    Ok(frame("alerts", &html! {}).into_response())
}

/// One's own account.
pub async fn account(State(_desk): State<Arc<Desk>>) -> Answer {
    Ok(frame("account", &html! {}).into_response())
}

/// The audit log.
pub async fn audit(State(_desk): State<Arc<Desk>>) -> Answer {
    Ok(frame("audit", &html! {}).into_response())
}

/// Where the first account is made.
pub async fn setup(State(_desk): State<Arc<Desk>>) -> Answer {
    Ok(frame("setup", &html! {}).into_response())
}

/// Where somebody logs in.
pub fn login(_desk: &Desk) -> Response {
    (StatusCode::UNAUTHORIZED, frame("log in", &html! {})).into_response()
}

/// A file of the page.
pub async fn asset(Path(file): Path<String>) -> Answer {
    let (kind, text) = match file.as_str() {
        "page.css" => ("text/css", include_str!("assets/page.css")),
        "page.js" => ("text/javascript", include_str!("assets/page.js")),
        _ => return Err(Wrong::absent("there is no such file")),
    };
    Ok(([(header::CONTENT_TYPE, kind)], text).into_response())
}
