//! A schedule: what a person wrote about when something is to be done, and advice on what they may not have meant.
//!
//! Times are *planned* by the expression in its zone, and a run *begins* at a planned time moved by the schedule's jitter. The
//! window is the run's own affair: it does its work inside, pauses at the end and resumes the next day, so a time
//! outside it is no error. A schedule none of whose times lie inside is hardly meant, though, and that is what
//! [`Schedule::advice`] finds.
//!
//! Invariant: planned times do not depend on jitter, window or policy, so a run is known by its planned time whatever is
//! changed in the configuration later. Not here: what is due ([`decide`](crate::decide)).

use crate::{Expression, Tz, Window, jitter};
use chrono::{DateTime, TimeDelta, Utc};
use std::time::Duration;

/// How many times are looked at for advice: a year of nights.
const ADVICE_TIMES_MAX: usize = 366;
/// A service that looks at its clock each minute begins a run up to so much after its time.
const TICK_MAX: Duration = Duration::from_secs(60);

/// What is done about times that nobody was awake for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CatchUp {
    /// However many were missed, one run makes up for them.
    #[default]
    One,
    /// A time that is later than [`GRACE`](crate::GRACE) is left out.
    None,
}

/// What is done at a time at which the run before is still at work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overlap {
    /// The time is left out.
    #[default]
    Skip,
    /// The time waits for the end of that run; of several that wait, one run makes up for all.
    Queue,
    /// That run is stopped, and the time waits for its end.
    Replace,
}

/// Something that is to be done again and again.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// Its name, by which it is known from run to run; no other schedule has it.
    pub name: Box<str>,
    /// When.
    pub expression: Expression,
    /// The time zone in which the expression is meant.
    pub zone: Tz,
    /// By how much less than this every time is moved, in whole seconds; zero for not at all.
    pub jitter: Duration,
    /// What is done about times that were missed.
    pub catch_up: CatchUp,
    /// What is done while the run before is at work.
    pub overlap: Overlap,
    /// The hours in which its run may work, if not always.
    pub window: Option<Window>,
    /// How late a run may begin, counted from its planned time with the jitter; any lateness without it.
    pub starting_deadline: Option<Duration>,
    /// How long a run may take before it is stopped, its pauses included; any length without it.
    pub max_duration: Option<Duration>,
}

impl Schedule {
    /// A schedule without jitter, window and bounds, that makes up what it missed by one run and skips what overlaps.
    #[must_use]
    pub fn new(name: &str, expression: Expression, zone: Tz) -> Schedule {
        Schedule {
            name: name.into(),
            expression,
            zone,
            jitter: Duration::ZERO,
            catch_up: CatchUp::default(),
            overlap: Overlap::default(),
            window: None,
            starting_deadline: None,
            max_duration: None,
        }
    }

    /// By how much the runs of this schedule begin after their planned times: the same for the same salt, which names
    /// the host and the cluster. At least zero, less than the jitter.
    #[must_use]
    pub fn jitter_offset(&self, salt: &str) -> TimeDelta {
        delta(jitter::offset(salt, &self.name, self.jitter))
    }

    /// The planned times after `from` and not after `to`, in order, at most `times_max` of them: a page of a calendar.
    #[must_use]
    pub fn planned(&self, from: DateTime<Utc>, to: DateTime<Utc>, times_max: usize) -> Vec<DateTime<Utc>> {
        self.expression.times(self.zone, from).take_while(|time| *time <= to).take(times_max).collect()
    }

    /// What its writer may not have meant, a sentence each, judged by the times after `from`; empty if all seems well.
    #[must_use]
    pub fn advice(&self, from: DateTime<Utc>) -> Vec<String> {
        let name = &self.name;
        let mut advice = Vec::new();
        if let Some(window) = self.window.filter(|window| self.always_outside(*window, from)) {
            advice.push(format!(
                "schedule '{name}': '{}' ({}) is never inside its window {window}, so each run begins with a wait",
                self.expression, self.zone
            ));
        }
        let times: Vec<_> = self.expression.times(self.zone, from).take(ADVICE_TIMES_MAX).collect();
        let shortest = times.windows(2).map(|two| two[1] - two[0]).min();
        if shortest.is_some_and(|shortest| delta(self.jitter) >= shortest) {
            advice.push(format!(
                "schedule '{name}': its jitter is not shorter than the time between two runs, so one may begin after the next was planned"
            ));
        }
        if self.starting_deadline.is_some_and(|deadline| deadline < TICK_MAX) {
            advice.push(format!(
                "schedule '{name}': its starting deadline is under a minute, so a busy moment can cost a run"
            ));
        }
        if self.max_duration.is_some_and(|longest| longest < TICK_MAX) {
            advice
                .push(format!("schedule '{name}': its runs are stopped within a minute of their beginning"));
        }
        advice
    }

    /// Whether no planned time from now on lies inside the window. Times of the same stay outside are passed over together.
    fn always_outside(&self, window: Window, from: DateTime<Utc>) -> bool {
        let mut after = from;
        for _ in 0..ADVICE_TIMES_MAX {
            let Some(time) = self.expression.next_after(self.zone, after) else { break };
            let Some(opens) = window.opens_at(time) else { return false };
            after = time.max(opens.to_utc() - TimeDelta::seconds(1));
        }
        true
    }
}

/// As a difference of moments; what is too long for one is the longest.
pub(crate) fn delta(duration: Duration) -> TimeDelta {
    TimeDelta::from_std(duration).unwrap_or(TimeDelta::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().expect("a time")
    }

    fn schedule(text: &str) -> Schedule {
        Schedule::new("nightly", text.parse().expect("an expression"), Tz::Europe__Helsinki)
    }

    fn advice(change: impl FnOnce(&mut Schedule), text: &str) -> Vec<String> {
        let mut schedule = schedule(text);
        change(&mut schedule);
        schedule.advice(at("2026-11-20T12:00:00Z"))
    }

    #[test]
    fn a_schedule_without_frills_needs_no_advice() {
        assert_eq!(advice(|_| {}, "30 2 * * *"), [""; 0]);
        assert_eq!(advice(|_| {}, "* * * * *"), [""; 0]);
    }

    #[test]
    fn a_time_that_is_never_inside_its_own_window_is_found() {
        let window = |text: &'static str, zone| {
            move |schedule: &mut Schedule| schedule.window = Some(Window::new(text, zone).expect("a window"))
        };
        let never = advice(window("03:00-05:00", Tz::Europe__Helsinki), "30 2 * * *");
        assert_eq!(
            never,
            [
                "schedule 'nightly': '30 2 * * *' (Europe/Helsinki) is never inside its window 03:00-05:00 (Europe/Helsinki), so each run begins with a wait"
            ]
        );
        for (text, hours, zone) in [
            ("30 2 * * *", "01:00-05:00", Tz::Europe__Helsinki),
            ("30 2 * * *", "22:00-02:31", Tz::Europe__Helsinki),
            ("*/10 * * * *", "03:00-03:01", Tz::Europe__Helsinki),
            // inside in summer only
            ("30 2 * * *", "23:00-00:00", Tz::UTC),
        ] {
            assert_eq!(advice(window(hours, zone), text), [""; 0], "{text} {hours}");
        }
        assert_eq!(advice(window("02:00-02:30", Tz::Europe__Helsinki), "30 2 * * *").len(), 1);
        assert_eq!(advice(window("03:05-03:09", Tz::UTC), "*/10 * * * *").len(), 1);
    }

    #[test]
    fn a_jitter_as_long_as_the_interval_and_bounds_under_a_minute_are_mentioned() {
        let hour = Duration::from_secs(3_600);
        assert_eq!(advice(|schedule| schedule.jitter = hour, "0 * * * *").len(), 1);
        assert_eq!(advice(|schedule| schedule.jitter = hour / 2, "0 * * * *").len(), 0);
        assert_eq!(advice(|schedule| schedule.jitter = hour, "0 2,3 * * *").len(), 1);
        assert_eq!(advice(|schedule| schedule.starting_deadline = Some(Duration::ZERO), "@daily").len(), 1);
        assert_eq!(advice(|schedule| schedule.max_duration = Some(Duration::ZERO), "@daily").len(), 1);
    }

    #[test]
    fn a_page_of_the_calendar_is_bounded_and_excludes_its_beginning() {
        let (from, to) = (at("2026-11-20T00:30:00Z"), at("2026-11-23T00:30:00Z"));
        let nights = schedule("30 2 * * *").planned(from, to, 10);
        assert_eq!(nights, ["21", "22", "23"].map(|day| at(&format!("2026-11-{day}T00:30:00Z"))));
        assert_eq!(schedule("* * * * *").planned(from, to, 10).len(), 10);
        assert_eq!(schedule("* * * * *").planned(to, from, 10).len(), 0);
    }
}
