//! Numbers in stored form, and MySQL's arithmetic on them.
//!
//! An INTEGER, or an 8-byte BLOB for what is above `i64::MAX`, is an integer; TEXT is a decimal; REAL is a
//! double. The translator has turned everything else into one of these before.

use rusqlite::types::{Value as Stored, ValueRef};

use super::decimal::{Decimal, MAX_PRODUCT_SCALE, MAX_SCALE};
use crate::SqlError;

/// A number.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum Number {
    Int(i128),
    Decimal(Decimal),
    Double(f64),
}

/// Error 1690.
#[must_use]
pub fn out_of_range(what: &str) -> SqlError {
    SqlError::new(1690, "22003", format!("{what} value is out of range"))
}

/// The bytes that stand for an integer above `i64::MAX`.
#[must_use]
pub fn int_stored(value: i128) -> Option<Stored> {
    match (i64::try_from(value), u64::try_from(value)) {
        (Ok(small), _) => Some(Stored::Integer(small)),
        (_, Ok(great)) => Some(Stored::Blob(great.to_be_bytes().to_vec())),
        _ => None,
    }
}

/// The integer that 8 bytes stand for.
#[must_use]
pub fn great_int(bytes: &[u8]) -> Option<u64> {
    bytes.try_into().ok().map(u64::from_be_bytes)
}

impl Number {
    /// The number that a stored value is; none for NULL.
    #[must_use]
    pub fn of(value: ValueRef<'_>) -> Option<Number> {
        Some(match value {
            ValueRef::Null => return None,
            ValueRef::Integer(n) => Number::Int(i128::from(n)),
            ValueRef::Real(x) => Number::Double(x),
            ValueRef::Text(text) => {
                let text = String::from_utf8_lossy(text);
                Number::Decimal(Decimal::parse_prefix(text.trim_start()).0.unwrap_or_else(Decimal::zero))
            }
            ValueRef::Blob(bytes) => match great_int(bytes) {
                Some(n) => Number::Int(i128::from(n)),
                None => Number::Double(text_to_double(&String::from_utf8_lossy(bytes))),
            },
        })
    }

    /// As a double.
    #[must_use]
    #[allow(clippy::cast_precision_loss)] // an integer beyond 2^53 as a double is what MySQL gives, too
    pub fn to_f64(&self) -> f64 {
        match self {
            Number::Int(n) => *n as f64,
            Number::Decimal(d) => d.to_f64(),
            Number::Double(x) => *x,
        }
    }

    /// As a decimal; doubles by their shortest text.
    #[must_use]
    pub fn to_decimal(&self) -> Decimal {
        match self {
            Number::Int(n) => Decimal::from(*n),
            Number::Decimal(d) => d.clone(),
            Number::Double(x) => Decimal::parse(&double_text(*x)).unwrap_or_else(Decimal::zero),
        }
    }

    /// As an integer, rounded.
    #[must_use]
    pub fn to_int(&self) -> Option<i128> {
        match self {
            Number::Int(n) => Some(*n),
            Number::Decimal(d) => d.rounded(),
            // As the C library rounds: ties go to the even neighbour. What is too great gives the greatest.
            #[allow(clippy::cast_possible_truncation)]
            Number::Double(x) => Some(x.round_ties_even() as i128),
        }
    }

    /// As an integer, rounded; what is too great gives the greatest there is.
    #[must_use]
    pub fn whole(&self) -> i128 {
        self.to_int().unwrap_or(if self.to_f64() < 0.0 { i128::MIN } else { i128::MAX })
    }

    /// In stored form.
    pub fn stored(self) -> Result<Stored, SqlError> {
        match self {
            Number::Int(n) => int_stored(n).ok_or_else(|| out_of_range("BIGINT")),
            Number::Decimal(d) => Ok(Stored::Text(d.to_string())),
            Number::Double(x) if x.is_finite() => Ok(Stored::Real(x)),
            Number::Double(_) => Err(out_of_range("DOUBLE")),
        }
    }
}

/// An operator of arithmetic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    IntDivide,
    Modulo,
}

/// Computes; none (NULL) for a division by zero.
pub fn compute(operator: Operator, a: &Number, b: &Number) -> Result<Option<Number>, SqlError> {
    use Operator::{Add, Divide, IntDivide, Modulo, Multiply, Subtract};
    if matches!((a, b), (Number::Double(_), _) | (_, Number::Double(_))) {
        let (x, y) = (a.to_f64(), b.to_f64());
        let value = match operator {
            Add => x + y,
            Subtract => x - y,
            Multiply => x * y,
            Divide | IntDivide | Modulo if y == 0.0 => return Ok(None),
            Divide => x / y,
            Modulo => x % y,
            IntDivide => return Ok(Number::Double((x / y).trunc()).to_int().map(Number::Int)),
        };
        return Ok(Some(Number::Double(value)));
    }
    if let (Number::Int(x), Number::Int(y)) = (a, b) {
        let value = match operator {
            Add => x.checked_add(*y),
            Subtract => x.checked_sub(*y),
            Multiply => x.checked_mul(*y),
            IntDivide | Modulo | Divide if *y == 0 => return Ok(None),
            IntDivide => x.checked_div(*y),
            Modulo => x.checked_rem(*y),
            Divide => {
                return Ok(Decimal::from(*x).quotient(&Decimal::from(*y)).map(Number::Decimal));
            }
        };
        return value.map(|n| Some(Number::Int(n))).ok_or_else(|| out_of_range("BIGINT"));
    }
    let (x, y) = (a.to_decimal(), b.to_decimal());
    Ok(match operator {
        Add => Some(Number::Decimal(x.add(&y))),
        Subtract => Some(Number::Decimal(x.add(&y.negate()))),
        Multiply => {
            Some(Number::Decimal(x.multiply(&y).truncate((x.scale() + y.scale()).min(MAX_PRODUCT_SCALE))))
        }
        Divide => x.quotient(&y).map(Number::Decimal),
        Modulo => x.remainder(&y).map(Number::Decimal),
        IntDivide => x.divide(&y, MAX_SCALE).and_then(|q| q.truncate(0).rounded()).map(Number::Int),
    })
}

/// The number at the start of a text, or 0, as MySQL takes text for a number.
#[must_use]
pub fn text_to_double(text: &str) -> f64 {
    let text = text.trim_start();
    let (_, rest) = Decimal::parse_prefix(text);
    text[..text.len() - rest.len()].parse().unwrap_or(0.0)
}

/// The integer at the start of a text, without fraction or exponent, and what follows it. What no 64 bits hold
/// is as great as can be.
#[must_use]
pub fn integer_prefix(text: &str) -> (Option<i128>, &str) {
    let text = text.trim_start();
    let sign = usize::from(text.starts_with(['-', '+']));
    let digits = text[sign..].bytes().take_while(u8::is_ascii_digit).count();
    if digits == 0 {
        return (None, text);
    }
    let limit = if text.starts_with('-') { i128::MIN } else { i128::MAX };
    let (number, rest) = text.split_at(sign + digits);
    (Some(number.parse().unwrap_or(limit)), rest)
}

/// A date or a time as the number that its digits are.
#[must_use]
pub fn moment_digits(text: &str) -> String {
    let sign = if text.starts_with('-') { "-" } else { "" };
    sign.chars().chain(text.chars().filter(|c| c.is_ascii_digit() || *c == '.')).collect()
}

/// The same as a number.
#[must_use]
pub fn moment_number(text: &str) -> Decimal {
    Decimal::parse(&moment_digits(text)).unwrap_or_else(Decimal::zero)
}

/// Exponents from which MySQL writes a double in scientific form.
const SCIENTIFIC_FROM: i32 = 15;

/// A double as MySQL writes it: the shortest text that reads back as the same number.
#[must_use]
pub fn double_text(x: f64) -> String {
    scientific(&format!("{x:e}"))
}

/// A FLOAT as MySQL writes it.
#[must_use]
pub fn float_text(x: f32) -> String {
    scientific(&format!("{x:e}"))
}

fn scientific(text: &str) -> String {
    let Some((mantissa, exponent)) = text.split_once('e') else { return text.to_owned() };
    let power: i32 = exponent.parse().unwrap_or(0);
    if (-SCIENTIFIC_FROM..SCIENTIFIC_FROM).contains(&power)
        && let Some(plain) = Decimal::parse(text)
    {
        return plain.to_string();
    }
    format!("{mantissa}e{power}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_are_written_as_mysql_does() {
        for (x, want) in [
            (0.1, "0.1"),
            (100.0, "100"),
            (1e15, "1e15"),
            (1.5e-7, "0.00000015"),
            (-0.0, "0"),
            (1e300, "1e300"),
        ] {
            assert_eq!(double_text(x), want);
        }
        assert_eq!(float_text(0.1), "0.1");
    }

    #[test]
    fn integers_overflow_loudly_and_divide_into_decimals() {
        let int = Number::Int;
        let sum = compute(Operator::Add, &int(i128::from(u64::MAX)), &int(1)).unwrap().unwrap();
        assert_eq!(sum.stored().unwrap_err().code, 1690);
        let third = compute(Operator::Divide, &int(1), &int(3)).unwrap().unwrap();
        assert_eq!(third.stored().unwrap(), Stored::Text("0.333333333".into()));
        assert_eq!(compute(Operator::Modulo, &int(1), &int(0)).unwrap(), None);
        assert_eq!(text_to_double("12abc"), 12.0);
        assert_eq!(text_to_double(" -1.5e2x"), -150.0);
    }
}
