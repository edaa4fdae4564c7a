//! What SHOW tells of the server and of tables' contents, asked when it is shown.

use rusqlite::Connection;

use super::Session;
use crate::SqlError;
use crate::sql::insert;
use crate::sql::surroundings::{Process, Surroundings};
use crate::storage::definition::TableDef;

/// Tables of up to so many rows are counted; larger ones are estimated.
const MAX_COUNTED_ROWS: u64 = 10_000;
/// What a client that waits for its next statement is doing.
const SLEEP: &str = "Sleep";
/// The threads of replication have this account.
const SYSTEM_USER: &str = "system user";

/// A session and its connection.
pub(super) struct Around<'s> {
    pub session: &'s Session,
    /// In the statement's snapshot.
    pub conn: &'s Connection,
}

impl Surroundings for Around<'_> {
    fn readable(&self, database: &str, table: &str) -> Result<(), SqlError> {
        self.session.readable(database, table)
    }

    fn processes(&self) -> Vec<Process> {
        self.session.engine.admin.processes()
    }

    fn status(&self, global: bool) -> Vec<(String, String)> {
        let server = &self.session.engine.counters;
        let own = if global { server } else { &self.session.counters };
        let mut all = own.of_session();
        all.extend(server.of_server());
        let clients = self.processes().into_iter().filter(|process| process.user != SYSTEM_USER);
        let (running, idle): (Vec<_>, Vec<_>) = clients.partition(|process| process.command != SLEEP);
        let count = |list: &[Process]| u64::try_from(list.len()).unwrap_or(u64::MAX);
        all.push(("Threads_connected".to_owned(), count(&running) + count(&idle)));
        all.push(("Threads_running".to_owned(), count(&running)));
        all.push((
            "Prepared_stmt_count".to_owned(),
            u64::try_from(self.session.prepared.len()).unwrap_or(u64::MAX),
        ));
        let mut all: Vec<_> = all.into_iter().map(|(name, value)| (name, value.to_string())).collect();
        let tls = if global { None } else { self.session.tls.as_ref() };
        all.push(("Ssl_cipher".to_owned(), tls.map_or(String::new(), |tls| tls.cipher.clone())));
        all.push(("Ssl_version".to_owned(), tls.map_or(String::new(), |tls| tls.version.clone())));
        all.sort();
        all
    }

    fn next_key(&self, table: &TableDef) -> Option<u64> {
        insert::next_key(self.conn, table, &self.session.variables).ok().flatten()
    }

    fn rows(&self, table: &TableDef) -> Option<u64> {
        let number = |sql: &str| -> Option<u64> {
            let number: Option<i64> =
                self.conn.prepare_cached(sql).ok()?.query_row([], |row| row.get(0)).ok()?;
            number.and_then(|number| u64::try_from(number).ok())
        };
        let name = table.physical();
        let counted =
            number(&format!("SELECT count(*) FROM (SELECT 1 FROM {name} LIMIT {})", MAX_COUNTED_ROWS + 1))?;
        if counted <= MAX_COUNTED_ROWS {
            return Some(counted);
        }
        // Only a table with row numbers can be measured by its two ends.
        let numbered = table.rowid_column().is_some() || table.primary().is_none();
        let ends = || number(&format!("SELECT max(rowid) - min(rowid) + 1 FROM {name}"));
        numbered.then(ends).flatten()
    }
}
