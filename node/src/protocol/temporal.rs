//! Dates and times between MySQL's text form and the protocol's binary form.
//!
//! Exact to the microsecond. `0000-00-00` and `00:00:00` are the empty binary values. What is no date or time
//! is [`Malformed`] and never a made-up value.

use super::wire::{Fields, Malformed};
use std::fmt::Write as _;

/// Appends `YYYY-MM-DD[ HH:MM:SS[.ffffff]]` in binary form.
pub fn put_datetime(out: &mut Vec<u8>, text: &[u8]) -> Result<(), Malformed> {
    let (date, time) = match text.iter().position(|&byte| byte == b' ' || byte == b'T') {
        Some(at) => (&text[..at], &text[at + 1..]),
        None => (text, &b""[..]),
    };
    let mut parts = date.split(|&byte| byte == b'-');
    let mut next = || number(parts.next().ok_or(Malformed)?);
    let (year, month, day) = (next()?, next()?, next()?);
    let year = u16::try_from(year).map_err(|_| Malformed)?;
    let (hour, minute, second, micros) = if time.is_empty() { (0, 0, 0, 0) } else { clock(time)? };
    let length = match (hour | minute | second, micros) {
        (_, 1..) => 11,
        (1.., 0) => 7,
        (0, 0) if year == 0 && month == 0 && day == 0 => 0,
        (0, 0) => 4,
    };
    let mut bytes = [0; 11];
    bytes[..2].copy_from_slice(&year.to_le_bytes());
    bytes[2] = byte(month)?;
    bytes[3] = byte(day)?;
    bytes[4] = byte(hour)?;
    bytes[5] = byte(minute)?;
    bytes[6] = byte(second)?;
    bytes[7..].copy_from_slice(&micros.to_le_bytes());
    out.push(byte(length)?);
    out.extend_from_slice(&bytes[..usize::try_from(length).map_err(|_| Malformed)?]);
    Ok(())
}

/// Appends `[-]H+:MM:SS[.ffffff]` in binary form.
pub fn put_time(out: &mut Vec<u8>, text: &[u8]) -> Result<(), Malformed> {
    let (negative, digits) = match text.strip_prefix(b"-") {
        Some(rest) => (1, rest),
        None => (0, text),
    };
    let (hours, minute, second, micros) = clock(digits)?;
    if hours == 0 && minute == 0 && second == 0 && micros == 0 {
        out.push(0);
        return Ok(());
    }
    out.push(if micros == 0 { 8 } else { 12 });
    out.push(negative);
    out.extend_from_slice(&(hours / 24).to_le_bytes());
    out.extend_from_slice(&[byte(hours % 24)?, byte(minute)?, byte(second)?]);
    if micros != 0 {
        out.extend_from_slice(&micros.to_le_bytes());
    }
    Ok(())
}

/// Reads a binary date or datetime as text.
pub fn read_datetime(fields: &mut Fields<'_>, date_only: bool) -> Result<String, Malformed> {
    let length = fields.u8()?;
    let (mut year, mut month, mut day, mut hour, mut minute, mut second, mut micros) = (0, 0, 0, 0, 0, 0, 0);
    if length >= 4 {
        (year, month, day) = (fields.u16()?, fields.u8()?, fields.u8()?);
    }
    if length >= 7 {
        (hour, minute, second) = (fields.u8()?, fields.u8()?, fields.u8()?);
    }
    if length >= 11 {
        micros = fields.u32()?;
    }
    if !matches!(length, 0 | 4 | 7 | 11) || micros > 999_999 {
        return Err(Malformed);
    }
    let mut text = format!("{year:04}-{month:02}-{day:02}");
    if !date_only {
        write_clock(&mut text, &format!(" {hour:02}:{minute:02}:{second:02}"), micros);
    }
    Ok(text)
}

/// Reads a binary time as text.
pub fn read_time(fields: &mut Fields<'_>) -> Result<String, Malformed> {
    let length = fields.u8()?;
    if length == 0 {
        return Ok("00:00:00".to_owned());
    }
    if !matches!(length, 8 | 12) {
        return Err(Malformed);
    }
    let negative = fields.u8()? != 0;
    let days = u64::from(fields.u32()?);
    let (hour, minute, second) = (fields.u8()?, fields.u8()?, fields.u8()?);
    let micros = if length == 12 { fields.u32()? } else { 0 };
    if micros > 999_999 {
        return Err(Malformed);
    }
    let hours = days * 24 + u64::from(hour);
    let mut text = String::from(if negative { "-" } else { "" });
    write_clock(&mut text, &format!("{hours:02}:{minute:02}:{second:02}"), micros);
    Ok(text)
}

fn write_clock(text: &mut String, clock: &str, micros: u32) {
    text.push_str(clock);
    if micros != 0 {
        // Writing to a String cannot fail.
        let _ = write!(text, ".{micros:06}");
    }
}

/// `H+:MM:SS[.ffffff]` as hours, minutes, seconds, microseconds.
fn clock(text: &[u8]) -> Result<(u32, u32, u32, u32), Malformed> {
    let (whole, fraction) = match text.iter().position(|&byte| byte == b'.') {
        Some(at) => (&text[..at], &text[at + 1..]),
        None => (text, &b""[..]),
    };
    let mut parts = whole.split(|&byte| byte == b':');
    let mut next = || number(parts.next().ok_or(Malformed)?);
    let (hour, minute, second) = (next()?, next()?, next()?);
    if fraction.len() > 6 {
        return Err(Malformed);
    }
    let mut micros = if fraction.is_empty() { 0 } else { number(fraction)? };
    for _ in fraction.len()..6 {
        micros *= 10;
    }
    Ok((hour, minute, second, micros))
}

fn number(digits: &[u8]) -> Result<u32, Malformed> {
    if digits.is_empty() || digits.len() > 9 {
        return Err(Malformed);
    }
    digits.iter().try_fold(0, |sum, digit| match digit {
        b'0'..=b'9' => Ok(sum * 10 + u32::from(digit - b'0')),
        _ => Err(Malformed),
    })
}

fn byte(value: u32) -> Result<u8, Malformed> {
    u8::try_from(value).map_err(|_| Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datetimes_come_back_exactly() {
        let texts = ["2024-02-29 23:59:58.000001", "1970-01-01 00:00:01", "9999-12-31 23:59:59.999999"];
        for text in texts {
            let mut out = Vec::new();
            put_datetime(&mut out, text.as_bytes()).unwrap();
            assert_eq!(read_datetime(&mut Fields::new(&out), false).unwrap(), text);
        }
    }

    #[test]
    fn the_shortest_binary_form_is_taken() {
        let cases: [(&str, usize); 4] =
            [("0000-00-00", 1), ("2024-01-01", 5), ("2024-01-01 00:00:00", 5), ("2024-01-01 00:00:00.5", 12)];
        for (text, length) in cases {
            let mut out = Vec::new();
            put_datetime(&mut out, text.as_bytes()).unwrap();
            assert_eq!(out.len(), length, "{text}");
        }
        let mut out = Vec::new();
        put_datetime(&mut out, b"0000-00-00 00:00:00").unwrap();
        assert_eq!(out, [0]);
        assert_eq!(read_datetime(&mut Fields::new(&[0]), true).unwrap(), "0000-00-00");
    }

    #[test]
    fn times_come_back_exactly() {
        for text in ["00:00:00", "-838:59:59", "12:34:56.789000", "838:59:59.000001", "-00:00:01"] {
            let mut out = Vec::new();
            put_time(&mut out, text.as_bytes()).unwrap();
            assert_eq!(read_time(&mut Fields::new(&out)).unwrap(), text);
        }
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for text in ["", "2024", "2024-13", "abcd-01-01", "2024-01-01 10", "2024-01-01 10:00:00.1234567"] {
            assert!(put_datetime(&mut Vec::new(), text.as_bytes()).is_err(), "{text} was taken");
        }
        assert!(put_time(&mut Vec::new(), b"12:00").is_err());
    }
}
