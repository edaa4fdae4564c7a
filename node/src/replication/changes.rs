//! Which keys of a table were changed since a place in the log, for `SHOW BINLOG CHANGES`.
//!
//! Reads only the tail of the log, on the caller's connection and so in its snapshot: what the caller's
//! transaction sees in the table, it sees in the log too. A statement that may have touched the table makes the
//! answer impossible, and that is said instead of guessed. So does a transaction that was committed here and left out of the
//! log, wholly or in part: the log keeps that there was one. A statement that wrote rows and is logged by its text does not
//! tell which: for that the rows that it changed on this node lie beside the log. They differ from node to node, as the
//! tables do.

use super::encoding::{BodyRef, Changes, RowRef, open};
use super::parts::PartRef;
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
    let skipped: bool = conn
        .query_row(
            "SELECT EXISTS (SELECT 1 FROM _evensum_binlog_skipped WHERE n >= ?1 AND own >= ?2)",
            rusqlite::params![from.key(), whose == Whose::Own],
            |row| row.get(0),
        )
        .map_err(failed)?;
    if skipped {
        return Err(SqlError::internal(
            "not all that was written here behind this position is in the log (log_slave_updates, binlog_do_db, \
             binlog_ignore_db, log_bin)",
        ));
    }
    let sql = match whose {
        Whose::Anybodys => {
            "SELECT log.payload, here.payload FROM _evensum_binlog AS log
             LEFT JOIN _evensum_binlog_rows AS here ON here.n = log.n WHERE log.n >= ?1 ORDER BY log.n"
        }
        Whose::Own => {
            "SELECT log.payload, here.payload FROM _evensum_binlog AS log
             LEFT JOIN _evensum_binlog_rows AS here ON here.n = log.n
             WHERE log.n >= ?1 AND log.origin = (SELECT uuid FROM _evensum_server) ORDER BY log.n"
        }
    };
    let mut query = conn.prepare_cached(sql).map_err(failed)?;
    let mut rows = query.query([from.key()]).map_err(failed)?;
    let mut found = Found { database, table, key, keys: Vec::new(), seen: BTreeSet::new(), count: 0 };
    while let Some(row) = rows.next().map_err(failed)? {
        let payload = row.get_ref(0).and_then(|value| value.as_blob().map_err(Into::into)).map_err(failed)?;
        let here = row.get_ref(1).and_then(|value| value.as_blob_or_null().map_err(Into::into));
        match open(payload).map_err(damaged)? {
            BodyRef::Statement { sql, database: default } => {
                if may_touch(sql, default, database, table) {
                    return Err(SqlError::internal(format!(
                        "definition changed: a statement on {database}.{table} is in the log behind this position"
                    )));
                }
            }
            BodyRef::Rows(changes) => found.add(changes)?,
            BodyRef::Parts(parts) => {
                for part in parts {
                    // what a statement changed here is kept beside the log
                    if let PartRef::Rows(changes) = part.map_err(damaged)? {
                        found.add(changes)?;
                    }
                }
                if let Some(here) = here.map_err(failed)?
                    && let BodyRef::Rows(changes) = open(here).map_err(damaged)?
                {
                    found.add(changes)?;
                }
            }
        }
    }
    Ok(found.keys)
}

/// The keys of one table that were met.
struct Found<'f> {
    database: &'f str,
    table: &'f str,
    key: &'f [usize],
    keys: Vec<Vec<Value>>,
    seen: BTreeSet<Vec<u8>>,
    count: usize,
}

impl Found<'_> {
    fn add(&mut self, changes: Changes<'_>) -> Result<(), SqlError> {
        for change in changes {
            let change = change.map_err(damaged)?;
            if change.table != self.table || change.database != self.database {
                continue;
            }
            self.count += 1;
            if self.count > MAX_CHANGES {
                return Err(SqlError::internal(format!(
                    "more than {MAX_CHANGES} changes behind this position"
                )));
            }
            let (before, after) = change.rows().map_err(damaged)?;
            for row in [before, after].into_iter().flatten() {
                let values = key_of(&row, self.key)?;
                if self.seen.insert(identity(&values)) {
                    self.keys.push(values);
                }
            }
        }
        Ok(())
    }
}

/// 1236 if the log does not reach back to the place, or forward to it.
pub fn check_place(conn: &Connection, from: LogPosition) -> Result<(), SqlError> {
    let refuse = |why: &str| Err(SqlError::new(1236, "HY000", why.to_owned()));
    let files = binlog::files(conn)?;
    match (files.first(), files.last()) {
        (Some(first), Some(last)) if from.file < first.file || from.file > last.file => {
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
    use crate::change::{Body, Change, Context, Part, Query};
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
    fn a_text_has_the_keys_that_it_changed_on_this_node() {
        let conn = Connection::open_in_memory().unwrap();
        let log = Binlog::open(&conn, "mysql-bin", 1 << 30).unwrap();
        let query = |sql: &str| {
            let table = ("shop".into(), "orders".into());
            Part::Query(Query {
                database: "shop".into(),
                sql: sql.into(),
                table,
                context: Context::default(),
            })
        };
        let rows = Part::Rows(vec![change("orders", None, row(1, "a"))]);
        log.append(&conn, None, 1, 0, &Body::Parts(vec![rows, query("update orders set name = 'x'")]))
            .unwrap();
        log.touched(&conn, &[change("orders", row(5, "a"), row(5, "x")), change("other", None, row(6, "x"))])
            .unwrap();
        log.append(&conn, None, 1, 0, &Body::Parts(vec![query("update orders set name = 'y'")])).unwrap();
        log.touched(&conn, &[]).unwrap();
        let foreign = Some(Gtid { origin: "elsewhere".into(), sequence: 7 });
        log.append(&conn, foreign, 2, 0, &Body::Parts(vec![query("delete from orders")])).unwrap();
        log.touched(&conn, &[change("orders", row(9, "a"), None)]).unwrap();
        let expected = |ids: &[i64]| ids.iter().map(|&id| vec![Value::Integer(id)]).collect::<Vec<_>>();
        assert_eq!(keys(&conn, LogPosition::START).unwrap(), expected(&[1, 5, 9]));
        let own = changed_keys(&conn, ("shop", "orders"), &[0], LogPosition::START, Whose::Own).unwrap();
        assert_eq!(own, expected(&[1, 5]));
        let next = binlog::rotate(&conn).unwrap();
        log.purge_before(&conn, next.file).unwrap();
        let left: i64 =
            conn.query_row("SELECT count(*) FROM _evensum_binlog_rows", [], |row| row.get(0)).unwrap();
        assert_eq!((left, keys(&conn, next)), (0, Ok(vec![])));
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
