//! SQL text, by pure functions: everything that is asked of a server, as it is sent and as it is shown in a plan.
//!
//! Values stand in the text as literals and not as parameters, because what a server makes of a literal depends on
//! the literal alone, while a bound text may be compared with a DECIMAL or a DATE by way of a double.
//!
//! A range over a key of several columns is written so that an index is used on MySQL, MariaDB and SQLite alike:
//! `a >= x AND (a > x OR (b >= y AND (b > y OR c >= z)))`.
//!
//! Invariant: [`literal`] gives every value back bit for bit when it is stored in a column of its kind, under the
//! session that `mysql` sets up (`NAMES utf8mb4`, UTC, backslashes escape).
//!
//! Not here: sending anything; the words of one server only (`SHOW …`), which stand beside their use.

pub mod counted;
pub mod digested;

use crate::row::{Key, Row};
use crate::table::{Chunk, Column, Kind, Table};
use crate::value::Value;
use std::fmt::Write;

/// How many keys one statement names at most: bounded by SQLite's depth of expressions and MySQL's range optimizer.
pub const KEYS_PER_STATEMENT: usize = 200;

/// What a reading does to the rows it reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lock {
    /// Nothing.
    None,
    /// Nobody else may write them until the transaction ends.
    Share,
    /// The same, and where somebody has them already, it fails at once: MySQL's words for it.
    ShareAtOnce,
    /// Nobody else may write or lock them until the transaction ends.
    Update,
    /// The same for those that nobody has; the others are left out.
    UpdateFree,
    /// Nobody else writes until the transaction ends: for a server that has one writer, and locks no rows.
    OneWriter,
}

/// A name in backticks.
#[must_use]
pub fn identifier(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// A table with its database.
#[must_use]
pub fn table_name(table: &Table) -> String {
    format!("{}.{}", identifier(&table.database), identifier(&table.name))
}

/// How the values of a column are asked for, so that each stored value arrives as another one.
///
/// Text arrives in UTF-8. Of most character sets that is exact both ways; of some it is not: a byte that stands for nothing
/// arrives as a question mark, and two bytes may stand for one character. And where an ENUM or SET has an empty member, that
/// member and the value of an error are the same text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form<'a> {
    /// As it is.
    Plain,
    /// The number of an ENUM's member, the bits of a SET.
    Number,
    /// As the bytes that are stored, which are the text's own where they are ASCII.
    Stored,
    /// `t` and the text where it can be turned back into what is stored, else `x` and the stored bytes in hex.
    Tagged(&'a str),
}

/// Character sets of which every stored byte arrives, whatever it is.
const EXACT_CHARSETS: [&str; 8] =
    ["utf8mb4", "utf8mb3", "latin1", "binary", "ucs2", "utf16", "utf16le", "utf32"];

/// How the values of this column are asked for.
#[must_use]
pub fn form(column: &Column) -> Form<'_> {
    if column.kind == Kind::Integer && is_choice(column) {
        return Form::Number;
    }
    match column.charset() {
        Some(_) if is_choice(column) => Form::Plain,
        Some("ascii") => Form::Stored,
        Some(charset) if !EXACT_CHARSETS.contains(&charset) => Form::Tagged(charset),
        _ => Form::Plain,
    }
}

/// Whether it is an ENUM or a SET.
fn is_choice(column: &Column) -> bool {
    column.definition.starts_with("enum(") || column.definition.starts_with("set(")
}

/// A column as it stands in the list of what is read.
#[must_use]
pub fn selected(column: &Column) -> String {
    let name = identifier(&column.name);
    match form(column) {
        Form::Plain => name,
        Form::Number => format!("CAST({name} AS UNSIGNED)"),
        Form::Stored => format!("CAST({name} AS BINARY)"),
        Form::Tagged(charset) => format!(
            "IF(CAST(CONVERT(CONVERT({name} USING utf8mb4) USING {charset}) AS BINARY) = CAST({name} AS BINARY), \
             CONCAT('t', CONVERT({name} USING utf8mb4)), CONCAT('x', HEX({name})))"
        ),
    }
}

/// A value as it is written for this column.
///
/// Bytes in a text column are text that no Unicode says; they are written in the column's own character set. FLOAT is written as the DOUBLE that equals it, so that no text form in between rounds. MariaDB keeps no sign of a
/// zero, however it is written.
#[must_use]
pub fn literal(value: &Value, column: &Column) -> String {
    match value {
        Value::Null => "NULL".into(),
        Value::Int(number) => number.to_string(),
        Value::Uint(number) => number.to_string(),
        Value::Float(number) => format!("{:e}", f64::from(*number)),
        Value::Double(number) => format!("{number:e}"),
        Value::Decimal(text) if text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'-')) => {
            text.to_string()
        }
        Value::Decimal(text) | Value::Text(text) | Value::Json(text) | Value::Date(text) => quoted(text),
        Value::DateTime(text) | Value::Time(text) => quoted(with_digits(text, column)),
        Value::Bytes(bytes) => match (column.charset(), form(column)) {
            (Some(charset), Form::Stored | Form::Tagged(_)) => format!("_{charset} {}", hexadecimal(bytes)),
            (Some("binary"), _) | (None, _) => hexadecimal(bytes),
            // as it came
            (Some(_), _) => format!("_utf8mb4 {}", hexadecimal(bytes)),
        },
    }
}

fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('\'');
    for character in text.chars() {
        match character {
            '\'' => quoted.push_str("''"),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\0' => quoted.push_str("\\0"),
            '\u{1a}' => quoted.push_str("\\Z"),
            other => quoted.push(other),
        }
    }
    quoted.push('\'');
    quoted
}

fn hexadecimal(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2 + 3);
    text.push_str("x'");
    for byte in bytes {
        // writing to a String cannot fail
        let _ = write!(text, "{byte:02x}");
    }
    text.push('\'');
    text
}

/// The canonical form has six digits after the point; the column has as many as its type says.
fn with_digits<'a>(text: &'a str, column: &Column) -> &'a str {
    let digits = fraction_digits(&column.definition);
    match text.rsplit_once('.') {
        Some((whole, _)) if digits == 0 => whole,
        Some((whole, _)) => text.get(..whole.len() + 1 + digits).unwrap_or(text),
        None => text,
    }
}

/// The number in `datetime(3)`.
fn fraction_digits(definition: &str) -> usize {
    let inside = definition.split_once('(').and_then(|(head, rest)| {
        let temporal = ["datetime", "timestamp", "time"].contains(&head.to_ascii_lowercase().as_str());
        rest.split_once(')').filter(|_| temporal)
    });
    inside.and_then(|(digits, _)| digits.parse().ok()).unwrap_or(0)
}

/// What the key's order goes by. ENUM and SET are sorted by number but compared with text as text, so both are
/// done by text, unless they are read as numbers; and by its bytes, for members that a collation takes for one are two keys.
fn ordered(column: &Column) -> String {
    let name = identifier(&column.name);
    if column.kind == Kind::Text && is_choice(column) {
        return format!("CAST({name} AS CHAR) COLLATE utf8mb4_bin");
    }
    name
}

fn names<'a>(columns: impl Iterator<Item = &'a Column>) -> String {
    columns.map(|column| identifier(&column.name)).collect::<Vec<_>>().join(", ")
}

fn select_list<'a>(columns: impl Iterator<Item = &'a Column>) -> String {
    columns.map(selected).collect::<Vec<_>>().join(", ")
}

fn order(table: &Table) -> String {
    table.key_columns().map(ordered).collect::<Vec<_>>().join(", ")
}

/// `key >= bound`, or `key < bound`.
fn range(table: &Table, bound: &Key, strict: &str, inclusive: &str) -> String {
    let values = bound.values();
    let columns: Vec<&Column> = table.key_columns().collect();
    let mut text = String::new();
    for (column, value) in columns.into_iter().zip(&values).rev() {
        let (name, value) = (ordered(column), literal(value, column));
        text = if text.is_empty() {
            // the last column decides between < and <=
            format!("{name} {} {value}", if strict == ">" { inclusive } else { strict })
        } else {
            // the equality says nothing new, but without it MySQL reads all rows with this value of the first column
            format!(
                "{name} {inclusive} {value} AND ({name} {strict} {value} OR ({name} = {value} AND {text}))"
            )
        };
    }
    text
}

/// What holds of the rows between two keys.
fn range_of(table: &Table, lower: Option<&Key>, upper: Option<&Key>) -> Vec<String> {
    let lower = lower.map(|key| range(table, key, ">", ">="));
    let upper = upper.map(|key| range(table, key, "<", "<="));
    lower.into_iter().chain(upper).map(|condition| format!("({condition})")).collect()
}

fn conditions(table: &Table, lower: Option<&Key>, upper: Option<&Key>) -> String {
    let mut all = range_of(table, lower, upper);
    all.extend(table.filter.as_ref().map(|filter| format!("({filter})")));
    if all.is_empty() { String::new() } else { format!(" WHERE {}", all.join(" AND ")) }
}

/// The key that stands `rows` rows after the first key of the chunk.
#[must_use]
pub fn boundary(chunk: &Chunk, rows: u64) -> String {
    let table = &chunk.table;
    format!(
        "SELECT {} FROM {}{} ORDER BY {} LIMIT 1 OFFSET {rows}",
        select_list(table.key_columns()),
        table_name(table),
        conditions(table, chunk.lower.as_ref(), chunk.upper.as_ref()),
        order(table)
    )
}

/// How the server would read a chunk, and with how many rows.
#[must_use]
pub fn estimate(chunk: &Chunk) -> String {
    let table = &chunk.table;
    format!(
        "EXPLAIN SELECT 1 FROM {} FORCE INDEX ({}){}",
        table_name(table),
        identifier(&table.key_name),
        conditions(table, chunk.lower.as_ref(), chunk.upper.as_ref())
    )
}

/// The rows of a chunk, in key order.
#[must_use]
pub fn chunk(chunk: &Chunk, limit: u64) -> String {
    let table = &chunk.table;
    let order = if table.key.is_empty() { String::new() } else { format!(" ORDER BY {}", order(table)) };
    format!(
        "SELECT {} FROM {}{}{order} LIMIT {limit}",
        select_list(table.columns.iter()),
        table_name(table),
        conditions(table, chunk.lower.as_ref(), chunk.upper.as_ref())
    )
}

/// The rows of several chunks of one table, in key order.
#[must_use]
pub fn chunks(chunks: &[Chunk], limit: u64) -> String {
    let Some(Chunk { table, .. }) = chunks.first() else { return String::new() };
    let ranges: Vec<String> = chunks
        .iter()
        .map(|chunk| range_of(table, chunk.lower.as_ref(), chunk.upper.as_ref()).join(" AND "))
        .map(|range| if range.is_empty() { "TRUE".to_owned() } else { range })
        .collect();
    let filter = table.filter.as_ref().map(|filter| format!("({filter}) AND ")).unwrap_or_default();
    format!(
        "SELECT {} FROM {} WHERE {filter}({}) ORDER BY {} LIMIT {limit}",
        select_list(table.columns.iter()),
        table_name(table),
        ranges.join(" OR "),
        order(table)
    )
}

/// `key = value`, for each column of the key.
#[must_use]
pub fn key_is(table: &Table, key: &Key) -> String {
    let each = table.key_columns().zip(key.values());
    each.map(|(column, value)| format!("{} = {}", identifier(&column.name), literal(&value, column)))
        .collect::<Vec<_>>()
        .join(" AND ")
}

/// The rows with these keys, in no order. The table's filter does not matter here: it says which rows are walked, and
/// a row that left it on one node must not look as if it were missing there.
#[must_use]
pub fn rows_by_key(table: &Table, keys: &[Key], lock: Lock) -> String {
    let condition = match table.key.as_slice() {
        [_] => {
            let column: Vec<&Column> = table.key_columns().collect();
            let values: Vec<String> = keys
                .iter()
                .flat_map(|key| key.values())
                .zip(column.iter().cycle())
                .map(|(value, column)| literal(&value, column))
                .collect();
            format!("{} IN ({})", names(column.into_iter()), values.join(", "))
        }
        _ => keys.iter().map(|key| format!("({})", key_is(table, key))).collect::<Vec<_>>().join(" OR "),
    };
    // a server that would rather read all of a small table would lock all of it
    let by_index = match lock {
        Lock::None | Lock::OneWriter => String::new(),
        _ if table.key_name.is_empty() => String::new(),
        _ => format!(" FORCE INDEX ({})", identifier(&table.key_name)),
    };
    let lock = match lock {
        Lock::None => "",
        Lock::Share => " LOCK IN SHARE MODE",
        Lock::ShareAtOnce => " FOR SHARE NOWAIT",
        Lock::Update | Lock::OneWriter => " FOR UPDATE",
        Lock::UpdateFree => " FOR UPDATE SKIP LOCKED",
    };
    format!(
        "SELECT {} FROM {}{by_index} WHERE ({condition}){lock}",
        select_list(table.columns.iter()),
        table_name(table)
    )
}

/// Inserts a row. Never REPLACE: a row that is there already is a surprise, and must stay.
#[must_use]
pub fn insert(table: &Table, row: &Row) -> String {
    let (head, values) = insert_parts(table, row);
    head + &values
}

/// The same up to the row, and the row.
fn insert_parts(table: &Table, row: &Row) -> (String, String) {
    let values = row.values();
    let written = || table.columns.iter().zip(&values).filter(|(column, _)| !column.generated);
    let literals: Vec<String> = written().map(|(column, value)| literal(value, column)).collect();
    let names = names(written().map(|(column, _)| column));
    (format!("INSERT INTO {} ({names}) VALUES ", table_name(table)), format!("({})", literals.join(", ")))
}

/// Writes the columns that differ between two rows of one key; none if there is nothing to write.
///
/// A column with ON UPDATE CURRENT_TIMESTAMP is always written too: it would else become now.
#[must_use]
pub fn update(table: &Table, key: &Key, from: &Row, to: &Row) -> Option<String> {
    let (from, to) = (from.values(), to.values());
    let columns = || table.columns.iter().zip(from.iter().zip(&to)).filter(|(column, _)| !column.generated);
    if !columns().any(|(_, (from, to))| !from.is(to)) {
        return None;
    }
    let written: Vec<String> = columns()
        .filter(|(column, (from, to))| !from.is(to) || column.restamped)
        .map(|(column, (_, to))| format!("{} = {}", identifier(&column.name), literal(to, column)))
        .collect();
    Some(format!("UPDATE {} SET {} WHERE {}", table_name(table), written.join(", "), key_is(table, key)))
}

/// Deletes the row with a key.
#[must_use]
pub fn delete(table: &Table, key: &Key) -> String {
    format!("DELETE FROM {} WHERE {}", table_name(table), key_is(table, key))
}

#[cfg(test)]
mod tests;
