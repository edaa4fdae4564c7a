//! Statements that write: of rows (INSERT, UPDATE, DELETE), and of tables (CREATE, ALTER, DROP).
//!
//! Each has its tables first, then the turn to write, then its entry in the log in the same transaction. A definition
//! commits what was open, and is a transaction of its own. Invariant: a node or transaction that is read only is asked
//! before anything is taken or changed. In which form a statement is logged is the affair of `logging`.

use std::sync::Arc;

use sqlparser::ast::Statement;

use super::Session;
use super::extent::extent_of_statement;
use super::isolation::Next;
use super::surroundings::Around;
use super::transaction::State;
use crate::SqlError;
use crate::accounts::gate;
use crate::change::Body;
use crate::results::Param;
use crate::sql::dml::{Changes, Outcome, Work};
use crate::sql::expression::{Environment, Facts};
use crate::sql::safe_updates;
use crate::sql::targets::targets;
use crate::storage::catalog::Catalog;
use crate::storage::definition::TableDef;
use crate::storage::table_locks::Target;
use crate::storage::writer_lock::{Extent, Patience};

impl Session {
    pub(super) fn refuse_read_only(&self, state: &State) -> Result<(), SqlError> {
        if state.read_only || (!state.begun && self.begins_read_only()) {
            return Err(SqlError::new(1792, "25006", "Cannot execute statement in a READ ONLY transaction."));
        }
        let option = match self.variables.is_on("read_only") {
            true if self.variables.is_on("super_read_only") => "--super-read-only",
            true if gate::write_in_spite_of_read_only(&self.rights()).is_err() => "--read-only",
            _ => return Ok(()),
        };
        let message = format!(
            "The MySQL server is running with the {option} option so it cannot execute this statement"
        );
        Err(SqlError::new(1290, "HY000", message))
    }

    pub(super) fn change(
        &mut self,
        statement: &Statement,
        raw: &str,
        params: &[Param],
    ) -> Result<Outcome, SqlError> {
        let speech = self.speech(raw, params)?;
        let desk = Arc::clone(&self.desk);
        let mut state = desk.lock();
        self.refuse_read_only(&state)?;
        let targets = targets(statement, &self.database);
        let extent = match self.stands_alone(&state) {
            true => extent_of_statement(statement, self.known(&targets).as_deref()),
            false => Extent::Unknown,
        };
        let patience = Patience { extent, ..self.lock_wait() };
        let leave = self.write_tables(&desk, &mut state, &|| targets.clone(), patience)?;
        let logged = self.variables.is_on("sql_log_bin");
        let result = self
            .refuse_unsafe(&state, statement)
            .and_then(|()| self.write_rows(&mut state, statement, (&self.database, params, logged), speech));
        let closed = self.close(&desk, &mut state, result.is_ok());
        self.next = Next::default();
        state.keep_leave(leave);
        closed?;
        let outcome = result?;
        if outcome.first_key.is_some() {
            self.variables.forget_insert_id();
        }
        Ok(outcome)
    }

    /// What `sql_safe_updates` refuses.
    fn refuse_unsafe(&self, state: &State, statement: &Statement) -> Result<(), SqlError> {
        if !self.variables.is_on("sql_safe_updates") {
            return Ok(());
        }
        let catalog = self.engine.store.catalog(&state.conn)?;
        safe_updates::check(statement, &self.database, &catalog)
    }

    /// The definition of the one table that is written, as it was read last.
    pub(super) fn known(&self, targets: &[Target]) -> Option<Arc<TableDef>> {
        match targets {
            [(database, Some(table))] => self.engine.store.known_table(database, table),
            _ => None,
        }
    }

    /// Runs a definition: it commits what was open, and is a transaction of its own.
    pub(super) fn define(&mut self, statement: &Statement, raw: &str) -> Result<Outcome, SqlError> {
        let desk = Arc::clone(&self.desk);
        let mut state = desk.lock();
        self.refuse_read_only(&state)?;
        let leave = self.leave_to_write(&state)?;
        desk.check_lost(&mut state)?;
        desk.commit(&mut state, self.engine.log.as_ref(), self.engine.server_id)?;
        drop(leave);
        let patience = self.lock_wait();
        let _leave =
            self.write_tables(&desk, &mut state, &|| targets(statement, &self.database), patience)?;
        let result = self.define_in(&mut state, statement, &self.database, false).and_then(|outcome| {
            if self.variables.is_on("sql_log_bin") {
                let body = Body::Statement { database: self.database.as_str().into(), sql: raw.into() };
                let at = super::transaction::now_ms();
                self.engine.log.append(&state.conn, None, self.engine.server_id, at, &body)?;
            }
            Ok(outcome)
        });
        match result {
            Ok(outcome) => {
                desk.commit(&mut state, self.engine.log.as_ref(), self.engine.server_id)?;
                self.engine.log.committed();
                drop(state);
                self.forget_dropped_database()?;
                Ok(outcome)
            }
            Err(error) => {
                desk.rollback(&mut state);
                Err(error)
            }
        }
    }

    /// Runs a definition inside the open write transaction.
    pub(super) fn define_in(
        &self,
        state: &mut State,
        statement: &Statement,
        database: &str,
        ran_elsewhere: bool,
    ) -> Result<Outcome, SqlError> {
        let catalog = Catalog::read(&state.conn)?;
        let facts = Facts { ran_elsewhere, ..self.facts() };
        let around = Around { session: self, conn: &state.conn };
        let env = Environment {
            catalog: &catalog,
            database,
            variables: &self.variables,
            params: &[],
            facts: &facts,
            locked: self.table_lock.as_ref().map(|lock| &lock.locked),
            server: &around,
        };
        let changes: Option<&mut Changes> = None;
        let stopped = self.desk.stopped();
        Work { conn: &state.conn, env: &env, changes, found_rows: false, stopped }.define(statement)
    }

    fn forget_dropped_database(&mut self) -> Result<(), SqlError> {
        if self.database.is_empty() {
            return Ok(());
        }
        let name = std::mem::take(&mut self.database);
        match self.use_database(&name) {
            Err(error) if error.code == 1049 => Ok(()),
            other => other,
        }
    }
}
