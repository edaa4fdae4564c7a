//! Tables, columns and chunks: what is compared, and in which pieces.
//!
//! A table has a key: its primary key, or a unique key without nullable columns. A table without one is a multiset: its
//! rows have no names, only contents, and how often each content is there. Such a table is *counted*
//! ([`Table::counted`]): the whole content is the key, and the number of copies is one more column, so that everything
//! that compares rows by key compares copies by content, and copies come and go in an edit.
//!
//! Invariant: the chunks of a table are half-open key ranges with open ends, so together they cover every key that
//! could ever exist, also keys that no node holds yet.

use crate::row::{Key, key_bytes};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// How a column's values are encoded; one for each kind of value, whatever the server calls the type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// Integers of any width and sign, YEAR.
    Integer,
    /// BIT: an unsigned integer that travels as bytes.
    Bit,
    /// FLOAT.
    Float,
    /// DOUBLE.
    Double,
    /// DECIMAL.
    Decimal,
    /// Text of any length and character set, ENUM, SET.
    Text,
    /// Binary strings of any length, geometry, and whatever this program does not know.
    Bytes,
    /// DATE.
    Date,
    /// DATETIME, and TIMESTAMP in UTC.
    DateTime,
    /// TIME.
    Time,
    /// JSON.
    Json,
}

/// A column of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Its name, as the server spells it.
    pub name: Box<str>,
    /// Its type in full, with what makes values differ: width, scale, character set, collation, NULL or NOT NULL.
    pub definition: Box<str>,
    /// How its values are encoded.
    pub kind: Kind,
    /// Whether the server calculates it; such a column is compared, and never written.
    pub generated: bool,
    /// Whether the server writes the time of a change into it unless told otherwise (ON UPDATE CURRENT_TIMESTAMP), so that
    /// an edit has to name it even where it does not differ.
    pub restamped: bool,
}

impl Column {
    /// The character set of a text column, as its definition names it: the last word but one before NULL or NOT NULL.
    #[must_use]
    pub fn charset(&self) -> Option<&str> {
        let definition = self.definition.strip_suffix(" NULL")?;
        let definition = definition.strip_suffix(" NOT").unwrap_or(definition);
        let (rest, collation) = definition.rsplit_once(' ')?;
        let (_, charset) = rest.rsplit_once(' ')?;
        (self.kind == Kind::Text && (collation.contains('_') || collation == "binary")).then_some(charset)
    }

    /// The members of an ENUM or SET column, in order.
    #[must_use]
    pub fn members(&self) -> Vec<String> {
        members(&self.definition).unwrap_or_default()
    }
}

/// The members in `enum('a','it''s') …`; none if the definition is of another type.
fn members(definition: &str) -> Option<Vec<String>> {
    let list = definition.strip_prefix("enum(").or_else(|| definition.strip_prefix("set("))?;
    let (mut members, mut rest) = (Vec::new(), list);
    loop {
        let mut member = String::new();
        rest = rest.strip_prefix('\'')?;
        loop {
            let (part, after) = rest.split_once('\'')?;
            member.push_str(part);
            let Some(more) = after.strip_prefix('\'') else {
                rest = after;
                break;
            };
            member.push('\'');
            rest = more;
        }
        members.push(member);
        match rest.strip_prefix(',') {
            Some(more) => rest = more,
            None => return rest.starts_with(')').then_some(members),
        }
    }
}

/// A table, as one node defines it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// The database that holds it.
    pub database: Box<str>,
    /// Its name there.
    pub name: Box<str>,
    /// Its columns, in order.
    pub columns: Vec<Column>,
    /// The positions of the key's columns, in the key's order; empty if there is no usable key.
    pub key: Vec<usize>,
    /// The name of the index that is the key, such as `PRIMARY`; empty if there is none.
    pub key_name: Box<str>,
    /// The server's guess at the number of rows; for progress only.
    pub rows_estimate: u64,
    /// A condition in SQL that limits which rows are walked (`--where`); a row that is asked for by its key is read
    /// whether it meets it or not.
    pub filter: Option<Box<str>>,
}

/// The last column of a counted table: how many rows have this content. No server takes such a name for a column of its own
/// by accident.
const COPIES: &str = "(copies)";

impl Table {
    /// This table without a key as a multiset: each content once, with the number of its copies behind it.
    #[must_use]
    pub fn as_multiset(&self) -> Table {
        let mut columns = self.columns.clone();
        let key = (0..columns.len()).collect();
        columns.push(Column {
            name: COPIES.into(),
            definition: "bigint unsigned NOT NULL".into(),
            kind: Kind::Integer,
            generated: true,
            restamped: false,
        });
        Table { columns, key, key_name: Box::default(), ..self.clone() }
    }

    /// Whether its rows are contents with the number of their copies.
    #[must_use]
    pub fn counted(&self) -> bool {
        self.key_name.is_empty() && self.columns.last().is_some_and(|last| &*last.name == COPIES)
    }

    /// The columns as the server has them.
    #[must_use]
    pub fn stored_columns(&self) -> &[Column] {
        &self.columns[..self.columns.len() - usize::from(self.counted())]
    }

    /// The key of an encoded row.
    #[must_use]
    pub fn key_of(&self, row: &[u8]) -> Key {
        Key::from_bytes(&key_bytes(row, &self.key))
    }

    /// The columns of the key, in its order.
    pub fn key_columns(&self) -> impl Iterator<Item = &Column> {
        self.key.iter().filter_map(|&column| self.columns.get(column))
    }

    /// The definition as far as it decides what rows mean: two nodes whose tables differ in this cannot be compared.
    #[must_use]
    pub fn definition(&self) -> String {
        let columns: Vec<String> = self
            .columns
            .iter()
            .map(|column| {
                let generated = if column.generated { " GENERATED" } else { "" };
                format!("{} {}{generated}", column.name, column.definition)
            })
            .collect();
        let key: Vec<&str> = self.key_columns().map(|column| column.name.as_ref()).collect();
        format!(
            "({}; key {})",
            columns.join(", "),
            if key.is_empty() { "none".into() } else { key.join(", ") }
        )
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.database, self.name)
    }
}

/// The keys from `lower` on, up to but without `upper`. An end that is `None` is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// The table.
    pub table: Arc<Table>,
    /// The first key of the chunk.
    pub lower: Option<Key>,
    /// The first key after the chunk.
    pub upper: Option<Key>,
}

impl fmt::Display for Chunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = |key: &Option<Key>| key.as_ref().map_or_else(|| "…".to_owned(), Key::to_string);
        write!(f, "{} [{}, {})", self.table, end(&self.lower), end(&self.upper))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(definition: &str) -> Column {
        Column {
            name: "c".into(),
            definition: definition.into(),
            kind: Kind::Text,
            generated: false,
            restamped: false,
        }
    }

    #[test]
    fn a_definition_says_its_character_set_and_its_members() {
        for (definition, charset) in [
            ("varchar(9) cp1251 cp1251_general_ci NULL", Some("cp1251")),
            ("enum('a b','utf8_c d') latin1 latin1_swedish_ci NOT NULL", Some("latin1")),
            ("set('a') binary binary NULL", Some("binary")),
            ("text /*M!100301 COMPRESSED*/ utf8mb4 utf8mb4_bin NULL", Some("utf8mb4")),
            ("uuid NOT NULL", None),
            ("inet6 NULL", None),
        ] {
            assert_eq!(column(definition).charset(), charset, "{definition}");
        }
        let members = |definition: &str| column(definition).members();
        assert_eq!(members("enum('','it''s',''',','a)') latin1 latin1_bin NULL"), ["", "it's", "',", "a)"]);
        assert_eq!(members("varchar(9) latin1 latin1_bin NULL"), [""; 0]);
        assert_eq!(members("enum('a"), [""; 0]);
    }
}
