//! A window: the hours of each day in which something may be done, by the clock on the wall.
//!
//! `22:00-06:00` in a time zone; the end does not belong to it, and a window that ends before it begins goes over midnight. Where
//! the clock is changed, the wall decides: an hour that comes twice is in the window twice, and a window that begins in
//! an hour that is not there opens right after it.
//!
//! Invariant: a window is open and closed at some time of each day. Not here: waiting.

use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeDelta, TimeZone, Timelike, Utc};
use chrono_tz::Tz;
use std::fmt;

/// The longest time by which a clock is put forward anywhere.
const GAP_MINUTES_MAX: u32 = 180;

/// Hours of each day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    from: NaiveTime,
    to: NaiveTime,
    zone: Tz,
}

/// A text that is no window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WindowError(pub String);

impl fmt::Display for WindowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}' is no window; write two times of a day, such as 22:00-06:00", self.0)
    }
}

impl std::error::Error for WindowError {}

impl Window {
    /// The window of this text, in this zone.
    ///
    /// # Errors
    /// If the text is not two different times of a day.
    pub fn new(text: &str, zone: Tz) -> Result<Window, WindowError> {
        let time = |text: &str| NaiveTime::parse_from_str(text.trim(), "%H:%M").ok();
        let times = text.split_once('-').and_then(|(from, to)| Some((time(from)?, time(to)?)));
        match times {
            Some((from, to)) if from != to => Ok(Window { from, to, zone }),
            _ => Err(WindowError(text.to_owned())),
        }
    }

    /// When it opens, if it is closed now.
    #[must_use]
    pub fn opens_at(&self, now: DateTime<Utc>) -> Option<DateTime<Tz>> {
        let local = now.with_timezone(&self.zone);
        let time = local.time();
        let open = match self.from < self.to {
            true => self.from <= time && time < self.to,
            false => self.from <= time || time < self.to,
        };
        if open {
            return None;
        }
        let days = (0..=2).filter_map(|days| local.date_naive().checked_add_days(Days::new(days)));
        days.filter_map(|day| self.opening(day)).find(|opens| *opens > now)
    }

    /// When it opens on this day.
    fn opening(&self, day: NaiveDate) -> Option<DateTime<Tz>> {
        let at = day.and_time(self.from);
        let later = (0..=GAP_MINUTES_MAX).map(|minutes| at + TimeDelta::minutes(minutes.into()));
        later.filter_map(|at| self.zone.from_local_datetime(&at).earliest()).next()
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (from, to) = (self.from, self.to);
        let minutes = |time: NaiveTime| format!("{:02}:{:02}", time.hour(), time.minute());
        write!(f, "{}-{} ({})", minutes(from), minutes(to), self.zone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().expect("a time")
    }

    fn opens(window: &str, zone: Tz, now: &str) -> Option<String> {
        let window = Window::new(window, zone).expect("a window");
        window.opens_at(at(now)).map(|opens| opens.with_timezone(&Utc).to_rfc3339())
    }

    #[test]
    fn a_window_goes_over_midnight_and_its_end_is_outside() {
        for (now, expected) in [
            ("2026-11-20T21:59:59Z", Some("2026-11-20T22:00:00+00:00")),
            ("2026-11-20T22:00:00Z", None),
            ("2026-11-20T23:59:59Z", None),
            ("2026-11-21T00:00:00Z", None),
            ("2026-11-21T05:59:59Z", None),
            ("2026-11-21T06:00:00Z", Some("2026-11-21T22:00:00+00:00")),
        ] {
            assert_eq!(opens("22:00-06:00", Tz::UTC, now).as_deref(), expected, "{now}");
        }
        assert_eq!(opens("01:30-05:00", Tz::UTC, "2026-11-20T03:00:00Z"), None);
        let next = opens("01:30-05:00", Tz::UTC, "2026-11-20T05:00:00Z");
        assert_eq!(next.as_deref(), Some("2026-11-21T01:30:00+00:00"));
    }

    #[test]
    fn the_wall_decides_where_the_clock_is_changed() {
        let zone = Tz::Europe__Helsinki;
        // 03:00 becomes 04:00: a window from 03:30 opens when there is such a time again
        let opens_at = opens("03:30-05:00", zone, "2026-03-28T23:00:00Z");
        assert_eq!(opens_at.as_deref(), Some("2026-03-29T01:00:00+00:00"));
        // 04:00 becomes 03:00: the hour that comes twice is inside twice
        for now in ["2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"] {
            assert_eq!(opens("03:00-04:00", zone, now), None, "{now}");
        }
        assert!(opens("03:00-04:00", zone, "2026-10-25T02:00:00Z").is_some());
    }

    #[test]
    fn every_window_opens_within_a_day_and_a_gap() {
        for zone in [Tz::Europe__Helsinki, Tz::Australia__Lord_Howe, Tz::America__New_York] {
            let window = Window::new("02:15-02:45", zone).expect("a window");
            let mut now = at("2026-01-01T00:00:00Z");
            while now < at("2027-01-01T00:00:00Z") {
                if let Some(opens) = window.opens_at(now) {
                    let waits = opens.with_timezone(&Utc) - now;
                    assert!(
                        waits > TimeDelta::zero() && waits <= TimeDelta::hours(27),
                        "{zone} {now} {opens}"
                    );
                }
                now += TimeDelta::minutes(31);
            }
        }
    }

    #[test]
    fn what_is_no_window_is_refused() {
        for text in ["", "22:00", "22-06", "22:00-22:00", "24:00-06:00", "22:00-06:60", "a-b", "22:00–06:00"]
        {
            assert_eq!(Window::new(text, Tz::UTC), Err(WindowError(text.into())));
        }
        let window = Window::new(" 7:05 - 19:00", Tz::UTC).expect("a window");
        assert_eq!(window.to_string(), "07:05-19:00 (UTC)");
    }
}
