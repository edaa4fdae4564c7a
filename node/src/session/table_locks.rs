//! LOCK TABLES and UNLOCK TABLES, and how a writer waits for tables that others have locked.
//!
//! Who waits does not keep his turn to write, unless he is in the middle of a transaction that has written: then he
//! waits for as long as for his turn, and fails with 1205. So a forgotten lock holds up who wants its tables, and
//! nobody else.
//!
//! A statement that reads a table which another session has locked for writing fails where the table's name is resolved, and leaves no
//! trace of itself, as any statement that fails. [`Session::until_readable`] then lets go of what the statement has taken, waits until
//! locks have changed, and runs it again, in a snapshot that is newer. Where nobody has locked a table that costs one look at a counter for
//! each table of a statement.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use sqlparser::dialect::MySqlDialect;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::Token;

use super::transaction::{Desk, Mode, State};
use super::{ExecError, Session};
use crate::SqlError;
use crate::sql::dml::Outcome;
use crate::sql::from::table_name;
use crate::sql::parse::{Text, expect_end, syntax};
use crate::storage::read_lock::Pass;
use crate::storage::table_locks::{Locked, Strength, TableName, Target};
use crate::storage::writer_lock::Patience;
use crate::storage::writer_lock::lock_wait_timeout;

/// How soon who waits for a table notices that he is to stop.
const STOP_POLL: Duration = Duration::from_millis(50);

/// Whether it is `ALTER TABLE t DISABLE KEYS` or `ENABLE KEYS`.
pub(super) fn switches_keys(text: &Text) -> bool {
    text.ends_with(&["DISABLE", "KEYS"]) || text.ends_with(&["ENABLE", "KEYS"])
}

/// What a session meets of other sessions' locks.
#[derive(Default)]
pub(super) struct Meets {
    /// The statement met a table that it may not read now.
    hidden: Cell<bool>,
    /// It is translated and not run.
    only_looking: Cell<bool>,
    /// It is run for the second time.
    again: bool,
    /// Tells whether the client has hung up.
    hung_up: Option<Box<dyn Fn() -> bool + Send>>,
}

impl Session {
    /// Lets the session notice, while it waits for tables, that its client is gone.
    pub fn watch(&mut self, hung_up: Box<dyn Fn() -> bool + Send>) {
        self.meets.hung_up = Some(hung_up);
    }

    /// Refuses to read a table that another session has locked for writing. As if it had waited in vain: what cannot be run again waits
    /// no longer.
    pub(super) fn readable(&self, database: &str, table: &str) -> Result<(), SqlError> {
        let locks = &self.engine.store.table_locks;
        if self.meets.only_looking.get() || !locks.hides(self.table_lock.as_ref(), database, table) {
            return Ok(());
        }
        self.meets.hidden.set(true);
        Err(lock_wait_timeout())
    }

    /// Translates something that is not to be run: locks are no matter.
    pub(super) fn only_looking<T>(&self, look: impl FnOnce(&Session) -> T) -> T {
        self.meets.only_looking.set(true);
        let seen = look(self);
        self.meets.only_looking.set(false);
        seen
    }

    /// Counts a statement, once however often it is run.
    pub(super) fn counts(&self, words: &[&str]) {
        if !self.meets.again {
            self.counters.command(words);
            self.engine.counters.command(words);
        }
    }

    /// Runs a statement, and again for as long as it meets a table that another session has locked for writing; 1205 after
    /// `lock_wait_timeout`. A transaction that has written keeps its turn to write meanwhile, and so waits no longer than for that.
    pub(super) fn until_readable(
        &mut self,
        run: &mut dyn FnMut(&mut Session) -> Result<(), ExecError>,
    ) -> Result<(), ExecError> {
        let before = self.desk.lock().mode;
        let next = self.next;
        let mut deadline = None;
        let outcome = loop {
            self.meets.hidden.set(false);
            let outcome = run(self);
            let waits =
                matches!(&outcome, Err(ExecError::Sql(error)) if error.code == lock_wait_timeout().code);
            if !waits || !self.meets.hidden.get() {
                break outcome;
            }
            self.next = next;
            self.let_go(before);
            let wait =
                if matches!(before, Mode::Writing(_)) { self.lock_wait().wait } else { self.table_wait() };
            let deadline = *deadline.get_or_insert_with(|| Instant::now() + wait);
            if let Err(error) = self.await_tables(deadline) {
                break Err(error.into());
            }
            self.meets.again = true;
        };
        self.meets.again = false;
        outcome
    }

    /// Gives back what a statement that is to be run again has taken since the session was like this.
    fn let_go(&self, before: Mode) {
        let mut state = self.desk.lock();
        match (before, state.mode) {
            (Mode::Writing(_), _) => {}
            (_, Mode::Writing(_)) => self.desk.step_back(&mut state),
            (Mode::Idle, _) => self.desk.rollback_reading(&mut state),
            (Mode::Reading, _) => {}
        }
    }

    /// LOCK TABLES or UNLOCK TABLES.
    pub(super) fn lock_or_unlock(&mut self, text: &Text) -> Result<Outcome, SqlError> {
        if text.words(1) == ["LOCK"] {
            self.lock_tables(text)?;
        } else {
            expect_end(&mut text.parser(&MySqlDialect {}, 2))?;
            self.unlock_tables()?;
        }
        Ok(Outcome::default())
    }

    /// `LOCK TABLES a READ [LOCAL], b AS x [LOW_PRIORITY] WRITE`: commits what is open, gives back what was locked.
    fn lock_tables(&mut self, text: &Text) -> Result<(), SqlError> {
        let wanted = self.tables_to_lock(text)?;
        self.end(true)?;
        self.table_lock = None;
        let deadline = Instant::now() + self.table_wait();
        let desk = Arc::clone(&self.desk);
        loop {
            let mut state = desk.lock();
            // While this session has its turn, what others have written is committed, and nobody writes.
            desk.write(&mut state, self.lock_wait())?;
            let known = self.engine.store.catalog(&state.conn).and_then(|catalog| {
                wanted.keys().try_for_each(|(database, table)| catalog.require(database, table).map(|_| ()))
            });
            let mut locked = Locked::default();
            wanted.iter().for_each(|(table, strength)| locked.add(table.clone(), *strength));
            let taken = known.map(|()| self.engine.store.table_locks.try_lock(&locked));
            desk.rollback(&mut state);
            self.table_lock = taken?;
            if self.table_lock.is_some() {
                return Ok(());
            }
            drop(state);
            self.await_tables(deadline)?;
        }
    }

    fn tables_to_lock(&self, text: &Text) -> Result<BTreeMap<TableName, Strength>, SqlError> {
        let dialect = MySqlDialect {};
        let mut parser = text.parser(&dialect, 1);
        if !matches!(word(&mut parser).as_str(), "TABLES" | "TABLE") {
            return Err(SqlError::unsupported("LOCK of anything but tables"));
        }
        let mut wanted = BTreeMap::new();
        loop {
            let name = parser.parse_object_name(false).map_err(|e| syntax(&e))?;
            let (database, table) = table_name(&name, &self.database)?;
            let strength = strength(&mut parser)?;
            let held = wanted.entry((database.to_owned(), table.to_owned())).or_insert(strength);
            *held = strength.max(*held);
            if !parser.consume_token(&Token::Comma) {
                break;
            }
        }
        expect_end(&mut parser)?;
        Ok(wanted)
    }

    /// UNLOCK TABLES: what was locked is free, by LOCK TABLES and by FLUSH TABLES WITH READ LOCK; what was written under the locks is committed.
    fn unlock_tables(&mut self) -> Result<(), SqlError> {
        let ended = match self.table_lock.take() {
            Some(lock) => {
                let ended = self.end(true);
                drop(lock);
                ended
            }
            None => Ok(()),
        };
        self.read_lock = None;
        ended
    }

    /// `ALTER TABLE t DISABLE KEYS`, which MySQL's own engine does not have either: a note says so.
    pub(super) fn switch_keys(&mut self, text: &Text) -> Result<Outcome, SqlError> {
        let dialect = MySqlDialect {};
        let mut parser = text.parser(&dialect, 2);
        let name = parser.parse_object_name(false).map_err(|e| syntax(&e))?;
        word(&mut parser);
        word(&mut parser);
        expect_end(&mut parser)?;
        self.end(true)?;
        let (database, table) = table_name(&name, &self.database)?;
        let desk = Arc::clone(&self.desk);
        let mut state = desk.lock();
        desk.read(&mut state)?;
        let known = self
            .engine
            .store
            .catalog(&state.conn)
            .and_then(|catalog| catalog.require(database, table).map(|_| ()));
        desk.rollback(&mut state);
        known?;
        let message = format!("Table storage engine for '{table}' doesn't have this option");
        Ok(Outcome { warnings: vec![SqlError::new(1031, "HY000", message)], ..Outcome::default() })
    }

    fn await_tables(&self, deadline: Instant) -> Result<(), SqlError> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(lock_wait_timeout());
        }
        self.engine.store.table_locks.wait(left.min(STOP_POLL));
        let hung_up = self.meets.hung_up.as_ref().is_some_and(|hung_up| hung_up());
        if hung_up || self.desk.stopped().load(Ordering::Relaxed) {
            return Err(SqlError::interrupted());
        }
        Ok(())
    }

    /// Makes the transaction the writer once no other session's lock forbids it to write these tables, and gives it
    /// leave to write. A client may wait for as long as `lock_wait_timeout` says, replication may not.
    ///
    /// Who waits for a table has no leave: the session that locked it may want to hold all writes.
    pub(super) fn write_tables(
        &self,
        desk: &Arc<Desk>,
        state: &mut State,
        targets: &dyn Fn() -> Vec<Target>,
        patience: Patience,
    ) -> Result<Pass, SqlError> {
        let patient = !patience.ahead;
        let already = matches!(state.mode, Mode::Writing(_));
        let wait = match () {
            // in somebody else's turn nobody waits: that may be over meanwhile, and what was written in it undone
            () if self.hurried => Duration::ZERO,
            () if already || !patient => patience.wait,
            () => self.table_wait(),
        };
        let deadline = Instant::now() + wait;
        loop {
            let leave = if patient { self.leave_to_write(state) } else { self.leave_to_apply(state) }?;
            desk.write(state, patience)?;
            if !self.engine.store.table_locks.forbid(self.table_lock.as_ref(), targets) {
                return Ok(leave);
            }
            drop(leave);
            if !already {
                desk.step_back(state);
            }
            self.await_tables(deadline)?;
        }
    }
}

fn word(parser: &mut Parser<'_>) -> String {
    match parser.next_token().token {
        Token::Word(word) => word.value.to_ascii_uppercase(),
        other => other.to_string(),
    }
}

/// `[[AS] alias] READ [LOCAL] | [LOW_PRIORITY] WRITE`. A lock counts for its table, whatever the alias.
fn strength(parser: &mut Parser<'_>) -> Result<Strength, SqlError> {
    let mut next = word(parser);
    if next == "AS" {
        word(parser);
        next = word(parser);
    } else if !["READ", "WRITE", "LOW_PRIORITY"].contains(&next.as_str()) {
        next = word(parser);
    }
    if next == "LOW_PRIORITY" {
        next = word(parser);
    }
    match next.as_str() {
        "READ" => {
            if matches!(&parser.peek_token().token, Token::Word(w) if w.value.eq_ignore_ascii_case("LOCAL")) {
                parser.next_token();
            }
            Ok(Strength::Read)
        }
        "WRITE" => Ok(Strength::Write),
        other => Err(SqlError::syntax(format!("You have an error in your SQL syntax near '{other}'"))),
    }
}
