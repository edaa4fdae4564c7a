//! What a source sends of a snapshot: one packet per message, in a fixed order.
//!
//! ```text
//! head      version server_id server_uuid  file pos log_name  executed  tables bytes
//! account   definition                        once for each account that a statement made
//! database  name collation                    once for each database
//! table     counter definition                once for each table, then its rows
//! rows      (width value*)*                   of the table before
//! end       accounts databases tables rows bytes   what was sent; without it a stream is not complete
//! ```
//! Integers, counts and lengths are the protocol's length-encoded integers, texts stand behind their length, and values are
//! as in the log (`encoding`). Reading checks everything and trusts nothing: what cannot be read is [`Malformed`].

use crate::SqlError;
use crate::accounts::Account;
use crate::protocol::wire::{Fields, Malformed, put_bytes, put_length};
use crate::replication::encoding;
use crate::replication::position::LogPosition;
use crate::storage::definition::TableDef;
use database::GtidSet;
use rusqlite::types::Value;

/// The number of this format. A source and a target with different numbers do not talk.
pub const SNAPSHOT_VERSION: u64 = 1;

const HEAD: u8 = 1;
const DATABASE: u8 = 2;
const TABLE: u8 = 3;
const ROWS: u8 = 4;
const END: u8 = 5;
const ACCOUNT: u8 = 6;

/// What comes first: whose snapshot it is, and of which moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The source's `server_id`.
    pub server_id: u32,
    /// The source's `server_uuid`.
    pub server_uuid: String,
    /// Where its log ended at that moment.
    pub place: LogPosition,
    /// The name of that place's file.
    pub log_name: String,
    /// What was executed at that moment.
    pub executed: GtidSet,
    /// How many tables come.
    pub tables: u64,
    /// About how many bytes come.
    pub bytes: u64,
}

/// How much was sent or received.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Accounts.
    pub accounts: u64,
    /// Databases.
    pub databases: u64,
    /// Tables that were begun.
    pub tables: u64,
    /// Rows.
    pub rows: u64,
    /// Bytes of rows, as they travel.
    pub bytes: u64,
}

/// One message, read.
#[derive(Clone, Debug)]
pub enum Message<'a> {
    /// The first.
    Head(Head),
    /// An account.
    Account(Box<Account>),
    /// A database.
    Database {
        /// Its name.
        name: &'a str,
        /// The name of its default collation.
        collation: &'a str,
    },
    /// A table; its rows follow.
    Table {
        /// Its definition.
        definition: Box<TableDef>,
        /// The greatest automatic key that it gave, in stored form.
        counter: Option<Value>,
    },
    /// Rows of that table.
    Rows(Rows<'a>),
    /// The last: what was sent.
    End(Tally),
}

/// Rows that are read one by one.
#[derive(Clone, Debug)]
pub struct Rows<'a>(Fields<'a>);

impl Rows<'_> {
    /// How many bytes they have.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.0.remaining().len() as u64
    }
}

impl Iterator for Rows<'_> {
    type Item = Result<Vec<Value>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        (!self.0.is_empty()).then(|| encoding::own_row(&mut self.0))
    }
}

/// Appends the first message.
pub fn put_head(out: &mut Vec<u8>, head: &Head) {
    out.push(HEAD);
    put_length(out, SNAPSHOT_VERSION);
    put_length(out, u64::from(head.server_id));
    put_bytes(out, head.server_uuid.as_bytes());
    put_length(out, head.place.file);
    put_length(out, head.place.pos);
    put_bytes(out, head.log_name.as_bytes());
    put_bytes(out, head.executed.to_string().as_bytes());
    put_length(out, head.tables);
    put_length(out, head.bytes);
}

/// Appends an account.
pub fn put_account(out: &mut Vec<u8>, account: &Account) -> Result<(), SqlError> {
    let definition = serde_json::to_vec(account).map_err(SqlError::internal)?;
    out.push(ACCOUNT);
    put_bytes(out, &definition);
    Ok(())
}

/// Appends a database.
pub fn put_database(out: &mut Vec<u8>, name: &str, collation: &str) {
    out.push(DATABASE);
    put_bytes(out, name.as_bytes());
    put_bytes(out, collation.as_bytes());
}

/// Appends a table.
pub fn put_table(out: &mut Vec<u8>, table: &TableDef, counter: Option<&Value>) -> Result<(), SqlError> {
    let definition = serde_json::to_vec(table).map_err(SqlError::internal)?;
    out.push(TABLE);
    encoding::put_value(out, counter.unwrap_or(&Value::Null));
    put_bytes(out, &definition);
    Ok(())
}

/// Appends the beginning of a message of rows; each row follows by [`put_row`].
pub fn put_rows(out: &mut Vec<u8>) {
    out.push(ROWS);
}

/// Appends a row.
pub fn put_row(out: &mut Vec<u8>, row: &rusqlite::Row<'_>, width: usize) -> rusqlite::Result<()> {
    put_length(out, width as u64);
    for at in 0..width {
        encoding::put_value(out, &row.get(at)?);
    }
    Ok(())
}

/// Appends the last message.
pub fn put_end(out: &mut Vec<u8>, sent: Tally) {
    out.push(END);
    put_length(out, sent.accounts);
    put_length(out, sent.databases);
    put_length(out, sent.tables);
    put_length(out, sent.rows);
    put_length(out, sent.bytes);
}

/// Reads a message.
pub fn read(packet: &[u8]) -> Result<Message<'_>, Malformed> {
    let mut fields = Fields::new(packet);
    let message = match fields.u8()? {
        HEAD => Message::Head(read_head(&mut fields)?),
        ACCOUNT => {
            let account = serde_json::from_slice(fields.counted()?).map_err(|_| Malformed)?;
            Message::Account(Box::new(account))
        }
        DATABASE => Message::Database { name: text(&mut fields)?, collation: text(&mut fields)? },
        TABLE => {
            let counter = Some(encoding::own_value(&mut fields)?).filter(|value| *value != Value::Null);
            let definition = serde_json::from_slice(fields.counted()?).map_err(|_| Malformed)?;
            Message::Table { definition: Box::new(definition), counter }
        }
        ROWS => return Ok(Message::Rows(Rows(fields))),
        END => Message::End(Tally {
            accounts: fields.length()?,
            databases: fields.length()?,
            tables: fields.length()?,
            rows: fields.length()?,
            bytes: fields.length()?,
        }),
        _ => return Err(Malformed),
    };
    if fields.is_empty() { Ok(message) } else { Err(Malformed) }
}

fn read_head(fields: &mut Fields<'_>) -> Result<Head, Malformed> {
    if fields.length()? != SNAPSHOT_VERSION {
        return Err(Malformed);
    }
    let server_id = u32::try_from(fields.length()?).map_err(|_| Malformed)?;
    let server_uuid = text(fields)?.to_owned();
    let place = LogPosition { file: fields.length()?, pos: fields.length()? };
    let log_name = text(fields)?.to_owned();
    let executed = text(fields)?.parse().map_err(|_| Malformed)?;
    let (tables, bytes) = (fields.length()?, fields.length()?);
    Ok(Head { server_id, server_uuid, place, log_name, executed, tables, bytes })
}

fn text<'a>(fields: &mut Fields<'a>) -> Result<&'a str, Malformed> {
    std::str::from_utf8(fields.counted()?).map_err(|_| Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn head() -> Head {
        Head {
            server_id: 3,
            server_uuid: "0b7c".to_owned(),
            place: LogPosition { file: 2, pos: 900 },
            log_name: "mysql-bin.000002".to_owned(),
            executed: "0b7c0000-0000-4000-8000-000000000000:1-7:9".parse().unwrap(),
            tables: 4,
            bytes: 70_000,
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(kind in 0u8..7, bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let packet = [&[kind][..], &bytes].concat();
            if let Ok(Message::Rows(rows)) = read(&packet) {
                let _ = rows.take_while(Result::is_ok).count();
            }
        }
    }

    #[test]
    fn a_head_comes_back_and_every_cut_is_found() {
        let mut packet = Vec::new();
        put_head(&mut packet, &head());
        let Ok(Message::Head(read_back)) = read(&packet) else { panic!("no head") };
        assert_eq!(read_back, head());
        for cut in 0..packet.len() {
            assert!(read(&packet[..cut]).is_err(), "cut at {cut}");
        }
        packet.push(0);
        assert!(read(&packet).is_err(), "more than a head");
        packet.pop();
        packet[1] = 9;
        assert!(read(&packet).is_err(), "another version");
    }

    #[test]
    fn an_end_comes_back() {
        let sent = Tally { accounts: 2, databases: 1, tables: 3, rows: 1 << 40, bytes: 5 };
        let mut packet = Vec::new();
        put_end(&mut packet, sent);
        assert!(matches!(read(&packet), Ok(Message::End(tally)) if tally == sent));
        assert!(read(&packet[..packet.len() - 1]).is_err());
    }

    #[test]
    fn a_row_that_promises_more_than_it_has_is_malformed() {
        let packet = [ROWS, 0xfe, 255, 255, 255, 255, 255, 255, 255, 127, 0];
        let Ok(Message::Rows(mut rows)) = read(&packet) else { panic!("no rows") };
        assert_eq!(rows.next(), Some(Err(Malformed)));
    }
}
