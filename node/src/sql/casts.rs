//! CAST to integers, decimals and BINARY, where a value may be too great for what is asked for.
//!
//! An integer keeps its 64 bits when its sign changes its meaning. Every other number gives the nearest integer
//! that there is room for, a decimal the greatest of its digits. A text gives the digits that it begins with: its
//! exponent and its fraction are no part of an integer.

use rusqlite::types::{Value as Stored, ValueRef};
use rusqlite::{Connection, Result};
use sqlparser::ast::ExactNumberInfo;

use super::coerce::to_text;
use super::conditions::{self, TakenFor};
use super::decimal::{Decimal, MAX_DIGITS, MAX_SCALE};
use super::expression::{Piece, Translator};
use super::functions::{PURE, text_of};
use super::number::{Number, int_stored, integer_prefix, moment_digits};
use super::types::Kind;
use crate::SqlError;

/// The most digits after the point that MariaDB takes.
const MAX_GIVEN_SCALE: usize = 38;

/// The longest value that CAST(.. AS BINARY(n)) makes, which is what a packet holds; beyond it is NULL.
const MAX_BINARY_BYTES: u64 = 16 * 1024 * 1024;

/// A longer one is made when the statement runs, one at a time.
const MAX_FOLDED_BYTES: u64 = 4096;

/// What 64 bits say as this kind of integer.
fn wrapped(n: i128, unsigned: bool) -> i128 {
    let clamped = n.clamp(i128::from(i64::MIN), i128::from(u64::MAX));
    match unsigned {
        true if clamped < 0 => clamped + (1i128 << 64),
        false if clamped > i128::from(i64::MAX) => clamped - (1i128 << 64),
        _ => clamped,
    }
}

fn integer_of_number(number: &Number, unsigned: bool) -> i128 {
    match (number, unsigned) {
        (Number::Int(n), _) => wrapped(*n, unsigned),
        (other, true) => other.whole().clamp(0, i128::from(u64::MAX)),
        (other, false) => other.whole().clamp(i128::from(i64::MIN), i128::from(i64::MAX)),
    }
}

fn integer_of_text(text: &str, unsigned: bool) -> i128 {
    wrapped(integer_prefix(text).0.unwrap_or(0), unsigned)
}

fn integer_of_literal(value: &Stored, kind: Kind, unsigned: bool) -> Option<Stored> {
    let text = to_text(value, kind);
    int_stored(match kind {
        Kind::Text(_) | Kind::Binary => {
            conditions::literal(&text, TakenFor::Integer).then(|| integer_of_text(&text, unsigned))?
        }
        kind if kind.is_temporal() => integer_of_text(&moment_digits(&text), unsigned),
        _ => integer_of_number(&Number::of(ValueRef::from(value))?, unsigned),
    })
}

/// The number, or the greatest of so many digits.
fn within(number: Decimal, digits: usize, literal: bool) -> Stored {
    let room = number.clone().within(digits);
    if room != number {
        conditions::too_many_digits(literal);
    }
    Stored::Text(room.to_string())
}

fn padded(mut bytes: Vec<u8>, length: u64) -> Vec<u8> {
    bytes.resize(usize::try_from(length.min(MAX_BINARY_BYTES)).unwrap_or(0), 0);
    bytes
}

/// Registers the functions with a connection.
pub fn register(conn: &Connection) -> Result<()> {
    // The second argument of these says whether the result is unsigned.
    conn.create_scalar_function("my_int", 2, PURE, |ctx| {
        let unsigned: bool = ctx.get(1)?;
        let number = Number::of(ctx.get_raw(0));
        Ok(number.and_then(|n| int_stored(integer_of_number(&n, unsigned))).unwrap_or(Stored::Null))
    })?;
    conn.create_scalar_function("my_text_int", 2, PURE, |ctx| {
        let unsigned: bool = ctx.get(1)?;
        let Some(text) = text_of(ctx.get_raw(0)) else { return Ok(Stored::Null) };
        conditions::check(&text, TakenFor::Integer, false);
        Ok(int_stored(integer_of_text(&text, unsigned)).unwrap_or(Stored::Null))
    })?;
    conn.create_scalar_function("my_moment_int", 2, PURE, |ctx| {
        let unsigned: bool = ctx.get(1)?;
        let Some(text) = text_of(ctx.get_raw(0)) else { return Ok(Stored::Null) };
        Ok(int_stored(integer_of_text(&moment_digits(&text), unsigned)).unwrap_or(Stored::Null))
    })?;
    conn.create_scalar_function("my_digits", 1, PURE, |ctx| {
        Ok(text_of(ctx.get_raw(0)).map(|text| moment_digits(&text)))
    })?;
    // The second argument is the greatest number of digits.
    conn.create_scalar_function("my_within", 2, PURE, |ctx| {
        let digits = usize::from(ctx.get::<u8>(1)?);
        let number = Number::of(ctx.get_raw(0));
        Ok(number.map_or(Stored::Null, |number| within(number.to_decimal(), digits, false)))
    })?;
    conn.create_scalar_function("my_padded", 2, PURE, |ctx| {
        let length = u64::from(ctx.get::<u32>(1)?);
        Ok(ctx.get::<Option<Vec<u8>>>(0)?.map(|bytes| padded(bytes, length)))
    })
}

impl Translator<'_> {
    /// CAST AS SIGNED and AS UNSIGNED.
    pub(super) fn integer_cast(&mut self, piece: Piece, unsigned: bool) -> Result<Piece, SqlError> {
        let kind = Kind::Int { unsigned };
        let piece = self.counted(piece, true);
        if let Some(value) = &piece.literal
            && let Some(integer) = integer_of_literal(value, piece.kind, unsigned)
        {
            return Ok(Piece::literal(integer, kind));
        }
        let function = match piece.kind {
            Kind::Null => return self.convert(piece, kind),
            same if same == kind && !piece.beyond => return Ok(piece),
            Kind::Text(_) | Kind::Binary => "my_text_int",
            moment if moment.is_temporal() => "my_moment_int",
            _ => "my_int",
        };
        let sql = match (self.emit_in_full(&piece), piece.kind) {
            // Signed and unsigned integers have become decimals there.
            (sql, Kind::Int { .. }) if piece.beyond => format!("my_decimal({sql}, 0)"),
            (sql, _) => sql,
        };
        Ok(Piece::sql(format!("{function}({sql}, {})", i32::from(unsigned)), kind))
    }

    /// CAST AS DECIMAL.
    pub(super) fn decimal_cast(&mut self, piece: Piece, info: &ExactNumberInfo) -> Result<Piece, SqlError> {
        let (precision, scale) = match info {
            ExactNumberInfo::None => (10, 0),
            ExactNumberInfo::Precision(precision) => (*precision, 0),
            ExactNumberInfo::PrecisionAndScale(precision, scale) => (*precision, *scale),
        };
        let precision = usize::try_from(precision).unwrap_or(usize::MAX);
        let scale = usize::try_from(scale).unwrap_or(usize::MAX);
        if scale > MAX_GIVEN_SCALE {
            let message = format!("Too big scale specified for 'CAST'. Maximum is {MAX_GIVEN_SCALE}");
            return Err(SqlError::new(1425, "42000", message));
        }
        if precision > MAX_DIGITS {
            let message = format!("Too big precision specified for 'CAST'. Maximum is {MAX_DIGITS}");
            return Err(SqlError::new(1426, "42000", message));
        }
        // DECIMAL(0) is DECIMAL(10).
        let precision = if precision == 0 && scale == 0 { 10 } else { precision };
        if precision < scale {
            let message = "For float(M,D), double(M,D) or decimal(M,D), M must be >= D (column '')";
            return Err(SqlError::new(1427, "42000", message));
        }
        let kind = Kind::Decimal { scale: u8::try_from(scale.min(MAX_SCALE)).unwrap_or(0) };
        let piece = self.convert(piece, kind)?;
        match &piece.literal {
            Some(Stored::Null) => Ok(piece),
            Some(Stored::Text(text)) => {
                let number = Decimal::parse(text).unwrap_or_else(Decimal::zero);
                Ok(Piece::literal(within(number, precision, true), kind))
            }
            _ => {
                let sql = self.emit(&piece);
                Ok(Piece::sql(format!("my_within({sql}, {precision})"), kind))
            }
        }
    }

    /// CAST AS BINARY(n): cut, or filled with zeros.
    pub(super) fn binary_cast(&mut self, piece: Piece, length: Option<u64>) -> Result<Piece, SqlError> {
        let piece = self.convert(piece, Kind::Binary)?;
        let Some(length) = length else { return Ok(piece) };
        if length > MAX_BINARY_BYTES {
            return Ok(Piece { kind: Kind::Binary, ..Piece::null() });
        }
        Ok(match piece.literal {
            Some(Stored::Null) => piece,
            Some(Stored::Blob(bytes)) if length <= MAX_FOLDED_BYTES => {
                Piece::literal(Stored::Blob(padded(bytes, length)), Kind::Binary)
            }
            _ => {
                let sql = self.emit(&piece);
                Piece::sql(format!("my_padded({sql}, {length})"), Kind::Binary)
            }
        })
    }
}
