//! Alerts: what is wrong now and who knows of it, what was, what is muted, and how the receivers stand.

use super::super::answer::{Answer, Wrong};
use super::commands;
use super::forms::{Field, Then, Wish, command_of, field, form};
use super::frame::{Visit, counted, part, to_table, when};
use crate::alerts::findings;
use crate::alerts::notice::Severity;
use crate::state::{Alert, Mute};
use maud::{Markup, html};

/// How many alerts are shown.
const SHOWN: u32 = 200;

/// All alerts.
pub async fn alerts(visit: Visit) -> Answer {
    let all = visit.state.latest_alerts(SHOWN)?;
    let (open, ended): (Vec<&Alert>, Vec<&Alert>) = all.iter().partition(|alert| alert.notice.firing);
    let known = visit.state.open_alerts()?.len();
    let body = html! {
        h1 { "Alerts" }
        section aria-labelledby="open" {
            h2 #open { (counted(known as u64, "open alert", "open alerts")) }
            @if open.is_empty() { p.empty { "Nothing is wrong that is known." } }
            @for alert in &open { (one(&visit, alert)) }
            @if known > open.len() { p { "Shown are " (open.len()) " of " (known) "." } }
        }
        (mutes(&visit)?)
        (receivers(&visit)?)
        section aria-labelledby="ended" {
            h2 #ended { "Ended" }
            @if ended.is_empty() { p.empty { "No alert has ended yet." } } @else { (ended_list(&visit, &ended)) }
        }
        section aria-labelledby="kinds" {
            h2 #kinds { "What alerts there are" }
            dl.facts { @for (name, meaning) in findings::ALL { div { dt { code { (name) } } dd { (meaning) } } } }
        }
    };
    visit.page("/alerts", "Alerts", &body)
}

/// How grave an alert is, by colour, sign and word.
pub fn severity(severity: Severity) -> Markup {
    let (class, sign) = match severity {
        Severity::Critical => ("bad", "!!"),
        Severity::Error => ("bad", "!"),
        Severity::Warning => ("warn", "!"),
        Severity::Info => ("plain", "i"),
    };
    html! { span.word.(class) { span.sign aria-hidden="true" { (sign) } " " (severity.word()) } }
}

fn one(visit: &Visit, alert: &Alert) -> Markup {
    let notice = &alert.notice;
    let note = |name: &str| notice.annotations.get(name);
    let why =
        Field { name: "why", label: "What you know or do about it", optional: true, ..Field::default() };
    html! {
        article.alert {
            h3 { (severity(notice.severity)) " " (notice.name) }
            p { (note("summary").map_or("", |text| text.as_str())) }
            @if let Some(text) = note("description") { p { (text) } }
            p.quiet { "Since " (when(notice.started_at, visit.now)) ", number " (alert.id) "." }
            (labels(alert))
            @match (&notice.acknowledged, &alert.acknowledged) {
                (Some(by), Some((at, why))) => p.known {
                    span.word.good { span.sign aria-hidden="true" { "✓" } " acknowledged" } " by " (by) " " (when(*at, visit.now))
                    @if !why.is_empty() { ": " (why) }
                },
                _ => {}
            }
            @if let Some(text) = note("command") { (command_of("What to do", text)) }
            @if visit.operates() && notice.acknowledged.is_none() {
                (form(&Wish {
                    method: "POST", address: format!("/api/v1/alerts/{}/acknowledge", alert.id), then: Then::Reload,
                    button: "Acknowledge", command: commands::acknowledge(visit, alert.id), grave: false,
                }, &html! { (field(&why)) }))
            }
        }
    }
}

fn labels(alert: &Alert) -> Markup {
    html! {
        ul.labels aria-label="labels" {
            @for (name, value) in &alert.notice.labels {
                li { span.quiet { (name) " " } @if name == "table" { (to_table(value)) } @else { (value) } }
            }
        }
    }
}

fn mutes(visit: &Visit) -> Result<Markup, Wrong> {
    let mutes = visit.state.mutes(visit.now)?;
    let fields = html! {
        (field(&Field { name: "pattern", label: "Which: name or label, as in shop.*", ..Field::default() }))
        (field(&Field { name: "reason", label: "Why", ..Field::default() }))
        (field(&Field { name: "lasts", label: "For how long, as in 2h", value: "2h", ..Field::default() }))
    };
    let wish = Wish {
        method: "POST",
        address: "/api/v1/mutes".to_owned(),
        then: Then::Reload,
        button: "Mute",
        command: commands::mute(visit),
        grave: false,
    };
    Ok(html! {
        section aria-labelledby="mutes" {
            h2 #mutes { "Muted" }
            @if mutes.is_empty() { p.empty { "Nothing is muted. A mute keeps receivers from being told; the alert stays open." } }
            @for mute in &mutes { (one_mute(visit, mute)) }
            @if visit.operates() { (form(&wish, &fields)) }
        }
    })
}

fn one_mute(visit: &Visit, mute: &Mute) -> Markup {
    html! {
        article.mute {
            p {
                code { (mute.pattern) } " until " (when(mute.expires_at, visit.now)) ": " (mute.reason) " "
                span.quiet { "by " (mute.owner) ", " (when(mute.created_at, visit.now)) }
            }
            @if visit.operates() {
                (form(&Wish {
                    method: "DELETE", address: format!("/api/v1/mutes/{}", part(&mute.id.to_string())), then: Then::Reload,
                    button: "End this mute", command: commands::unmute(visit, mute.id), grave: false,
                }, &html! {}))
            }
        }
    }
}

fn receivers(visit: &Visit) -> Result<Markup, Wrong> {
    let sinks = &visit.setup.sinks;
    Ok(html! {
        section aria-labelledby="receivers" {
            h2 #receivers { "Receivers" }
            @if sinks.is_empty() {
                p.empty { "Nobody is told. Add an " code { "[[alert]]" } " table to " code { (visit.setup.path.display()) } "." }
            } @else {
                div.wide tabindex="0" role="region" aria-label="table of receivers" {
                    table.stacked {
                        thead { tr { th scope="col" { "Receiver" } th scope="col" { "State" } th.number scope="col" { "Taken" } th.number scope="col" { "Failed" } th scope="col" { "Last" } } }
                        tbody {
                            @for sink in sinks {
                                @let state = visit.state.sink(sink.name())?;
                                tr {
                                    th scope="row" { (sink.name()) " " span.quiet { (sink.kind()) } }
                                    td {
                                        @if state.failures > 0 { span.word.bad { span.sign aria-hidden="true" { "!" } " failing" } " " (state.last_error.unwrap_or_default()) ", tried again " (when(state.next_at, visit.now)) }
                                        @else if state.last_at.is_some() { span.word.good { span.sign aria-hidden="true" { "✓" } " takes" } }
                                        @else { span.quiet { "told nothing yet" } }
                                    }
                                    td.number data-label="taken" { (state.counts.0) }
                                    td.number data-label="failed" { (state.counts.1) }
                                    td data-label="last" { @if let Some(at) = state.last_at { (when(at, visit.now)) } @else { "never" } }
                                }
                            }
                        }
                    }
                }
                @if visit.operates() {
                    (form(&Wish {
                        method: "POST", address: "/api/v1/alerts/test".to_owned(), then: Then::Show, button: "Send a test",
                        command: commands::alert_test(visit), grave: false,
                    }, &html! {}))
                }
            }
        }
    })
}

fn ended_list(visit: &Visit, ended: &[&Alert]) -> Markup {
    html! {
        div.wide tabindex="0" role="region" aria-label="table of ended alerts" {
            table.stacked {
                thead { tr { th scope="col" { "Alert" } th scope="col" { "About" } th scope="col" { "Began" } th scope="col" { "Ended" } } }
                tbody {
                    @for alert in ended {
                        tr {
                            th scope="row" { (alert.notice.name) }
                            td { (alert.notice.annotations.get("summary").map_or("", |text| text.as_str())) }
                            td data-label="began" { (when(alert.notice.started_at, visit.now)) }
                            td data-label="ended" { @if let Some(at) = alert.notice.ended_at { (when(at, visit.now)) } }
                        }
                    }
                }
            }
        }
    }
}
