//! Rows and keys, kept in their canonical encoding.
//!
//! A row is the encodings of its values, in column order, one after the other ([`crate::value`]). Two rows are
//! equal if and only if their bytes are. A key is the same for the columns of the table's key. The rows of a chunk
//! lie in one buffer, so that hashing them is one call over one run of memory.
//!
//! Invariant: keys are compared for equality here and never for order: the order of keys is the server's business
//! (collations), and only the server is asked for it.

use crate::value::{Value, split_first};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// A row: the encodings of all its values.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Row(Box<[u8]>);

/// The values of a table's key, encoded.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(Box<[u8]>);

macro_rules! encoded_values {
    ($name:ident) => {
        impl $name {
            /// Encodes these values.
            #[must_use]
            pub fn new(values: &[Value]) -> $name {
                let mut bytes = Vec::new();
                values.iter().for_each(|value| value.encode(&mut bytes));
                $name(bytes.into())
            }

            /// Takes bytes that are an encoding already.
            #[must_use]
            pub fn from_bytes(bytes: &[u8]) -> $name {
                $name(bytes.into())
            }

            /// The encoding.
            #[must_use]
            pub fn bytes(&self) -> &[u8] {
                &self.0
            }

            /// The values; bytes that are no encoding end the list.
            #[must_use]
            pub fn values(&self) -> Vec<Value> {
                let (mut rest, mut values) = (&self.0[..], Vec::new());
                while let Some((value, after)) = Value::decode(rest) {
                    values.push(value);
                    rest = after;
                }
                values
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("(")?;
                for (n, value) in self.values().iter().enumerate() {
                    write!(f, "{}{value}", if n > 0 { ", " } else { "" })?;
                }
                f.write_str(")")
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&hex(&self.0))
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<$name, D::Error> {
                let text = String::deserialize(deserializer)?;
                unhex(&text).map($name).ok_or_else(|| serde::de::Error::custom("not an encoding in hex"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

encoded_values!(Row);
encoded_values!(Key);

/// Bytes as hex digits, as rows and keys stand in plans and journals.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        text.extend(
            [byte >> 4, byte & 15].map(|digit| char::from_digit(u32::from(digit), 16).unwrap_or('0')),
        );
        text
    })
}

/// The bytes of hex digits, if they are whole values one after the other.
fn unhex(text: &str) -> Option<Box<[u8]>> {
    let digits: Vec<u8> = text
        .chars()
        .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect::<Option<_>>()?;
    let bytes: Vec<u8> =
        digits.chunks(2).map(|pair| Some(pair[0] << 4 | pair.get(1)?)).collect::<Option<_>>()?;
    let mut rest = &bytes[..];
    while !rest.is_empty() {
        (_, rest) = Value::decode(rest)?;
    }
    Some(bytes.into())
}

/// Cuts the key out of an encoded row: `columns` are the positions of the key's columns, in the key's order.
#[must_use]
pub fn key_bytes(row: &[u8], columns: &[usize]) -> Vec<u8> {
    // most keys are the first columns, in order: one walk finds them
    let mut key = Vec::with_capacity(32);
    if columns.iter().enumerate().all(|(n, &column)| n == column) {
        let mut rest = row;
        for _ in columns {
            let Some((_, after)) = split_first(rest) else { break };
            rest = after;
        }
        key.extend_from_slice(&row[..row.len() - rest.len()]);
        return key;
    }
    let mut spans = Vec::new();
    let mut rest = row;
    while let Some((value, after)) = split_first(rest) {
        spans.push(value);
        rest = after;
    }
    columns.iter().filter_map(|&column| spans.get(column)).for_each(|value| key.extend_from_slice(value));
    key
}

/// Rows in key order, in one buffer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rows {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    cut: bool,
}

impl Rows {
    /// No rows.
    #[must_use]
    pub fn new() -> Rows {
        Rows::default()
    }

    /// The buffer to which a driver appends the values of a row, before it calls [`Rows::end_row`].
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// What was appended since the last call is one row.
    pub fn end_row(&mut self) {
        self.ends.push(self.bytes.len());
    }

    /// Appends a row.
    pub fn push(&mut self, row: &Row) {
        self.bytes.extend_from_slice(row.bytes());
        self.end_row();
    }

    /// A bound ended the reading, so that there may be more rows than these.
    pub fn mark_cut(&mut self) {
        self.cut = true;
    }

    /// Whether the reading ended before the chunk did, or may have: a bound ended it.
    #[must_use]
    pub fn cut(&self) -> bool {
        self.cut
    }

    /// How many rows there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// All rows, one after the other.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The rows, each as its encoding.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.ends.iter().scan(0, |start, &end| {
            let row = &self.bytes[*start..end];
            *start = end;
            Some(row)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> Row {
        Row::new(&[Value::Int(7), Value::Text("Tallinn".into()), Value::Null])
    }

    #[test]
    fn a_key_is_cut_out_in_the_order_of_the_key() {
        let row = row();
        assert_eq!(key_bytes(row.bytes(), &[0]), Key::new(&[Value::Int(7)]).bytes());
        let turned = Key::new(&[Value::Text("Tallinn".into()), Value::Int(7)]);
        assert_eq!(key_bytes(row.bytes(), &[1, 0]), turned.bytes());
    }

    #[test]
    fn rows_come_back_as_they_were_pushed() {
        let mut rows = Rows::new();
        rows.push(&row());
        rows.push(&Row::new(&[]));
        rows.push(&row());
        assert_eq!(rows.len(), 3);
        assert_eq!(
            rows.iter().map(<[u8]>::len).collect::<Vec<_>>(),
            [row().bytes().len(), 0, row().bytes().len()]
        );
        assert_eq!(row().to_string(), "(7, 'Tallinn', NULL)");
    }
}
