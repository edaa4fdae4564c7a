//! Statements that are not UTF-8: a dump writes a BLOB's bytes into a quoted text as they are.
//!
//! Such a text becomes a hexadecimal one, which means the same bytes; outside of quotes, what is not UTF-8 is an error.

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::SqlError;
use crate::protocol::split::quoted;

/// The statement in UTF-8.
pub fn in_utf8(sql: &[u8]) -> Result<Cow<'_, str>, SqlError> {
    if let Ok(text) = std::str::from_utf8(sql) {
        return Ok(Cow::Borrowed(text));
    }
    let wrong = || SqlError::new(1300, "HY000", "Invalid utf8mb4 character string in the statement");
    let mut out = String::with_capacity(sql.len() + sql.len() / 2);
    let mut done = 0;
    for (start, end) in quoted(sql) {
        out += std::str::from_utf8(&sql[done..start]).map_err(|_| wrong())?;
        let part = &sql[start..end];
        match std::str::from_utf8(part) {
            Ok(text) => out += text,
            Err(_) if part[0] == b'`' || part.len() < 2 || part.last() != part.first() => return Err(wrong()),
            Err(_) => {
                out += " x'";
                for byte in unescaped(&part[1..part.len() - 1], part[0]) {
                    // Writing to a String does not fail.
                    let _ = write!(out, "{byte:02x}");
                }
                out.push('\'');
            }
        }
        done = end;
    }
    out += std::str::from_utf8(&sql[done..]).map_err(|_| wrong())?;
    Ok(Cow::Owned(out))
}

/// The bytes that stand between two quotes.
fn unescaped(text: &[u8], quote: u8) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        if byte == quote {
            bytes.next_if_eq(&quote);
            out.push(quote);
        } else if byte == b'\\' {
            out.push(match bytes.next() {
                Some(b'0') => 0,
                Some(b'b') => 8,
                Some(b'n') => b'\n',
                Some(b'r') => b'\r',
                Some(b't') => b'\t',
                Some(b'Z') => 26,
                Some(other) => other,
                None => b'\\',
            });
        } else {
            out.push(byte);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_in_quotes_become_hexadecimal_and_text_stays() {
        let sql = b"INSERT INTO t VALUES ('\xff\\0''\\n', 'a''\\'b', \"\xfe\") -- '";
        assert_eq!(in_utf8(sql).unwrap(), "INSERT INTO t VALUES ( x'ff00270a', 'a''\\'b',  x'fe') -- '");
        assert_eq!(in_utf8(b"SELECT '\xff' x").unwrap(), "SELECT  x'ff' x");
        for wrong in [&b"SELECT \xff"[..], b"SELECT `\xff`", b"SELECT '\xff"] {
            assert_eq!(in_utf8(wrong).unwrap_err().code, 1300);
        }
    }
}
