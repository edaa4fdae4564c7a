//! The pages for who is not known yet: logging in, and making the first account.
//!
//! The login stands at every address of a page that somebody unknown asks for, so that one is where one wanted to be afterwards.
//! Invariant: these pages say nothing of the cluster, not even its name, and no account's.

use super::super::Desk;
use super::super::answer::Answer;
use super::forms::{Field, Then, Wish, field, form};
use super::frame::document;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};
use serde::Deserialize;
use std::sync::Arc;

fn header() -> Markup {
    html! { header.top { span.brand { "evensum" } } }
}

/// Where somebody logs in.
pub fn login(desk: &Desk) -> Response {
    let nobody = desk.service.state().and_then(|state| state.accounts()).is_ok_and(|all| all.is_empty());
    let wish = Wish {
        method: "POST",
        address: "/api/v1/session".to_owned(),
        then: Then::Reload,
        button: "Log in",
        command: String::new(),
        grave: false,
    };
    let fields = html! {
        (field(&Field { name: "name", label: "Name", autocomplete: "username", ..Field::default() }))
        (field(&Field { name: "password", label: "Password", kind: "password", autocomplete: "current-password", ..Field::default() }))
    };
    let body = html! {
        div.door {
            h1 { "Log in" }
            @if nobody {
                p.note { "There is no account yet. The service says at its start where the first one is made." }
            } @else {
                (form(&wish, &fields))
            }
        }
    };
    (StatusCode::UNAUTHORIZED, document("Log in", &header(), &body, &html! {})).into_response()
}

/// With what somebody comes to make the first account.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Brought {
    token: String,
}

/// Where the first account is made.
pub async fn setup(State(desk): State<Arc<Desk>>, Query(brought): Query<Brought>) -> Answer {
    let done = !desk.service.state()?.accounts()?.is_empty();
    let wish = Wish {
        method: "POST",
        address: "/api/v1/setup".to_owned(),
        then: Then::Home,
        button: "Make the first account",
        command: String::new(),
        grave: false,
    };
    let fields = html! {
        (field(&Field { name: "token", label: "Token of the first start, from the log of the service", kind: "password", value: &brought.token, ..Field::default() }))
        (field(&Field { name: "name", label: "Name", autocomplete: "username", ..Field::default() }))
        (field(&Field { name: "password", label: "Password, at least 10 characters", kind: "password", autocomplete: "new-password", ..Field::default() }))
    };
    let body = html! {
        div.door {
            h1 { "The first account" }
            @if done {
                p { "It was made already. " a href="/" { "Log in" } }
            } @else {
                p { "It may do everything, also make other accounts." }
                (form(&wish, &fields))
            }
        }
    };
    Ok(document("The first account", &header(), &body, &html! {}).into_response())
}
