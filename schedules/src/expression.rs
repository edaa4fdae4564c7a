//! Five fields as crontab(5) means them.
//!
//! Minute, hour, day of month, month, day of week; lists, ranges, steps, names; 0 and 7 are Sunday; `@daily` and its
//! friends. Where both days are restricted a day that matches either is meant. Six or seven fields are refused with a hint,
//! because they mean another dialect.
//!
//! How: the fields are translated into the dialect of the crate `cron` (seconds first, Sunday is 1), as one or, for *either
//! day*, two schedules, and evaluated on a time line without changes of the clock; only the result is brought into a time zone.
//!
//! Invariant: `next_after` is later than `after`, for every zone and every moment.

use chrono::{DateTime, Duration, LocalResult, NaiveDateTime, TimeZone, Utc};
use chrono_tz::Tz;
use std::fmt;
use std::str::FromStr;

/// The names that stand for five fields.
const NICKNAMES: [(&str, &str); 7] = [
    ("@hourly", "0 * * * *"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@weekly", "0 0 * * 0"),
    ("@monthly", "0 0 1 * *"),
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
/// How far a change of the clock can move a time.
const CLOCK_CHANGE_MAX_HOURS: i64 = 26;

/// When something is to be done, in one time zone.
#[derive(Clone, Debug)]
pub struct Expression {
    text: Box<str>,
    schedules: Vec<cron::Schedule>,
    every_hour: bool,
}

/// Why a text is no expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpressionError(pub String);

impl fmt::Display for ExpressionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ExpressionError {}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Expression {
    type Err = ExpressionError;

    fn from_str(text: &str) -> Result<Expression, ExpressionError> {
        let refuse = |reason: &str| ExpressionError(format!("'{text}' is no cron expression: {reason}"));
        let trimmed = text.trim();
        let nickname = NICKNAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(trimmed));
        if trimmed.starts_with('@') && nickname.is_none() {
            return Err(refuse("there are @hourly, @daily, @midnight, @weekly, @monthly and @yearly"));
        }
        let fields: Vec<&str> = nickname.map_or(trimmed, |(_, fields)| fields).split_whitespace().collect();
        let [minute, hour, day, month, weekday] = fields[..] else {
            return Err(refuse(match fields.len() {
                6 | 7 => "it looks like a Quartz expression with seconds; remove the first field",
                _ => "it needs five fields: minute, hour, day of month, month, day of week",
            }));
        };
        let weekdays = weekday_list(weekday).ok_or_else(|| refuse(&format!("day of week '{weekday}'")))?;
        let restricted = |field: &str| !field.starts_with('*');
        let days = match (restricted(day), restricted(weekday)) {
            (true, true) => vec![(day, "*".to_owned()), ("*", weekdays)],
            _ => vec![(day, weekdays)],
        };
        let schedules = days
            .into_iter()
            .map(|(day, weekdays)| {
                let fields = format!("0 {minute} {hour} {day} {month} {weekdays}");
                cron::Schedule::from_str(&fields).map_err(|error| refuse(&error.to_string()))
            })
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Expression { text: trimmed.into(), schedules, every_hour: hour.starts_with('*') })
    }
}

/// The day of week as a list of names; in numbers the crate's own count is off by one.
fn weekday_list(field: &str) -> Option<String> {
    if field == "*" {
        return Some("*".into());
    }
    let number = |text: &str| -> Option<usize> {
        let named = WEEKDAYS.iter().position(|name| name.eq_ignore_ascii_case(text));
        named.or_else(|| text.parse().ok().filter(|&n| n <= 7))
    };
    let mut chosen = [false; 7];
    for part in field.split(',') {
        let (range, step) = part.split_once('/').map_or((part, "1"), |(range, step)| (range, step));
        let step: usize = step.parse().ok().filter(|&step| step > 0)?;
        let (first, last) = match range.split_once('-') {
            Some((first, last)) => (number(first)?, number(last)?),
            None if range == "*" => (0, 6),
            // a single day with a step goes on to the end, as in cron
            None if part.contains('/') => (number(range)?, 6),
            None => (number(range)?, number(range)?),
        };
        // Friday to Sunday by names ends at 7
        let last = if last < first && last == 0 { 7 } else { last };
        if last < first {
            return None;
        }
        (first..=last).step_by(step).for_each(|day| chosen[day % 7] = true);
    }
    let names: Vec<&str> = (0..7).filter(|&day| chosen[day]).map(|day| WEEKDAYS[day]).collect();
    Some(names.join(","))
}

impl Expression {
    /// The first time after `after`, or none if there is none within the years that the crate walks (to 2100).
    #[must_use]
    pub fn next_after(&self, zone: Tz, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        // the wall clock may have shown a later time shortly before `after`, so the walk begins a little earlier
        let wall = after.with_timezone(&zone).naive_local() - Duration::hours(CLOCK_CHANGE_MAX_HOURS);
        let earliest = self.schedules.iter().filter_map(|schedule| {
            let walk = schedule.after(&wall.and_utc());
            // several wall times near a change may map to moments that are not later
            walk.take_while(|time| time.naive_utc() < wall + Duration::days(366 * 30))
                .flat_map(|time| self.moments(zone, time.naive_utc()))
                .find(|moment| *moment > after)
        });
        earliest.min()
    }

    /// The moments at which the wall clock of `zone` shows `wall`, as this expression means them.
    fn moments(&self, zone: Tz, wall: NaiveDateTime) -> Vec<DateTime<Utc>> {
        match zone.from_local_datetime(&wall) {
            LocalResult::Single(moment) => vec![moment.to_utc()],
            LocalResult::Ambiguous(first, second) if self.every_hour => vec![first.to_utc(), second.to_utc()],
            LocalResult::Ambiguous(first, _) => vec![first.to_utc()],
            LocalResult::None if self.every_hour => Vec::new(),
            LocalResult::None => after_gap(zone, wall).into_iter().collect(),
        }
    }
}

/// The first moment after the gap in which `wall` does not exist.
fn after_gap(zone: Tz, wall: NaiveDateTime) -> Option<DateTime<Utc>> {
    (1..=CLOCK_CHANGE_MAX_HOURS * 60)
        .find_map(|minutes| zone.from_local_datetime(&(wall + Duration::minutes(minutes))).earliest())
        .map(|moment| moment.to_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(text: &str, zone: Tz, after: &str) -> String {
        let expression: Expression = text.parse().expect("cron");
        let next = expression.next_after(zone, after.parse().expect("a time")).expect("a next time");
        next.with_timezone(&zone).format("%a %F %T %:z").to_string()
    }

    #[test]
    fn five_fields_mean_what_crontab_says() {
        // 2026-11-20 is a Friday
        for (text, expected) in [
            ("0 3 * * 1-5", "Mon 2026-11-23 03:00:00 +00:00"),
            ("0 3 * * 0", "Sun 2026-11-22 03:00:00 +00:00"),
            ("0 3 * * 7", "Sun 2026-11-22 03:00:00 +00:00"),
            ("0 3 * * Fri-Sun", "Sat 2026-11-21 03:00:00 +00:00"),
            ("0 0 13 * Fri", "Fri 2026-11-27 00:00:00 +00:00"),
            ("*/15 * * * *", "Fri 2026-11-20 12:15:00 +00:00"),
            ("5,10 2-4/2 * Dec *", "Tue 2026-12-01 02:05:00 +00:00"),
            ("@daily", "Sat 2026-11-21 00:00:00 +00:00"),
            ("@monthly", "Tue 2026-12-01 00:00:00 +00:00"),
        ] {
            assert_eq!(next(text, Tz::UTC, "2026-11-20T12:00:00Z"), expected, "{text}");
        }
    }

    #[test]
    fn either_day_is_meant_where_both_are_restricted() {
        assert_eq!(next("0 0 13 * Fri", Tz::UTC, "2026-12-11T12:00:00Z"), "Sun 2026-12-13 00:00:00 +00:00");
    }

    #[test]
    fn what_is_no_expression_is_refused_with_a_reason() {
        for (text, reason) in [
            ("0 0 3 * * *", "remove the first field"),
            ("0 3 * *", "five fields"),
            ("@sometimes", "@hourly"),
            ("0 3 * * 8", "day of week '8'"),
            ("61 3 * * *", "61"),
        ] {
            let error = text.parse::<Expression>().expect_err(text);
            assert!(error.0.contains(reason), "{error}");
        }
    }

    #[test]
    fn a_change_of_the_clock_neither_skips_nor_repeats_a_nights_job() {
        let helsinki = Tz::Europe__Helsinki;
        // at 03:00 the clock goes to 04:00
        assert_eq!(next("30 3 * * *", helsinki, "2026-03-28T12:00:00Z"), "Sun 2026-03-29 04:00:00 +03:00");
        assert_eq!(next("30 3 * * *", helsinki, "2026-03-29T01:00:00Z"), "Mon 2026-03-30 03:30:00 +03:00");
        // at 04:00 the clock goes back to 03:00
        assert_eq!(next("30 3 * * *", helsinki, "2026-10-24T12:00:00Z"), "Sun 2026-10-25 03:30:00 +03:00");
        assert_eq!(next("30 3 * * *", helsinki, "2026-10-25T00:30:00Z"), "Mon 2026-10-26 03:30:00 +02:00");
        // a job of every hour comes twice in the hour that comes twice
        assert_eq!(next("30 * * * *", helsinki, "2026-10-25T00:30:00Z"), "Sun 2026-10-25 03:30:00 +02:00");
    }
}
