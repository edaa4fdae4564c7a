//! FLUSH TABLES, with and without READ LOCK, and how a write gets leave.
//!
//! The lock itself is `storage::read_lock`. A session that holds it writes no more itself (1223) and reads as before;
//! what it had open is committed first, as in MySQL. Not here: FLUSH of the logs.

use super::Session;
use super::transaction::{Mode, State};
use crate::SqlError;
use crate::storage::read_lock::Pass;
use std::time::Duration;

/// How long an applier waits for leave before it looks whether it has to end; it then asks again.
const APPLIER_WAIT: Duration = Duration::from_secs(1);

impl Session {
    /// `FLUSH [LOCAL | NO_WRITE_TO_BINLOG] TABLES [WITH READ LOCK]`, if it is that.
    pub(super) fn flush_tables(&mut self, words: &[String]) -> Option<Result<(), SqlError>> {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let rest = match words.as_slice() {
            ["FLUSH", "LOCAL" | "NO_WRITE_TO_BINLOG", "TABLES" | "TABLE", rest @ ..] => rest,
            ["FLUSH", "TABLES" | "TABLE", rest @ ..] => rest,
            _ => return None,
        };
        Some(match rest {
            // Nothing is kept open here that would have to be closed; what MySQL commits is committed.
            [] => self.end(true),
            ["WITH", "READ", "LOCK"] => self.hold_tables(),
            _ => Err(SqlError::unsupported("FLUSH TABLES of single tables")),
        })
    }

    fn hold_tables(&mut self) -> Result<(), SqlError> {
        if self.read_lock.is_some() {
            return Ok(());
        }
        if self.table_lock.is_some() {
            let message = "Can't execute the given command because you have active locked tables or an active transaction";
            return Err(SqlError::new(1192, "HY000", message));
        }
        self.end(true)?;
        let hold = self.engine.store.read_lock.hold(self.table_wait(), self.desk.stopped())?;
        self.read_lock = Some(hold);
        Ok(())
    }

    /// How long the session waits for tables that others hold.
    pub(super) fn table_wait(&self) -> Duration {
        if self.hurried {
            return Duration::ZERO;
        }
        Duration::from_secs(self.variables.number("lock_wait_timeout").max(1))
    }

    /// Leave to write, for one statement or one commit.
    pub(super) fn leave_to_write(&self, state: &State) -> Result<Pass, SqlError> {
        self.leave(is_the_writer(state))
    }

    /// Leave to write without a transaction of the session's own.
    pub(super) fn leave(&self, the_writer: bool) -> Result<Pass, SqlError> {
        if self.read_lock.is_some() {
            let message = "Can't execute the query because you have a conflicting read lock";
            return Err(SqlError::new(1223, "HY000", message));
        }
        self.engine.store.read_lock.pass(the_writer, self.table_wait(), self.desk.stopped())
    }

    /// Leave to apply a transaction of another node.
    pub(super) fn leave_to_apply(&self, state: &State) -> Result<Pass, SqlError> {
        let wait = if self.hurried { Duration::ZERO } else { APPLIER_WAIT };
        self.engine.store.read_lock.pass(is_the_writer(state), wait, self.desk.stopped())
    }

    /// Leave to commit what is open, if anything was written; else none is needed.
    pub(super) fn leave_to_commit(&self, state: &State) -> Result<Option<Pass>, SqlError> {
        if state.has_written() { self.leave_to_write(state).map(Some) } else { Ok(None) }
    }
}

/// Whether it has the turn to write, or is given it by the session before, whose leave lasts as long.
fn is_the_writer(state: &State) -> bool {
    let given = state.relay.as_ref().is_some_and(|relay| relay.ticket.is_some());
    given || matches!(state.mode, Mode::Writing(_))
}
