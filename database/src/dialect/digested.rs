//! The statement by which a server digests chunks: for each its place, how many rows it has, and SHA-256 over them.
//!
//! # Why equal digests mean equal rows
//!
//! The text under the hash can be read back, so no two lists of rows have one text. A number or a time ends with a comma, which it does
//! not contain, and is `N` if it is NULL. Whatever else ends with a [`Delimiter`], which begins with a byte that it has nowhere else, so
//! that where it first stands is where the value ends; and which is made from the name of the run, so that no data was written with
//! it in mind. Lengths before the values would do the same without chance, and cost a fourth of the whole: a server pads a
//! CHAR to its full width and cuts the padding off again each time that it is named.
//!
//! The server makes the parts into one text, of one character set. Where text columns are not all of the same, those that are not UTF-8
//! are taken as bytes: turned into Unicode, two of their stored contents may become one. FLOAT and DOUBLE are written as a DOUBLE in
//! full, for a server rounds the one and may round the other.
//!
//! Invariant: what is written for a value depends on the value and on the table's definition, and on nothing else. Not here: in
//! which order a server hands out rows, for which a second look is taken, and what it warns about.

use super::{Form, conditions, form, identifier, is_choice, table_name};
use crate::table::{Chunk, Column, Kind, Table};
use std::collections::BTreeSet;

/// How many characters of a delimiter are made from a name.
const DELIMITER_LETTERS: usize = 12;
/// Of which five bits make one.
const LETTERS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// What stands behind each value that may contain anything. 60 bits of it are made from a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delimiter(Box<str>);

impl Delimiter {
    /// The delimiter of a run.
    #[must_use]
    pub fn of(run: &str) -> Delimiter {
        let hash = blake3::derive_key("evensum 2026 delimiter v1", run.as_bytes());
        let letters = hash.iter().take(DELIMITER_LETTERS).map(|byte| LETTERS[usize::from(byte % 32)]);
        Delimiter(std::iter::once(1).chain(letters).map(char::from).collect())
    }
}

impl Default for Delimiter {
    fn default() -> Delimiter {
        Delimiter::of("")
    }
}

/// The digests of chunks of one table: for each its place, how many rows it has, and SHA-256 over them in hex, or NULL where
/// there are none. None if the table has no key in whose order its rows could be taken.
#[must_use]
pub fn digests(chunks: &[Chunk], delimiter: &Delimiter) -> Option<String> {
    let table = chunks.first().map(|chunk| &chunk.table).filter(|table| !table.key.is_empty())?;
    let mixed = charsets(table).len() > 1;
    let row: Vec<String> = table.columns.iter().map(|column| part(column, mixed, delimiter)).collect();
    let row = row.join(", ");
    let one = |(place, chunk): (usize, &Chunk)| {
        format!(
            "SELECT {place}, COUNT(*), SHA2(GROUP_CONCAT({row} SEPARATOR ''), 256) FROM {} FORCE INDEX ({}){}",
            table_name(table),
            identifier(&table.key_name),
            conditions(table, chunk.lower.as_ref(), chunk.upper.as_ref())
        )
    };
    Some(chunks.iter().enumerate().map(one).collect::<Vec<_>>().join(" UNION ALL "))
}

/// The character sets of the texts that are written as text.
fn charsets(table: &Table) -> BTreeSet<&str> {
    table.columns.iter().filter(|column| !is_choice(column)).filter_map(Column::charset).collect()
}

/// A column's part of the text under a hash.
fn part(column: &Column, mixed: bool, delimiter: &Delimiter) -> String {
    let name = identifier(&column.name);
    let or = |value: &str, else_: &str| match column.definition.ends_with(" NOT NULL") {
        true => value.to_owned(),
        false => format!("IFNULL({value}, {else_})"),
    };
    let ended = |value: &str| format!("{}, ','", or(value, "'N'"));
    match column.kind {
        Kind::Integer if form(column) == Form::Number => ended(&format!("CAST({name} AS UNSIGNED)")),
        Kind::Integer | Kind::Decimal | Kind::Date | Kind::DateTime | Kind::Time => ended(&name),
        // by number: one of its texts may be empty, as is what was not valid; a SET of 64 members is more than a DOUBLE holds
        Kind::Text if is_choice(column) => ended(&format!("CAST({name} AS UNSIGNED)")),
        Kind::Bit => ended(&format!("{name}+0")),
        // times one, and not plus zero, which would lose the sign of zero
        Kind::Float | Kind::Double => ended(&format!("{name}*1e0")),
        Kind::Text | Kind::Json | Kind::Bytes => {
            let unicode = column.charset().is_none_or(|charset| matches!(charset, "utf8mb4" | "utf8mb3"));
            let value = if mixed && !unicode { format!("CAST({name} AS BINARY)") } else { name };
            // nothing but NULL has a delimiter in it
            format!("{}, '{}'", or(&value, &format!("'{}N'", delimiter.0)), delimiter.0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delimiter_begins_with_what_it_has_nowhere_else_and_depends_on_the_run() {
        let (one, other) = (Delimiter::of("one"), Delimiter::of("other"));
        for Delimiter(text) in [&one, &other, &Delimiter::default()] {
            let (first, rest) = text.split_at(1);
            assert_eq!((first, rest.len()), ("\u{1}", DELIMITER_LETTERS));
            assert!(rest.bytes().all(|byte| LETTERS.contains(&byte)), "{rest}");
        }
        assert_ne!(one, other);
        assert_eq!(one, Delimiter::of("one"));
    }
}
