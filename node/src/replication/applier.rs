//! The SQL thread of a link: applies what waits in the relay log, in order, exactly once.
//!
//! A transaction's changes, its entry in this node's own log, its GTID and the link's place are written in one
//! SQLite transaction, so a crash at any moment leaves either all or nothing of it, and what is in
//! `gtid_executed` is passed over, whichever way it came. A conflict that MySQL would stop at (a duplicate key, a
//! missing row) stops the thread with MySQL's words; a conflict that MySQL does not see (the row was other than
//! the source thought) is overwritten silently, as there.
//!
//! A transaction that is skipped on the administrator's word is applied as an empty one: so it counts as executed,
//! does not come back, and is skipped behind this node too, as in MySQL.

use super::gtids::{self, EXECUTED};
use super::link::{Apply, LastError, Link, note_place};
use super::now_ms;
use super::record::Record;
use super::relay_log::Waiting;
use crate::SqlError;
use crate::change::{Body, Change, Transaction};
use rusqlite::Connection;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How often an applier that has nothing to do looks whether it has to end.
const IDLE_POLL: Duration = Duration::from_millis(500);
/// The wait between the first two tries; it doubles with each.
const RETRY_WAIT: Duration = Duration::from_millis(100);
/// The longest wait between two tries.
const LONGEST_RETRY_WAIT: Duration = Duration::from_secs(5);
/// The errors that another try may not meet: a lock wait, a deadlock, an interrupt.
const PASSING: [u16; 3] = [1205, 1213, 1317];

/// The thread.
pub fn run(link: &Link) {
    link.update(|state| {
        state.applying = true;
        state.apply_error = LastError::default();
    });
    let result = apply_all(link);
    link.update(|state| {
        state.applying = false;
        if let Err(error) = result {
            state.apply_error = LastError::now(error.code, error.message);
        }
    });
}

fn apply_all(link: &Link) -> Result<(), SqlError> {
    let conn = (link.context.connect)()?;
    let mut session = (link.context.applies)()?;
    let mut after = 0;
    while !link.applier_stops() {
        let batch = link.relay.next(after)?;
        if batch.is_empty() {
            link.relay.discard_taken()?;
            link.relay.wait_for_more(IDLE_POLL);
        }
        for waiting in batch {
            wait_until_due(link, &waiting);
            if link.applier_stops() {
                return Ok(());
            }
            apply_one(link, &conn, session.as_mut(), &waiting.record)?;
            after = waiting.n;
            link.relay.taken(after);
            link.update(|state| state.applied = Some(waiting.record.end()));
        }
        link.relay.discard_taken()?;
    }
    Ok(())
}

/// Waits for the link's delay and for the delay that a test asked for.
fn wait_until_due(link: &Link, waiting: &Waiting) {
    loop {
        let least = link.context.delay_ms.0.load(Ordering::Relaxed);
        let most = link.context.delay_ms.1.load(Ordering::Relaxed).max(least);
        let mut due =
            waiting.record.committed_at_ms.saturating_add(link.settings().delay_s.saturating_mul(1000));
        if most > 0 {
            let mut hasher = RandomState::new().build_hasher();
            hasher.write_u64(waiting.record.gtid.sequence);
            due = due.max(waiting.received_at_ms + least + hasher.finish() % (most - least + 1));
        } else if link.settings().delay_s == 0 {
            return;
        }
        let left = due.saturating_sub(now_ms());
        if left == 0 || link.applier_stops() {
            return;
        }
        // The delay may be changed meanwhile, so it is looked at again soon.
        link.sleep(Duration::from_millis(left.min(100)), Link::applier_stops);
        if most > 0 && left <= 100 {
            return;
        }
    }
}

fn apply_one(
    link: &Link,
    conn: &Connection,
    session: &mut dyn Apply,
    record: &Record,
) -> Result<(), SqlError> {
    let executed = || gtids::contains(conn, EXECUTED, &record.gtid);
    if executed()? {
        return Ok(());
    }
    let note = |conn: &Connection| note_place(conn, &link.name, record.end());
    let mut transaction = record.transaction().map_err(|_| {
        SqlError::new(1594, "HY000", "Relay log read failure: a transaction of the relay log is damaged")
    })?;
    let skip = link.update(|state| {
        let skip = state.skip_counter > 0;
        state.skip_counter = state.skip_counter.saturating_sub(1);
        skip
    });
    let error = match skip {
        true => None,
        false => match apply_with_retries(link, session, &transaction, &note) {
            Ok(()) => return Ok(()),
            Err(_) if executed()? => return Ok(()),
            Err(error) => Some(error),
        },
    };
    if let Some(error) = error
        && !link.context.skip_errors.contains(&error.code)
    {
        return Err(in_mysqls_words(link, record, &transaction.body, error));
    }
    transaction.body = Body::Rows(Vec::new());
    apply_with_retries(link, session, &transaction, &note)
}

/// Applies a transaction. What another client causes passes with it, so that is tried again for as long as the
/// applier runs: nobody's lock ends replication. Meanwhile the status shows the error.
fn apply_with_retries(
    link: &Link,
    session: &mut dyn Apply,
    transaction: &Transaction,
    note: super::link::Note<'_>,
) -> Result<(), SqlError> {
    let (mut wait, mut shown) = (RETRY_WAIT, false);
    loop {
        match session.apply(transaction, note) {
            Err(error) if PASSING.contains(&error.code) && !link.applier_stops() => {
                shown = true;
                link.update(|state| state.apply_error = LastError::now(error.code, error.message));
                link.sleep(wait, Link::applier_stops);
                wait = (wait * 2).min(LONGEST_RETRY_WAIT);
            }
            result => {
                if shown {
                    link.update(|state| state.apply_error = LastError::default());
                }
                return result;
            }
        }
    }
}

/// The error as `Last_SQL_Error` shows it.
fn in_mysqls_words(link: &Link, record: &Record, body: &Body, error: SqlError) -> SqlError {
    let message = match body {
        Body::Statement { database, sql } => {
            format!("Error '{}' on query. Default database: '{database}'. Query: '{sql}'", error.message)
        }
        Body::Rows(changes) => {
            let (event, table) = match culprit(changes, &error) {
                Some(change) => (event_of(change), format!("{}.{}", change.database, change.table)),
                None => ("Write_rows_v1", String::new()),
            };
            let handler = match error.code {
                1062 => "handler error HA_ERR_FOUND_DUPP_KEY; ",
                1032 => "handler error HA_ERR_KEY_NOT_FOUND; ",
                _ => "",
            };
            format!(
                "Could not execute {event} event on table {table}; {}, Error_code: {}; {handler}the event's source log \
                 {}, end_log_pos {}",
                error.message,
                error.code,
                link.context.log.file_name(record.position),
                record.end_pos
            )
        }
    };
    SqlError { message, ..error }
}

fn event_of(change: &Change) -> &'static str {
    match (&change.before, &change.after) {
        (None, _) => "Write_rows_v1",
        (Some(_), Some(_)) => "Update_rows_v1",
        (Some(_), None) => "Delete_rows_v1",
    }
}

/// The change that an error is about, as well as the error tells: a duplicate key needs a new row, a missing
/// row an old one, and some messages name the table.
fn culprit<'a>(changes: &'a [Change], error: &SqlError) -> Option<&'a Change> {
    let possible = |change: &&Change| match error.code {
        1062 => change.after.is_some(),
        1032 => change.before.is_some(),
        _ => true,
    };
    let named = |change: &&Change| error.message.contains(&*change.table);
    let mut fitting = changes.iter().filter(possible);
    fitting.clone().find(named).or_else(|| fitting.next()).or_else(|| changes.first())
}

#[cfg(test)]
mod tests;
