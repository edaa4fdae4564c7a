//! MySQL's functions of dates and times as functions of SQLite.

use rusqlite::{Connection, Result};

use super::conditions::{incorrect, moment_of, overflow};
use super::date_format;
use super::decimal::Decimal;
use super::functions::{PURE, text_of};
use super::number::Number;
use super::temporal::{self, DateTime};

const DAYS_FROM_YEAR_0: i64 = 719_528;
/// 0 is Monday.
fn weekday(moment: &DateTime) -> i64 {
    (moment.days() + 3).rem_euclid(7)
}

fn day_of_year(moment: &DateTime) -> i64 {
    moment.days() - DateTime { year: moment.year, month: 1, day: 1, ..DateTime::default() }.days() + 1
}

/// A part of a moment, by MySQL's word for it.
fn field(moment: &DateTime, name: &str) -> Option<i64> {
    Some(match name {
        "YEAR" => moment.year,
        "QUARTER" => (moment.month + 2) / 3,
        "MONTH" => moment.month,
        "DAY" => moment.day,
        "HOUR" => moment.hour,
        "MINUTE" => moment.minute,
        "SECOND" => moment.second,
        "MICROSECOND" => moment.micro,
        "DAYOFWEEK" => (weekday(moment) + 1) % 7 + 1,
        "WEEKDAY" => weekday(moment),
        "DAYOFYEAR" => day_of_year(moment),
        "TO_DAYS" => moment.days() + DAYS_FROM_YEAR_0,
        _ => return None,
    })
}

/// A TIME in microseconds.
fn clock_of(text: &str) -> Option<i64> {
    temporal::parse_time(text).or_else(|| incorrect("time", text))
}

pub(super) fn register(conn: &Connection) -> Result<()> {
    conn.create_scalar_function("my_field", 2, PURE, |ctx| {
        let (Some(text), name) = (text_of(ctx.get_raw(0)), ctx.get::<String>(1)?) else { return Ok(None) };
        // a minus in front is the sign of a time, one further on is in a date
        let is_time = !text.trim_start().trim_start_matches('-').contains('-');
        if is_time && ["HOUR", "MINUTE", "SECOND", "MICROSECOND"].contains(&name.as_str()) {
            let micros = clock_of(&text).map(i64::abs);
            return Ok(micros.map(|m| match name.as_str() {
                "HOUR" => m / 3_600_000_000,
                "MINUTE" => m / 60_000_000 % 60,
                "SECOND" => m / 1_000_000 % 60,
                _ => m % 1_000_000,
            }));
        }
        Ok(moment_of(&text).and_then(|moment| field(&moment, &name)))
    })?;
    // my_date_add(text, amount, unit, sign): amount in microseconds or months, see `interval`.
    conn.create_scalar_function("my_date_add", 4, PURE, |ctx| {
        let (Some(text), Some(amount)) = (text_of(ctx.get_raw(0)), text_of(ctx.get_raw(1))) else {
            return Ok(None);
        };
        let (unit, sign) = (ctx.get::<String>(2)?, ctx.get::<i64>(3)?);
        Ok(add(&text, &amount, &unit, sign))
    })?;
    // my_time_add(time, amount, unit, sign, digits)
    conn.create_scalar_function("my_time_add", 5, PURE, |ctx| {
        let (Some(text), Some(amount)) = (text_of(ctx.get_raw(0)), text_of(ctx.get_raw(1))) else {
            return Ok(None);
        };
        let (unit, sign, digits) = (ctx.get::<String>(2)?, ctx.get::<i64>(3)?, ctx.get::<u8>(4)?);
        let moved = clock_of(&text).and_then(|micros| add_time(micros, &amount, &unit, sign));
        Ok(moved.map(|micros| temporal::clock_text(micros, digits)))
    })?;
    // my_on_day(time, date, digits)
    conn.create_scalar_function("my_on_day", 3, PURE, |ctx| {
        let micros = text_of(ctx.get_raw(0)).and_then(|t| clock_of(&t));
        let day = text_of(ctx.get_raw(1)).and_then(|t| moment_of(&t));
        let digits: u8 = ctx.get(2)?;
        let moment = |(micros, day): (i64, DateTime)| DateTime::from_micros(day.micros() + micros);
        Ok(micros.zip(day).map(moment).map(|moment| moment.round(digits).text(digits)))
    })?;
    conn.create_scalar_function("my_datediff", 2, PURE, |ctx| {
        let moment = |at| text_of(ctx.get_raw(at)).and_then(|t| moment_of(&t));
        Ok(moment(0).zip(moment(1)).map(|(a, b)| a.days() - b.days()))
    })?;
    conn.create_scalar_function("my_timestampdiff", 3, PURE, |ctx| {
        let moment = |at| text_of(ctx.get_raw(at)).and_then(|t| moment_of(&t));
        let unit = ctx.get::<String>(0)?;
        Ok(moment(1).zip(moment(2)).and_then(|(a, b)| difference(&a, &b, &unit)))
    })?;
    seconds_and_texts(conn)
}

/// Seconds since 1970, and moments as texts.
fn seconds_and_texts(conn: &Connection) -> Result<()> {
    // my_unix(text, zone offset)
    conn.create_scalar_function("my_unix", 2, PURE, |ctx| {
        let offset: i64 = ctx.get(1)?;
        Ok(text_of(ctx.get_raw(0)).and_then(|t| moment_of(&t)).map(|moment| {
            let micros = moment.micros() - offset * 1_000_000;
            match micros % 1_000_000 {
                0 => rusqlite::types::Value::Integer((micros / 1_000_000).max(0)),
                rest => rusqlite::types::Value::Text(format!("{}.{rest:06}", micros / 1_000_000)),
            }
        }))
    })?;
    conn.create_scalar_function("my_from_unix", 2, PURE, |ctx| {
        let offset: i64 = ctx.get(1)?;
        let Some(number) = Number::of(ctx.get_raw(0)) else { return Ok(None) };
        let micros =
            number.to_decimal().multiply(&1_000_000.into()).rounded().and_then(|m| i64::try_from(m).ok());
        Ok(micros.map(|m| {
            let digits = if m % 1_000_000 == 0 { 0 } else { 6 };
            DateTime::from_micros(m + offset * 1_000_000).text(digits)
        }))
    })?;
    conn.create_scalar_function("my_date_format", 2, PURE, |ctx| {
        let moment = text_of(ctx.get_raw(0)).and_then(|t| moment_of(&t));
        let given = moment.zip(text_of(ctx.get_raw(1)));
        Ok(given.and_then(|(moment, pattern)| date_format::format(&moment, &pattern)))
    })?;
    conn.create_scalar_function("my_time_format", 2, PURE, |ctx| {
        let given = text_of(ctx.get_raw(0)).and_then(|t| clock_of(&t)).zip(text_of(ctx.get_raw(1)));
        Ok(given.and_then(|(micros, pattern)| date_format::format_time(micros, &pattern)))
    })?;
    conn.create_scalar_function("my_last_day", 1, PURE, |ctx| {
        let moment = text_of(ctx.get_raw(0)).and_then(|t| moment_of(&t)).filter(|m| m.month > 0);
        Ok(moment.map(|m| DateTime { day: temporal::month_days(m.year, m.month), ..m }.date_text()))
    })
}

fn difference(a: &DateTime, b: &DateTime, unit: &str) -> Option<i64> {
    let micros = b.micros() - a.micros();
    let months = {
        let whole = (b.year - a.year) * 12 + b.month - a.month;
        let (from, to) = ((a.day, a.clock()), (b.day, b.clock()));
        match micros >= 0 {
            true => whole - i64::from(to < from),
            false => whole + i64::from(to > from),
        }
    };
    Some(match unit {
        "MONTH" => months,
        "QUARTER" => months / 3,
        "YEAR" => months / 12,
        _ => micros / unit_micros(unit)?,
    })
}

fn unit_micros(unit: &str) -> Option<i64> {
    Some(match unit {
        "MICROSECOND" => 1,
        "SECOND" => 1_000_000,
        "MINUTE" => 60_000_000,
        "HOUR" => 3_600_000_000,
        "DAY" => 86_400_000_000,
        "WEEK" => 604_800_000_000,
        _ => return None,
    })
}

/// An amount of whole units, rounded.
fn whole(amount: &str) -> Option<i64> {
    i64::try_from(Decimal::parse(amount.trim())?.rounded()?).ok()
}

/// An interval of a fixed length in microseconds.
fn step(amount: &str, unit: &str, sign: i64) -> Option<i64> {
    let size = unit_micros(unit)?;
    let micros = match unit {
        "SECOND" => {
            i64::try_from(Decimal::parse(amount.trim())?.multiply(&1_000_000.into()).rounded()?).ok()?
        }
        _ => whole(amount)?.checked_mul(size)?,
    };
    micros.checked_mul(sign)
}

/// A TIME moved by an interval; none beyond what a TIME holds, and for units that it has not.
fn add_time(micros: i64, amount: &str, unit: &str, sign: i64) -> Option<i64> {
    let moved = match unit {
        "WEEK" => None,
        _ => step(amount, unit, sign).and_then(|step| micros.checked_add(step)),
    };
    let fits = |micros: &i64| micros.unsigned_abs() < temporal::MAX_TIME_MICROS.unsigned_abs() + 1_000_000;
    moved.filter(fits).or_else(|| overflow("time"))
}

/// A moment moved by an interval; a date stays a date if only days are added.
fn add(text: &str, amount: &str, unit: &str, sign: i64) -> Option<String> {
    let moment = moment_of(text)?;
    if moment.has_zero() {
        return incorrect("datetime", text);
    }
    let months = |each: i64| whole(amount)?.checked_mul(sign)?.checked_mul(each);
    let moved = match unit {
        "MONTH" => moment.add_months(months(1)?),
        "QUARTER" => moment.add_months(months(3)?),
        "YEAR" => moment.add_months(months(12)?),
        _ => DateTime::from_micros(moment.micros().checked_add(step(amount, unit, sign)?)?),
    };
    if !(0..=9999).contains(&moved.year) {
        return overflow("datetime");
    }
    let only_date = temporal::is_date(text.trim());
    if only_date && ["DAY", "WEEK", "MONTH", "QUARTER", "YEAR"].contains(&unit) {
        return Some(moved.date_text());
    }
    let digits = text.split_once('.').map_or(0, |(_, fraction)| fraction.len().min(6));
    let digits = u8::try_from(digits).unwrap_or(6);
    // As many digits as there were, unless the interval brought finer ones.
    Some(moved.text(if moved.round(digits) == moved { digits } else { 6 }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_move_moments() {
        assert_eq!(add("2024-01-31", "1", "MONTH", 1).unwrap(), "2024-02-29");
        assert_eq!(add("2024-03-01", "1", "DAY", -1).unwrap(), "2024-02-29");
        assert_eq!(add("2024-03-01", "90", "MINUTE", 1).unwrap(), "2024-03-01 01:30:00");
        assert_eq!(add("2024-03-01 00:00:00", "1.5", "SECOND", 1).unwrap(), "2024-03-01 00:00:01.500000");
        assert_eq!(add("9999-12-31", "1", "DAY", 1), None);
    }
}
