//! What the API answers, by subject. Each function is one endpoint; who may call it, the guard has seen to.

pub mod accounts;
pub mod alerts;
pub mod runs;
pub mod schedules;
pub mod state;

use super::answer::Wrong;
use crate::cli::span;
use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use database::Secret;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::time::Duration;

/// How many things are listed unless said otherwise, and the most.
pub const LISTED: u32 = 100;
pub const LISTED_MAX: u32 = 1_000;

/// The fields of a body; an empty body is an empty document.
pub struct Fields<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Fields<T> {
    type Rejection = Wrong;

    async fn from_request(request: Request, state: &S) -> Result<Fields<T>, Wrong> {
        let bytes = Bytes::from_request(request, state).await.map_err(|_| {
            Wrong::new(axum::http::StatusCode::PAYLOAD_TOO_LARGE, "the body is too long or was cut off", "")
        })?;
        let text = if bytes.is_empty() { &b"{}"[..] } else { &bytes };
        // the parser's words name fields, lines and columns, and no value but of kinds
        serde_json::from_slice(text).map(Fields).map_err(|error| {
            Wrong::unusable(&format!(
                "the body is not as it should be: line {}, column {}, {}",
                error.line(),
                error.column(),
                kind(&error)
            ))
        })
    }
}

/// What is wrong with a body, without a word of it: it may hold a password, and where quotes are lost even as a name.
fn kind(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let harmless = ["missing field", "EOF while", "trailing characters", "expected value"];
    let text = match text.rsplit_once("`, expected ") {
        Some((_, known)) if text.starts_with("unknown field") => {
            format!("a field that is not known; there is {known}")
        }
        _ if harmless.iter().any(|start| text.starts_with(start)) => text,
        _ => "a value of another kind than it should be".to_owned(),
    };
    text.split(" at line ").next().unwrap_or_default().to_owned()
}

/// The part of a path that stands for a thing.
pub struct Part(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Part {
    type Rejection = Wrong;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Part, Wrong> {
        let part = Path::<String>::from_request_parts(parts, state).await;
        part.map(|Path(part)| Part(part)).map_err(|_| Wrong::unreadable("the address is not in UTF-8"))
    }
}

/// What stands behind the `?` of an address.
pub struct Asked<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = Wrong;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Asked<T>, Wrong> {
        let asked = Query::<T>::from_request_parts(parts, state).await;
        asked.map(|Query(asked)| Asked(asked)).map_err(|_| {
            Wrong::unreadable(
                "what stands behind the ? is not known, stands there twice, or is of another kind",
            )
        })
    }
}

/// Takes a text of a body as a secret at once.
pub fn secret<'de, D: serde::Deserializer<'de>>(text: D) -> Result<Secret, D::Error> {
    String::deserialize(text).map(Secret::from)
}

/// `?limit=…` as it is meant.
pub fn limit(said: Option<u32>) -> u32 {
    said.unwrap_or(LISTED).clamp(1, LISTED_MAX)
}

/// A time that somebody says, of more than nothing and at most so much.
pub fn time(said: &str, most: Duration) -> Result<Duration, Wrong> {
    let time = span(said.trim()).map_err(|why| Wrong::unusable(&format!("lasts: {why}")))?;
    if time < Duration::from_secs(1) || time > most {
        let days = most.as_secs() / 86_400;
        return Err(Wrong::unusable(&format!("lasts: it is between a second and {days} days")));
    }
    Ok(time)
}

/// A text that somebody must say, of at most so many characters.
pub fn text(said: &str, what: &str, most: usize) -> Result<String, Wrong> {
    let text = line(said, what, most)?;
    if text.is_empty() { Err(Wrong::unusable(&format!("{what} is missing"))) } else { Ok(text) }
}

/// The same, but it may be left out. It becomes one line, in which nothing moves a cursor: it is shown in logs and terminals.
pub fn line(said: &str, what: &str, most: usize) -> Result<String, Wrong> {
    if said.chars().count() > most {
        return Err(Wrong::unusable(&format!("{what} is longer than {most} characters")));
    }
    let text: String = said.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    Ok(text.trim().to_owned())
}
