//! SQL about tables without a key, whose rows are their contents.
//!
//! The server hashes each row: SHA-256 over a text of the row in which every value stands behind its length, NULL as a
//! word of its own, so that no two rows have one text. Numbers stand as their digits (FLOAT as the DOUBLE that equals it), text
//! as its stored bytes, and long values as hashes of their own, because a text above `max_allowed_packet` would be NULL
//! without a word. The first hex digits of the hash are the row's bucket; three further parts of it, 56 bits each, are
//! summed up per bucket, with the number of rows. Nothing is grouped by a collation.
//!
//! Rows of given contents are asked for by a condition that may let more rows through, and the caller counts those that are
//! equal byte for byte.

use super::{Form, form, identifier, insert_parts, literal, selected, table_name};
use crate::row::{Key, Row};
use crate::table::{Column, Kind, Table};
use crate::value::Value;

/// The longest value that stands in a condition.
const LITERAL_BYTES: usize = 512;

/// Bits of the hash that are summed up: where they begin in its 64 hex digits. Sums of 2^53 rows fit in a DECIMAL.
const PARTS: [usize; 3] = [9, 25, 41];
const PART_DIGITS: usize = 14;

/// What of a value goes into the row's hash: no two values of one column have the same.
fn hashed(column: &Column) -> String {
    let name = identifier(&column.name);
    let head = column.definition.split(['(', ' ']).next().unwrap_or_default();
    let short = matches!(head, "char" | "varchar" | "binary" | "varbinary" | "enum" | "set");
    match column.kind {
        Kind::Integer if form(column) == Form::Number => format!("CAST({name} AS UNSIGNED)"),
        Kind::Integer | Kind::Double | Kind::Decimal | Kind::Date | Kind::DateTime | Kind::Time => name,
        Kind::Bit => format!("CAST({name} AS UNSIGNED)"),
        Kind::Float => format!("({name} + 0e0)"),
        Kind::Text if short => format!("CAST({name} AS BINARY)"),
        // UUID and the like
        Kind::Text if column.charset().is_none() => format!("CAST({name} AS CHAR)"),
        Kind::Bytes if short => name,
        Kind::Json => format!("SHA2(CAST({name} AS CHAR), 256)"),
        Kind::Text | Kind::Bytes => format!("SHA2({name}, 256)"),
    }
}

fn hash(table: &Table) -> String {
    let values: Vec<String> = table
        .stored_columns()
        .iter()
        .map(|column| {
            let value = hashed(column);
            format!("IFNULL(CONCAT(LENGTH({value}), ':', {value}), 'N')")
        })
        .collect();
    format!("SHA2(CONCAT({}), 256)", values.join(", "))
}

fn filter(table: &Table) -> String {
    table.filter.as_ref().map(|filter| format!("({filter}) AND ")).unwrap_or_default()
}

/// For each bucket its number, its rows, and three sums that digest them.
#[must_use]
pub fn buckets(table: &Table, digits: u32) -> String {
    let parts: Vec<String> = PARTS
        .iter()
        .map(|start| format!("SUM(CAST(CONV(SUBSTR(h, {start}, {PART_DIGITS}), 16, 10) AS UNSIGNED))"))
        .collect();
    format!(
        "SELECT CONV(LEFT(h, {digits}), 16, 10), COUNT(*), {} FROM (SELECT {} AS h FROM {} WHERE {}1 = 1) AS r GROUP BY 1",
        parts.join(", "),
        hash(table),
        table_name(table),
        filter(table)
    )
}

/// The rows in these buckets, in no order.
#[must_use]
pub fn copies(table: &Table, digits: u32, buckets: &[u32]) -> String {
    let width = usize::try_from(digits).unwrap_or_default();
    let all = 1_usize.checked_shl(4 * digits).is_some_and(|all| buckets.len() >= all);
    let names: Vec<String> = buckets.iter().map(|bucket| format!("'{bucket:0width$x}'")).collect();
    let chosen = match all {
        true => "1 = 1".to_owned(),
        false => format!("LEFT({}, {digits}) IN ({})", hash(table), names.join(", ")),
    };
    format!("SELECT {} FROM {} WHERE {}{chosen}", list(table), table_name(table), filter(table))
}

/// At least the rows with these contents, in no order.
#[must_use]
pub fn rows_like(table: &Table, contents: &[Key]) -> String {
    format!("SELECT {} FROM {} WHERE {}", list(table), table_name(table), like_any(table, contents))
}

/// The same with the hash of each row behind it, locked until the transaction ends.
#[must_use]
pub fn rows_like_locked(table: &Table, contents: &[Key]) -> String {
    let (list, hash, name) = (list(table), hash(table), table_name(table));
    format!("SELECT {list}, {hash} FROM {name} WHERE {} FOR UPDATE", like_any(table, contents))
}

/// How many copies of a content one edit adds or takes away at most: they are one statement, and locked together.
pub const COPIES_MOST: u64 = 10_000;

/// Adds copies of a content, at most [`COPIES_MOST`].
#[must_use]
pub fn add(table: &Table, content: &Key, copies: u64) -> String {
    let stored = Table { columns: table.stored_columns().to_vec(), ..table.clone() };
    let (mut sql, values) = insert_parts(&stored, &Row::from_bytes(content.bytes()));
    let all: Vec<&str> = (0..copies).map(|_| values.as_str()).collect();
    sql.push_str(&all.join(", "));
    sql
}

/// Takes copies of a content away; `exact` is the hash of its rows, without which rows that a collation takes for the same could be
/// meant, as is good enough for a person to read.
#[must_use]
pub fn remove(table: &Table, content: &Key, copies: u64, exact: Option<&str>) -> String {
    let exact = exact.map(|hashed| format!(" AND {} = '{hashed}'", hash(table))).unwrap_or_default();
    format!("DELETE FROM {} WHERE {}{exact} LIMIT {copies}", table_name(table), like(table, content))
}

fn list(table: &Table) -> String {
    table.stored_columns().iter().map(selected).collect::<Vec<_>>().join(", ")
}

/// What every row with one of these contents meets.
fn like_any(table: &Table, contents: &[Key]) -> String {
    contents.iter().map(|content| like(table, content)).collect::<Vec<_>>().join(" OR ")
}

/// What every row with this content meets.
fn like(table: &Table, content: &Key) -> String {
    let columns = table.stored_columns().iter().zip(content.values());
    let conditions: Vec<String> = columns.filter_map(|(column, value)| resembles(column, &value)).collect();
    if conditions.is_empty() { "1 = 1".into() } else { format!("({})", conditions.join(" AND ")) }
}

fn resembles(column: &Column, value: &Value) -> Option<String> {
    let name = identifier(&column.name);
    let binary = ["binary", "varbinary"].iter().any(|head| column.definition.starts_with(head));
    match value {
        Value::Null => Some(format!("{name} IS NULL")),
        // an ENUM's error is the empty text, which no member is
        Value::Text(text) if text.is_empty() => None,
        Value::Text(text) if text.len() <= LITERAL_BYTES => {
            Some(format!("{name} = {}", literal(value, column)))
        }
        Value::Bytes(bytes) if bytes.len() <= LITERAL_BYTES && binary => {
            Some(format!("{name} = {}", literal(value, column)))
        }
        // geometry and JSON are compared in ways of their own
        Value::Text(_) | Value::Bytes(_) | Value::Json(_) => None,
        _ => Some(format!("{name} = {}", literal(value, column))),
    }
}
