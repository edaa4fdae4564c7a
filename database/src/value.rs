//! One value of a row, and its one canonical encoding.
//!
//! Two nodes may be different servers of different ages; whether they hold the same value must not depend on how
//! each of them writes it on the wire. So every value has exactly one encoding, and every encoding exactly one
//! value: a tag, the length of what follows as four bytes, big-endian, and the bytes.
//!
//! ```text
//! 00                              NULL (no length)
//! 01 00000008 i64, big-endian     an integer that fits in i64
//! 02 00000008 u64, big-endian     an integer above that
//! 03 00000004 bits                FLOAT
//! 04 00000008 bits                DOUBLE
//! 05 len text                     DECIMAL, with the digits of its scale
//! 06 len UTF-8                    text of any character set
//! 07 len bytes                    binary strings, geometry
//! 08 0000000a YYYY-MM-DD          DATE
//! 09 0000001a …                   DATETIME and TIMESTAMP (UTC), always with six fractional digits
//! 0a len [-]HHH:MM:SS.ffffff      TIME
//! 0b len UTF-8                    JSON, as the server prints it
//! ```
//!
//! Invariant: `encode` is injective over sequences of values: no separator, no padding, and a length before all
//! that varies. What it does not do: it never rounds, trims, folds case or normalises text; a difference in any
//! of those is a difference.

use std::fmt;

/// A value of a row.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// SQL's NULL.
    Null,
    /// An integer, also YEAR and BIT, if it fits.
    Int(i64),
    /// An integer above `i64::MAX`. Smaller ones are `Int`, whatever the column's type is.
    Uint(u64),
    /// Four bytes of FLOAT, compared by their bits.
    Float(f32),
    /// Eight bytes of DOUBLE, compared by their bits.
    Double(f64),
    /// An exact decimal number, in the server's text form.
    Decimal(Box<str>),
    /// Text, ENUM and SET.
    Text(Box<str>),
    /// Bytes that are no text.
    Bytes(Box<[u8]>),
    /// `YYYY-MM-DD`; zero dates are dates.
    Date(Box<str>),
    /// `YYYY-MM-DD HH:MM:SS.ffffff`.
    DateTime(Box<str>),
    /// `[-]HH:MM:SS.ffffff`.
    Time(Box<str>),
    /// JSON text.
    Json(Box<str>),
}

/// The tags of the encoding, for drivers that write it straight from the wire.
pub mod tag {
    /// NULL.
    pub const NULL: u8 = 0;
    /// An integer that fits in i64.
    pub const INT: u8 = 1;
    /// An integer above that.
    pub const UINT: u8 = 2;
    /// FLOAT.
    pub const FLOAT: u8 = 3;
    /// DOUBLE.
    pub const DOUBLE: u8 = 4;
    /// DECIMAL.
    pub const DECIMAL: u8 = 5;
    /// Text.
    pub const TEXT: u8 = 6;
    /// Bytes.
    pub const BYTES: u8 = 7;
    /// DATE.
    pub const DATE: u8 = 8;
    /// DATETIME and TIMESTAMP.
    pub const DATETIME: u8 = 9;
    /// TIME.
    pub const TIME: u8 = 10;
    /// JSON.
    pub const JSON: u8 = 11;
}

/// Appends one encoded value: its tag, its length, its bytes.
///
/// A length above `u32::MAX` cannot come from a server (a packet ends at 1 GiB), so it is cut rather than refused.
pub fn put(out: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    out.push(tag);
    out.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend_from_slice(bytes);
}

/// Appends an integer that fits in i64.
pub fn put_int(out: &mut Vec<u8>, value: i64) {
    put(out, tag::INT, &value.to_be_bytes());
}

/// Appends an unsigned integer, by the shorter of the two integer forms, so that 5 is 5 in every column.
pub fn put_uint(out: &mut Vec<u8>, value: u64) {
    match i64::try_from(value) {
        Ok(value) => put_int(out, value),
        Err(_) => put(out, tag::UINT, &value.to_be_bytes()),
    }
}

impl Value {
    /// Appends the canonical encoding.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Value::Null => out.push(tag::NULL),
            Value::Int(value) => put_int(out, *value),
            Value::Uint(value) => put_uint(out, *value),
            Value::Float(value) => put(out, tag::FLOAT, &value.to_bits().to_be_bytes()),
            Value::Double(value) => put(out, tag::DOUBLE, &value.to_bits().to_be_bytes()),
            Value::Decimal(text) => put(out, tag::DECIMAL, text.as_bytes()),
            Value::Text(text) => put(out, tag::TEXT, text.as_bytes()),
            Value::Bytes(bytes) => put(out, tag::BYTES, bytes),
            Value::Date(text) => put(out, tag::DATE, text.as_bytes()),
            Value::DateTime(text) => put(out, tag::DATETIME, text.as_bytes()),
            Value::Time(text) => put(out, tag::TIME, text.as_bytes()),
            Value::Json(text) => put(out, tag::JSON, text.as_bytes()),
        }
    }

    /// Whether both are one stored value: 0.0 is not -0.0.
    #[must_use]
    pub fn is(&self, other: &Value) -> bool {
        let (mut left, mut right) = (Vec::new(), Vec::new());
        self.encode(&mut left);
        other.encode(&mut right);
        left == right
    }

    /// Reads the value at the head of `bytes` and what follows it; none if the bytes are no encoding.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<(Value, &[u8])> {
        let (encoded, rest) = split_first(bytes)?;
        let (&kind, body) = encoded.split_first()?;
        if kind == tag::NULL {
            return Some((Value::Null, rest));
        }
        let body = body.get(4..)?;
        let text = || std::str::from_utf8(body).ok().map(Box::<str>::from);
        let value = match kind {
            tag::INT => Value::Int(i64::from_be_bytes(body.try_into().ok()?)),
            tag::UINT => Value::Uint(u64::from_be_bytes(body.try_into().ok()?)),
            tag::FLOAT => Value::Float(f32::from_bits(u32::from_be_bytes(body.try_into().ok()?))),
            tag::DOUBLE => Value::Double(f64::from_bits(u64::from_be_bytes(body.try_into().ok()?))),
            tag::DECIMAL => Value::Decimal(text()?),
            tag::TEXT => Value::Text(text()?),
            tag::BYTES => Value::Bytes(body.into()),
            tag::DATE => Value::Date(text()?),
            tag::DATETIME => Value::DateTime(text()?),
            tag::TIME => Value::Time(text()?),
            tag::JSON => Value::Json(text()?),
            _ => return None,
        };
        Some((value, rest))
    }
}

/// Cuts the first encoded value off `bytes`, without looking inside; none at the end or in damaged bytes.
#[must_use]
pub fn split_first(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&kind, body) = bytes.split_first()?;
    let length = match kind {
        tag::NULL => 1,
        _ => 5 + usize::try_from(u32::from_be_bytes(body.get(..4)?.try_into().ok()?)).ok()?,
    };
    bytes.split_at_checked(length)
}

impl fmt::Display for Value {
    /// As a person writes it: text in quotes, bytes in hex, NULL bare.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Null => f.write_str("NULL"),
            Value::Int(value) => write!(f, "{value}"),
            Value::Uint(value) => write!(f, "{value}"),
            Value::Float(value) => write!(f, "{value}"),
            Value::Double(value) => write!(f, "{value}"),
            Value::Decimal(text) => f.write_str(text),
            Value::Text(text) | Value::Json(text) => write!(f, "'{}'", text.escape_debug()),
            Value::Date(text) => write!(f, "'{text}'"),
            Value::DateTime(text) | Value::Time(text) => {
                write!(f, "'{}'", text.strip_suffix(".000000").unwrap_or(text))
            }
            Value::Bytes(bytes) => {
                f.write_str("x'")?;
                bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
                f.write_str("'")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_value() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(Value::Null),
            any::<i64>().prop_map(Value::Int),
            (i64::MAX as u64 + 1..).prop_map(Value::Uint),
            any::<u32>().prop_map(|bits| Value::Float(f32::from_bits(bits))),
            any::<u64>().prop_map(|bits| Value::Double(f64::from_bits(bits))),
            ".*".prop_map(|text| Value::Text(text.into())),
            "-?[0-9]{1,30}\\.[0-9]{2}".prop_map(|text| Value::Decimal(text.into())),
            prop::collection::vec(any::<u8>(), 0..40).prop_map(|bytes| Value::Bytes(bytes.into())),
        ]
    }

    fn encode_all(values: &[Value]) -> Vec<u8> {
        let mut out = Vec::new();
        values.iter().for_each(|value| value.encode(&mut out));
        out
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded_to_the_same_bytes(values in prop::collection::vec(any_value(), 0..6)) {
            let bytes = encode_all(&values);
            let (mut rest, mut decoded) = (&bytes[..], Vec::new());
            while let Some((value, after)) = Value::decode(rest) {
                decoded.push(value);
                rest = after;
            }
            prop_assert!(rest.is_empty());
            // by bytes, because NaN is not equal to itself, and a float is compared by its bits here
            prop_assert_eq!(encode_all(&decoded), bytes);
            prop_assert_eq!(decoded.len(), values.len());
        }

        #[test]
        fn two_lists_with_one_encoding_are_one_list(a in prop::collection::vec(any_value(), 0..4),
                                                     b in prop::collection::vec(any_value(), 0..4)) {
            let same = format!("{a:?}") == format!("{b:?}");
            prop_assert_eq!(encode_all(&a) == encode_all(&b), same);
        }

        #[test]
        fn damaged_bytes_are_refused_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = Value::decode(&bytes);
        }
    }

    #[test]
    fn values_that_classic_checksums_confuse_are_told_apart() {
        let text = |t: &str| Value::Text(t.into());
        let pairs = [
            (vec![text("x#"), text("y")], vec![text("x"), text("#y")]),
            (vec![text(""), Value::Null], vec![Value::Null, text("")]),
            (vec![text("a")], vec![text("A")]),
            (vec![text("a")], vec![text("a ")]),
            (vec![text("\u{e9}")], vec![text("e\u{301}")]),
            (vec![Value::Float(0.0)], vec![Value::Float(-0.0)]),
            (vec![Value::Float(16_777_216.0)], vec![Value::Float(16_777_218.0)]),
            (vec![Value::Date("0000-00-00".into())], vec![Value::Null]),
            (vec![Value::Int(1)], vec![text("1")]),
        ];
        for (a, b) in pairs {
            assert_ne!(encode_all(&a), encode_all(&b), "{a:?} and {b:?}");
        }
    }
}
