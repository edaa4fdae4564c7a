//! In which form a statement that writes goes to the log: by its rows, or by its text with what is sent along.
//!
//! Under ROW nothing here runs. Under STATEMENT the text is logged, with a note (1592) if it may do something else
//! elsewhere; under MIXED the text only if it may not. Either way the rows are known, for the log keeps beside a text
//! which rows it changed on this node. And the other way round: a statement of another node is run with what came with it.
//!
//! What is sent along: the default database, the time (NOW() does not differ), CONNECTION_ID(), the first automatic key,
//! LAST_INSERT_ID(), the seeds of RAND(), the user variables that the text names, [`SENT`], and with the transaction the
//! `server_id` where it began (which `@@server_id` gives, as in MariaDB). What is not, and so differs: UUID(), SYSDATE(), USER(), VERSION(),
//! FOUND_ROWS(), ROW_COUNT(), every other system variable (`@@port`), and which rows a LIMIT or another order of the rows takes. Invariant: a statement that failed is not logged in either form.

use std::sync::Arc;

use sqlparser::ast::Statement;

use super::Session;
use super::surroundings::Around;
use super::transaction::State;
use crate::SqlError;
use crate::change::{BinlogFormat, Context, Query, UserVariable};
use crate::results::Param;
use crate::sql::conditions;
use crate::sql::dml::{Outcome, Work};
use crate::sql::expression::Environment;
use crate::sql::from::table_name;
use crate::sql::parse::Text;
use crate::sql::pending::{Changes, Mark};
use crate::sql::safety::{References, SENT, written};
use crate::sql::temporal::DateTime;
use crate::sql::with_values;

/// How the message of an error begins that a statement of another node met here.
pub const ON_QUERY: &str = "Error '";

/// A statement that may be logged by its text.
pub(super) struct Speech {
    sql: String,
    references: References,
    always: bool,
    users: Vec<UserVariable>,
    variables: Vec<(Box<str>, Box<str>)>,
}

impl Session {
    /// What is needed to log a statement by its text; none where only its rows are logged.
    pub(super) fn speech(&self, raw: &str, params: &[Param]) -> Result<Option<Speech>, SqlError> {
        let format = self.variables.binlog_format();
        if format == BinlogFormat::Row || !self.variables.is_on("sql_log_bin") {
            return Ok(None);
        }
        let sql = with_values(raw, params)?;
        let references = References::of(&Text::new(sql.as_bytes())?);
        let user = |name: &String| {
            let (value, kind) = self.variables.user(name)?;
            Some(UserVariable { name: name.as_str().into(), value, kind })
        };
        let users = references.users.iter().filter_map(user).collect();
        let variable = |name: &str| Ok((name.into(), self.variables.get(name)?.into()));
        let variables = SENT.iter().map(|name| variable(name)).collect::<Result<_, SqlError>>()?;
        Ok(Some(Speech { sql, references, always: format == BinlogFormat::Statement, users, variables }))
    }

    /// Runs a statement that writes rows, in the open write transaction: wholly or not at all.
    pub(super) fn write_rows(
        &self,
        state: &mut State,
        statement: &Statement,
        (database, params, logged): (&str, &[Param], bool),
        speech: Option<Speech>,
    ) -> Result<Outcome, SqlError> {
        let catalog = self.engine.store.catalog(&state.conn)?;
        let facts = self.facts();
        // Another node's statement is part of a transaction that its applier ends.
        let alone = self.replayed.is_none() && self.stands_alone(state);
        state.atomically(alone, |state| {
            let State { conn, changes, .. } = state;
            let env = Environment {
                catalog: &catalog,
                database,
                variables: &self.variables,
                params,
                facts: &facts,
                locked: self.table_lock.as_ref().map(|lock| &lock.locked),
                server: &Around { session: self, conn },
            };
            let mark = changes.mark();
            let mut work = Work {
                conn,
                env: &env,
                changes: logged.then_some(&mut *changes),
                found_rows: self.client_found_rows,
                stopped: self.desk.stopped(),
            };
            conditions::begin_writing(self.refuses(statement));
            let outcome = match statement {
                Statement::Insert(insert) => work.insert(insert),
                Statement::Update(update) => work.update(update),
                Statement::Delete(delete) => work.delete(delete),
                other => Err(SqlError::unsupported(other)),
            };
            let noted = conditions::take();
            let mut outcome = outcome?;
            noted.refusal.clone().map_or(Ok(()), Err)?;
            outcome.note(self.counted(noted).list);
            if let Some(speech) = speech {
                speech.log(changes, mark, &env, statement, &mut outcome)?;
            }
            Ok(outcome)
        })
    }

    /// Runs a statement of another node with what came with it, on the rows that are here.
    pub(super) fn replay(&mut self, state: &mut State, query: &Query, origin: u32) -> Result<(), SqlError> {
        self.hear(&query.context, origin)?;
        let result = Text::new(query.sql.as_bytes())
            .and_then(|text| text.statement())
            .and_then(|statement| self.write_rows(state, &statement, (&query.database, &[], true), None));
        self.replayed = None;
        result.map(drop).map_err(|error| {
            let (database, sql) = (&query.database, &query.sql);
            let message = format!(
                "{ON_QUERY}{}' on query. Default database: '{database}'. Query: '{sql}'",
                error.message
            );
            SqlError { message, ..error }
        })
    }

    /// Takes over what came with a statement.
    fn hear(&mut self, context: &Context, origin: u32) -> Result<(), SqlError> {
        self.forget_replayed();
        self.variables.identify(origin, &self.engine.server_uuid);
        for (name, value) in &context.variables {
            if !SENT.contains(&&**name) {
                let message = format!(
                    "a statement comes with the variable '{name}', which this node does not take over"
                );
                return Err(SqlError::internal(message));
            }
            self.variables.set(name, false, value)?;
        }
        for UserVariable { name, value, kind } in &context.users {
            self.variables.set_user(name, value.clone(), *kind)?;
        }
        self.replayed = Some(context.clone());
        Ok(())
    }

    /// Back to this node's own variables, after statements of other nodes.
    pub(super) fn forget_replayed(&mut self) {
        self.variables.reset();
        self.variables.identify(self.engine.server_id, &self.engine.server_uuid);
        self.replayed = None;
    }
}

impl Speech {
    /// Lets the text stand for what the statement changed since the mark, if it is to, and notes what is unsafe.
    fn log(
        self,
        changes: &mut Changes,
        mark: Mark,
        env: &Environment<'_>,
        statement: &Statement,
        outcome: &mut Outcome,
    ) -> Result<(), SqlError> {
        let name = written(statement).ok_or_else(|| SqlError::unsupported(statement))?;
        let (database, table) = table_name(name, env.database)?;
        let table = Arc::clone(env.catalog.require(database, table)?);
        let reasons = self.references.reasons(statement, &table, env.facts.reads_tables.get());
        if !self.always && !reasons.is_empty() {
            return Ok(());
        }
        outcome.note(reasons.into_iter().map(|reason| reason.note()).collect());
        let facts = env.facts;
        let context = Context {
            now_us: facts.now.micros(),
            connection_id: facts.connection_id,
            insert_id: outcome.first_key,
            last_insert_id: self.references.last_insert_id.then_some(facts.last_insert_id),
            seeds: self.references.rand.then(|| facts.seeds.all()),
            users: self.users,
            variables: self.variables,
        };
        let table = (table.database.as_str().into(), table.name.as_str().into());
        changes.cover(mark, Query { database: env.database.into(), sql: self.sql.into(), table, context })
    }
}

/// The moment of a statement: that of its origin, that which the client has set, or now.
pub(super) fn moment(replayed: Option<&Context>, set_us: Option<i64>) -> DateTime {
    let given = replayed.map(|context| context.now_us).or(set_us);
    given.map_or_else(DateTime::now, DateTime::from_micros)
}
