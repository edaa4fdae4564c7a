//! Takes the comments out of a statement, before anybody reads it.
//!
//! `/*! … */` and `/*!80000 … */` hold code for MySQL from that version on, and the code stays; every other comment becomes
//! blanks. Whoever reads a statement reads what this gives: what judges it (`accounts::gate`) and what carries it out
//! must not see different words. Invariant: every character that stays keeps its line and its column. Not here: quoted
//! texts, which stay as they are, whatever is in them.

use std::borrow::Cow;

use crate::protocol::split::after_quote;

/// The version that this node is, as versioned comments write it.
const VERSION_NUMBER: u32 = 80_099;
/// How many digits a version has in a comment.
const VERSION_DIGITS: std::ops::RangeInclusive<usize> = 5..=6;

/// The statement without its comments, and whether it had any. `None` if one is not closed.
#[must_use]
pub fn uncommented(sql: &str) -> Option<(Cow<'_, str>, bool)> {
    if !["/*", "--", "#"].iter().any(|opening| sql.contains(opening)) {
        return Some((Cow::Borrowed(sql), false));
    }
    let bytes = sql.as_bytes();
    let mut out = String::new();
    let (mut at, mut done, mut inside, mut commented) = (0, 0, false, false);
    while at < bytes.len() {
        let rest = &sql.as_bytes()[at..];
        let end = match bytes[at] {
            quote @ (b'\'' | b'"' | b'`') => {
                at = after_quote(bytes, at, quote).min(bytes.len());
                continue;
            }
            b'#' => line_end(bytes, at),
            b'-' if opens_a_line(sql, at) => line_end(bytes, at),
            b'*' if inside && rest.starts_with(b"*/") => {
                inside = false;
                at + 2
            }
            b'/' if rest.starts_with(b"/*!") => match version(&rest[3..]) {
                Some((_, version)) if version > VERSION_NUMBER => comment_end(bytes, at + 2, true)?,
                found => {
                    inside = true;
                    at + 3 + found.map_or(0, |(digits, _)| digits)
                }
            },
            b'/' if rest.starts_with(b"/*") => comment_end(bytes, at + 2, false)?,
            _ => {
                at += 1;
                continue;
            }
        };
        commented = true;
        out.push_str(&sql[done..at]);
        out.extend(sql[at..end].chars().map(|c| if c == '\n' { c } else { ' ' }));
        (at, done) = (end, end);
    }
    if inside {
        return None;
    }
    out.push_str(&sql[done..]);
    Some((Cow::Owned(out), commented))
}

/// Whether two dashes begin a comment here: a blank or the end has to follow them.
fn opens_a_line(sql: &str, at: usize) -> bool {
    sql[at..].strip_prefix("--").is_some_and(|rest| rest.chars().next().is_none_or(char::is_whitespace))
}

fn line_end(text: &[u8], at: usize) -> usize {
    text[at..].iter().position(|&byte| byte == b'\n').map_or(text.len(), |end| at + end)
}

/// Where a comment is over whose inside begins at `at`. What is for later versions may hold comments of its own.
fn comment_end(text: &[u8], mut at: usize, holds_comments: bool) -> Option<usize> {
    while at < text.len() {
        let rest = &text[at..];
        if rest.starts_with(b"*/") {
            return Some(at + 2);
        }
        at = if holds_comments && rest.starts_with(b"/*") {
            comment_end(text, at + 2, false)?
        } else {
            at + 1
        };
    }
    None
}

/// The number of digits of a version, and the version. Fewer digits are part of the code.
fn version(text: &[u8]) -> Option<(usize, u32)> {
    let digits = text.iter().take(*VERSION_DIGITS.end()).take_while(|byte| byte.is_ascii_digit()).count();
    let number = text[..digits].iter().fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0'));
    VERSION_DIGITS.contains(&digits).then_some((digits, number))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(sql: &str) -> String {
        let (text, _) = uncommented(sql).unwrap();
        assert_eq!(text.chars().count(), sql.chars().count(), "{sql}: the columns have moved");
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn comments_go_and_code_for_this_version_stays() {
        for (sql, left) in [
            ("a /* ü */ b -- c\n d # e\n f", "a b d f"),
            ("SHOW /*!50000 count */ BINLOG", "SHOW count BINLOG"),
            ("SHOW /*!count*/ BINLOG", "SHOW count BINLOG"),
            ("SHOW /*!99999 count */ BINLOG /*!100100 x */", "SHOW BINLOG"),
            ("a /*!99999 b /* c */ d */ e", "a e"),
            ("a /*M!100100 b */ c", "a c"),
            ("a /* /* */ b # */ c", "a b"),
            ("a /*!50000 '*/' b */ c", "a '*/' b c"),
            ("'/* x */' \"-- \" `# y`", "'/* x */' \"-- \" `# y`"),
            ("1--1 - -1", "1--1 - -1"),
            ("/*!123 x */", "123 x"),
            ("a --", "a"),
        ] {
            assert_eq!(words(sql), left, "{sql}");
        }
        assert!(uncommented("a /* b").is_none() && uncommented("a /*! b").is_none());
        assert!(uncommented("a /*!99999 b /* c */").is_none());
        assert_eq!(uncommented("'open -- "), Some((Cow::Owned("'open -- ".into()), false)));
    }
}
