//! The pages, rendered here: no build step, no file from elsewhere, and readable without a script.
//!
//! Each page is a function from the state to markup, in a file of its own; `frame` is what stands around all of them, `forms` how
//! something is asked for, `map` how chunks are drawn. A page only shows: what it asks for goes to the API by the one script, and
//! beside each button stands the command that does the same.
//!
//! Invariant: names and values come from databases and people, so they reach a page as text alone, never as markup; no page
//! grows with the data without a bound. Not here: who may see what (`guard`), and what the numbers mean (`view`).

mod account;
mod alerts;
mod audit;
mod calendar;
mod commands;
mod divergences;
mod door;
mod forms;
mod frame;
mod home;
mod map;
mod plan;
mod progress;
mod run;
mod runs;
mod schedules;
mod tables;
mod topology;

pub use account::account;
pub use alerts::alerts;
pub use audit::audit;
pub use door::{login, setup};
pub use home::home;
pub use run::run;
pub use runs::runs;
pub use schedules::schedules;
pub use tables::{table, tables};

use super::answer::{Answer, Wrong};
use axum::extract::Path;
use axum::http::header;
use axum::response::IntoResponse;
use std::sync::OnceLock;

const STYLE: &str = include_str!("assets/page.css");
const SCRIPT: &str = include_str!("assets/page.js");

/// A file of the page. Its address changes with its content, so a browser may keep it.
pub async fn asset(Path(file): Path<String>) -> Answer {
    let (kind, text) = match file.as_str() {
        "page.css" => ("text/css; charset=utf-8", STYLE),
        "page.js" => ("text/javascript; charset=utf-8", SCRIPT),
        _ => return Err(Wrong::absent("there is no such file")),
    };
    let headers =
        [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "private, max-age=31536000, immutable")];
    Ok((headers, text).into_response())
}

/// What the addresses of the files end in.
fn edition() -> &'static str {
    static EDITION: OnceLock<String> = OnceLock::new();
    EDITION.get_or_init(|| {
        let mut hasher = blake3::Hasher::new();
        hasher.update(STYLE.as_bytes()).update(SCRIPT.as_bytes());
        hasher.finalize().to_hex().chars().take(12).collect()
    })
}

#[cfg(test)]
mod tests;
