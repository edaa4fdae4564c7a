//! The node's file: one SQLite database, its catalog of MySQL's definitions, its one writer at a time.
//!
//! MySQL's `db.table` is SQLite's table `"db.table"`. Readers see WAL snapshots and never wait for writers.
//! Not here: what statements mean (`sql`), and what is logged (`session`, `replication`).

pub mod automatic;
pub mod catalog;
pub mod definition;
pub mod disk;
pub mod holder;
pub mod keeper;
pub mod pen;
pub mod read_lock;
pub mod relay;
mod resort;
pub mod rows;
pub mod table_locks;
pub mod writer_lock;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::config::DbConfig;

use self::catalog::Catalog;
use self::definition::TableDef;
use self::disk::{Disk, SyncLog};
use self::pen::{Pen, Rest};
use self::read_lock::ReadLock;
use self::table_locks::TableLocks;
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

/// A commit copies the log into the file itself when it has this many pages: more than the keeper lets it come to.
const LAST_RESORT_PAGES: u32 = 65_536;

/// When a commit is on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Synchronous {
    /// Before it is acknowledged.
    Full,
    /// Soon: a power cut can lose the last ones, a killed process cannot.
    Normal,
}

impl Synchronous {
    /// What tells SQLite. Not to be said inside a transaction.
    #[must_use]
    pub fn pragma(self) -> &'static str {
        match self {
            Synchronous::Full => "PRAGMA synchronous = FULL",
            Synchronous::Normal => "PRAGMA synchronous = NORMAL",
        }
    }
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
    /// The right to write.
    pub writer: WriterLock,
    /// The connection that writes, while nobody does.
    pub pen: Rest,
    /// FLUSH TABLES WITH READ LOCK.
    pub read_lock: Arc<ReadLock>,
    /// What of it is on the disk.
    pub disk: Disk,
    /// Keeps the write-ahead log from being removed.
    _open: Mutex<Connection>,
    /// What LOCK TABLES has locked.
    pub table_locks: Arc<TableLocks>,
    shared: Mutex<Option<(i64, Arc<Catalog>)>>,
}

impl Store {
    /// Opens the store in this directory, creating it if there is none.
    pub fn open(dir: &Path, options: &StoreOptions) -> Result<Store, SqlError> {
        Store::open_with(dir, options, Disk::sync_of)
    }

    /// Opens the store with a way of its own to sync the log of a path: a seam for tests that cut the power.
    pub fn open_with(
        dir: &Path,
        options: &StoreOptions,
        sync_of: impl FnOnce(&Path) -> io::Result<SyncLog>,
    ) -> Result<Store, SqlError> {
        let path = dir.join(FILE);
        crate::datadir::only_for_owner(&path)?;
        let conn = connect(&path, Synchronous::Full)?;
        conn.execute_batch("BEGIN IMMEDIATE")?;
        catalog::create(&conn)?;
        resort::resort(&conn)?;
        crate::accounts::store::create(&conn)?;
        conn.execute_batch("COMMIT")?;
        let mut log = path.clone().into_os_string();
        log.push("-wal");
        let sync_log = sync_of(Path::new(&log))
            .map_err(|error| SqlError::internal(format!("cannot open {}: {error}", log.display())))?;
        Ok(Store {
            path,
            disk: Disk::new(options.synchronous == Synchronous::Full, sync_log),
            writer: WriterLock::default(),
            pen: Rest::default(),
            read_lock: Arc::default(),
            table_locks: Arc::default(),
            _open: Mutex::new(conn),
            shared: Mutex::new(None),
        })
    }

    /// When a commit is on the disk, now.
    #[must_use]
    pub fn synchronous(&self) -> Synchronous {
        if self.disk.is_durable() { Synchronous::Full } else { Synchronous::Normal }
    }

    /// From now on a commit is on the disk then.
    pub fn set_synchronous(&self, synchronous: Synchronous) {
        self.disk.set_durable(synchronous == Synchronous::Full);
    }

    /// A new connection to the file, with MySQL's functions and collations. Its own commits wait for the disk as the store
    /// says.
    pub fn connect(&self) -> Result<Connection, SqlError> {
        connect(&self.path, self.synchronous())
    }

    /// A new connection whose commits go through [`Disk::commit`] and wait for nothing themselves.
    pub fn connect_session(&self) -> Result<Connection, SqlError> {
        connect(&self.path, Synchronous::Normal)
    }

    /// The connection that writes, for who has the writer lock; he puts it back, or hands it on.
    pub fn take_pen(&self) -> Result<Pen, SqlError> {
        self.pen.take().map_or_else(|| self.connect_session().map(Pen::new), Ok)
    }

    /// Lays the pen down with nothing of one's own to commit. What others have handed in is committed, and they are told; an error if it
    /// could not be.
    pub fn lay_down(&self, mut pen: Pen) -> Result<(), SqlError> {
        let committed = if pen.group.is_some() { pen.commit(&self.disk).map(drop) } else { Ok(()) };
        self.pen.put(pen);
        committed
    }

    /// A table's definition as it was read last; it may have changed since.
    #[must_use]
    pub fn known_table(&self, database: &str, table: &str) -> Option<Arc<TableDef>> {
        let shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, catalog) = shared.as_ref()?;
        catalog.table(database, table).cloned()
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

fn connect(path: &Path, synchronous: Synchronous) -> Result<Connection, SqlError> {
    let conn = Connection::open(path)?;
    conn.busy_timeout(Duration::from_millis(BUSY_TIMEOUT_MS))?;
    conn.set_prepared_statement_cache_capacity(STATEMENT_CACHE);
    // Else each new value of a parameter has its statement planned anew.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    conn.execute_batch(&format!(
        "PRAGMA journal_mode = WAL; {}; PRAGMA foreign_keys = OFF;
         PRAGMA cache_size = -{CACHE_KIB}; PRAGMA temp_store = MEMORY; PRAGMA recursive_triggers = OFF;
         PRAGMA wal_autocheckpoint = {LAST_RESORT_PAGES};",
        synchronous.pragma()
    ))?;
    collation::register(&conn)?;
    functions::register(&conn)?;
    Ok(conn)
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
            Some(ErrorCode::OperationInterrupted) => SqlError::interrupted(),
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => writer_lock::lock_wait_timeout(),
            Some(ErrorCode::DiskFull) => {
                SqlError::new(1021, "HY000", "Disk full; waiting for someone to free some space")
            }
            _ => SqlError::internal(format!("SQLite: {error}")),
        }
    }
}
