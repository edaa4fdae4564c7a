//! Answers: documents, and failures with the status that fits them.
//!
//! Invariant: what went wrong inside is told with its code alone; its words go to the log of the service. Neither holds a password:
//! failures hold none.

use crate::error::{Failure, Outcome};
use crate::output;
use crate::render::json;
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// A refusal or a failure.
#[derive(Debug)]
pub struct Wrong {
    status: StatusCode,
    document: Value,
    /// A header that belongs to it: when it may be tried again, or what may be tried instead.
    more: Option<Box<(HeaderName, String)>>,
}

/// What a handler answers.
pub type Answer = Result<Response, Wrong>;

impl Wrong {
    /// A refusal in words.
    pub fn new(status: StatusCode, what: &str, hint: &str) -> Wrong {
        let code = format!("E{}", status.as_u16());
        let hint = Some(hint).filter(|hint| !hint.is_empty());
        let document = json!({ "schema_version": 1, "error": { "code": code, "what": what, "hint": hint } });
        Wrong { status, document, more: None }
    }

    /// The same, with when to come back.
    pub fn later(status: StatusCode, what: &str, seconds: u64) -> Wrong {
        let more = Some(Box::new((header::RETRY_AFTER, seconds.to_string())));
        Wrong { more, ..Wrong::new(status, what, "try again later") }
    }

    /// It is there for these methods only.
    pub fn other_method(methods: &[&str]) -> Wrong {
        let mut methods = methods.to_vec();
        if methods.contains(&"GET") {
            methods.push("HEAD");
        }
        let methods = methods.join(", ");
        let what = format!("this is for {methods}");
        let more = Some(Box::new((header::ALLOW, methods)));
        Wrong { more, ..Wrong::new(StatusCode::METHOD_NOT_ALLOWED, &what, "") }
    }

    /// The address itself cannot be meant.
    pub fn unreadable(what: &str) -> Wrong {
        Wrong::new(StatusCode::BAD_REQUEST, what, "see /api/v1/openapi.json")
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
        if status == StatusCode::INTERNAL_SERVER_ERROR {
            // where our files are is not for visitors
            output::complain(&failure);
            let what = "it went wrong within; the log of the service says why";
            let error = json!({ "code": failure.code, "what": what, "hint": null });
            return Wrong { status, document: json!({ "schema_version": 1, "error": error }), more: None };
        }
        Wrong { status, document: json::failure(&failure), more: None }
    }
}

impl IntoResponse for Wrong {
    fn into_response(self) -> Response {
        let mut response = document(self.status, &self.document);
        if let Some((name, Ok(value))) = self.more.map(|more| (more.0, more.1.parse())) {
            response.headers_mut().insert(name, value);
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
