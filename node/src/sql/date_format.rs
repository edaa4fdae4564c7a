//! DATE_FORMAT: what each letter behind a `%` prints.
//!
//! Of a date that no calendar has (month or day 0), some letters have nothing to say; then the whole text is NULL, as in MariaDB.
//! A TIME has no date: its years and days are zeros, its hours may be more than a day, and its sign comes first.

use std::fmt::Write;

use super::temporal::{self, DateTime};

const MICROS_PER_SECOND: i64 = 1_000_000;
const DAYS_PER_WEEK: i64 = 7;
const WEEKDAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// Where the weeks of a year begin and which is the first.
#[derive(Clone, Copy)]
struct Weeks {
    /// Monday is the first day of a week, not Sunday.
    from_monday: bool,
    /// Days before the first week belong to the last week of the year before, not to a week 0.
    none_is_zero: bool,
    /// The first week is the one in which the year's first such day is, not the one with most of its days.
    first_day_first: bool,
}

/// %U, %u, %V and %v; MariaDB's week modes 0, 1, 2 and 3.
const SUNDAYS: Weeks = Weeks { from_monday: false, none_is_zero: false, first_day_first: true };
const MONDAYS: Weeks = Weeks { from_monday: true, none_is_zero: false, first_day_first: false };
const SUNDAYS_OF_YEAR: Weeks = Weeks { none_is_zero: true, ..SUNDAYS };
const MONDAYS_OF_YEAR: Weeks = Weeks { none_is_zero: true, ..MONDAYS };

/// Days since 1970-01-01; the day 0 of a month is the last one of the month before.
fn day_number(year: i64, month: i64, day: i64) -> i64 {
    DateTime { year, month, day: 1, ..DateTime::default() }.days() + day - 1
}

fn days(moment: &DateTime) -> i64 {
    day_number(moment.year, moment.month, moment.day)
}

/// 0 is Monday, or Sunday.
fn weekday(days: i64, from_sunday: bool) -> i64 {
    (days + 3 + i64::from(from_sunday)).rem_euclid(DAYS_PER_WEEK)
}

/// The week of a moment, and the year that it belongs to.
fn week(moment: &DateTime, weeks: Weeks) -> (i64, i64) {
    let Weeks { from_monday, none_is_zero, first_day_first } = weeks;
    let today = days(moment);
    let mut year = moment.year;
    let mut first = day_number(year, 1, 1);
    let mut first_weekday = weekday(first, !from_monday);
    let late = |weekday: i64| (first_day_first && weekday != 0) || (!first_day_first && weekday >= 4);
    let mut of_year = none_is_zero;
    if moment.month == 1 && moment.day <= DAYS_PER_WEEK - first_weekday {
        if !of_year && late(first_weekday) {
            return (0, year);
        }
        of_year = true;
        year -= 1;
        let length = first - day_number(year, 1, 1);
        first -= length;
        first_weekday = (first_weekday + 53 * DAYS_PER_WEEK - length).rem_euclid(DAYS_PER_WEEK);
    }
    let since = match late(first_weekday) {
        true => today - (first + DAYS_PER_WEEK - first_weekday),
        false => today - (first - first_weekday),
    };
    if of_year && since >= 52 * DAYS_PER_WEEK {
        let length = day_number(year + 1, 1, 1) - day_number(year, 1, 1);
        let next = (first_weekday + length) % DAYS_PER_WEEK;
        if !late(next) {
            return (1, year + 1);
        }
    }
    (since / DAYS_PER_WEEK + 1, year)
}

fn ordinal(day: i64) -> String {
    let end = match (day, day % 10) {
        (10..=19, _) => "th",
        (_, 1) => "st",
        (_, 2) => "nd",
        (_, 3) => "rd",
        _ => "th",
    };
    format!("{day}{end}")
}

fn name(names: &[&'static str], at: i64) -> Option<&'static str> {
    names.get(usize::try_from(at).ok()?).copied()
}

/// A moment in this format; none if the format asks for what the moment has not, or for nothing.
pub(super) fn format(moment: &DateTime, pattern: &str) -> Option<String> {
    written(moment, false, false, pattern)
}

/// A TIME in this format.
pub(super) fn format_time(micros: i64, pattern: &str) -> Option<String> {
    let (seconds, micro) = (micros.abs() / MICROS_PER_SECOND, micros.abs() % MICROS_PER_SECOND);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let moment = DateTime { hour, minute, second, micro, ..DateTime::default() };
    written(&moment, true, micros < 0, pattern)
}

fn written(moment: &DateTime, is_time: bool, negative: bool, pattern: &str) -> Option<String> {
    if pattern.is_empty() {
        return None;
    }
    let mut out = String::with_capacity(pattern.len() * 2);
    if negative {
        out.push('-');
    }
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match (c, chars.clone().next()) {
            ('%', Some(letter)) => {
                chars.next();
                if !clock_part(&mut out, moment, letter) {
                    date_part(&mut out, moment, is_time, letter)?;
                }
            }
            _ => out.push(c),
        }
    }
    Some(out)
}

/// Prints what a letter has of the time of day; false if it is none of these.
fn clock_part(out: &mut String, moment: &DateTime, letter: char) -> bool {
    let hour12 = (moment.hour + 11) % 12 + 1;
    let half = if moment.hour % 24 < 12 { "AM" } else { "PM" };
    let printed = match letter {
        'H' => write!(out, "{:02}", moment.hour),
        'k' => write!(out, "{}", moment.hour),
        'h' | 'I' => write!(out, "{hour12:02}"),
        'l' => write!(out, "{hour12}"),
        'i' => write!(out, "{:02}", moment.minute),
        's' | 'S' => write!(out, "{:02}", moment.second),
        'f' => write!(out, "{:06}", moment.micro),
        'p' => out.write_str(half),
        'T' => out.write_str(&temporal::clock_text(moment.clock(), 0)),
        'r' => write!(out, "{hour12:02}:{:02}:{:02} {half}", moment.minute, moment.second),
        _ => return false,
    };
    printed.is_ok()
}

/// Prints what a letter has of the date; none if the date has none of that. An unknown letter stands for itself.
fn date_part(out: &mut String, moment: &DateTime, is_time: bool, letter: char) -> Option<()> {
    let calendar = !is_time && (moment.year != 0 || moment.month != 0);
    let weekday_of = |from_sunday| calendar.then(|| weekday(days(moment), from_sunday));
    let week_of = |weeks| (!is_time && moment.month != 0).then(|| week(moment, weeks));
    match letter {
        'Y' => write!(out, "{:04}", moment.year),
        'y' => write!(out, "{:02}", moment.year % 100),
        'm' => write!(out, "{:02}", moment.month),
        'c' => write!(out, "{}", moment.month),
        'M' => out.write_str(name(&MONTHS, moment.month - 1)?),
        'b' => out.write_str(name(&MONTHS, moment.month - 1)?.get(..3)?),
        'd' => write!(out, "{:02}", moment.day),
        'e' => write!(out, "{}", moment.day),
        'D' if is_time => return None,
        'D' => out.write_str(&ordinal(moment.day)),
        'j' if moment.year == 0 || moment.month == 0 => return None,
        'j' => write!(out, "{:03}", days(moment) - day_number(moment.year, 1, 1) + 1),
        'W' => out.write_str(name(&WEEKDAYS, weekday_of(false)?)?),
        'a' => out.write_str(name(&WEEKDAYS, weekday_of(false)?)?.get(..3)?),
        'w' => write!(out, "{}", weekday_of(true)?),
        'U' => write!(out, "{:02}", week_of(SUNDAYS)?.0),
        'u' => write!(out, "{:02}", week_of(MONDAYS)?.0),
        'V' => write!(out, "{:02}", week_of(SUNDAYS_OF_YEAR)?.0),
        'v' => write!(out, "{:02}", week_of(MONDAYS_OF_YEAR)?.0),
        'X' => write!(out, "{:04}", week_of(SUNDAYS_OF_YEAR)?.1),
        'x' => write!(out, "{:04}", week_of(MONDAYS_OF_YEAR)?.1),
        other => write!(out, "{other}"),
    }
    .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_formatted() {
        let moment = DateTime::parse("2024-02-09 15:04:05.000007").unwrap();
        assert_eq!(
            format(&moment, "%Y-%m-%d %H:%i:%s.%f %W %b %l%p %j %% %q %").unwrap(),
            "2024-02-09 15:04:05.000007 Friday Feb 3PM 040 % q %"
        );
    }

    #[test]
    fn weeks_are_those_of_mariadb() {
        for (date, wanted) in [
            ("2024-12-30", "52 53 52 01 2024 2025 30th"),
            ("2023-01-01", "01 00 01 52 2023 2022 1st"),
            ("2021-01-03", "01 00 01 53 2021 2020 3rd"),
            ("2016-01-01", "00 00 52 53 2015 2015 1st"),
            ("2020-12-31", "52 53 52 53 2020 2020 31st"),
        ] {
            let moment = DateTime::parse(date).unwrap();
            assert_eq!(format(&moment, "%U %u %V %v %X %x %D").unwrap(), wanted, "{date}");
        }
    }

    #[test]
    fn times_are_formatted_without_a_date() {
        let time = |text, pattern| format_time(temporal::parse_time(text).unwrap(), pattern);
        assert_eq!(time("-01:30:00", "%H:%i").unwrap(), "-01:30");
        assert_eq!(time("100:05:06", "%k|%h|%p|%T|%Y-%m-%d").unwrap(), "100|04|AM|100:05:06|0000-00-00");
        assert_eq!(time("01:00:00", "%W"), None);
        assert_eq!(time("01:00:00", ""), None);
    }
}
