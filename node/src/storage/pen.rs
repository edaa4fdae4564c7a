//! The pen: the one connection that writes, and the transactions that are committed together with it.
//!
//! SQLite has one writer, and each connection a page cache of its own, which is stale as soon as another one has written. So
//! the connection that writes goes from session to session together with the writer lock, and its pages and prepared statements
//! are still those of the transaction before. Sessions read with their own.
//!
//! A COMMIT appends each page that was changed to the write-ahead log, and a transaction of one row changes a few bytes on half a dozen
//! pages, most of them the same ones as the transaction before. So a *short* transaction (one statement that stands alone, or one
//! of replication) does not commit by itself if the next in the queue has a short one, too. It hands the pen on with SQLite's
//! transaction open, and waits; the next works behind a savepoint, and the last commits for all:
//!
//! ```text
//! client a   INSERT | hands in, waits ................. | answer
//! client b            INSERT | hands in, waits ........ | answer
//! client c                     INSERT | COMMIT for all  | answer
//! ```
//! Nobody sees or hears of any of them before they are all committed. A statement that fails is undone alone, and those before it are committed
//! before its client is told: their rows may be the reason. If the COMMIT fails, or SQLite rolls everything back by itself (a full disk, an
//! interrupt in the midst of a write), none of them has happened, and each client is told. Who has handed in waits for statements that stand before him in the queue of writers anyway: no longer than if he had
//! come a moment later. A group takes [`MOST`] transactions, and none after [`LONGEST`].
//!
//! Invariant: each group's fate is decided once, also when somebody panics with the pen. Not here: whose turn it is (`writer_lock`), and
//! when a commit is on the disk (`disk`).

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::disk::Disk;
use super::writer_lock::{Extent, deadlock};
use crate::SqlError;

/// So many transactions one COMMIT takes at most.
const MOST: u32 = 64;
/// After this time a group takes no more transactions.
const LONGEST: Duration = Duration::from_millis(if cfg!(test) { 20_000 } else { 20 });

/// The connection that writes, in the hands of who has the writer lock.
pub struct Pen {
    /// The connection.
    pub conn: Connection,
    /// What was handed in and is not committed yet.
    pub group: Option<Group>,
}

/// Transactions that one COMMIT is for.
pub struct Group {
    began: Instant,
    count: u32,
    /// What the transaction at hand began with.
    behind: Behind,
    fate: Arc<Fate>,
}

/// What undoes a transaction that stands behind others, and only that.
#[derive(Clone, Copy)]
enum Behind {
    /// A savepoint.
    Savepoint,
    /// Nothing needs to be undone while SQLite has counted so many changes.
    Changes(u64),
}

/// What becomes of a group.
#[derive(Default)]
pub struct Fate {
    /// The number of the commit (`Disk::commit`), or why there is none.
    outcome: OnceLock<Result<u64, SqlError>>,
    /// Who sleeps until it is known.
    asleep: Mutex<Vec<Thread>>,
}

impl Fate {
    fn asleep(&self) -> MutexGuard<'_, Vec<Thread>> {
        self.asleep.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells those who wait, unless they were told before.
    fn decide(&self, outcome: Result<u64, SqlError>) {
        let _ = self.outcome.set(outcome);
        let asleep = std::mem::take(&mut *self.asleep());
        asleep.iter().for_each(Thread::unpark);
    }

    /// Waits for it. It comes: the pen's holder commits, fails, or drops the group.
    pub fn wait(&self) -> Result<u64, SqlError> {
        let mut asleep = self.asleep();
        if self.outcome.get().is_none() {
            asleep.push(thread::current());
        }
        drop(asleep);
        loop {
            match self.outcome.get() {
                Some(outcome) => return outcome.clone(),
                None => thread::park(),
            }
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.fate.decide(Err(deadlock()));
    }
}

impl Pen {
    /// A pen with nothing handed in.
    #[must_use]
    pub fn new(conn: Connection) -> Pen {
        Pen { conn, group: None }
    }

    /// Whether the group takes one more, if there is one that has begun.
    #[must_use]
    pub fn takes_more(&self) -> bool {
        self.group.as_ref().is_none_or(|group| group.count < MOST && group.began.elapsed() < LONGEST)
    }

    /// Adds the transaction that was just finished to what will be committed together.
    pub fn hand_in(&mut self) -> Result<Arc<Fate>, SqlError> {
        if let Some(Group { behind: Behind::Savepoint, .. }) = self.group {
            run(&self.conn, "RELEASE _transaction")?;
        }
        let group = self.group.get_or_insert_with(|| Group {
            began: Instant::now(),
            count: 0,
            behind: Behind::Changes(0),
            fate: Arc::default(),
        });
        group.count += 1;
        Ok(Arc::clone(&group.fate))
    }

    /// Commits all that was handed in, and what was done since. If that fails, all is undone.
    pub fn commit(&mut self, disk: &Disk) -> Result<u64, SqlError> {
        let group = self.group.take();
        let (number, done) = disk.commit(|| run(&self.conn, "COMMIT"));
        let outcome = done.map(|()| number);
        if outcome.is_err() {
            roll_back(&self.conn);
        }
        if let Some(group) = group {
            group.fate.decide(outcome.clone());
        }
        outcome
    }
}

fn run(conn: &Connection, sql: &str) -> Result<(), SqlError> {
    Ok(conn.prepare_cached(sql).and_then(|mut statement| statement.execute([])).map(drop)?)
}

/// Rolls everything back, if there is anything.
pub fn roll_back(conn: &Connection) {
    if !conn.is_autocommit() {
        // A failed ROLLBACK leaves nothing to do: SQLite has rolled back by itself then.
        let _ = conn.execute_batch("ROLLBACK");
    }
}

/// Begins a transaction with the pen, behind what was handed in. One that writes a row or nothing needs no savepoint, for
/// which SQLite would copy each page that it changes.
pub fn begin(conn: &Connection, group: Option<&mut Group>, extent: Extent) -> Result<(), SqlError> {
    let sql = match group {
        Some(group) if extent == Extent::OneRow => {
            group.behind = Behind::Changes(conn.total_changes());
            return Ok(());
        }
        Some(group) => {
            group.behind = Behind::Savepoint;
            "SAVEPOINT _transaction"
        }
        None => "BEGIN IMMEDIATE",
    };
    run(conn, sql)
}

/// Undoes what was done since [`begin`]; what was handed in before stays, unless SQLite has undone it, or a row was written and
/// what had to follow failed.
pub fn undo(conn: &Connection, group: &mut Option<Group>) {
    let undone = match group.as_ref().map(|group| group.behind) {
        _ if conn.is_autocommit() => false,
        Some(Behind::Savepoint) => {
            conn.execute_batch("ROLLBACK TO _transaction; RELEASE _transaction").is_ok()
        }
        Some(Behind::Changes(before)) => conn.total_changes() == before,
        None => false,
    };
    if !undone {
        roll_back(conn);
        *group = None;
    }
}

/// Where the pen lies while nobody has it. Only who has the writer lock reaches for it.
#[derive(Default)]
pub struct Rest(Mutex<Option<Pen>>);

impl Rest {
    fn slot(&self) -> MutexGuard<'_, Option<Pen>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the pen; none if there is none yet, or it was lost with somebody who panicked.
    pub fn take(&self) -> Option<Pen> {
        self.slot().take()
    }

    /// Puts it back.
    pub fn put(&self, pen: Pen) {
        *self.slot() = Some(pen);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pen() -> Pen {
        let conn = Connection::open_in_memory().unwrap();
        conn.execute_batch("CREATE TABLE t (n INTEGER PRIMARY KEY)").unwrap();
        Pen::new(conn)
    }

    fn insert(pen: &mut Pen, n: i64) -> Option<Arc<Fate>> {
        begin(&pen.conn, pen.group.as_mut(), Extent::FewRows).unwrap();
        pen.conn.execute("INSERT INTO t VALUES (?1)", [n]).ok()?;
        Some(pen.hand_in().unwrap())
    }

    fn numbers(pen: &Pen) -> Vec<i64> {
        let mut all = pen.conn.prepare("SELECT n FROM t ORDER BY n").unwrap();
        all.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    fn disk() -> Disk {
        Disk::new(false, Box::new(|| Ok(())))
    }

    #[test]
    fn what_was_handed_in_is_committed_and_what_failed_is_not() {
        let (mut pen, disk) = (pen(), disk());
        let first = insert(&mut pen, 1).unwrap();
        assert!(insert(&mut pen, 1).is_none());
        undo(&pen.conn, &mut pen.group);
        let last = insert(&mut pen, 2).unwrap();
        assert!(first.outcome.get().is_none());
        assert_eq!(pen.commit(&disk), Ok(1));
        assert_eq!((first.wait(), last.wait()), (Ok(1), Ok(1)));
        assert_eq!(numbers(&pen), [1, 2]);
        // and with nothing handed in
        begin(&pen.conn, None, Extent::OneRow).unwrap();
        undo(&pen.conn, &mut pen.group);
        begin(&pen.conn, None, Extent::OneRow).unwrap();
        assert_eq!(pen.commit(&disk), Ok(2));
    }

    #[test]
    fn all_are_told_if_sqlite_rolls_back_by_itself() {
        let mut pen = pen();
        let first = insert(&mut pen, 1).unwrap();
        begin(&pen.conn, pen.group.as_mut(), Extent::OneRow).unwrap();
        pen.conn.execute_batch("INSERT OR ROLLBACK INTO t VALUES (1)").unwrap_err();
        undo(&pen.conn, &mut pen.group);
        assert_eq!(first.wait().unwrap_err().code, 1213);
        assert!(pen.group.is_none() && numbers(&pen).is_empty());
    }

    #[test]
    fn one_row_is_undone_with_the_others_or_needs_no_undoing() {
        let mut pen = pen();
        let first = insert(&mut pen, 1).unwrap();
        begin(&pen.conn, pen.group.as_mut(), Extent::OneRow).unwrap();
        pen.conn.execute("INSERT INTO t VALUES (1)", []).unwrap_err();
        undo(&pen.conn, &mut pen.group);
        assert!(first.outcome.get().is_none() && pen.group.is_some());
        begin(&pen.conn, pen.group.as_mut(), Extent::OneRow).unwrap();
        pen.conn.execute("INSERT INTO t VALUES (2)", []).unwrap();
        undo(&pen.conn, &mut pen.group);
        assert_eq!(first.wait().unwrap_err().code, 1213);
        assert!(numbers(&pen).is_empty());
    }

    #[test]
    fn all_are_told_if_the_pen_is_lost() {
        let mut pen = pen();
        let first = insert(&mut pen, 1).unwrap();
        let waiting = thread::spawn(move || first.wait());
        drop(pen);
        assert_eq!(waiting.join().unwrap().unwrap_err().code, 1213);
    }

    #[test]
    fn a_group_has_an_end() {
        let mut pen = pen();
        assert!(pen.takes_more());
        for n in 0..i64::from(MOST) {
            insert(&mut pen, n).unwrap();
        }
        assert!(!pen.takes_more());
    }
}
