//! From the clock on a wall to moments, through its changes.
//!
//! A zone's clock is set forward, so that some times of the wall are never shown, and back, so that some are shown twice.
//! What that means to a job depends on the job ([`Changed`]): one of a fixed hour runs once for each time, at the moment of the
//! change if its time is skipped; one of every hour runs whenever the wall shows its time.
//!
//! How: time is walked in stretches between two changes, within which the wall runs evenly. `seen` is how far the wall has
//! come before a stretch. If the stretch begins above it, what lies between was skipped; if it begins below, what is shown
//! until `seen` is shown again. No more is needed, so a change may be of any size, at any hour and over midnight: of half an
//! hour (Lord Howe), at midnight (Santiago, Cairo, Beirut), or of a whole day (Apia crossed the date line in 2011). A day
//! that the wall skips as a whole is no day, and has no jobs.
//!
//! Invariant: the moment found is later than `after`, and the first. It relies on a zone not changing its clock twice within
//! [`STRIDE`] to the same offset.

use chrono::{
    DateTime, Days, Duration, NaiveDateTime, NaiveTime, Offset, TimeDelta, TimeZone, Timelike, Utc,
};
use chrono_tz::Tz;

/// How far apart the clock is looked at in search of a change.
const STRIDE: TimeDelta = TimeDelta::days(1);
/// How long after a change the wall may show again what it showed before: the longest step back is that of a day at the date line.
const REPEATS: TimeDelta = TimeDelta::hours(26);
/// The most changes of the clock that are crossed in search of a time: there are at most some four a year.
const CHANGES_MAX: usize = 2_000;

/// What a change of the clock means to the times of an expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Changed {
    /// Each time once: the first time it is shown, or at the change that skips it.
    OnceEach,
    /// Whenever the wall shows the time: not at all, or twice.
    FollowsWall,
}

/// A stretch of time in which the wall runs evenly.
struct Stretch {
    start: DateTime<Utc>,
    offset: Duration,
    /// How far the wall had come before, exclusive; the start of this stretch to a job that follows the wall.
    seen: NaiveDateTime,
}

impl Stretch {
    fn opening(&self) -> NaiveDateTime {
        self.start.naive_utc() + self.offset
    }

    /// The stretch that begins with the change at `start`.
    fn following(&self, zone: Tz, start: DateTime<Utc>, changed: Changed) -> Stretch {
        let offset = offset(zone, start);
        let seen = match changed {
            Changed::OnceEach => self.seen.max(start.naive_utc() + self.offset),
            Changed::FollowsWall => start.naive_utc() + offset,
        };
        Stretch { start, offset, seen }
    }
}

/// The first moment after `after` that is meant by the times of a wall, of which `on_wall` gives the first from a time on.
pub(crate) fn next_after(
    zone: Tz,
    after: DateTime<Utc>,
    changed: Changed,
    on_wall: impl Fn(NaiveDateTime) -> Option<NaiveDateTime>,
) -> Option<DateTime<Utc>> {
    let mut stretch = stretch_at(zone, after, changed);
    for _ in 0..CHANGES_MAX {
        let from = match stretch.start > after {
            true => stretch.seen,
            false => stretch.seen.max(after.naive_utc() + stretch.offset + TimeDelta::nanoseconds(1)),
        };
        let mut time = on_wall(from)?;
        if let Some(next_day) = skipped_day_end(&stretch, time) {
            time = on_wall(next_day)?;
        }
        let moment = (time - stretch.offset).and_utc().max(stretch.start);
        match first_change(zone, stretch.start.max(after), moment) {
            Some(change) => stretch = stretch.following(zone, change, changed),
            None => return Some(moment),
        }
    }
    None
}

/// The stretch in which `after` lies, as far back as matters.
fn stretch_at(zone: Tz, after: DateTime<Utc>, changed: Changed) -> Stretch {
    let start = after - REPEATS;
    let offset = offset(zone, start);
    let mut stretch = Stretch { start, offset, seen: start.naive_utc() + offset };
    for _ in 0..CHANGES_MAX {
        match first_change(zone, stretch.start, after) {
            Some(change) => stretch = stretch.following(zone, change, changed),
            None => break,
        }
    }
    stretch
}

/// The end of the days that are skipped before this stretch, if `time` lies on one of them and that day is skipped as a whole.
fn skipped_day_end(stretch: &Stretch, time: NaiveDateTime) -> Option<NaiveDateTime> {
    let day = time.date().and_time(NaiveTime::MIN);
    let next_day = day.checked_add_days(Days::new(1))?;
    (stretch.seen <= day && next_day <= stretch.opening()).then_some(next_day)
}

/// The first moment after `from` and not after `to` at which the zone's clock is changed.
fn first_change(zone: Tz, from: DateTime<Utc>, to: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let before = offset(zone, from);
    let mut low = from;
    while low < to {
        let high = to.min(low + STRIDE);
        if offset(zone, high) != before {
            return change_between(zone, low, high);
        }
        low = high;
    }
    None
}

/// The change after `low` and not after `high`, between which the clock is changed; changes fall on whole seconds.
fn change_between(zone: Tz, low: DateTime<Utc>, high: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let before = offset(zone, low);
    let (mut low, mut high) = (low.timestamp(), high.timestamp());
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        match offset(zone, DateTime::from_timestamp(middle, 0)?) == before {
            true => low = middle,
            false => high = middle,
        }
    }
    DateTime::from_timestamp(high, 0)
}

/// How far the wall is ahead of UTC.
fn offset(zone: Tz, at: DateTime<Utc>) -> Duration {
    Duration::seconds(zone.offset_from_utc_datetime(&at.naive_utc()).fix().local_minus_utc().into())
}

/// The first whole minute from this time on.
pub(crate) fn whole_minute(from: NaiveDateTime) -> Option<NaiveDateTime> {
    let minute = from.with_second(0)?.with_nanosecond(0)?;
    if minute == from { Some(minute) } else { minute.checked_add_signed(TimeDelta::minutes(1)) }
}
