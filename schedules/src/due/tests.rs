use super::*;
use crate::Tz;
use std::time::Duration;

const SALT: &str = "db1/shop";

fn at(text: &str) -> DateTime<Utc> {
    text.parse().expect("a time")
}

fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(minutes * 60)
}

fn nightly() -> Schedule {
    Schedule::new("nightly", "30 2 * * *".parse().expect("an expression"), Tz::UTC)
}

fn past(planned_at: &str) -> Past {
    Past::first_seen("nightly", at(planned_at))
}

fn running(planned_at: &str) -> Past {
    Past { running_since: Some(at(planned_at)), ..past(planned_at) }
}

/// The decisions, each as one line.
fn decided(schedule: &Schedule, past: &Past, now: &str) -> Vec<String> {
    decide(std::slice::from_ref(schedule), std::slice::from_ref(past), SALT, at(now))
        .iter()
        .map(line)
        .collect()
}

fn line(decision: &Decision) -> String {
    let time = |at: &DateTime<Utc>| at.format("%d %H:%M").to_string();
    match decision {
        Decision::FirstSeen { seen_at, .. } => format!("first seen {}", time(seen_at)),
        Decision::Start { planned_at, missed, .. } => format!("start {} missed {missed}", time(planned_at)),
        Decision::LeaveOut { planned_at, missed, reason, .. } => {
            format!("leave out {} missed {missed} {reason:?}", time(planned_at))
        }
        Decision::Stop { reason, .. } => format!("stop {reason:?}"),
    }
}

#[test]
fn three_nights_asleep_are_made_up_by_one_run() {
    let past = past("2026-11-01T02:30:00Z");
    assert_eq!(decided(&nightly(), &past, "2026-11-02T02:29:59Z"), [""; 0]);
    assert_eq!(decided(&nightly(), &past, "2026-11-02T02:30:00Z"), ["start 02 02:30 missed 0"]);
    assert_eq!(decided(&nightly(), &past, "2026-11-04T09:00:00Z"), ["start 04 02:30 missed 2"]);
}

#[test]
fn without_catch_up_what_is_older_than_the_grace_is_left_out() {
    let schedule = Schedule { catch_up: CatchUp::None, ..nightly() };
    let past = past("2026-11-01T02:30:00Z");
    assert_eq!(decided(&schedule, &past, "2026-11-02T02:35:00Z"), ["start 02 02:30 missed 0"]);
    assert_eq!(decided(&schedule, &past, "2026-11-02T02:35:01Z"), ["leave out 02 02:30 missed 0 Missed"]);
    assert_eq!(decided(&schedule, &past, "2026-11-04T09:00:00Z"), ["leave out 04 02:30 missed 2 Missed"]);
    // awake just in time for the third night
    let both = ["leave out 03 02:30 missed 1 Missed", "start 04 02:30 missed 0"];
    assert_eq!(decided(&schedule, &past, "2026-11-04T02:31:00Z"), both);
    // a time that waited for a run was not missed
    let ended = Past { ended_at: Some(at("2026-11-02T05:59:00Z")), ..past };
    assert_eq!(decided(&schedule, &ended, "2026-11-02T06:00:00Z"), ["start 02 02:30 missed 0"]);
    assert_eq!(decided(&schedule, &ended, "2026-11-02T07:00:00Z"), ["leave out 02 02:30 missed 0 Missed"]);
}

#[test]
fn a_run_later_than_its_starting_deadline_is_left_out() {
    let schedule = Schedule { starting_deadline: Some(minutes(360)), ..nightly() };
    let past = past("2026-11-01T02:30:00Z");
    assert_eq!(decided(&schedule, &past, "2026-11-03T08:30:00Z"), ["start 03 02:30 missed 1"]);
    assert_eq!(decided(&schedule, &past, "2026-11-03T08:30:01Z"), ["leave out 03 02:30 missed 1 TooLate"]);
    let endless = Schedule { starting_deadline: Some(Duration::MAX), ..nightly() };
    assert_eq!(decided(&endless, &past, "2026-11-03T08:30:01Z"), ["start 03 02:30 missed 1"]);
}

#[test]
fn a_clock_that_goes_back_repeats_nothing_and_one_that_was_far_ahead_is_forgotten() {
    let noted = past("2026-11-02T02:30:00Z");
    assert_eq!(decided(&nightly(), &noted, "2026-11-02T01:00:00Z"), [""; 0]);
    assert_eq!(decided(&nightly(), &noted, "2026-11-02T02:30:00Z"), [""; 0]);
    assert_eq!(decided(&nightly(), &noted, "2026-11-01T02:30:00Z"), [""; 0]);
    assert_eq!(decided(&nightly(), &noted, "2026-11-01T02:29:59Z"), ["first seen 01 02:29"]);
    assert_eq!(
        decided(&nightly(), &past("2038-01-19T03:14:07Z"), "2026-11-01T02:30:00Z"),
        ["first seen 01 02:30"]
    );
}

#[test]
fn a_schedule_seen_for_the_first_time_waits_for_its_next_time() {
    let now = at("2026-11-02T02:30:00Z");
    let decisions = decide(&[nightly()], &[], SALT, now);
    assert_eq!(decisions, [Decision::FirstSeen { schedule: "nightly".into(), seen_at: now }]);
    let mut past = Past::first_seen("nightly", at("2026-11-01T00:00:00Z"));
    past.note(&decisions[0], now);
    assert_eq!(decided(&nightly(), &past, "2026-11-03T02:29:59Z"), [""; 0]);
    assert_eq!(decided(&nightly(), &past, "2026-11-03T02:30:00Z"), ["start 03 02:30 missed 0"]);
}

#[test]
fn schedules_are_known_by_their_names() {
    let other = Schedule { name: "hourly".into(), expression: "@hourly".parse().expect("cron"), ..nightly() };
    let pasts = [
        Past { schedule: "gone".into(), ..past("2026-11-01T02:30:00Z") },
        Past { schedule: "hourly".into(), ..past("2026-11-01T02:30:00Z") },
        past("2026-11-01T02:30:00Z"),
        past("2026-10-01T02:30:00Z"),
    ];
    let twice = [other.clone(), nightly(), other];
    let decisions = decide(&twice, &pasts, SALT, at("2026-11-02T02:30:00Z"));
    assert_eq!(decisions.iter().map(Decision::schedule).collect::<Vec<_>>(), ["hourly", "nightly"]);
    assert_eq!(
        decisions.iter().map(line).collect::<Vec<_>>(),
        ["start 02 02:00 missed 23", "start 02 02:30 missed 0"]
    );
}

#[test]
fn while_a_run_is_at_work_the_next_time_is_skipped_or_waits() {
    let past = running("2026-11-01T02:30:00Z");
    let with = |overlap| Schedule { overlap, ..nightly() };
    let now = "2026-11-03T03:00:00Z";
    assert_eq!(decided(&with(Overlap::Skip), &past, "2026-11-02T02:29:59Z"), [""; 0]);
    assert_eq!(decided(&with(Overlap::Skip), &past, now), ["leave out 03 02:30 missed 1 Overlap"]);
    assert_eq!(decided(&with(Overlap::Queue), &past, now), [""; 0]);
    assert_eq!(decided(&with(Overlap::Replace), &past, now), ["stop Replaced"]);
    let mut ended = past;
    ended.end(at(now));
    for overlap in [Overlap::Queue, Overlap::Replace] {
        assert_eq!(decided(&with(overlap), &ended, now), ["start 03 02:30 missed 1"]);
    }
}

#[test]
fn a_run_that_takes_too_long_is_stopped_and_costs_no_night() {
    let schedule = Schedule { max_duration: Some(minutes(24 * 60)), ..nightly() };
    let mut past = running("2026-11-01T02:30:00Z");
    assert_eq!(decided(&schedule, &past, "2026-11-02T02:29:59Z"), [""; 0]);
    // the next time does not skip what is being stopped
    assert_eq!(decided(&schedule, &past, "2026-11-02T02:30:00Z"), ["stop TooLong"]);
    assert_eq!(decided(&schedule, &past, "2026-11-02T02:31:00Z"), ["stop TooLong"]);
    let replace = Schedule { overlap: Overlap::Replace, ..schedule.clone() };
    assert_eq!(decided(&replace, &past, "2026-11-02T02:31:00Z"), ["stop TooLong"]);
    past.end(at("2026-11-02T02:31:00Z"));
    assert_eq!(decided(&schedule, &past, "2026-11-02T02:31:00Z"), ["start 02 02:30 missed 0"]);
    // a clock that goes back makes no run too long
    assert_eq!(decided(&schedule, &running("2026-11-01T02:30:00Z"), "2026-11-01T00:30:00Z"), [""; 0]);
}

#[test]
fn while_paused_times_are_left_out_so_that_resuming_begins_nothing() {
    let mut past = Past { paused: true, ..past("2026-11-01T02:30:00Z") };
    assert_eq!(decided(&nightly(), &past, "2026-11-02T02:29:59Z"), [""; 0]);
    assert_eq!(decided(&nightly(), &past, "2026-11-03T02:30:00Z"), ["leave out 03 02:30 missed 1 Paused"]);
    let now = at("2026-11-03T02:30:00Z");
    for decision in decide(&[nightly()], std::slice::from_ref(&past), SALT, now) {
        past.note(&decision, now);
    }
    past.paused = false;
    assert_eq!(decided(&nightly(), &past, "2026-11-04T02:29:59Z"), [""; 0]);
    assert_eq!(decided(&nightly(), &past, "2026-11-04T02:30:00Z"), ["start 04 02:30 missed 0"]);
    // what is at work goes on, within its bounds
    let bounded = Schedule { max_duration: Some(minutes(60)), ..nightly() };
    let paused = Past { paused: true, ..running("2026-11-01T02:30:00Z") };
    assert_eq!(decided(&bounded, &paused, "2026-11-01T03:00:00Z"), [""; 0]);
    assert_eq!(decided(&bounded, &paused, "2026-11-01T03:30:00Z"), ["stop TooLong"]);
}

#[test]
fn jitter_moves_every_time_by_the_same_even_if_it_is_longer_than_the_interval() {
    let expression = "0 * * * *".parse().expect("an expression");
    let schedule = Schedule { expression, jitter: minutes(600), ..nightly() };
    let offset = schedule.jitter_offset(SALT);
    assert!(offset > TimeDelta::hours(2), "the salt of this test gives {offset}, too little to test with");
    let (mut past, mut starts) = (past("2026-11-01T00:30:00Z"), Vec::new());
    let mut now = at("2026-11-01T00:30:00Z");
    while now < at("2026-11-02T00:30:00Z") {
        now += TimeDelta::seconds(60);
        for decision in decide(std::slice::from_ref(&schedule), std::slice::from_ref(&past), SALT, now) {
            if let Decision::Start { planned_at, missed, .. } = decision {
                assert_eq!(missed, 0);
                starts.push(planned_at);
                assert!((TimeDelta::zero()..TimeDelta::minutes(1)).contains(&(now - planned_at - offset)));
            }
            past.note(&decision, now);
            past.end(now);
        }
    }
    let planned = schedule.planned(at("2026-11-01T00:30:00Z"), now - offset, 100);
    assert_eq!(starts, planned);
    // so much that no moment is left
    let endless = Schedule { jitter: Duration::MAX, ..nightly() };
    assert_eq!(decided(&endless, &self::past("2026-11-01T02:30:00Z"), "2026-11-09T02:30:00Z"), [""; 0]);
}

#[test]
fn a_year_of_minutes_asleep_is_one_run_for_the_latest_minute() {
    let schedule = Schedule { expression: "* * * * *".parse().expect("an expression"), ..nightly() };
    let past = past("2025-11-01T02:30:00Z");
    assert_eq!(decided(&schedule, &past, "2026-11-01T02:30:59Z"), ["start 01 02:30 missed 1000"]);
    let none = Schedule { catch_up: CatchUp::None, ..schedule };
    let both = ["leave out 01 02:25 missed 1000 Missed", "start 01 02:30 missed 4"];
    assert_eq!(decided(&none, &past, "2026-11-01T02:30:59Z"), both);
}

#[test]
fn a_clock_at_the_end_of_time_breaks_nothing() {
    for now in [DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC] {
        for known in [DateTime::<Utc>::MIN_UTC, at("2026-11-01T02:30:00Z"), DateTime::<Utc>::MAX_UTC] {
            let past = Past { running_since: Some(known), ..Past::first_seen("nightly", known) };
            let schedule = Schedule { jitter: minutes(60), max_duration: Some(minutes(60)), ..nightly() };
            assert!(decide(&[schedule], &[past], SALT, now).len() <= 2);
        }
    }
}
