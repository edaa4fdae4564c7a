//! Sets of GTIDs as tables: merged intervals, changed by one row per transaction.
//!
//! Two tables have this form: what has been executed, and what of it is no longer in the log. Invariant, as in
//! [`database::GtidSet`]: intervals of one origin never overlap or touch.

use super::{failed, number, stored};
use crate::SqlError;
use database::{Gtid, GtidSet};
use rusqlite::{Connection, params};
use std::sync::{Mutex, PoisonError};

/// What has been executed here.
pub const EXECUTED: &str = "_evensum_gtid_executed";
/// What has been executed here and is no longer in the log.
pub const PURGED: &str = "_evensum_gtid_purged";

/// Creates both tables.
pub fn create(conn: &Connection) -> rusqlite::Result<()> {
    for table in [EXECUTED, PURGED] {
        conn.execute_batch(&format!(
            "CREATE TABLE IF NOT EXISTS {table} (origin TEXT NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
             PRIMARY KEY (origin, first)) WITHOUT ROWID"
        ))?;
    }
    Ok(())
}

/// The whole set.
pub fn read(conn: &Connection, table: &str) -> Result<GtidSet, SqlError> {
    let mut set = GtidSet::new();
    let mut query =
        conn.prepare_cached(&format!("SELECT origin, first, last FROM {table}")).map_err(failed)?;
    let mut rows = query.query([]).map_err(failed)?;
    while let Some(row) = rows.next().map_err(failed)? {
        let origin: String = row.get(0).map_err(failed)?;
        set.insert_interval(
            &origin,
            number(row.get(1).map_err(failed)?),
            number(row.get(2).map_err(failed)?),
        );
    }
    Ok(set)
}

/// Puts a set in the place of the one that was there.
pub fn write(conn: &Connection, table: &str, set: &GtidSet) -> Result<(), SqlError> {
    run(conn, &format!("DELETE FROM {table}"), &[])?;
    for (origin, first, last) in set.intervals() {
        let (first, last) = (stored(first)?, stored(last)?);
        run(
            conn,
            &format!("INSERT INTO {table} (origin, first, last) VALUES (?1, ?2, ?3)"),
            params![origin, first, last],
        )?;
    }
    Ok(())
}

/// Whether the set holds this transaction.
pub fn contains(conn: &Connection, table: &str, gtid: &Gtid) -> Result<bool, SqlError> {
    conn.prepare_cached(&format!(
        "SELECT EXISTS (SELECT 1 FROM {table} WHERE origin = ?1 AND first <= ?2 AND last >= ?2)"
    ))
    .and_then(|mut query| {
        query.query_row(params![&*gtid.origin, stored(gtid.sequence).unwrap_or(i64::MAX)], |row| row.get(0))
    })
    .map_err(failed)
}

/// The highest number of this origin, or 0.
pub fn highest(conn: &Connection, table: &str, origin: &str) -> Result<u64, SqlError> {
    conn.prepare_cached(&format!("SELECT coalesce(max(last), 0) FROM {table} WHERE origin = ?1"))
        .and_then(|mut query| query.query_row([origin], |row| row.get(0)))
        .map(number)
        .map_err(failed)
}

/// The last interval of an origin, as it was left the last time: a guess that saves to look for it.
pub type Guess = Mutex<Option<(i64, i64)>>;

/// Adds the transaction behind the highest of this origin and behind `used`, and gives it. The guess is this table's and origin's.
pub fn insert_next(
    conn: &Connection,
    table: &str,
    origin: &str,
    used: impl FnOnce(&Connection) -> Result<u64, SqlError>,
    guess: &Guess,
) -> Result<Gtid, SqlError> {
    let mut guess = guess.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((first, last)) = *guess
        && last < i64::MAX
        && lengthen(conn, table, origin, (first, last))?
    {
        *guess = Some((first, last + 1));
        return Ok(Gtid { origin: origin.into(), sequence: number(last + 1) });
    }
    let sequence = highest(conn, table, origin)?.max(used(conn)?).saturating_add(1);
    let gtid = Gtid { origin: origin.into(), sequence };
    if !insert(conn, table, &gtid)? {
        return Err(SqlError::internal(format!("transaction {gtid} has already been executed")));
    }
    let last: Option<i64> = conn
        .prepare_cached(&format!("SELECT max(first) FROM {table} WHERE origin = ?1"))
        .and_then(|mut query| query.query_row([origin], |row| row.get(0)))
        .map_err(failed)?;
    *guess = last.zip(stored(sequence).ok());
    Ok(gtid)
}

/// Adds one to the end of this interval. False if it is not there so, or not the last one: what was rolled back, reset or purged
/// makes a guess wrong.
fn lengthen(
    conn: &Connection,
    table: &str,
    origin: &str,
    (first, last): (i64, i64),
) -> Result<bool, SqlError> {
    conn.prepare_cached(&format!(
        "UPDATE {table} SET last = ?3 + 1 WHERE origin = ?1 AND first = ?2 AND last = ?3
             AND NOT EXISTS (SELECT 1 FROM {table} WHERE origin = ?1 AND first > ?2)"
    ))
    .and_then(|mut update| update.execute(params![origin, first, last]))
    .map(|changed| changed == 1)
    .map_err(failed)
}

/// Adds one transaction. False if it was there already.
pub fn insert(conn: &Connection, table: &str, gtid: &Gtid) -> Result<bool, SqlError> {
    let sequence = stored(gtid.sequence)?;
    let origin = &*gtid.origin;
    let mut near = conn
        .prepare_cached(&format!(
            "SELECT first, last FROM {table} WHERE origin = ?1 AND first <= ?2 ORDER BY first DESC LIMIT 2"
        ))
        .map_err(failed)?;
    let near: Vec<(i64, i64)> = near
        .query_map(params![origin, sequence.saturating_add(1)], |row| Ok((row.get(0)?, row.get(1)?)))
        .and_then(Iterator::collect)
        .map_err(failed)?;
    let after = near.iter().find(|&&(first, _)| first == sequence + 1).copied();
    let before = near.iter().find(|&&(first, _)| first <= sequence).copied();
    if before.is_some_and(|(_, last)| last >= sequence) {
        return Ok(false);
    }
    let before = before.filter(|&(_, last)| last == sequence - 1);
    let last = after.map_or(sequence, |(_, last)| last);
    if let Some((first, _)) = after {
        run(conn, &format!("DELETE FROM {table} WHERE origin = ?1 AND first = ?2"), params![origin, first])?;
    }
    match before {
        Some((first, _)) => {
            run(
                conn,
                &format!("UPDATE {table} SET last = ?3 WHERE origin = ?1 AND first = ?2"),
                params![origin, first, last],
            )?;
        }
        None => {
            run(
                conn,
                &format!("INSERT INTO {table} (origin, first, last) VALUES (?1, ?2, ?3)"),
                params![origin, sequence, last],
            )?;
        }
    }
    Ok(true)
}

fn run(conn: &Connection, sql: &str, values: &[&dyn rusqlite::ToSql]) -> Result<(), SqlError> {
    conn.prepare_cached(sql).and_then(|mut statement| statement.execute(values)).map(drop).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_table_is_the_set(sequences in proptest::collection::vec(1u64..30, 0..40)) {
            let conn = Connection::open_in_memory().unwrap();
            create(&conn).unwrap();
            let mut model = GtidSet::new();
            for sequence in sequences {
                let gtid = Gtid { origin: if sequence % 7 == 0 { "b".into() } else { "a".into() }, sequence };
                prop_assert_eq!(contains(&conn, EXECUTED, &gtid).unwrap(), model.contains(&gtid));
                prop_assert_eq!(insert(&conn, EXECUTED, &gtid).unwrap(), !model.contains(&gtid));
                model.insert(&gtid);
            }
            for (origin, used) in [("a", 0), ("b", 12), ("c", 12)] {
                let guess = Guess::default();
                let next = |model: &mut GtidSet| {
                    let sequence = model.highest(origin).max(used) + 1;
                    let next = Gtid { origin: origin.into(), sequence };
                    prop_assert_eq!(insert_next(&conn, EXECUTED, origin, |_| Ok(used), &guess).unwrap(), next.clone());
                    model.insert(&next);
                    Ok(next.sequence)
                };
                let last = next(&mut model)?;
                prop_assert_eq!(next(&mut model)?, last + 1);
                // what makes a guess wrong: a transaction further on, one that was undone, and a set that was emptied
                let further = Gtid { origin: origin.into(), sequence: last + 5 };
                prop_assert!(insert(&conn, EXECUTED, &further).unwrap());
                model.insert(&further);
                prop_assert_eq!(next(&mut model)?, last + 6);
                conn.execute_batch("BEGIN").unwrap();
                let undone = model.clone();
                next(&mut model)?;
                conn.execute_batch("ROLLBACK").unwrap();
                model = undone;
                prop_assert_eq!(next(&mut model)?, last + 7);
            }
            prop_assert_eq!(read(&conn, EXECUTED).unwrap(), model.clone());
            prop_assert_eq!(highest(&conn, EXECUTED, "a").unwrap(), model.highest("a"));
            // read() merges what it reads; the rows themselves must be merged too.
            let rows: i64 = conn.query_row("SELECT count(*) FROM _evensum_gtid_executed", [], |row| row.get(0)).unwrap();
            prop_assert_eq!(usize::try_from(rows).unwrap(), model.intervals().count());
        }
    }
}
