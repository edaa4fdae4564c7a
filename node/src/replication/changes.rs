//! Which keys of a table were changed since a place in the log, for `SHOW BINLOG CHANGES`.
//!
//! Reads only the tail of the log, on the caller's connection and so in its snapshot: what the caller's
//! transaction sees in the table, it sees in the log too. A statement that may have touched the table makes the
//! answer impossible, and that is said instead of guessed.

use super::encoding::{BodyRef, RowRef, open};
use super::position::LogPosition;
use super::{binlog, failed};
use crate::SqlError;
use rusqlite::Connection;
use rusqlite::types::Value;
use std::collections::BTreeSet;

/// How many changes are looked at before the caller is told to compare the whole table instead.
const MAX_CHANGES: usize = 1_000_000;

/// Of whose transactions the changes are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// All that the log holds.
    Anybodys,
    /// Those that began on this node.
    Own,
}

/// The distinct keys, in the order of their first change. `key` are the places of the key's columns in a row.
pub fn changed_keys(
    conn: &Connection,
    (database, table): (&str, &str),
    key: &[usize],
    from: LogPosition,
    whose: Whose,
) -> Result<Vec<Vec<Value>>, SqlError> {
    check_place(conn, from)?;
    let sql = match whose {
        Whose::Anybodys => "SELECT payload FROM _evensum_binlog WHERE n >= ?1 ORDER BY n",
        Whose::Own => {
            "SELECT payload FROM _evensum_binlog
             WHERE n >= ?1 AND origin = (SELECT uuid FROM _evensum_server) ORDER BY n"
        }
    };
    let mut query = conn.prepare_cached(sql).map_err(failed)?;
    let mut rows = query.query([from.key()]).map_err(failed)?;
    let (mut keys, mut seen, mut count) = (Vec::new(), BTreeSet::new(), 0);
    while let Some(row) = rows.next().map_err(failed)? {
        let payload = row.get_ref(0).and_then(|value| value.as_blob().map_err(Into::into)).map_err(failed)?;
        match open(payload).map_err(damaged)? {
            BodyRef::Statement { sql, database: default } => {
                if may_touch(sql, default, database, table) {
                    return Err(SqlError::internal(format!(
                        "definition changed: a statement on {database}.{table} is in the log behind this position"
                    )));
                }
            }
            BodyRef::Rows(changes) => {
                for change in changes {
                    let change = change.map_err(damaged)?;
                    if change.table != table || change.database != database {
                        continue;
                    }
                    count += 1;
                    if count > MAX_CHANGES {
                        return Err(SqlError::internal(format!(
                            "more than {MAX_CHANGES} changes behind this position"
                        )));
                    }
                    let (before, after) = change.rows().map_err(damaged)?;
                    for row in [before, after].into_iter().flatten() {
                        let values = key_of(&row, key)?;
                        if seen.insert(identity(&values)) {
                            keys.push(values);
                        }
                    }
                }
            }
        }
    }
    Ok(keys)
}

/// 1236 if the log does not reach back to the place, or forward to it.
pub fn check_place(conn: &Connection, from: LogPosition) -> Result<(), SqlError> {
    let refuse = |why: &str| Err(SqlError::new(1236, "HY000", why.to_owned()));
    match binlog::files(conn)?.first() {
        Some(first) if from.file < first.file => {
            refuse("Could not find first log file name in binary log index file")
        }
        _ if from > binlog::head(conn)? => {
            refuse("Client requested source to start replication from position > file size")
        }
        _ if !binlog::is_boundary(conn, from)? => refuse("no transaction begins at this position"),
        _ => Ok(()),
    }
}

fn key_of(row: &RowRef<'_>, key: &[usize]) -> Result<Vec<Value>, SqlError> {
    let value = |&at: &usize| row.get(at).and_then(|&value| Value::try_from(value).ok());
    key.iter()
        .map(|at| {
            value(at)
                .ok_or_else(|| SqlError::internal("definition changed: a row of the log has other columns"))
        })
        .collect()
}

/// Bytes that are equal only for equal keys.
fn identity(values: &[Value]) -> Vec<u8> {
    let mut out = Vec::new();
    for value in values {
        super::encoding::put_value(&mut out, value);
    }
    out
}

/// Whether a statement may be about the table: it has the table's name as a word, in this database or naming it, or
/// it is about the whole database. A false yes is safe.
fn may_touch(sql: &str, default: &str, database: &str, table: &str) -> bool {
    let plain = |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let names = |name: &str| match plain(name) {
        true => sql
            .split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$'))
            .any(|word| word.eq_ignore_ascii_case(name)),
        false => sql.to_lowercase().contains(&name.replace('`', "``").to_lowercase()),
    };
    let here = default.eq_ignore_ascii_case(database) || names(database);
    here && names(table) || names(database) && (names("database") || names("schema"))
}

fn damaged(_: crate::protocol::wire::Malformed) -> SqlError {
    SqlError::internal("a transaction of the log is damaged")
}

#[cfg(test)]
mod tests {
    use super::super::binlog::Binlog;
    use super::*;
    use crate::change::{Body, Change};
    use database::Gtid;

    fn row(id: i64, name: &str) -> Option<Vec<Value>> {
        Some(vec![Value::Integer(id), Value::Text(name.to_owned())])
    }

    fn change(table: &str, before: Option<Vec<Value>>, after: Option<Vec<Value>>) -> Change {
        Change { database: "shop".into(), table: table.into(), before, after }
    }

    fn keys(conn: &Connection, from: LogPosition) -> Result<Vec<Vec<Value>>, SqlError> {
        changed_keys(conn, ("shop", "orders"), &[0], from, Whose::Anybodys)
    }

    #[test]
    fn keys_come_once_and_a_moved_key_comes_as_both() {
        let conn = Connection::open_in_memory().unwrap();
        let log = Binlog::open(&conn, "mysql-bin", 1 << 30).unwrap();
        let append = |changes| log.append(&conn, None, 1, 0, &Body::Rows(changes)).unwrap();
        append(vec![change("orders", None, row(9, "early"))]);
        let from = binlog::head(&conn).unwrap();
        append(vec![change("orders", row(1, "a"), row(2, "a")), change("other", None, row(3, "x"))]);
        append(vec![change("orders", row(2, "a"), None), change("orders", None, row(4, "b"))]);
        let expected: Vec<Vec<Value>> = [1, 2, 4].map(|id| vec![Value::Integer(id)]).to_vec();
        assert_eq!(keys(&conn, from).unwrap(), expected);
        assert_eq!(keys(&conn, LogPosition::START).unwrap().len(), 4);
        let foreign = Some(Gtid { origin: "elsewhere".into(), sequence: 7 });
        let body = Body::Rows(vec![change("orders", None, row(8, "c"))]);
        log.append(&conn, foreign, 2, 0, &body).unwrap();
        assert_eq!(keys(&conn, from).unwrap().len(), 4);
        let own = changed_keys(&conn, ("shop", "orders"), &[0], from, Whose::Own).unwrap();
        assert_eq!(own, expected);
    }

    #[test]
    fn a_statement_touches_a_table_whose_name_is_a_word_of_it() {
        let touches = |sql, default| may_touch(sql, default, "shop", "t");
        assert!(touches("ALTER TABLE t ADD x INT", "shop"));
        assert!(touches("ALTER TABLE `T` ADD x INT", "shop"));
        assert!(touches("DROP TABLE shop.t", "other"));
        assert!(touches("DROP DATABASE shop", ""));
        assert!(!touches("ALTER TABLE t ADD x INT", "other"));
        assert!(!touches("CREATE TABLE tea (t1 INT)", "shop"));
        assert!(!touches("CREATE TABLE evensum.checksums (a INT)", "evensum"));
        assert!(may_touch("DROP TABLE `a-b`", "shop", "shop", "a-b"));
    }

    #[test]
    fn a_statement_on_the_table_and_a_purged_place_are_errors() {
        let conn = Connection::open_in_memory().unwrap();
        let log = Binlog::open(&conn, "mysql-bin", 1 << 30).unwrap();
        let statement = |sql: &str| Body::Statement { database: "shop".into(), sql: sql.into() };
        log.append(&conn, None, 1, 0, &statement("CREATE TABLE x (id INT)")).unwrap();
        assert_eq!(keys(&conn, LogPosition::START), Ok(vec![]));
        log.append(&conn, None, 1, 0, &statement("TRUNCATE Orders")).unwrap();
        assert!(keys(&conn, LogPosition::START).unwrap_err().message.starts_with("definition changed"));
        binlog::rotate(&conn).unwrap();
        log.purge_before(&conn, 2).unwrap();
        assert_eq!(keys(&conn, LogPosition::START).unwrap_err().code, 1236);
        assert_eq!(keys(&conn, LogPosition { file: 2, pos: 99 }).unwrap_err().code, 1236);
        assert_eq!(keys(&conn, LogPosition { file: 2, pos: 4 }), Ok(vec![]));
    }
}
