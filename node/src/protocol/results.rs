//! OK, ERR, EOF, column definitions and rows, written as packets.
//!
//! [`ResultWriter`] is the [`Sink`] of a connection: the text form for a query, the binary form for a prepared
//! statement. A row is encoded straight into the connection's buffer: no allocation, no copy of a cell.

use super::packets::PacketWriter;
use super::wire::{Malformed, put_bytes, put_length};
use super::{status, temporal};
use crate::SqlError;
use crate::results::{Cell, ColumnMeta, Done, Sink, WireType};
use std::io::{self, Write};

/// Marks NULL in a text row.
const NULL_MARK: u8 = 0xfb;
/// From here on (and below its inverse) a DOUBLE is shown with an exponent, as MySQL does.
const EXPONENT_FROM: f64 = 1e15;

/// The longest message of an error, in bytes; MySQL's has 512. What is sent to who does not read is bounded by it.
const MESSAGE_BYTES: usize = 4096;

/// Appends an OK packet's payload.
pub fn put_ok(out: &mut Vec<u8>, done: &Done, status: u16) {
    out.push(0);
    put_length(out, done.affected_rows);
    put_length(out, done.last_insert_id);
    out.extend_from_slice(&status.to_le_bytes());
    out.extend_from_slice(&done.warnings.to_le_bytes());
    // The documentation says "to the end of the packet"; servers write, and clients read, a length before it.
    if !done.info.is_empty() {
        put_bytes(out, done.info.as_bytes());
    }
}

/// Appends an ERR packet's payload. A message that quotes a long value is cut.
pub fn put_error(out: &mut Vec<u8>, error: &SqlError) {
    out.push(0xff);
    out.extend_from_slice(&error.code.to_le_bytes());
    out.push(b'#');
    out.extend_from_slice(error.state.as_bytes());
    let end = error.message.floor_char_boundary(MESSAGE_BYTES);
    out.extend_from_slice(&error.message.as_bytes()[..end]);
}

/// Appends an EOF packet's payload.
pub fn put_eof(out: &mut Vec<u8>, warnings: u16, status: u16) {
    out.push(0xfe);
    out.extend_from_slice(&warnings.to_le_bytes());
    out.extend_from_slice(&status.to_le_bytes());
}

/// Appends a column definition's payload.
pub fn put_column(out: &mut Vec<u8>, column: &ColumnMeta) {
    put_bytes(out, b"def");
    for name in [&column.database, &column.table, &column.original_table, &column.name, &column.original_name]
    {
        put_bytes(out, name.as_bytes());
    }
    out.push(0x0c);
    out.extend_from_slice(&column.collation.to_le_bytes());
    out.extend_from_slice(&column.length.to_le_bytes());
    out.push(column.wire.number());
    out.extend_from_slice(&column.flags.to_le_bytes());
    out.extend_from_slice(&[column.decimals, 0, 0]);
}

/// Writes the result of one statement.
#[derive(Debug)]
pub struct ResultWriter<'a, W> {
    packets: &'a mut PacketWriter<W>,
    binary: bool,
    more: u16,
    wires: Vec<WireType>,
}

impl<'a, W: Write> ResultWriter<'a, W> {
    /// `binary` for a prepared statement; `more` if another statement of the same text follows.
    pub fn new(packets: &'a mut PacketWriter<W>, binary: bool, more: bool) -> ResultWriter<'a, W> {
        ResultWriter { packets, binary, more: if more { status::MORE_RESULTS } else { 0 }, wires: Vec::new() }
    }

    fn eof(&mut self, warnings: u16, status: u16) -> io::Result<()> {
        put_eof(self.packets.open(), warnings, status | self.more);
        self.packets.finish()
    }
}

impl<W: Write> Sink for ResultWriter<'_, W> {
    fn columns(&mut self, columns: &[ColumnMeta]) -> io::Result<()> {
        put_length(self.packets.open(), columns.len() as u64);
        self.packets.finish()?;
        for column in columns {
            put_column(self.packets.open(), column);
            self.packets.finish()?;
        }
        self.wires = columns.iter().map(|column| column.wire).collect();
        // The flags that count are those behind the rows; this one only ends the columns.
        put_eof(self.packets.open(), 0, status::AUTOCOMMIT);
        self.packets.finish()
    }

    fn row(&mut self, row: &[Cell<'_>]) -> io::Result<()> {
        let out = self.packets.open();
        if self.binary {
            put_binary_row(out, row, &self.wires).map_err(|_| {
                io::Error::new(io::ErrorKind::InvalidData, "a value is not of its column's type")
            })?;
        } else {
            for cell in row {
                put_text(out, *cell);
            }
        }
        self.packets.finish()
    }

    fn end(&mut self, warnings: u16, status: u16) -> io::Result<()> {
        self.eof(warnings, status)
    }

    fn ok(&mut self, done: &Done, status: u16) -> io::Result<()> {
        put_ok(self.packets.open(), done, status | self.more);
        self.packets.finish()
    }
}

/// One cell in text form, behind its length.
fn put_text(out: &mut Vec<u8>, cell: Cell<'_>) {
    match cell {
        Cell::Null => out.push(NULL_MARK),
        Cell::Int(value) => put_digits(out, value < 0, value.unsigned_abs()),
        Cell::Uint(value) => put_digits(out, false, value),
        Cell::Bytes(bytes) => put_bytes(out, bytes),
        Cell::Float(value) => put_bytes(out, float_text(value).as_bytes()),
        Cell::Double(value) => put_bytes(out, double_text(value).as_bytes()),
    }
}

/// A whole number's digits behind their length; at most 20 characters, so the length is one byte.
fn put_digits(out: &mut Vec<u8>, negative: bool, value: u64) {
    let mut digits = [0; 20];
    let mut start = digits.len();
    let mut rest = value;
    loop {
        start -= 1;
        digits[start] =
            b'0' + rest.to_le_bytes()[0].wrapping_sub((rest / 10).wrapping_mul(10).to_le_bytes()[0]);
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    let digits = &digits[start..];
    put_length(out, digits.len() as u64 + u64::from(negative));
    if negative {
        out.push(b'-');
    }
    out.extend_from_slice(digits);
}

/// The shortest text that is this DOUBLE again.
#[must_use]
pub fn double_text(value: f64) -> String {
    let size = value.abs();
    match size != 0.0 && !(EXPONENT_FROM.recip()..EXPONENT_FROM).contains(&size) {
        true => format!("{value:e}"),
        false => format!("{value}"),
    }
}

/// The shortest text that is this FLOAT again.
#[must_use]
pub fn float_text(value: f32) -> String {
    let size = f64::from(value.abs());
    match size != 0.0 && !(EXPONENT_FROM.recip()..EXPONENT_FROM).contains(&size) {
        true => format!("{value:e}"),
        false => format!("{value}"),
    }
}

/// A row in binary form: a map of the NULLs, then the other values.
fn put_binary_row(out: &mut Vec<u8>, row: &[Cell<'_>], wires: &[WireType]) -> Result<(), Malformed> {
    if row.len() != wires.len() {
        return Err(Malformed);
    }
    out.push(0);
    let nulls = out.len();
    out.resize(nulls + (row.len() + 7 + 2) / 8, 0);
    for (n, (cell, wire)) in row.iter().zip(wires).enumerate() {
        if *cell == Cell::Null {
            out[nulls + (n + 2) / 8] |= 1 << ((n + 2) % 8);
        } else {
            put_binary(out, *cell, *wire)?;
        }
    }
    Ok(())
}

/// One value in the binary form of its column. A value of another kind goes by its text.
fn put_binary(out: &mut Vec<u8>, cell: Cell<'_>, wire: WireType) -> Result<(), Malformed> {
    let integer_bytes = match wire {
        WireType::Tiny => 1,
        WireType::Short | WireType::Year => 2,
        WireType::Long | WireType::Int24 => 4,
        WireType::LongLong => 8,
        WireType::Float | WireType::Double => return put_binary_float(out, cell, wire),
        WireType::Date | WireType::DateTime | WireType::Timestamp => match cell {
            Cell::Bytes(text) => return temporal::put_datetime(out, text),
            _ => return Err(Malformed),
        },
        WireType::Time => match cell {
            Cell::Bytes(text) => return temporal::put_time(out, text),
            _ => return Err(Malformed),
        },
        _ => {
            put_text(out, cell);
            return Ok(());
        }
    };
    let bytes = match cell {
        Cell::Int(value) => value.to_le_bytes(),
        Cell::Uint(value) => value.to_le_bytes(),
        Cell::Bytes(text) => {
            let text = std::str::from_utf8(text).map_err(|_| Malformed)?;
            match text.parse::<i64>() {
                Ok(value) => value.to_le_bytes(),
                Err(_) => text.parse::<u64>().map_err(|_| Malformed)?.to_le_bytes(),
            }
        }
        _ => return Err(Malformed),
    };
    out.extend_from_slice(&bytes[..integer_bytes]);
    Ok(())
}

#[allow(clippy::cast_possible_truncation)] // a FLOAT column holds a value that is an f32
fn put_binary_float(out: &mut Vec<u8>, cell: Cell<'_>, wire: WireType) -> Result<(), Malformed> {
    let value = match cell {
        Cell::Double(value) => value,
        Cell::Float(value) => f64::from(value),
        Cell::Int(value) => value as f64,
        Cell::Uint(value) => value as f64,
        _ => return Err(Malformed),
    };
    match wire {
        WireType::Float => out.extend_from_slice(&(value as f32).to_le_bytes()),
        _ => out.extend_from_slice(&value.to_le_bytes()),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::wire::Fields;

    fn text_of(cell: Cell<'_>) -> String {
        let mut out = Vec::new();
        put_text(&mut out, cell);
        String::from_utf8(Fields::new(&out).counted().unwrap().to_vec()).unwrap()
    }

    #[test]
    fn a_message_that_quotes_a_long_value_is_cut_between_two_letters() {
        let mut out = Vec::new();
        put_error(&mut out, &SqlError::new(1366, "22007", "ä".repeat(100_000) + "b"));
        let message = &out[9..];
        assert_eq!(std::str::from_utf8(message).unwrap(), "ä".repeat(MESSAGE_BYTES / 2));
    }

    #[test]
    fn numbers_have_mysqls_text() {
        for value in [0, 1, 9, 10, 99, 100, 12_345_678_901, i64::MAX, -1, i64::MIN] {
            assert_eq!(text_of(Cell::Int(value)), value.to_string());
        }
        assert_eq!(text_of(Cell::Uint(u64::MAX)), u64::MAX.to_string());
        for (value, text) in [(0.0, "0"), (1.0, "1"), (-0.5, "-0.5"), (1e20, "1e20"), (1.5e-20, "1.5e-20")] {
            assert_eq!(text_of(Cell::Double(value)), text);
        }
        assert_eq!(text_of(Cell::Float(0.1)), "0.1");
    }

    #[test]
    fn a_binary_row_has_its_nulls_in_the_map() {
        let mut out = Vec::new();
        let row = [Cell::Int(-2), Cell::Null, Cell::Bytes(b"ab"), Cell::Uint(7), Cell::Bytes(b"2024-01-02")];
        let wires = [WireType::Tiny, WireType::Long, WireType::VarString, WireType::LongLong, WireType::Date];
        put_binary_row(&mut out, &row, &wires).unwrap();
        let expected =
            [&[0, 0b1000][..], &[0xfe], &[2, b'a', b'b'], &[7, 0, 0, 0, 0, 0, 0, 0], &[4, 232, 7, 1, 2]];
        assert_eq!(out, expected.concat());
    }

    #[test]
    fn the_text_of_an_ok_packet_stands_behind_its_length() {
        let mut out = Vec::new();
        let done = Done { affected_rows: 3, last_insert_id: 300, warnings: 1, info: "Records: 3".into() };
        put_ok(&mut out, &done, 2);
        assert_eq!(out, [&[0, 3, 0xfc, 44, 1, 2, 0, 1, 0, 10][..], b"Records: 3"].concat());
    }

    #[test]
    fn a_value_that_does_not_fit_its_column_is_refused() {
        let mut out = Vec::new();
        assert!(put_binary_row(&mut out, &[Cell::Bytes(b"x")], &[WireType::Long]).is_err());
        assert!(put_binary_row(&mut out, &[Cell::Int(1)], &[]).is_err());
    }

    #[test]
    fn a_result_is_columns_eof_rows_eof_with_the_flags() {
        let mut packets = PacketWriter::new(Vec::new());
        packets.set_sequence(1);
        let mut result = ResultWriter::new(&mut packets, false, true);
        result.columns(&[]).unwrap();
        result.row(&[Cell::Int(5), Cell::Null]).unwrap();
        result.end(3, 1).unwrap();
        packets.flush().unwrap();
        let expected = [
            &[1, 0, 0, 1, 0][..],
            &[5, 0, 0, 2, 0xfe, 0, 0, 2, 0],
            &[3, 0, 0, 3, 1, b'5', 0xfb],
            &[5, 0, 0, 4, 0xfe, 3, 0, 9, 0],
        ];
        assert_eq!(packets.inner(), &expected.concat());
    }
}
