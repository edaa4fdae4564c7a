//! ENUM and SET: the number behind each text.
//!
//! Rows hold the text, so that replicas and tools see what clients see. MySQL counts: an ENUM is the place of its member from 1,
//! a SET is a bit for each of its members, and both sort, compute and compare with numbers as these. So a column
//! that is used as a number goes through `my_members`, and a number on its way into a column names a member.

use rusqlite::types::Value as Stored;
use rusqlite::{Connection, Error, Result};

use super::collation::{Collation, compare};
use super::decimal::Decimal;
use super::expression::{Piece, Translator};
use super::functions::{PURE, text_of};
use super::number::int_stored;
use super::types::{ColumnType, Kind};
use crate::SqlError;
use crate::storage::definition::ColumnDef;

/// A SET has a bit for each member.
const MAX_SET: usize = 64;
/// The most members of an ENUM.
const MAX_ENUM: usize = 65_535;
/// A text that names an ENUM's member by its number has fewer characters than this.
const ENUM_DIGITS: usize = 6;
/// The same of a SET.
const SET_DIGITS: usize = 22;

fn members(ty: &ColumnType) -> Option<&[String]> {
    match ty {
        ColumnType::Enum(labels) | ColumnType::Set(labels) => Some(labels),
        _ => None,
    }
}

impl Translator<'_> {
    /// The number of an ENUM or a SET; none for anything else. It is signed where it is computed with, as in MariaDB.
    fn member_number(&mut self, piece: &Piece, unsigned: bool) -> Option<Piece> {
        let origin = piece.origin.as_ref()?;
        let ty = &origin.table.columns.get(origin.column)?.ty;
        let labels = serde_json::to_string(members(ty)?).ok()?;
        let bits = matches!(ty, ColumnType::Set(_));
        let (text, labels) = (self.emit(piece), self.emit(&Piece::text(labels)));
        let flags = i32::from(bits) + 2 * i32::from(unsigned);
        let sql = format!("my_members({text}, {labels}, {flags})");
        Some(Piece::sql(sql, Kind::Int { unsigned }))
    }

    /// What is a text and a number, as the number: a member, and what is written `0x..`.
    pub(super) fn counted(&mut self, piece: Piece, unsigned: bool) -> Piece {
        self.member_number(&piece, unsigned).unwrap_or_else(|| piece.numbered())
    }

    /// A value as rows are sorted by it: SQLite's text and its kind.
    pub(super) fn sorted(&mut self, piece: &Piece) -> (String, Kind) {
        match self.member_number(piece, true) {
            Some(number) => (number.sql, number.kind),
            None => (self.emit(piece), piece.kind),
        }
    }
}

pub(super) fn register(conn: &Connection) -> Result<()> {
    // my_members(text, labels as JSON, 1 for a SET + 2 for an unsigned number)
    conn.create_scalar_function("my_members", 3, PURE, |ctx| {
        let Some(text) = text_of(ctx.get_raw(0)) else { return Ok(Stored::Null) };
        let labels = ctx.get_or_create_aux(1, |value| {
            serde_json::from_str::<Vec<String>>(value.as_str()?)
                .map_err(|error| Error::UserFunctionError(error.into()))
        })?;
        let flags: i64 = ctx.get(2)?;
        let number = if flags & 1 == 1 { bits_of(&labels, &text) } else { place_of(&labels, &text) };
        Ok(match flags & 2 {
            0 => Stored::Integer(number.cast_signed()),
            _ => int_stored(i128::from(number)).unwrap_or(Stored::Null),
        })
    })
}

/// The place of a member from 1; 0 for none of them.
fn place_of(labels: &[String], text: &str) -> u64 {
    labels.iter().zip(1..).find(|(label, _)| *label == text).map_or(0, |(_, place)| place)
}

fn bits_of(labels: &[String], text: &str) -> u64 {
    let bit =
        |part: &str| labels.iter().take(MAX_SET).position(|label| label == part).map_or(0, |at| 1 << at);
    text.split(',').map(bit).fold(0, |all, bit| all | bit)
}

/// What a value of this text and kind is in an ENUM: the member of that name, or else of that number.
pub(super) fn one_of(labels: &[String], text: &str, kind: Kind, collation: Collation) -> Option<String> {
    let place = if kind.is_number() {
        whole(text)?
    } else {
        if let Some(found) = labels.iter().find(|label| compare(collation, label, text).is_eq()) {
            return Some(found.clone());
        }
        spelled(text, ENUM_DIGITS)?
    };
    labels.get(usize::try_from(place).ok()?.checked_sub(1)?).cloned()
}

/// What a value of this text and kind is in a SET: its members, or else those of the number's bits.
pub(super) fn some_of(labels: &[String], text: &str, kind: Kind, collation: Collation) -> Option<String> {
    let bits = match chosen(labels, text, collation) {
        Some(bits) if !kind.is_number() => bits,
        _ if kind.is_number() => whole(text)?,
        _ => spelled(text, SET_DIGITS)?,
    };
    let known = u64::MAX >> MAX_SET.saturating_sub(labels.len()).min(63);
    if bits & !known != 0 {
        return None;
    }
    let named = labels.iter().take(MAX_SET).enumerate().filter(|(at, _)| bits >> at & 1 == 1);
    Some(named.map(|(_, label)| label.as_str()).collect::<Vec<_>>().join(","))
}

/// The bits of the members that a text names, if it names nothing else.
fn chosen(labels: &[String], text: &str, collation: Collation) -> Option<u64> {
    if text.is_empty() {
        return Some(0);
    }
    let place = |part: &str| {
        labels
            .iter()
            .take(MAX_SET)
            .position(|label| compare(collation, label, part).is_eq() && !part.ends_with(' '))
    };
    text.trim_end_matches(' ').split(',').try_fold(0, |bits, part| Some(bits | 1 << place(part)?))
}

/// A number without its fraction.
fn whole(text: &str) -> Option<u64> {
    u64::try_from(Decimal::parse(text)?.truncate(0).rounded()?).ok()
}

/// The number that a short text is.
fn spelled(text: &str, limit: usize) -> Option<u64> {
    let text = text.trim_end_matches(' ');
    if text.len() >= limit {
        return None;
    }
    text.trim_start().parse().ok()
}

/// The value of an ENUM that may not be NULL and has no default, in a row that gives none.
pub(super) fn first(ty: &ColumnType) -> Option<Stored> {
    match ty {
        ColumnType::Enum(labels) => labels.first().cloned().map(Stored::Text),
        _ => None,
    }
}

/// Whether a default is a member, or members, by name; MySQL takes no numbers here.
pub(super) fn may_default(column: &ColumnDef, text: &str) -> bool {
    let collation = column.ordering();
    match &column.ty {
        ColumnType::Enum(labels) => labels.iter().any(|label| compare(collation, label, text).is_eq()),
        ColumnType::Set(labels) => chosen(labels, text, collation).is_some(),
        _ => true,
    }
}

/// Judges the members of a new column; spaces at the end of one do not count.
pub(super) fn define(column: &mut ColumnDef) -> Result<(), SqlError> {
    let collation = column.ordering();
    let (what, labels) = match &mut column.ty {
        ColumnType::Enum(labels) => ("ENUM", labels),
        ColumnType::Set(labels) => ("SET", labels),
        _ => return Ok(()),
    };
    for label in labels.iter_mut() {
        label.truncate(label.trim_end_matches(' ').len());
    }
    if let Some(wrong) = labels.iter().find(|label| what == "SET" && label.contains(',')) {
        let message = format!("Illegal set '{wrong}' value found during parsing");
        return Err(SqlError::new(1367, "22007", message));
    }
    if labels.len() > if what == "SET" { MAX_SET } else { MAX_ENUM } {
        let message = format!("Too many strings for column {} and {what}", column.name);
        return Err(SqlError::new(1097, "HY000", message));
    }
    let mut sorted: Vec<&String> = labels.iter().collect();
    sorted.sort_by(|a, b| compare(collation, a, b));
    let twice = sorted.windows(2).find(|pair| compare(collation, pair[0], pair[1]).is_eq());
    if let Some(label) = twice.and_then(|pair| pair.first()) {
        let message = format!("Column '{}' has duplicated value '{label}' in {what}", column.name);
        return Err(SqlError::new(1291, "HY000", message));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(names: &[&str]) -> Vec<String> {
        names.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_enum_takes_names_before_numbers() {
        let (sizes, digits) = (labels(&["small", "medium", "large"]), labels(&["2", "1", "0"]));
        let put = |labels: &[String], text, kind| one_of(labels, text, kind, Collation::GeneralCi);
        for (text, kind) in [
            ("2", Kind::TEXT),
            (" 2", Kind::TEXT),
            ("2 ", Kind::TEXT),
            ("+2", Kind::TEXT),
            ("00002", Kind::TEXT),
            ("2", Kind::INT),
            ("2.6", Kind::Double),
            ("Medium ", Kind::TEXT),
        ] {
            assert_eq!(put(&sizes, text, kind).as_deref(), Some("medium"), "{text}");
        }
        for (text, kind) in [
            ("2.0", Kind::TEXT),
            ("-1", Kind::TEXT),
            ("0", Kind::TEXT),
            ("", Kind::TEXT),
            ("4", Kind::TEXT),
            ("000002", Kind::TEXT),
            ("0", Kind::INT),
            ("4", Kind::INT),
            ("-1", Kind::INT),
        ] {
            assert_eq!(put(&sizes, text, kind), None, "{text}");
        }
        assert_eq!(put(&digits, "1", Kind::TEXT).as_deref(), Some("1"));
        assert_eq!(put(&digits, "1", Kind::INT).as_deref(), Some("2"));
        assert_eq!(put(&digits, "3", Kind::TEXT).as_deref(), Some("0"));
    }

    #[test]
    fn a_set_takes_names_before_bits() {
        let letters = labels(&["x", "a", "m"]);
        let put = |text, kind| some_of(&letters, text, kind, Collation::GeneralCi);
        for (text, kind, want) in [
            ("m,X,x", Kind::TEXT, Some("x,m")),
            ("3", Kind::TEXT, Some("x,a")),
            ("3", Kind::INT, Some("x,a")),
            ("2.6", Kind::Decimal { scale: 1 }, Some("a")),
            ("0", Kind::TEXT, Some("")),
            ("", Kind::TEXT, Some("")),
            ("8", Kind::TEXT, None),
            ("8", Kind::INT, None),
            ("-1", Kind::INT, None),
            ("x,nope", Kind::TEXT, None),
            ("x,,m", Kind::TEXT, None),
            (",", Kind::TEXT, None),
            ("x ,m", Kind::TEXT, None),
        ] {
            assert_eq!(put(text, kind).as_deref(), want, "{text}");
        }
        assert_eq!(bits_of(&letters, "x,m"), 5);
        assert_eq!(place_of(&letters, "m"), 3);
    }
}
