//! What is due, and when. Knows nothing else: no table, no clock, no file.
//!
//! An [`Expression`] is five fields as crontab(5) means them, on top of the crate `cron`, whose own dialect differs (its
//! Sunday is 1, it wants seconds, and it takes day of month *and* day of week where crontab means *or*). [`due`] says
//! which schedules are due, given when each ran last and what time it is: a function, so that a test moves the clock.
//!
//! # Changes of the clock
//!
//! A job at a fixed hour runs once each night: in the hour that is skipped in spring, at the first moment after it; in the
//! hour that comes twice in autumn, the first time. A job at every hour (`*` or `*/n` in the hour's field) follows the clock
//! on the wall: not at all in the hour that is not there, twice in the one that comes twice.

pub mod expression;
mod fields;
mod wall;
pub mod window;

pub use chrono;
pub use chrono_tz::Tz;
pub use expression::{Expression, ExpressionError};
pub use window::{Window, WindowError};

use chrono::{DateTime, Utc};

/// Something that is to be done again and again.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// Its name.
    pub name: Box<str>,
    /// When.
    pub expression: Expression,
    /// The time zone in which the expression is meant.
    pub zone: Tz,
}

/// When a schedule was last done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastRun {
    /// The schedule's name.
    pub schedule: Box<str>,
    /// The time for which it was planned, or when it was first seen if it has not run yet.
    pub planned_at: DateTime<Utc>,
}

/// A schedule that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// The schedule's name.
    pub schedule: Box<str>,
    /// The latest time for which it was planned; what was missed before that is made up by this one run.
    pub planned_at: DateTime<Utc>,
    /// How many earlier times were missed, at most [`MISSED_MAX`].
    pub missed: u32,
}

/// Where counting missed runs ends.
pub const MISSED_MAX: u32 = 1_000;

/// The schedules that are due at `now`. A schedule without a last run is not due: it is first seen now.
#[must_use]
pub fn due(schedules: &[Schedule], last: &[LastRun], now: DateTime<Utc>) -> Vec<Due> {
    let one = |schedule: &Schedule| {
        let last = last.iter().find(|last| last.schedule == schedule.name)?;
        let mut planned_at = None;
        let mut missed = 0;
        let mut after = last.planned_at;
        while let Some(next) =
            schedule.expression.next_after(schedule.zone, after).filter(|next| *next <= now)
        {
            missed += u32::from(planned_at.is_some());
            planned_at = Some(next);
            after = next;
            if missed >= MISSED_MAX {
                break;
            }
        }
        Some(Due { schedule: schedule.name.clone(), planned_at: planned_at?, missed })
    };
    schedules.iter().filter_map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().expect("a time")
    }

    fn nightly(zone: Tz) -> Schedule {
        Schedule { name: "nightly".into(), expression: "30 2 * * *".parse().expect("cron"), zone }
    }

    #[test]
    fn three_nights_asleep_are_made_up_by_one_run() {
        let schedules = [nightly(Tz::UTC)];
        let last = [LastRun { schedule: "nightly".into(), planned_at: at("2026-11-01T02:30:00Z") }];
        assert_eq!(due(&schedules, &last, at("2026-11-02T02:29:59Z")), []);
        let due = due(&schedules, &last, at("2026-11-04T09:00:00Z"));
        assert_eq!(due[0].planned_at, at("2026-11-04T02:30:00Z"));
        assert_eq!(due[0].missed, 2);
    }

    #[test]
    fn a_clock_that_goes_back_repeats_nothing() {
        let schedules = [nightly(Tz::UTC)];
        let last = [LastRun { schedule: "nightly".into(), planned_at: at("2026-11-02T02:30:00Z") }];
        assert_eq!(due(&schedules, &last, at("2026-11-02T01:00:00Z")), []);
        assert_eq!(due(&schedules, &last, at("2026-11-02T02:30:00Z")), []);
    }

    #[test]
    fn a_schedule_seen_for_the_first_time_waits_for_its_next_time() {
        assert_eq!(due(&[nightly(Tz::UTC)], &[], at("2026-11-02T02:30:00Z")), []);
    }

    #[test]
    fn each_night_has_one_run_in_every_zone_through_both_changes_of_the_clock() {
        for zone in [
            Tz::Europe__Helsinki,
            Tz::Europe__London,
            Tz::America__New_York,
            Tz::Australia__Sydney,
            Tz::Asia__Kolkata,
            Tz::UTC,
        ] {
            for (start, end, nights) in [
                ("2026-03-01T12:00:00Z", "2026-04-10T12:00:00Z", 40),
                ("2026-10-01T12:00:00Z", "2026-11-10T12:00:00Z", 40),
            ] {
                for text in ["30 2 * * *", "30 1 * * *", "0 3 * * *"] {
                    let expression: Expression = text.parse().expect("cron");
                    let (mut after, mut runs) = (at(start), 0);
                    while let Some(next) = expression.next_after(zone, after).filter(|next| *next <= at(end))
                    {
                        after = next;
                        runs += 1;
                    }
                    assert_eq!(runs, nights, "{text} in {zone} from {start}");
                }
            }
        }
    }
}
