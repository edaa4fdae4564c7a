//! Statements that read: SELECT and SHOW, each in the session's snapshot.
//!
//! A statement reads the transaction that is open, or begins one as in MySQL; what reads no table leaves none behind.
//! A SELECT that locks rows takes the turn to write first. Invariant: nothing here changes a row.

use std::sync::Arc;

use rusqlite::Connection;
use sqlparser::ast::Query;

use super::isolation::Next;
use super::readings::{counts_all, reads_no_table};
use super::transaction::{Desk, Mode, State};
use super::{ExecError, Session};
use crate::SqlError;
use crate::results::{Param, Sink};
use crate::sql::conditions;
use crate::sql::expression::Translator;
use crate::sql::locks::takes_locks;
use crate::sql::parse::Text;
use crate::sql::select::Compiled;
use crate::sql::show::Diagnostics;
use crate::sql::{output, show, titles};
use crate::storage::catalog::Catalog;

impl Desk {
    /// Ends a snapshot that only served one statement.
    pub fn rollback_reading(&self, state: &mut State) {
        if state.mode == Mode::Reading {
            // Only the snapshot ends: what the client has begun goes on.
            let _ = state.conn.execute_batch("ROLLBACK");
            state.mode = Mode::Idle;
        }
    }
}

impl Session {
    pub(super) fn query(
        &mut self,
        query: &Query,
        (text, params): (&str, &[Param]),
        sink: &mut dyn Sink,
    ) -> Result<(), ExecError> {
        let desk = Arc::clone(&self.desk);
        let mut state = desk.lock();
        let idle = state.mode == Mode::Idle;
        let level = || self.will_read_committed();
        let reads_committed = *state.reads_committed.get_or_insert_with(level);
        if takes_locks(query) {
            let wait = self.lock_wait();
            desk.write(&mut state, wait)?;
        } else {
            desk.read(&mut state)?;
        }
        conditions::begin();
        let result = self.select(&state, query, (text, params), sink);
        let noted = conditions::take();
        if reads_committed || (idle && reads_no_table(query)) {
            // As in MySQL, what reads no table begins no transaction; and the next statement reads what is committed then.
            desk.rollback_reading(&mut state);
        }
        self.close(&desk, &mut state, result.is_ok())?;
        self.next = Next::default();
        self.found_rows = result?;
        self.row_count = -1;
        let warnings = self.keep_noted(noted, query);
        let status = self.status_of(&state);
        Ok(sink.end(warnings, status)?)
    }

    fn select(
        &self,
        state: &State,
        query: &Query,
        (text, params): (&str, &[Param]),
        sink: &mut dyn Sink,
    ) -> Result<u64, ExecError> {
        let catalog = self.engine.store.catalog(&state.conn)?;
        let (mut compiled, binds) = self.compile(&state.conn, &catalog, query, params)?;
        titles::give(&mut compiled.columns, query, text);
        if query.limit_clause.is_none()
            && let Some(limit) = self.variables.select_limit()
        {
            compiled.sql += &format!(" LIMIT {limit}");
        }
        let sent = output::stream(&state.conn, &compiled, &binds, sink)?;
        let Some(all) = counts_all(query) else { return Ok(sent) };
        conditions::quietly(|| self.count_all(state, &catalog, all, params))
            .map(|found| found.unwrap_or(sent))
    }

    /// How many rows a query would have without its LIMIT.
    fn count_all(
        &self,
        state: &State,
        catalog: &Catalog,
        mut all: Query,
        params: &[Param],
    ) -> Result<Option<u64>, ExecError> {
        all.limit_clause = None;
        all.order_by = None;
        let (compiled, binds) = self.compile(&state.conn, catalog, &all, params)?;
        let sql = format!("SELECT count(*) FROM ({})", compiled.sql);
        let found: i64 = state
            .conn
            .query_row(&sql, rusqlite::params_from_iter(&binds), |row| row.get(0))
            .map_err(SqlError::from)?;
        Ok(u64::try_from(found).ok())
    }

    pub(super) fn compile(
        &self,
        conn: &Connection,
        catalog: &Catalog,
        query: &Query,
        params: &[Param],
    ) -> Result<(Compiled, Vec<rusqlite::types::Value>), SqlError> {
        let counted = counts_all(query);
        let query = counted.as_ref().unwrap_or(query);
        self.with_environment(conn, catalog, params, |env| {
            let mut translator = Translator::new(env);
            let compiled = translator.query(query, None)?;
            Ok((compiled, translator.binds))
        })
    }

    /// Reads in the transaction that is open; in none, in a snapshot that ends with the reading.
    pub(super) fn in_snapshot<T, E: From<SqlError>>(
        &self,
        read: impl FnOnce(&State) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut state = self.desk.lock();
        let idle = state.mode == Mode::Idle;
        self.desk.read(&mut state)?;
        let result = read(&state);
        if idle {
            self.desk.rollback_reading(&mut state);
        }
        result
    }

    pub(super) fn show(&mut self, text: &Text, sink: &mut dyn Sink) -> Result<(), ExecError> {
        self.found_rows = self.in_snapshot(|state| -> Result<u64, ExecError> {
            let catalog = self.engine.store.catalog(&state.conn)?;
            let left = Diagnostics {
                warnings: &self.warnings,
                unkept: self.unkept_warnings,
                error: self.failed.as_ref(),
            };
            let (compiled, binds) =
                self.with_environment(&state.conn, &catalog, &[], |env| show::translate(env, text, &left))?;
            output::stream(&state.conn, &compiled, &binds, sink)
        })?;
        let status = self.status();
        Ok(sink.end(0, status)?)
    }
}
