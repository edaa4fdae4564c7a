//! Dates and times: reading MySQL's many spellings, one fixed-width spelling out, and the calendar between.
//!
//! Stored text has a fixed width per column, so that byte order is time order. TIMESTAMP is stored in UTC; the
//! time zones are `SYSTEM` and `UTC`, which are both UTC here, and fixed offsets.

use std::cmp::Ordering;
use std::time::{SystemTime, UNIX_EPOCH};

const MICROS_PER_SECOND: i64 = 1_000_000;
const SECONDS_PER_DAY: i64 = 86_400;

/// A date with a time of day. Month and day may be 0, as MySQL's zero dates have it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub struct DateTime {
    pub year: i64,
    pub month: i64,
    pub day: i64,
    pub hour: i64,
    pub minute: i64,
    pub second: i64,
    pub micro: i64,
}

fn leap(year: i64) -> bool {
    (year % 4 == 0 && year % 100 != 0) || year % 400 == 0
}

/// How many days the month has.
#[must_use]
pub fn month_days(year: i64, month: i64) -> i64 {
    match month {
        2 if leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

impl DateTime {
    /// Reads a date, or a date with a time; none if it is neither or does not exist.
    #[must_use]
    pub fn parse(text: &str) -> Option<DateTime> {
        let text = text.trim();
        let value = match first_digits(text) {
            0 => None,
            digits if digits == text.len() || (digits > 4 && text[digits..].starts_with('.')) => {
                DateTime::parse_digits(text)
            }
            // the digits of a date, T, the digits of a time
            8 if text[8..].starts_with('T') => DateTime::parse_digits(&text.replacen('T', "", 1)),
            _ => DateTime::parse_parts(text),
        }?;
        value.exists().then_some(value)
    }

    /// Any punctuation stands between the parts, a single mark each; spaces or a T may precede the time instead.
    fn parse_parts(text: &str) -> Option<DateTime> {
        let mut rest = text;
        let year_digits = first_digits(rest);
        let year = next_number(&mut rest)?;
        let month = next_number(skip_mark(&mut rest)?)?;
        let day = next_number(skip_mark(&mut rest)?)?;
        let year = if year_digits == 2 { century(year) } else { year };
        let mut value = DateTime { year, month, day, ..DateTime::default() };
        match rest.chars().next() {
            None => return Some(value),
            Some('T') => rest = &rest[1..],
            Some(c) if c.is_whitespace() => rest = rest.trim_start(),
            Some(_) => {
                skip_mark(&mut rest)?;
                if rest.is_empty() {
                    return None;
                }
            }
        }
        if rest.is_empty() {
            return Some(value);
        }
        value.hour = next_number(&mut rest)?;
        if !rest.is_empty() {
            value.minute = next_number(skip_mark(&mut rest)?)?;
        }
        if !rest.is_empty() {
            value.second = next_number(skip_mark(&mut rest)?)?;
        }
        if !rest.is_empty() {
            value.micro = parse_fraction(rest.strip_prefix('.')?)?;
        }
        value.carried()
    }

    fn parse_digits(text: &str) -> Option<DateTime> {
        let (digits, fraction) = text.split_once('.').unwrap_or((text, ""));
        let padded = match digits.len() {
            5 | 7 | 11 | 13 => format!("0{digits}"),
            _ => digits.to_owned(),
        };
        let at = |from: usize, to: usize| padded.get(from..to).and_then(|part| part.parse::<i64>().ok());
        let (year, rest) = match padded.len() {
            8 | 14 => (at(0, 4)?, 4),
            6 | 12 => (century(at(0, 2)?), 2),
            _ => return None,
        };
        let mut value = DateTime {
            year,
            month: at(rest, rest + 2)?,
            day: at(rest + 2, rest + 4)?,
            ..DateTime::default()
        };
        if padded.len() >= 12 {
            let clock = (at(rest + 4, rest + 6)?, at(rest + 6, rest + 8)?, at(rest + 8, rest + 10)?);
            (value.hour, value.minute, value.second) = clock;
            value.micro = parse_fraction(fraction)?;
        }
        Some(value)
    }

    /// The fraction of a second may have been rounded up to a whole one.
    fn carried(self) -> Option<DateTime> {
        if self.micro < MICROS_PER_SECOND || !self.exists() {
            return Some(self);
        }
        let moment = DateTime { micro: 0, ..self };
        (!self.has_zero()).then(|| DateTime::from_micros(moment.micros() + self.micro))
    }

    fn exists(&self) -> bool {
        (0..=9999).contains(&self.year)
            && (0..=12).contains(&self.month)
            && (0..=month_days(self.year, self.month)).contains(&self.day)
            && (0..24).contains(&self.hour)
            && (0..60).contains(&self.minute)
            && (0..60).contains(&self.second)
    }

    /// Whether month or day is 0: a date that no calendar has.
    #[must_use]
    pub fn has_zero(&self) -> bool {
        self.month == 0 || self.day == 0
    }

    fn set_clock(&mut self, micros: i64) {
        self.micro = micros % MICROS_PER_SECOND;
        let seconds = micros / MICROS_PER_SECOND;
        (self.hour, self.minute, self.second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    }

    /// Microseconds since midnight.
    #[must_use]
    pub fn clock(&self) -> i64 {
        ((self.hour * 60 + self.minute) * 60 + self.second) * MICROS_PER_SECOND + self.micro
    }

    /// Days since 1970-01-01.
    #[must_use]
    pub fn days(&self) -> i64 {
        days_from_civil(self.year, self.month.max(1), self.day.max(1))
    }

    /// Microseconds since 1970.
    #[must_use]
    pub fn micros(&self) -> i64 {
        self.days() * SECONDS_PER_DAY * MICROS_PER_SECOND + self.clock()
    }

    /// The moment that many microseconds after 1970.
    #[must_use]
    pub fn from_micros(micros: i64) -> DateTime {
        let day = SECONDS_PER_DAY * MICROS_PER_SECOND;
        let mut value = civil_from_days(micros.div_euclid(day));
        value.set_clock(micros.rem_euclid(day));
        value
    }

    /// Now, in UTC.
    #[must_use]
    pub fn now() -> DateTime {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        DateTime::from_micros(i64::try_from(since.as_micros()).unwrap_or(0))
    }

    /// That many months later, on the last day of the month if it is shorter.
    #[must_use]
    pub fn add_months(&self, months: i64) -> DateTime {
        // so far away that no year is left of it; the caller gives NULL for such a date
        let total = (self.year * 12 + self.month - 1).saturating_add(months.clamp(-1_000_000, 1_000_000));
        let (year, month) = (total.div_euclid(12), total.rem_euclid(12) + 1);
        DateTime { year, month, day: self.day.min(month_days(year, month)), ..*self }
    }

    /// Rounded half up to that many digits of a second.
    #[must_use]
    pub fn round(&self, digits: u8) -> DateTime {
        if self.has_zero() {
            return DateTime { micro: self.micro - self.micro % unit(digits), ..*self };
        }
        DateTime::from_micros(round_micros(self.micros(), digits))
    }

    /// `YYYY-MM-DD`.
    #[must_use]
    pub fn date_text(&self) -> String {
        format!("{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }

    /// `YYYY-MM-DD hh:mm:ss` and that many digits of a second, cut.
    #[must_use]
    pub fn text(&self, digits: u8) -> String {
        format!("{} {}", self.date_text(), clock_text(self.clock(), digits))
    }
}

/// A two-digit year in MySQL's window.
fn century(year: i64) -> i64 {
    if year < 70 { 2000 + year } else { 1900 + year }
}

fn unit(digits: u8) -> i64 {
    10i64.pow(6 - u32::from(digits.min(6)))
}

fn round_micros(micros: i64, digits: u8) -> i64 {
    let unit = unit(digits);
    (micros + unit / 2).div_euclid(unit) * unit
}

/// How many digits the text begins with.
fn first_digits(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_digit).count()
}

/// Takes a number of at most four digits off a text.
fn next_number(rest: &mut &str) -> Option<i64> {
    let digits = first_digits(rest);
    let number = rest[..digits].parse().ok().filter(|_| digits <= 4)?;
    *rest = &rest[digits..];
    Some(number)
}

/// Takes one mark of punctuation off a text.
fn skip_mark<'r, 't>(rest: &'r mut &'t str) -> Option<&'r mut &'t str> {
    *rest = rest.strip_prefix(|c: char| c.is_ascii_punctuation())?;
    Some(rest)
}

fn parse_fraction(text: &str) -> Option<i64> {
    if text.is_empty() {
        return Some(0);
    }
    if !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let seven: String = text.chars().chain("0000000".chars()).take(7).collect();
    seven.parse::<i64>().ok().map(|tenths| (tenths + 5) / 10)
}

/// `h:m[:s[.f]]` in microseconds, hours without an upper limit.
fn parse_clock(text: &str) -> Option<i64> {
    let (clock, fraction) = text.split_once('.').unwrap_or((text, ""));
    let parts: Option<Vec<i64>> = clock
        .split(':')
        .map(|p| p.parse::<i64>().ok().filter(|_| p.len() <= 4 && !p.starts_with(['-', '+'])))
        .collect();
    let (hour, minute, second) = match parts?.as_slice() {
        [h, m, s] => (*h, *m, *s),
        [h, m] => (*h, *m, 0),
        [h] => (*h, 0, 0),
        _ => return None,
    };
    if minute > 59 || second > 59 {
        return None;
    }
    Some(((hour * 60 + minute) * 60 + second) * MICROS_PER_SECOND + parse_fraction(fraction)?)
}

/// A TIME in microseconds: `[-][d ]h:m:s[.f]`, `hhmmss`, or the time of a date with one.
#[must_use]
pub fn parse_time(text: &str) -> Option<i64> {
    let text = text.trim();
    let (negative, body) = text.strip_prefix('-').map_or((false, text), |body| (true, body));
    // a date comes first if there is more than a number of days in front of the time
    let dated = match body.split_once([' ', 'T']) {
        Some((first, _)) => first_digits(first) < first.len() || first.len() == 8,
        None => body.contains('-'),
    };
    let micros = if let Some(value) = dated.then(|| DateTime::parse(body)).flatten() {
        value.clock()
    } else if let Some((days, clock)) = body.split_once(' ') {
        days.parse::<i64>()
            .ok()?
            .checked_mul(24 * 3600 * MICROS_PER_SECOND)?
            .checked_add(parse_clock(clock)?)?
    } else if body.contains(':') {
        parse_clock(body)?
    } else {
        let (digits, fraction) = body.split_once('.').unwrap_or((body, ""));
        let value: i64 = digits.parse().ok().filter(|_| digits.len() <= 7)?;
        parse_clock(&format!("{}:{}:{}.{fraction}", value / 10_000, value / 100 % 100, value % 100))?
    };
    Some(if negative { -micros } else { micros })
}

/// Whether the text of a moment ends with its day.
#[must_use]
pub fn is_date(text: &str) -> bool {
    let numbers = text.split(|c: char| !c.is_ascii_digit()).count();
    !text.contains([' ', 'T']) && numbers <= 3 && (numbers > 1 || text.len() <= 8)
}

/// The greatest TIME, 838:59:59, in microseconds.
pub const MAX_TIME_MICROS: i64 = ((838 * 60 + 59) * 60 + 59) * MICROS_PER_SECOND;

/// `hh:mm:ss` and that many digits of a second, cut.
#[must_use]
pub fn clock_text(micros: i64, digits: u8) -> String {
    let sign = if micros < 0 { "-" } else { "" };
    let micros = micros.abs();
    let (seconds, fraction) = (micros / MICROS_PER_SECOND, micros % MICROS_PER_SECOND);
    let clock = format!("{sign}{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    match digits {
        0 => clock,
        _ => format!("{clock}.{:0width$}", fraction / unit(digits), width = usize::from(digits.min(6))),
    }
}

/// A TIME rounded to that many digits.
#[must_use]
pub fn round_time(micros: i64, digits: u8) -> i64 {
    micros.signum() * round_micros(micros.abs(), digits)
}

/// Compares the text of two TIMEs by value.
#[must_use]
pub fn compare_time_text(a: &str, b: &str) -> Ordering {
    parse_time(a).cmp(&parse_time(b)).then_with(|| match parse_time(a) {
        None => a.cmp(b),
        Some(_) => Ordering::Equal,
    })
}

/// Seconds east of UTC of a time zone's name, if this node knows it.
#[must_use]
pub fn zone_offset(name: &str) -> Option<i64> {
    if ["system", "utc", "gmt", "etc/utc"].contains(&name.to_ascii_lowercase().as_str()) {
        return Some(0);
    }
    let sign = match name.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (hours, minutes) = name.get(1..)?.split_once(':')?;
    let (hours, minutes): (i64, i64) = (hours.parse().ok()?, minutes.parse().ok()?);
    (hours <= 14 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}

/// The text of a moment, moved by an offset of seconds, with as many digits as it had.
#[must_use]
pub fn shift_text(text: &str, seconds: i64) -> Option<String> {
    let digits = text.split_once('.').map_or(0, |(_, fraction)| fraction.len());
    let value = DateTime::parse(text)?;
    if value.has_zero() {
        return Some(text.to_owned());
    }
    let moved = DateTime::from_micros(value.micros() + seconds * MICROS_PER_SECOND);
    Some(moved.text(u8::try_from(digits).unwrap_or(6)))
}

/// Days since 1970-01-01 of a date of the Gregorian calendar.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn civil_from_days(days: i64) -> DateTime {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let part = (5 * of_year + 2) / 153;
    let month = if part < 10 { part + 3 } else { part - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    DateTime { year, month, day: of_year - (153 * part + 2) / 5 + 1, ..DateTime::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spellings_of_a_moment_are_read() {
        for text in ["2024-02-29 13:04:05", "2024-2-29T13:4:5", "20240229130405", "24-02-29 13:04:05"] {
            assert_eq!(DateTime::parse(text).unwrap().text(0), "2024-02-29 13:04:05", "{text}");
        }
        for text in [
            "2024:02:29 13-04-05",
            "2024@02@29  13*04*05",
            "2024^02^29^13^04^05",
            "20240229T130405",
            "2024.02.29 13.04.05",
        ] {
            assert_eq!(DateTime::parse(text).unwrap().text(0), "2024-02-29 13:04:05", "{text}");
        }
        assert_eq!(DateTime::parse("1-1-1").unwrap().date_text(), "0001-01-01");
        assert_eq!(DateTime::parse("15:04:05").unwrap().date_text(), "2015-04-05");
        for text in [
            "2023-02-29",
            "2024-13-01",
            "hello",
            "2024-01-01 25:00:00",
            "2024-01-01x",
            "2024::01::02",
            "2024 01 02",
            "2024-01- 02",
            "2024\u{e9}01\u{e9}02",
            "-2024-01-02",
            "2024-1",
            "2024.1",
        ] {
            assert_eq!(DateTime::parse(text), None, "{text}");
        }
        assert_eq!(
            DateTime::parse("2024-01-01 00:00:00.1234567").unwrap().text(6),
            "2024-01-01 00:00:00.123457"
        );
        assert_eq!(DateTime::parse("1999-12-31 23:59:59.9").unwrap().round(0).text(0), "2000-01-01 00:00:00");
    }

    #[test]
    fn the_calendar_goes_there_and_back() {
        for days in (-719_000..2_900_000).step_by(997) {
            assert_eq!(civil_from_days(days).days(), days);
        }
        assert_eq!(DateTime::parse("2024-01-31").unwrap().add_months(1).date_text(), "2024-02-29");
    }

    #[test]
    fn times_are_signed_and_long() {
        assert_eq!(clock_text(parse_time("-838:59:59").unwrap(), 0), "-838:59:59");
        assert_eq!(clock_text(parse_time("1 02:00:00.5").unwrap(), 1), "26:00:00.5");
        assert_eq!(clock_text(parse_time("2024:01:02 03:04:05").unwrap(), 0), "03:04:05");
        assert_eq!(clock_text(parse_time("101112").unwrap(), 0), "10:11:12");
        assert_eq!(compare_time_text("-01:00:00", "00:00:01"), Ordering::Less);
        assert_eq!(compare_time_text("100:00:00", "99:00:00"), Ordering::Greater);
        assert_eq!(zone_offset("+05:30"), Some(19_800));
        assert_eq!(shift_text("2024-01-01 00:00:00.5", -3600).unwrap(), "2023-12-31 23:00:00.5");
    }
}
