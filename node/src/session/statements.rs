//! The way of a statement: recognised by its first words, parsed, run in the session's transaction, answered.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use sqlparser::ast::{Query, SetExpr, Statement};

use super::transaction::{Desk, Mode, State};
use super::{Answer, ExecError, Session, SessionView};
use crate::SqlError;
use crate::change::Body;
use crate::results::{Done, Param, Sink};
use crate::sql::calls::MAX_SLEEP_SECONDS;
use crate::sql::dml::{Changes, Outcome, Work};
use crate::sql::expression::{Environment, Facts, Translator};
use crate::sql::parse::Text;
use crate::sql::select::Compiled;
use crate::sql::temporal::DateTime;
use crate::sql::{output, show, table_statements};
use crate::storage::catalog::Catalog;
use crate::storage::writer_lock::Patience;

/// How soon a SLEEP notices that it is to end.
const SLEEP_POLL: Duration = Duration::from_millis(50);

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
    pub(super) fn facts(&self) -> Facts {
        Facts {
            now: DateTime::now(),
            zone_offset: self.variables.zone_offset(),
            connection_id: self.connection_id,
            user: self.user.clone(),
            last_insert_id: self.last_insert_id,
            row_count: self.row_count,
            found_rows: self.found_rows,
        }
    }

    /// How long the session waits for its turn to write, and may keep it idly. The lease is the node's affair: a
    /// client that is ready to wait for long does not make others wait for long.
    pub(super) fn lock_wait(&self) -> Patience {
        let seconds = |name| Duration::from_secs(self.variables.number(name).max(1));
        let wait = seconds("innodb_lock_wait_timeout");
        Patience { wait, lease: wait.min(seconds("global.innodb_lock_wait_timeout")) }
    }

    pub(super) fn run_text(
        &mut self,
        sql: &[u8],
        params: &[Param],
        sink: &mut dyn Sink,
    ) -> Result<(), ExecError> {
        let text = Text::new(sql)?;
        if text.is_empty() {
            return Err(SqlError::new(1065, "42000", "Query was empty").into());
        }
        let raw = String::from_utf8_lossy(sql);
        let raw = raw.trim().trim_end_matches(';').trim_end();
        let words = text.words(4);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        if let Some(answer) = self.administration(&words, raw)? {
            return self.answer(answer, sink);
        }
        match words.as_slice() {
            ["USE", ..] => {
                let name = text.solid().nth(1).map(ToString::to_string).unwrap_or_default();
                self.use_database(name.trim_matches('`'))?;
                self.done(&Outcome::default(), sink)
            }
            ["SET", ..] => {
                self.set_statement(&text, params)?;
                self.done(&Outcome::default(), sink)
            }
            ["BEGIN" | "START" | "COMMIT" | "ROLLBACK" | "SAVEPOINT" | "RELEASE", ..] => {
                self.control(&text, &words)?;
                self.done(&Outcome::default(), sink)
            }
            ["SHOW" | "DESCRIBE" | "DESC", ..] => self.show(&text, sink),
            ["EXPLAIN", next, ..]
                if !["SELECT", "INSERT", "UPDATE", "DELETE", "REPLACE", "WITH", "ANALYZE"].contains(next) =>
            {
                self.show(&text, sink)
            }
            // The parser takes these words for the table's name.
            ["UPDATE" | "DELETE", word @ ("IGNORE" | "LOW_PRIORITY" | "QUICK"), ..] => {
                Err(SqlError::unsupported(format_args!("{} {word}", words[0])).into())
            }
            ["SELECT", "SLEEP", ..] | ["DO", "SLEEP", ..] => self.sleep(&text, params, sink),
            ["LOCK" | "UNLOCK" | "EXPLAIN" | "GRANT" | "REVOKE" | "CALL" | "LOAD" | "XA" | "HANDLER", ..] => {
                Err(SqlError::unsupported(words[0]).into())
            }
            _ => {
                let statement = text.statement()?;
                self.run_statement(&statement, raw, params, sink)
            }
        }
    }

    /// Offers a statement to replication and the server.
    fn administration(&mut self, words: &[&str], raw: &str) -> Result<Option<Answer>, ExecError> {
        let offered = match words {
            ["START", "TRANSACTION", ..] => false,
            ["CHANGE" | "START" | "STOP" | "RESET" | "PURGE" | "FLUSH" | "KILL" | "SHUTDOWN", ..] => true,
            ["SHOW", next, ..] => {
                !matches!(*next, "TABLES" | "CREATE" | "COLUMNS" | "VARIABLES" | "DATABASES")
            }
            ["SELECT", "WAIT_FOR_EXECUTED_GTID_SET" | "MASTER_POS_WAIT" | "SOURCE_POS_WAIT", ..] => true,
            ["SELECT", next, ..] => next.starts_with("GTID_") || next.starts_with("EVENSUM_"),
            _ => false,
        };
        if !offered {
            return Ok(None);
        }
        let desk = Arc::clone(&self.desk);
        let mut state = desk.lock();
        let idle = state.mode == Mode::Idle;
        // SHOW reads in a snapshot; whatever waits or writes must not sit in one.
        if words.first() == Some(&"SHOW") {
            desk.read(&mut state)?;
        } else if matches!(state.mode, Mode::Writing(_)) && waits_or_commits(words) {
            // All others would wait for this transaction as long as this statement waits.
            let message = "Can't execute the given command because you have active locked tables or an active transaction";
            return Err(SqlError::new(1192, "HY000", message).into());
        }
        let catalog = self.engine.store.catalog(&state.conn)?;
        let view = SessionView {
            conn: &state.conn,
            database: &self.database,
            variables: &self.variables,
            catalog: &catalog,
            connection_id: self.connection_id,
            user: &self.user,
        };
        let answer = self.engine.admin.run(&view, raw).transpose();
        if idle {
            desk.rollback_reading(&mut state);
        }
        Ok(answer?)
    }

    fn answer(&mut self, answer: Answer, sink: &mut dyn Sink) -> Result<(), ExecError> {
        match answer {
            Answer::Ok => self.done(&Outcome::default(), sink),
            Answer::Table { columns, rows } => {
                self.found_rows = output::stream_rows(&columns, &rows, sink)?;
                Ok(sink.end(0, self.status())?)
            }
        }
    }

    /// Answers a statement that has no rows.
    pub(super) fn done(&mut self, outcome: &Outcome, sink: &mut dyn Sink) -> Result<(), ExecError> {
        if let Some(id) = outcome.last_insert_id {
            self.last_insert_id = id;
        }
        self.row_count = i64::try_from(outcome.affected).unwrap_or(i64::MAX);
        self.warnings.clone_from(&outcome.warnings);
        let done = Done {
            affected_rows: outcome.affected,
            last_insert_id: outcome.last_insert_id.unwrap_or(0),
            warnings: u16::try_from(self.warnings.len()).unwrap_or(u16::MAX),
            info: outcome.info.clone(),
        };
        Ok(sink.ok(&done, self.status())?)
    }

    pub(super) fn run_statement(
        &mut self,
        statement: &Statement,
        raw: &str,
        params: &[Param],
        sink: &mut dyn Sink,
    ) -> Result<(), ExecError> {
        match statement {
            Statement::Query(query) => self.query(query, params, sink),
            Statement::Insert(_) | Statement::Update(_) | Statement::Delete(_) => {
                let outcome = self.change(statement, params)?;
                self.done(&outcome, sink)
            }
            definition if table_statements::defines_data(definition) => {
                let outcome = self.define(definition, raw)?;
                self.done(&outcome, sink)
            }
            other => {
                let text = other.to_string();
                let first = text.split_whitespace().next().unwrap_or_default().to_owned();
                Err(SqlError::unsupported(first).into())
            }
        }
    }

    /// Translates with what the session knows, in the current snapshot.
    pub(super) fn with_environment<T>(
        &self,
        catalog: &Catalog,
        params: &[Param],
        run: impl FnOnce(&Environment<'_>) -> T,
    ) -> T {
        let facts = self.facts();
        run(&Environment {
            catalog,
            database: &self.database,
            variables: &self.variables,
            params,
            facts: &facts,
        })
    }

    fn query(&mut self, query: &Query, params: &[Param], sink: &mut dyn Sink) -> Result<(), ExecError> {
        let desk = Arc::clone(&self.desk);
        let mut state = desk.lock();
        if takes_locks(query) {
            let wait = self.lock_wait();
            desk.write(&mut state, wait)?;
        } else {
            desk.read(&mut state)?;
        }
        let result = self.select(&state, query, params, sink);
        self.close(&desk, &mut state, result.is_ok())?;
        self.found_rows = result?;
        self.row_count = -1;
        self.warnings.clear();
        let status = self.status_of(&state);
        Ok(sink.end(0, status)?)
    }

    fn select(
        &self,
        state: &State,
        query: &Query,
        params: &[Param],
        sink: &mut dyn Sink,
    ) -> Result<u64, ExecError> {
        let catalog = self.engine.store.catalog(&state.conn)?;
        let (compiled, binds) = self.compile(&catalog, query, params)?;
        output::stream(&state.conn, &compiled, &binds, sink)
    }

    pub(super) fn compile(
        &self,
        catalog: &Catalog,
        query: &Query,
        params: &[Param],
    ) -> Result<(Compiled, Vec<rusqlite::types::Value>), SqlError> {
        self.with_environment(catalog, params, |env| {
            let mut translator = Translator::new(env);
            let compiled = translator.query(query, None)?;
            Ok((compiled, translator.binds))
        })
    }

    /// Ends what the statement opened, unless a transaction goes on.
    pub(super) fn close(&self, desk: &Desk, state: &mut State, commit: bool) -> Result<(), SqlError> {
        if state.begun || !self.autocommit() {
            desk.notice_loss(state);
            return Ok(());
        }
        if commit {
            let result = desk.commit(state, self.engine.log.as_ref(), self.engine.server_id);
            if result.is_err() {
                // The statement stood alone: its own error says all, and nothing is left to end.
                desk.rollback(state);
            }
            return result;
        }
        desk.rollback(state);
        Ok(())
    }

    fn refuse_read_only(&self, state: &State) -> Result<(), SqlError> {
        if state.read_only {
            return Err(SqlError::new(1792, "25006", "Cannot execute statement in a READ ONLY transaction."));
        }
        if self.variables.is_on("read_only") {
            let message =
                "The MySQL server is running with the --read-only option so it cannot execute this statement";
            return Err(SqlError::new(1290, "HY000", message));
        }
        Ok(())
    }

    fn change(&mut self, statement: &Statement, params: &[Param]) -> Result<Outcome, SqlError> {
        let desk = Arc::clone(&self.desk);
        let mut state = desk.lock();
        self.refuse_read_only(&state)?;
        desk.write(&mut state, self.lock_wait())?;
        let result = self.change_in(&mut state, statement, params);
        let closed = self.close(&desk, &mut state, result.is_ok());
        let outcome = result?;
        closed?;
        Ok(outcome)
    }

    fn change_in(
        &self,
        state: &mut State,
        statement: &Statement,
        params: &[Param],
    ) -> Result<Outcome, SqlError> {
        let catalog = self.engine.store.catalog(&state.conn)?;
        let logged = self.variables.is_on("sql_log_bin");
        state.atomically(|state| {
            self.with_environment(&catalog, params, |env| {
                let State { conn, changes, .. } = state;
                let changes = logged.then_some(changes);
                let stopped = self.desk.stopped();
                let mut work = Work { conn, env, changes, found_rows: self.client_found_rows, stopped };
                match statement {
                    Statement::Insert(insert) => work.insert(insert),
                    Statement::Update(update) => work.update(update),
                    Statement::Delete(delete) => work.delete(delete),
                    other => Err(SqlError::unsupported(other)),
                }
            })
        })
    }

    /// Runs a definition: it commits what was open, and is a transaction of its own.
    fn define(&mut self, statement: &Statement, raw: &str) -> Result<Outcome, SqlError> {
        let desk = Arc::clone(&self.desk);
        let mut state = desk.lock();
        self.refuse_read_only(&state)?;
        desk.check_lost(&mut state)?;
        desk.commit(&mut state, self.engine.log.as_ref(), self.engine.server_id)?;
        desk.write(&mut state, self.lock_wait())?;
        let result = self.define_in(&mut state, statement, &self.database).and_then(|outcome| {
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
    ) -> Result<Outcome, SqlError> {
        let catalog = Catalog::read(&state.conn)?;
        let facts = self.facts();
        let env = Environment {
            catalog: &catalog,
            database,
            variables: &self.variables,
            params: &[],
            facts: &facts,
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

    fn show(&mut self, text: &Text, sink: &mut dyn Sink) -> Result<(), ExecError> {
        let desk = Arc::clone(&self.desk);
        let mut state = desk.lock();
        let idle = state.mode == Mode::Idle;
        desk.read(&mut state)?;
        let result = (|| -> Result<u64, ExecError> {
            let catalog = self.engine.store.catalog(&state.conn)?;
            let (compiled, binds) =
                self.with_environment(&catalog, &[], |env| show::translate(env, text, &self.warnings))?;
            output::stream(&state.conn, &compiled, &binds, sink)
        })();
        if idle {
            desk.rollback_reading(&mut state);
        }
        self.found_rows = result?;
        let status = self.status_of(&state);
        Ok(sink.end(0, status)?)
    }

    /// SELECT SLEEP(n): without the connection's mutex, so that an idle write transaction can still be evicted.
    fn sleep(&mut self, text: &Text, params: &[Param], sink: &mut dyn Sink) -> Result<(), ExecError> {
        use sqlparser::tokenizer::Token;
        let mut tokens = text.solid().skip(3);
        let seconds: Option<f64> = match tokens.next() {
            Some(Token::Number(number, _)) => number.parse().ok(),
            Some(Token::Placeholder(_)) => match params.first() {
                Some(Param::Int(n)) => n.to_string().parse().ok(),
                Some(Param::Uint(n)) => n.to_string().parse().ok(),
                Some(Param::Double(x)) => Some(*x),
                _ => None,
            },
            _ => None,
        };
        let seconds = seconds
            .filter(|s| *s >= 0.0)
            .ok_or_else(|| SqlError::new(1210, "HY000", "Incorrect arguments to sleep."))?;
        if (tokens.next(), tokens.next()) != (Some(&Token::RParen), None) {
            return Err(SqlError::unsupported("SLEEP beside anything else").into());
        }
        let until = Instant::now() + Duration::from_secs_f64(seconds.min(MAX_SLEEP_SECONDS));
        while let Some(left) = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
            std::thread::sleep(left.min(SLEEP_POLL));
            if self.desk.stopped().load(Ordering::Relaxed) {
                return Err(SqlError::new(1317, "70100", "Query execution was interrupted").into());
            }
        }
        if text.words(1) == ["DO"] {
            return self.done(&Outcome::default(), sink);
        }
        let columns = [crate::results::ColumnMeta::integer(&format!("SLEEP({seconds})"))];
        output::stream_rows(&columns, &[vec![rusqlite::types::Value::Integer(0)]], sink)?;
        Ok(sink.end(0, self.status())?)
    }
}

/// Whether a statement of administration waits for others, or changes what a transaction has no part in.
fn waits_or_commits(words: &[&str]) -> bool {
    match words {
        ["SELECT", call, ..] => !call.starts_with("GTID_") && !call.starts_with("EVENSUM_"),
        [first, ..] => !["KILL", "SHUTDOWN"].contains(first),
        [] => false,
    }
}

/// Whether a query says FOR UPDATE or FOR SHARE anywhere at its top.
fn takes_locks(query: &Query) -> bool {
    !query.locks.is_empty() || matches!(query.body.as_ref(), SetExpr::Query(inner) if takes_locks(inner))
}
