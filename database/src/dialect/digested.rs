//! The statement by which a server digests chunks: for each its place, how many rows it has, and SHA-256 over them.
//!
//! # Why equal digests mean equal rows
//!
//! The bytes under the hash can be read back, so no two lists of rows have one text. Bytes FF and FE are in no text in UTF-8, nor in
//! a number or a time: FF ends a value and FE alone is NULL. Whatever may contain anything (bytes, text in other character sets) has its
//! length before it. Lengths before all texts would do the same and cost a fifth of the whole: a server pads a CHAR to its full
//! width and cuts the padding off again each time that it is named.
//!
//! CAST makes the first mark a binary string of the same rank as columns, and with it the whole: a server then takes the bytes of all
//! texts as they are stored, and turns none into another character set, where two contents may become one. FLOAT and DOUBLE are
//! written as a DOUBLE in full, for a server rounds the one and may round the other.
//!
//! Assumes that a column in UTF-8 holds UTF-8, which servers see to when they store it.
//!
//! Invariant: what is written for a value depends on the value and on the table's definition, and on nothing else. Not here: in
//! which order a server hands out rows, for which a second look is taken, and what it warns about.

use super::{Form, conditions, form, identifier, is_choice, table_name};
use crate::table::{Chunk, Column, Kind};

/// What stands behind the first value, and behind each other. A cast is made anew for each row, a literal is not.
const ENDS: [&str; 2] = ["CAST(X'FF' AS BINARY)", "X'FF'"];
/// More characters than any number or time has: a DECIMAL of 65 digits has 67.
const NUMBER_CHARS: u32 = 80;
/// What stands for a value that is NULL.
const NONE: &str = "CAST(X'FE' AS BINARY)";

/// The digests of chunks of one table: for each its place, how many rows it has, and SHA-256 over them in hex, or NULL where
/// there are none. None if the table has no key in whose order its rows could be taken.
#[must_use]
pub fn digests(chunks: &[Chunk]) -> Option<String> {
    let table = chunks.first().map(|chunk| &chunk.table).filter(|table| !table.key.is_empty())?;
    let ends = std::iter::once(ENDS[0]).chain(std::iter::repeat(ENDS[1]));
    let row: Vec<String> = table.columns.iter().zip(ends).map(|(column, end)| part(column, end)).collect();
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

/// A column's part of the text under a hash, with this mark.
fn part(column: &Column, end: &str) -> String {
    let name = identifier(&column.name);
    let or_none = |value: &str| match column.definition.ends_with(" NOT NULL") {
        true => value.to_owned(),
        false => format!("IFNULL({value}, {NONE})"),
    };
    let ended = |value: &str| format!("{}, {end}", or_none(value));
    // what is put together with NULL becomes text of the length that the server believes it to have, and is cut off there without a word
    let number = |value: &str| match column.definition.ends_with(" NOT NULL") {
        true => ended(value),
        false => ended(&format!("CAST({value} AS CHAR({NUMBER_CHARS}))")),
    };
    match (column.kind, column.charset()) {
        (Kind::Integer, _) if form(column) == Form::Number => number(&format!("CAST({name} AS UNSIGNED)")),
        (Kind::Integer | Kind::Decimal | Kind::Date | Kind::DateTime | Kind::Time, _) => number(&name),
        // by number: one of its texts may be empty, as is what was not valid; a SET of 64 members is more than a DOUBLE holds
        (Kind::Text, _) if is_choice(column) => number(&format!("CAST({name} AS UNSIGNED)")),
        (Kind::Bit, _) => number(&format!("{name}+0")),
        // times one, and not plus zero, which would lose the sign of zero
        (Kind::Float | Kind::Double, _) => number(&format!("{name}*1e0")),
        (Kind::Text, Some("utf8mb4" | "utf8mb3")) => ended(&name),
        // types that are written as text and are none
        (Kind::Text | Kind::Json, None) => ended(&format!("CAST({name} AS CHAR)")),
        (Kind::Text | Kind::Json | Kind::Bytes, _) => {
            format!("{}, {}", number(&format!("LENGTH({name})")), or_none(&name))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part_of(definition: &str, kind: Kind) -> String {
        let definition = definition.into();
        part(&Column { name: "c".into(), kind, definition, generated: false, restamped: false }, ENDS[1])
    }

    #[test]
    fn what_may_contain_anything_has_its_length_before_it() {
        let text = |definition: &str| part_of(definition, Kind::Text);
        let end = ", X'FF'";
        assert_eq!(text("char(9) utf8mb4 utf8mb4_bin NOT NULL"), format!("`c`{end}"));
        assert_eq!(
            text("char(9) utf8mb4 utf8mb4_bin NULL"),
            format!("IFNULL(`c`, CAST(X'FE' AS BINARY)){end}")
        );
        for other in ["latin1 latin1_bin", "ucs2 ucs2_bin", "cp932 cp932_bin"] {
            assert_eq!(text(&format!("char(9) {other} NOT NULL")), format!("LENGTH(`c`){end}, `c`"));
        }
        assert_eq!(
            part_of("decimal(4,4) NULL", Kind::Decimal),
            format!("IFNULL(CAST(`c` AS CHAR(80)), CAST(X'FE' AS BINARY)){end}")
        );
        assert_eq!(part_of("blob NOT NULL", Kind::Bytes), format!("LENGTH(`c`){end}, `c`"));
        assert_eq!(text("uuid NOT NULL"), format!("CAST(`c` AS CHAR){end}"));
    }
}
