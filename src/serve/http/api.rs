//! What the API answers, by subject. Each function is one endpoint; who may call it, the guard has seen to.

pub mod accounts;
pub mod alerts;
pub mod runs;
pub mod schedules;
pub mod state;

use super::answer::Wrong;
use axum::body::Bytes;
use axum::extract::FromRequest;
use axum::extract::Request;
use database::Secret;
use serde::Deserialize;
use serde::de::DeserializeOwned;

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

/// What is wrong with a body, without a word of it: it may hold a password.
fn kind(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let harmless = ["missing field", "unknown field", "EOF while", "trailing characters", "expected value"];
    match harmless.iter().any(|start| text.starts_with(start)) {
        true => text.split(" at line ").next().unwrap_or_default().to_owned(),
        false => "a value of another kind than it should be".to_owned(),
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

/// A text that somebody must say, of at most so many characters.
pub fn text(said: &str, what: &str, most: usize) -> Result<String, Wrong> {
    let text = said.trim();
    match text.chars().count() {
        0 => Err(Wrong::unusable(&format!("{what} is missing"))),
        count if count > most => Err(Wrong::unusable(&format!("{what} is longer than {most} characters"))),
        _ => Ok(text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()),
    }
}
