//! The parts of a transaction that holds statements by their texts, as bytes.
//!
//! ```text
//! parts     = part*, each behind its length
//! part      = 1 change*                      (as in `encoding`)
//!           | 2 database sql  table_database table  context
//! context   = now:zigzag  connection_id  flags:u8 (1 insert_id, 2 last_insert_id, 4 seeds)  [insert_id]  [last_insert_id]
//!             [seed seed]  count (name kind value)*  count (name value)*
//! kind      = 0 NULL | 1 signed | 2 unsigned | 3 decimal scale:u8 | 4 float | 5 double | 6 text collation | 7 binary
//!           | 8 date | 9 datetime digits:u8 | 10 time digits:u8
//! ```
//! Whoever shows the log asks [`QueryRef::events`]; whoever filters asks the part's own copy. Invariant: reading checks everything, and `decode(encode(part)) == part`.

use super::encoding::{Changes, put_changes, put_value, text, unzigzag, value, zigzag};
use crate::change::{Context, Part, Query, UserVariable};
use crate::protocol::wire::{Fields, Malformed, put_bytes, put_length};
use crate::sql::collation::Collation;
use crate::sql::hex;
use crate::sql::types::Kind;
use rusqlite::types::Value;

const ROWS: u8 = 1;
const QUERY: u8 = 2;
const INSERT_ID: u8 = 1;
const LAST_INSERT_ID: u8 = 2;
const SEEDS: u8 = 4;

/// Appends parts.
pub(super) fn put(out: &mut Vec<u8>, parts: &[Part]) {
    let mut one = Vec::new();
    for part in parts {
        one.clear();
        match part {
            Part::Rows(changes) => {
                one.push(ROWS);
                put_changes(&mut one, changes);
            }
            Part::Query(query) => {
                one.push(QUERY);
                for text in [&query.database, &query.sql, &query.table.0, &query.table.1] {
                    put_bytes(&mut one, text.as_bytes());
                }
                put_context(&mut one, &query.context);
            }
        }
        put_bytes(out, &one);
    }
}

fn put_context(out: &mut Vec<u8>, context: &Context) {
    let flag = |set: bool, flag: u8| if set { flag } else { 0 };
    put_length(out, zigzag(context.now_us));
    put_length(out, u64::from(context.connection_id));
    out.push(
        flag(context.insert_id.is_some(), INSERT_ID)
            | flag(context.last_insert_id.is_some(), LAST_INSERT_ID)
            | flag(context.seeds.is_some(), SEEDS),
    );
    let seeds = context.seeds.into_iter().flat_map(|(one, two)| [u64::from(one), u64::from(two)]);
    for number in context.insert_id.into_iter().chain(context.last_insert_id).chain(seeds) {
        put_length(out, number);
    }
    put_length(out, context.users.len() as u64);
    for UserVariable { name, value, kind } in &context.users {
        put_bytes(out, name.as_bytes());
        put_kind(out, *kind);
        put_value(out, value);
    }
    put_length(out, context.variables.len() as u64);
    for (name, value) in &context.variables {
        put_bytes(out, name.as_bytes());
        put_bytes(out, value.as_bytes());
    }
}

fn put_kind(out: &mut Vec<u8>, kind: Kind) {
    match kind {
        Kind::Null => out.push(0),
        Kind::Int { unsigned } => out.push(1 + u8::from(unsigned)),
        Kind::Decimal { scale } => out.extend_from_slice(&[3, scale]),
        Kind::Float => out.push(4),
        Kind::Double => out.push(5),
        Kind::Text(collation) => {
            out.push(6);
            put_bytes(out, collation.name().as_bytes());
        }
        Kind::Binary => out.push(7),
        Kind::Date => out.push(8),
        Kind::DateTime(digits) => out.extend_from_slice(&[9, digits]),
        Kind::Time(digits) => out.extend_from_slice(&[10, digits]),
    }
}

fn kind(fields: &mut Fields<'_>) -> Result<Kind, Malformed> {
    Ok(match fields.u8()? {
        0 => Kind::Null,
        1 => Kind::Int { unsigned: false },
        2 => Kind::Int { unsigned: true },
        3 => Kind::Decimal { scale: fields.u8()? },
        4 => Kind::Float,
        5 => Kind::Double,
        6 => Kind::Text(Collation::of_name(text(fields)?).ok_or(Malformed)?),
        7 => Kind::Binary,
        8 => Kind::Date,
        9 => Kind::DateTime(fields.u8()?),
        10 => Kind::Time(fields.u8()?),
        _ => return Err(Malformed),
    })
}

/// The parts of a body, one after the other, read without a copy.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a> {
    fields: Fields<'a>,
}

impl<'a> Parts<'a> {
    pub(super) fn new(fields: Fields<'a>) -> Parts<'a> {
        Parts { fields }
    }

    fn read(&mut self) -> Result<PartRef<'a>, Malformed> {
        let mut fields = Fields::new(self.fields.counted()?);
        Ok(match fields.u8()? {
            ROWS => PartRef::Rows(Changes::new(fields)),
            QUERY => PartRef::Query(QueryRef {
                database: text(&mut fields)?,
                sql: text(&mut fields)?,
                table: (text(&mut fields)?, text(&mut fields)?),
                context: fields,
            }),
            _ => return Err(Malformed),
        })
    }
}

impl<'a> Iterator for Parts<'a> {
    type Item = Result<PartRef<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        (!self.fields.is_empty()).then(|| {
            let part = self.read();
            if part.is_err() {
                // what stands behind bytes that cannot be read is not looked for
                self.fields = Fields::new(&[]);
            }
            part
        })
    }
}

/// One part.
#[derive(Clone, Copy, Debug)]
pub enum PartRef<'a> {
    /// Row changes.
    Rows(Changes<'a>),
    /// A statement.
    Query(QueryRef<'a>),
}

/// A statement; its context is read when it is asked for.
#[derive(Clone, Copy, Debug)]
pub struct QueryRef<'a> {
    /// The default database, or empty.
    pub database: &'a str,
    /// The text.
    pub sql: &'a str,
    /// The table that it writes, behind its database.
    pub table: (&'a str, &'a str),
    context: Fields<'a>,
}

impl PartRef<'_> {
    /// The part as an own copy.
    pub fn own(&self) -> Result<Part, Malformed> {
        Ok(match self {
            PartRef::Rows(changes) => Part::Rows(changes.own()?),
            PartRef::Query(query) => Part::Query(Query {
                database: query.database.into(),
                sql: query.sql.into(),
                table: (query.table.0.into(), query.table.1.into()),
                context: query.context()?,
            }),
        })
    }
}

impl QueryRef<'_> {
    /// What is sent along with it.
    pub fn context(&self) -> Result<Context, Malformed> {
        let mut fields = self.context;
        let now_us = unzigzag(fields.length()?);
        let connection_id = small(&mut fields)?;
        let flags = fields.u8()?;
        if flags > INSERT_ID + LAST_INSERT_ID + SEEDS {
            return Err(Malformed);
        }
        let has = |flag: u8| flags & flag != 0;
        let insert_id = has(INSERT_ID).then(|| fields.length()).transpose()?;
        let last_insert_id = has(LAST_INSERT_ID).then(|| fields.length()).transpose()?;
        let seeds = has(SEEDS).then(|| Ok((small(&mut fields)?, small(&mut fields)?))).transpose()?;
        let user = |fields: &mut Fields<'_>| {
            let (name, kind) = (text(fields)?.into(), kind(fields)?);
            let value = Value::try_from(value(fields)?).map_err(|_| Malformed)?;
            Ok(UserVariable { name, value, kind })
        };
        let count = fields.length()?;
        let users = (0..count).map(|_| user(&mut fields)).collect::<Result<_, _>>()?;
        let count = fields.length()?;
        let variables = (0..count)
            .map(|_| Ok((text(&mut fields)?.into(), text(&mut fields)?.into())))
            .collect::<Result<_, _>>()?;
        if !fields.is_empty() {
            return Err(Malformed);
        }
        Ok(Context { now_us, connection_id, insert_id, last_insert_id, seeds, users, variables })
    }

    /// The statement as SHOW BINLOG EVENTS lists it: what is sent along first, each as MySQL's name of the event and its text.
    pub fn events(&self) -> Result<Vec<(&'static str, String)>, Malformed> {
        let context = self.context()?;
        let mut events = Vec::new();
        if let Some(id) = context.last_insert_id {
            events.push(("Intvar", format!("LAST_INSERT_ID={id}")));
        }
        if let Some(id) = context.insert_id {
            events.push(("Intvar", format!("INSERT_ID={id}")));
        }
        if let Some((one, two)) = context.seeds {
            events.push(("RAND", format!("rand_seed1={one},rand_seed2={two}")));
        }
        for user in &context.users {
            events.push(("User var", format!("@`{}`={}", user.name.replace('`', "``"), shown(user))));
        }
        let place = match self.database {
            "" => String::new(),
            database => format!("use `{}`; ", database.replace('`', "``")),
        };
        events.push(("Query", place + self.sql));
        Ok(events)
    }
}

fn shown(user: &UserVariable) -> String {
    match (&user.value, user.kind) {
        (Value::Null, _) => "NULL".to_owned(),
        (Value::Integer(number), _) => number.to_string(),
        (Value::Real(number), _) => number.to_string(),
        (Value::Text(text), Kind::Decimal { .. }) => text.clone(),
        (Value::Text(text), kind) => {
            let collation = match kind {
                Kind::Text(collation) => collation.name(),
                _ => "utf8mb4_general_ci",
            };
            format!("_utf8mb4 X'{}' COLLATE {collation}", hex(text.as_bytes()).to_uppercase())
        }
        (Value::Blob(bytes), _) => format!("_binary X'{}' COLLATE binary", hex(bytes).to_uppercase()),
    }
}

fn small(fields: &mut Fields<'_>) -> Result<u32, Malformed> {
    u32::try_from(fields.length()?).map_err(|_| Malformed)
}

#[cfg(test)]
mod tests {
    use super::super::encoding::tests::{change, values};
    use super::super::encoding::{BodyRef, decode, encode, open};
    use super::*;
    use crate::change::Body;
    use proptest::prelude::*;

    fn kinds() -> impl Strategy<Value = Kind> {
        prop_oneof![
            Just(Kind::Null),
            any::<bool>().prop_map(|unsigned| Kind::Int { unsigned }),
            any::<u8>().prop_map(|scale| Kind::Decimal { scale }),
            Just(Kind::Float),
            Just(Kind::Double),
            Just(Kind::TEXT),
            Just(Kind::Text(Collation::Bin)),
            Just(Kind::Binary),
            Just(Kind::Date),
            any::<u8>().prop_map(Kind::DateTime),
            any::<u8>().prop_map(Kind::Time),
        ]
    }

    fn contexts() -> impl Strategy<Value = Context> {
        let users = proptest::collection::vec((".{0,8}", values(), kinds()), 0..3);
        let variables = proptest::collection::vec((".{0,8}", ".{0,8}"), 0..3);
        let ids = (any::<Option<u64>>(), any::<Option<u64>>(), any::<Option<(u32, u32)>>());
        (any::<i64>(), any::<u32>(), ids, users, variables).prop_map(
            |(now_us, connection_id, (insert_id, last_insert_id, seeds), users, variables)| Context {
                now_us,
                connection_id,
                insert_id,
                last_insert_id,
                seeds,
                users: users
                    .into_iter()
                    .filter_map(|(name, values, kind)| {
                        Some(UserVariable { name: name.into(), value: values.into_iter().next()?, kind })
                    })
                    .collect(),
                variables: variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect(),
            },
        )
    }

    fn part() -> impl Strategy<Value = Part> {
        let query = ("[ab]?", ".{0,30}", "[ab]", "[xy]", contexts()).prop_map(
            |(database, sql, table_database, table, context)| {
                Part::Query(Query {
                    database: database.into(),
                    sql: sql.into(),
                    table: (table_database.into(), table.into()),
                    context,
                })
            },
        );
        prop_oneof![proptest::collection::vec(change(), 0..4).prop_map(Part::Rows), query]
    }

    proptest! {
        #[test]
        fn parts_come_back(parts in proptest::collection::vec(part(), 0..5)) {
            let body = Body::Parts(parts);
            prop_assert_eq!(decode(&encode(&body)), Ok(body));
        }

        #[test]
        fn hostile_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = decode(&[&[1, 3][..], &bytes].concat());
        }

        #[test]
        fn a_damaged_byte_is_noticed_or_changes_a_value(
            parts in proptest::collection::vec(part(), 1..3), at in any::<proptest::sample::Index>(), byte in any::<u8>()
        ) {
            let mut bytes = encode(&Body::Parts(parts));
            let at = at.index(bytes.len());
            bytes[at] = byte;
            let Ok(BodyRef::Parts(parts)) = open(&bytes) else { return Ok(()) };
            // every way of looking at it ends, with an answer or with an error
            for part in parts {
                let Ok(part) = part else { continue };
                let _ = part.own();
                if let PartRef::Query(query) = part {
                    let _ = query.events();
                }
            }
        }

        #[test]
        fn a_text_that_is_cut_is_malformed(parts in proptest::collection::vec(part(), 1..3), cut in 1usize..20) {
            let bytes = encode(&Body::Parts(parts));
            let whole = decode(&bytes);
            let shorter = &bytes[..bytes.len().saturating_sub(cut).max(2)];
            prop_assert_ne!(decode(shorter), whole);
        }
    }

    #[test]
    fn a_statement_is_listed_as_mysql_lists_it() {
        let text = Value::Text("hé".into());
        let context = Context {
            last_insert_id: Some(3),
            insert_id: Some(7),
            seeds: Some((1, 2)),
            users: vec![UserVariable { name: "u".into(), value: text, kind: Kind::TEXT }],
            ..Context::default()
        };
        let query = Query {
            database: "shop".into(),
            sql: "insert into t values (@u)".into(),
            table: ("shop".into(), "t".into()),
            context,
        };
        let bytes = encode(&Body::Parts(vec![Part::Query(query)]));
        let BodyRef::Parts(mut parts) = open(&bytes).unwrap() else { panic!("no parts") };
        let PartRef::Query(query) = parts.next().unwrap().unwrap() else { panic!("no statement") };
        assert_eq!((query.database, query.table), ("shop", ("shop", "t")));
        let listed: Vec<String> =
            query.events().unwrap().into_iter().map(|(kind, info)| format!("{kind}: {info}")).collect();
        assert_eq!(
            listed,
            [
                "Intvar: LAST_INSERT_ID=3",
                "Intvar: INSERT_ID=7",
                "RAND: rand_seed1=1,rand_seed2=2",
                "User var: @`u`=_utf8mb4 X'68C3A9' COLLATE utf8mb4_general_ci",
                "Query: use `shop`; insert into t values (@u)",
            ]
        );
    }
}
