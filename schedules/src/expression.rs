//! Five fields as crontab(5) means them, and the times at which they come true.
//!
//! Minute, hour, day of month, month, day of week, or `@daily` and its friends. Where both days are restricted a day that
//! matches either is meant; a field of days that begins with `*` is not restricted, so that `*/2` in one narrows the other, as
//! in Debian's cron and cronie. Six or seven fields are refused with a hint, because they mean another dialect; so is what
//! never comes true, such as 31 February.
//!
//! How: the fields are read by the module `fields` and handed to the crate `cron` as plain lists, as one or, for *either
//! day*, two schedules. The crate walks a time line without changes of the clock; the module `wall` lays that line on a zone.
//!
//! Invariant: `next_after` is later than `after`, and no time of the expression lies between, for every zone and every
//! moment. It is a function that never falls, so that [`Expression::latest`] may halve its way. Times are whole seconds.
//!
//! Not here: years before 1970 and after 2100, which the crate does not walk.

use crate::fields::{DAY, Field, HOUR, MINUTE, MONTH, WEEKDAY};
use crate::wall::{self, Changed};
use chrono::{DateTime, Datelike, Duration, NaiveDateTime, Utc};
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
/// The most days that each month has, from January.
const MONTH_DAYS_MAX: [u32; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
/// The years that the crate `cron` walks.
const YEAR_FIRST: i32 = 1970;
const YEAR_LAST: i32 = 2100;
/// How often a stretch of time may be halved: more often than there are nanoseconds in all years.
const HALVINGS_MAX: u32 = 100;

/// When something is to be done, on the clock of a wall.
#[derive(Clone)]
pub struct Expression {
    text: Box<str>,
    schedules: Vec<cron::Schedule>,
    changed: Changed,
}

/// Why a text is no expression: a sentence with the text, the field, and what is allowed there.
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

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Expression({:?})", self.text)
    }
}

impl FromStr for Expression {
    type Err = ExpressionError;

    fn from_str(text: &str) -> Result<Expression, ExpressionError> {
        let refuse =
            |reason: &dyn fmt::Display| ExpressionError(format!("'{text}' is no cron expression: {reason}"));
        let trimmed = text.trim();
        let nickname = NICKNAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(trimmed));
        if trimmed.starts_with('@') && nickname.is_none() {
            let known = "there are @hourly, @daily, @midnight, @weekly, @monthly, @yearly and @annually";
            return Err(refuse(&known));
        }
        let fields: Vec<&str> = nickname.map_or(trimmed, |(_, fields)| fields).split_whitespace().collect();
        let [minute, hour, day, month, weekday] = fields[..] else {
            return Err(refuse(&match fields.len() {
                6 | 7 => "it looks like a Quartz expression with seconds; remove the first field",
                _ => "it needs five fields: minute, hour, day of month, month, day of week",
            }));
        };
        let read = |place: &crate::fields::Place, text| place.read(text).map_err(|reason| refuse(&reason));
        let (minute, hour) = (read(&MINUTE, minute)?, read(&HOUR, hour)?);
        let (day, month, weekday) = (read(&DAY, day)?, read(&MONTH, month)?, read(&WEEKDAY, weekday)?);
        let either = !day.starred && !weekday.starred;
        if !either && never(day, month) {
            return Err(refuse(&"there is no such day in these months, so it would never run"));
        }
        let (time, month) =
            (format!("0 {} {}", MINUTE.translated(minute), HOUR.translated(hour)), MONTH.translated(month));
        let (day, weekday) = (DAY.translated(day), WEEKDAY.translated(weekday));
        let days = match either {
            true => vec![format!("{time} {day} {month} *"), format!("{time} * {month} {weekday}")],
            false => vec![format!("{time} {day} {month} {weekday}")],
        };
        let schedules = days.iter().map(|fields| cron::Schedule::from_str(fields)).collect::<Result<_, _>>();
        // a single hour is a fixed one, even if it is written as */24
        let changed = if hour.starred && hour.count() > 1 { Changed::FollowsWall } else { Changed::OnceEach };
        Ok(Expression {
            text: trimmed.into(),
            schedules: schedules.map_err(|error| refuse(&error))?,
            changed,
        })
    }
}

/// Whether no month of these has any of these days.
fn never(day: Field, month: Field) -> bool {
    let days_max =
        month.values().filter_map(|month| MONTH_DAYS_MAX.get(usize::try_from(month).ok()? - 1)).max();
    day.values().min() > days_max.copied()
}

impl Expression {
    /// The first time after `after`, or none if there is none before the end of 2100. For a moment before 1970 it is the first
    /// time since 1970.
    #[must_use]
    pub fn next_after(&self, zone: Tz, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match after.year() {
            ..YEAR_FIRST => self.next_after(zone, DateTime::UNIX_EPOCH),
            YEAR_FIRST..=YEAR_LAST => wall::next_after(zone, after, self.changed, |from| self.on_wall(from)),
            _ => None,
        }
    }

    /// The times after `after`, in order. They go on to 2100, so the caller says how many or until when.
    pub fn times(&self, zone: Tz, after: DateTime<Utc>) -> impl Iterator<Item = DateTime<Utc>> + '_ {
        std::iter::successors(self.next_after(zone, after), move |time| self.next_after(zone, *time))
    }

    /// The last time after `after` and not after `until`, if there is one. It costs some dozens of
    /// [`Expression::next_after`], however many times lie between.
    #[must_use]
    pub fn latest(&self, zone: Tz, after: DateTime<Utc>, until: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let next = |after| self.next_after(zone, after).filter(|time| *time <= until);
        // a time of ours, and a moment after which there is none
        let (mut found, mut none_after) = (next(after)?, until);
        for _ in 0..HALVINGS_MAX {
            if next(found).is_none() {
                break;
            }
            let middle = found + (none_after - found) / 2;
            match next(middle) {
                Some(time) => found = time,
                None => none_after = middle,
            }
        }
        Some(found)
    }

    /// The first time of the wall, from `from` on, that the fields mean.
    fn on_wall(&self, from: NaiveDateTime) -> Option<NaiveDateTime> {
        // the crate's walk is exclusive, and in whole seconds
        let before = wall::whole_minute(from)? - Duration::seconds(1);
        self.schedules
            .iter()
            .filter_map(|one| one.after(&before.and_utc()).next())
            .map(|at| at.naive_utc())
            .min()
    }
}

#[cfg(test)]
mod tests;
