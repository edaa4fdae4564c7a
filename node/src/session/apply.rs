//! Applying a transaction that was committed elsewhere, exactly as it was.
//!
//! Its rows, its entry in this node's log and the caller's own bookkeeping are one SQLite transaction: after a
//! crash it is wholly there or not at all. Values are in stored form, so the rows become the same bytes. Of two
//! updates that cross on their way, the one that is applied last wins, without a word, as in MySQL.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::Connection;

use super::Session;
use super::transaction::State;
use crate::SqlError;
use crate::change::{Body, Change, Transaction};
use crate::sql::parse::Text;
use crate::storage::rows::RowWriter;

impl Session {
    /// Applies a transaction, then runs `bookkeeping` and commits it all together.
    pub fn apply(
        &mut self,
        transaction: &Transaction,
        bookkeeping: &dyn Fn(&Connection) -> Result<(), SqlError>,
    ) -> Result<(), SqlError> {
        let desk = Arc::clone(&self.desk);
        let mut state = desk.lock();
        desk.rollback(&mut state);
        desk.write(&mut state, self.lock_wait())?;
        let result = self.apply_in(&mut state, transaction).and_then(|()| {
            let gtid = Some(transaction.gtid.clone());
            let (server_id, at) = (transaction.server_id, transaction.committed_at_ms);
            self.engine.log.append(&state.conn, gtid, server_id, at, &transaction.body)?;
            bookkeeping(&state.conn)
        });
        match result {
            Ok(()) => {
                desk.commit(&mut state, self.engine.log.as_ref(), self.engine.server_id)?;
                self.engine.log.committed();
                Ok(())
            }
            Err(error) => {
                desk.rollback(&mut state);
                Err(error)
            }
        }
    }

    fn apply_in(&self, state: &mut State, transaction: &Transaction) -> Result<(), SqlError> {
        match &transaction.body {
            Body::Rows(changes) => self.apply_rows(&state.conn, changes),
            Body::Statement { database, sql } => {
                let statement = Text::new(sql.as_bytes())?.statement()?;
                self.define_in(state, &statement, database).map(|_| ())
            }
        }
    }

    fn apply_rows(&self, conn: &Connection, changes: &[Change]) -> Result<(), SqlError> {
        let catalog = self.engine.store.catalog(conn)?;
        let mut writers: HashMap<(&str, &str), RowWriter> = HashMap::new();
        for change in changes {
            let name = (change.database.as_ref(), change.table.as_ref());
            if let std::collections::hash_map::Entry::Vacant(e) = writers.entry(name) {
                let table = catalog.require(name.0, name.1)?;
                e.insert(RowWriter::new(Arc::clone(table)));
            }
            if let Some(writer) = writers.get(&name) {
                writer.apply(conn, change)?;
            }
        }
        Ok(())
    }
}
