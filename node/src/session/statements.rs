//! The way of a statement: recognised by its first words, parsed, run in the session's transaction, answered.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;
use sqlparser::ast::Statement;

use super::accounts::is_about_accounts;
use super::errand::HURRY;
use super::logging;
use super::maintenance::maintains;
use super::readings::waits_or_commits;
use super::surroundings::Around;
use super::table_locks::switches_keys;
use super::transaction::{Desk, Mode, State};
use super::{Answer, ExecError, Session, SessionView};
use crate::SqlError;
use crate::accounts::gate;
use crate::results::{Done, Param, Sink};
use crate::sql::dml::Outcome;
use crate::sql::expression::{Environment, Facts};
use crate::sql::parse::Text;
use crate::sql::rand::Seeds;
use crate::sql::text_bytes::in_utf8;
use crate::sql::{output, table_statements};
use crate::storage::catalog::Catalog;
use crate::storage::writer_lock::{Extent, Patience};

/// What begins a statement that EXPLAIN tells the plan of.
const EXPLAINED: [&str; 6] = ["SELECT", "INSERT", "UPDATE", "DELETE", "REPLACE", "WITH"];
/// What behind EXPLAIN is neither such a statement nor a table.
const NOT_EXPLAINED: [&str; 7] = ["ALTER", "ANALYZE", "CREATE", "DROP", "EXTENDED", "FORMAT", "PARTITIONS"];

impl Session {
    pub(super) fn facts(&self) -> Facts {
        let replayed = self.replayed.as_ref();
        let last_insert_id = replayed.and_then(|context| context.last_insert_id);
        Facts {
            now: logging::moment(replayed, self.variables.timestamp_us()),
            zone_offset: self.variables.zone_offset(),
            connection_id: replayed.map_or(self.connection_id, |context| context.connection_id),
            user: self.user.clone(),
            last_insert_id: last_insert_id.unwrap_or(self.last_insert_id),
            rights: self.rights(),
            tls: self.tls.clone(),
            accounts: Arc::clone(&self.engine.accounts),
            row_count: self.row_count,
            left: self.left(),
            found_rows: self.found_rows,
            insert_id: replayed.map_or_else(|| self.variables.insert_id(), |context| context.insert_id),
            seeds: Seeds::given(replayed.and_then(|context| context.seeds)),
            ran_elsewhere: false,
            reads_tables: Cell::new(false),
        }
    }

    /// How long the session waits for its turn to write, and may keep it idly. The lease is the node's affair: a
    /// client that is ready to wait for long does not make others wait for long.
    pub(super) fn lock_wait(&self) -> Patience {
        let seconds = |name| Duration::from_secs(self.variables.number(name).max(1));
        let wait = seconds("innodb_lock_wait_timeout");
        Patience {
            wait: if self.hurried { wait.min(HURRY) } else { wait },
            lease: wait.min(seconds("global.innodb_lock_wait_timeout")),
            ahead: false,
            extent: Extent::Unknown,
        }
    }

    pub(super) fn run_text(
        &mut self,
        sql: &[u8],
        params: &[Param],
        sink: &mut dyn Sink,
    ) -> Result<(), ExecError> {
        self.tells();
        let text = Text::new(sql)?;
        if text.is_empty() {
            return match text.commented {
                // A comment for servers of another make or a later version: nothing to do, as in MySQL.
                true => self.done(&Outcome::default(), sink),
                false => Err(SqlError::new(1065, "42000", "Query was empty").into()),
            };
        }
        let raw = in_utf8(sql)?;
        let raw = raw.trim().trim_end_matches(';').trim_end();
        let words = text.words(4);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        self.counts(&words);
        gate::administration(&words, &text, &self.database, &self.rights())?;
        if is_about_accounts(&text) {
            return self.about_accounts(raw, sink);
        }
        if let Some(done) = self.flush_tables(&text.words(6)) {
            done?;
            return self.done(&Outcome::default(), sink);
        }
        if let Some(answer) = self.administration(&words, raw)? {
            return self.answer(answer, sink);
        }
        match words.as_slice() {
            ["USE", ..] => {
                self.use_statement(&text)?;
                self.done(&Outcome::default(), sink)
            }
            ["SET", ..] => {
                self.warnings.clear();
                self.set_statement(&text, params)?;
                let warnings = std::mem::take(&mut self.warnings);
                self.done(&Outcome { warnings, ..Outcome::default() }, sink)
            }
            ["BEGIN" | "START" | "COMMIT" | "ROLLBACK" | "SAVEPOINT" | "RELEASE", ..] => {
                self.control(&text, &words)?;
                self.done(&Outcome::default(), sink)
            }
            ["EXPLAIN" | "DESCRIBE" | "DESC", word, ..] if EXPLAINED.contains(word) => {
                self.explain(&text, params, sink)
            }
            ["EXPLAIN", word, ..] if NOT_EXPLAINED.contains(word) => {
                Err(SqlError::unsupported(format_args!("EXPLAIN {word}")).into())
            }
            ["SHOW" | "DESCRIBE" | "DESC" | "EXPLAIN", ..] => self.show(&text, sink),
            // The parser takes these words for the table's name.
            ["UPDATE" | "DELETE", word @ ("IGNORE" | "LOW_PRIORITY" | "QUICK"), ..] => {
                Err(SqlError::unsupported(format_args!("{} {word}", words[0])).into())
            }
            ["SELECT", "SLEEP", ..] | ["DO", "SLEEP", ..] => self.sleep(&text, params, sink),
            first if maintains(first) => self.maintain(&text, sink),
            ["LOCK", ..] | ["UNLOCK", "TABLES" | "TABLE"] => {
                let outcome = self.lock_or_unlock(&text)?;
                self.done(&outcome, sink)
            }
            ["ALTER", "TABLE", ..] if switches_keys(&text) => {
                let outcome = self.switch_keys(&text)?;
                self.done(&outcome, sink)
            }
            ["UNLOCK" | "CALL" | "LOAD" | "XA" | "HANDLER", ..] => {
                Err(SqlError::unsupported(words[0]).into())
            }
            _ => {
                let statement = Arc::new(text.statement()?);
                self.leave_or_run(&statement, raw, (params, false), sink)
            }
        }
    }

    fn use_statement(&mut self, text: &Text) -> Result<(), SqlError> {
        if text.solid().count() != 2 {
            return Err(SqlError::syntax("USE takes the name of one database"));
        }
        let name = text.solid().nth(1).map(ToString::to_string).unwrap_or_default();
        self.use_database(name.trim_matches('`'))
    }

    /// Offers a statement to replication and the server.
    fn administration(&mut self, words: &[&str], raw: &str) -> Result<Option<Answer>, ExecError> {
        let offered = match words {
            ["START", "TRANSACTION", ..] => false,
            [
                "CHANGE" | "CLONE" | "START" | "STOP" | "RESET" | "PURGE" | "FLUSH" | "KILL" | "SHUTDOWN",
                ..,
            ] => true,
            ["SHOW", next, ..] => {
                !matches!(*next, "TABLES" | "CREATE" | "COLUMNS" | "VARIABLES" | "DATABASES" | "PROCESSLIST")
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
            stopped: desk.stopped(),
            leave: &|| self.leave(false),
            holds_tables: self.read_lock.is_some(),
            rights: &self.rights(),
        };
        let answer = self.engine.admin.run(&view, raw).transpose();
        if idle {
            desk.rollback_reading(&mut state);
        }
        if words.first() == Some(&"CLONE") {
            // the copy has brought accounts
            self.engine.accounts.reload(&state.conn)?;
        }
        Ok(answer?)
    }

    pub(super) fn answer(&mut self, answer: Answer, sink: &mut dyn Sink) -> Result<(), ExecError> {
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
        let warnings = self.keep_warnings(outcome.warnings.clone());
        let done = Done {
            affected_rows: outcome.affected,
            last_insert_id: outcome.insert_id,
            warnings,
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
        gate::statement(statement, &self.database, &self.rights())?;
        match statement {
            Statement::Query(query) => self.query(query, (raw, params), sink),
            Statement::Insert(_) | Statement::Update(_) | Statement::Delete(_) => {
                let outcome = self.change(statement, raw, params)?;
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
        conn: &Connection,
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
            locked: self.table_lock.as_ref().map(|lock| &lock.locked),
            server: &Around { session: self, conn },
        })
    }

    /// Whether a statement that runs now is a transaction of its own: [`Session::close`] commits it or rolls it back.
    pub(super) fn stands_alone(&self, state: &State) -> bool {
        !state.begun && self.autocommit()
    }

    /// Ends what the statement opened, unless a transaction goes on. Its error counts more than one of the statement.
    pub(super) fn close(&self, desk: &Desk, state: &mut State, commit: bool) -> Result<(), SqlError> {
        if !self.stands_alone(state) {
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
        desk.undo(state)
    }
}
