//! Row locks for pins: a transaction on a connection of its own that holds them, shared, on rows and on the gaps where there are none.
//!
//! All rows are locked in one statement. If one of them is being written by somebody else, that statement waits in
//! vain; then they are locked one by one, and the busy ones are left out, so that a hot row costs only itself. After
//! each such wait the transaction is begun anew, because a server may have ended it (`innodb_rollback_on_timeout`).
//!
//! Invariant: what is called held is locked on the connection whose generation is remembered with it, by InnoDB, at
//! REPEATABLE READ, and not a moment longer than until [`Connection::release`].

use super::fault::Fault;
use super::link::Link;
use super::read::by_key;
use super::{Connection, Held};
use crate::dialect::Lock;
use crate::row::{Key, Row};
use crate::table::Table;
use std::collections::HashSet;
use std::time::{Duration, Instant};

/// How many busy rows are waited for before the others are given up too.
const BUSY_ROWS: usize = 3;
/// The most rows that are locked one by one where one of them is busy.
const ROWS_ONE_BY_ONE: usize = 20;

/// After how long without a look the server renews its list of who waits for whom (100 ms, and a little more).
const LIST_RENEWED_MS: u64 = 110;
/// Who waits for locks of the connection whose number follows: on MariaDB, and on MySQL.
const WAITERS: [&str; 2] = [
    "SELECT 1 FROM information_schema.INNODB_LOCK_WAITS waits JOIN information_schema.INNODB_TRX holders \
     ON holders.trx_id = waits.blocking_trx_id WHERE holders.trx_mysql_thread_id = ",
    "SELECT 1 FROM performance_schema.data_lock_waits waits JOIN performance_schema.threads holders \
     ON holders.THREAD_ID = waits.BLOCKING_THREAD_ID WHERE holders.PROCESSLIST_ID = ",
];

/// Rows, and which of them are locked.
#[derive(Debug)]
pub(super) struct Locked {
    /// The rows, in the order of tables and keys.
    pub(super) rows: Vec<Option<Row>>,
    /// For each whether it is locked.
    pub(super) held: Vec<bool>,
}

impl Connection {
    /// Locks rows and remembers it, or reads what cannot be locked.
    pub(super) async fn lock(&mut self, tables: &[(&Table, &[Key])]) -> Result<Locked, Fault> {
        // whatever it held ends here
        self.locks.refresh().await;
        let mut busy = HashSet::new();
        let mut one_by_one = false;
        while busy.len() <= BUSY_ROWS {
            let mut at = 0;
            match lock_all(&mut self.locks, tables, one_by_one.then_some(&busy), &mut at).await {
                Ok(mut rows) => {
                    self.holder = self.locks.number().await?;
                    self.holds += 1;
                    let held: Vec<bool> = (0..rows.len()).map(|place| !busy.contains(&place)).collect();
                    self.held = Some(Held { generation: self.locks.generation(), rows: held.clone() });
                    self.read_others(tables, &held, &mut rows).await?;
                    return Ok(Locked { rows, held });
                }
                Err(fault) if fault.is_lock() => {
                    self.locks.close();
                    if one_by_one {
                        busy.insert(at);
                    }
                    // one by one takes its time, in which others wait for what is already locked
                    if tables.iter().map(|(_, keys)| keys.len()).sum::<usize>() > ROWS_ONE_BY_ONE {
                        break;
                    }
                    one_by_one = true;
                }
                Err(fault) => {
                    self.locks.close();
                    return Err(fault);
                }
            }
        }
        let count = tables.iter().map(|(_, keys)| keys.len()).sum();
        let mut locked = Locked { rows: vec![None; count], held: vec![false; count] };
        self.read_others(tables, &locked.held, &mut locked.rows).await?;
        Ok(locked)
    }

    /// Reads the rows that are not held, without a lock.
    pub(super) async fn read_others(
        &mut self,
        tables: &[(&Table, &[Key])],
        held: &[bool],
        rows: &mut [Option<Row>],
    ) -> Result<(), Fault> {
        let mut places = 0..rows.len();
        for (table, keys) in tables {
            let of_table: Vec<(usize, &Key)> = places.by_ref().take(keys.len()).zip(*keys).collect();
            let free: Vec<(usize, &Key)> =
                of_table.into_iter().filter(|(place, _)| held.get(*place) != Some(&true)).collect();
            let keys: Vec<Key> = free.iter().map(|(_, key)| (*key).clone()).collect();
            let found = by_key(&mut self.main, table, &keys, Lock::None).await?;
            free.iter().zip(found).for_each(|((place, _), row)| rows[*place] = row);
        }
        Ok(())
    }

    /// Whether somebody waits for a row that is held. Asks how many wait for any row, which costs little; and only if somebody
    /// does, who that is, where this user may see it. The server renews that list only for who has not looked for a while:
    /// until then a hold that was seen to be in nobody's way is taken to be so still, and another one to be in the way.
    pub(super) async fn waited_for(&mut self) -> Result<bool, Fault> {
        if self.held.is_none() && self.guarded.is_none() {
            return Ok(false);
        }
        let answer = self.main.ask("SHOW GLOBAL STATUS LIKE 'Innodb_row_lock_current_waits'").await?;
        let waiting = answer.rows.first().and_then(|row| row.get(1)?.as_deref());
        if waiting == Some("0") {
            return Ok(false);
        }
        let renewed = |at: Instant| at.elapsed() >= Duration::from_millis(LIST_RENEWED_MS);
        match self.looked {
            Some((at, during)) if !renewed(at) => return Ok(during != self.holds),
            _ => self.looked = Some((Instant::now(), self.holds)),
        }
        let holder = self.holder;
        for list in WAITERS {
            match self.main.ask(&format!("{list}{holder} LIMIT 1")).await {
                Ok(answer) => return Ok(!answer.rows.is_empty()),
                Err(fault) if fault.is_server() => {}
                Err(fault) => return Err(fault),
            }
        }
        // somebody waits, and for whom cannot be seen
        Ok(true)
    }

    /// Ends what is held; which rows were held, as shared locks, without a gap until now.
    pub(super) async fn release(&mut self) -> Vec<bool> {
        self.end_guard();
        let Some(held) = self.held.take() else { return Vec::new() };
        if self.locks.generation() != held.generation {
            self.locks.close();
            return Vec::new();
        }
        if self.locks.run("COMMIT").await.is_err() {
            self.locks.close();
            return Vec::new();
        }
        held.rows
    }

    /// Ends what is held by closing, the one way that cannot fail.
    pub(super) fn end_hold(&mut self) {
        if self.held.take().is_some() {
            self.locks.close();
        }
        self.end_guard();
    }

    fn end_guard(&mut self) {
        if self.guarded.take().is_some() {
            self.guards.close();
        }
    }
}

/// Locks the rows in a new transaction, all at once or, but for busy ones, one by one; `at` is where it stands.
async fn lock_all(
    link: &mut Link,
    tables: &[(&Table, &[Key])],
    one_by_one: Option<&HashSet<usize>>,
    at: &mut usize,
) -> Result<Vec<Option<Row>>, Fault> {
    link.run("START TRANSACTION").await?;
    let lock = if link.waits_anyway() { Lock::ShareAtOnce } else { Lock::Share };
    let mut rows = Vec::new();
    for (table, keys) in tables {
        let Some(busy) = one_by_one else {
            rows.extend(by_key(link, table, keys, lock).await?);
            continue;
        };
        for key in *keys {
            *at = rows.len();
            if busy.contains(at) {
                rows.push(None);
            } else {
                rows.extend(by_key(link, table, std::slice::from_ref(key), lock).await?);
            }
        }
    }
    Ok(rows)
}

/// Whether the server holds locks on the rows, and the gaps, of this table.
pub(super) async fn locks_rows(link: &mut Link, table: &Table) -> Result<bool, Fault> {
    let text = |name: &str| name.replace('\\', "\\\\").replace('\'', "''");
    let answer = link
        .ask(&format!(
            "SELECT ENGINE FROM information_schema.TABLES WHERE TABLE_SCHEMA = '{}' AND TABLE_NAME = '{}'",
            text(&table.database),
            text(&table.name)
        ))
        .await?;
    let engine = answer.rows.first().and_then(|row| row.first()?.as_deref());
    Ok(engine.is_some_and(|engine| engine.eq_ignore_ascii_case("innodb")))
}
