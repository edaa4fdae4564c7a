//! Applying a transaction that was committed elsewhere, exactly as it was.
//!
//! Its rows, its entry in this node's log and the caller's own bookkeeping are one SQLite transaction: after a
//! crash it is wholly there or not at all. A statement that is logged by its text is run again, on the rows that are here. Values are in stored form, so the rows become the same bytes. Of two
//! updates that cross on their way, the one that is applied last wins, without a word, as in MySQL.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use rusqlite::Connection;

use super::Session;
use super::accounts::is_about_accounts;
use super::extent::extent_of_body;
use super::transaction::State;
use crate::SqlError;
use crate::change::{Body, Change, Part, Transaction};
use crate::sql::parse::Text;
use crate::sql::targets::targets;
use crate::storage::pen::Fate;
use crate::storage::relay::{Kept, Relay};
use crate::storage::rows::RowWriter;
use crate::storage::table_locks::Target;
use crate::storage::writer_lock::{Patience, deadlock};

impl Session {
    /// Applies a transaction, then runs `bookkeeping` and commits it all together.
    pub fn apply(
        &mut self,
        transaction: &Transaction,
        bookkeeping: &dyn Fn(&Connection) -> Result<(), SqlError>,
    ) -> Result<(), SqlError> {
        let desk = Arc::clone(&self.desk);
        desk.begin_statement();
        let mut state = desk.lock();
        desk.rollback(&mut state);
        let patience =
            Patience { ahead: true, extent: extent_of_body(&transaction.body), ..self.lock_wait() };
        let leave = self.write_tables(&desk, &mut state, &|| targets_of(&transaction.body), patience)?;
        let result = self.apply_in(&mut state, transaction).and_then(|applied| {
            still_open(&state)?;
            let gtid = Some(transaction.gtid.clone());
            let (server_id, at) = (transaction.server_id, transaction.committed_at_ms);
            // it goes on as it came, but for statements that were passed over
            let body = applied.as_ref().unwrap_or(&transaction.body);
            let logged = self.engine.log.append(&state.conn, gtid, server_id, at, body)?;
            let touched = state.changes.take();
            if logged.is_some() {
                self.engine.log.touched(&state.conn, &touched)?;
            }
            bookkeeping(&state.conn)
        });
        match result {
            Ok(()) => {
                desk.commit(&mut state, self.engine.log.as_ref(), self.engine.server_id)?;
                if state.keep_leave(leave) {
                    return Ok(());
                }
                self.engine.log.committed();
                if let Body::Statement { sql, .. } = &transaction.body
                    && is_about_accounts(&Text::new(sql.as_bytes())?)
                {
                    self.engine.accounts.reload(&state.conn)?;
                }
                Ok(())
            }
            Err(error) => desk.undo(&mut state).and(Err(error)),
        }
    }

    /// Applies a transaction in a hurry, in the turn that `kept` may have from the one before. If there are `more`, and nobody else waits
    /// for the turn, it is left to the next one; then what becomes of this one is decided with the common commit.
    pub fn apply_in_turn(
        &mut self,
        transaction: &Transaction,
        bookkeeping: &dyn Fn(&Connection) -> Result<(), SqlError>,
        kept: &mut Kept,
        more: bool,
    ) -> Result<Option<Arc<Fate>>, SqlError> {
        let relay = Relay { gives_way: true, ..kept.relay(more) };
        let (outcome, fate) = self.in_turn(relay, kept, |session| session.apply(transaction, bookkeeping));
        outcome.map(|()| fate)
    }

    /// What was left to be committed is: those who wait for more in the log look again.
    pub fn applied(&self) {
        self.engine.log.committed();
    }

    /// Where turns are kept.
    #[must_use]
    pub fn kept(&self) -> Kept {
        Kept::new(Arc::clone(&self.engine.store))
    }

    /// Waits until everything that is committed is on the disk, whatever the durability.
    pub fn settle(&self) -> Result<(), SqlError> {
        let disk = &self.engine.store.disk;
        disk.wait_synced(disk.visible()).map_err(SqlError::internal)
    }

    /// Applies a body; gives what was applied of it if that is not all.
    fn apply_in(&mut self, state: &mut State, transaction: &Transaction) -> Result<Option<Body>, SqlError> {
        match &transaction.body {
            Body::Rows(changes) => {
                let left_out = self.apply_rows(&state.conn, changes)?;
                return Ok((!left_out.is_empty()).then(|| Body::Rows(without(changes, &left_out))));
            }
            Body::Statement { database, sql } => {
                let text = Text::new(sql.as_bytes())?;
                match self.apply_to_accounts(state, &text, sql) {
                    Some(applied) => applied?,
                    None => drop(self.define_in(state, &text.statement()?, database, true)?),
                }
            }
            Body::Parts(parts) => {
                let result = self.apply_parts(state, parts, transaction.server_id);
                self.forget_replayed();
                return result;
            }
        }
        Ok(None)
    }

    /// A statement that fails with a listed error is left out, and the others are run: as in MySQL, where each is an event.
    fn apply_parts(
        &mut self,
        state: &mut State,
        parts: &[Part],
        origin: u32,
    ) -> Result<Option<Body>, SqlError> {
        let (mut kept, mut all) = (Vec::new(), true);
        for part in parts {
            match part {
                Part::Rows(changes) => {
                    let left_out = self.apply_rows(&state.conn, changes)?;
                    all &= left_out.is_empty();
                    kept.push(Part::Rows(without(changes, &left_out)));
                }
                Part::Query(query) => match self.replay(state, query, origin) {
                    Err(error) if self.passes_over(&error) => all = false,
                    result => {
                        result?;
                        kept.push(part.clone());
                    }
                },
            }
            still_open(state)?;
        }
        if all {
            return Ok(None);
        }
        kept.retain(|part| !matches!(part, Part::Rows(changes) if changes.is_empty()));
        Ok(Some(if kept.is_empty() { Body::Rows(Vec::new()) } else { Body::Parts(kept) }))
    }

    /// Whether an error of another node's change is passed over. Not one that passes by itself: all is tried again then.
    fn passes_over(&self, error: &SqlError) -> bool {
        !error.is_passing() && self.skip_errors.contains(&error.code)
    }

    /// Applies changes of rows; gives the places of those that are left out for a listed error.
    fn apply_rows(&self, conn: &Connection, changes: &[Change]) -> Result<Vec<usize>, SqlError> {
        let mut left_out = Vec::new();
        let catalog = self.engine.store.catalog(conn)?;
        let mut writers: HashMap<(&str, &str), RowWriter> = HashMap::new();
        for (at, change) in changes.iter().enumerate() {
            let name = (change.database.as_ref(), change.table.as_ref());
            if let std::collections::hash_map::Entry::Vacant(e) = writers.entry(name) {
                let table = match catalog.require(name.0, name.1) {
                    Err(error) if self.passes_over(&error) => {
                        left_out.push(at);
                        continue;
                    }
                    found => found?,
                };
                e.insert(RowWriter::new(Arc::clone(table)));
            }
            match writers.get(&name).map_or(Ok(()), |writer| writer.apply(conn, change)) {
                Err(error) if self.passes_over(&error) => left_out.push(at),
                result => result?,
            }
        }
        Ok(left_out)
    }
}

/// The changes without those at these places.
fn without(changes: &[Change], left_out: &[usize]) -> Vec<Change> {
    let kept = changes.iter().enumerate().filter(|(at, _)| left_out.binary_search(at).is_err());
    kept.map(|(_, change)| change.clone()).collect()
}

/// 1213 if SQLite has rolled the transaction back by itself: what follows would be committed without what came before.
fn still_open(state: &State) -> Result<(), SqlError> {
    if state.conn.is_autocommit() { Err(deadlock()) } else { Ok(()) }
}

/// The tables that a transaction writes; what cannot be read fails when it is applied.
fn targets_of(body: &Body) -> Vec<Target> {
    match body {
        Body::Rows(changes) => changed(changes),
        Body::Statement { database, sql } => written(sql, database),
        Body::Parts(parts) => parts
            .iter()
            .flat_map(|part| match part {
                Part::Rows(changes) => changed(changes),
                Part::Query(query) => {
                    vec![(query.table.0.as_ref().to_owned(), Some(query.table.1.as_ref().to_owned()))]
                }
            })
            .collect(),
    }
}

fn changed(changes: &[Change]) -> Vec<Target> {
    let tables: BTreeSet<(&str, &str)> =
        changes.iter().map(|change| (change.database.as_ref(), change.table.as_ref())).collect();
    tables.into_iter().map(|(d, t)| (d.to_owned(), Some(t.to_owned()))).collect()
}

fn written(sql: &str, database: &str) -> Vec<Target> {
    let statement = Text::new(sql.as_bytes()).and_then(|text| text.statement());
    statement.map(|statement| targets(&statement, database)).unwrap_or_default()
}
