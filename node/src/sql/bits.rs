//! Operators on bits: `&`, `|`, `^`, `~`, `<<` and `>>` on 64 bits, which give BIGINT UNSIGNED.
//!
//! SQLite's own are not used: it has no unsigned integers, shifts a negative one with its sign, and takes a
//! negative count for a shift the other way.

use rusqlite::types::{Value as Stored, ValueRef};
use rusqlite::{Connection, Result};
use sqlparser::ast::BinaryOperator;

use super::expression::{Piece, Translator};
use super::functions::PURE;
use super::number::{Number, int_stored};
use super::types::Kind;
use crate::SqlError;

/// An operator of two operands.
type OfTwo = fn(u64, u64) -> u64;

const OPERATORS: [(&str, OfTwo); 5] = [
    ("my_and", |a, b| a & b),
    ("my_or", |a, b| a | b),
    ("my_xor", |a, b| a ^ b),
    ("my_shift_left", |a, b| u32::try_from(b).ok().and_then(|b| a.checked_shl(b)).unwrap_or(0)),
    ("my_shift_right", |a, b| u32::try_from(b).ok().and_then(|b| a.checked_shr(b)).unwrap_or(0)),
];

/// The function of an operator, if it is one of these.
fn function(op: &BinaryOperator) -> Option<&'static str> {
    Some(match op {
        BinaryOperator::BitwiseAnd => "my_and",
        BinaryOperator::BitwiseOr => "my_or",
        BinaryOperator::BitwiseXor => "my_xor",
        BinaryOperator::PGBitwiseShiftLeft => "my_shift_left",
        BinaryOperator::PGBitwiseShiftRight => "my_shift_right",
        _ => return None,
    })
}

/// The 64 bits of a number: a negative one's are its complement's, a greater one's are all set.
fn bits(value: ValueRef<'_>) -> Option<u64> {
    let number = match Number::of(value)? {
        // A double goes through a decimal there, which rounds 2.5 up.
        double @ Number::Double(_) => Number::Decimal(double.to_decimal()),
        exact => exact,
    };
    let clamped = number.whole().clamp(i128::from(i64::MIN), i128::from(u64::MAX));
    u64::try_from(clamped.rem_euclid(1 << 64)).ok()
}

fn stored(bits: Option<u64>) -> Stored {
    bits.and_then(|bits| int_stored(i128::from(bits))).unwrap_or(Stored::Null)
}

/// Registers the functions with a connection.
pub fn register(conn: &Connection) -> Result<()> {
    for (name, operator) in OPERATORS {
        conn.create_scalar_function(name, 2, PURE, move |ctx| {
            let both = bits(ctx.get_raw(0)).zip(bits(ctx.get_raw(1)));
            Ok(stored(both.map(|(a, b)| operator(a, b))))
        })?;
    }
    conn.create_scalar_function("my_invert", 1, PURE, |ctx| Ok(stored(bits(ctx.get_raw(0)).map(|a| !a))))
}

impl Translator<'_> {
    /// An operator on bits; none if it is another one.
    pub(super) fn bits(
        &mut self,
        a: &Piece,
        op: &BinaryOperator,
        b: &Piece,
    ) -> Result<Option<Piece>, SqlError> {
        let Some(function) = function(op) else { return Ok(None) };
        let (a, b) = (self.operand(a)?, self.operand(b)?);
        Ok(Some(Piece::sql(format!("{function}({a}, {b})"), Kind::Int { unsigned: true })))
    }

    pub(super) fn inverted(&mut self, piece: &Piece) -> Result<Piece, SqlError> {
        let operand = self.operand(piece)?;
        Ok(Piece::sql(format!("my_invert({operand})"), Kind::Int { unsigned: true }))
    }

    fn operand(&mut self, piece: &Piece) -> Result<String, SqlError> {
        let piece = self.numeric(piece.clone())?;
        Ok(self.emit_in_full(&piece))
    }
}
