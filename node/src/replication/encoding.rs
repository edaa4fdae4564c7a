//! A transaction's body as bytes.
//!
//! ```text
//! body      = version:u8 (1)  kind:u8  rest
//! kind 1    = changes, each behind its length:
//!   change  = flags:u8 (1 same table as before, 2 has before, 4 has after)  [database table]  [row]  [row]
//!   row     = count  value*
//!   value   = 0 | 1 zigzag | 2 f64 | 3 text | 4 blob
//! kind 2    = database  sql
//! kind 3    = parts, see `parts`
//! ```
//! Integers, counts and lengths are the protocol's length-encoded integers, texts stand behind their length. The length of a
//! change lets a reader that looks for one table pass over the others. Reading checks everything and copies
//! nothing until it is asked to. Invariant: `decode(encode(body)) == body` for every body.

use super::parts::{self, Parts};
use crate::change::{Body, Change};
use crate::protocol::wire::{Fields, Malformed, put_bytes, put_length};
use rusqlite::types::{Value, ValueRef};

const VERSION: u8 = 1;
const ROWS: u8 = 1;
const STATEMENT: u8 = 2;
const PARTS: u8 = 3;
const SAME_TABLE: u8 = 1;
const HAS_BEFORE: u8 = 2;
const HAS_AFTER: u8 = 4;

/// The bytes of a body.
#[must_use]
pub fn encode(body: &Body) -> Vec<u8> {
    let mut out = vec![VERSION];
    match body {
        Body::Rows(changes) => return encode_rows(changes),
        Body::Statement { database, sql } => {
            out.push(STATEMENT);
            put_bytes(&mut out, database.as_bytes());
            put_bytes(&mut out, sql.as_bytes());
        }
        Body::Parts(all) => {
            out.push(PARTS);
            parts::put(&mut out, all);
        }
    }
    out
}

/// The bytes of a body of these changes.
#[must_use]
pub fn encode_rows(changes: &[Change]) -> Vec<u8> {
    let mut out = vec![VERSION, ROWS];
    put_changes(&mut out, changes);
    out
}

pub(super) fn put_changes(out: &mut Vec<u8>, changes: &[Change]) {
    let mut one = Vec::new();
    let mut last: Option<(&str, &str)> = None;
    for change in changes {
        let table = (&*change.database, &*change.table);
        one.clear();
        put_change(&mut one, change, last == Some(table));
        put_bytes(out, &one);
        last = Some(table);
    }
}

fn put_change(out: &mut Vec<u8>, change: &Change, same_table: bool) {
    let flag = |set: bool, flag: u8| if set { flag } else { 0 };
    out.push(
        flag(same_table, SAME_TABLE)
            | flag(change.before.is_some(), HAS_BEFORE)
            | flag(change.after.is_some(), HAS_AFTER),
    );
    if !same_table {
        put_bytes(out, change.database.as_bytes());
        put_bytes(out, change.table.as_bytes());
    }
    for row in [&change.before, &change.after].into_iter().flatten() {
        put_length(out, row.len() as u64);
        row.iter().for_each(|value| put_value(out, value));
    }
}

pub(super) fn put_value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Null => out.push(0),
        Value::Integer(number) => {
            out.push(1);
            put_length(out, zigzag(*number));
        }
        Value::Real(number) => {
            out.push(2);
            out.extend_from_slice(&number.to_bits().to_le_bytes());
        }
        Value::Text(text) => {
            out.push(3);
            put_bytes(out, text.as_bytes());
        }
        Value::Blob(bytes) => {
            out.push(4);
            put_bytes(out, bytes);
        }
    }
}

/// Small numbers of either sign become small numbers without one.
pub(super) fn zigzag(number: i64) -> u64 {
    u64::from_le_bytes((number << 1 ^ number >> 63).to_le_bytes())
}

pub(super) fn unzigzag(number: u64) -> i64 {
    let half = i64::from_le_bytes((number >> 1).to_le_bytes());
    if number & 1 == 0 { half } else { !half }
}

/// A body that is read without a copy.
#[derive(Clone, Copy, Debug)]
pub enum BodyRef<'a> {
    /// Row changes.
    Rows(Changes<'a>),
    /// A statement.
    Statement {
        /// Its default database.
        database: &'a str,
        /// Its text.
        sql: &'a str,
    },
    /// Statements and rows.
    Parts(Parts<'a>),
}

/// Opens a body.
pub fn open(payload: &[u8]) -> Result<BodyRef<'_>, Malformed> {
    let mut fields = Fields::new(payload);
    if fields.u8()? != VERSION {
        return Err(Malformed);
    }
    match fields.u8()? {
        ROWS => Ok(BodyRef::Rows(Changes::new(fields))),
        PARTS => Ok(BodyRef::Parts(Parts::new(fields))),
        STATEMENT => Ok(BodyRef::Statement { database: text(&mut fields)?, sql: text(&mut fields)? }),
        _ => Err(Malformed),
    }
}

/// The changes of a body, one after the other.
#[derive(Clone, Copy, Debug)]
pub struct Changes<'a> {
    fields: Fields<'a>,
    database: &'a str,
    table: &'a str,
}

/// One change; its rows are read when they are asked for.
#[derive(Clone, Copy, Debug)]
pub struct ChangeRef<'a> {
    /// The table's database.
    pub database: &'a str,
    /// The table.
    pub table: &'a str,
    flags: u8,
    rows: Fields<'a>,
}

impl<'a> Iterator for Changes<'a> {
    type Item = Result<ChangeRef<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        (!self.fields.is_empty()).then(|| self.read())
    }
}

impl<'a> Changes<'a> {
    pub(super) fn new(fields: Fields<'a>) -> Changes<'a> {
        Changes { fields, database: "", table: "" }
    }

    /// All of them, as own copies.
    pub fn own(self) -> Result<Vec<Change>, Malformed> {
        let own = |row: RowRef<'_>| {
            row.into_iter().map(|value| value.try_into()).collect::<Result<Vec<Value>, _>>()
        };
        let changes = self.map(|change| {
            let change = change?;
            let (before, after) = change.rows()?;
            Ok(Change {
                database: change.database.into(),
                table: change.table.into(),
                before: before.map(own).transpose().map_err(|_| Malformed)?,
                after: after.map(own).transpose().map_err(|_| Malformed)?,
            })
        });
        changes.collect()
    }

    fn read(&mut self) -> Result<ChangeRef<'a>, Malformed> {
        let mut rows = Fields::new(self.fields.counted()?);
        let flags = rows.u8()?;
        if flags & SAME_TABLE == 0 {
            (self.database, self.table) = (text(&mut rows)?, text(&mut rows)?);
        }
        Ok(ChangeRef { database: self.database, table: self.table, flags, rows })
    }
}

/// A row that is read without a copy.
pub type RowRef<'a> = Vec<ValueRef<'a>>;

impl<'a> ChangeRef<'a> {
    /// The row before and after.
    pub fn rows(&self) -> Result<(Option<RowRef<'a>>, Option<RowRef<'a>>), Malformed> {
        let mut fields = self.rows;
        let before = (self.flags & HAS_BEFORE != 0).then(|| row(&mut fields)).transpose()?;
        let after = (self.flags & HAS_AFTER != 0).then(|| row(&mut fields)).transpose()?;
        if fields.is_empty() { Ok((before, after)) } else { Err(Malformed) }
    }
}

fn row<'a>(fields: &mut Fields<'a>) -> Result<RowRef<'a>, Malformed> {
    let count = fields.length()?;
    (0..count).map(|_| value(fields)).collect()
}

pub(super) fn value<'a>(fields: &mut Fields<'a>) -> Result<ValueRef<'a>, Malformed> {
    Ok(match fields.u8()? {
        0 => ValueRef::Null,
        1 => ValueRef::Integer(unzigzag(fields.length()?)),
        2 => ValueRef::Real(f64::from_bits(fields.u64()?)),
        3 => ValueRef::Text(text(fields)?.as_bytes()),
        4 => ValueRef::Blob(fields.counted()?),
        _ => return Err(Malformed),
    })
}

pub(super) fn text<'a>(fields: &mut Fields<'a>) -> Result<&'a str, Malformed> {
    std::str::from_utf8(fields.counted()?).map_err(|_| Malformed)
}

/// A value, as an own copy.
pub(super) fn own_value(fields: &mut Fields<'_>) -> Result<Value, Malformed> {
    value(fields)?.try_into().map_err(|_| Malformed)
}

/// A row, as an own copy.
pub(super) fn own_row(fields: &mut Fields<'_>) -> Result<Vec<Value>, Malformed> {
    let count = fields.length()?;
    (0..count).map(|_| own_value(fields)).collect()
}

/// The body of these bytes, as an own copy.
pub fn decode(payload: &[u8]) -> Result<Body, Malformed> {
    match open(payload)? {
        BodyRef::Statement { database, sql } => {
            Ok(Body::Statement { database: database.into(), sql: sql.into() })
        }
        BodyRef::Rows(changes) => changes.own().map(Body::Rows),
        BodyRef::Parts(parts) => parts.map(|part| part?.own()).collect::<Result<_, _>>().map(Body::Parts),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(in super::super) fn values() -> impl Strategy<Value = Vec<Value>> {
        let one = prop_oneof![
            Just(Value::Null),
            any::<i64>().prop_map(Value::Integer),
            (-300i64..300).prop_map(Value::Integer),
            any::<f64>().prop_filter("NaN is never equal", |number| !number.is_nan()).prop_map(Value::Real),
            ".{0,20}".prop_map(Value::Text),
            proptest::collection::vec(any::<u8>(), 0..300).prop_map(Value::Blob),
        ];
        proptest::collection::vec(one, 0..6)
    }

    pub(in super::super) fn change() -> impl Strategy<Value = Change> {
        let names = ("[ab]", "[xy]");
        (names, proptest::option::of(values()), proptest::option::of(values())).prop_map(
            |((database, table), before, after)| Change {
                database: database.into(),
                table: table.into(),
                before,
                after,
            },
        )
    }

    proptest! {
        #[test]
        fn rows_come_back(changes in proptest::collection::vec(change(), 0..8)) {
            let body = Body::Rows(changes);
            prop_assert_eq!(decode(&encode(&body)), Ok(body));
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = decode(&bytes);
            let _ = decode(&[&[VERSION, ROWS][..], &bytes].concat());
        }
    }

    #[test]
    fn a_statement_comes_back() {
        let body = Body::Statement { database: "shop".into(), sql: "DROP TABLE `ü`".into() };
        assert_eq!(decode(&encode(&body)), Ok(body));
    }

    #[test]
    fn another_version_is_refused() {
        assert_eq!(decode(&[2, ROWS]), Err(Malformed));
    }
}
