//! Keys that are one integer column: the only ones whose order is known without asking a server.
//!
//! Invariant: what is said of a key here holds on every server, whatever its collations are.

use crate::row::{Key, Rows};
use crate::table::{Chunk, Kind, Table};
use crate::value::Value;

/// Whether the table's key is one integer column.
#[must_use]
pub fn is_numbered(table: &Table) -> bool {
    let mut key = table.key_columns();
    let (Some(column), None) = (key.next(), key.next()) else { return false };
    let name = column.definition.split([' ', '(']).next().unwrap_or_default();
    column.kind == Kind::Integer && matches!(name, "tinyint" | "smallint" | "mediumint" | "int" | "bigint")
}

/// The number that is the key of a numbered table.
#[must_use]
pub fn number_of(table: &Table, key: &Option<Key>) -> Option<i128> {
    match key.as_ref().filter(|_| is_numbered(table))?.values().into_iter().next()? {
        Value::Int(number) => Some(number.into()),
        Value::Uint(number) => Some(number.into()),
        _ => None,
    }
}

/// The key of this number, if a server has such numbers.
#[must_use]
pub fn with_number(number: i128) -> Option<Key> {
    let signed = i64::try_from(number).map(Value::Int).ok();
    Some(Key::new(&[signed.or_else(|| u64::try_from(number).map(Value::Uint).ok())?]))
}

/// The rows that lie in each of these chunks of a numbered table; none if one lies in no chunk, or the chunks have open ends.
#[must_use]
pub fn by_chunk(chunks: &[Chunk], rows: &Rows) -> Option<Vec<Rows>> {
    let table = &chunks.first()?.table;
    let ends = |chunk: &Chunk| Some((number_of(table, &chunk.lower)?, number_of(table, &chunk.upper)?));
    let ends: Vec<(i128, i128)> = chunks.iter().map(ends).collect::<Option<_>>()?;
    // where the key goes down, the first end is the greater one
    let lies = |(first, end): (i128, i128), number: i128| match first <= end {
        true => first <= number && number < end,
        false => first >= number && number > end,
    };
    let mut split: Vec<Rows> = chunks.iter().map(|_| Rows::new()).collect();
    for row in rows.iter() {
        let number = number_of(table, &Some(table.key_of(row)))?;
        let of = &mut split[ends.iter().position(|ends| lies(*ends, number))?];
        of.buffer().extend_from_slice(row);
        of.end_row();
    }
    Some(split)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::Row;
    use crate::table::Column;
    use std::sync::Arc;

    fn between(definition: &str, first: i64, end: Option<i64>) -> Chunk {
        let column = Column {
            name: "id".into(),
            kind: Kind::Integer,
            definition: definition.into(),
            generated: false,
            restamped: false,
        };
        let table = Arc::new(Table {
            database: "shop".into(),
            name: "t".into(),
            columns: vec![column],
            key: vec![0],
            key_name: "PRIMARY".into(),
            rows_estimate: 0,
            filter: None,
        });
        let key = |number| Key::new(&[Value::Int(number)]);
        Chunk { table, lower: Some(key(first)), upper: end.map(key) }
    }

    fn split(chunks: &[Chunk], numbers: &[i64]) -> Option<Vec<usize>> {
        let mut rows = Rows::new();
        numbers.iter().for_each(|number| rows.push(&Row::new(&[Value::Int(*number)])));
        Some(by_chunk(chunks, &rows)?.iter().map(Rows::len).collect())
    }

    #[test]
    fn each_row_goes_to_the_chunk_in_which_it_lies() {
        let up = |first, end| between("int NOT NULL", first, Some(end));
        assert_eq!(split(&[up(-5, 0), up(0, 3), up(9, 9)], &[-5, -1, 0, 2]), Some(vec![2, 2, 0]));
        // a key that goes down
        assert_eq!(split(&[up(10, 5), up(5, 0)], &[10, 6, 5, 1]), Some(vec![2, 2]));
        assert_eq!(split(&[up(0, 3), up(9, 12)], &[1, 3]), None, "between them");
        let large = |number: u64| Key::new(&[Value::Uint(number)]);
        let beyond = Chunk { lower: Some(large(1 << 63)), upper: Some(large(u64::MAX)), ..up(0, 1) };
        let mut rows = Rows::new();
        rows.push(&Row::new(&[Value::Uint(u64::MAX - 1)]));
        rows.push(&Row::new(&[Value::Int(0)]));
        assert_eq!(
            by_chunk(&[beyond, up(0, 1)], &rows).map(|parts| [parts[0].len(), parts[1].len()]),
            Some([1, 1])
        );
        assert_eq!(split(&[between("int NOT NULL", 0, None)], &[1]), None, "no end");
        assert_eq!(split(&[between("year(4) NOT NULL", 0, Some(3))], &[1]), None, "no number");
    }
}
