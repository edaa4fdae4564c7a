//! MySQL's arithmetic, conversions and aggregates as functions of SQLite.
//!
//! The translator only calls them with operands of the kinds that they expect. All are deterministic and know
//! nothing of the session: what depends on it (NOW, USER, time zones) is bound as a value instead.
//!
//! SQLite passes on only the text of an error, so an error for the client travels in that text ([`fail`]).

use rusqlite::functions::{Aggregate, Context, FunctionFlags};
use rusqlite::types::{Value as Stored, ValueRef};
use rusqlite::{Connection, Error, Result};

use super::conditions;
use super::decimal::Decimal;
use super::number::{
    Number, Operator, compute, double_text, float_text, great_int, int_stored, out_of_range,
};
use super::temporal;
use super::{bits, casts, members, string_functions, time_functions};
use crate::SqlError;

const MARK: &str = "evensum-error";

/// An error of a function, on its way to the client through SQLite.
#[must_use]
pub fn fail(error: &SqlError) -> Error {
    Error::UserFunctionError(format!("{MARK}:{}:{}:{}", error.code, error.state, error.message).into())
}

/// The error that a function of ours raised, if this is one.
#[must_use]
pub fn carried_error(error: &Error) -> Option<SqlError> {
    let text = error.to_string();
    if text.starts_with("Expression tree is too large") || text.contains("parser stack overflow") {
        return Some(SqlError::new(
            1436,
            "HY000",
            "Thread stack overrun: the statement is nested too deeply",
        ));
    }
    if text.starts_with("misuse of aggregate") {
        return Some(SqlError::new(1111, "HY000", "Invalid use of group function"));
    }
    let mut parts = text[text.find(MARK)?..].splitn(4, ':').skip(1);
    let code = parts.next()?.parse().ok()?;
    let state = match parts.next()? {
        "22003" => "22003",
        "22007" => "22007",
        "21000" => "21000",
        "42000" => "42000",
        _ => "HY000",
    };
    Some(SqlError::new(code, state, parts.next()?))
}

pub(super) const PURE: FunctionFlags = FunctionFlags::SQLITE_UTF8
    .union(FunctionFlags::SQLITE_DETERMINISTIC)
    .union(FunctionFlags::SQLITE_INNOCUOUS);

/// Registers all functions with a connection.
pub fn register(conn: &Connection) -> Result<()> {
    arithmetic(conn)?;
    conversions(conn)?;
    mathematics(conn)?;
    aggregates(conn)?;
    super::single::register(conn)?;
    bits::register(conn)?;
    casts::register(conn)?;
    members::register(conn)?;
    string_functions::register(conn)?;
    time_functions::register(conn)
}

fn give(number: Option<Number>) -> Result<Stored> {
    number.map_or(Ok(Stored::Null), |n| n.stored().map_err(|e| fail(&e)))
}

fn arithmetic(conn: &Connection) -> Result<()> {
    let operators = [
        ("my_add", Operator::Add),
        ("my_sub", Operator::Subtract),
        ("my_mul", Operator::Multiply),
        ("my_div", Operator::Divide),
        ("my_intdiv", Operator::IntDivide),
        ("my_mod", Operator::Modulo),
    ];
    for (name, operator) in operators {
        // The third argument says whether an integer result is unsigned.
        conn.create_scalar_function(name, 3, PURE, move |ctx| {
            let (Some(a), Some(b)) = (Number::of(ctx.get_raw(0)), Number::of(ctx.get_raw(1))) else {
                return Ok(Stored::Null);
            };
            let result = compute(operator, &a, &b).map_err(|e| fail(&e))?;
            if result.is_none() && b.to_f64() == 0.0 {
                conditions::division_by_zero();
            }
            if let Some(Number::Int(n)) = result {
                let unsigned = matches!(ctx.get_raw(2), ValueRef::Integer(1));
                let fits = if unsigned { u64::try_from(n).is_ok() } else { i64::try_from(n).is_ok() };
                if !fits {
                    let what = if unsigned { "BIGINT UNSIGNED" } else { "BIGINT" };
                    return Err(fail(&out_of_range(what)));
                }
            }
            give(result)
        })?;
    }
    conn.create_scalar_function("my_neg", 1, PURE, |ctx| match Number::of(ctx.get_raw(0)) {
        None => Ok(Stored::Null),
        Some(n) => give(compute(Operator::Subtract, &Number::Int(0), &n).map_err(|e| fail(&e))?),
    })
}

/// The text of a value as MySQL writes it.
pub(super) fn text_of(value: ValueRef<'_>) -> Option<String> {
    Some(match value {
        ValueRef::Null => return None,
        ValueRef::Integer(n) => n.to_string(),
        ValueRef::Real(x) => double_text(x),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => String::from_utf8_lossy(bytes).into_owned(),
    })
}

fn conversions(conn: &Connection) -> Result<()> {
    // The second argument says for which number a text is taken.
    conn.create_scalar_function("my_double", 2, PURE, |ctx| {
        let text = |bytes: &[u8], what| {
            conditions::double_of(&String::from_utf8_lossy(bytes), conditions::TakenFor::of_mark(what), false)
        };
        Ok(match ctx.get_raw(0) {
            ValueRef::Null => None,
            ValueRef::Text(bytes) => Some(text(bytes, ctx.get(1)?)),
            ValueRef::Blob(bytes) if great_int(bytes).is_none() => Some(text(bytes, ctx.get(1)?)),
            other => Number::of(other).map(|n| n.to_f64()),
        })
    })?;
    // The second argument is the wanted scale, or -1 to keep it.
    conn.create_scalar_function("my_decimal", 2, PURE, |ctx| {
        if let ValueRef::Text(text) = ctx.get_raw(0) {
            conditions::check(&String::from_utf8_lossy(text), conditions::TakenFor::Decimal, false);
        }
        let Some(number) = Number::of(ctx.get_raw(0)) else { return Ok(None) };
        let scale: i64 = ctx.get(1)?;
        let exact = number.to_decimal();
        Ok(Some(usize::try_from(scale).map_or(exact.to_string(), |scale| exact.rescale(scale).to_string())))
    })?;
    conn.create_scalar_function("my_text", 1, PURE, |ctx| Ok(text_of(ctx.get_raw(0))))?;
    conn.create_scalar_function("my_int_text", 1, PURE, |ctx| {
        Ok(match ctx.get_raw(0) {
            ValueRef::Blob(bytes) => great_int(bytes).map(|n| n.to_string()),
            other => text_of(other),
        })
    })?;
    conn.create_scalar_function("my_float_text", 1, PURE, |ctx| {
        #[allow(clippy::cast_possible_truncation)] // a FLOAT's REAL came from four bytes
        Ok(ctx.get::<Option<f64>>(0)?.map(|x| float_text(x as f32)))
    })?;
    conn.create_scalar_function("my_binary", 1, PURE, |ctx| {
        Ok(match ctx.get_raw(0) {
            ValueRef::Blob(bytes) => Some(bytes.to_vec()),
            other => text_of(other).map(String::into_bytes),
        })
    })?;
    temporal_conversions(conn)
}

fn temporal_conversions(conn: &Connection) -> Result<()> {
    conn.create_scalar_function("my_datetime", 2, PURE, |ctx| {
        let digits: u8 = ctx.get(1)?;
        let moment = text_of(ctx.get_raw(0)).and_then(|t| conditions::moment_of(&t));
        Ok(moment.map(|m| m.round(digits).text(digits)))
    })?;
    conn.create_scalar_function("my_date", 1, PURE, |ctx| {
        Ok(text_of(ctx.get_raw(0)).and_then(|t| conditions::moment_of(&t)).map(|moment| moment.date_text()))
    })?;
    conn.create_scalar_function("my_time", 2, PURE, |ctx| {
        let digits: u8 = ctx.get(1)?;
        let clock = |t: String| temporal::parse_time(&t).or_else(|| conditions::incorrect("time", &t));
        let micros = text_of(ctx.get_raw(0)).and_then(clock);
        Ok(micros.map(|m| temporal::clock_text(temporal::round_time(m, digits), digits)))
    })?;
    conn.create_scalar_function("my_shift", 2, PURE, |ctx| {
        let seconds: i64 = ctx.get(1)?;
        Ok(text_of(ctx.get_raw(0)).and_then(|t| temporal::shift_text(&t, seconds)))
    })
}

/// A function of one number that keeps exact numbers exact.
fn exact(
    conn: &Connection,
    name: &str,
    of_decimal: fn(&Decimal) -> Decimal,
    of_double: fn(f64) -> f64,
) -> Result<()> {
    conn.create_scalar_function(name, 1, PURE, move |ctx| {
        give(Number::of(ctx.get_raw(0)).map(|number| match number {
            Number::Int(n) => of_decimal(&Decimal::from(n)).to_i128().map_or(Number::Int(n), Number::Int),
            Number::Decimal(d) => Number::Decimal(of_decimal(&d)),
            Number::Double(x) => Number::Double(of_double(x)),
        }))
    })
}

fn floor(d: &Decimal) -> Decimal {
    let whole = d.truncate(0);
    match d.is_negative() && d.to_i128().is_none() {
        true => whole.add(&Decimal::from(-1)),
        false => whole,
    }
}

/// Rounding to more places than that, before or behind the point, changes nothing.
const MOST_PLACES: i64 = 400;

/// A function of one double.
type OfDouble = fn(f64) -> f64;

fn mathematics(conn: &Connection) -> Result<()> {
    exact(conn, "my_abs", |d| if d.is_negative() { d.clone().negate() } else { d.clone() }, f64::abs)?;
    exact(conn, "my_floor", floor, f64::floor)?;
    exact(conn, "my_ceil", |d| floor(&d.clone().negate()).negate(), f64::ceil)?;
    for (name, cut) in [("my_round", false), ("my_truncate", true)] {
        conn.create_scalar_function(name, 2, PURE, move |ctx| {
            let Some(places) = Number::of(ctx.get_raw(1)) else { return Ok(Stored::Null) };
            let most = if places.to_f64() < 0.0 { -MOST_PLACES } else { MOST_PLACES };
            let places = places.to_int().and_then(|places| i64::try_from(places).ok());
            let places = places.map_or(most, |places| places.clamp(-MOST_PLACES, MOST_PLACES));
            give(Number::of(ctx.get_raw(0)).map(|number| round(&number, places, cut)))
        })?;
    }
    conn.create_scalar_function("my_sign", 1, PURE, |ctx| {
        Ok(Number::of(ctx.get_raw(0)).map(|n| n.to_f64()).map(|x| i64::from(x > 0.0) - i64::from(x < 0.0)))
    })?;
    let of_one: [(&str, OfDouble); 14] = [
        ("my_sqrt", f64::sqrt),
        ("my_exp", f64::exp),
        ("my_ln", f64::ln),
        ("my_log2", f64::log2),
        ("my_log10", f64::log10),
        ("my_sin", f64::sin),
        ("my_cos", f64::cos),
        ("my_tan", f64::tan),
        ("my_asin", f64::asin),
        ("my_acos", f64::acos),
        ("my_atan", f64::atan),
        ("my_degrees", f64::to_degrees),
        ("my_radians", f64::to_radians),
        ("my_cot", |x| 1.0 / x.tan()),
    ];
    for (name, function) in of_one {
        conn.create_scalar_function(name, 1, PURE, move |ctx| {
            let value = Number::of(ctx.get_raw(0)).map(|n| n.to_f64());
            if value.is_some_and(|x| x <= 0.0) && name.starts_with("my_l") {
                conditions::division_by_zero();
            }
            let value = value.map(function);
            Ok(value.filter(|x| x.is_finite()))
        })?;
    }
    conn.create_scalar_function("my_pow", 2, PURE, |ctx| {
        let (Some(a), Some(b)) = (Number::of(ctx.get_raw(0)), Number::of(ctx.get_raw(1))) else {
            return Ok(Stored::Null);
        };
        give(Some(Number::Double(a.to_f64().powf(b.to_f64()))))
    })
}

/// Rounds a double as the C library does: ties go to the even neighbour.
fn round_double(x: f64, places: i64, cut: bool) -> f64 {
    let power = 10f64.powi(i32::try_from(places.abs().min(308)).unwrap_or(308));
    let scaled = if places < 0 { x / power } else { x * power };
    let whole = if cut { scaled.trunc() } else { scaled.round_ties_even() };
    let rounded = if places < 0 { whole * power } else { whole / power };
    if rounded.is_finite() { rounded } else { x }
}

fn round(number: &Number, places: i64, cut: bool) -> Number {
    if let Number::Double(x) = number {
        return Number::Double(round_double(*x, places, cut));
    }
    let exact = number.to_decimal();
    let scale = usize::try_from(places.clamp(0, 30)).unwrap_or(0);
    let to = |d: &Decimal, scale| if cut { d.truncate(scale) } else { d.rescale(scale) };
    let rounded = match places < 0 {
        false => to(&exact, scale),
        true => {
            let power =
                Decimal::from(10i128.pow(u32::try_from(places.saturating_neg().min(38)).unwrap_or(38)));
            let up = Decimal::from(1);
            let scaled = exact.divide(&power, 60).unwrap_or(up);
            to(&scaled, 0).multiply(&power)
        }
    };
    match number {
        Number::Int(_) => rounded.rounded().map_or(number.clone(), Number::Int),
        Number::Decimal(_) => Number::Decimal(rounded),
        Number::Double(_) => Number::Double(rounded.to_f64()),
    }
}

/// What SUM and AVG gather: exact as long as the input is.
#[derive(Default)]
struct Sum {
    count: u64,
    ints: i128,
    decimals: Option<Decimal>,
    doubles: Option<f64>,
}

impl Sum {
    fn add(&mut self, value: ValueRef<'_>) {
        let Some(number) = Number::of(value) else { return };
        self.count += 1;
        match number {
            Number::Int(n) => self.ints += n,
            Number::Decimal(d) => {
                self.decimals = Some(self.decimals.as_ref().map_or(d.clone(), |sum| sum.add(&d)));
            }
            Number::Double(x) => self.doubles = Some(self.doubles.unwrap_or(0.0) + x),
        }
    }

    fn total(&self) -> Number {
        let whole = Decimal::from(self.ints);
        let exact = self.decimals.as_ref().map_or(whole.clone(), |sum| sum.add(&whole));
        match self.doubles {
            Some(x) => Number::Double(x + exact.to_f64()),
            None => Number::Decimal(exact),
        }
    }
}

struct SumOf {
    average: bool,
}

impl Aggregate<Sum, Stored> for SumOf {
    fn init(&self, _: &mut Context<'_>) -> Result<Sum> {
        Ok(Sum::default())
    }

    fn step(&self, ctx: &mut Context<'_>, sum: &mut Sum) -> Result<()> {
        sum.add(ctx.get_raw(0));
        Ok(())
    }

    fn finalize(&self, _: &mut Context<'_>, sum: Option<Sum>) -> Result<Stored> {
        let Some(sum) = sum.filter(|sum| sum.count > 0) else { return Ok(Stored::Null) };
        let total = sum.total();
        if !self.average {
            return give(Some(total));
        }
        give(compute(Operator::Divide, &total, &Number::Int(i128::from(sum.count))).map_err(|e| fail(&e))?)
    }
}

struct Bits {
    initial: u64,
    combine: fn(u64, u64) -> u64,
}

impl Aggregate<u64, Stored> for Bits {
    fn init(&self, _: &mut Context<'_>) -> Result<u64> {
        Ok(self.initial)
    }

    fn step(&self, ctx: &mut Context<'_>, bits: &mut u64) -> Result<()> {
        if let Some(n) = Number::of(ctx.get_raw(0)).and_then(|n| n.to_int()) {
            *bits = (self.combine)(*bits, u64::try_from(n.rem_euclid(1 << 64)).unwrap_or(0));
        }
        Ok(())
    }

    fn finalize(&self, _: &mut Context<'_>, bits: Option<u64>) -> Result<Stored> {
        Ok(int_stored(i128::from(bits.unwrap_or(self.initial))).unwrap_or(Stored::Null))
    }
}

fn aggregates(conn: &Connection) -> Result<()> {
    conn.create_aggregate_function("my_sum", 1, PURE, SumOf { average: false })?;
    conn.create_aggregate_function("my_avg", 1, PURE, SumOf { average: true })?;
    conn.create_aggregate_function("my_bit_xor", 1, PURE, Bits { initial: 0, combine: |a, b| a ^ b })?;
    conn.create_aggregate_function("my_bit_or", 1, PURE, Bits { initial: 0, combine: |a, b| a | b })?;
    conn.create_aggregate_function("my_bit_and", 1, PURE, Bits { initial: u64::MAX, combine: |a, b| a & b })
}
