//! The SQL thread of a link: applies what waits in the relay log, in order, exactly once.
//!
//! A transaction's changes, its entry in this node's own log, its GTID and the link's place are written in one
//! SQLite transaction, so a crash at any moment leaves either all or nothing of it, and what is in
//! `gtid_executed` is passed over, whichever way it came. A conflict that MySQL would stop at (a duplicate key, a
//! missing row) stops the thread with MySQL's words; a conflict that MySQL does not see (the row was other than
//! the source thought) is overwritten silently, as there.
//!
//! [`Applier::step`] does all that and knows no thread and no clock: it is told the time and says until when there is nothing
//! to do. [`run`] is the loop that sleeps. A step either ends with its transaction or leaves it for the next step to try again; in a run ([`runs`]) transactions end together.
//!
//! The administrator's counter is of events, as in MySQL, and ends with a transaction: each that is skipped takes off what SHOW BINLOG EVENTS shows of it.
//! A transaction that is skipped is applied as an empty one: so it counts as executed,
//! does not come back, and is skipped behind this node too, as in MySQL.

mod runs;

use self::runs::Runs;
use super::events;
use super::gtids::{self, EXECUTED};
use super::link::{Apply, LastError, Link, applied_place, note_place};
use super::now_ms;
use super::position::LogPosition;
use super::record::Record;
use super::relay_log::Waiting;
use crate::SqlError;
use crate::change::{Body, Change, Part, Transaction};
use crate::session::ON_QUERY;
use rusqlite::Connection;
use std::collections::VecDeque;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How often an applier that has nothing to do looks whether it has to end.
const IDLE_POLL: Duration = Duration::from_millis(500);
/// How soon an applier that waits for a moment looks again, in milliseconds: a delay may be changed meanwhile.
const LOOK_AGAIN_MS: u64 = 100;
/// The wait between the first two tries, in milliseconds; it doubles with each.
const RETRY_WAIT_MS: u64 = 100;
/// The longest wait between two tries, in milliseconds.
const LONGEST_RETRY_WAIT_MS: u64 = 5_000;
/// So many transactions stay in the relay log at most when they are applied.
const DISCARD_ROWS: usize = 512;

/// The thread.
pub fn run(link: &Link) {
    begin(link);
    let result = apply_all(link);
    end(link, result, now_ms());
}

/// The link says that its applier runs.
pub fn begin(link: &Link) {
    link.update(|state| {
        state.applying = true;
        state.apply_error = LastError::default();
    });
}

/// The link says that its applier has ended, and why.
pub fn end(link: &Link, result: Result<(), SqlError>, now_ms: u64) {
    if let Err(error) = &result {
        link.say(&format!("the SQL thread stops: error {}: {}", error.code, error.message));
    }
    link.update(|state| {
        state.applying = false;
        if let Err(error) = result {
            state.apply_error = LastError { code: error.code, message: error.message, at_ms: now_ms };
        }
    });
}

fn apply_all(link: &Link) -> Result<(), SqlError> {
    let mut applier = Applier::new(link)?;
    link.set_interrupt(Some(applier.session.stopper()));
    let result = go_on(&mut applier, link);
    link.set_interrupt(None);
    // What comes next does not depend on whether this failed.
    let _ = applier.clear(link);
    result
}

fn go_on(applier: &mut Applier, link: &Link) -> Result<(), SqlError> {
    applier.allow_runs();
    while !link.applier_stops() && !applier.is_reached(link)? {
        let now = now_ms();
        match applier.step(link, now)? {
            Stepped::Applied | Stepped::Skipped | Stepped::Known => {}
            Stepped::Waiting(until) => {
                let wait = until.saturating_sub(now).min(LOOK_AGAIN_MS);
                link.sleep(Duration::from_millis(wait), Link::applier_stops);
            }
            Stepped::Idle => link.relay.wait_for_more(IDLE_POLL),
        }
    }
    Ok(())
}

/// What a step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stepped {
    /// It applied a transaction; in a run, one that is committed with those that follow.
    Applied,
    /// It wrote an empty transaction instead of one, on the administrator's word.
    Skipped,
    /// It passed over a transaction that is executed already.
    Known,
    /// There is nothing to do before this moment, in milliseconds since 1970.
    Waiting(u64),
    /// There is nothing to do before something is received.
    Idle,
}

/// What an applier has at hand.
pub struct Applier {
    conn: Connection,
    session: Box<dyn Apply>,
    jitter: RandomState,
    after: i64,
    /// What was applied before it began, where the order of the places is that of the transactions: by place. RESET MASTER
    /// forgets what is executed, and the relay log may still hold it.
    done: Option<LogPosition>,
    batch: VecDeque<Waiting>,
    trying: Option<Trying>,
    kept: Kept,
    runs: Runs,
}

/// What is applied and still in the relay log.
#[derive(Default)]
struct Kept {
    rows: usize,
    bytes: u64,
    /// Whether there was nothing to apply when it was last looked at.
    idle: bool,
}

/// The transaction that is being tried.
struct Trying {
    transaction: Transaction,
    skipped: bool,
    /// Whether the administrator's counter has it skipped.
    counted: bool,
    /// When the next try is due, and the wait behind it; none before the first failure.
    again: Option<(u64, u64)>,
}

impl Applier {
    /// One that begins with the first transaction that waits.
    pub fn new(link: &Link) -> Result<Applier, SqlError> {
        let conn = (link.context.connect)()?;
        let settings = link.settings();
        let done = match settings.auto_position {
            true => None,
            false => applied_place(&conn, &link.name, settings.epoch)?,
        };
        Ok(Applier {
            conn,
            done,
            session: (link.context.applies)()?,
            jitter: RandomState::new(),
            after: 0,
            batch: VecDeque::new(),
            trying: None,
            kept: Kept::default(),
            runs: Runs::default(),
        })
    }

    /// Deals with the next transaction, if there is one and it is due. An error ends the applier.
    pub fn step(&mut self, link: &Link, now_ms: u64) -> Result<Stepped, SqlError> {
        if self.batch.is_empty() {
            self.batch = link.relay.next(self.after)?.into();
            self.discard(link)?;
        }
        if self.join(link, now_ms) {
            return Ok(Stepped::Applied);
        }
        let Some(waiting) = self.batch.pop_front() else { return Ok(Stepped::Idle) };
        let due = due(link, &waiting, &self.jitter);
        let stepped = match due > now_ms {
            true => Stepped::Waiting(due),
            false => self.attempt(link, &waiting.record, now_ms)?,
        };
        if let Stepped::Waiting(_) = stepped {
            self.batch.push_front(waiting);
            return Ok(stepped);
        }
        self.passed(link, &waiting);
        Ok(stepped)
    }

    /// A transaction is behind the applier.
    fn passed(&mut self, link: &Link, waiting: &Waiting) {
        self.runs.alone = self.runs.alone.saturating_sub(1);
        self.after = waiting.n;
        self.kept.rows += 1;
        self.kept.bytes += waiting.record.payload.len() as u64;
        link.relay.taken(waiting.n);
        link.update(|state| state.applied = Some(waiting.record.end()));
    }

    /// Discards what is applied, when there is time for it or it is much. The relay log must not be ahead of the node's file
    /// after a power cut, so what is discarded is on the disk.
    fn discard(&mut self, link: &Link) -> Result<(), SqlError> {
        let was_idle = std::mem::replace(&mut self.kept.idle, self.batch.is_empty());
        let idle = was_idle && self.kept.idle;
        let much = self.kept.rows >= DISCARD_ROWS || self.kept.bytes >= link.context.relay_limit_bytes / 4;
        if self.kept.rows > 0 && (idle || much) { self.clear(link) } else { Ok(()) }
    }

    /// Discards all that is applied.
    pub fn clear(&mut self, link: &Link) -> Result<(), SqlError> {
        self.end_run(link);
        self.session.settle()?;
        link.relay.discard_taken()?;
        self.kept = Kept { idle: self.kept.idle, ..Kept::default() };
        Ok(())
    }

    /// Whether the place is reached at which the applier was told to stop by itself.
    fn is_reached(&mut self, link: &Link) -> Result<bool, SqlError> {
        let Some((until, read)) = link.update(|state| Some((state.until.clone()?, state.read))) else {
            return Ok(false);
        };
        if self.batch.is_empty() {
            self.batch = link.relay.next(self.after)?.into();
        }
        let next = self.batch.front().map(|waiting| &waiting.record);
        Ok(until.is_reached(next, read, &gtids::read(&self.conn, EXECUTED)?))
    }

    fn attempt(&mut self, link: &Link, record: &Record, now_ms: u64) -> Result<Stepped, SqlError> {
        let mut trying = match self.trying.take() {
            Some(trying) => trying,
            None if self.done >= Some(record.end()) || self.is_executed(record)? => {
                return Ok(Stepped::Known);
            }
            None => first_try(link, record)?,
        };
        if let Some((due, _)) = trying.again
            && due > now_ms
        {
            self.trying = Some(trying);
            return Ok(Stepped::Waiting(due));
        }
        let error = match self.apply(link, record, &mut trying, now_ms) {
            Ok(Stepped::Waiting(due)) => {
                self.trying = Some(trying);
                return Ok(Stepped::Waiting(due));
            }
            Ok(stepped) => return Ok(stepped),
            Err(_) if self.is_executed(record)? => return Ok(Stepped::Known),
            Err(error) if trying.skipped => return Err(error),
            Err(error) => error,
        };
        if !link.context.skip_errors.contains(&error.code) {
            return Err(in_mysqls_words(link, record, &trying.transaction.body, error));
        }
        trying.transaction.body = Body::Rows(Vec::new());
        (trying.skipped, trying.again) = (true, None);
        let stepped = self.apply(link, record, &mut trying, now_ms)?;
        if let Stepped::Waiting(_) = stepped {
            self.trying = Some(trying);
        }
        Ok(stepped)
    }

    fn is_executed(&self, record: &Record) -> Result<bool, SqlError> {
        gtids::contains(&self.conn, EXECUTED, &record.gtid)
    }

    /// Applies a transaction. What another client causes passes with it, so that is tried again for as long as the
    /// applier runs: nobody's lock ends replication. Meanwhile the status shows the error.
    fn apply(
        &mut self,
        link: &Link,
        record: &Record,
        trying: &mut Trying,
        now_ms: u64,
    ) -> Result<Stepped, SqlError> {
        let epoch = link.epoch();
        let note = |conn: &Connection| note_place(conn, &link.name, epoch, record.end());
        match self.session.apply(&trying.transaction, &note) {
            // Tables that somebody holds on purpose are no error: the running state tells of them, and the session
            // itself has waited for them already.
            Err(error) if error.is_passing() && link.context.read_lock.is_held() => {
                Ok(Stepped::Waiting(now_ms.saturating_add(RETRY_WAIT_MS)))
            }
            Err(error) if error.is_passing() && link.applier_stops() => Ok(Stepped::Waiting(now_ms)),
            Err(error) if error.is_passing() => {
                let wait = trying.again.map_or(RETRY_WAIT_MS, |(_, wait)| wait);
                let due = now_ms.saturating_add(wait);
                trying.again = Some((due, (wait * 2).min(LONGEST_RETRY_WAIT_MS)));
                link.update(|state| {
                    state.apply_error = LastError { code: error.code, message: error.message, at_ms: now_ms };
                });
                Ok(Stepped::Waiting(due))
            }
            result => {
                if trying.again.is_some() {
                    link.update(|state| state.apply_error = LastError::default());
                }
                if trying.counted && result.is_ok() {
                    let events = events::count(record);
                    link.update(|state| state.skip_counter = state.skip_counter.saturating_sub(events));
                }
                result.map(|()| if trying.skipped { Stepped::Skipped } else { Stepped::Applied })
            }
        }
    }
}

/// The transaction of a record, or an empty one in its place if the administrator wants it skipped.
fn first_try(link: &Link, record: &Record) -> Result<Trying, SqlError> {
    let mut transaction = record.transaction().map_err(|_| {
        SqlError::new(1594, "HY000", "Relay log read failure: a transaction of the relay log is damaged")
    })?;
    link.context.filters.take_out(&mut transaction.body);
    // The counter goes down when that is committed: what is stopped before is skipped after the next start.
    let skipped = link.update(|state| state.skip_counter > 0);
    if skipped {
        transaction.body = Body::Rows(Vec::new());
    }
    Ok(Trying { transaction, skipped, counted: skipped, again: None })
}

/// When a transaction is due: behind the link's delay and the delay that a test asked for. 0 for at once.
fn due(link: &Link, waiting: &Waiting, jitter: &RandomState) -> u64 {
    let delay_s = link.delay_s();
    let due = match delay_s {
        0 => 0,
        _ => waiting.record.committed_at_ms.saturating_add(delay_s.saturating_mul(1000)),
    };
    let least = link.context.delay_ms.0.load(Ordering::Relaxed);
    let most = link.context.delay_ms.1.load(Ordering::Relaxed).max(least);
    if most == 0 {
        return due;
    }
    let mut hasher = jitter.build_hasher();
    hasher.write_u64(waiting.record.gtid.sequence);
    due.max(waiting.received_at_ms + least + hasher.finish() % (most - least + 1))
}

/// The error as `Last_SQL_Error` shows it.
fn in_mysqls_words(link: &Link, record: &Record, body: &Body, error: SqlError) -> SqlError {
    let message = match body {
        Body::Statement { database, sql } => {
            format!("Error '{}' on query. Default database: '{database}'. Query: '{sql}'", error.message)
        }
        // the session has said which statement it was
        Body::Parts(_) if error.message.starts_with(ON_QUERY) => error.message,
        Body::Parts(_) | Body::Rows(_) => {
            let (event, table) = match culprit(&changes_of(body), &error) {
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
                link.file_name(record.position),
                record.end_pos
            )
        }
    };
    SqlError { message, ..error }
}

/// The row changes of a body, without those of its statements.
fn changes_of(body: &Body) -> Vec<&Change> {
    match body {
        Body::Rows(changes) => changes.iter().collect(),
        Body::Parts(parts) => parts
            .iter()
            .filter_map(|part| match part {
                Part::Rows(changes) => Some(changes),
                Part::Query(_) => None,
            })
            .flatten()
            .collect(),
        Body::Statement { .. } => Vec::new(),
    }
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
fn culprit<'a>(changes: &[&'a Change], error: &SqlError) -> Option<&'a Change> {
    let possible = |change: &&Change| match error.code {
        1062 => change.after.is_some(),
        1032 => change.before.is_some(),
        _ => true,
    };
    let named = |change: &&Change| error.message.contains(&*change.table);
    let mut fitting = changes.iter().copied().filter(possible);
    fitting.clone().find(named).or_else(|| fitting.next()).or_else(|| changes.first().copied())
}

#[cfg(test)]
mod tests;
