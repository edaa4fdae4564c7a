//! One session's transaction: its connection, the changes that it will log, and its savepoints.
//!
//! The connection sits behind a mutex that a statement holds from its first to its last row. Between
//! statements another thread may take it to roll an idle write transaction back ([`Holder::evict`]), and SQLite
//! itself may give one up. The session learns of it at its next statement (1213, which to a client means that
//! everything is undone), and nothing is read or written until the client has ended what it takes for its
//! transaction. Whether it is lost is asked under the very guard that does the work.
//!
//! Invariant: the writer lock is held exactly while SQLite's transaction is a writing one, no change is in
//! the list that SQLite has rolled back, and no COMMIT of a lost transaction is answered with OK unless its loss
//! was told before.

mod turn;

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, InterruptHandle};

use super::Log;
use crate::SqlError;
use crate::sql::pending::{Changes, Mark, Pending};
use crate::storage::Store;
use crate::storage::pen::{self, Group};
use crate::storage::read_lock::Pass;
use crate::storage::relay::Relay;
use crate::storage::writer_lock::{Extent, Holder, deadlock};

/// What SQLite's transaction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// There is none.
    Idle,
    /// A snapshot.
    Reading,
    /// The writer, with this ticket of the writer lock.
    Writing(u64),
}

/// Whether the client's transaction was rolled back without its doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lost {
    No,
    /// It was, and no statement has failed for it yet.
    Untold,
    /// It was, and the client has been told.
    Told,
}

/// The connection and everything that must change together with it.
pub struct State {
    /// The session's own connection, or the pen while its transaction is the writer.
    pub conn: Connection,
    /// The session's own connection while it has the pen.
    own: Option<Connection>,
    /// What others have handed in and this session may commit with its own.
    group: Option<Group>,
    /// How much the transaction was to write, if it is the writer.
    extent: Extent,
    /// The turn to write as it comes from the session before and goes to the next, where one thread writes for many.
    pub relay: Option<Relay>,
    /// What SQLite's transaction is.
    pub mode: Mode,
    /// Whether the client began a transaction in so many words.
    pub begun: bool,
    /// Whether it began it READ ONLY.
    pub read_only: bool,
    /// Whether each statement reads what is committed then; none before the transaction has begun.
    pub reads_committed: Option<bool>,
    /// What will be logged.
    pub changes: Changes,
    /// SQLite's count of changed rows when the transaction became the writer.
    count_before: u64,
    /// They are SQLite's while the transaction is the writer, and only noted before: SQLite would lose them with the
    /// snapshot, and who has written nothing must not keep others from writing.
    savepoints: Vec<(String, Mark)>,
    lost: Lost,
}

/// The state behind its mutex.
pub struct Desk {
    state: Mutex<State>,
    store: Arc<Store>,
    /// Of the connection that the session works with.
    interrupt: Mutex<InterruptHandle>,
    stopped: Arc<AtomicBool>,
    /// The commit that all of the statement's answer is about; 0 if it may be about what others committed.
    told: AtomicU64,
}

impl Desk {
    /// A desk with a new connection.
    pub fn new(store: &Arc<Store>) -> Result<Arc<Desk>, SqlError> {
        let mut conn = store.connect_session()?;
        let stopped = Arc::new(AtomicBool::new(false));
        turn::heed(&mut conn, &stopped)?;
        let interrupt = Mutex::new(conn.get_interrupt_handle());
        let state = State {
            conn,
            own: None,
            group: None,
            extent: Extent::Unknown,
            relay: None,
            mode: Mode::Idle,
            begun: false,
            read_only: false,
            reads_committed: None,
            changes: Changes::default(),
            count_before: 0,
            savepoints: Vec::new(),
            lost: Lost::No,
        };
        Ok(Arc::new(Desk {
            state: Mutex::new(state),
            store: Arc::clone(store),
            interrupt,
            stopped,
            told: AtomicU64::new(0),
        }))
    }

    /// Takes the connection for a statement.
    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notices that SQLite has rolled everything back by itself (interrupted, disk full).
    pub fn notice_loss(&self, state: &mut State) {
        if state.mode != Mode::Idle && state.conn.is_autocommit() {
            self.finish(state);
            state.lost = Lost::Untold;
        }
    }

    /// Refuses to go on in a transaction that is lost, until the client has ended it.
    pub fn check_lost(&self, state: &mut State) -> Result<(), SqlError> {
        self.notice_loss(state);
        if state.lost == Lost::No {
            return Ok(());
        }
        state.lost = Lost::Told;
        Err(deadlock())
    }

    /// Makes sure that there is a snapshot at least.
    pub fn read(&self, state: &mut State) -> Result<(), SqlError> {
        self.check_lost(state)?;
        self.tells();
        if state.mode == Mode::Idle {
            state.conn.prepare_cached("BEGIN")?.execute([])?;
            state.mode = Mode::Reading;
        }
        Ok(())
    }

    /// Commits; changes are logged in the same SQLite transaction. If the transaction is lost and the client does
    /// not know, it fails, and what follows fails too until the client has ended the transaction.
    pub fn commit(&self, state: &mut State, log: &dyn Log, server_id: u32) -> Result<(), SqlError> {
        self.notice_loss(state);
        if state.lost == Lost::Untold {
            state.lost = Lost::Told;
            return Err(deadlock());
        }
        state.lost = Lost::No;
        let result = match state.mode {
            Mode::Idle => Ok(()),
            Mode::Reading => state
                .conn
                .prepare_cached("COMMIT")
                .and_then(|mut s| s.execute([]))
                .map(|_| ())
                .map_err(SqlError::from),
            Mode::Writing(_) => self.log_and_commit(state, log, server_id),
        };
        if result.is_err() {
            self.rollback(state);
            return result;
        }
        self.finish(state);
        Ok(())
    }

    fn log_and_commit(&self, state: &mut State, log: &dyn Log, server_id: u32) -> Result<(), SqlError> {
        let pending = state.changes.take_pending();
        if let Some(Pending { body, touched }) = &pending
            && log.append(&state.conn, None, server_id, now_ms(), body)?.is_some()
        {
            log.touched(&state.conn, touched)?;
        }
        if let Some(commit) = self.hand_in(state)? {
            self.told.store(commit, Ordering::Relaxed);
            if pending.is_some() {
                log.committed();
            }
        }
        Ok(())
    }

    /// Rolls back; whatever state SQLite is in, there is no transaction afterwards, and none that was lost.
    pub fn rollback(&self, state: &mut State) {
        let _ = self.undo(state);
    }

    /// The same where an error is told afterwards. 1213 if that error may be about rows of others that have come to nothing.
    pub fn undo(&self, state: &mut State) -> Result<(), SqlError> {
        state.lost = Lost::No;
        let undone = self.undo_turn(state);
        pen::roll_back(&state.conn);
        self.finish(state);
        undone
    }

    fn finish(&self, state: &mut State) {
        if let Mode::Writing(ticket) = state.mode {
            // SQLite has undone everything, and those who had handed in are told
            let _ = self.put_down(state, ticket);
        }
        state.mode = Mode::Idle;
        state.begun = false;
        state.read_only = false;
        state.reads_committed = None;
        state.changes.take();
        state.savepoints.clear();
    }

    /// Something begins to look at what is committed: what the client will be told is not known yet.
    pub fn tells(&self) {
        self.told.store(0, Ordering::Relaxed);
    }

    /// Waits until all that the session can tell its client is on the disk.
    pub fn wait_for_disk(&self) -> io::Result<()> {
        let disk = &self.store.disk;
        match self.told.load(Ordering::Relaxed) {
            0 => disk.wait(disk.visible()),
            commit => disk.wait(commit),
        }
    }

    /// Ends the running statement of the session with error 1317.
    pub fn stop_statement(&self) {
        // SQLite ends what it runs itself; a statement that goes row by row looks at the mark.
        self.stopped.store(true, Ordering::Relaxed);
        // Held while it works: the pen does not go on meanwhile, so that nobody else is interrupted.
        self.interrupt.lock().unwrap_or_else(PoisonError::into_inner).interrupt();
    }

    /// A new statement begins: what was to end the one before does not end this one.
    pub fn begin_statement(&self) {
        self.stopped.store(false, Ordering::Relaxed);
    }

    /// The mark that [`Desk::stop_statement`] sets.
    pub fn stopped(&self) -> &AtomicBool {
        &self.stopped
    }
}

impl Holder for Desk {
    fn evict(&self, ticket: u64) -> bool {
        let mut state = match self.state.try_lock() {
            Ok(state) => state,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return false,
        };
        if state.mode != Mode::Writing(ticket) {
            return false;
        }
        self.rollback(&mut state);
        state.lost = Lost::Untold;
        true
    }

    fn interrupt(&self) {
        self.stop_statement();
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }
}

impl State {
    /// Whether the transaction has changed any row, logged or not; also one that was changed back.
    #[must_use]
    pub fn has_written(&self) -> bool {
        matches!(self.mode, Mode::Writing(_)) && self.conn.total_changes() != self.count_before
    }

    /// Leave to write lasts until what was written is committed. True if that is not done yet.
    pub fn keep_leave(&mut self, leave: Pass) -> bool {
        match self.relay.as_mut().filter(|relay| relay.fate.is_some()) {
            Some(relay) => {
                relay.leave = Some(leave);
                true
            }
            None => false,
        }
    }

    /// Whether the client has still to end a transaction that was rolled back without its doing.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.lost != Lost::No
    }

    /// Runs part of a statement so that it happens wholly or not at all. One that is `alone` in its transaction needs no
    /// savepoint: the caller rolls everything back if it fails.
    pub fn atomically<T>(
        &mut self,
        alone: bool,
        run: impl FnOnce(&mut State) -> Result<T, SqlError>,
    ) -> Result<T, SqlError> {
        if alone {
            return run(self);
        }
        let mark = self.changes.mark();
        self.conn.prepare_cached("SAVEPOINT _statement")?.execute([])?;
        let result = run(self);
        if result.is_err() {
            self.changes.cut(mark);
            // After an interrupt SQLite may have rolled everything back; then there is no savepoint left.
            if !self.conn.is_autocommit() {
                self.conn.prepare_cached("ROLLBACK TO _statement")?.execute([])?;
            }
        }
        if !self.conn.is_autocommit() {
            self.conn.prepare_cached("RELEASE _statement")?.execute([])?;
        }
        result
    }

    fn savepoint_sql(at: usize) -> String {
        format!("\"_savepoint_{at}\"")
    }

    fn find(&self, name: &str) -> Result<usize, SqlError> {
        self.savepoints
            .iter()
            .rposition(|(known, _)| known.eq_ignore_ascii_case(name))
            .ok_or_else(|| SqlError::new(1305, "42000", format!("SAVEPOINT {name} does not exist")))
    }

    fn writes(&self) -> bool {
        matches!(self.mode, Mode::Writing(_))
    }

    /// Sets the savepoints that were noted before the transaction became the writer.
    fn set_noted(&mut self) -> Result<(), SqlError> {
        for at in 0..self.savepoints.len() {
            self.conn.execute_batch(&format!("SAVEPOINT {}", State::savepoint_sql(at)))?;
        }
        Ok(())
    }

    /// SAVEPOINT: one of the same name is replaced.
    pub fn set_savepoint(&mut self, name: &str) -> Result<(), SqlError> {
        let at = self.savepoints.len();
        if self.writes() {
            self.conn.execute_batch(&format!("SAVEPOINT {}", State::savepoint_sql(at)))?;
        }
        for (known, _) in &mut self.savepoints {
            if known.eq_ignore_ascii_case(name) {
                known.clear();
            }
        }
        self.savepoints.push((name.to_owned(), self.changes.mark()));
        Ok(())
    }

    /// ROLLBACK TO SAVEPOINT.
    pub fn rollback_to(&mut self, name: &str) -> Result<(), SqlError> {
        let at = self.find(name)?;
        if self.writes() {
            self.conn.execute_batch(&format!("ROLLBACK TO {}", State::savepoint_sql(at)))?;
        }
        self.changes.cut(self.savepoints[at].1);
        self.savepoints.truncate(at + 1);
        Ok(())
    }

    /// RELEASE SAVEPOINT.
    pub fn release(&mut self, name: &str) -> Result<(), SqlError> {
        let at = self.find(name)?;
        if self.writes() {
            self.conn.execute_batch(&format!("RELEASE {}", State::savepoint_sql(at)))?;
        }
        self.savepoints.truncate(at);
        Ok(())
    }
}

/// Now, in milliseconds since 1970.
#[must_use]
pub fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
