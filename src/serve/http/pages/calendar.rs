//! A calendar of nights: five weeks back and one ahead, a day in each cell, in the schedule's own time zone.
//!
//! A day shows the worst that its runs said, by a letter, a colour and in words. A day on which the schedule was due, of which runs
//! would still be kept, and on which nothing ran is *missed*; of days before the first run that is kept nothing is claimed.

use super::super::answer::Wrong;
use super::frame::{Visit, look_of, part};
use crate::config::service::Plan;
use crate::serve::planner::moment;
use crate::state::{LeftOutTime, Run, ScheduleState};
use maud::{Markup, html};
use schedules::chrono::{DateTime, Datelike, Days, NaiveDate, NaiveTime, Utc};
use std::collections::BTreeMap;

/// How many weeks are shown, the last of them to come.
const WEEKS: u64 = 6;
/// How many runs are looked at: of a schedule of every minute more would say no more.
const RUNS: u32 = 1_000;
/// How many planned times of a calendar are looked at.
const TIMES: usize = 400;
/// The days of a week.
const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/// What a day holds.
#[derive(Default)]
struct Day<'a> {
    runs: Vec<&'a Run>,
    left: Vec<&'a LeftOutTime>,
    due: bool,
    due_ahead: bool,
}

/// What a day looks like.
struct Face<'a> {
    class: &'static str,
    letter: &'static str,
    words: String,
    run: Option<&'a Run>,
}

/// The calendar of a schedule.
pub fn of(
    visit: &Visit,
    plan: &Plan,
    known: Option<&ScheduleState>,
    left: &[LeftOutTime],
) -> Result<Markup, Wrong> {
    let schedule = &plan.schedule;
    let local = |at: u64| moment(at).with_timezone(&schedule.zone).date_naive();
    let today = local(visit.now);
    let monday = today - Days::new(today.weekday().num_days_from_monday().into());
    let first = monday - Days::new(7 * (WEEKS - 2));
    let runs = visit.state.list_of(&schedule.name, RUNS)?;
    let checks: Vec<&Run> = runs.iter().filter(|run| run.kind == "check").collect();
    let mut days: BTreeMap<NaiveDate, Day<'_>> = BTreeMap::new();
    for run in &checks {
        days.entry(local(run.planned_at.unwrap_or(run.started))).or_default().runs.push(run);
    }
    for time in left {
        days.entry(local(time.planned_at)).or_default().left.push(time);
    }
    let claimed_from = checks.last().map(|run| run.started).or(known.map(|known| known.first_seen));
    for n in 0..WEEKS * 7 {
        let date = first + Days::new(n);
        let Some((from, to)) = bounds(plan, date) else { continue };
        let due = schedule.expression.times(schedule.zone, from).take(TIMES).take_while(|at| *at < to);
        let (ahead, past): (Vec<_>, Vec<_>) = due.partition(|at| *at > moment(visit.now));
        let day = days.entry(date).or_default();
        day.due_ahead = !ahead.is_empty();
        day.due = past.iter().any(|at| claimed_from.is_some_and(|since| *at > moment(since)));
    }
    Ok(table(plan, first, today, &days))
}

/// The moments between which a day lies, the first of them just before it.
fn bounds(plan: &Plan, date: NaiveDate) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
    let begin =
        |date: NaiveDate| date.and_time(NaiveTime::MIN).and_local_timezone(plan.schedule.zone).earliest();
    // where midnight is skipped, the day begins an hour later
    let begin = |date: NaiveDate| {
        begin(date).or_else(|| {
            let later = date.and_hms_opt(1, 0, 0)?;
            later.and_local_timezone(plan.schedule.zone).earliest()
        })
    };
    let (from, to) = (begin(date)?.to_utc(), begin(date.succ_opt()?)?.to_utc());
    Some((from - schedules::chrono::TimeDelta::seconds(1), to))
}

fn table(plan: &Plan, first: NaiveDate, today: NaiveDate, days: &BTreeMap<NaiveDate, Day<'_>>) -> Markup {
    html! {
        div.wide.fit tabindex="0" role="region" aria-label={ "nights of " (plan.schedule.name) } {
            table.calendar {
                thead { tr { th scope="col" { "Week of" } @for day in DAYS { th scope="col" { (day) } } } }
                tbody {
                    @for week in 0..WEEKS {
                        @let monday = first + Days::new(week * 7);
                        tr {
                            th scope="row" { (monday.format("%d %b")) }
                            @for n in 0..7 {
                                @let date = monday + Days::new(n);
                                (cell(date, date == today, days.get(&date)))
                            }
                        }
                    }
                }
            }
        }
    }
}

fn cell(date: NaiveDate, today: bool, day: Option<&Day<'_>>) -> Markup {
    let face = day.map(face);
    let class = face.as_ref().map_or("", |face| face.class);
    let words = face.as_ref().map_or("nothing planned", |face| face.words.as_str());
    let title = format!("{}{}: {words}", date.format("%F"), if today { ", today" } else { "" });
    let letter = face.as_ref().map_or("", |face| face.letter);
    let inner = html! {
        span.date aria-hidden="true" { (date.day()) } " " span.letter aria-hidden="true" { (letter) }
        span.unseen { (title) }
    };
    html! {
        td.day.(class) title=(title) aria-current=[today.then_some("date")] {
            @if let Some(run) = face.as_ref().and_then(|face| face.run) {
                a href={ "/runs/" (part(&run.run)) } { (inner) }
            } @else {
                (inner)
            }
        }
    }
}

/// How grave a run's word is.
fn gravity(word: &str) -> u8 {
    match word {
        "different" => 5,
        "failed" => 4,
        "unsettled" | "skipped" | "unfinished" => 3,
        "cancelled" => 2,
        "working" | "queued" => 1,
        _ => 0,
    }
}

fn face<'a>(day: &Day<'a>) -> Face<'a> {
    if let Some(worst) = day.runs.iter().max_by_key(|run| gravity(run.word())) {
        let (class, _, letter) = look_of(worst.word());
        let runs = day.runs.len();
        let mut words = match runs {
            1 => worst.word().to_owned(),
            _ => format!("{runs} runs, the worst of them {}", worst.word()),
        };
        if let Some(left) = day.left.first() {
            words.push_str(&format!("; {} left out: {}", day.left.len(), left.reason));
        }
        return Face { class, letter, words, run: Some(worst) };
    }
    if let Some(left) = day.left.first() {
        return Face { class: "warn", letter: "L", words: format!("left out: {}", left.reason), run: None };
    }
    let (class, letter, words) = match (day.due, day.due_ahead) {
        (true, _) => ("warn", "M", "missed: nothing ran"),
        (false, true) => ("ahead", "○", "planned"),
        (false, false) => ("", "", "nothing planned"),
    };
    Face { class, letter, words: words.to_owned(), run: None }
}

/// What the letters mean.
pub fn legend() -> Markup {
    let letters = [
        ("good", "I", "identical"),
        ("bad", "D", "different"),
        ("warn", "U", "unsettled or unfinished"),
        ("warn", "S", "skipped"),
        ("bad", "F", "failed"),
        ("plain", "C", "cancelled"),
        ("busy", "W", "at work"),
        ("warn", "L", "left out"),
        ("warn", "M", "missed"),
        ("ahead", "○", "planned"),
    ];
    html! {
        ul.legend aria-label="what the letters mean" {
            @for (class, letter, words) in letters { li { span.day.(class) { (letter) } " " (words) } }
        }
    }
}
