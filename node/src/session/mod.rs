//! One client's session: statements in, results out, transactions kept.
//!
//! A [`Session`] is used by one thread at a time and shares the [`Engine`] with all others. A statement that
//! fails leaves no trace of itself; the transaction that it was part of goes on, as in MySQL.

mod accounts;
mod apply;
mod control;
mod counters;
pub mod errand;
mod explain;
mod extent;
mod flush;
pub(crate) mod isolation;
mod logging;
mod maintenance;
mod prepared;
mod queries;
mod readings;
mod set;
mod sleep;
mod statements;
mod surroundings;
mod table_locks;
#[cfg(test)]
mod tests;
pub mod transaction;
mod user_variables;
pub mod variables;
mod warnings;
mod writes;

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use database::Gtid;
use rusqlite::Connection;
use rusqlite::types::Value as Stored;

use self::errand::{Errand, Leaves};
use self::prepared::PreparedStatement;
use self::transaction::{Desk, Mode};
use self::variables::{GlobalVariables, MoreVariables, Variables};
use crate::SqlError;
use crate::accounts::Accounts;
use crate::accounts::rights::{Client, Rights};
use crate::change::{Body, Change, Context};
use crate::protocol::packets::Barrier;
use crate::results::{ColumnMeta, Param, Sink};
use crate::sql::parse::with_hint;
use crate::sql::surroundings::Process;
use crate::storage::Store;
use crate::storage::catalog::Catalog;
use crate::storage::read_lock::{Hold, Pass};
use crate::storage::table_locks::TableLock;
use crate::tls::Agreed;

pub use self::counters::Counters;
pub use self::extent::is_short;
pub use self::logging::ON_QUERY;
pub use self::prepared::Prepared;

/// The binary log, as a commit sees it.
pub trait Log: Send + Sync {
    /// Writes a transaction to the log inside the connection's open transaction; without a GTID it gets the
    /// next one of this node. None if it is not logged.
    fn append(
        &self,
        conn: &Connection,
        gtid: Option<Gtid>,
        server_id: u32,
        committed_at_ms: u64,
        body: &Body,
    ) -> Result<Option<Gtid>, SqlError>;

    /// Keeps beside the transaction that was appended last in the connection's open transaction which rows its
    /// statements changed on this node. They are never sent on.
    fn touched(&self, conn: &Connection, changes: &[Change]) -> Result<(), SqlError>;

    /// What was appended is committed now.
    fn committed(&self);
}

/// What a statement of administration answers.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// Done, without rows.
    Ok,
    /// Rows, in stored form.
    Table {
        /// The columns.
        columns: Vec<ColumnMeta>,
        /// The rows.
        rows: Vec<Vec<Stored>>,
    },
}

/// What a statement of administration may look at.
pub struct SessionView<'s> {
    /// The session's connection; inside its transaction if it has one, else in a snapshot of its own.
    pub conn: &'s Connection,
    /// The default database, or empty.
    pub database: &'s str,
    /// The session's variables.
    pub variables: &'s Variables,
    /// The definitions, as that snapshot has them.
    pub catalog: &'s Catalog,
    /// The session's number.
    pub connection_id: u32,
    /// `user@host`.
    pub user: &'s str,
    /// Raised when the statement is to end.
    pub stopped: &'s AtomicBool,
    /// Leave to write, which FLUSH TABLES WITH READ LOCK withholds.
    pub leave: &'s dyn Fn() -> Result<Pass, SqlError>,
    /// Whether the session itself holds that lock.
    pub holds_tables: bool,
    /// What the session may do.
    pub rights: &'s Rights,
}

/// Statements that are not SQL of tables: replication and the server itself.
pub trait AdminStatements: MoreVariables {
    /// Runs the statement if it is one of these.
    fn run(&self, session: &SessionView<'_>, sql: &str) -> Option<Result<Answer, SqlError>>;
    /// The clients, and the threads of replication.
    fn processes(&self) -> Vec<Process>;
}

/// What all sessions of a node share.
pub struct Engine {
    /// The file.
    pub store: Arc<Store>,
    /// The binary log.
    pub log: Arc<dyn Log>,
    /// The variables that new sessions begin with.
    pub variables: Arc<GlobalVariables>,
    /// The node's number.
    pub server_id: u32,
    /// The node's identity, the origin of its GTIDs.
    pub server_uuid: String,
    /// Statements of administration.
    pub admin: Arc<dyn AdminStatements>,
    /// The accounts.
    pub accounts: Arc<Accounts>,
    /// What SHOW STATUS shows.
    pub counters: Arc<Counters>,
}

/// Why a statement ended early.
#[derive(Debug)]
pub enum ExecError {
    /// The client is to be told.
    Sql(SqlError),
    /// The client is gone.
    Client(io::Error),
}

impl From<SqlError> for ExecError {
    fn from(error: SqlError) -> ExecError {
        ExecError::Sql(error)
    }
}

impl From<io::Error> for ExecError {
    fn from(error: io::Error) -> ExecError {
        ExecError::Client(error)
    }
}

impl fmt::Display for ExecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ExecError::Sql(error) => error.fmt(f),
            ExecError::Client(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ExecError {}

/// `SERVER_STATUS_IN_TRANS`.
const STATUS_IN_TRANSACTION: u16 = 1;
/// `SERVER_STATUS_AUTOCOMMIT`.
const STATUS_AUTOCOMMIT: u16 = 2;

/// A session.
pub struct Session {
    engine: Arc<Engine>,
    desk: Arc<Desk>,
    connection_id: u32,
    user: String,
    client: Option<Arc<Client>>,
    tls: Option<Agreed>,
    client_found_rows: bool,
    database: String,
    variables: Variables,
    prepared: HashMap<u32, PreparedStatement>,
    next_prepared: u32,
    last_insert_id: u64,
    row_count: i64,
    found_rows: u64,
    warnings: Vec<SqlError>,
    /// How many more there were, beyond `max_error_count`.
    unkept_warnings: u64,
    /// While a statement of another node is run: what was sent along with it.
    replayed: Option<Context>,
    /// FLUSH TABLES WITH READ LOCK, until UNLOCK TABLES.
    read_lock: Option<Hold>,
    /// Errors of another node's statements that are passed over (`slave_skip_errors`).
    skip_errors: Vec<u16>,
    /// Why the statement before failed, for SHOW WARNINGS.
    failed: Option<SqlError>,
    /// What SET TRANSACTION said of the next transaction alone.
    next: isolation::Next,
    counters: Counters,
    /// What LOCK TABLES has locked.
    table_lock: Option<TableLock>,
    /// What it meets of others' locks.
    meets: table_locks::Meets,
    /// When it may leave a statement with another thread.
    leaves: Leaves,
    /// What it has left.
    errand: Option<Errand>,
    /// Whether it must not wait for long.
    hurried: bool,
}

impl Session {
    /// A session of this user (`name@host`). It is the node's own and may do everything, until [`Session::log_in`] says whose
    /// it is.
    pub fn new(
        engine: Arc<Engine>,
        connection_id: u32,
        user: String,
        client_found_rows: bool,
    ) -> Result<Session, SqlError> {
        let desk = Desk::new(&engine.store)?;
        let more: Arc<dyn MoreVariables> = Arc::<dyn AdminStatements>::clone(&engine.admin);
        let mut variables = Variables::new(Arc::clone(&engine.variables), more);
        variables.identify(engine.server_id, &engine.server_uuid);
        Ok(Session {
            engine,
            desk,
            connection_id,
            user,
            client: None,
            tls: None,
            client_found_rows,
            database: String::new(),
            variables,
            prepared: HashMap::new(),
            next_prepared: 0,
            last_insert_id: 0,
            row_count: -1,
            found_rows: 0,
            warnings: Vec::new(),
            unkept_warnings: 0,
            replayed: None,
            read_lock: None,
            skip_errors: Vec::new(),
            failed: None,
            next: isolation::Next::default(),
            counters: Counters::default(),
            table_lock: None,
            meets: table_locks::Meets::default(),
            leaves: Leaves::Never,
            errand: None,
            hurried: false,
        })
    }

    /// The session of an applier that leaves out statements which fail with these errors.
    #[must_use]
    pub fn passing_over(mut self, errors: Vec<u16>) -> Session {
        self.skip_errors = errors;
        self
    }

    /// Runs one statement.
    pub fn execute(&mut self, sql: &[u8], sink: &mut dyn Sink) -> Result<(), ExecError> {
        let outcome = self.until_readable(&mut |session| session.run_text(sql, &[], sink));
        let outcome = outcome.map_err(|error| match error {
            ExecError::Sql(error) => ExecError::Sql(with_hint(error, sql)),
            gone => gone,
        });
        self.ended(&outcome);
        outcome
    }

    /// After a statement: no stop is due any more, and an error waits for SHOW WARNINGS.
    fn ended(&mut self, outcome: &Result<(), ExecError>) {
        if self.errand.is_some() {
            return; // it has not begun
        }
        self.ready();
        if let Err(ExecError::Sql(error)) = outcome {
            self.keep_warnings(Vec::new());
            self.failed = Some(error.clone());
        }
    }

    /// What this session has done so far.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Makes a database the default one.
    pub fn use_database(&mut self, name: &str) -> Result<(), SqlError> {
        self.rights().use_database(name)?;
        let known = name.eq_ignore_ascii_case("information_schema")
            || name == "mysql"
            || self.in_snapshot(|state| {
                self.engine.store.catalog(&state.conn).map(|catalog| catalog.has_database(name))
            })?;
        if !known {
            return Err(SqlError::new(1049, "42000", format!("Unknown database '{name}'")));
        }
        name.clone_into(&mut self.database);
        Ok(())
    }

    /// The default database, or empty.
    #[must_use]
    pub fn database(&self) -> &str {
        &self.database
    }

    /// The session's variables.
    #[must_use]
    pub fn variables(&self) -> &Variables {
        &self.variables
    }

    /// Back to a new session's state: rolled back, nothing prepared, nothing set.
    pub fn reset(&mut self) {
        let desk = Arc::clone(&self.desk);
        desk.rollback(&mut desk.lock());
        self.table_lock = None;
        self.variables.reset();
        self.variables.identify(self.engine.server_id, &self.engine.server_uuid);
        self.prepared.clear();
        self.keep_warnings(Vec::new());
        self.next = isolation::Next::default();
        self.last_insert_id = 0;
        self.read_lock = None;
    }

    /// Another user on the same connection (COM_CHANGE_USER): a reset, too.
    pub fn change_user(&mut self, user: String) {
        self.reset();
        self.user = user;
        self.database.clear();
    }

    /// The server status flags of the protocol: 1 in a transaction, 2 autocommit.
    #[must_use]
    pub fn status(&self) -> u16 {
        let desk = Arc::clone(&self.desk);
        let state = desk.lock();
        self.status_of(&state)
    }

    fn status_of(&self, state: &transaction::State) -> u16 {
        let autocommit = self.autocommit();
        let inside = state.is_lost() || state.begun || (!autocommit && state.mode != Mode::Idle);
        u16::from(inside) * STATUS_IN_TRANSACTION + u16::from(autocommit) * STATUS_AUTOCOMMIT
    }

    fn autocommit(&self) -> bool {
        self.variables.is_on("autocommit")
    }

    /// Forgets a stop that was meant for a statement before. To be called before anybody is told that a new one runs.
    pub fn ready(&self) {
        self.desk.begin_statement();
    }

    /// A command begins, whose answer is not known yet.
    pub fn tells(&self) {
        self.desk.tells();
    }

    /// What holds back the answers of this session until all that they can tell is on the disk.
    #[must_use]
    pub fn barrier(&self) -> Barrier {
        let desk = Arc::clone(&self.desk);
        Box::new(move || desk.wait_for_disk())
    }

    /// What another thread can stop this session's running statement with.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        Stopper(Arc::clone(&self.desk))
    }

    /// Runs a prepared statement.
    pub fn execute_prepared(
        &mut self,
        id: u32,
        params: &[Param],
        sink: &mut dyn Sink,
    ) -> Result<(), ExecError> {
        let outcome = self.until_readable(&mut |session| session.run_prepared(id, params, sink));
        self.ended(&outcome);
        outcome
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.desk.rollback(&mut self.desk.lock());
    }
}

/// Stops a session's running statement from another thread (KILL QUERY).
#[derive(Clone)]
pub struct Stopper(Arc<Desk>);

impl Stopper {
    /// Ends the running statement with error 1317.
    pub fn stop(&self) {
        self.0.stop_statement();
    }
}
