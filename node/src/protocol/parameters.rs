//! What a prepared statement is executed with.
//!
//! A client sends the types once and may leave them out when it executes again, so they are kept with the
//! statement, like the long values that it sent in parts. Invariant: the long values of one statement are at
//! most `max_allowed_packet` bytes together.

use std::collections::BTreeMap;

use super::temporal;
use super::wire::{Fields, Malformed};
use crate::results::Param;

/// The parameters of one prepared statement between its executions.
#[derive(Debug, Default)]
pub struct Parameters {
    count: usize,
    types: Vec<[u8; 2]>,
    long: BTreeMap<usize, Vec<u8>>,
    long_bytes: usize,
}

impl Parameters {
    /// For a statement with this number of parameters.
    #[must_use]
    pub fn new(count: usize) -> Parameters {
        Parameters { count, ..Parameters::default() }
    }

    /// Takes a part of a long value. False if there is no such parameter or the bound (in bytes) is passed.
    pub fn append_long(&mut self, parameter: u16, data: &[u8], limit: usize) -> bool {
        self.long_bytes = self.long_bytes.saturating_add(data.len());
        let parameter = usize::from(parameter);
        let taken = parameter < self.count && self.long_bytes <= limit;
        if taken {
            self.long.entry(parameter).or_default().extend_from_slice(data);
        }
        taken
    }

    /// How many bytes of long values are kept.
    #[must_use]
    pub fn long_bytes(&self) -> usize {
        self.long_bytes
    }

    /// Forgets long values (COM_STMT_RESET, and after each execution).
    pub fn reset(&mut self) {
        self.long.clear();
        self.long_bytes = 0;
    }

    /// Reads the values of an execution; `fields` stands behind the iteration count.
    pub fn read(&mut self, fields: &mut Fields<'_>) -> Result<Vec<Param>, Malformed> {
        if self.count == 0 {
            return Ok(Vec::new());
        }
        let nulls = fields.bytes(self.count.div_ceil(8))?;
        if fields.u8()? == 1 {
            self.types.clear();
            for _ in 0..self.count {
                self.types.push(fields.array()?);
            }
        }
        if self.types.len() != self.count {
            return Err(Malformed);
        }
        let mut values = Vec::with_capacity(self.count);
        for (n, &[kind, flags]) in self.types.iter().enumerate() {
            let value = if let Some(long) = self.long.remove(&n) {
                text_or_bytes(&long, kind)
            } else if nulls[n / 8] & (1 << (n % 8)) != 0 {
                Param::Null
            } else {
                read_value(fields, kind, flags & 0x80 != 0)?
            };
            values.push(value);
        }
        Ok(values)
    }
}

fn read_value(fields: &mut Fields<'_>, kind: u8, unsigned: bool) -> Result<Param, Malformed> {
    Ok(match (kind, unsigned) {
        (1, true) => Param::Uint(u64::from(fields.u8()?)),
        (1, false) => Param::Int(i64::from(i8::from_le_bytes(fields.array()?))),
        (2 | 13, true) => Param::Uint(u64::from(fields.u16()?)),
        (2 | 13, false) => Param::Int(i64::from(i16::from_le_bytes(fields.array()?))),
        (3 | 9, true) => Param::Uint(u64::from(fields.u32()?)),
        (3 | 9, false) => Param::Int(i64::from(i32::from_le_bytes(fields.array()?))),
        (8, true) => Param::Uint(fields.u64()?),
        (8, false) => Param::Int(i64::from_le_bytes(fields.array()?)),
        (4, _) => Param::Float(f32::from_le_bytes(fields.array()?)),
        (5, _) => Param::Double(f64::from_le_bytes(fields.array()?)),
        (6, _) => Param::Null,
        (7 | 12, _) => Param::Text(temporal::read_datetime(fields, false)?),
        (10, _) => Param::Text(temporal::read_datetime(fields, true)?),
        (11, _) => Param::Text(temporal::read_time(fields)?),
        (0 | 246, _) => decimal(fields.counted()?, kind),
        (15 | 16 | 245..=255, _) => text_or_bytes(fields.counted()?, kind),
        _ => return Err(Malformed),
    })
}

/// A text that is no decimal stays what it is.
fn decimal(bytes: &[u8], kind: u8) -> Param {
    let is_decimal = |text: &&str| crate::sql::decimal::Decimal::parse(text).is_some();
    match std::str::from_utf8(bytes).ok().filter(is_decimal) {
        Some(text) => Param::Decimal(text.to_owned()),
        None => text_or_bytes(bytes, kind),
    }
}

/// Blob types stay bytes; so does a string that is not UTF-8.
fn text_or_bytes(bytes: &[u8], kind: u8) -> Param {
    match std::str::from_utf8(bytes) {
        Ok(text) if !(249..=252).contains(&kind) => Param::Text(text.to_owned()),
        _ => Param::Bytes(bytes.to_vec()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn execution(nulls: u8, types: Option<&[[u8; 2]]>, values: &[u8]) -> Vec<u8> {
        let mut packet = vec![nulls, u8::from(types.is_some())];
        packet.extend(types.unwrap_or_default().concat());
        packet.extend_from_slice(values);
        packet
    }

    #[test]
    fn types_are_kept_for_the_next_execution() {
        let mut parameters = Parameters::new(3);
        let types = [[8, 0], [253, 0], [1, 0x80]];
        let first = execution(0b10, Some(&types), &[255, 255, 255, 255, 255, 255, 255, 255, 200]);
        let values = parameters.read(&mut Fields::new(&first)).unwrap();
        assert_eq!(values, [Param::Int(-1), Param::Null, Param::Uint(200)]);
        let second = execution(0b101, None, &[2, b'h', b'i']);
        let values = parameters.read(&mut Fields::new(&second)).unwrap();
        assert_eq!(values, [Param::Null, Param::Text("hi".into()), Param::Null]);
    }

    #[test]
    fn without_types_the_first_execution_is_malformed() {
        assert_eq!(Parameters::new(1).read(&mut Fields::new(&[0, 0, 1])), Err(Malformed));
    }

    #[test]
    fn long_values_come_in_parts_and_are_bounded() {
        let mut parameters = Parameters::new(1);
        assert!(parameters.append_long(0, b"ab", 5));
        assert!(parameters.append_long(0, b"cd", 5));
        assert!(!parameters.append_long(0, b"ef", 5));
        assert!(!parameters.append_long(1, b"", 5));
        let packet = execution(0, Some(&[[252, 0]]), &[]);
        assert_eq!(parameters.read(&mut Fields::new(&packet)).unwrap(), [Param::Bytes(b"abcd".to_vec())]);
    }
}
