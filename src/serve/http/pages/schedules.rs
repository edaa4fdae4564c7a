//! Schedules: when they are due, what became of the nights before, and who paused them.

use super::super::answer::{Answer, Wrong};
use super::forms::{Field, Then, Wish, command_of, field, form};
use super::frame::{Visit, part, when, word};
use super::{calendar, commands};
use crate::config::service::{Follow, Meeting, Missed, Plan};
use crate::serve::command::{scheduled_check, typed};
use crate::serve::planner;
use crate::state::ScheduleState;
use maud::{Markup, html};
use schedules::chrono::{DateTime, Utc};

/// How many times to come are said.
const NEXT: usize = 3;
/// How many times that were left out are said.
const LEFT_OUT: usize = 10;

/// All schedules.
pub async fn schedules(visit: Visit) -> Answer {
    let known = visit.state.schedules()?;
    let body = html! {
        h1 { "Schedules" }
        @if visit.setup.plans.is_empty() {
            p.empty { "There is no schedule. Add one to " code { (visit.setup.path.display()) } " and have the service read it again with SIGHUP:" }
            pre tabindex="0" { code { "[[schedule]]\nname = \"nightly\"\ncron = \"30 1 * * *\"\ntimezone = \"Europe/Helsinki\"" } }
        }
        @for plan in &visit.setup.plans {
            (one(&visit, plan, known.get(&*plan.schedule.name))?)
        }
        @if !visit.setup.plans.is_empty() { (calendar::legend()) }
    };
    visit.page("/schedules", "Schedules", &body)
}

fn one(visit: &Visit, plan: &Plan, known: Option<&ScheduleState>) -> Result<Markup, Wrong> {
    let name = &*plan.schedule.name;
    let paused = known.and_then(|known| known.paused.as_ref());
    let left = visit.state.left_out(name)?;
    let latest = visit.state.list_of(name, 1)?;
    Ok(html! {
        section.schedule aria-label={ "schedule " (name) } {
            h2 { (name) " " @if paused.is_some() { span.word.warn { span.sign aria-hidden="true" { "‖" } " paused" } } }
            @if let Some(pause) = paused {
                p.note { "Paused by " (pause.by) " " (when(pause.at, visit.now)) ": " (pause.why) }
            }
            (facts(plan, known))
            h3 { "Next" }
            (next(visit, plan, paused.is_some()))
            @if let Some(run) = latest.first() {
                p { "Latest: " (super::frame::to_run(&run.run)) " " (word(run.word())) " " (super::runs::summary(run)) ". "
                    a href={ "/runs?schedule=" (part(name)) } { "All of its runs" } }
            }
            h3 { "Nights" }
            (calendar::of(visit, plan, known, &left)?)
            @if !left.is_empty() {
                details {
                    summary { "Times that were left out" }
                    ul.plain { @for time in left.iter().take(LEFT_OUT) { li { (when(time.planned_at, visit.now)) ": " (time.reason) } } }
                }
            }
            @if visit.operates() { (buttons(visit, plan, paused.is_some())) }
            (command_of("What it runs", &typed(&scheduled_check(plan, &visit.setup.path))))
        }
    })
}

fn facts(plan: &Plan, known: Option<&ScheduleState>) -> Markup {
    let (said, schedule) = (&plan.said, &plan.schedule);
    let overlap = match said.overlap {
        Some(Meeting::Queue) => "waits",
        Some(Meeting::Replace) => "takes the place of the run at work",
        Some(Meeting::Skip) | None => "is left out",
    };
    let repair = match said.repair {
        Follow::Report => "the report and alerts, nothing else",
        Follow::Plan => "a plan of the repair, for a person",
        Follow::Execute => "the repair, within its cap",
    };
    html! {
        dl.facts {
            div { dt { "Cron" } dd { code { (said.cron) } " in " (schedule.zone.name()) } }
            div { dt { "Tables" } dd { @if said.tables.is_empty() { "all that the configuration names" } @else { (said.tables.join(", ")) } } }
            @if let Some(window) = &schedule.window { div { dt { "Window" } dd { (window) } } }
            @if let Some(jitter) = &said.jitter { div { dt { "Put off by up to" } dd { (jitter) } } }
            div { dt { "A time while one is at work" } dd { (overlap) } }
            div { dt { "Missed times" } dd { @if said.catch_up == Some(Missed::None) { "are left out" } @else { "one run makes up for all" } } }
            div { dt { "After differences" } dd { (repair) @if let Some(policy) = &said.policy { ", " code { (policy) } } } }
            @if let Some(known) = known { @if known.missed > 0 { div { dt { "Times without a run of their own" } dd { (known.missed) } } } }
        }
    }
}

fn next(visit: &Visit, plan: &Plan, paused: bool) -> Markup {
    let schedule = &plan.schedule;
    let times = planner::next(plan, &visit.setup.cluster, visit.now, NEXT).into_iter();
    let times: Vec<DateTime<Utc>> = times.collect();
    html! {
        @if times.is_empty() { p.empty { "It is never due again." } }
        @if paused { p.quiet { "While it is paused these are left out." } }
        ul.plain.next {
            @for at in &times {
                li {
                    time datetime=(at.format("%FT%TZ")) { (at.with_timezone(&schedule.zone).format("%a %F %H:%M")) } " " (schedule.zone.name())
                    @if schedule.zone.name() != "UTC" { span.quiet { " (" (at.format("%F %H:%M")) " UTC)" } }
                }
            }
        }
    }
}

fn buttons(visit: &Visit, plan: &Plan, paused: bool) -> Markup {
    let name = &*plan.schedule.name;
    let address = |what: &str| format!("/api/v1/schedules/{}/{what}", part(name));
    let wish = |what: &str, then: Then, button: &'static str, command: String| Wish {
        method: "POST",
        address: address(what),
        then,
        button,
        command,
        grave: false,
    };
    let why = Field { name: "why", label: "Why", ..Field::default() };
    html! {
        div.wishes {
            (form(&wish("run", Then::Run, "Run now", commands::schedule_run(visit, name)), &html! {}))
            @if paused {
                (form(&wish("resume", Then::Reload, "Resume", commands::schedule_resume(visit, name)), &html! {}))
            } @else {
                (form(&wish("pause", Then::Reload, "Pause", commands::schedule_pause(visit, name)), &html! { (field(&why)) }))
            }
        }
    }
}
