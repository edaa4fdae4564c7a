//! Plays `scripts/nights.txt`: given this schedule and this clock, these runs.
//!
//! With `UPDATE_GOLDENFILES=1` the runs are written into the script, to be read by a person before they are believed. So that
//! nobody has to believe alone, fixed hours are also counted here: each calendar day belongs to exactly one run, by itself
//! or made up for.

#![allow(clippy::expect_used)] // a test that cannot be set up has failed

use schedules::chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use schedules::{Decision, Past, Schedule, Tz, decide};
use std::path::Path;

/// What the clock of the service does.
#[derive(Clone, Copy, PartialEq)]
enum Clock {
    Ticks,
    Ahead,
    Back,
    Asleep,
}

/// One run: for which time, for how many more, and when by the service's clock.
struct Run {
    planned_at: DateTime<Utc>,
    missed: u32,
    began_at: DateTime<Utc>,
}

struct Night {
    schedule: Schedule,
    change: DateTime<Utc>,
    clock: Clock,
}

impl Night {
    fn every_hour(&self) -> bool {
        self.schedule.expression.to_string().contains(" * * * *")
    }

    /// From when to when it is watched, in minutes from the change.
    fn watched(&self) -> (i64, i64) {
        match (self.every_hour(), self.clock) {
            (true, Clock::Asleep) => (-40 * 60, 38 * 60),
            (true, _) => (-4 * 60, 5 * 60),
            (false, _) => (-40 * 60, 60 * 60),
        }
    }

    /// By how much the clock is wrong, so many seconds after the change; none while the machine sleeps.
    fn skew(&self, second: i64) -> Option<TimeDelta> {
        match self.clock {
            Clock::Ahead if second >= -30 * 60 => Some(TimeDelta::hours(2)),
            Clock::Back if second >= 45 * 60 => Some(TimeDelta::hours(-2)),
            Clock::Asleep if (-36 * 3_600..36 * 3_600).contains(&second) => None,
            _ => Some(TimeDelta::zero()),
        }
    }

    /// Plays the service.
    fn runs(&self) -> Vec<Run> {
        let (first, last) = self.watched();
        let watched_closely =
            |second: i64| [-30, 0, 45].iter().any(|minute| (second - minute * 60).abs() <= 90);
        let seconds = (first * 60..last * 60).filter(|second| second % 60 == 0 || watched_closely(*second));
        let mut past: Vec<Past> = Vec::new();
        let mut runs = Vec::new();
        for second in seconds {
            let Some(skew) = self.skew(second) else { continue };
            let now = self.change + TimeDelta::seconds(second) + skew;
            for decision in decide(std::slice::from_ref(&self.schedule), &past, "", now) {
                match &decision {
                    Decision::FirstSeen { schedule, seen_at } => {
                        past.push(Past::first_seen(schedule, *seen_at));
                    }
                    Decision::Start { planned_at, missed, .. } => {
                        runs.push(Run { planned_at: *planned_at, missed: *missed, began_at: now });
                    }
                    Decision::LeaveOut { .. } | Decision::Stop { .. } => {
                        unreachable!("runs end at once and nothing is left out, but {decision:?}")
                    }
                }
                past[0].note(&decision, now);
            }
            past[0].end(now);
        }
        runs
    }

    /// Each day between the first run and the last belongs to one run.
    fn check_days(&self, runs: &[Run]) {
        let day = |run: &Run| -> NaiveDate { run.planned_at.with_timezone(&self.schedule.zone).date_naive() };
        for two in runs.windows(2) {
            let days = (day(&two[1]) - day(&two[0])).num_days();
            let covered = i64::from(two[1].missed) + 1;
            let (zone, expression) = (self.schedule.zone, &self.schedule.expression);
            assert_eq!(days, covered, "{expression} in {zone} on {}", day(&two[1]));
        }
        assert!(runs.len() >= 2);
    }

    fn shown(&self) -> String {
        let runs = self.runs();
        if !self.every_hour() {
            self.check_days(&runs);
        }
        let line = |run: &Run| {
            let wall =
                |at: DateTime<Utc>, format| at.with_timezone(&self.schedule.zone).format(format).to_string();
            let missed = if run.missed > 0 { format!(" (+{})", run.missed) } else { String::new() };
            let late = run.began_at - run.planned_at >= TimeDelta::minutes(1);
            let began = if late { wall(run.began_at, " @%H:%M") } else { String::new() };
            format!("{}{missed}{began}", wall(run.planned_at, "%d %H:%M"))
        };
        runs.iter().map(line).collect::<Vec<_>>().join(", ")
    }
}

#[test]
fn each_night_has_its_run_whatever_the_clock_does() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/nights.txt");
    let script = std::fs::read_to_string(&path).expect("the script");
    let (mut zone, mut change, mut cron) = (Tz::UTC, DateTime::UNIX_EPOCH, "@daily");
    let (mut played, mut simulations) = (String::new(), 0);
    for line in script.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["zone", name] => zone = name.parse().expect("a zone"),
            ["change", at, ..] => change = at.parse().expect("a moment"),
            ["cron", ..] => cron = line.strip_prefix("cron ").expect("an expression"),
            [clock, ..] if line.starts_with("  ") => {
                let clocks = [
                    ("ticks", Clock::Ticks),
                    ("ahead", Clock::Ahead),
                    ("back", Clock::Back),
                    ("asleep", Clock::Asleep),
                ];
                let (_, clock) = *clocks.iter().find(|(name, _)| *name == clock).expect("a clock");
                let schedule = Schedule::new("nightly", cron.parse().expect("an expression"), zone);
                let night = Night { schedule, change, clock };
                played += &format!("  {:6} {}\n", words[0], night.shown());
                simulations += 1;
                continue;
            }
            _ => {}
        }
        played += &format!("{line}\n");
    }
    assert_eq!(simulations, 6 * 2 * 3 * 4, "six zones, both changes, three expressions, four clocks");
    if std::env::var_os("UPDATE_GOLDENFILES").is_some() {
        std::fs::write(&path, &played).expect("written");
    }
    for (is, expected) in played.lines().zip(script.lines()) {
        assert_eq!(is, expected);
    }
}
