//! The node's file: one SQLite database, its catalog of MySQL's definitions, its one writer at a time.
//!
//! MySQL's `db.table` is SQLite's table `"db.table"`. Readers see WAL snapshots and never wait for writers.
//! Not here: what statements mean (`sql`), and what is logged (`session`, `replication`).

pub mod catalog;
pub mod definition;
pub mod rows;
pub mod writer_lock;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::Connection;

use self::catalog::Catalog;
use self::writer_lock::WriterLock;
use crate::SqlError;
use crate::sql::{collation, functions};

/// The file's name in the data directory.
pub const FILE: &str = "node.sqlite";
/// How long SQLite itself waits for a lock. The writer lock makes this rare.
const BUSY_TIMEOUT_MS: u64 = 10_000;
/// Prepared SQLite statements kept per connection.
const STATEMENT_CACHE: usize = 128;
/// Page cache per connection in KiB.
const CACHE_KIB: u32 = 8_192;

/// When a commit is on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Synchronous {
    /// Before it is acknowledged.
    Full,
    /// Soon: a power cut can lose the last ones, a killed process cannot.
    Normal,
}

/// How a store is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreOptions {
    /// When a commit is on the disk.
    pub synchronous: Synchronous,
}

impl Default for StoreOptions {
    fn default() -> StoreOptions {
        StoreOptions { synchronous: Synchronous::Full }
    }
}

/// The file and what all its connections share.
pub struct Store {
    path: PathBuf,
    options: StoreOptions,
    /// The right to write.
    pub writer: WriterLock,
    shared: Mutex<Option<(i64, Arc<Catalog>)>>,
}

impl Store {
    /// Opens the store in this directory, creating it if there is none.
    pub fn open(dir: &Path, options: &StoreOptions) -> Result<Store, SqlError> {
        let store = Store {
            path: dir.join(FILE),
            options: *options,
            writer: WriterLock::default(),
            shared: Mutex::new(None),
        };
        let conn = store.connect()?;
        conn.execute_batch("BEGIN IMMEDIATE")?;
        catalog::create(&conn)?;
        conn.execute_batch("COMMIT")?;
        Ok(store)
    }

    /// A new connection to the file, with MySQL's functions and collations.
    pub fn connect(&self) -> Result<Connection, SqlError> {
        let conn = Connection::open(&self.path)?;
        conn.busy_timeout(Duration::from_millis(BUSY_TIMEOUT_MS))?;
        conn.set_prepared_statement_cache_capacity(STATEMENT_CACHE);
        let synchronous = match self.options.synchronous {
            Synchronous::Full => "FULL",
            Synchronous::Normal => "NORMAL",
        };
        conn.execute_batch(&format!(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = {synchronous}; PRAGMA foreign_keys = OFF;
             PRAGMA cache_size = -{CACHE_KIB}; PRAGMA temp_store = MEMORY; PRAGMA recursive_triggers = OFF;"
        ))?;
        collation::register(&conn)?;
        functions::register(&conn)?;
        Ok(conn)
    }

    /// The definitions as this connection's transaction sees them.
    pub fn catalog(&self, conn: &Connection) -> Result<Arc<Catalog>, SqlError> {
        let version: i64 = conn.prepare_cached("PRAGMA schema_version")?.query_row([], |row| row.get(0))?;
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((cached, catalog)) = shared.as_ref()
            && *cached == version
        {
            return Ok(Arc::clone(catalog));
        }
        let catalog = Arc::new(Catalog::read(conn)?);
        *shared = Some((version, Arc::clone(&catalog)));
        Ok(catalog)
    }
}

impl From<rusqlite::Error> for SqlError {
    fn from(error: rusqlite::Error) -> SqlError {
        use rusqlite::ErrorCode;
        // A function of ours that failed carries the error that the client is to see.
        if let rusqlite::Error::UserFunctionError(inner) = &error
            && let Some(own) = inner.downcast_ref::<SqlError>()
        {
            return own.clone();
        }
        if let Some(own) = functions::carried_error(&error) {
            return own;
        }
        match error.sqlite_error_code() {
            Some(ErrorCode::OperationInterrupted) => {
                SqlError::new(1317, "70100", "Query execution was interrupted")
            }
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => writer_lock::lock_wait_timeout(),
            Some(ErrorCode::DiskFull) => {
                SqlError::new(1021, "HY000", "Disk full; waiting for someone to free some space")
            }
            _ => SqlError::internal(format!("SQLite: {error}")),
        }
    }
}
