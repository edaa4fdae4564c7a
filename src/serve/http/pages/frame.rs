//! What stands around every page: its head, the way to the other pages, the place where the script says what came of a wish; and
//! the small words that all pages use.
//!
//! Invariant: nothing in the markup is a script or a style, as the policy of `guard` demands; colour never stands without a sign
//! and a word.

use super::super::Desk;
use super::super::answer::{Answer, Wrong};
use super::super::guard::Caller;
use super::edition;
use crate::clock;
use crate::serve::{Setup, view};
use crate::state::{Role, State};
use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{Html, IntoResponse};
use maud::{DOCTYPE, Markup, html};
use std::sync::Arc;

/// A square that is even on both sides of a line, as the tab of a browser shows it.
const ICON: &str = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Crect width='16' \
    height='16' rx='3' fill='%23235'/%3E%3Cpath d='M3 6h10M3 10h10' stroke='%23fff' stroke-width='2'/%3E%3C/svg%3E";

/// Somebody who looks at a page, with all that a page is made of.
pub struct Visit {
    /// What answers need.
    pub desk: Arc<Desk>,
    /// Who looks.
    pub caller: Caller,
    /// The state folder.
    pub state: State,
    /// The configuration.
    pub setup: Arc<Setup>,
    /// What time it is, in seconds since 1970.
    pub now: u64,
}

impl FromRequestParts<Arc<Desk>> for Visit {
    type Rejection = Wrong;

    async fn from_request_parts(parts: &mut Parts, desk: &Arc<Desk>) -> Result<Visit, Wrong> {
        let caller = parts.extensions.get::<Caller>().cloned();
        let nobody = || Wrong::new(StatusCode::UNAUTHORIZED, "nobody is known by this request", "");
        Ok(Visit {
            caller: caller.ok_or_else(nobody)?,
            state: desk.service.state()?,
            setup: desk.service.setup(),
            now: clock::now_seconds(),
            desk: desk.clone(),
        })
    }
}

impl Visit {
    /// Whether who looks may begin, stop and repair.
    pub fn operates(&self) -> bool {
        self.caller.may(Role::Operator)
    }

    /// A page.
    pub fn page(&self, here: &str, title: &str, body: &Markup) -> Answer {
        let page = self.whole(here, title, body)?;
        Ok(page.into_response())
    }

    /// A page that says that there is no such thing.
    pub fn absent(&self, here: &str, what: &str, hint: &Markup) -> Answer {
        let body = html! { h1 { (what) } p { (hint) } };
        Ok((StatusCode::NOT_FOUND, self.whole(here, what, &body)?).into_response())
    }

    fn whole(&self, here: &str, title: &str, body: &Markup) -> Result<Html<String>, Wrong> {
        let alerts = self.state.open_alerts()?.len();
        let header = html! {
            header.top {
                a.brand href="/" { "evensum" } " "
                span.cluster { span.quiet { "cluster " } (self.setup.cluster) }
                nav aria-label="pages" {
                    ul {
                        @for (path, name) in self.places() {
                            li {
                                a href=(path) aria-current=[(here == path).then_some("page")] {
                                    (name)
                                    @if path == "/alerts" && alerts > 0 {
                                        " " span.pill { (alerts) span.unseen { " open" } }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        };
        let footer = html! {
            footer {
                p {
                    "evensum " (env!("CARGO_PKG_VERSION")) ", as of " (when(self.now, self.now))
                    ". Times are by the clock of this server unless a zone is said. "
                    @if !self.operates() {
                        "You look as a viewer: what begins, stops or repairs something needs the role operator."
                    }
                }
            }
        };
        Ok(document(&format!("{title} · {}", self.setup.cluster), &header, body, &footer))
    }

    fn places(&self) -> Vec<(&'static str, &'static str)> {
        let mut places = vec![
            ("/", "Overview"),
            ("/tables", "Tables"),
            ("/runs", "Runs"),
            ("/schedules", "Schedules"),
            ("/alerts", "Alerts"),
            ("/account", "Account"),
        ];
        if self.caller.may(Role::Admin) {
            places.push(("/audit", "Audit"));
        }
        places
    }
}

/// A whole document.
pub fn document(title: &str, header: &Markup, body: &Markup, footer: &Markup) -> Html<String> {
    let edition = edition();
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · evensum" }
                link rel="icon" href=(ICON);
                link rel="stylesheet" href={ "/assets/page.css?v=" (edition) };
                script src={ "/assets/page.js?v=" (edition) } defer {}
            }
            body {
                a.skip href="#main" { "To the content" }
                (super::map::patterns())
                (header)
                main #main tabindex="-1" {
                    div #said role="status" aria-live="polite" {}
                    noscript { p.note { "Buttons need this page's script. The commands beside them do the same." } }
                    (body)
                }
                (footer)
            }
        }
    };
    Html(page.into_string())
}

/// A time, for people and for machines.
pub fn when(at: u64, now: u64) -> Markup {
    let exact = clock::rfc3339(at);
    html! { time datetime=(exact) title=(exact) { (view::day_and_time(at, now)) } }
}

/// A number with its thousands apart.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 row`, `2 rows`.
pub fn counted(number: u64, one: &str, several: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { several })
}

/// A length of time in its two largest units.
pub fn length(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{} h {} min", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

/// The class, the sign and the letter of a state's word.
pub fn look_of(word: &str) -> (&'static str, &'static str, &'static str) {
    match word {
        "identical" => ("good", "=", "I"),
        "undone" => ("good", "↶", "R"),
        "mended" => ("good", "✓", "R"),
        "different" => ("bad", "≠", "D"),
        "failed" => ("bad", "!", "F"),
        "unsettled" => ("warn", "?", "U"),
        "unfinished" => ("warn", "?", "U"),
        "skipped" => ("warn", "–", "S"),
        "cancelled" => ("plain", "×", "C"),
        "queued" => ("busy", "…", "Q"),
        "working" => ("busy", "▸", "W"),
        "planned" => ("busy", "¶", "P"),
        _ => ("plain", "·", "E"),
    }
}

/// A state, by colour, sign and word.
pub fn word(word: &str) -> Markup {
    let (class, sign, _) = look_of(word);
    html! { span class={ "word " (class) } { span.sign aria-hidden="true" { (sign) } " " (word) } }
}

/// A part of a path.
pub fn part(text: &str) -> String {
    use std::fmt::Write;
    let mut path = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => path.push(byte.into()),
            _ => {
                let _ = write!(path, "%{byte:02X}");
            }
        }
    }
    path
}

/// A link to a run.
pub fn to_run(run: &str) -> Markup {
    html! { a.name href={ "/runs/" (part(run)) } { (run) } }
}

/// A link to a table.
pub fn to_table(name: &str) -> Markup {
    html! { a.name href={ "/tables/" (part(name)) } { (name) } }
}
