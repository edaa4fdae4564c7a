//! A statement that a session leaves with another thread to run: one short write that stands alone, where others write at the moment.
//!
//! To wait for the turn to write, to be woken for it, and to be woken again for the common commit costs more than such a statement. So where answers
//! do not wait for the disk the thread of the connection only parses it, and a thread that writes for many runs it (`server::scribe`).
//! Where they do, the disk decides, and the threads of connections wait for it together.
//!
//! Who runs it must not wait for one client while others have something to do. So an errand that is run in a hurry waits for no table, and
//! for its turn no longer than [`HURRY`]; it fails with 1205 and without a trace, and can be run again, with all the session's patience.
//!
//! Invariant: an errand does what the statement does in its own thread, and its answer is the same.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::time::Duration;

use sqlparser::ast::Statement;

use super::extent::extent_of_statement;
use super::transaction::Mode;
use super::{ExecError, Session};
use crate::SqlError;
use crate::results::{Param, Sink};
use crate::sql::parse::with_hint;
use crate::sql::targets::targets;
use crate::storage::pen::Fate;
use crate::storage::relay::{Kept, Relay};
use crate::storage::writer_lock::{Extent, lock_wait_timeout};

/// So long an errand that is run in a hurry waits for its turn to write.
pub const HURRY: Duration = Duration::from_millis(100);

/// A statement that is longer than this, with its values, is not left.
const MOST_BYTES: usize = 64 << 10;

/// When a session may leave a statement with another thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Leaves {
    /// It runs all statements itself.
    #[default]
    Never,
    /// Where it would have to wait for one that is short.
    Behind,
    /// Always: that thread is at work.
    Always,
}

/// The statement, and what the session knew before it.
pub struct Errand {
    statement: Arc<Statement>,
    raw: Arc<str>,
    params: Box<[Param]>,
    prepared: bool,
    last_insert_id: u64,
    row_count: i64,
}

/// How an errand ended that was run in a hurry.
pub struct Ran {
    /// What the statement said.
    pub outcome: Result<(), ExecError>,
    /// What that depends on.
    pub fate: Option<Arc<Fate>>,
}

impl Ran {
    /// Whether it is to be run again by who has time to wait; nothing has happened.
    #[must_use]
    pub fn has_to_wait(&self) -> bool {
        matches!(&self.outcome, Err(ExecError::Sql(error)) if error.code == lock_wait_timeout().code)
    }
}

impl Session {
    /// From now on the session may leave statements, which [`Session::errand`] then gives.
    pub fn may_leave(&mut self, when: Leaves) {
        self.leaves = when;
    }

    /// What the statement that was executed last has left; it has no answer yet.
    pub fn errand(&mut self) -> Option<Errand> {
        self.leaves = Leaves::Never;
        self.errand.take()
    }

    /// Leaves a statement with another thread if that may be, and else runs it.
    pub(super) fn leave_or_run(
        &mut self,
        statement: &Arc<Statement>,
        raw: &str,
        (params, prepared): (&[Param], bool),
        sink: &mut dyn Sink,
    ) -> Result<(), ExecError> {
        let bytes = raw.len() + params.iter().map(Param::bytes).sum::<usize>();
        let stays = self.leaves == Leaves::Never || bytes > MOST_BYTES;
        if stays || !self.is_simple() || !self.is_short(statement) {
            return self.run_statement(statement, raw, params, sink);
        }
        self.errand = Some(Errand {
            statement: Arc::clone(statement),
            raw: raw.into(),
            params: params.into(),
            prepared,
            last_insert_id: self.last_insert_id,
            row_count: self.row_count,
        });
        Ok(())
    }

    /// Whether what the session writes now depends on nothing that it holds, and others are on their way.
    fn is_simple(&self) -> bool {
        let store = &self.engine.store;
        if store.disk.is_durable() || (self.leaves == Leaves::Behind && !store.writer.is_moving()) {
            return false;
        }
        let state = self.desk.lock();
        state.mode == Mode::Idle
            && !state.is_lost()
            && self.stands_alone(&state)
            && self.read_lock.is_none()
            && self.table_lock.is_none()
            && self.replayed.is_none()
            && self.variables.insert_id().is_none()
    }

    fn is_short(&self, statement: &Statement) -> bool {
        matches!(statement, Statement::Insert(_) | Statement::Update(_) | Statement::Delete(_)) && {
            let table = self.known(&targets(statement, &self.database));
            extent_of_statement(statement, table.as_deref()) != Extent::Unknown
        }
    }

    /// Runs an errand in a hurry: in the turn that `kept` may have from the session before, which it leaves to the next if there are `more`.
    pub fn run_in_turn(&mut self, errand: &Errand, kept: &mut Kept, more: bool, sink: &mut dyn Sink) -> Ran {
        let relay = kept.relay(more);
        let (outcome, fate) = self.in_turn(relay, kept, |session| session.run_left(errand, sink));
        let ran = Ran { outcome, fate };
        if !ran.has_to_wait() {
            self.ended(&ran.outcome);
        }
        ran
    }

    /// Does something in a hurry, in the turn of the session before, and gives that back.
    pub(super) fn in_turn<T>(
        &mut self,
        relay: Relay,
        kept: &mut Kept,
        run: impl FnOnce(&mut Session) -> T,
    ) -> (T, Option<Arc<Fate>>) {
        self.hurried = true;
        self.desk.lock().relay = Some(relay);
        let done = catch_unwind(AssertUnwindSafe(|| run(self)));
        self.hurried = false;
        // also from what panics: it may have kept its turn
        let relay = self.desk.lock().relay.take().unwrap_or_default();
        let fate = kept.returned(relay);
        (done.unwrap_or_else(|panic| resume_unwind(panic)), fate)
    }

    /// Runs an errand with all the session's patience.
    pub fn run_patiently(&mut self, errand: &Errand, sink: &mut dyn Sink) -> Result<(), ExecError> {
        let outcome = self.until_readable(&mut |session| session.run_left(errand, sink));
        self.ended(&outcome);
        outcome
    }

    fn run_left(&mut self, errand: &Errand, sink: &mut dyn Sink) -> Result<(), ExecError> {
        let outcome = self.run_statement(&errand.statement, &errand.raw, &errand.params, sink);
        outcome.map_err(|error| match error {
            ExecError::Sql(error) if !errand.prepared => {
                ExecError::Sql(with_hint(error, errand.raw.as_bytes()))
            }
            error => error,
        })
    }

    /// What an errand did has come to nothing, with all that it would have been committed with.
    pub fn undone(&mut self, errand: &Errand, error: SqlError) -> ExecError {
        self.last_insert_id = errand.last_insert_id;
        self.row_count = errand.row_count;
        let outcome = Err(ExecError::Sql(error.clone()));
        self.ended(&outcome);
        ExecError::Sql(error)
    }
}
