//! The session's side of accounts: who its client is, and the statements that change accounts.
//!
//! Such a statement is a transaction of its own, like a definition: it commits what was open, changes the accounts, and is
//! logged as it is kept, never as it was typed. What all sessions ask is renewed before it is answered.

use std::sync::Arc;

use rusqlite::Connection;

use super::transaction::{Mode, State, now_ms};
use super::{Answer, ExecError, Session};
use crate::SqlError;
use crate::accounts::password::SALT_BYTES;
use crate::accounts::privileges::Privilege;
use crate::accounts::rights::{Client, Rights};
use crate::accounts::statements::{self, Object, Place, Statement};
use crate::accounts::{changes, views};
use crate::change::Body;
use crate::results::Sink;
use crate::sql::dml::Outcome;
use crate::sql::parse::Text;
use crate::tls::Agreed;

impl Session {
    /// From now on this is the session of a client, and may do what its account may.
    pub fn log_in(&mut self, client: Client, tls: Option<Agreed>) {
        self.tls = tls;
        self.client = Some(Arc::new(client));
    }

    /// What the session may do, as the accounts say now.
    #[must_use]
    pub fn rights(&self) -> Rights {
        match &self.client {
            None => Rights::node(),
            Some(client) => {
                let account = self.engine.accounts.roster().get(&client.account).cloned();
                Rights::of(Arc::clone(client), account)
            }
        }
    }

    /// Runs a statement about accounts.
    pub(super) fn about_accounts(&mut self, raw: &str, sink: &mut dyn Sink) -> Result<(), ExecError> {
        let rights = self.rights();
        let place = Place { current_user: rights.current_user(), database: &self.database };
        let statement = statements::read(raw, &place)?;
        changes::check(&statement, &rights)?;
        let accounts = Arc::clone(&self.engine.accounts);
        if let Statement::ShowGrants(name) | Statement::ShowCreate(name) = &statement
            && *name == rights.current_user()
            && !accounts.roster().contains_key(name)
        {
            // Dropped while it is logged in; another account that answers to its name is not its own.
            return Err(views::no_grant(name).into());
        }
        match &statement {
            Statement::ShowGrants(name) => self.answer(views::grants(&accounts.roster(), name)?, sink),
            Statement::ShowCreate(name) => {
                self.answer(views::create_user(&accounts.roster(), name, &rights)?, sink)
            }
            Statement::FlushPrivileges => {
                accounts.remembered.clear();
                accounts.reload(&self.engine.store.connect()?)?;
                self.answer(Answer::Ok, sink)
            }
            _ => {
                let outcome = self.change_accounts(statement)?;
                self.done(&outcome, sink)
            }
        }
    }

    fn change_accounts(&mut self, mut statement: Statement) -> Result<Outcome, SqlError> {
        let desk = Arc::clone(&self.desk);
        let mut state = desk.lock();
        self.refuse_read_only(&state)?;
        let _leave = self.leave_to_write(&state)?;
        desk.check_lost(&mut state)?;
        desk.commit(&mut state, self.engine.log.as_ref(), self.engine.server_id)?;
        desk.write(&mut state, self.lock_wait())?;
        let result = self.change_accounts_in(&mut state, &mut statement);
        match result {
            Ok(warnings) => {
                desk.commit(&mut state, self.engine.log.as_ref(), self.engine.server_id)?;
                self.engine.log.committed();
                self.engine.accounts.reload(&state.conn)?;
                Ok(Outcome { warnings, ..Outcome::default() })
            }
            Err(error) => {
                desk.rollback(&mut state);
                Err(error)
            }
        }
    }

    fn change_accounts_in(
        &self,
        state: &mut State,
        statement: &mut Statement,
    ) -> Result<Vec<SqlError>, SqlError> {
        debug_assert!(matches!(state.mode, Mode::Writing(_)));
        let roster = self.engine.accounts.read(&state.conn)?;
        let conn = &state.conn;
        changes::leave_configured(statement, &roster)?;
        self.grants_on_what_there_is(conn, statement)?;
        statement.settle(&roster, &mut || {
            let bytes: [u8; SALT_BYTES] = conn.query_row("SELECT randomblob(20)", [], |row| row.get(0))?;
            Ok(bytes)
        })?;
        let warnings = changes::run(&state.conn, roster, statement)?;
        if self.variables.is_on("sql_log_bin") {
            let body = Body::Statement { database: "".into(), sql: statement.to_string().into() };
            self.engine.log.append(&state.conn, None, self.engine.server_id, now_ms(), &body)?;
        }
        Ok(warnings)
    }

    /// Error 1146 for privileges on a table that there is not, unless CREATE is among them.
    fn grants_on_what_there_is(&self, conn: &Connection, statement: &Statement) -> Result<(), SqlError> {
        let Statement::Grant { privileges, on: Object::Table(database, table), .. } = statement else {
            return Ok(());
        };
        let rights = Rights::node();
        let shown = database == "mysql"
            && views::table(&self.engine.accounts.roster(), &rights, &table.to_ascii_lowercase()).is_some();
        if shown || privileges.has(Privilege::Create) {
            return Ok(());
        }
        self.engine.store.catalog(conn)?.require(database, table).map(drop)
    }

    /// Carries out a statement of the log if it is about accounts. Whoever commits it reloads the accounts.
    pub(super) fn apply_to_accounts(
        &self,
        state: &State,
        text: &Text,
        sql: &str,
    ) -> Option<Result<(), SqlError>> {
        if !is_about_accounts(text) {
            return None;
        }
        let place = Place { current_user: Rights::node().current_user(), database: "" };
        Some(statements::read(sql, &place).and_then(|statement| {
            let roster = self.engine.accounts.read(&state.conn)?;
            changes::run(&state.conn, roster, &statement).map(drop)
        }))
    }
}

/// Whether a statement is about accounts.
pub(super) fn is_about_accounts(text: &Text) -> bool {
    let words = text.words(3);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    statements::is_about_accounts(&words)
}
