//! MySQL's string functions as functions of SQLite. Positions count characters from 1.

use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Result};
use sha1::{Digest, Sha1};

use super::collation::{Collation, same_character, same_text};
use super::functions::{PURE, text_of};

/// The longest text that REPEAT, LPAD and such make, in bytes.
const MAX_RESULT_BYTES: usize = 16 << 20;

fn text(ctx: &Context<'_>, at: usize) -> Option<String> {
    text_of(ctx.get_raw(at))
}

fn bytes(ctx: &Context<'_>, at: usize) -> Option<Vec<u8>> {
    match ctx.get_raw(at) {
        ValueRef::Blob(bytes) => Some(bytes.to_vec()),
        other => text_of(other).map(String::into_bytes),
    }
}

pub(super) fn register(conn: &Connection) -> Result<()> {
    joining(conn)?;
    cutting(conn)?;
    searching(conn)?;
    bytes_and_hashes(conn)
}

fn joining(conn: &Connection) -> Result<()> {
    conn.create_scalar_function("my_concat", -1, PURE, |ctx| {
        let parts: Option<Vec<String>> = (0..ctx.len()).map(|at| text(ctx, at)).collect();
        Ok(parts.map(|parts| parts.concat()))
    })?;
    conn.create_scalar_function("my_concat_binary", -1, PURE, |ctx| {
        let parts: Option<Vec<Vec<u8>>> = (0..ctx.len()).map(|at| bytes(ctx, at)).collect();
        Ok(parts.map(|parts| parts.concat()))
    })?;
    conn.create_scalar_function("my_concat_ws", -1, PURE, |ctx| {
        let Some(separator) = text(ctx, 0) else { return Ok(None) };
        let parts: Vec<String> = (1..ctx.len()).filter_map(|at| text(ctx, at)).collect();
        Ok(Some(parts.join(&separator)))
    })?;
    conn.create_scalar_function("my_repeat", 2, PURE, |ctx| {
        let (Some(part), Some(times)) = (text(ctx, 0), ctx.get::<Option<i64>>(1)?) else { return Ok(None) };
        let times = usize::try_from(times).unwrap_or(0);
        Ok((part.len().saturating_mul(times) <= MAX_RESULT_BYTES).then(|| part.repeat(times)))
    })?;
    for (name, left) in [("my_lpad", true), ("my_rpad", false)] {
        conn.create_scalar_function(name, 3, PURE, move |ctx| {
            let (Some(body), Some(length), Some(pad)) =
                (text(ctx, 0), ctx.get::<Option<i64>>(1)?, text(ctx, 2))
            else {
                return Ok(None);
            };
            let Ok(length) = usize::try_from(length) else { return Ok(None) };
            if length > MAX_RESULT_BYTES {
                return Ok(None);
            }
            let have = body.chars().count();
            let fill: String = pad.chars().cycle().take(length.saturating_sub(have)).collect();
            if have < length && pad.is_empty() {
                return Ok(Some(String::new()));
            }
            let body: String = body.chars().take(length).collect();
            Ok(Some(if left { fill + &body } else { body + &fill }))
        })?;
    }
    conn.create_scalar_function("my_reverse", 1, PURE, |ctx| {
        Ok(text(ctx, 0).map(|t| t.chars().rev().collect::<String>()))
    })?;
    conn.create_scalar_function("my_upper", 1, PURE, |ctx| Ok(text(ctx, 0).map(|t| upper(&t))))?;
    conn.create_scalar_function("my_lower", 1, PURE, |ctx| Ok(text(ctx, 0).map(|t| lower(&t))))
}

/// Character by character, as MySQL does: what has no capital of one character (ß) stays.
fn upper(text: &str) -> String {
    let one = |c: char| {
        let mut capital = c.to_uppercase();
        if capital.len() == 1 { capital.next().unwrap_or(c) } else { c }
    };
    text.chars().map(one).collect()
}

/// Character by character: a sigma at a word's end is no other than one within.
fn lower(text: &str) -> String {
    text.chars().map(|c| c.to_lowercase().next().unwrap_or(c)).collect()
}

/// The part of a text from a position (negative: from the end), of at most `length` characters.
fn part(text: &str, from: i64, length: Option<i64>) -> String {
    let count = i64::try_from(text.chars().count()).unwrap_or(i64::MAX);
    let start = match from {
        0 => return String::new(),
        from if from < 0 => count + from,
        from => from - 1,
    };
    let length = length.unwrap_or(count);
    match (usize::try_from(start), usize::try_from(length)) {
        (Ok(start), Ok(length)) => text.chars().skip(start).take(length).collect(),
        _ => String::new(),
    }
}

fn cutting(conn: &Connection) -> Result<()> {
    conn.create_scalar_function("my_substr", 3, PURE, |ctx| {
        let (Some(body), Some(from), Some(length)) =
            (text(ctx, 0), ctx.get::<Option<i64>>(1)?, ctx.get::<Option<i64>>(2)?)
        else {
            return Ok(None);
        };
        Ok(Some(part(&body, from, Some(length))))
    })?;
    conn.create_scalar_function("my_substr", 2, PURE, |ctx| {
        let (Some(body), Some(from)) = (text(ctx, 0), ctx.get::<Option<i64>>(1)?) else { return Ok(None) };
        Ok(Some(part(&body, from, None)))
    })?;
    conn.create_scalar_function("my_right", 2, PURE, |ctx| {
        let (Some(body), Some(length)) = (text(ctx, 0), ctx.get::<Option<i64>>(1)?) else { return Ok(None) };
        let count = i64::try_from(body.chars().count()).unwrap_or(i64::MAX);
        Ok(Some(part(&body, (count - length.max(0)).max(0) + 1, Some(length.max(0)))))
    })?;
    conn.create_scalar_function("my_substring_index", 3, PURE, |ctx| {
        let (Some(body), Some(separator), Some(count)) =
            (text(ctx, 0), text(ctx, 1), ctx.get::<Option<i64>>(2)?)
        else {
            return Ok(None);
        };
        if separator.is_empty() || count == 0 {
            return Ok(Some(String::new()));
        }
        let pieces: Vec<&str> = body.split(separator.as_str()).collect();
        let wanted = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX).min(pieces.len());
        let chosen = if count > 0 { &pieces[..wanted] } else { &pieces[pieces.len() - wanted..] };
        Ok(Some(chosen.join(&separator)))
    })?;
    // How: 1 leading, 2 trailing, 3 both.
    conn.create_scalar_function("my_trim", 3, PURE, |ctx| {
        let (Some(body), Some(what), how) = (text(ctx, 0), text(ctx, 1), ctx.get::<i64>(2)?) else {
            return Ok(None);
        };
        let mut rest = body.as_str();
        while how & 1 != 0 && !what.is_empty() {
            let Some(shorter) = rest.strip_prefix(what.as_str()) else { break };
            rest = shorter;
        }
        while how & 2 != 0 && !what.is_empty() {
            let Some(shorter) = rest.strip_suffix(what.as_str()) else { break };
            rest = shorter;
        }
        Ok(Some(rest.to_owned()))
    })?;
    conn.create_scalar_function("my_replace", 3, PURE, |ctx| {
        let (Some(body), Some(from), Some(to)) = (text(ctx, 0), text(ctx, 1), text(ctx, 2)) else {
            return Ok(None);
        };
        Ok(Some(if from.is_empty() { body } else { body.replace(&from, &to) }))
    })
}

/// Whether the text is like the pattern (`%`, `_`, and an escape character) under a collation.
#[must_use]
pub fn like(text: &[char], pattern: &[char], escape: Option<char>, collation: Collation) -> bool {
    let same = |a: char, b: char| same_character(collation, a, b);
    // On a mismatch the last % takes one more character: linear in memory, no recursion.
    let (mut t, mut p) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    loop {
        let step = match pattern.get(p) {
            Some('%') => {
                retry = Some((t, p + 1));
                p += 1;
                continue;
            }
            Some(&c) if Some(c) == escape && p + 1 < pattern.len() => {
                text.get(t).is_some_and(|&x| same(x, pattern[p + 1])).then_some(2)
            }
            Some('_') => text.get(t).map(|_| 1),
            Some(&c) => text.get(t).is_some_and(|&x| same(x, c)).then_some(1),
            None if t == text.len() => return true,
            None => None,
        };
        match (step, retry) {
            (Some(width), _) => {
                t += 1;
                p += width;
            }
            (None, Some((from, after))) if from < text.len() => {
                retry = Some((from + 1, after));
                (t, p) = (from + 1, after);
            }
            _ => return false,
        }
    }
}

/// Whether a name (of a host, a database, a table) is like the pattern, case and all, with `\` before a sign that means itself.
#[must_use]
pub fn name_like(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    like(&name, &pattern, Some('\\'), Collation::Bin)
}

/// The collation whose name is this argument.
fn named(ctx: &Context<'_>, at: usize) -> Collation {
    text(ctx, at).and_then(|name| Collation::of_name(&name)).unwrap_or(Collation::GeneralCi)
}

fn searching(conn: &Connection) -> Result<()> {
    conn.create_scalar_function("my_like", 4, PURE, |ctx| {
        let (Some(body), Some(pattern)) = (text(ctx, 0), text(ctx, 1)) else { return Ok(None) };
        let escape = text(ctx, 2).and_then(|t| t.chars().next());
        let collation = named(ctx, 3);
        let (body, pattern): (Vec<char>, Vec<char>) = (body.chars().collect(), pattern.chars().collect());
        Ok(Some(like(&body, &pattern, escape, collation)))
    })?;
    // LOCATE(needle, text, from), and the collation. As MariaDB does, it looks for as many bytes as the needle has.
    conn.create_scalar_function("my_locate", 4, PURE, |ctx| {
        let (Some(needle), Some(body), Some(from)) = (text(ctx, 0), text(ctx, 1), ctx.get::<Option<i64>>(2)?)
        else {
            return Ok(None);
        };
        let skip = usize::try_from(from.saturating_sub(1)).unwrap_or(usize::MAX);
        let collation = named(ctx, 3);
        let starts = body.char_indices().map(|(at, _)| at).chain([body.len()]);
        let same = |at: usize| {
            let part = body.get(at..at.saturating_add(needle.len()));
            part.is_some_and(|part| same_text(collation, part, &needle))
        };
        let found = starts.enumerate().skip(skip).find(|&(_, at)| same(at));
        Ok(Some(found.map_or(0, |(nth, _)| i64::try_from(nth + 1).unwrap_or(0))))
    })?;
    conn.create_scalar_function("my_char_length", 1, PURE, |ctx| {
        Ok(match ctx.get_raw(0) {
            ValueRef::Blob(bytes) => i64::try_from(bytes.len()).ok(),
            other => text_of(other).and_then(|t| i64::try_from(t.chars().count()).ok()),
        })
    })?;
    conn.create_scalar_function("my_length", 1, PURE, |ctx| {
        Ok(bytes(ctx, 0).and_then(|b| i64::try_from(b.len()).ok()))
    })?;
    conn.create_scalar_function("my_ascii", 1, PURE, |ctx| {
        Ok(bytes(ctx, 0).map(|b| i64::from(b.first().copied().unwrap_or(0))))
    })
}

fn bytes_and_hashes(conn: &Connection) -> Result<()> {
    conn.create_scalar_function("my_hex", 1, PURE, |ctx| {
        Ok(match ctx.get_raw(0) {
            ValueRef::Integer(n) => Some(format!("{n:X}")),
            _ => bytes(ctx, 0).map(|b| hex(&b).to_uppercase()),
        })
    })?;
    conn.create_scalar_function("my_unhex", 1, PURE, |ctx| Ok(text(ctx, 0).and_then(|t| unhex(&t))))?;
    conn.create_scalar_function("my_sha1", 1, PURE, |ctx| Ok(bytes(ctx, 0).map(|b| hex(&Sha1::digest(b)))))?;
    conn.create_scalar_function("my_crc32", 1, PURE, |ctx| Ok(bytes(ctx, 0).map(|b| i64::from(crc32(&b)))))?;
    let impure = FunctionFlags::SQLITE_UTF8;
    conn.create_scalar_function("my_uuid", 0, impure, |_| Ok(random_uuid()))?;
    super::rand::register(conn)
}

/// 64 bits from the randomness that the standard library seeds its hash maps with.
#[must_use]
pub fn random_bits() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(std::time::SystemTime::now())
}

/// A random (version 4) UUID.
#[must_use]
pub fn random_uuid() -> String {
    let high = random_bits() & !0xf000 | 0x4000;
    let low = random_bits() & !(3 << 62) | (2 << 62);
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        high >> 32,
        high >> 16 & 0xffff,
        high & 0xffff,
        low >> 48,
        low & 0xffff_ffff_ffff
    )
}

/// Bytes as lower-case hex digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The bytes that hex digits say.
#[must_use]
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    let padded = if text.len() % 2 == 1 { format!("0{text}") } else { text.to_owned() };
    (0..padded.len() / 2).map(|at| u8::from_str_radix(padded.get(2 * at..2 * at + 2)?, 16).ok()).collect()
}

fn crc32(bytes: &[u8]) -> u32 {
    const POLYNOMIAL: u32 = 0xedb8_8320;
    !bytes.iter().fold(!0u32, |crc, &byte| {
        (0..8)
            .fold(crc ^ u32::from(byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ POLYNOMIAL } else { crc >> 1 })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn like_takes_wildcards_and_escapes() {
        let is = |t: &str, p: &str| {
            let (t, p): (Vec<char>, Vec<char>) = (t.chars().collect(), p.chars().collect());
            like(&t, &p, Some('\\'), Collation::GeneralCi)
        };
        assert!(is("Straße 7", "stra%7") && is("abc", "A_C") && is("", "%") && is("a%b", "a\\%b"));
        assert!(!is("abc", "a_") && !is("axb", "a\\%b") && !is("", "_"));
        assert!(is(&"a".repeat(5000), "%a%a%a%a%"));
    }

    #[test]
    fn names_are_like_a_pattern_with_their_case() {
        assert!(name_like("Shop%", "Shop_1") && !name_like("shop%", "Shop_1") && name_like("a\\", "a\\"));
        let (pattern, name) = ("%a".repeat(40), "a".repeat(2000) + "b");
        assert!(!name_like(&pattern, &name), "never more steps than the product of the lengths");
    }

    #[test]
    fn hashes_and_hex_agree_with_the_standards() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(hex(&Sha1::digest(b"abc")), "a9993e364706816aba3e25717850c26c9cd0d89d");
        assert_eq!(unhex("abc"), Some(vec![0x0a, 0xbc]));
        assert_eq!(random_uuid().len(), 36);
    }
}
