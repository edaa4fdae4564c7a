//! A value on its way into a column: checked and brought into stored form, or refused as MySQL's strict mode does.
//!
//! Invariant: two values that are equal to the column's type have one stored form (decimals and times have a
//! fixed number of digits, CHAR has no trailing spaces), so that replicas hold the same bytes.

use rusqlite::types::{Value as Stored, ValueRef};

use super::decimal::Decimal;
use super::members;
use super::number::{Number, double_text, float_text, great_int, int_stored, moment_number};
use super::temporal::{self, DateTime};
use super::types::{ColumnType, Kind};
use crate::SqlError;
use crate::storage::definition::ColumnDef;

/// What coercion must know of the session and the row.
#[derive(Clone, Copy, Debug)]
pub struct Context {
    /// Seconds east of UTC of the session's time zone.
    pub zone_offset: i64,
    /// The row of the statement, from 1, for messages.
    pub row: u64,
    /// Whether `sql_mode` lets dates be zero.
    pub zero_dates: bool,
}

impl Context {
    fn out_of_range(&self, column: &ColumnDef) -> SqlError {
        SqlError::new(
            1264,
            "22003",
            format!("Out of range value for column '{}' at row {}", column.name, self.row),
        )
    }

    fn too_long(&self, column: &ColumnDef) -> SqlError {
        SqlError::new(
            1406,
            "22001",
            format!("Data too long for column '{}' at row {}", column.name, self.row),
        )
    }

    fn truncated(&self, column: &ColumnDef) -> SqlError {
        SqlError::new(
            1265,
            "01000",
            format!("Data truncated for column '{}' at row {}", column.name, self.row),
        )
    }

    fn incorrect(&self, column: &ColumnDef, what: &str, value: &str) -> SqlError {
        let code = if ["date", "datetime", "time"].contains(&what) { 1292 } else { 1366 };
        let state = if code == 1292 { "22007" } else { "HY000" };
        let name = &column.name;
        SqlError::new(
            code,
            state,
            format!("Incorrect {what} value: '{value}' for column '{name}' at row {}", self.row),
        )
    }
}

/// Brings a value of this kind into the column's stored form. NULL passes; whether it may is asked elsewhere.
pub fn coerce(column: &ColumnDef, value: Stored, kind: Kind, context: &Context) -> Result<Stored, SqlError> {
    if value == Stored::Null {
        return Ok(value);
    }
    match &column.ty {
        ColumnType::Int { .. } | ColumnType::Year => integer(column, &value, kind, context),
        ColumnType::Decimal { .. } => decimal(column, &value, kind, context),
        ColumnType::Float { unsigned } | ColumnType::Double { unsigned } => {
            let x = number(column, "double", &value, kind, context)?.to_f64();
            float(column, x, *unsigned, context)
        }
        ColumnType::Char(_)
        | ColumnType::VarChar(_)
        | ColumnType::Text(_)
        | ColumnType::Enum(_)
        | ColumnType::Set(_)
        | ColumnType::Json => text(column, value, kind, context),
        ColumnType::Binary(_) | ColumnType::VarBinary(_) | ColumnType::Blob(_) => {
            binary(column, value, kind, context)
        }
        ColumnType::Date | ColumnType::DateTime(_) | ColumnType::Timestamp(_) => {
            moment(column, &value, kind, context)
        }
        ColumnType::Time(digits) => time(column, *digits, &value, kind, context),
    }
}

/// The text of a value, as MySQL converts it.
#[must_use]
pub fn to_text(value: &Stored, kind: Kind) -> String {
    match (value, kind) {
        (Stored::Null, _) => String::new(),
        (Stored::Integer(n), _) => n.to_string(),
        #[allow(clippy::cast_possible_truncation)] // a FLOAT's REAL came from four bytes
        (Stored::Real(x), Kind::Float) => float_text(*x as f32),
        (Stored::Real(x), _) => double_text(*x),
        (Stored::Text(text), _) => text.clone(),
        (Stored::Blob(bytes), Kind::Int { .. }) => great_int(bytes).unwrap_or(0).to_string(),
        (Stored::Blob(bytes), _) => String::from_utf8_lossy(bytes).into_owned(),
    }
}

fn number(
    column: &ColumnDef,
    what: &str,
    value: &Stored,
    kind: Kind,
    context: &Context,
) -> Result<Number, SqlError> {
    match kind {
        Kind::Text(_) | Kind::Binary => {
            let text = to_text(value, kind);
            let (found, rest) = Decimal::parse_prefix(text.trim());
            match found {
                Some(number) if rest.is_empty() => Ok(Number::Decimal(number)),
                Some(_) => Err(context.truncated(column)),
                None => Err(context.incorrect(column, what, &text)),
            }
        }
        Kind::Date | Kind::DateTime(_) | Kind::Time(_) => {
            Ok(Number::Decimal(moment_number(&to_text(value, kind))))
        }
        _ => Ok(Number::of(ValueRef::from(value)).unwrap_or(Number::Int(0))),
    }
}

fn integer(column: &ColumnDef, value: &Stored, kind: Kind, context: &Context) -> Result<Stored, SqlError> {
    let number = number(column, "integer", value, kind, context)?;
    // A moment loses its fraction, a number is rounded.
    let whole = if kind.is_temporal() { number.to_decimal().truncate(0).rounded() } else { number.to_int() };
    let n = whole.ok_or_else(|| context.out_of_range(column))?;
    if column.ty == ColumnType::Year {
        let year = match (n, kind) {
            (0, Kind::Text(_)) => 2000,
            (1..=69, _) => n + 2000,
            (70..=99, _) => n + 1900,
            _ => n,
        };
        return match year {
            0 | 1901..=2155 => int_stored(year).ok_or_else(|| context.out_of_range(column)),
            _ => Err(context.out_of_range(column)),
        };
    }
    match column.ty.integer_range() {
        Some((low, high)) if (low..=high).contains(&n) => {
            int_stored(n).ok_or_else(|| context.out_of_range(column))
        }
        _ => Err(context.out_of_range(column)),
    }
}

fn decimal(column: &ColumnDef, value: &Stored, kind: Kind, context: &Context) -> Result<Stored, SqlError> {
    let ColumnType::Decimal { precision, scale, unsigned } = column.ty else {
        return Err(SqlError::internal("a decimal's column is no decimal"));
    };
    let exact = number(column, "decimal", value, kind, context)?.to_decimal().rescale(usize::from(scale));
    let whole = usize::from(precision.saturating_sub(scale));
    if exact.whole_digits() > whole || (unsigned && exact.is_negative()) {
        return Err(context.out_of_range(column));
    }
    Ok(Stored::Text(exact.to_string()))
}

fn float(column: &ColumnDef, x: f64, unsigned: bool, context: &Context) -> Result<Stored, SqlError> {
    let rounded = match column.ty {
        #[allow(clippy::cast_possible_truncation)] // FLOAT has four bytes; that is what rounding to it means
        ColumnType::Float { .. } => f64::from(x as f32),
        _ => x,
    };
    if !rounded.is_finite() || (unsigned && rounded < 0.0) {
        return Err(context.out_of_range(column));
    }
    // Negative zero is stored as zero: the two are equal, and replicas are to hold equal bytes.
    Ok(Stored::Real(if rounded == 0.0 { 0.0 } else { rounded }))
}

fn text(column: &ColumnDef, value: Stored, kind: Kind, context: &Context) -> Result<Stored, SqlError> {
    let text = match value {
        Stored::Text(text) => text,
        Stored::Blob(bytes) if kind == Kind::Binary => String::from_utf8(bytes).map_err(|bad| {
            let start = bad.utf8_error().valid_up_to();
            let shown: String =
                bad.as_bytes()[start..].iter().take(4).map(|byte| format!("\\x{byte:02X}")).collect();
            context.incorrect(column, "string", &shown)
        })?,
        other => to_text(&other, kind),
    };
    if let Some(foreign) = text.chars().find(|c| u32::from(*c) > last_character(column)) {
        let bytes = foreign.to_string().into_bytes();
        let shown: String = bytes.iter().map(|byte| format!("\\x{byte:02X}")).collect();
        return Err(context.incorrect(column, "string", &shown));
    }
    match &column.ty {
        ColumnType::Char(limit) => limited(column, text.trim_end_matches(' ').to_owned(), *limit, context),
        ColumnType::VarChar(limit) => limited(column, text, *limit, context),
        ColumnType::Text(size) => match u32::try_from(text.len()) {
            Ok(length) if length <= size.limit() => Ok(Stored::Text(text)),
            _ => Err(context.too_long(column)),
        },
        ColumnType::Json => match serde_json::from_str::<serde::de::IgnoredAny>(&text) {
            Ok(_) => Ok(Stored::Text(text)),
            Err(e) => Err(SqlError::new(
                3140,
                "22032",
                format!("Invalid JSON text: \"{e}\" in value for column '{}'", column.name),
            )),
        },
        ColumnType::Enum(labels) => members::one_of(labels, &text, kind, column.ordering())
            .map(Stored::Text)
            .ok_or_else(|| context.truncated(column)),
        ColumnType::Set(labels) => members::some_of(labels, &text, kind, column.ordering())
            .map(Stored::Text)
            .ok_or_else(|| context.truncated(column)),
        _ => Ok(Stored::Text(text)),
    }
}

/// The greatest code point that the column's character set has.
fn last_character(column: &ColumnDef) -> u32 {
    match column.collation.split('_').next() {
        Some("ascii") => 0x7F,
        Some("utf8mb3") => 0xFFFF,
        _ => u32::from(char::MAX),
    }
}

fn limited(column: &ColumnDef, mut text: String, limit: u32, context: &Context) -> Result<Stored, SqlError> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    if text.len() > limit
        && let Some((end, _)) = text.char_indices().nth(limit)
    {
        // Spaces that do not fit are cut without a word, as in MySQL.
        if !text[end..].bytes().all(|b| b == b' ') {
            return Err(context.too_long(column));
        }
        text.truncate(end);
    }
    Ok(Stored::Text(text))
}

fn binary(column: &ColumnDef, value: Stored, kind: Kind, context: &Context) -> Result<Stored, SqlError> {
    let mut bytes = match value {
        Stored::Blob(bytes) if kind == Kind::Binary => bytes,
        other => to_text(&other, kind).into_bytes(),
    };
    let limit = match column.ty {
        ColumnType::Binary(limit) | ColumnType::VarBinary(limit) => limit,
        ColumnType::Blob(size) => size.limit(),
        _ => u32::MAX,
    };
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    if bytes.len() > limit {
        return Err(context.too_long(column));
    }
    if matches!(column.ty, ColumnType::Binary(_)) {
        bytes.resize(limit, 0);
    }
    Ok(Stored::Blob(bytes))
}

fn moment(column: &ColumnDef, value: &Stored, kind: Kind, context: &Context) -> Result<Stored, SqlError> {
    let text = match kind {
        Kind::Time(_) => {
            let micros = temporal::parse_time(&to_text(value, kind)).unwrap_or(0);
            let midnight = DateTime { hour: 0, minute: 0, second: 0, micro: 0, ..DateTime::now() };
            DateTime::from_micros(midnight.micros() + micros).text(6)
        }
        _ => to_text(value, kind),
    };
    let what = if column.ty == ColumnType::Date { "date" } else { "datetime" };
    let moment = DateTime::parse(&text).ok_or_else(|| context.incorrect(column, what, &text))?;
    if moment.has_zero() && !context.zero_dates {
        return Err(context.incorrect(column, what, &text));
    }
    let stored = match column.ty {
        ColumnType::DateTime(digits) => moment.round(digits).text(digits),
        ColumnType::Timestamp(digits) => {
            let rounded = moment.round(digits);
            let utc = DateTime::from_micros(rounded.micros() - context.zone_offset * 1_000_000);
            let range = 1_000_000..2_147_483_648_000_000;
            if moment.has_zero() || !range.contains(&utc.micros()) {
                return Err(context.incorrect(column, "datetime", &text));
            }
            utc.text(digits)
        }
        _ => moment.date_text(),
    };
    Ok(Stored::Text(stored))
}

fn time(
    column: &ColumnDef,
    digits: u8,
    value: &Stored,
    kind: Kind,
    context: &Context,
) -> Result<Stored, SqlError> {
    let text = to_text(value, kind);
    let micros = temporal::parse_time(&text).ok_or_else(|| context.incorrect(column, "time", &text))?;
    let rounded = temporal::round_time(micros, digits);
    if rounded.abs() > temporal::MAX_TIME_MICROS {
        return Err(context.incorrect(column, "time", &text));
    }
    Ok(Stored::Text(temporal::clock_text(rounded, digits)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::collation::Collation;
    use crate::sql::types::Size;
    use crate::storage::definition::DefaultValue;

    fn put(ty: ColumnType, value: &str) -> Result<Stored, u16> {
        put_kind(ty, Stored::Text(value.into()), Kind::TEXT)
    }

    fn put_kind(ty: ColumnType, value: Stored, kind: Kind) -> Result<Stored, u16> {
        let column = ColumnDef {
            name: "c".into(),
            ty,
            nullable: true,
            default: DefaultValue::None,
            on_update_now: false,
            auto_increment: false,
            collation: Collation::GeneralCi.name().into(),
            comment: String::new(),
        };
        coerce(&column, value, kind, &Context { zone_offset: 3600, row: 1, zero_dates: false })
            .map_err(|e| e.code)
    }

    fn text(text: &str) -> Result<Stored, u16> {
        Ok(Stored::Text(text.into()))
    }

    #[test]
    fn ranges_and_lengths_are_enforced() {
        let tiny = ColumnType::Int { bytes: 1, unsigned: false, display: None };
        assert_eq!(put(tiny.clone(), "-128"), Ok(Stored::Integer(-128)));
        assert_eq!(put(tiny.clone(), "128"), Err(1264));
        assert_eq!(put(tiny.clone(), "x"), Err(1366));
        assert_eq!(put(tiny, "1x"), Err(1265));
        let big = ColumnType::Int { bytes: 8, unsigned: true, display: None };
        assert_eq!(put(big, "18446744073709551615"), Ok(Stored::Blob(vec![255; 8])));
        assert_eq!(put(ColumnType::VarChar(2), "äöü"), Err(1406));
        assert_eq!(put(ColumnType::VarChar(2), "äö  "), text("äö"));
        assert_eq!(put(ColumnType::Char(5), "ab  "), text("ab"));
        assert_eq!(put(ColumnType::Text(Size::Tiny), &"x".repeat(256)), Err(1406));
        assert_eq!(put(ColumnType::Json, "{\"a\":1}"), text("{\"a\":1}"));
        assert_eq!(put(ColumnType::Json, "{"), Err(3140));
    }

    #[test]
    fn decimals_and_times_have_one_form() {
        let money = ColumnType::Decimal { precision: 6, scale: 2, unsigned: false };
        assert_eq!(put(money.clone(), "1.005"), text("1.01"));
        assert_eq!(put_kind(money.clone(), Stored::Real(0.1), Kind::Double), text("0.10"));
        assert_eq!(put(money, "10000"), Err(1264));
        assert_eq!(put(ColumnType::DateTime(3), "2024-01-02T03:04:05.6789"), text("2024-01-02 03:04:05.679"));
        assert_eq!(put(ColumnType::Timestamp(0), "2024-01-02 00:30:00"), text("2024-01-01 23:30:00"));
        assert_eq!(put(ColumnType::Date, "2024-02-30"), Err(1292));
        assert_eq!(put(ColumnType::Date, "0000-00-00"), Err(1292));
        assert_eq!(put(ColumnType::Time(0), "-1:2:3"), text("-01:02:03"));
    }
}
