//! Answers: documents, and failures with the status that fits them.
//!
//! Invariant: what went wrong inside is told with its code and its words and never with a password: failures hold none.

use crate::error::{Failure, Outcome};
use crate::render::json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// A refusal or a failure.
#[derive(Debug)]
pub struct Wrong {
    status: StatusCode,
    document: Value,
    /// After how many seconds it may be tried again.
    after: Option<u64>,
}

/// What a handler answers.
pub type Answer = Result<Response, Wrong>;

impl Wrong {
    /// A refusal in words.
    pub fn new(status: StatusCode, what: &str, hint: &str) -> Wrong {
        let code = format!("E{}", status.as_u16());
        let hint = Some(hint).filter(|hint| !hint.is_empty());
        let document = json!({ "schema_version": 1, "error": { "code": code, "what": what, "hint": hint } });
        Wrong { status, document, after: None }
    }

    /// The same, with when to come back.
    pub fn later(status: StatusCode, what: &str, seconds: u64) -> Wrong {
        Wrong { after: Some(seconds), ..Wrong::new(status, what, "try again later") }
    }

    /// There is no such thing.
    pub fn absent(what: &str) -> Wrong {
        Wrong::new(StatusCode::NOT_FOUND, what, "")
    }

    /// What was sent cannot be meant.
    pub fn unusable(what: &str) -> Wrong {
        Wrong::new(StatusCode::UNPROCESSABLE_ENTITY, what, "see /api/v1/openapi.json")
    }

    /// Its status.
    pub fn status(&self) -> StatusCode {
        self.status
    }
}

impl From<Failure> for Wrong {
    fn from(failure: Failure) -> Wrong {
        let status = match failure.outcome {
            Outcome::Usage if failure.code == "E0301" => StatusCode::INTERNAL_SERVER_ERROR,
            Outcome::Usage => StatusCode::UNPROCESSABLE_ENTITY,
            Outcome::Running | Outcome::Unsafe => StatusCode::CONFLICT,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Wrong { status, document: json::failure(&failure), after: None }
    }
}

impl IntoResponse for Wrong {
    fn into_response(self) -> Response {
        let mut response = document(self.status, &self.document);
        if let Some(seconds) = self.after {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

/// A JSON document.
pub fn document(status: StatusCode, document: &Value) -> Response {
    let kind = [(header::CONTENT_TYPE, "application/json")];
    (status, kind, document.to_string()).into_response()
}

/// A JSON document that is there, with the version of what is answered.
pub fn here(mut fields: Value) -> Answer {
    if let Value::Object(fields) = &mut fields {
        fields.insert("schema_version".to_owned(), json!(1));
    }
    Ok(document(StatusCode::OK, &fields))
}

/// Something was asked for, and will be done: where it is to be seen.
pub fn accepted(run: &str) -> Answer {
    let location = format!("/api/v1/runs/{run}");
    let mut response = document(StatusCode::ACCEPTED, &json!({ "schema_version": 1, "run": run }));
    if let Ok(value) = location.parse() {
        response.headers_mut().insert(header::LOCATION, value);
    }
    Ok(response)
}
