//! From the bytes of the binary protocol to the canonical encoding, without a value or a string in between.
//!
//! How a column is read is decided once per result ([`Field::of`]); for each row then one match per column is
//! left. The raw bytes are looked at and never `is_null`, for which a zero date is NULL.
//!
//! Temporal values travel in a form of varying length that leaves out what is zero; here they get their one text.
//!
//! Invariant: the tags and forms are those of [`crate::value`]; whether an integer has a sign is said by the
//! column's definition, since the driver's type names lose it for `tinyint(1)`.

use super::fault::Fault;
use crate::dialect::{Form, form};
use crate::table::{Column, Kind};
use crate::value::{put, put_int, put_uint, tag};
use sqlx::mysql::MySqlRow;
use sqlx::{Column as _, Decode, Row as _, TypeInfo};

/// How one column of a result is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    /// Little-endian, 1 to 8 bytes.
    Signed,
    /// Little-endian, 1 to 8 bytes.
    Unsigned,
    /// Four bytes.
    Float,
    /// Eight bytes.
    Double,
    /// Big-endian bits.
    Bits,
    /// Bytes that are taken as they are, under this tag.
    Plain(u8),
    /// Text in UTF-8; what is none (half of a surrogate pair) is taken as bytes.
    Text,
    /// The bytes of a text that is ASCII; what is none is taken as bytes.
    Stored,
    /// A text behind a `t`, or stored bytes in hex behind an `x`.
    Tagged,
    /// Year, month, day.
    Date,
    /// The same with time of day.
    DateTime,
    /// Sign, days and time of day.
    Time,
}

impl Field {
    /// Decides how values of a column arrive under a type name of the protocol.
    pub(super) fn of(column: &Column, wire: &str) -> Result<Field, Fault> {
        let integer = matches!(
            wire.split(' ').next().unwrap_or_default(),
            "BOOLEAN" | "TINYINT" | "SMALLINT" | "MEDIUMINT" | "INT" | "BIGINT" | "YEAR"
        );
        let fixed = integer
            || matches!(
                wire,
                "FLOAT" | "DOUBLE" | "DATE" | "DATETIME" | "TIMESTAMP" | "TIME" | "BIT" | "NULL"
            );
        let unsigned = column.definition.contains("unsigned")
            || column.definition.starts_with("year")
            || form(column) == Form::Number;
        let field = match column.kind {
            Kind::Integer if integer && unsigned => Some(Field::Unsigned),
            Kind::Integer if integer => Some(Field::Signed),
            // an engine without BIT's own form may send it as the number it is
            Kind::Bit if integer => Some(Field::Unsigned),
            Kind::Bit if wire == "BIT" => Some(Field::Bits),
            Kind::Float if wire == "FLOAT" => Some(Field::Float),
            Kind::Double if wire == "DOUBLE" => Some(Field::Double),
            Kind::Decimal if !fixed => Some(Field::Plain(tag::DECIMAL)),
            Kind::Text if !fixed => Some(match form(column) {
                Form::Stored => Field::Stored,
                Form::Tagged(_) => Field::Tagged,
                Form::Plain | Form::Number => Field::Text,
            }),
            Kind::Json if !fixed => Some(Field::Plain(tag::JSON)),
            Kind::Bytes if !fixed => Some(Field::Plain(tag::BYTES)),
            Kind::Date if wire == "DATE" => Some(Field::Date),
            Kind::DateTime if wire == "DATETIME" || wire == "TIMESTAMP" => Some(Field::DateTime),
            Kind::Time if wire == "TIME" => Some(Field::Time),
            _ => None,
        };
        field.ok_or_else(|| {
            Fault::Odd(format!("column {} ({}) arrived as {wire}", column.name, column.definition))
        })
    }

    /// Decides it for all columns of a result.
    pub(super) fn all<'a>(
        columns: impl Iterator<Item = &'a Column>,
        row: &MySqlRow,
    ) -> Result<Vec<Field>, Fault> {
        let fields: Vec<Field> = columns
            .zip(row.columns())
            .map(|(column, wire)| Field::of(column, wire.type_info().name()))
            .collect::<Result<_, _>>()?;
        if fields.len() != row.columns().len() {
            return Err(Fault::Odd(format!("{} columns arrived, not {}", row.columns().len(), fields.len())));
        }
        Ok(fields)
    }
}

/// Appends the canonical encodings of a row's values.
pub(super) fn encode(fields: &[Field], row: &MySqlRow, out: &mut Vec<u8>) -> Result<(), Fault> {
    for (index, field) in fields.iter().enumerate() {
        let value = row.try_get_raw(index)?;
        // decoding as bytes fails for NULL alone, and gives the raw bytes of any type
        match <&[u8] as Decode<sqlx::MySql>>::decode(value) {
            Ok(bytes) => encode_value(*field, bytes, out).ok_or_else(|| {
                Fault::Odd(format!("value {bytes:02x?} of column {} has no such length", index + 1))
            })?,
            Err(_) => out.push(tag::NULL),
        }
    }
    Ok(())
}

fn encode_value(field: Field, bytes: &[u8], out: &mut Vec<u8>) -> Option<()> {
    match field {
        Field::Plain(tag) => put(out, tag, bytes),
        Field::Text => put(out, text_tag(std::str::from_utf8(bytes).is_ok()), bytes),
        Field::Stored => put(out, text_tag(bytes.is_ascii()), bytes),
        Field::Tagged => match bytes.split_first()? {
            (b't', text) => put(out, text_tag(std::str::from_utf8(text).is_ok()), text),
            (b'x', digits) => put(out, tag::BYTES, &stored(digits)?),
            _ => return None,
        },
        Field::Signed => put_int(out, signed(bytes)?),
        Field::Unsigned => put_uint(out, unsigned(bytes)?),
        Field::Float => put(out, tag::FLOAT, &reversed::<4>(bytes)?),
        Field::Double => put(out, tag::DOUBLE, &reversed::<8>(bytes)?),
        Field::Bits => {
            if bytes.len() > 8 {
                return None;
            }
            put_uint(out, bytes.iter().fold(0, |bits, &byte| bits << 8 | u64::from(byte)));
        }
        Field::Date => date(bytes, out)?,
        Field::DateTime => date_time(bytes, out)?,
        Field::Time => time(bytes, out)?,
    }
    Some(())
}

fn text_tag(text: bool) -> u8 {
    if text { tag::TEXT } else { tag::BYTES }
}

/// The bytes of hex digits.
fn stored(digits: &[u8]) -> Option<Vec<u8>> {
    let digit = |digit: &u8| char::from(*digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    digits.chunks(2).map(|pair| Some(digit(&pair[0])? << 4 | digit(pair.get(1)?)?)).collect()
}

fn reversed<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    let mut array: [u8; N] = bytes.try_into().ok()?;
    array.reverse();
    Some(array)
}

fn signed(bytes: &[u8]) -> Option<i64> {
    Some(match bytes.len() {
        8 => i64::from_le_bytes(bytes.try_into().ok()?),
        4 => i64::from(i32::from_le_bytes(bytes.try_into().ok()?)),
        2 => i64::from(i16::from_le_bytes(bytes.try_into().ok()?)),
        1 => i64::from(i8::from_le_bytes(bytes.try_into().ok()?)),
        _ => return None,
    })
}

fn unsigned(bytes: &[u8]) -> Option<u64> {
    Some(match bytes.len() {
        8 => u64::from_le_bytes(bytes.try_into().ok()?),
        4 => u64::from(u32::from_le_bytes(bytes.try_into().ok()?)),
        2 => u64::from(u16::from_le_bytes(bytes.try_into().ok()?)),
        1 => u64::from(bytes[0]),
        _ => return None,
    })
}

/// Writes a number with leading zeros over `place`.
fn digits(place: &mut [u8], mut number: u32) {
    for digit in place.iter_mut().rev() {
        *digit = b'0' + u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
    }
}

fn little(bytes: &[u8]) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
}

/// `YYYY-MM-DD` over the head of `text`; all zero where nothing was sent.
fn calendar(bytes: &[u8], text: &mut [u8]) -> Option<()> {
    if let Some([low, high, month, day]) = bytes.get(..4) {
        digits(text.get_mut(..4)?, u32::from(u16::from_le_bytes([*low, *high])));
        digits(text.get_mut(5..7)?, u32::from(*month));
        digits(text.get_mut(8..10)?, u32::from(*day));
    }
    Some(())
}

/// `HH:MM:SS.ffffff` over `text`, but for the hours.
fn clock(bytes: &[u8], text: &mut [u8]) -> Option<()> {
    digits(text.get_mut(3..5)?, u32::from(*bytes.get(1)?));
    digits(text.get_mut(6..8)?, u32::from(*bytes.get(2)?));
    if let Some(micros) = bytes.get(3..7) {
        digits(text.get_mut(9..15)?, little(micros)?);
    }
    Some(())
}

fn date(bytes: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let mut text = *b"0000-00-00";
    calendar(body(bytes, &[0, 4, 7, 11])?, &mut text)?;
    put(out, tag::DATE, &text);
    Some(())
}

fn date_time(bytes: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let mut text = *b"0000-00-00 00:00:00.000000";
    let body = body(bytes, &[0, 4, 7, 11])?;
    calendar(body, &mut text)?;
    if let Some(of_day) = body.get(4..).filter(|of_day| !of_day.is_empty()) {
        digits(text.get_mut(11..13)?, u32::from(of_day[0]));
        clock(of_day, text.get_mut(11..)?)?;
    }
    put(out, tag::DATETIME, &text);
    Some(())
}

fn time(bytes: &[u8], out: &mut Vec<u8>) -> Option<()> {
    // a sign, three digits of hours, and the rest
    let mut text = *b"-000:00:00.000000";
    let body = body(bytes, &[0, 8, 12])?;
    let mut negative = false;
    if let Some((&sign, rest)) = body.split_first() {
        negative = sign != 0;
        let hours = little(rest.get(..4)?)?.checked_mul(24)?.checked_add(u32::from(*rest.get(4)?))?;
        digits(text.get_mut(1..4)?, hours);
        clock(rest.get(4..)?, text.get_mut(2..)?)?;
    }
    // the third digit of the hours is written only where there is one
    let start = if text[1] == b'0' { 2 } else { 1 };
    if negative {
        text[start - 1] = b'-';
    }
    put(out, tag::TIME, text.get(start - usize::from(negative)..)?);
    Some(())
}

/// What follows the length byte, if the length is a possible one.
fn body<'a>(bytes: &'a [u8], lengths: &[usize]) -> Option<&'a [u8]> {
    let (&length, body) = bytes.split_first()?;
    (usize::from(length) == body.len() && lengths.contains(&body.len())).then_some(body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Value;

    fn value(field: Field, bytes: &[u8]) -> Option<Value> {
        let mut out = Vec::new();
        encode_value(field, bytes, &mut out)?;
        Value::decode(&out).map(|(value, _)| value)
    }

    #[test]
    fn integers_keep_width_and_sign() {
        assert_eq!(value(Field::Signed, &[0xff]), Some(Value::Int(-1)));
        assert_eq!(value(Field::Unsigned, &[0xff]), Some(Value::Int(255)));
        assert_eq!(value(Field::Signed, &[0, 0x80]), Some(Value::Int(-32768)));
        assert_eq!(value(Field::Unsigned, &[0xff; 8]), Some(Value::Uint(u64::MAX)));
        assert_eq!(value(Field::Bits, &[1, 2]), Some(Value::Int(258)));
        assert_eq!(value(Field::Signed, &[1, 2, 3]), None);
    }

    #[test]
    fn floats_are_their_bits() {
        assert_eq!(value(Field::Float, &16_777_218f32.to_le_bytes()), Some(Value::Float(16_777_218.0)));
        assert_eq!(value(Field::Double, &(-0.5f64).to_le_bytes()), Some(Value::Double(-0.5)));
    }

    #[test]
    fn every_length_of_a_time_has_its_one_text() {
        let date = |bytes: &[u8]| value(Field::Date, bytes);
        assert_eq!(date(&[0]), Some(Value::Date("0000-00-00".into())));
        assert_eq!(date(&[4, 0xea, 7, 2, 28]), Some(Value::Date("2026-02-28".into())));
        let stamp = |bytes: &[u8]| value(Field::DateTime, bytes);
        let text = |text: &str| Some(Value::DateTime(text.into()));
        assert_eq!(stamp(&[0]), text("0000-00-00 00:00:00.000000"));
        assert_eq!(stamp(&[4, 0xea, 7, 2, 28]), text("2026-02-28 00:00:00.000000"));
        assert_eq!(stamp(&[7, 0xea, 7, 2, 28, 13, 14, 15]), text("2026-02-28 13:14:15.000000"));
        assert_eq!(stamp(&[11, 0xea, 7, 2, 28, 0, 0, 0, 1, 0, 0, 0]), text("2026-02-28 00:00:00.000001"));
        assert_eq!(stamp(&[5, 0xea, 7, 2, 28, 1]), None);
        let time = |bytes: &[u8]| value(Field::Time, bytes);
        let text = |text: &str| Some(Value::Time(text.into()));
        assert_eq!(time(&[0]), text("00:00:00.000000"));
        assert_eq!(time(&[8, 1, 34, 0, 0, 0, 22, 59, 59]), text("-838:59:59.000000"));
        assert_eq!(time(&[8, 1, 0, 0, 0, 0, 2, 3, 4]), text("-02:03:04.000000"));
        assert_eq!(time(&[12, 0, 4, 0, 0, 0, 3, 0, 0, 7, 0, 0, 0]), text("99:00:00.000007"));
        assert_eq!(time(&[12, 0, 4, 0, 0, 0, 4, 0, 0, 7, 0, 0, 0]), text("100:00:00.000007"));
    }

    #[test]
    fn text_that_utf_8_cannot_say_is_taken_as_bytes() {
        let (text, bytes) =
            (|text: &str| Value::Text(text.into()), |bytes: &[u8]| Value::Bytes(bytes.into()));
        for (field, wire, must) in [
            (Field::Text, &b"\xc3\xa9"[..], Some(text("é"))),
            (Field::Text, b"\xed\xa0\x80", Some(bytes(&[0xed, 0xa0, 0x80]))),
            (Field::Stored, b"abc", Some(text("abc"))),
            (Field::Stored, b"\xc3\xa9", Some(bytes(&[0xc3, 0xa9]))),
            (Field::Tagged, b"tabc", Some(text("abc"))),
            (Field::Tagged, b"t", Some(text(""))),
            (Field::Tagged, b"x98fA", Some(bytes(&[0x98, 0xfa]))),
            (Field::Tagged, b"x9", None),
            (Field::Tagged, b"", None),
        ] {
            assert_eq!(value(field, wire), must);
        }
    }

    #[test]
    fn a_column_that_arrives_as_another_type_is_not_guessed() {
        let column = |definition: &str, kind| Column {
            name: "c".into(),
            definition: definition.into(),
            kind,
            generated: false,
            restamped: false,
        };
        assert_eq!(
            Field::of(&column("tinyint unsigned NULL", Kind::Integer), "BOOLEAN").unwrap(),
            Field::Unsigned
        );
        assert!(Field::of(&column("int NULL", Kind::Integer), "VARCHAR").is_err());
        assert!(Field::of(&column("text", Kind::Text), "BIGINT").is_err());
    }
}
